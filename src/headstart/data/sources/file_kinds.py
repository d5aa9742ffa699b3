"""Whether a file is an image, by its name and, where the name does not say so, by its first bytes."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import PurePosixPath

from headstart.data.sources.dataset import SkipReason

IMAGE_SUFFIXES = frozenset(
    {
        *(".apng", ".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".j2k", ".jfif", ".jp2", ".jpe"),
        *(".dcm", ".dicom", ".jpeg", ".jpg", ".jxl", ".mpo", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif"),
        *(".tiff", ".webp"),
    }
)
"""What is taken for an image by its name; whether it can be decoded shows when it is read."""

UNREAD_SUFFIXES = frozenset(
    {
        *(".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw"),
        *(".rw2", ".sr2", ".srw", ".czi", ".lif", ".lsm", ".mrxs", ".nd2", ".ndpi", ".scn", ".svs"),
        *(".vsi", ".nii", ".exr", ".hdr", ".psb", ".psd", ".svg", ".eps", ".xcf"),
    }
)
"""Images that are not read. Many of them are TIFF inside, with a preview as first page that is not the image."""

LABEL_SUFFIXES = frozenset({".cls", ".json", ".txt"})
"""May hold the label of the image of the same name."""

_PLAIN_SUFFIXES = frozenset(
    {
        *(".txt", ".xml", ".json", ".jsonl", ".csv", ".tsv", ".md", ".html", ".htm", ".yaml", ".yml"),
        *(".toml", ".ini", ".log", ".py"),
    }
)
"""Text; not opened to look, because a set may hold one for each image."""

TOOL_FOLDERS = frozenset(
    {
        *("__MACOSX", ".git", ".svn", ".hg", ".bzr", ".dvc", ".cache", ".ipynb_checkpoints"),
        *(".thumbnails", ".thumbs", ".Trashes", ".Spotlight-V100", ".venv", ".AppleDouble", ".fseventsd"),
        *(".idea", ".vscode"),
    }
)

FIRST_BYTES = 132
"""As many bytes of a file tell what it is; DICOM says so last."""

_STARTS = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    b"II*\x00",
    b"MM\x00*",
    b"II+\x00",
    b"MM\x00+",
    b"\x00\x00\x00\x0cjP  \r\n\x87\n",  # JPEG 2000, and its bare code stream
    b"\xff\x4f\xff\x51",
    b"\x00\x00\x00\x0cJXL \r\n\x87\n",  # JPEG XL, and its bare code stream
    b"\xff\x0a",
)
_BOX_BRANDS = frozenset((b"avif", b"avis", b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"))
_BMP_HEADER_BYTES = frozenset((12, 40, 52, 56, 64, 108, 124))


def is_hidden(name: PurePosixPath) -> bool:
    """Whether a file or a folder above it is hidden, or belongs to a tool."""
    return any(part[0] == "." or part in TOOL_FOLDERS for part in name.parts)


def suffix_of(name: PurePosixPath) -> str:
    """Suffix in lower case; `(no suffix)` where there is none."""
    return name.suffix.lower() or "(no suffix)"


def why_no_image(name: PurePosixPath, first_bytes: Callable[[], bytes]) -> SkipReason | None:
    """Reason why a file is not an image; None if it is one.

    Args:
        name: Of the file.
        first_bytes: Gives up to `FIRST_BYTES` of it; called only where the name does not decide.

    Raises:
        OSError: the file cannot be opened.
    """
    suffix = name.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return None
    if suffix in UNREAD_SUFFIXES:
        return SkipReason.UNREAD_FORMAT
    if suffix in _PLAIN_SUFFIXES:
        return SkipReason.NO_IMAGE
    first = first_bytes()
    return None if begins_as_image(first) else SkipReason.NO_IMAGE


def begins_as_image(first: bytes) -> bool:
    """Whether a file's first bytes are those of JPEG, PNG, GIF, TIFF, BMP, WebP, AVIF, HEIF, JPEG 2000 or XL, or DICOM.

    Netpbm and TGA have no start that text could not have as well; they are known by their suffix only.
    """
    if first[128:132] == b"DICM" or first.startswith(_STARTS) or (first[:4] == b"RIFF" and first[8:12] == b"WEBP"):
        return True
    if first[4:8] == b"ftyp":
        return first[8:12] in _BOX_BRANDS
    is_bmp = first[:2] == b"BM" and len(first) >= 18 and first[6:10] == b"\0\0\0\0"
    return is_bmp and struct.unpack("<I", first[14:18])[0] in _BMP_HEADER_BYTES
