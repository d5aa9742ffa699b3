"""Variants whose trials selected the same network: one entry of a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headstart.comparison.outcomes import Repeats, TrialPredictions
from headstart.comparison.trial_record import TrialRecord

PROBE = "probe"
"""Name of the selected checkpoint where it is the linear probe on frozen features."""
_TOLERANCE = 1e-4
"""Of a probability, or of a log loss in nats: the same network rounds differently in another engine."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Variants that are one model; one row of `entries` of comparison.json."""

    variant: str
    """The cheapest one; it represents the others."""
    same_model: tuple[str, ...] = ()
    """The others."""
    why: str = ""
    """Reason why they are one model; empty for an entry of one variant."""

    @property
    def variants(self) -> tuple[str, ...]:
        """All of them, the cheapest first."""
        return (self.variant, *self.same_model)


def entries_of(
    records: Mapping[str, Mapping[int, TrialRecord]], seconds: Mapping[str, float], repeats: Repeats = "seeds"
) -> list[Entry]:
    """Entries, one for each different model, in the order given.

    Two variants are one model if they have the same seeds, and in each of them the same probabilities for the same
    test images and the same log losses of the selected checkpoint on the same validation images.

    Args:
        records: Variant -> seed -> finished trial.
        seconds: Variant -> time of training; the quickest represents its entry, variants without tuning first.
        repeats: What the numbers of the trials are.
    """
    families: list[list[str]] = []
    for name in records:
        for family in families:
            if all(_is_same(records[name], records[other]) for other in family):
                family.append(name)
                break
        else:
            families.append([name])

    def cost(name: str) -> tuple[bool, float]:
        tuned = any(record.tuned for record in records[name].values())
        return tuned, seconds.get(name, float("inf"))

    return [_entry(sorted(family, key=cost), records, repeats) for family in families]


def probe_seeds(records: Mapping[int, TrialRecord]) -> int:
    """Number of seeds in which the linear probe was selected although epochs were trained."""
    return sum(record.selected == PROBE and bool(record.tuned) for record in records.values())


def _entry(names: Sequence[str], records: Mapping[str, Mapping[int, TrialRecord]], repeats: Repeats) -> Entry:
    if len(names) == 1:
        return Entry(names[0])
    seeds = len(records[names[0]])
    of = f"{seeds} of {seeds} {repeats}" if seeds > 1 else f"its only {repeats[:-1]}"
    probes = [f"{name} selected the linear probe in {of}" for name in names if probe_seeds(records[name]) == seeds]
    return Entry(names[0], tuple(names[1:]), "; ".join(probes) or f"equal predictions in {of}")


def _is_same(a: Mapping[int, TrialRecord], b: Mapping[int, TrialRecord]) -> bool:
    return bool(a) and a.keys() == b.keys() and all(_is_same_network(a[seed], b[seed]) for seed in a)


def _is_same_network(a: TrialRecord, b: TrialRecord) -> bool:
    if not a.probabilities or a.probabilities.keys() != b.probabilities.keys():
        return False
    if not all(_is_close(row, b.probabilities[image]) for image, row in a.probabilities.items()):
        return False
    if a.method != b.method:  # validated in another way, so the losses differ even if the network does not
        return True
    mine, theirs = _losses(a.validation), _losses(b.validation)
    return mine.keys() == theirs.keys() and _is_close([mine[image] for image in mine], [theirs[i] for i in mine])


def _is_close(a: Sequence[float], b: Sequence[float]) -> bool:
    return len(a) == len(b) and all(abs(x - y) <= _TOLERANCE for x, y in zip(a, b, strict=True))


def _losses(predictions: TrialPredictions) -> dict[str, float]:
    return dict(zip(predictions.images, predictions.log_loss, strict=True))
