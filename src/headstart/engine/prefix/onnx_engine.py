"""ONNX Runtime as an engine, on the CPU: each core runs the whole prefix on four images of its own.

One session with one thread is called from as many threads as there are cores. Nobody waits for anybody inside a
layer, no idle thread spins next to torch, and a thread that decodes its images before it runs them leaves no core idle
or shared. The graph has a fixed batch: what a forward computes from it becomes a constant. Rows do not depend on what
else is in the batch.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.data.preprocess import NetworkInput
from headstart.engine.prefix.fold import separate_copy
from headstart.engine.prefix.program import tensors_in
from headstart.engine.prefix.torch_engine import Outputs
from headstart.errors import MissingExtraError, require
from headstart.files import has_file, home, stored_paths, write_atomically

ONNX_BATCH_IMAGES = 4
"""Few enough that a layer's maps stay near the core, enough to share the reading of the weights."""
LARGEST_FOLDER_BYTES = 2 << 30
"""Of exported prefixes; those that were not used for longest go first."""

_INPUT = "images"
_DISTRIBUTIONS = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino")
"""Packages that bring the module."""


class OnnxEngine:
    """An exported prefix."""

    name = "onnxruntime"

    def __init__(self, prefix: nn.Module, sample: NetworkInput, *, path: Path, threads: int | None = None) -> None:
        """Load the exported prefix, or export it.

        Args:
            prefix: (B, C, H, W) on the CPU -> a tensor or a structure of tensors; not changed.
            sample: At least one image, of the size that will come.
            path: Where the exported prefix is or will be: `exported_path`.
            threads: Images are run in; None is as many as torch uses.

        Raises:
            MissingExtraError: ONNX Runtime is not installed.
            Exception: whatever the exporter or ONNX Runtime raise for a network they do not know.
        """
        runtime = runtime_module()
        # Touching the file dates its last use, by which old exports are removed.
        if has_file(path):
            with contextlib.suppress(OSError):  # somebody else's, or on a disk that may only be read
                path.touch()
        else:
            _export_into_cache(path, prefix, sample)
        self._session = _session(runtime, path)
        self.image_threads = threads or torch.get_num_threads()
        version = version_here()
        assert version is not None  # it was imported above
        self.version = version

    def run(self, images: NetworkInput) -> Outputs:
        """B x height x width x channels -> arrays, batch first. Uses all its threads for more than one small batch."""
        parts = [images[start : start + ONNX_BATCH_IMAGES] for start in range(0, len(images), ONNX_BATCH_IMAGES)]
        if len(parts) == 1:
            return self._run_few(parts[0])
        with ThreadPoolExecutor(self.image_threads) as pool:
            found = list(pool.map(self._run_few, parts))
        return tuple(np.concatenate(arrays) for arrays in zip(*found, strict=True))

    def _run_few(self, images: NetworkInput) -> Outputs:
        count = len(images)
        # Rows are independent of the batch, so zeros fill it up to the fixed size and are cut off again.
        if count < ONNX_BATCH_IMAGES:
            filling = np.zeros((ONNX_BATCH_IMAGES - count, *images.shape[1:]), np.float32)
            images = np.concatenate([images, filling])
        outputs = self._session.run(None, {_INPUT: images})
        return tuple(np.asarray(array[:count], np.float32) for array in outputs)


def _session(runtime: Any, path: Path) -> Any:  # noqa: ANN401 - without types
    options = runtime.SessionOptions()
    # One thread a session: parallelism is over images, in the caller's threads.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; it warns about networks that torch runs as well
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class _FromNHWC(nn.Module):
    def __init__(self, prefix: nn.Module) -> None:
        super().__init__()
        self.prefix = prefix

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        # ONNX Runtime takes NHWC arrays as they are decoded; the transpose becomes part of the graph.
        return tuple(tensors_in(self.prefix(images.permute(0, 3, 1, 2))))


def export(prefix: nn.Module, sample: NetworkInput, path: Path) -> None:
    """Write the prefix as an ONNX file for BATCH_IMAGES images.

    By torch's older exporter: it takes one or two seconds for what takes the newer one five to ten.
    """
    images = torch.from_numpy(np.resize(sample, (ONNX_BATCH_IMAGES, *sample.shape[1:])))
    with warnings.catch_warnings(), _exportable(), torch.no_grad():
        warnings.simplefilter("ignore")  # of tracing: what is fixed here is fixed on purpose
        torch.onnx.export(_FromNHWC(separate_copy(prefix)).eval(), (images,), path, input_names=[_INPUT], dynamo=False)


@contextmanager
def _exportable() -> Iterator[None]:
    """Attention in steps that the exporter supports, and no graph of thousands of lines printed where it gives up."""
    # The fused attention kernels of torch have no counterpart in ONNX; the slow path is made of plain products.
    fast, logs = torch.backends.mha.get_fastpath_enabled(), torch._C._jit_is_onnx_log_enabled()
    disabled = False
    torch.backends.mha.set_fastpath_enabled(disabled)
    torch._C._jit_set_onnx_log_enabled(disabled)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        torch._C._jit_set_onnx_log_enabled(logs)


def runtime_module() -> Any:  # noqa: ANN401 - without types
    """ONNX Runtime: the one place that imports it, with its telemetry off unless the user has turned it on.

    From 1.29 on it keeps an identifier of the machine and events under `~/.cache/Microsoft` and may send them.

    Raises:
        MissingExtraError: it is not installed.
    """
    # `setdefault`: a user who turned telemetry on has decided so.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    return require("onnxruntime", extra="train")


def version_here() -> str | None:
    """The version of an engine that is made now; None without ONNX Runtime."""
    runtime = runtime_version()
    return None if runtime is None else f"{runtime}, exported by torch {torch.__version__}"


def runtime_version() -> str | None:
    """Version of the installed ONNX Runtime, without the half second of importing it."""
    # Read from the metadata of the distributions: importing the module takes half a second.
    for name in _DISTRIBUTIONS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            return metadata.version(name)
    with contextlib.suppress(MissingExtraError):  # a build of somebody's own
        return str(runtime_module().__version__)
    return None


def engines_folder() -> Path:
    """Folder of the exported prefixes."""
    return home() / "engines"


def exported_path(prefix: nn.Module, sample: NetworkInput, *, label: str) -> Path:
    """Path of the exported prefix, named by everything that decides what it computes.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
    """
    runtime = runtime_module()
    digest = hashlib.sha256()
    # Versions of both libraries are part of the name: another exporter may write another graph.
    versions = f"torch {torch.__version__}, onnxruntime {runtime.__version__}, batch {ONNX_BATCH_IMAGES}"
    for text in (label, versions, str(sample.shape[1:]), *_modules(prefix)):
        digest.update(text.encode() + b"\0")
    for name, tensor in _counting(prefix):
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}\0".encode())
        # The bytes of all tensors, not their names: a refit network is another prefix.
        digest.update(values.flatten().view(torch.uint8).numpy().data)
    return engines_folder() / f"{digest.hexdigest()[:40]}.onnx"


def _modules(prefix: nn.Module) -> Iterator[str]:
    """Description of each of its modules; a head of other classes behind the prefix is no other prefix."""
    unused: tuple[str, ...] = getattr(prefix, "unused", ())
    for name, module in prefix.named_modules(remove_duplicate=False):
        if not f"{name}.".startswith(unused):
            kind = type(module)
            yield f"{name}: {kind.__module__}.{kind.__qualname__}({module.extra_repr()})"


def _counting(prefix: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers that the output depends on."""
    unused: tuple[str, ...] = getattr(prefix, "unused", ())
    for named in (prefix.named_parameters(), prefix.named_buffers()):
        yield from ((name, tensor) for name, tensor in named if not name.startswith(unused))


def _export_into_cache(path: Path, prefix: nn.Module, sample: NetworkInput) -> None:
    """Export, and delete the exports that were not used for longest.

    Raises:
        DiskFullError: there is no room.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda aside: export(prefix, sample, aside))
    kept = 0
    # Newest first, so that what is over the limit is what was used longest ago.
    for _, size, file in sorted(_exports(path.parent), reverse=True):
        kept += size
        if kept > LARGEST_FOLDER_BYTES and file != path:
            file.unlink(missing_ok=True)


def _exports(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """(time of the last use, bytes, file)."""
    for file in stored_paths(folder, "*.onnx"):
        with contextlib.suppress(FileNotFoundError):  # another process let go of it
            stat = file.stat()
            yield stat.st_mtime, stat.st_size, file
