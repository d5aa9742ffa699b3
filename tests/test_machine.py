"""Devices and threads of this machine, and what is written down of it."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import nn

from headstart import machine
from headstart.errors import HeadstartError
from headstart.machine import (
    best_device,
    choose_device,
    device_of,
    environment,
    machine_key,
    one_core_a_thread,
    peak_memory_bytes,
    take_one_core,
)


def test_a_module_without_tensors_is_on_the_cpu() -> None:
    assert device_of(nn.Identity()).type == "cpu"


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_a_thread_that_takes_one_core_leaves_all_others_their_number(three_threads: None) -> None:
    def inside() -> int:
        take_one_core()
        take_one_core()
        return torch.get_num_threads()

    with one_core_a_thread(), ThreadPoolExecutor(1) as pool:
        assert pool.submit(inside).result() == 1
        assert torch.get_num_threads() == 3
    with ThreadPoolExecutor(1) as pool:  # one that is made afterwards
        assert pool.submit(torch.get_num_threads).result() == 3
    assert torch.get_num_threads() == 3


def test_a_measured_figure_belongs_to_a_version_and_a_number_of_threads(three_threads: None) -> None:
    assert machine_key().startswith(f"torch {torch.__version__}, ")
    assert machine_key().endswith("3 threads")


def test_memory_is_counted_in_bytes() -> None:
    assert 10**7 < (peak_memory_bytes() or 0) < 10**12


def test_the_environment_names_versions_threads_and_command() -> None:
    found = environment()
    assert found.python == platform.python_version()
    assert torch.__version__.startswith(found.versions["torch"])
    assert found.threads == torch.get_num_threads()
    assert found.command == tuple(sys.argv)


@pytest.fixture
def own_choice() -> Iterator[None]:
    yield
    choose_device("auto")


@pytest.mark.usefixtures("own_choice")
def test_the_chosen_device_is_the_one_that_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_devices", lambda: ["cpu", "cuda", "cuda:0", "cuda:1"])
    for name in ("cuda:1", "cpu"):
        choose_device(name)
        assert best_device() == torch.device(name)
    assert "threads" in machine_key(), "what is measured on a CPU is of the CPU, whatever else there is"
    choose_device("auto")
    assert best_device().type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.usefixtures("own_choice")
def test_a_device_that_is_not_there_is_named_with_those_that_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_devices", lambda: ["cpu", "mps"])
    with pytest.raises(HeadstartError, match="there is no device cuda:3 here; expected one of cpu, mps"):
        choose_device("cuda:3")
    assert best_device().type in ("cpu", "cuda"), "a device that is refused is not chosen"


@pytest.fixture
def remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch was asked once in this home, and is not imported any more."""
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path))
    machine.remember_torch()
    monkeypatch.setattr(machine, "_loaded_torch", lambda: None)


@pytest.mark.usefixtures("remembered")
def test_what_torch_said_is_known_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = machine_key()
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "torch", None)  # an import fails
        assert machine.thread_count() == torch.get_num_threads()
        assert machine.device_kind() == ("cuda" if torch.cuda.is_available() else "cpu")
        assert environment().threads == torch.get_num_threads()
        if not torch.cuda.is_available():
            assert machine_key() == expected


@pytest.mark.usefixtures("remembered")
def test_other_circumstances_ask_torch_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine._remembered() is not None
    monkeypatch.setenv("OMP_NUM_THREADS", "17")
    assert machine._remembered() is None
    assert machine.thread_count() == torch.get_num_threads(), "asked"
    assert machine.device_kind() == best_device().type


def test_the_installed_version_is_the_one_that_torch_states() -> None:
    assert machine._installed_torch() == torch.__version__ == machine.torch_version()


@pytest.mark.usefixtures("remembered")
def test_threads_that_were_set_hold_before_and_after_torch_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    try:
        machine.use_threads(before + 1)
        assert machine.thread_count() == before + 1
        assert torch.get_num_threads() == before
        monkeypatch.setattr(machine, "_loaded_torch", lambda: torch)
        machine.apply_threads()
        assert torch.get_num_threads() == before + 1
    finally:
        machine._threads.clear()
        torch.set_num_threads(before)


def test_a_thread_that_is_importing_torch_does_not_count_as_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine._loaded_torch() is torch
    monkeypatch.setattr(torch.__spec__, "_initializing", True)
    assert machine._loaded_torch() is None


def test_the_threads_of_a_resumed_run_are_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path))
    try:
        machine.use_threads(before + 1)
        machine.remember_torch()
        found = machine._remembered()
        assert found is not None
        assert found["threads"] == before
    finally:
        machine._threads.clear()
        torch.set_num_threads(before)
