"""What phases will cost on a machine, and whether what rests is stored or computed in every epoch: pure functions.

With N images, E epochs, V stored views, F the arithmetic of a forward pass and s the share of it behind the border, a
phase that stores costs about `V N ((1-s) F + view) + E N (read + 3 s F)`, one that does not `E N (view + (1+2s) F)`.
What a machine needs for each of these is in `Rates`; a stretch of this very network that was measured before is taken
as it was, whatever its arithmetic says. Nothing here measures, and nothing imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

from headstart.amounts import bytes_text
from headstart.engine.costs.network import Border, NetworkFacts
from headstart.engine.costs.terms import (
    PIXELS,
    REPORTED,
    Choice,
    Forecast,
    ImageCounts,
    Origin,
    PhaseCost,
    Rates,
    StorePrecision,
    Terms,
    frozen_stretch,
    judging_stretch,
    points_for,
    steps_stretch,
)
from headstart.engine.prefix.engine_choice import FEWEST_FOR_AN_ENGINE
from headstart.engine.store.index import POOLED
from headstart.plan.sections import AugmentationPlan, FrozenPrefixPlan, ProbePhase, TrainPhase

Phases: TypeAlias = Sequence[ProbePhase | TrainPhase]

MOST_VIEWS = 4
"""Views of an image that are stored where nobody says how many."""
REUSE = 1.25
"""Storing is preferred unless it takes this many times as long as not storing: what is stored serves other phases and
runs too, and measured rates differ by a fifth from one minute to the next."""
ALIKE = 1.05
"""Times that differ by less are said to be the same."""

_ROW_BYTES = 16
"""What a stored row takes beside its numbers."""
_ENGINES = ("torch", "onnxruntime")
_SMALL_SHARE = 0.1
"""Of a forecast: if no more than this was never measured, it counts as measured."""

_LIBRARIES_BYTES = 500_000_000
_COPIES = 4
"""Of the weights: the network, the probe, the best epoch, and what is being saved."""
_PER_TRAINED = 3
"""Further numbers for each weight that learns: its gradient and the optimizer's two averages."""
_FLOAT_BYTES = 4


def forecast(
    phases: Phases,
    counts: ImageCounts,
    facts: NetworkFacts,
    rates: Rates,
    terms: Terms,
    *,
    chosen_by: Rates | None = None,
) -> Forecast:
    """Seconds and bytes of every phase as if it ran to its end: early stopping and skipped phases only take less.

    Args:
        phases: Settled, those that are still to come.
        counts: Of images.
        facts: Of the network at the size it will see.
        rates: Of this machine.
        terms: Augmentation, batch size, store.
        chosen_by: Rates that decide between stored and computed, with nothing stored yet; None: `rates` and what is.
    """
    costs, room = [], terms.room_bytes
    for number, phase in enumerate(phases):
        done = terms.epochs_done if number == 0 else 0
        left = replace(terms, room_bytes=room, epochs_done=done)
        if isinstance(phase, ProbePhase):
            cost = _solving(phase, counts, facts, rates, left)
        else:
            fresh = left if chosen_by is None else replace(left, kept={}, epochs_done=0)
            choice = _settled(phase, counts, facts, terms) or choose(phase, counts, facts, chosen_by or rates, fresh)
            cost = phase_cost(phase, choice, counts, facts, rates, left)
        costs.append(cost)
        room -= cost.stored_bytes
    costs.append(_end(phases, counts, facts, rates, terms))
    return Forecast(tuple(costs), memory_bytes(phases, facts, terms), _origin(costs, rates))


def _settled(phase: TrainPhase, counts: ImageCounts, facts: NetworkFacts, terms: Terms) -> Choice | None:
    """What the plan says already: a phase that goes on takes the way it took."""
    said = phase.frozen_prefix
    if not isinstance(said, FrozenPrefixPlan):
        return None
    if said.cut_point is None or terms.store == "off" or said.cut_point not in facts.groups[1:]:
        return Choice("computed", None, 0, 0, "as the plan says")
    size = stored_bytes(facts.border(said.cut_point), counts.fit * said.views + counts.select, terms.store)
    return Choice("stored", said.cut_point, said.views, size, "as the plan says")


def _origin(costs: Sequence[PhaseCost], rates: Rates) -> Origin:
    """That of the rates, unless too much of what is to come never ran here."""
    unmeasured, all_seconds = sum(cost.unmeasured_seconds for cost in costs), sum(cost.seconds for cost in costs)
    return "related" if rates.origin == "measured" and unmeasured > _SMALL_SHARE * all_seconds else rates.origin


def choose(
    phase: TrainPhase,
    counts: ImageCounts,
    facts: NetworkFacts,
    rates: Rates,
    terms: Terms,
) -> Choice:
    """Stored or computed, cut where, and in how many views.

    The latest border that rests, an earlier one, and no store at all are compared by the seconds of the whole phase.
    Where nobody set the number of views and they do not fit at the latest border, fewer are tried.
    """
    borders = [border for border in resting_borders(phase, facts) if border.name not in terms.uncut]
    if terms.store == "off" or not borders:
        return Choice(
            "computed", None, 0, 0, "the plan keeps nothing" if borders else "nothing rests before what learns"
        )
    recomputed = phase_cost(phase, Choice("computed", None, 0, 0, ""), counts, facts, rates, terms).seconds
    smallest = 0
    for views in _views_to_try(terms.augmentation, phase.epochs):
        rows = counts.fit * views + counts.select
        sizes = {border.name: stored_bytes(border, rows, terms.store) for border in borders}
        smallest = min(sizes.values())
        fitting = [Choice("stored", name, views, size, "") for name, size in sizes.items() if size <= terms.room_bytes]
        priced = [(phase_cost(phase, one, counts, facts, rates, terms).seconds, one) for one in fitting]
        if priced:
            seconds, best = min(priced, key=lambda pair: pair[0])
            if seconds <= REUSE * recomputed:
                wanted = views_wanted(terms.augmentation, phase.epochs)
                return _explained(best, borders[-1].name, wanted, seconds, recomputed)
        if sizes[borders[-1].name] <= terms.room_bytes:
            why = f"storing would take about {seconds / recomputed:.2g} times as long"
            return Choice("computed", None, 0, 0, why)
    why = f"{bytes_text(smallest)} at least would have to be stored, and there is room for "
    return Choice("computed", None, 0, 0, why + bytes_text(max(0, int(terms.room_bytes))))


def _explained(best: Choice, latest: str, wanted: int, seconds: float, recomputed: float) -> Choice:
    why = f"{_pace(seconds, recomputed)} running everything in every epoch"
    if best.border != latest:
        why += f"; before {best.border} and not {latest}, where it would take longer or more room"
    if best.views < wanted:
        why += f"; {best.views} of {wanted} views, because there is no room for more"
    return Choice(best.way, best.border, best.views, best.bytes, why)


def _pace(seconds: float, other: float) -> str:
    """`about 2.5 times as fast as`: a ratio holds on more machines than seconds do."""
    if seconds <= other / ALIKE:
        return f"about {other / seconds:.2g} times as fast as"
    if seconds <= other * ALIKE:
        return "about as fast as"
    return f"kept for later phases and runs, though it takes about {seconds / other:.2g} times as long as"


def resting_borders(phase: TrainPhase, facts: NetworkFacts) -> tuple[Border, ...]:
    """Borders with nothing before them that learns or whose statistics move, in order; empty where there is none."""
    if phase.batch_norm != "pretrained_statistics":
        return ()
    first = first_trained(phase, facts)
    names = [border.name for border in facts.borders]
    return facts.borders[: names.index(first) + 1] if first in names else ()


def first_trained(phase: TrainPhase, facts: NetworkFacts) -> str:
    """The first layer group that learns, by name; needs a settled phase or a count of unfrozen groups."""
    if phase.lr_by_group:
        return next(name for name in facts.groups if name in phase.lr_by_group)
    unfrozen = len(facts.groups) - 1 if phase.unfreeze == "all" else phase.unfreeze
    return facts.groups[max(0, len(facts.groups) - 1 - unfrozen)]


def views_wanted(augmentation: AugmentationPlan, epochs: int) -> int:
    """How many views of an image are stored where there is room: never more than epochs that could see them."""
    if augmentation.preset == "none":
        return 1
    return min(MOST_VIEWS if augmentation.cached_views == "auto" else augmentation.cached_views, epochs)


def _views_to_try(augmentation: AugmentationPlan, epochs: int) -> Iterator[int]:
    wanted = views_wanted(augmentation, epochs)
    fewest = 1 if augmentation.cached_views == "auto" else wanted
    yield from range(wanted, fewest - 1, -1)


def stored_bytes(border: Border, rows: int, precision: StorePrecision) -> int:
    """What rows take in the store, where half precision holds their values."""
    return rows * (border.bytes_per_image // (2 if precision == "float16" else 1) + _ROW_BYTES)


def phase_cost(
    phase: TrainPhase,
    choice: Choice,
    counts: ImageCounts,
    facts: NetworkFacts,
    rates: Rates,
    terms: Terms,
) -> PhaseCost:
    """What a train phase takes if it gets its inputs as `choice` says."""
    epochs = phase.epochs - terms.epochs_done
    first = first_trained(phase, facts)
    view = rates.plain_view if terms.augmentation.preset == "none" else rates.varied_view
    start = PIXELS if choice.border is None else choice.border
    steps = counts.fit * _step_seconds(start, first, facts, rates, terms.batch_size)
    judging = counts.select * _judging_seconds(start, facts, rates)
    unmeasured = 0.0 if steps_stretch(start, first) in rates.measured else epochs * steps
    unmeasured += 0.0 if judging_stretch(start) in rates.measured else epochs * judging
    search = _search_seconds(phase, start, view, counts, facts, rates, terms)
    looks = phase.head_refit_views * counts.fit if terms.epochs_done == 0 else 0  # the head is solved on these first
    looked, run = _pooled(looks, facts, rates, setup=0.0)
    if choice.border is None:
        views = _beside(counts.fit * view / rates.cores, steps, rates) - steps
        views += _beside(counts.select * rates.plain_view / rates.cores, judging, rates) - judging
        once, frozen, added = 0.0, 0.0, 0
        views *= epochs
    else:
        border = facts.border(choice.border)
        rows = counts.fit * choice.views + counts.select
        missing = max(0, rows - terms.kept.get(border.name, 0))
        core_seconds = (counts.fit * choice.views * view + counts.select * rates.plain_view) * missing / max(rows, 1)
        frozen = _frozen_seconds(missing, border.name, border.share, facts, rates)
        unmeasured += 0.0 if _has_run(border.name, rates) else frozen
        frozen += stored_bytes(border, missing, terms.store) / rates.moved
        views = _beside(core_seconds / rates.cores, frozen, rates) - frozen
        read = _row_read_seconds(border, terms.store, rates)
        once, added = views + frozen, stored_bytes(border, missing, terms.store)
        steps, judging = steps + counts.fit * read, judging + counts.select * read
    return PhaseCost(
        phase.name,
        views_seconds=views + looked,
        frozen_seconds=frozen + run,
        steps_seconds=epochs * steps,
        judging_seconds=epochs * judging,
        other_seconds=epochs * rates.epoch_seconds,
        search_seconds=search,
        once_seconds=once + search + looked + run,
        epochs=epochs,
        stored_bytes=added,
        choice=choice,
        unmeasured_seconds=unmeasured,
    )


def _search_seconds(
    phase: TrainPhase,
    start: str,
    view: float,
    counts: ImageCounts,
    facts: NetworkFacts,
    rates: Rates,
    terms: Terms,
) -> float:
    """Of the range tests before the first epoch: each runs its batches twice, without and with what it varies.

    A test whose edge lies outside runs a third time, which nobody knows before.
    """
    if phase.peak_lr != "find" or terms.epochs_done > 0 or counts.fit == 0:
        return 0.0
    points = points_for(phase.epochs * math.ceil(counts.fit / terms.batch_size))
    images = (points + 1) * min(terms.batch_size, counts.fit)
    first, head = first_trained(phase, facts), facts.groups[-1]
    looked = _judging_seconds(start, facts, rates)
    with_head, whole = (_step_seconds(start, one, facts, rates, terms.batch_size) for one in (head, first))
    if first == head:
        passes = [looked, with_head]
    elif terms.weights == "random":
        passes = [looked, whole]
    else:
        passes = [looked, with_head, with_head, whole]
    if start != PIXELS:
        return images * (sum(passes) + len(passes) * _row_read_seconds(facts.border(start), terms.store, rates))
    return sum(_beside(images * view / rates.cores, images * each, rates) for each in passes)


def memory_bytes(phases: Phases, facts: NetworkFacts, terms: Terms) -> int:
    """Resident memory at the peak, without the pages of the store that the system keeps while there is room."""
    weights = facts.parameters * _FLOAT_BYTES * _COPIES
    most = 0.1 * facts.held_bytes * terms.batch_size  # a forward pass lets go of what it has used
    for phase in phases:
        if isinstance(phase, TrainPhase):
            first = first_trained(phase, facts)
            behind = 1.0 - (facts.border(first).share if first != facts.groups[0] else 0.0)
            trained = behind * facts.parameters * _FLOAT_BYTES * _PER_TRAINED
            most = max(most, trained + behind * facts.held_bytes * terms.batch_size)
    return int(_LIBRARIES_BYTES + weights + most)


def _solving(phase: ProbePhase, counts: ImageCounts, facts: NetworkFacts, rates: Rates, terms: Terms) -> PhaseCost:
    kept = terms.kept.get(POOLED, 0) if terms.store != "off" else 0
    missing = max(0, counts.fit + counts.select - kept)
    views, frozen = _pooled(missing, facts, rates, setup=_setup_of(POOLED, rates))
    numbers = counts.fit * facts.features * max(counts.classes, 2)
    added = stored_bytes(facts.pooled, missing, terms.store) if terms.store != "off" else 0
    return PhaseCost(
        phase.name,
        views_seconds=views,
        frozen_seconds=frozen,
        other_seconds=numbers / rates.solved + rates.solving_seconds + rates.epoch_seconds,
        once_seconds=views + frozen,
        stored_bytes=added,
        unmeasured_seconds=0.0 if _has_run(POOLED, rates) else frozen,
    )


def _end(phases: Phases, counts: ImageCounts, facts: NetworkFacts, rates: Rates, terms: Terms) -> PhaseCost:
    """The head once more on all of train, the bundle, and its judgement."""
    tuned = any(isinstance(phase, TrainPhase) for phase in phases)
    solved = any(isinstance(phase, ProbePhase) for phase in phases) or terms.epochs_done > 0
    rows = 0
    if solved:  # the features of a tuned network are new ones
        rows = counts.train if tuned else max(0, counts.train - counts.fit - counts.select)
    setup = rates.setup_seconds if tuned else rates.reload_seconds
    views, frozen = _pooled(rows, facts, rates, setup=setup)
    report, known = counts.report, judging_stretch(PIXELS) in rates.measured
    judged = report * _judging_seconds(PIXELS, facts, rates)
    if counts.report >= FEWEST_FOR_AN_ENGINE:
        report = max(0, report - terms.kept.get(REPORTED, 0))
        reload, known = setup if rows == 0 else rates.reload_seconds, _has_run(POOLED, rates)
        judged = _frozen_seconds(report, POOLED, 1.0, facts, rates, setup=reload)
    made = _beside(report * rates.plain_view / rates.cores, judged, rates) - judged
    numbers = counts.train * facts.features * max(counts.classes, 2) if rows else 0
    return PhaseCost(
        "end",
        views_seconds=views + made,
        frozen_seconds=frozen,
        judging_seconds=judged,
        other_seconds=rates.end_seconds + numbers / rates.solved / 10,  # one penalty, not a grid out of fold
        stored_bytes=stored_bytes(facts.pooled, rows, terms.store) if terms.store != "off" else 0,
        unmeasured_seconds=(0.0 if known else judged) + (0.0 if _has_run(POOLED, rates) else frozen),
    )


def _pooled(images: int, facts: NetworkFacts, rates: Rates, *, setup: float) -> tuple[float, float]:
    """(seconds of views, seconds of the network) for pooled features of so many images."""
    frozen = _frozen_seconds(images, POOLED, 1.0, facts, rates, setup=setup)
    return _beside(images * rates.plain_view / rates.cores, frozen, rates) - frozen, frozen


def _frozen_seconds(
    images: int, border: str, share: float, facts: NetworkFacts, rates: Rates, *, setup: float | None = None
) -> float:
    """By whichever engine is done first, set-up included."""
    if images == 0:
        return 0.0
    work = share * facts.gmacs
    by_torch = images * rates.measured.get(frozen_stretch(border, "torch"), work / rates.torch)
    if rates.onnxruntime == 0:
        return by_torch
    each = rates.measured.get(frozen_stretch(border, "onnxruntime"), work / rates.onnxruntime)
    return min(by_torch, (_setup_of(border, rates) if setup is None else setup) + images * each)


def _has_run(border: str, rates: Rates) -> bool:
    """Whether an engine ran the part up to a border here."""
    return any(frozen_stretch(border, engine) in rates.measured for engine in _ENGINES)


def _setup_of(border: str, rates: Rates) -> float:
    """A part that was run here before was also exported and kept."""
    return rates.reload_seconds if frozen_stretch(border, "onnxruntime") in rates.measured else rates.setup_seconds


def _step_seconds(start: str, first: str, facts: NetworkFacts, rates: Rates, batch_size: int) -> float:
    """Of one image: what rests behind `start` forward, what learns forward and backward, and its part of the step."""
    known = rates.measured.get(steps_stretch(start, first))
    if known is not None:
        return known
    learns = 1.0 - facts.share_before(first)
    rests = facts.share_before(first) - (0.0 if start == PIXELS else facts.share_before(start))
    return facts.gmacs * (rests / rates.forward + learns / rates.training) + rates.step_seconds / batch_size


def _judging_seconds(start: str, facts: NetworkFacts, rates: Rates) -> float:
    share = 1.0 if start == PIXELS else 1.0 - facts.share_before(start)
    return rates.measured.get(judging_stretch(start), share * facts.gmacs / rates.forward)


def _row_read_seconds(border: Border, precision: StorePrecision, rates: Rates) -> float:
    return stored_bytes(border, 1, precision) / rates.moved


def _beside(views: float, computing: float, rates: Rates) -> float:
    """Seconds of both together: added where they share the cores, else those of the longer."""
    return views + computing if rates.decoding == "shares_cores" else max(views, computing)
