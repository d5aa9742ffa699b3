"""How much of a network transfers to a user's images, measured after every layer group.

A linear probe (Alain & Bengio 2016) and the nearest neighbours say how well the classes can be told from what a group
gives; CKA (Kornblith et al. 2019) says how far tuning has moved it. Beside them stands the share that teaching material
says transfers, a rule of thumb. Pure functions of features: no network is run here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from headstart.data.sources.reading import ImageRecord
from headstart.data.splits import deal_folds
from headstart.errors import DataError
from headstart.knowledge.transfer import depth_of
from headstart.measures.binomial import sign_test
from headstart.measures.intervals import Together, share_interval
from headstart.measures.neighbours import nearest_out_of_fold, neighbours_for
from headstart.measures.similarity import linear_cka
from headstart.solvers.axes import axes_of
from headstart.solvers.head_solver import head_problem
from headstart.solvers.logistic import choose_in_blocks
from headstart.solvers.rows import MatrixRows

Features: TypeAlias = Mapping[str, npt.NDArray[np.float32]]
"""Layer group -> (N, F), stem to last stage."""
Labels: TypeAlias = npt.NDArray[np.int64]
Right: TypeAlias = npt.NDArray[np.bool_]
"""(N,) whether each image was told rightly."""

FOLDS = 5
CHANCE = 0.05
"""A difference between two layer groups counts if it would come by chance less often than this."""
UNMOVED = 0.9999
"""A CKA from here on is that of features that nobody moved."""


@dataclass(frozen=True, slots=True)
class GroupProbe:
    """What one layer group tells of the classes."""

    group: str
    position: int
    """0 is the stem."""
    count: int
    """Groups before the head."""
    detects: str
    """What such depths detect (`headstart.knowledge.transfer.DEPTHS`)."""
    literature_share: float
    """Of what such depths have learned, the share that transfers: a rule of thumb of teaching material, 0..1."""
    default_action: str
    accuracy: float
    """Of a linear probe, out of fold."""
    accuracy_interval: tuple[float, float]
    """95 %, see `intervals.share_interval`."""
    knn_accuracy: float
    """Of the nearest neighbours, out of fold."""
    knn_interval: tuple[float, float]
    cka: float | None
    """To the same group of the fine-tuned network; None without one."""
    features: int
    """Length of the vector that was probed."""


@dataclass(frozen=True, slots=True)
class DepthCurve:
    """The groups stem to last stage, and where the curve stops."""

    groups: tuple[GroupProbe, ...]
    best: str
    """The group with the highest accuracy, of equal ones the first."""
    stops_at: str
    """The first group that the best one does not beat beyond chance: what follows adds nothing that can be told."""
    falls_from: str | None
    """The best group, where it beats the last one beyond chance: late groups then have let go of what is needed."""
    majority_share: float
    """Accuracy of always naming the largest class."""
    images: int
    folds: int
    neighbours: int
    """That voted."""

    @property
    def sentence(self) -> str:
        """What it means, in words."""
        return " ".join(filter(None, (_of_depth(self), _of_neighbours(self), _of_tuning(self.groups))))

    def rows(self) -> list[dict[str, Any]]:
        """The groups as plain values for JSON."""
        pairs = ("accuracy_interval", "knn_interval")
        return [{**asdict(one), **{name: list(getattr(one, name)) for name in pairs}} for one in self.groups]


def folds_by_group(records: Sequence[ImageRecord], groups: Mapping[str, str], *, seed: int) -> Labels:
    """Fold of each image, whole groups in one fold; fewer than FOLDS where a class has fewer groups.

    Args:
        records: The images.
        groups: Image id -> what must stay together.
        seed: Of the deal.

    Raises:
        DataError: a class lies in one group, so it cannot be both learned and judged; or there is one class.
    """
    held: dict[str, set[str]] = {}
    for record in records:
        held.setdefault(record.label, set()).add(groups[record.id])
    if len(held) < 2:
        raise DataError(f"the readable images have {len(held)} classes", expected="at least 2")
    label, smallest = min(((name, len(names)) for name, names in held.items()), key=lambda one: (one[1], one[0]))
    if smallest < 2:
        raise DataError(
            f"class {label!r} lies in a single group, so it cannot be both learned and judged",
            expected="every class in at least two groups",
            remedy="add images of it, or loosen --group, --limit or the column group",
        )
    return np.array(deal_folds(records, dict(groups), most=FOLDS, seed=seed), np.int64)


def probe_depths(
    features: Features,
    labels_N: Labels,  # noqa: N803 - shapes
    folds_N: Labels,  # noqa: N803
    together_N: Together,  # noqa: N803
    *,
    names: Sequence[str],
    tuned: Features | None = None,
    on_group: Callable[[int], object] = lambda count: None,
) -> DepthCurve:
    """Cross-validate a linear probe and the nearest neighbours on what every layer group gives.

    The probe's penalty is chosen by log loss on the same out-of-fold predictions, from a grid of six.

    Args:
        features: Of every group that can be read.
        labels_N: Class of each image, 0..K-1.
        folds_N: Fold of each image.
        together_N: Number of the patient, scene or book that each image is of; those of one lie in one fold.
        names: All groups before the head, stem to last stage: a group's position among them is its depth.
        tuned: The same groups of a fine-tuned network for the same images.
        on_group: Called with 1 after each group, for progress.
    """
    neighbours, classes = neighbours_for(labels_N), int(labels_N.max()) + 1
    probes, right = [], {}
    for name, rows in features.items():
        right[name] = _probed(MatrixRows(rows), labels_N, folds_N, classes)
        near = nearest_out_of_fold(rows, labels_N, folds_N, neighbours=neighbours) == labels_N
        fact = depth_of(names.index(name), len(names))
        probes.append(
            GroupProbe(
                name,
                names.index(name),
                len(names),
                fact.detects,
                fact.transfer_share,
                fact.default_action,
                float(right[name].mean()),
                share_interval(right[name], together_N),
                float(near.mean()),
                share_interval(near, together_N),
                None if tuned is None else linear_cka(rows, tuned[name]),
                rows.shape[1],
            )
        )
        on_group(1)
    best = max(probes, key=lambda one: (one.accuracy, -one.position)).group
    beaten = {name: beats(right[best], other, together_N) for name, other in right.items()}
    return DepthCurve(
        tuple(probes),
        best,
        next(name for name in beaten if not beaten[name]),
        best if beaten[probes[-1].group] else None,
        float(np.bincount(labels_N).max() / len(labels_N)),
        len(labels_N),
        len(np.unique(folds_N)),
        neighbours,
    )


def _probed(rows: MatrixRows, labels_N: Labels, folds_N: Labels, classes: int) -> Right:  # noqa: N803
    """Whether a linear head that has not seen an image's fold tells it rightly."""
    choice = head_problem(rows, labels_N, classes).choose(folds_N)
    if choice.sample is not None:  # of very many images only some were asked for the strength: now all are
        strengths = (choice.l2_penalty,)
        choice = choose_in_blocks(rows, labels_N, classes, axes_of(rows), folds_N, l2_penalties=strengths)
    told: Right = choice.out_of_fold_NK.argmax(axis=1) == labels_N
    return told


def beats(a_N: Right, b_N: Right, together_N: Together) -> bool:  # noqa: N803 - shapes
    """Whether A is right more often than B in more groups of images than chance explains: one-sided sign test, exact.

    A group counts once, however many images it has; where every image stands alone this is McNemar's test (1947).

    Args:
        a_N: Whether A is right on each image.
        b_N: The same for B.
        together_N: Number of the group of each.
    """
    _, group_of = np.unique(together_N, return_inverse=True)
    more = np.bincount(group_of, weights=a_N.astype(np.float64) - b_N)
    return sign_test(int((more > 0).sum()), int((more < 0).sum())) < CHANCE


def _of_depth(curve: DepthCurve) -> str:
    by_name = {one.group: one for one in curve.groups}
    first, last = curve.groups[0], curve.groups[-1]
    best, stop = by_name[curve.best], by_name[curve.stops_at]
    if best.accuracy_interval[0] <= curve.majority_share:
        return (
            f"No group tells the classes apart better than always naming the largest one ({curve.majority_share:.2f}): "
            "the network sees nothing in these images that a linear head could use."
        )
    if len(curve.groups) == 1:
        return f"The probe reaches {last.accuracy:.2f} after {last.group}, the only group that can be read."
    if curve.falls_from is not None:
        return (
            f"The probe rises from {first.accuracy:.2f} after {first.group} to {best.accuracy:.2f} after {best.group} "
            f"and falls to {last.accuracy:.2f} after {last.group}: the late groups have let go of what these images "
            f"need, so tune or replace what follows {best.group}."
        )
    if stop is last:
        return (
            f"The probe rises from {first.accuracy:.2f} after {first.group} to {last.accuracy:.2f} after {last.group}, "
            "and no earlier group is as good: what the whole network learned is of use to these images."
        )
    rest = [one.group for one in curve.groups if one.position > stop.position]
    named = rest[0] if len(rest) == 1 else f"{rest[0]} to {rest[-1]}"
    start = f"reaches {stop.accuracy:.2f} after {stop.group} already"
    if stop is not first:
        verb = "rises" if stop.accuracy > first.accuracy_interval[1] else "goes"
        start = f"{verb} from {first.accuracy:.2f} after {first.group} to {stop.accuracy:.2f} after {stop.group}"
    return (
        f"The probe {start} and stops there: no later group is better beyond chance, so what {named} learned "
        "elsewhere adds nothing that these images show: if anything is tuned, it is this."
    )


def _of_neighbours(curve: DepthCurve) -> str:
    best = max(curve.groups, key=lambda one: one.accuracy)
    near = max(curve.groups, key=lambda one: one.knn_accuracy)
    if near.knn_interval[0] > best.accuracy_interval[1]:
        return (
            f"The nearest neighbours do better ({near.knn_accuracy:.2f} after {near.group}): the classes lie in "
            "clusters that a line does not part."
        )
    return ""


def _of_tuning(groups: Sequence[GroupProbe]) -> str:
    measured = [(one.cka, one.group) for one in groups if one.cka is not None]
    if not measured:
        return ""
    (least, moved), (most, kept) = min(measured), max(measured)
    if least >= UNMOVED:
        return "The run left its backbone as it was pretrained: CKA is 1 after every group."
    return f"Tuning moved {moved} most (CKA {least:.2f}) and {kept} least ({most:.2f})."
