"""Which of many features a linear head needs: those whose weights are large when all are there.

Head2Toe (Evci et al. 2022): a head is fitted on the features of every depth, each feature is scored by the norm of
its weights over the classes, and the head is fitted again on the best share of them. Here features are standardised
by the solver, which takes the place of the paper's unit norm for each layer, the first fit is penalised by L2, and
share and penalty are chosen on out-of-fold predictions; scores are taken inside each fold, so that no image helps to
choose the features that predict it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from headstart.arrays import Floats, Labels, Positions, Singles
from headstart.solvers.head_solver import Folds, HeadProblem, Solver, head_problem, stratified_sample
from headstart.solvers.linear_head import LinearHead
from headstart.solvers.rows import CheckStop, RowSource, StoppableRows, never_stop

FeatureMask = npt.NDArray[np.bool_]
"""(F,) which features may have a weight."""

SHARES = (0.1, 0.25, 0.5, 1.0)
"""Grid of the share of features that is kept."""

CHOOSING_IMAGES = 4000
"""With more images the share is chosen on a sample of so many: its steps are coarse, and each needs a fit a fold."""


class ColumnRows:
    """Some features of rows."""

    def __init__(self, rows: RowSource, kept_F: FeatureMask) -> None:  # noqa: N803 - shapes
        """Look at rows of F features through a mask; nothing is read yet."""
        self._rows, self._kept = rows, kept_F
        self.width = int(np.count_nonzero(kept_F))
        """How many features are seen."""

    @property
    def rows(self) -> int:
        """N."""
        return self._rows.rows

    def blocks(self) -> Iterator[tuple[int, Singles]]:
        """The blocks of the rows, narrower."""
        for start, block in self._rows.blocks():
            # Contiguous: the product with the weights would copy the masked block at every pass otherwise.
            yield start, np.ascontiguousarray(block[:, self._kept])

    def subset(self, positions: Positions) -> ColumnRows:
        """The same features of some of the rows."""
        return ColumnRows(self._rows.subset(positions), self._kept)


@dataclass(frozen=True, slots=True)
class FeatureChoice:
    """The share of features and the L2 penalty that cross-validation chose."""

    share: float
    """Of the features, 0..1."""
    l2_penalty: float
    """L2 penalty of all fits."""
    temperature: float
    """Divides the logits of the fitted head."""
    out_of_fold_NK: Floats  # noqa: N815
    """Probabilities of each image from the fit that saw neither it nor, in scoring features, its label."""
    losses: dict[float, float]
    """Share -> mean out-of-fold log loss in nats."""
    sample: Positions | None = None
    """Positions of the images that validated, where there were too many to use all; `out_of_fold_NK` is theirs."""


def relevance(head: LinearHead, deviation_F: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:  # noqa: N803
    """(F,) norm over the classes of the weights that a head puts on features of deviation 1: s_i = ||W_:,i||_2.

    Args:
        head: Solved on the features.
        deviation_F: Of the features.
    """
    # The solver standardises features; in those units a weight is w * deviation, which makes features comparable.
    return np.asarray(np.linalg.norm(head.weight_KF, axis=0) * deviation_F, np.float64)


def most_relevant(relevance_F: npt.NDArray[np.float64], share: float) -> FeatureMask:  # noqa: N803
    """Which features belong to the best share, rounded up; among equals the earlier ones.

    Args:
        relevance_F: Scores, higher is better.
        share: Of the features that is kept, above 0, at most 1.
    """
    # Rounded before the ceiling: 0.07 * 100 is 7.000000000000001, which must not become 8.
    count = max(1, math.ceil(round(share * len(relevance_F), 6)))
    kept = np.zeros(len(relevance_F), bool)
    # Stable, so that the choice among equal scores does not depend on the sorting algorithm.
    kept[np.argsort(-relevance_F, kind="stable")[:count]] = True
    return kept


def choose_features(
    rows: RowSource,
    labels_N: Labels,  # noqa: N803
    num_classes: int,
    folds: Folds,
    *,
    solver: Solver = "logistic",
    l2_penalties: Sequence[float] | None = None,
    shares: Sequence[float] = SHARES,
    seed: int = 0,
    check_stop: CheckStop = never_stop,
    on_step: Callable[[str], object] = lambda what: None,
) -> FeatureChoice:
    """Cross-validate the penalty with all features, and with it how many of them are kept.

    The lowest out-of-fold log loss decides, and among equals more features.

    Args:
        rows: N rows of F features.
        labels_N: Class of each, 0..K-1.
        num_classes: K.
        folds: Fold of each row, from `splits.deal`, so that groups stay together.
        solver: Of all solves.
        l2_penalties: Candidates of the penalty; None takes the solver's own grid.
        shares: Candidates, above 0; all features are always among them.
        seed: Of the sample where there are more than CHOOSING_IMAGES.
        check_stop: Called again and again in every fit; what it raises ends the work.
        on_step: Called with what is computed next, in words, once the rows have been read.
    """
    rows = StoppableRows(rows, check_stop)
    set_up = partial(head_problem, num_classes=num_classes, solver=solver, check_stop=check_stop)
    sample, fold_of = None, np.asarray(folds)
    if len(labels_N) > CHOOSING_IMAGES:
        sample = stratified_sample(labels_N, CHOOSING_IMAGES, seed=seed)
        rows, labels_N, fold_of = rows.subset(sample), labels_N[sample], fold_of[sample]  # noqa: N806
    # The penalty comes from all features and is kept for every share: one grid less in an already nested search.
    whole = set_up(rows, labels_N, seed=seed).choose(fold_of, l2_penalties)
    # `choose` may have sampled again; all shares must be compared on the same images.
    if whole.sample is not None:  # so many features that even these images were too many
        sample = whole.sample if sample is None else sample[whole.sample]
        rows, labels_N, fold_of = rows.subset(whole.sample), labels_N[whole.sample], fold_of[whole.sample]  # noqa: N806
    predictions = {1.0: np.asarray(whole.out_of_fold_NK, np.float64)}
    smaller = sorted({share for share in shares if share < 1.0}, reverse=True)
    predictions |= {share: np.zeros((rows.rows, num_classes)) for share in smaller}
    for number, fold in enumerate(np.unique(fold_of) if smaller else (), start=1):
        on_step(f"choosing features of all depths: fold {number} of {len(np.unique(fold_of))}")
        inside, outside = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
        seen, unseen = rows.subset(inside), rows.subset(outside)
        problem = set_up(seen, labels_N[inside])
        # Scores from the training part of each fold only: scoring with the held-out labels would leak them into the
        # choice.
        scores = _scores(problem, seen, whole.l2_penalty)
        for share in smaller:
            kept = most_relevant(scores, share)
            narrow = set_up(ColumnRows(seen, kept), labels_N[inside])
            head = narrow.solve(whole.l2_penalty, temperature=whole.temperature)
            predictions[share][outside] = head.probabilities_of(ColumnRows(unseen, kept))
    losses = {share: _log_loss(predicted, labels_N) for share, predicted in predictions.items()}
    # Of equal losses the larger share, because min takes the smaller of -share.
    share = min(losses, key=lambda share: (losses[share], -share))
    return FeatureChoice(share, whole.l2_penalty, whole.temperature, predictions[share], losses, sample)


def solve_chosen(
    rows: RowSource,
    labels_N: Labels,  # noqa: N803
    num_classes: int,
    choice: FeatureChoice,
    *,
    solver: Solver = "logistic",
    check_stop: CheckStop = never_stop,
) -> LinearHead:
    """The head on the features that score best on all these images; every other feature has weight zero.

    What `check_stop` raises in the middle of a fit ends it.
    """
    rows = StoppableRows(rows, check_stop)
    set_up = partial(head_problem, num_classes=num_classes, solver=solver, check_stop=check_stop)
    problem = set_up(rows, labels_N)
    if choice.share == 1.0:
        return problem.solve(choice.l2_penalty, temperature=choice.temperature)
    # Scored again on all images: features chosen in the folds differ, and the final head may use every label.
    kept = most_relevant(_scores(problem, rows, choice.l2_penalty), choice.share)
    narrow = set_up(ColumnRows(rows, kept), labels_N)
    return widened(narrow.solve(choice.l2_penalty, temperature=choice.temperature), kept)


def widened(head: LinearHead, kept_F: FeatureMask) -> LinearHead:  # noqa: N803
    """A head on some features as one on all: the others have weight zero.

    Args:
        head: On the features that are kept, in their order.
        kept_F: Which of all features these are.
    """
    weight = np.zeros((len(head.bias_K), len(kept_F)))
    weight[:, kept_F] = head.weight_KF
    return LinearHead(weight, head.bias_K, head.l2_penalty)


def _scores(problem: HeadProblem, rows: RowSource, l2_penalty: float) -> npt.NDArray[np.float64]:
    return relevance(problem.solve(l2_penalty), deviations_of(rows))


def deviations_of(rows: RowSource) -> npt.NDArray[np.float64]:
    """(F,) standard deviations, in one pass."""
    shift, sums, squares = np.zeros(rows.width), np.zeros(rows.width), np.zeros(rows.width)
    for start, block in rows.blocks():
        if start == 0:
            shift = block.mean(axis=0, dtype=np.float64)  # near the mean nothing is lost to rounding
        centred = block - shift
        sums += centred.sum(axis=0)
        squares += (centred**2).sum(axis=0)
    return np.asarray(np.sqrt(np.maximum(squares / rows.rows - (sums / rows.rows) ** 2, 0)))


def _log_loss(predicted_NK: Floats, labels_N: Labels) -> float:  # noqa: N803
    chances = predicted_NK[np.arange(len(labels_N)), labels_N]
    return float(-np.log(np.clip(chances, 1e-12, 1)).mean(dtype=np.float64))
