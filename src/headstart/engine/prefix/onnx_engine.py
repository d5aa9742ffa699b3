"""ONNX Runtime as an engine, on the CPU: exports prefixes into a cache, and runs them as `onnx_session` says."""

from __future__ import annotations

import contextlib
import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from headstart.data.preprocess import NetworkInput
from headstart.engine.prefix.fold import separate_copy
from headstart.engine.prefix.onnx_session import IMAGES_INPUT, OnnxSession, engines_folder, runtime_module
from headstart.engine.prefix.program import tensors_in
from headstart.engine.prefix.running import FEW_IMAGES
from headstart.files import has_file, stored_paths, write_atomically

LARGEST_FOLDER_BYTES = 2 << 30
"""Of exported prefixes; those that were not used for longest go first."""


class OnnxEngine(OnnxSession):
    """A prefix that is exported where it was not yet."""

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
        runtime_module()  # without it nothing is exported
        if not has_file(path):
            _export_into_cache(path, prefix, sample)
        super().__init__(path, threads=threads)


class _FromNHWC(nn.Module):
    def __init__(self, prefix: nn.Module) -> None:
        super().__init__()
        self.prefix = prefix

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        # ONNX Runtime takes NHWC arrays as they are decoded; the transpose becomes part of the graph.
        return tuple(tensors_in(self.prefix(images.permute(0, 3, 1, 2))))


def export(prefix: nn.Module, sample: NetworkInput, path: Path) -> None:
    """Write the prefix as an ONNX file for FEW_IMAGES images.

    By torch's older exporter: it takes one or two seconds for what takes the newer one five to ten.
    """
    images = torch.from_numpy(np.resize(sample, (FEW_IMAGES, *sample.shape[1:])))
    with warnings.catch_warnings(), _exportable(), torch.no_grad():
        warnings.simplefilter("ignore")  # of tracing: what is fixed here is fixed on purpose
        torch.onnx.export(
            _FromNHWC(separate_copy(prefix)).eval(), (images,), path, input_names=[IMAGES_INPUT], dynamo=False
        )


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


def exported_path(prefix: nn.Module, sample: NetworkInput, *, label: str) -> Path:
    """Path of the exported prefix, named by everything that decides what it computes.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
    """
    runtime = runtime_module()
    digest = hashlib.sha256()
    # Versions of both libraries are part of the name: another exporter may write another graph.
    versions = f"torch {torch.__version__}, onnxruntime {runtime.__version__}, batch {FEW_IMAGES}"
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
