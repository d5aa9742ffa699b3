"""How far several judges agree about the order of some networks: Kendall's tau, and what it means in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

Scores = Mapping[str, float | None]
"""Network -> score, higher is better; None: this judge cannot say."""

FAR, SOME = 0.6, 0.2
"""Tau from which orders are called much alike, and from which somewhat."""
_FEW = 6
"""With fewer networks one swapped pair is said to move tau a lot."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of two judges about the networks that both can judge."""

    first: str
    second: str
    tau: float | None
    """Kendall's tau-b, -1 (opposite) to 1 (the same order); None where one of them sees no difference."""
    networks: int
    """That both judged."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"judges": [self.first, self.second], "tau": self.tau, "networks": self.networks}


def kendall_tau(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Kendall's tau-b of paired scores (Kendall 1945): pairs in the same order less those in the opposite one.

    Ties count for neither, and shorten the scale: divided by sqrt((n - t_1) (n - t_2)) with n pairs of which t_i are
    tied in one of the two.

    Returns:
        -1..1, or None where one sequence holds fewer than two different values.

    Raises:
        ValueError: the sequences differ in length.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} scores: one pair for each network is expected")
    together, split_first, split_second = 0, 0, 0
    for (a, b), (c, d) in combinations(zip(first, second, strict=True), 2):
        one, two = (a > c) - (a < c), (b > d) - (b < d)
        together += one * two
        split_first += one != 0
        split_second += two != 0
    if not split_first or not split_second:
        return None
    return together / math.sqrt(split_first * split_second)


def agreements(judges: Mapping[str, Scores]) -> tuple[Agreement, ...]:
    """Of every pair of judges, in their order; a network that one of two cannot judge is left out for both."""
    found = []
    for (name, scores), (other, others) in combinations(judges.items(), 2):
        pairs = [(scores[model], others.get(model)) for model in scores]
        both = [(a, b) for a, b in pairs if a is not None and b is not None]
        tau = kendall_tau([a for a, _ in both], [b for _, b in both])
        found.append(Agreement(name, other, tau, len(both)))
    return tuple(found)


def agreement_sentences(found: Sequence[Agreement], *, judge: str, images: int) -> list[str]:
    """How far the others agree with one judge, and with one another.

    Args:
        found: Of every pair.
        judge: Whose order is the answer.
        images: On which all were asked.
    """
    most = max((each.networks for each in found), default=0)
    if most < 2:
        return []
    if most == 2:
        return ["orders of two networks agree or not by chance: how far the scores agree takes three"]
    with_judge = [each for each in found if judge in (each.first, each.second)]
    said = [f"{_other(each, judge)} {_word(each.tau)} ({_tau(each.tau)})" for each in with_judge]
    lines = [f"on {images:,} images, with the order of {judge} (Kendall's tau): {', '.join(said)}"]
    taus = [each.tau for each in found if each.tau is not None and judge not in (each.first, each.second)]
    if taus:
        lines.append(f"among the others tau is {min(taus):.2f} to {max(taus):.2f}")
    if most < _FEW:
        step = 4 / (most * (most - 1))
        lines.append(f"with {most} networks one swapped pair moves tau by {step:.2f}")
    return lines


def _other(each: Agreement, judge: str) -> str:
    return each.second if each.first == judge else each.first


def _tau(tau: float | None) -> str:
    return "none" if tau is None else f"{tau:.2f}"


def _word(tau: float | None) -> str:
    if tau is None:
        return "sees no difference"
    if tau >= FAR:
        return "agrees"
    if tau >= SOME:
        return "agrees in part"
    return "is unrelated" if tau > -SOME else "disagrees"
