"""Sessions on exported prefixes, and the version of ONNX Runtime, without torch."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from headstart.engine.prefix import onnx_session
from headstart.engine.prefix.onnx_engine import OnnxEngine
from headstart.engine.prefix.onnx_session import OnnxSession
from headstart.errors import MissingExtraError

IMAGES = np.random.default_rng(0).normal(size=(7, 8, 8, 3)).astype(np.float32)


def test_an_export_runs_without_the_network(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()).eval()
    made = OnnxEngine(network, IMAGES, path=tmp_path / "a.onnx", threads=2)
    session = OnnxSession(tmp_path / "a.onnx", threads=2)
    assert session.version == made.version == onnx_session.version_here()
    (found,) = session.run(IMAGES)
    assert np.array_equal(found, made.run(IMAGES)[0])
    # A row does not depend on the others of its batch.
    assert np.array_equal(found[5:6], session.run(IMAGES[5:6])[0])


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"a\.onnx"):
        OnnxSession(tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_the_version_is_known_without_importing_the_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(torch.__version__) in (onnx_session.version_here() or "")
    monkeypatch.setattr(onnx_session, "require", lambda *given, **named: pytest.fail("imported"))
    assert onnx_session.runtime_version() == metadata.version("onnxruntime")


def test_without_the_runtime_there_is_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_session, "_DISTRIBUTIONS", ())

    def missing(*given: object, **named: object) -> None:
        raise MissingExtraError("onnxruntime is not installed")

    monkeypatch.setattr(onnx_session, "require", missing)
    assert onnx_session.version_here() is None


def test_no_torch_is_imported() -> None:
    code = "import sys, headstart.engine.prefix.onnx_session; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
