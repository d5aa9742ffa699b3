"""The engine that finishes first with a frozen prefix, set-up included; measured throughputs are remembered."""

from __future__ import annotations

import contextlib
import time
from dataclasses import asdict, dataclass, field
from typing import Literal, TypeAlias

from headstart.engine.costs.memory import recall_value, remember_value
from headstart.engine.prefix.onnx_session import version_here
from headstart.errors import DiskFullError
from headstart.machine import torch_version

FEWEST_FOR_AN_ENGINE = 64
"""Fewer images are run through the network as it is."""

EngineName: TypeAlias = Literal["torch", "onnxruntime"]
EngineOption: TypeAlias = Literal["auto", "torch", "onnxruntime"]

EXPECTED_GAIN = 2.5
"""How much faster ONNX Runtime is than torch where that was not measured yet: ResNets gain the least."""
EXPECTED_SETUP_SECONDS = 2.0
"""To import ONNX Runtime and export a network, where that was not measured yet; 1-3 s were seen on quiet machines."""
EXPECTED_RELOAD_SECONDS = 0.5
"""The same where the exported network is kept from an earlier run."""
LOSS_HOLDS_SECONDS = 30 * 24 * 3600.0
"""That ONNX Runtime was slower or did not run is believed so long: a busy minute decides no year."""
_NO_MEMORY = ("bad_alloc", "bad allocation", "allocate memory", "not enough memory", "out of memory")
"""How libraries say so in errors of their own."""


@dataclass(frozen=True, slots=True)
class EngineThroughputs:
    """The throughput of both engines with one frozen part on this machine."""

    torch: float
    """Images a second."""
    onnxruntime: float
    """Images a second; 0 if it does not run there or gives other outputs."""
    setup_seconds: float
    """To export it."""
    measured_at: float = field(default_factory=time.time, compare=False)
    """Seconds since 1970."""

    @property
    def is_outdated(self) -> bool:
        """Whether they speak against ONNX Runtime, and too long ago to be believed."""
        return self.onnxruntime <= self.torch and time.time() - self.measured_at > LOSS_HOLDS_SECONDS


def faster_engine(
    images: int, torch_throughput: float, known: EngineThroughputs | None, *, exported: bool
) -> EngineName:
    """The engine that finishes first: N / throughput, for ONNX Runtime plus its set-up.

    Args:
        images: To come.
        torch_throughput: Images a second of PyTorch, just measured.
        known: What was measured before.
        exported: Whether the exported network is kept from an earlier run.
    """
    throughput = known.onnxruntime if known else EXPECTED_GAIN * torch_throughput
    if throughput <= 0:
        return "torch"
    setup = known.setup_seconds if known else EXPECTED_SETUP_SECONDS
    if exported:
        setup = EXPECTED_RELOAD_SECONDS
    # T(N) = set-up + N / throughput for both engines; torch is loaded already and has no set-up.
    return "onnxruntime" if setup + images / throughput < images / torch_throughput else "torch"


def could_run(device: str, name: str, version: str) -> bool:
    """Whether an engine of that name and version could be made for a prefix now, in this process.

    What another version of a library or another kind of device has computed is not what this process would compute.

    Args:
        device: Kind of the one that the prefix lies on.
        name: Of the engine.
        version: Of the engine, with everything that may change a bit of what it computes.
    """
    if name == "onnxruntime":
        return device == "cpu" and version == version_here()
    return name == "torch" and version.startswith(f"{torch_version()}, {device}, ")


def recall_engines(machine: str, part: str) -> EngineThroughputs | None:
    """Measurements of a frozen prefix on this machine with these versions, if they are still valid."""
    with contextlib.suppress(KeyError, TypeError):
        # Figures without a date are from an older version: they count as measured long ago.
        figures = EngineThroughputs(**{"measured_at": 0.0, **recall_value(machine, "engines", part)})
        return None if figures.is_outdated else figures
    return None


def remember_engines(machine: str, part: str, figures: EngineThroughputs) -> None:
    """Keep figures for later runs; a full or read-only disk only means that they are measured again."""
    rounded = {name: round(value, 3) for name, value in asdict(figures).items()}
    with contextlib.suppress(OSError, DiskFullError):
        remember_value(machine, "engines", part, rounded)


def is_of_the_moment(error: Exception) -> bool:
    """Whether disk or memory was short: that says nothing of the network, and another time it may go well."""
    if isinstance(error, (DiskFullError, OSError, MemoryError)):
        return True
    # Libraries raise RuntimeError for a lack of memory too; only the text tells.
    return any(words in str(error).lower() for words in _NO_MEMORY)


def in_a_line(error: Exception) -> str:
    """First line of an error of an exporter, compiler or runtime, for a note."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
