"""Folders and tars of small images whose pixels follow from their names."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def png(name: str) -> bytes:
    """A small image that differs by name."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), tuple(np.random.default_rng(list(os.fsencode(name))).integers(0, 256, 3))).save(
        buffer, "PNG"
    )
    return buffer.getvalue()


def folder_of(root: Path, names: Sequence[str]) -> Path:
    """PNG files of these names, whatever their suffix; a name that ends in / is an empty folder."""
    root.mkdir(exist_ok=True, parents=True)
    for name in names:
        if name.endswith("/"):
            (root / name).mkdir(parents=True)
            continue
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(png(name))
    return root


def tar_of(path: Path, names: Sequence[str], *, prefix: str = "", mode: str = "w") -> Path:
    """A tar of the same files."""
    with tarfile.open(path, mode) as archive:
        for name in names:
            info = tarfile.TarInfo(prefix + name)
            info.size = len(png(name))
            archive.addfile(info, io.BytesIO(png(name)))
    return path


def tar_of_files(path: Path, files: Mapping[str, bytes]) -> Path:
    """A tar of files with these contents."""
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path
