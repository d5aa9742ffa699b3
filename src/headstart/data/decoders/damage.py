"""Files that are damaged but decode, and files that are complete although a strict decoder stops at them.

A JPEG is complete, with noise, where all its scans are whole, and only its end marker is missing, or padding (one byte
value again and again) stands before it. Bytes of any other kind there are refused: a flipped bit in the picture leaves
the same trace, because the decoder then ends too early, and half of the picture is wrong.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import simplejpeg

_END = b"\xff\xd9"
_NEXT_MARKER = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]", re.DOTALL)
"""What ends entropy-coded data: any marker but a stuffed byte and the restarts."""
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_SCAN, _END_CODE = 0xDA, 0xD9
_COEFFICIENTS = 64
_PIECE_BYTES = 2**20
_SHORTEST_PADDING = 4
"""Bytes of one value that are padding and no longer the picture's own last bytes."""


@dataclass(frozen=True, slots=True)
class CleanJpeg:
    """A JPEG that decodes without a complaint, made of one that did not."""

    encoded: bytes
    noise: str
    """What was wrong."""


@dataclass
class _Scans:
    """Which coefficients of which colour channels the scans of a JPEG give in full."""

    end: int = 0
    """Where the last scan ends, in bytes."""
    has_end_marker: bool = False
    progressive: bool = False
    missing: dict[int, set[int]] = field(default_factory=dict)
    """Channel -> coefficients that no scan has given yet."""

    def frame(self, marker: int, segment: bytes) -> None:
        """Read a frame's header."""
        self.progressive = marker in _PROGRESSIVE
        self.missing = {segment[6 + 3 * index]: set(range(_COEFFICIENTS)) for index in range(segment[5])}

    def scan(self, segment: bytes) -> None:
        """Read a scan's header: channels, first and last coefficient, and how many low bits are still to come."""
        count = segment[0]
        first, last, bits = segment[1 + 2 * count : 4 + 2 * count]
        given = range(first, last + 1) if self.progressive else range(_COEFFICIENTS)
        for index in range(count):
            if not self.progressive or bits & 15 == 0:
                self.missing[segment[1 + 2 * index]].difference_update(given)

    @property
    def is_complete(self) -> bool:
        """Whether every channel has all its coefficients."""
        return bool(self.missing) and not any(self.missing.values())


def jpeg_without_noise(encoded: bytes, *, colours: Literal["GRAY", "CMYK"] = "GRAY") -> CleanJpeg | None:
    """A JPEG that a strict decoder refused, if its picture is complete all the same; None if it is not.

    Args:
        encoded: The file's bytes.
        colours: What the decoder makes of it while it checks: CMYK where the file holds that.
    """
    scans = _scans(encoded)
    if scans is None or not scans.is_complete:
        return None
    for clean in _candidates(encoded[: scans.end], has_end_marker=scans.has_end_marker):
        try:
            simplejpeg.decode_jpeg(clean.encoded, colorspace=colours, strict=True)
        except ValueError:
            continue
        return clean
    return None


def _candidates(body: bytes, *, has_end_marker: bool) -> Iterator[CleanJpeg]:
    """The picture with an end marker, as it is and without padding.

    The padding goes as a whole: zeros are valid codes, so a file whose second half was never written (and is zeros)
    would decode to a flat half picture if some of them were left.
    """
    padding = len(body) - len(body.rstrip(body[-1:]))
    if not has_end_marker and padding < _SHORTEST_PADDING:
        yield CleanJpeg(body + _END, "its end marker is missing")
    if padding >= _SHORTEST_PADDING:
        what = f"{padding:,} bytes of padding " + ("before its end marker" if has_end_marker else "and no end marker")
        yield CleanJpeg(body[:-padding] + _END, what)


def _scans(encoded: bytes) -> _Scans | None:
    """The scans of a JPEG; None where a header is cut or is none."""
    found, at = _Scans(), 2
    try:
        while at < len(encoded):
            match = _NEXT_MARKER.search(encoded, at)
            if match is None:
                break
            code, at = encoded[match.end() - 1], match.end()
            if code == _END_CODE:
                found.has_end_marker = True
                break
            length = int.from_bytes(encoded[at : at + 2], "big")
            segment = encoded[at + 2 : at + length]
            if length < 2 or len(segment) != length - 2:
                return None
            at += length
            if code in _FRAMES:
                found.frame(code, segment)
            elif code == _SCAN:
                found.scan(segment)
                following = _NEXT_MARKER.search(encoded, at)
                found.end = at = len(encoded) if following is None else following.start()
    except (IndexError, KeyError, ValueError):
        return None
    return found if found.end else None


def refuse_damaged_png(encoded: bytes) -> None:
    """Raise where the compressed pixels of a PNG are not those that were written; Pillow compares no checksum.

    A wrong checksum of a chunk alone does no harm where the checksum inside the compressed pixels is right.

    Raises:
        ValueError: they are damaged.
    """
    at, parts, is_right = 8, [], True
    while at + 8 <= len(encoded):
        length, kind = int.from_bytes(encoded[at : at + 4], "big"), encoded[at + 4 : at + 8]
        if kind == b"IEND" or at + 12 + length > len(encoded):  # cut: Pillow says so
            break
        if kind == b"IDAT":
            parts.append((at + 8, at + 8 + length))
            stated = int.from_bytes(encoded[at + 8 + length : at + 12 + length], "big")
            is_right &= zlib.crc32(encoded[at + 4 : at + 8 + length]) == stated
        at += 12 + length
    if is_right:
        return
    stream, rest = zlib.decompressobj(), b"".join(encoded[start:end] for start, end in parts)
    try:
        # In pieces that are thrown away: a small file may unpack to more than the memory holds.
        while rest and not stream.eof:
            stream.decompress(rest, _PIECE_BYTES)
            rest = stream.unconsumed_tail
    except zlib.error as error:
        raise ValueError(f"the checksum of its pixels is wrong; {error}") from error
    if not stream.eof:
        raise ValueError("the checksum of its pixels is wrong, and they end too early")
