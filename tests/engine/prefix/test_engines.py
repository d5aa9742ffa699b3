"""Running networks over images: every engine gives the network's outputs, and none is used that does not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from headstart.data.loading import read_view
from headstart.engine.prefix import engine_choice, engines, onnx_engine, torch_engine
from headstart.engine.prefix.engine_choice import could_run, recall_engines
from headstart.engine.prefix.engines import choose_engine
from headstart.engine.prefix.inference import features_of, pooled_features
from headstart.engine.prefix.onnx_engine import OnnxEngine
from headstart.engine.prefix.onnx_session import runtime_version, version_here
from headstart.engine.prefix.running import (
    BATCH_IMAGES,
    FEW_IMAGES,
    SAMPLE_IMAGES,
    SINGLE,
    Tolerance,
    outputs_of,
)
from headstart.engine.prefix.torch_engine import EagerEngine, TorchEngine
from headstart.errors import DiskFullError, MissingExtraError
from headstart.machine import machine_key

Images = npt.NDArray[np.float32]


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def sample_of(task: object) -> Images:
    return np.stack([read_view(record, task.images.spec) for record in task.images.roles.train[:8]])


@pytest.mark.parametrize("requested", ["torch", "onnxruntime"])
def test_every_engine_gives_the_features_of_the_network_in_the_order_of_the_records(prepare: Callable, requested: str):
    task = prepare()
    classifier, spec, records = task.classifier(), task.images.spec, task.images.roles.training_pool
    before = {name: tensor.clone() for name, tensor in classifier.network.state_dict().items()}
    notes: list[str] = []
    prefix = pooled_features(classifier)
    engine = choose_engine(
        prefix, sample_of(task), label="lite0", images_to_come=9, requested=requested, on_note=notes.append
    )
    assert engine.name == requested
    assert not notes
    counted: list[int] = []
    found = features_of(classifier, records, spec, engine=engine, on_images=counted.append)
    expected = features_of(classifier, records, spec)
    assert sum(counted) == len(records)
    assert np.abs(found - expected).max() <= SINGLE.largest_difference * np.abs(expected).max()
    assert all(torch.equal(before[name], tensor) for name, tensor in classifier.network.state_dict().items())


def test_an_engine_with_image_threads_reads_and_runs_in_them(prepare: Callable):
    task = prepare()
    records, seen, here = task.images.roles.training_pool, [], threading.get_ident()

    class Counting:
        name, version, image_threads = "onnxruntime", "", 2

        def run(self, images: Images) -> tuple[Images, ...]:
            seen.append((threading.get_ident(), len(images)))
            return images.mean(axis=(1, 2)), images

    def prepared(record: object) -> Images:
        assert threading.get_ident() != here
        return read_view(record, task.images.spec)

    found = list(outputs_of(Counting(), records, prepared))
    assert [record for chunk, _ in found for record in chunk] == list(records)
    assert all(len(chunk) == len(rows) == len(maps) for chunk, (rows, maps) in found)
    assert all(thread != here and count <= 4 for thread, count in seen)
    expected = np.stack([read_view(record, task.images.spec) for record in records])
    assert np.array_equal(np.concatenate([maps for _, (_, maps) in found]), expected)


def test_the_choice_follows_the_figures_and_is_remembered(prepare: Callable, monkeypatch: pytest.MonkeyPatch):
    task = prepare()
    prefix, sample = pooled_features(task.classifier()), sample_of(task)

    def chosen(images: int) -> str:
        return choose_engine(prefix, sample, label="lite0", images_to_come=images).name

    monkeypatch.setattr(engines, "_timed", lambda engine, images: (engine.run(images), RATES[type(engine)]))
    assert chosen(10) == "torch"
    assert chosen(100_000) == "onnxruntime"
    monkeypatch.setattr(engine_choice, "EXPECTED_RELOAD_SECONDS", 3.0)
    assert chosen(60) == "onnxruntime", "3 s + 60 / 40 < 60 / 10"
    assert chosen(20) == "torch"
    remembered = recall_engines(machine_key(), f"lite0, 32x32x3, onnxruntime {runtime_version()}")
    assert remembered is not None
    assert remembered.onnxruntime == 40


RATES = {EagerEngine: 10.0, TorchEngine: 10.0, OnnxEngine: 40.0}


def test_an_engine_that_is_slower_after_all_is_not_used_again(prepare: Callable, monkeypatch: pytest.MonkeyPatch):
    task = prepare()
    prefix, sample = pooled_features(task.classifier()), sample_of(task)
    monkeypatch.setattr(
        engines, "_timed", lambda engine, images: (engine.run(images), 5.0 if engine.name == "onnxruntime" else 10.0)
    )
    options = {"label": "lite0", "images_to_come": 10**6}
    assert choose_engine(prefix, sample, **options).name == "torch"
    monkeypatch.setattr(engines, "OnnxEngine", lambda *given, **named: pytest.fail("tried again"))
    assert choose_engine(prefix, sample, **options).name == "torch"


def test_after_a_month_or_with_another_runtime_a_slower_engine_is_tried_again(
    prepare: Callable, monkeypatch: pytest.MonkeyPatch
):
    task = prepare()
    prefix, sample, tried = pooled_features(task.classifier()), sample_of(task), []

    class Counting(OnnxEngine):
        def __init__(self, *given: object, **named: object) -> None:
            tried.append(1)
            super().__init__(*given, **named)

    monkeypatch.setattr(engines, "OnnxEngine", Counting)
    monkeypatch.setattr(
        engines, "_timed", lambda engine, images: (engine.run(images), 5.0 if engine.name == "onnxruntime" else 10.0)
    )
    options = {"label": "lite0", "images_to_come": 10**6}
    for _ in range(2):
        assert choose_engine(prefix, sample, **options).name == "torch"
    assert len(tried) == 1
    with monkeypatch.context() as patch:
        patch.setattr(engine_choice, "LOSS_HOLDS_SECONDS", -1.0)
        choose_engine(prefix, sample, **options)
    assert len(tried) == 2
    choose_engine(prefix, sample, **options)
    assert len(tried) == 2, "what was measured anew holds again"
    monkeypatch.setattr(engines, "runtime_version", lambda: "99.0")
    choose_engine(prefix, sample, **options)
    assert len(tried) == 3


@pytest.fixture(params=[1, 6, 12])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """A pretended number of cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_engines_are_timed_with_images_for_every_core(prepare: Callable, monkeypatch: pytest.MonkeyPatch, threads: int):
    task, given = prepare(), {"eager": [], "onnx": []}

    class Eager(EagerEngine):
        def run(self, images: Images) -> tuple[Images, ...]:
            given["eager"].append(len(images))
            return super().run(images)

    class Onnx(OnnxEngine):
        def run(self, images: Images) -> tuple[Images, ...]:
            given["onnx"].append(len(images))
            return super().run(images)

    monkeypatch.setattr(engines, "EagerEngine", Eager)
    monkeypatch.setattr(engines, "OnnxEngine", Onnx)
    prefix, sample = pooled_features(task.classifier()), sample_of(task)
    engine = choose_engine(prefix, sample, label="lite0", images_to_come=1, requested="onnxruntime")
    assert engine.image_threads == threads
    of_all_cores = max(SAMPLE_IMAGES, threads * FEW_IMAGES)
    assert given["onnx"][-1] == of_all_cores
    assert given["eager"] == [1, min(BATCH_IMAGES, of_all_cores)]


@pytest.mark.parametrize("error", [DiskFullError("the disk is full"), MemoryError(), RuntimeError("std::bad_alloc")])
def test_a_disk_or_memory_that_was_full_for_once_is_not_held_against_a_network(
    prepare: Callable, monkeypatch: pytest.MonkeyPatch, own_home: Path, error: Exception
):
    task, notes = prepare(), []
    prefix, sample = pooled_features(task.classifier()), sample_of(task)
    options = {"label": "lite0", "images_to_come": 10**6, "on_note": notes.append}

    def fails(*given: object, **named: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(onnx_engine, "export", fails)
        assert choose_engine(prefix, sample, **options).name == "torch"
    assert len(notes) == 1
    assert "lite0 is run by torch, not by ONNX Runtime" in notes[0]
    assert not (own_home / "measurements.json").exists()
    assert choose_engine(prefix, sample, requested="onnxruntime", **options).name == "onnxruntime"
    with monkeypatch.context() as patch:
        patch.setattr(OnnxEngine, "run", fails)
        choose_engine(prefix, sample, requested="onnxruntime", **options)
    assert list((own_home / "engines").glob("*.onnx")), "what was exported is whole"


def test_a_network_that_does_not_compile_is_only_folded_and_one_that_cannot_be_folded_runs_as_it_is(
    prepare: Callable, monkeypatch: pytest.MonkeyPatch
):
    """As on a GPU without a C compiler: there is none here, so that compiling is made to pay on the CPU."""
    task, notes = prepare(), []
    prefix, sample = pooled_features(task.classifier()), sample_of(task)
    options = {"label": "lite0", "images_to_come": 10, "requested": "torch", "on_note": notes.append}

    def fails(*given: object, **named: object) -> Images:
        raise RuntimeError("Failed to find C compiler.\nPlease specify via CC environment variable")

    for module in (engines, torch_engine):
        monkeypatch.setattr(module, "compiling_pays", lambda device, images: images > 5)
    monkeypatch.setattr(torch, "compile", lambda network, **named: fails)
    engine = choose_engine(prefix, sample, **options)
    assert isinstance(engine, TorchEngine)
    assert not engine.compiled
    assert notes == ["lite0 is not compiled: Failed to find C compiler."]
    monkeypatch.setattr(torch_engine, "folded", fails)
    assert isinstance(choose_engine(prefix, sample, **options), EagerEngine)
    assert notes[-1] == "lite0 is run as it is, not folded: Failed to find C compiler."


def test_only_what_this_process_could_make_is_an_engine_of_its_own(prepare: Callable):
    prefix = pooled_features(prepare().classifier())
    here = torch.__version__
    assert could_run("cpu", "torch", TorchEngine(prefix, np.zeros((1, 32, 32, 3), np.float32)).version)
    assert could_run("cpu", "torch", EagerEngine(prefix).version)
    assert could_run("cpu", "onnxruntime", version_here() or "")
    for name, version in [
        ("torch", f"{here}, cuda, 3 norms folded, float16"),
        ("torch", f"{here}1, cpu, as it is"),
        ("torch", f"{here} as it is, cpu"),  # as it was written once
        ("onnxruntime", f"1.0, exported by torch {here}"),
        ("other", f"{here}, cpu, as it is"),
        ("torch", ""),
    ]:
        assert not could_run("cpu", name, version), version


def test_an_engine_that_gives_other_outputs_is_not_used(prepare: Callable, monkeypatch: pytest.MonkeyPatch):
    task = prepare()
    prefix, sample, notes = pooled_features(task.classifier()), sample_of(task), []

    class Wrong(OnnxEngine):
        def run(self, images: Images) -> tuple[Images, ...]:
            return tuple(1.001 * array for array in super().run(images))

    monkeypatch.setattr(engines, "OnnxEngine", Wrong)
    options = {"label": "lite0", "images_to_come": 10**6, "on_note": notes.append}
    assert choose_engine(prefix, sample, requested="onnxruntime", **options).name == "torch"
    assert "lite0 is run by torch, not by ONNX Runtime: its outputs differ by 1.0e-03" in notes[0]
    assert choose_engine(prefix, sample, **options).name == "torch", "nor by itself, from now on"
    assert len(notes) == 1


def test_a_network_that_cannot_be_exported_is_run_by_torch(prepare: Callable):
    class Odd(torch.nn.Module):
        def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
            return torch.linalg.svdvals(x_BCHW[:, 0])

    sample, notes = np.random.default_rng(0).normal(size=(3, 8, 8, 3)).astype(np.float32), []
    engine = choose_engine(Odd(), sample, label="odd", images_to_come=10, requested="onnxruntime", on_note=notes.append)
    assert engine.name == "torch"
    assert len(notes) == 1
    assert "\n" not in notes[0]


def test_folding_that_changes_outputs_is_not_used(prepare: Callable, monkeypatch: pytest.MonkeyPatch):
    task = prepare()
    prefix, sample, notes = pooled_features(task.classifier()), sample_of(task), []
    monkeypatch.setattr(engines, "SINGLE", Tolerance(0.0, 1.0))
    engine = choose_engine(prefix, sample, label="lite0", images_to_come=1, requested="torch", on_note=notes.append)
    assert isinstance(engine, EagerEngine)
    assert "lite0 is run as it is, not folded" in notes[0]


def test_without_onnx_runtime_torch_runs_unless_the_other_is_requested_by_name(
    prepare: Callable, monkeypatch: pytest.MonkeyPatch
):
    def missing(*given: object, **named: object) -> None:
        raise MissingExtraError("onnxruntime is not installed", remedy='pip install "headstart[train]"')

    monkeypatch.setattr(engines, "exported_path", missing)
    task = prepare()
    prefix, sample = pooled_features(task.classifier()), sample_of(task)
    assert choose_engine(prefix, sample, label="lite0", images_to_come=10**6).name == "torch"
    with pytest.raises(MissingExtraError, match="pip install"):
        choose_engine(prefix, sample, label="lite0", images_to_come=1, requested="onnxruntime")
