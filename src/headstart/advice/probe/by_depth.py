"""How much of a network transfers to a user's images, measured after every layer group.

A linear probe (Alain & Bengio 2016) and nearest neighbours measure how well a group separates the classes;
CKA (Kornblith et al. 2019) measures how far fine-tuning has changed them. Next to them stands the share that transfers
according to teaching material, a rule of thumb. Pure functions of features: no network is run here.
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

GroupFeatures: TypeAlias = Mapping[str, npt.NDArray[np.float32]]
"""Layer group -> (N, F), stem to last stage."""
LabelVector: TypeAlias = npt.NDArray[np.int64]
CorrectVector: TypeAlias = npt.NDArray[np.bool_]
"""(N,) whether each image was classified correctly."""

PROBE_FOLDS = 5
CHANCE = 0.05
"""Significance level of a difference between two layer groups."""
UNCHANGED_CKA = 0.9999
"""CKA from which features count as unchanged."""


@dataclass(frozen=True, slots=True)
class GroupProbe:
    """Metrics of one layer group."""

    group: str
    position: int
    """0 is the stem."""
    count: int
    """Groups before the head."""
    detects: str
    """Features that such depths detect (`headstart.knowledge.transfer.DEPTHS`)."""
    literature_share: float
    """Share of the features of such depths that transfers, 0..1: a rule of thumb of teaching material."""
    default_action: str
    accuracy: float
    """Accuracy of a linear probe, out of fold."""
    accuracy_interval: tuple[float, float]
    """95 % interval, see `intervals.share_interval`."""
    knn_accuracy: float
    """Accuracy of the nearest neighbours, out of fold."""
    knn_interval: tuple[float, float]
    cka: float | None
    """CKA with the same group of the fine-tuned network; None without one."""
    features: int
    """Length of the feature vector."""


@dataclass(frozen=True, slots=True)
class DepthCurve:
    """Metrics of all groups, stem to last stage, and where the curve stops rising."""

    groups: tuple[GroupProbe, ...]
    best: str
    """The group with the highest accuracy, of equal ones the first."""
    stops_at: str
    """First group that the best one does not beat significantly: later groups add nothing significant."""
    falls_from: str | None
    """Best group if it beats the last one significantly: late groups then have lost useful information."""
    majority_share: float
    """Accuracy of always predicting the largest class."""
    images: int
    folds: int
    neighbours: int
    """Number of nearest neighbours that vote."""

    @property
    def sentence(self) -> str:
        """Interpretation in sentences."""
        return " ".join(filter(None, (_of_depth(self), _of_neighbours(self), _of_tuning(self.groups))))

    def rows(self) -> list[dict[str, Any]]:
        """Groups as plain values for JSON."""
        pairs = ("accuracy_interval", "knn_interval")
        return [{**asdict(one), **{name: list(getattr(one, name)) for name in pairs}} for one in self.groups]


def folds_by_group(records: Sequence[ImageRecord], groups: Mapping[str, str], *, seed: int) -> LabelVector:
    """Fold of each image, whole groups in one fold; fewer than FOLDS where a class has fewer groups.

    Args:
        records: The images.
        groups: Image id -> what must stay together.
        seed: Of the deal.

    Raises:
        DataError: a class lies in one group, so it cannot be both trained and validated on; or there is one class.
    """
    held: dict[str, set[str]] = {}
    for record in records:
        held.setdefault(record.label, set()).add(groups[record.id])
    if len(held) < 2:
        raise DataError(f"the readable images have {len(held)} classes", expected="at least 2")
    label, smallest = min(((name, len(names)) for name, names in held.items()), key=lambda one: (one[1], one[0]))
    if smallest < 2:
        raise DataError(
            f"class {label!r} lies in a single group, so it cannot be both trained and validated on",
            expected="every class in at least two groups",
            remedy="add images of it, or loosen --group, --limit or the column group",
        )
    return np.array(deal_folds(records, dict(groups), most=PROBE_FOLDS, seed=seed), np.int64)


def probe_depths(
    features: GroupFeatures,
    labels_N: LabelVector,  # noqa: N803 - shapes
    folds_N: LabelVector,  # noqa: N803
    together_N: Together,  # noqa: N803
    *,
    names: Sequence[str],
    tuned: GroupFeatures | None = None,
    on_group: Callable[[int], object] = lambda count: None,
) -> DepthCurve:
    """Cross-validated accuracy of a linear probe and of nearest neighbours after every layer group.

    The probe's penalty is chosen by log loss on the same out-of-fold predictions, from a grid of six.

    Args:
        features: Of every readable group.
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


def _probed(rows: MatrixRows, labels_N: LabelVector, folds_N: LabelVector, classes: int) -> CorrectVector:  # noqa: N803
    """(N,) whether a linear head fitted without an image's fold classifies it correctly."""
    choice = head_problem(rows, labels_N, classes).choose(folds_N)
    if choice.sample is not None:  # with very many images the L2 penalty was chosen on a sample: now all are classified
        strengths = (choice.l2_penalty,)
        choice = choose_in_blocks(rows, labels_N, classes, axes_of(rows), folds_N, l2_penalties=strengths)
    correct: CorrectVector = choice.out_of_fold_NK.argmax(axis=1) == labels_N
    return correct


def beats(a_N: CorrectVector, b_N: CorrectVector, together_N: Together) -> bool:  # noqa: N803 - shapes
    """Whether A is significantly better than B over groups of images: exact one-sided sign test.

    A group counts once, however many images it has; without groups this is McNemar's test (1947).

    Args:
        a_N: Whether A is correct on each image.
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
            f"No group is better than always predicting the largest class ({curve.majority_share:.2f}): it has no "
            "features of these images that a linear head could use."
        )
    if len(curve.groups) == 1:
        return f"The probe reaches {last.accuracy:.2f} after {last.group}, the only group that can be read."
    if curve.falls_from is not None:
        return (
            f"The probe rises from {first.accuracy:.2f} after {first.group} to {best.accuracy:.2f} after {best.group} "
            f"and falls to {last.accuracy:.2f} after {last.group}: the late groups have lost information that these "
            f"images need, so fine-tune or replace the groups after {best.group}."
        )
    if stop is last:
        return (
            f"The probe rises from {first.accuracy:.2f} after {first.group} to {last.accuracy:.2f} after {last.group}, "
            "and no earlier group is as good: the whole network is useful for these images."
        )
    rest = [one.group for one in curve.groups if one.position > stop.position]
    named = rest[0] if len(rest) == 1 else f"{rest[0]} to {rest[-1]}"
    start = f"reaches {stop.accuracy:.2f} after {stop.group} already"
    if stop is not first:
        verb = "rises" if stop.accuracy > first.accuracy_interval[1] else "goes"
        start = f"{verb} from {first.accuracy:.2f} after {first.group} to {stop.accuracy:.2f} after {stop.group}"
    return (
        f"The probe {start} and stops there: no later group is significantly better, so {named} add no significant "
        "information on these images: if any groups are fine-tuned, these."
    )


def _of_neighbours(curve: DepthCurve) -> str:
    best = max(curve.groups, key=lambda one: one.accuracy)
    near = max(curve.groups, key=lambda one: one.knn_accuracy)
    if near.knn_interval[0] > best.accuracy_interval[1]:
        return (
            f"The nearest neighbours do better ({near.knn_accuracy:.2f} after {near.group}): the classes form "
            "clusters that are not linearly separable."
        )
    return ""


def _of_tuning(groups: Sequence[GroupProbe]) -> str:
    measured = [(one.cka, one.group) for one in groups if one.cka is not None]
    if not measured:
        return ""
    (least, moved), (most, kept) = min(measured), max(measured)
    if least >= UNCHANGED_CKA:
        return "The run did not change its backbone: CKA is 1 after every group."
    return f"Fine-tuning changed {moved} most (CKA {least:.2f}) and {kept} least ({most:.2f})."
