"""Checks across loaders: the same image in two, class orders, preprocessing that differs."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

import torch

from headstart.diagnosis.examined import Examined
from headstart.diagnosis.finding import DoctorFinding
from headstart.diagnosis.loaders import LoaderFacts

_MOST_HASHED = 4_000
"""Files or arrays read in full to compare their bytes."""


def find_class_order(examined: Examined) -> list[DoctorFinding]:
    """`class_order_differs`: a label means another class in another loader, or at the outputs."""
    orders = {f"the {role} loader": order for role, facts in examined.loaders.items() if (order := class_order(facts))}
    if examined.setup.classes is not None:
        orders["classes"] = dict(enumerate(examined.setup.classes))
    found = []
    for (name, one), (other_name, other) in combinations(orders.items(), 2):
        differing = [label for label in sorted(set(one) & set(other)) if one[label] != other[label]]
        known = set(one.values()) & set(other.values())
        if not differing or not known:
            continue
        label = differing[0]
        found.append(
            DoctorFinding(
                "class_order_differs",
                "error",
                "One label means different classes in two places: accuracy and predictions are wrong.",
                f"Label {label} is {one[label]!r} in {name} and {other[label]!r} in {other_name}; "
                f"{len(differing)} labels "
                f"differ, with {len(one)} and {len(other)} classes.",
                "Make one class_to_idx from the training images, save it with the weights, and use it in every split.",
            )
        )
    return found[:1]


def class_order(facts: LoaderFacts) -> dict[int, str]:
    """Label -> class, as the data set names it, else by the folder in which most images of the label lie."""
    labels, paths = facts.dataset.labels, facts.dataset.paths
    if labels is not None and paths is not None:
        folders: dict[int, Counter[str]] = defaultdict(Counter)
        for label, path in zip(labels.tolist(), paths, strict=True):
            folders[label][Path(path).parent.name] += 1
        tops = {label: counter.most_common(1)[0] for label, counter in folders.items()}
        pure = sum(count for _, count in tops.values()) >= 0.9 * len(paths)
        if pure and len({name for name, _ in tops.values()}) == len(tops) > 1:
            return {label: name for label, (name, _) in tops.items()}
    return dict(enumerate(facts.dataset.classes)) if facts.dataset.classes else {}


def find_shared_images(examined: Examined) -> list[DoctorFinding]:
    """`same_image_in_two_loaders`: training images are in the validation or test loader too."""
    found = []
    for (role, one), (other_role, other) in combinations(examined.loaders.items(), 2):
        shared, how = _shared(one, other)
        if not shared:
            continue
        size = other.dataset.size or shared
        found.append(
            DoctorFinding(
                "same_image_in_two_loaders",
                "error",
                f"Images of the {role} loader are in the {other_role} loader as well.",
                f"{shared:,} of {size:,} images of {other_role} are also in {role} ({how}): its accuracy is too high.",
                "Divide by image before any loader is made, or train on the rest; headstart check DATA names copies.",
            )
        )
    return found


def _shared(one: LoaderFacts, other: LoaderFacts) -> tuple[int, str]:
    """Number of common images, and how they were compared."""
    first, second = one.dataset.identity, other.dataset.identity
    if first is not None and second is not None and (common := set(first) & set(second)):
        return len(common), "the same index of the same data set"
    paths, other_paths = one.dataset.paths, other.dataset.paths
    if paths is not None and other_paths is not None:
        names = {os.path.realpath(path) for path in paths}
        common_paths = sum(os.path.realpath(path) in names for path in other_paths)
        if common_paths:
            return common_paths, "the same file"
        return _equal_files(paths, other_paths), "files with the same bytes"
    return _equal_tensors(one, other), "equal pixels"


def _equal_files(paths: tuple[str, ...], others: tuple[str, ...]) -> int:
    sizes = _sizes(paths)
    candidates = {size: names for size, names in _sizes(others).items() if size in sizes}
    if sum(map(len, candidates.values())) + sum(len(sizes[size]) for size in candidates) > _MOST_HASHED:
        return 0
    hashes = {_hash_of(path) for size in candidates for path in sizes[size]}
    return sum(_hash_of(path) in hashes for names in candidates.values() for path in names)


def _sizes(paths: tuple[str, ...]) -> Mapping[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for path in paths:
        try:
            found[Path(path).stat().st_size].append(path)
        except OSError:
            continue
    return found


def _hash_of(path: str) -> bytes:
    return hashlib.blake2b(Path(path).read_bytes(), digest_size=16).digest()


def _equal_tensors(one: LoaderFacts, other: LoaderFacts) -> int:
    """Equal images among those of data sets in memory; 0 where images are made anew each time."""
    tensors = [getattr(facts.items, "tensors", None) for facts in (one, other)]
    if not all(isinstance(pair, tuple) and pair and pair[0].ndim >= 3 for pair in tensors):
        return 0
    first, second = tensors[0][0], tensors[1][0]  # type: ignore[index]
    if len(first) + len(second) > _MOST_HASHED:
        return 0
    known = {row.cpu().numpy().tobytes() for row in first}
    return sum(row.cpu().numpy().tobytes() in known for row in second)


def find_differing_preprocessing(examined: Examined) -> list[DoctorFinding]:
    """`preprocessing_differs`: training and evaluation images have other value ranges."""
    train = examined.train
    if train is None:
        return []
    found = []
    for role, facts in examined.loaders.items():
        if role == "train":
            continue
        text = _difference(examined, role) or _difference_of_batches(train, facts)
        if text:
            found.append(
                DoctorFinding(
                    "preprocessing_differs",
                    "error",
                    f"Images of the {role} loader are preprocessed differently from training images.",
                    text,
                    "Use the same scaling, normalisation and channel order everywhere; only augmentation is for "
                    "training.",
                )
            )
    return found


def _difference(examined: Examined, role: str) -> str:
    """From black and white images through both transforms."""
    from headstart.diagnosis.transform_probe import map_of_values

    views = [examined.transforms.get("train"), examined.transforms.get(role)]  # type: ignore[call-overload]
    if views[0] is None or views[1] is None:
        return ""
    maps = [map_of_values(one.stacked().float()) for one in views]
    if maps[0] is None or maps[1] is None or len(maps[0].black) != len(maps[1].black):
        return ""
    span = max(map(abs, maps[0].span))
    apart = max(
        abs(one - other)
        for one, other in zip(maps[0].black + maps[0].white, maps[1].black + maps[1].white, strict=True)
    )
    if apart < 0.15 * span and {maps[0].order, maps[1].order} != {"rgb", "bgr"}:
        return ""
    return (
        f"Black and white become {maps[0].black[0]:.2f} and {maps[0].white[0]:.2f} in training, {maps[1].black[0]:.2f} "
        f"and {maps[1].white[0]:.2f} in {role} (first channel)."
    )


def _difference_of_batches(train: LoaderFacts, other: LoaderFacts) -> str:
    """From the values of the batches that were read."""
    one, two = (
        torch.cat([batch.images.float().flatten() for batch in facts.batches]) if facts.batches else torch.empty(0)
        for facts in (train, other)
    )
    if one.numel() < 1000 or two.numel() < 1000:
        return ""
    spreads = float(one.std()), float(two.std())
    ratio = max(spreads) / max(min(spreads), 1e-9)
    shift = abs(float(one.mean() - two.mean())) / max(max(spreads), 1e-9)
    signs = float(one.min()) < -0.2, float(two.min()) < -0.2
    if ratio < 2.5 and not (signs[0] != signs[1] and ratio > 1.5) and shift < 1.5:
        return ""
    return (
        f"Training values run from {float(one.min()):.2f} to {float(one.max()):.2f} (standard deviation "
        f"{spreads[0]:.2f}), "
        f"{other.role} values from {float(two.min()):.2f} to {float(two.max()):.2f} ({spreads[1]:.2f})."
    )
