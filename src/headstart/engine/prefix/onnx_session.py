"""Sessions of ONNX Runtime on exported prefixes, and which version of it is here; no torch.

One session with one thread is called from as many threads as there are cores. Nobody waits for anybody inside a
layer, no idle thread spins next to torch, and a thread that decodes its images before it runs them leaves no core idle
or shared. The graph has a fixed batch: what a forward computes from it becomes a constant. Rows do not depend on what
else is in the batch.
"""

from __future__ import annotations

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from headstart.data.preprocess import NetworkInput
from headstart.engine.prefix.running import FEW_IMAGES, Outputs
from headstart.errors import MissingExtraError, require
from headstart.files import has_file, home
from headstart.machine import thread_count, torch_version

IMAGES_INPUT = "images"
"""Name of the graph's input."""
_DISTRIBUTIONS = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino")
"""Packages that bring the module."""


class OnnxSession:
    """An exported prefix as an engine."""

    name = "onnxruntime"

    def __init__(self, path: Path, *, threads: int | None = None, columns: int | None = None) -> None:
        """Load an exported prefix.

        Args:
            path: Of the exported prefix.
            threads: Images are run in; None is as many as torch uses.
            columns: How many columns of its outputs are given, the first ones; None: all.

        Raises:
            MissingExtraError: ONNX Runtime is not installed.
            Exception: whatever ONNX Runtime raises for a file that is damaged or not there.
        """
        runtime = runtime_module()
        # Touching the file dates its last use, by which old exports are removed.
        if has_file(path):
            with contextlib.suppress(OSError):  # somebody else's, or on a disk that may only be read
                path.touch()
        self._session = _session(runtime, path)
        self._columns = columns
        self.path = path
        self.image_threads = threads or thread_count()
        version = version_here()
        assert version is not None  # it was imported above
        self.version = version

    def run(self, images: NetworkInput) -> Outputs:
        """B x height x width x channels -> arrays, batch first. Uses all its threads for more than one small batch."""
        parts = [images[start : start + FEW_IMAGES] for start in range(0, len(images), FEW_IMAGES)]
        if len(parts) == 1:
            return self._run_few(parts[0])
        with ThreadPoolExecutor(self.image_threads) as pool:
            found = list(pool.map(self._run_few, parts))
        return tuple(np.concatenate(arrays) for arrays in zip(*found, strict=True))

    def _run_few(self, images: NetworkInput) -> Outputs:
        count = len(images)
        # Rows are independent of the batch, so zeros fill it up to the fixed size and are cut off again.
        if count < FEW_IMAGES:
            filling = np.zeros((FEW_IMAGES - count, *images.shape[1:]), np.float32)
            images = np.concatenate([images, filling])
        outputs = self._session.run(None, {IMAGES_INPUT: images})
        if self._columns is not None:
            outputs = [array[:, : self._columns] for array in outputs]
        return tuple(np.ascontiguousarray(array[:count], np.float32) for array in outputs)


def _session(runtime: Any, path: Path) -> Any:  # noqa: ANN401
    options = runtime.SessionOptions()
    # One thread a session: parallelism is over images, in the caller's threads.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; it warns about networks that torch runs as well
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def runtime_module() -> Any:  # noqa: ANN401
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
    return None if runtime is None else f"{runtime}, exported by torch {torch_version()}"


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
