"""Salted hashes of the files that a bundle was trained on: no image and no name.

With a file one can find out whether exactly this file was used; the hashes reveal only this and the number of images. A
copy that was saved anew has other bytes, so it is not recognised.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from headstart.errors import BundleError
from headstart.files import has_file, write_json

FILE = "trained_on.json"
"""Inside a bundle; without it a bundle works as before and cannot say what it has seen."""
SCHEMA_VERSION = 1
_BYTES = 8
"""Bytes of a hash: a million trained and a million tested images match falsely in one of twenty million bundles."""

Use = Literal["train", "validation"]


@dataclass(frozen=True, slots=True)
class TrainedOn:
    """Hashes of the training images of a bundle."""

    salt: bytes
    """Mixed into every hash, so that two bundles of different sets cannot be compared with each other."""
    train: frozenset[bytes]
    validation: frozenset[bytes]
    group: str | None = None
    """Pattern of --group, with which the images were divided."""

    @classmethod
    def of(cls, train: Iterable[str], validation: Iterable[str], *, content: str, group: str | None) -> TrainedOn:
        """Hashes of files.

        Args:
            train: Hash of each training image, as `FileFacts.digests` has it.
            validation: Of each validation image.
            content: Hash of the whole set; the salt follows from it, so that the same training writes the same bundle.
            group: Pattern of --group.
        """
        salt = hashlib.blake2b(content.encode(), digest_size=16, person=b"trained_on").digest()
        learned, chosen = (frozenset(_short(salt, digest) for digest in part) for part in (train, validation))
        return cls(salt, learned, chosen, group)

    def use_of(self, digest: str) -> Use | None:
        """Use of the file with this hash; train if used for both."""
        short = _short(self.salt, digest)
        if short in self.train:
            return "train"
        return "validation" if short in self.validation else None

    def to_raw(self) -> dict[str, Any]:
        """Plain values for JSON; hashes are sorted, so their order tells nothing."""
        return {
            "schema_version": SCHEMA_VERSION,
            "salt": self.salt.hex(),
            "bytes": _BYTES,
            "train": _packed(self.train),
            "validation": _packed(self.validation),
            "group": self.group,
        }


def write_trained_on(bundle: Path, known: TrainedOn) -> None:
    """Write the hashes next to the weights.

    Raises:
        DiskFullError: the bundle is as it was.
    """
    write_json(bundle / FILE, known.to_raw())


def read_trained_on(bundle: Path) -> TrainedOn | None:
    """Hashes of a bundle; None if it has none, because it is older or because the file was removed.

    Raises:
        BundleError: the file is damaged, or of a newer version.
    """
    path = bundle / FILE
    if not has_file(path):
        return None
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw["schema_version"] > SCHEMA_VERSION:
            raise BundleError(
                f"{path} has schema version {raw['schema_version']}",
                expected=f"at most {SCHEMA_VERSION}",
                remedy="pip install --upgrade headstart",
            )
        salt, train, validation = bytes.fromhex(raw["salt"]), _unpacked(raw["train"]), _unpacked(raw["validation"])
        return TrainedOn(salt, train, validation, raw["group"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(
            f"{path} is damaged ({error})",
            remedy="copy the bundle again, or remove this file: the bundle then cannot say what it was trained on",
        ) from error


def _short(salt: bytes, digest: str) -> bytes:
    return hashlib.blake2b(bytes.fromhex(digest), digest_size=_BYTES, key=salt).digest()


def _packed(hashes: frozenset[bytes]) -> str:
    return base64.b64encode(b"".join(sorted(hashes))).decode()


def _unpacked(text: str) -> frozenset[bytes]:
    joined = base64.b64decode(text, validate=True)
    if len(joined) % _BYTES:
        raise ValueError(f"{len(joined)} bytes are no whole number of hashes of {_BYTES}")
    return frozenset(joined[start : start + _BYTES] for start in range(0, len(joined), _BYTES))
