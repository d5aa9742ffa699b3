"""ONNX Runtime gives the network's outputs, and what it exported is found again only for the same function."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from headstart.engine.prefix import onnx_engine
from headstart.engine.prefix.cut import cut
from headstart.engine.prefix.fold import PooledFeatures
from headstart.engine.prefix.inference import pooled_features
from headstart.engine.prefix.onnx_engine import OnnxEngine, exported_path
from headstart.engine.prefix.running import FEW_IMAGES
from headstart.engine.prefix.torch_engine import EagerEngine
from headstart.networks.backbone import Classifier, build_classifier
from headstart.networks.cards.finding import find_model

IMAGES = np.random.default_rng(0).normal(size=(11, 64, 64, 3)).astype(np.float32)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def classifier_of(name: str, *, seed: int = 0, classes: int = 2, kind: str = "linear") -> Classifier:
    choice = find_model(name)
    made = build_classifier(choice, kind=kind, num_classes=classes, seed=seed, input_size=64, weights="random")
    made.network.eval()
    return made


def engine_of(prefix: nn.Module, *, threads: int = 2) -> OnnxEngine:
    return OnnxEngine(prefix, IMAGES, path=exported_path(prefix, IMAGES, label="a network"), threads=threads)


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "resnet18", "deit_tiny_patch16_224"])
def test_features_are_those_of_torch(name: str) -> None:
    classifier = classifier_of(name)
    prefix = PooledFeatures(classifier.network, classifier.features).eval()
    (found,), (expected,) = engine_of(prefix).run(IMAGES), EagerEngine(prefix).run(IMAGES)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


RUNS = """
import os, sys
from pathlib import Path
import numpy as np
from torch import nn
from headstart.engine.prefix.onnx_engine import OnnxEngine
images = np.zeros((2, 8, 8, 3), np.float32)
engine = OnnxEngine(nn.Flatten(), images, path=Path(sys.argv[1]) / "x.onnx", threads=1)
engine.run(images)
print(os.environ["ORT_DISABLE_TELEMETRY"])
"""


@pytest.mark.parametrize(("set_by_user", "value"), [({}, "1"), ({"ORT_DISABLE_TELEMETRY": "0"}, "0")])
@pytest.mark.slow
def test_onnx_runtime_leaves_no_identifier_unless_the_user_lets_it(
    tmp_path: Path, set_by_user: dict[str, str], value: str
) -> None:
    home = tmp_path / "a fresh home"
    home.mkdir()
    clean = {name: text for name, text in os.environ.items() if name not in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")}
    command, environment = [sys.executable, "-c", RUNS, str(tmp_path)], clean | {"HOME": str(home)} | set_by_user
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == [value], done.stderr
    if not set_by_user:
        assert not (home / ".cache" / "Microsoft").exists()


def test_torchvisions_attention_is_exported_and_the_switch_is_put_back() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 32, 16, 16), nn.Flatten(2), nn.TransformerEncoderLayer(16, 2, 8, batch_first=True)
    ).eval()
    assert torch.backends.mha.get_fastpath_enabled()
    found, expected = engine_of(network).run(IMAGES)[0], EagerEngine(network).run(IMAGES)[0]
    assert np.allclose(found, expected, atol=1e-4)
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_cut_networks_tensors_come_in_order() -> None:
    classifier = classifier_of("resnet18")
    example = torch.from_numpy(IMAGES[:1]).permute(0, 3, 1, 2)
    prefix = cut(classifier.network, classifier.groups, "layer3", example=example).prefix
    found, expected = engine_of(prefix).run(IMAGES), EagerEngine(prefix).run(IMAGES)
    assert [array.shape for array in found] == [array.shape for array in expected] == [(11, 128, 8, 8)]
    assert np.abs(found[0] - expected[0]).max() <= 1e-5 * np.abs(expected[0]).max()


def test_an_images_row_does_not_depend_on_the_batch_around_it() -> None:
    classifier = classifier_of("resnet18")
    engine = engine_of(PooledFeatures(classifier.network, classifier.features).eval())
    together = engine.run(IMAGES)[0]
    for count in (1, 2, FEW_IMAGES):
        assert np.array_equal(engine.run(IMAGES[3 : 3 + count])[0], together[3 : 3 + count])


def threads_of_this_process() -> int:
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.is_dir() else threading.active_count()


def test_a_session_has_no_threads_of_its_own_that_could_spin() -> None:
    classifier = classifier_of("resnet18")
    prefix = PooledFeatures(classifier.network, classifier.features).eval()
    first = engine_of(prefix)  # exports, for which torch may start threads, and starts ONNX Runtime
    first.run(IMAGES)
    before = threads_of_this_process()
    second = engine_of(prefix, threads=4)
    assert threads_of_this_process() <= before
    second.run(IMAGES)
    time.sleep(0.1)
    computed = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - computed < 0.15, "idle"


def test_an_exported_network_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first = classifier_of("resnet18")
    found = engine_of(PooledFeatures(first.network, first.features).eval()).run(IMAGES)[0]
    monkeypatch.setattr(onnx_engine, "export", lambda *given: pytest.fail("exported twice"))
    again = classifier_of("resnet18")
    assert np.array_equal(engine_of(PooledFeatures(again.network, again.features).eval()).run(IMAGES)[0], found)


def test_another_head_is_the_same_prefix_and_anything_else_is_not() -> None:
    first, other = classifier_of("resnet18"), classifier_of("resnet18")

    def path(classifier: Classifier, label: str = "a", images: np.ndarray = IMAGES) -> Path:
        prefix = PooledFeatures(classifier.network, classifier.features, unused=["fc"])
        return exported_path(prefix, images, label=label)

    with torch.no_grad():
        other.head.weight += 1
    assert path(first) == path(other)
    assert path(first) != path(first, label="b")
    assert path(first) != path(first, images=IMAGES[:, :32])
    with torch.no_grad():
        other.network.layer4[1].conv2.weight[0, 0, 0, 0] += 1e-6
    assert path(first) != path(other)
    moved = classifier_of("resnet18")
    moved.network.bn1.running_mean += 1
    assert path(first) != path(moved)


def path_of(classifier: Classifier) -> Path:
    """As training and prediction make it."""
    return exported_path(pooled_features(classifier), IMAGES, label="a")


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "resnet18", "deit_tiny_patch16_224"])
def test_other_classes_are_the_same_prefix(name: str) -> None:
    paths = {path_of(classifier_of(name, classes=classes)) for classes in (2, 7)}
    assert paths == {path_of(classifier_of(name, classes=3, kind="mlp"))}


def test_another_stride_with_the_same_weights_is_another_prefix() -> None:
    first, other = classifier_of("resnet18"), classifier_of("resnet18")
    assert path_of(first) == path_of(other)
    other.network.layer4[0].conv1.stride = (1, 1)
    assert path_of(first) != path_of(other)
    with torch.no_grad():
        first.network.conv1.weight[0, 0, 0, 0] += 1e-6
    assert path_of(first) != path_of(classifier_of("resnet18"))


def test_an_export_that_may_only_be_read_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()).eval()
    expected = engine_of(network).run(IMAGES)[0]

    def refuse(*given: object, **named: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(Path, "touch", refuse)
    assert np.array_equal(engine_of(network).run(IMAGES)[0], expected)


def test_what_was_not_used_for_longest_goes_when_the_folder_is_full(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Shift(nn.Module):
        def __init__(self, by: float) -> None:
            super().__init__()
            self.by = nn.Parameter(torch.full((1000,), by))

        def forward(self, x_BCHW: Tensor) -> Tensor:
            return x_BCHW.mean((2, 3)) + self.by.sum()

    monkeypatch.setattr(onnx_engine, "LARGEST_FOLDER_BYTES", 10_000)  # two of them
    paths = []
    for number in range(3):
        prefix = Shift(float(number)).eval()
        engine_of(prefix)
        paths.append(exported_path(prefix, IMAGES, label="a network"))
        os.utime(paths[-1], (number, number))
        if number == 1:
            engine_of(Shift(0.0).eval())  # used again: now the last to go
    assert [path.is_file() for path in paths] == [True, False, True]


def test_a_network_that_cannot_be_exported_leaves_no_file(own_home: Path) -> None:
    class Odd(nn.Module):
        def forward(self, x_BCHW: Tensor) -> Tensor:
            return torch.linalg.svdvals(x_BCHW)

    with pytest.raises(Exception, match="not supported"):
        engine_of(Odd().eval())
    assert not list((own_home / "engines").iterdir())
