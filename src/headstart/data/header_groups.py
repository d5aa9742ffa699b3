"""Groups by what image files say of themselves: a field of DICOM files, or photos taken within seconds.

A group is named after its first image: nothing that identifies a patient reaches a plan, a run or a report.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from headstart.data.decoders.dicom import dicom_text, is_dicom
from headstart.data.decoders.origins import ImageOrigin, origin_of
from headstart.data.sources.dataset import ImageRecord
from headstart.errors import DataError
from headstart.plan.group_rule import GroupRule

_THREADS = 8


def with_header_groups(records: Sequence[ImageRecord], text: str | None) -> tuple[ImageRecord, ...]:
    """The records with the groups that a rule finds in the headers of their files; as they are if it is another rule.

    Args:
        records: All images that may belong together.
        text: Rule of groups, such as `dicom:PatientID` or `exif:5s`.

    Raises:
        DataError: no file says anything of the kind.
    """
    rule = None if text is None else GroupRule.of(text)
    if rule is None or rule.kind not in ("dicom", "exif"):
        return tuple(records)
    if rule.kind == "dicom":
        with ThreadPoolExecutor(_THREADS) as pool:
            found = list(pool.map(lambda record: _field(record, rule.value), records))
        groups = named_alike({record.id: value for record, value in zip(records, found, strict=True) if value})
    else:
        with ThreadPoolExecutor(_THREADS) as pool:
            origins = list(pool.map(_origin, records))
        known = {record.id: origin for record, origin in zip(records, origins, strict=True)}
        groups = named_alike(bursts(known, seconds=rule.seconds))
    if not groups:
        what = f"the field {rule.value}" if rule.kind == "dicom" else "the time at which it was taken (EXIF)"
        raise DataError(f"--group {text}: none of {len(records)} images has {what}", remedy="choose another --group")
    return tuple(replace(record, group=groups.get(record.id)) for record in records)


def named_alike(values: Mapping[str, object]) -> dict[str, str]:
    """Image id -> name of its group: the smallest id of the images with the same value."""
    first: dict[object, str] = {}
    for image in sorted(values):
        first.setdefault(values[image], image)
    return {image: first[value] for image, value in values.items()}


def bursts(origins: Mapping[str, ImageOrigin], *, seconds: float) -> dict[str, tuple[bytes, int]]:
    """Image id -> its burst: photos of one camera, each taken at most `seconds` after the one before.

    Args:
        origins: Image id -> origin; images without a time are in no burst.
        seconds: Longest pause inside a burst.
    """
    by_camera: dict[bytes, list[tuple[float, str]]] = defaultdict(list)
    for image, origin in origins.items():
        if origin.moment is not None:
            by_camera[origin.camera].append((origin.moment, image))
    found = {}
    for camera, taken in by_camera.items():
        number, before = 0, None
        for moment, image in sorted(taken):
            number += before is not None and moment - before > seconds
            found[image] = (camera, number)
            before = moment
    return found


def _field(record: ImageRecord, keyword: str) -> str | None:
    try:
        encoded = record.read()
    except OSError:  # a file that is gone is named when it is read in full
        return None
    return dicom_text(encoded, keyword) if is_dicom(encoded) else None


def _origin(record: ImageRecord) -> ImageOrigin:
    try:
        return origin_of(record.read())
    except OSError:
        return ImageOrigin()
