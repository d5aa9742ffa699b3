"""The machine: its device, its threads, its memory, and what a measured figure depends on besides the network.

Nothing here loads torch before a function that needs it is called: commands that never compute must start at once.
"""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.errors import HeadstartError

if TYPE_CHECKING:
    import torch
    from torch import nn

_of_thread = threading.local()
_chosen = {"device": "auto"}


def choose_device(name: str) -> None:
    """Let this process compute on a device from now on.

    Args:
        name: auto (a GPU if there is one), cpu, mps, cuda or cuda:NUMBER.

    Raises:
        HeadstartError: this machine has no such device.
    """
    if name not in ("auto", "cpu") and name not in (there := _devices()):
        raise HeadstartError(
            f"there is no device {name} here", expected=f"one of {', '.join(there)}", remedy="leave --device out"
        )
    _chosen["device"] = name


def _devices() -> list[str]:
    """Names of the devices of this machine, for `choose_device`."""
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    cuda = ["cuda", *(f"cuda:{number}" for number in range(gpus))] if gpus else []
    return ["cpu", *cuda, *(["mps"] if torch.backends.mps.is_available() else [])]


def best_device() -> torch.device:
    """The chosen device, else a GPU if there is one."""
    import torch

    if _chosen["device"] != "auto":
        return torch.device(_chosen["device"])
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_of(network: nn.Module) -> torch.device:
    """Device of the tensors of a network."""
    import torch

    first = next(network.parameters(), None)
    return first.device if first is not None else torch.device("cpu")


@contextmanager
def one_core_a_thread() -> Iterator[None]:
    """While the block runs, torch takes one core in every thread but this one (see `take_one_core`)."""
    import torch

    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)  # what threads that are still to come start with


def take_one_core() -> None:
    """From now on torch runs this thread's layers on one core; the number is each thread's own."""
    import torch

    # torch.set_num_threads holds for the calling thread and for threads to come, so each worker calls it once.
    if not getattr(_of_thread, "alone", None):
        _of_thread.alone = "yes"
        torch.set_num_threads(1)


def machine_key() -> str:
    """Name of the machine, for speeds measured on it: torch's version, and the GPU or CPU with its threads."""
    import torch

    if (device := best_device()).type == "cuda":
        return f"torch {torch.__version__}, {torch.cuda.get_device_name(device)}"
    if device.type == "mps":
        return f"torch {torch.__version__}, mps, {_cpu_name()}"
    return f"torch {torch.__version__}, {_cpu_name()}, {torch.get_num_threads()} threads"


def _cpu_name() -> str:
    """The processor as the system names it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or f"{os.cpu_count()} cores"


def peak_memory_bytes() -> int | None:
    """Peak resident memory of this process so far, in bytes."""
    with contextlib.suppress(OSError, ValueError):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        # macOS reports bytes, Linux kibibytes.
        return most if sys.platform == "darwin" else most * 1024
    return None


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Versions, machine and command of a run, for whoever wants to repeat it."""

    versions: Mapping[str, str] = field(default_factory=dict)
    """Package -> version."""
    threads: int | None = None
    """Threads of torch; None where it was not loaded. The same bits need the same number."""
    python: str | None = None
    platform: str | None = None
    cpu_count: int | None = None
    command: tuple[str, ...] = ()
    started: str
    """ISO 8601 with the offset of the time zone."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "command": list(self.command)}


def environment() -> Environment:
    """Environment of this process, now."""
    versions = {}
    for package in ("headstart", "torch", "torchvision", "timm", "numpy", "scipy", "pillow", "simplejpeg"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    torch = sys.modules.get("torch")  # read only where something else has loaded it
    return Environment(
        versions=versions,
        threads=torch.get_num_threads() if torch is not None else None,
        python=platform.python_version(),
        platform=platform.platform(),
        cpu_count=os.cpu_count(),
        command=tuple(sys.argv),
        started=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    )
