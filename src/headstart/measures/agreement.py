"""Agreement of several rankings of the same networks: Kendall's tau, and what it means in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

Scores = Mapping[str, float | None]
"""Network -> score, higher is better; None: this ranking lacks the network."""

FAR, SOME = 0.6, 0.2
"""Tau from which orders are called much alike, and from which somewhat."""
_FEW = 6
"""With fewer networks one swapped pair is said to move tau a lot."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of two rankings on the networks that both contain."""

    first: str
    second: str
    tau: float | None
    """Kendall's tau-b, -1 (opposite) to 1 (the same order); None where one of them sees no difference."""
    networks: int
    """Number of networks in both rankings."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"rankings": [self.first, self.second], "tau": self.tau, "networks": self.networks}


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
        # +1 for the same order, -1 for the opposite, 0 for a tie in either: concordant minus discordant pairs.
        one, two = (a > c) - (a < c), (b > d) - (b < d)
        together += one * two
        split_first += one != 0
        split_second += two != 0
    if not split_first or not split_second:
        return None
    return together / math.sqrt(split_first * split_second)


def agreements(rankings: Mapping[str, Scores]) -> tuple[Agreement, ...]:
    """Agreement of every pair of rankings, in their order; a network that one of two lacks is left out for both."""
    found = []
    for (name, scores), (other, others) in combinations(rankings.items(), 2):
        pairs = [(scores[model], others.get(model)) for model in scores]
        # Networks that one ranking lacks are left out pair by pair, so that each tau uses all that it can.
        both = [(a, b) for a, b in pairs if a is not None and b is not None]
        tau = kendall_tau([a for a, _ in both], [b for _, b in both])
        found.append(Agreement(name, other, tau, len(both)))
    return tuple(found)


def agreement_sentences(found: Sequence[Agreement], *, reference: str, images: int) -> list[str]:
    """Sentences on the agreement of the other rankings with the reference, and with one another.

    Args:
        found: Of every pair.
        reference: The ranking that decides.
        images: On which all rankings were measured.
    """
    most = max((each.networks for each in found), default=0)
    if most < 2:
        return []
    if most == 2:
        return ["orders of two networks agree or not by chance: how far the scores agree takes three"]
    with_reference = [each for each in found if reference in (each.first, each.second)]
    said = [f"{_other(each, reference)} {_word(each.tau)} ({_tau(each.tau)})" for each in with_reference]
    lines = [f"on {images:,} images, with the order of {reference} (Kendall's tau): {', '.join(said)}"]
    taus = [each.tau for each in found if each.tau is not None and reference not in (each.first, each.second)]
    if taus:
        lines.append(f"among the others tau is {min(taus):.2f} to {max(taus):.2f}")
    if most < _FEW:
        # n (n - 1) / 2 pairs, and a swap turns +1 into -1: tau moves by 2 / pairs.
        step = 4 / (most * (most - 1))
        lines.append(f"with {most} networks one swapped pair moves tau by {step:.2f}")
    return lines


def _other(each: Agreement, reference: str) -> str:
    return each.second if each.first == reference else each.first


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
