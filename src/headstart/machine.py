"""The machine: its device, its threads, its memory, and what a measured figure depends on besides the network.

Nothing here loads torch before a function that needs it is called: commands that never compute must start at once.
What torch says of the machine is remembered in `$HEADSTART_HOME/machine.json`, so that commands that compute without it
use the same device and as many threads.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import re
import resource
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.errors import DiskFullError, HeadstartError, require
from headstart.files import has_file, home, read_json, update_json

if TYPE_CHECKING:
    import torch
    from torch import nn

_of_thread = threading.local()
_chosen = {"device": "auto"}
_threads = dict[str, int]()
"""chosen: number of threads to compute with, where a resumed run has one of its own; default: torch's before that."""
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_GPU_DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")


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


def _loaded_torch() -> Any:  # noqa: ANN401
    """Torch, if it is imported; None also while another thread is importing it."""
    loaded = sys.modules.get("torch")
    return None if loaded is None or getattr(loaded.__spec__, "_initializing", False) else loaded


def torch_version() -> str:
    """Version of torch, without the seconds of importing it.

    Raises:
        MissingExtraError: it is not installed.
    """
    if (loaded := _loaded_torch()) is not None:
        return str(loaded.__version__)
    return _installed_torch()


@cache
def _installed_torch() -> str:
    # Not from the distribution's metadata: a build's own suffix (+cu130, +cpu) is missing there.
    spec = importlib.util.find_spec("torch")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        with contextlib.suppress(OSError):
            text = (Path(folder) / "version.py").read_text(encoding="utf-8")
            if found := re.search(r"""^__version__ = ['"]([^'"]+)['"]""", text, re.MULTILINE):
                return found[1]
    return str(require("torch", extra="train").__version__)


def device_kind() -> str:
    """Kind of the device that this process computes on, as torch says it now or said it before: cpu, cuda or mps."""
    if _chosen["device"] != "auto":
        return _chosen["device"].partition(":")[0]
    if _loaded_torch() is None and (found := _remembered()) is not None:
        return str(found["device"])
    kind = best_device().type
    remember_torch()
    return kind


def thread_count() -> int:
    """Number of threads that compute: torch's, as it says now or said it before."""
    if (loaded := _loaded_torch()) is not None:
        return int(loaded.get_num_threads())
    if _threads:
        return _threads["chosen"]
    if (found := _remembered()) is not None:
        return int(found["threads"])
    import torch

    remember_torch()
    return torch.get_num_threads()


def use_threads(count: int) -> None:
    """Compute with so many threads from now on, also with torch where it is imported later."""
    _threads["chosen"] = count
    if (loaded := _loaded_torch()) is not None:
        _threads.setdefault("default", int(loaded.get_num_threads()))
        loaded.set_num_threads(count)


def apply_threads() -> None:
    """Let torch, which was just imported, take the threads that were set before."""
    if _threads:
        use_threads(_threads["chosen"])


def remember_torch() -> None:
    """Keep what torch says of this machine for processes that do without it; a full disk means that each asks torch."""
    if (loaded := _loaded_torch()) is None or _remembered() is not None:
        return
    threads = _threads.get("default", int(loaded.get_num_threads()))  # not those of one resumed run
    automatic = "cuda" if loaded.cuda.is_available() else "cpu"
    entry = {_circumstances(): {"device": automatic, "threads": threads}}
    with contextlib.suppress(OSError, DiskFullError):
        update_json(_remembered_file(), lambda found: {**found, **entry})


def _remembered() -> dict[str, Any] | None:
    """What torch said under the same circumstances; None where nothing is remembered."""
    if not has_file(_remembered_file()):
        return None
    found = read_json(_remembered_file()).get(_circumstances())
    is_whole = isinstance(found, dict) and isinstance(found.get("threads"), int) and found.get("device")
    return dict(found) if is_whole else None  # type: ignore[arg-type] # it is a dict


def _remembered_file() -> Path:
    return home() / "machine.json"


def _circumstances() -> str:
    """Everything that torch's device and number of threads depend on."""
    variables = [f"{name}={os.environ.get(name, '')}" for name in (*_THREAD_VARIABLES, "CUDA_VISIBLE_DEVICES")]
    drivers = [path for path in _GPU_DRIVERS if Path(path).exists()]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return ", ".join([f"torch {torch_version()}", _cpu_name(), f"{cores} cores", *variables, *drivers])


def device_of(network: nn.Module) -> torch.device:
    """Device of the tensors of a network."""
    import torch

    first = next(network.parameters(), None)
    return first.device if first is not None else torch.device("cpu")


@contextmanager
def one_core_a_thread() -> Iterator[None]:
    """While the block runs, torch takes one core in every thread but this one (see `take_one_core`)."""
    torch = _loaded_torch()
    before = None if torch is None else torch.get_num_threads()
    try:
        yield
    finally:
        if torch is not None:
            torch.set_num_threads(before)  # what threads that are still to come start with


def take_one_core() -> None:
    """From now on torch runs this thread's layers on one core; the number is each thread's own."""
    torch = _loaded_torch()
    # torch.set_num_threads holds for the calling thread and for threads to come, so each worker calls it once.
    if torch is not None and not getattr(_of_thread, "alone", None):
        _of_thread.alone = "yes"
        torch.set_num_threads(1)


def machine_key() -> str:
    """Name of the machine, for speeds measured on it: torch's version, and the GPU or CPU with its threads."""
    if (kind := device_kind()) == "cuda":
        import torch

        return f"torch {torch_version()}, {torch.cuda.get_device_name(best_device())}"
    if kind == "mps":
        return f"torch {torch_version()}, mps, {_cpu_name()}"
    return f"torch {torch_version()}, {_cpu_name()}, {thread_count()} threads"


@cache
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
    # Only where torch is loaded or is remembered: a command that only reads must not wait for it.
    is_known = _loaded_torch() is not None or bool(_threads) or _remembered() is not None
    return Environment(
        versions=versions,
        threads=thread_count() if is_known else None,
        python=platform.python_version(),
        platform=platform.platform(),
        cpu_count=os.cpu_count(),
        command=tuple(sys.argv),
        started=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    )
