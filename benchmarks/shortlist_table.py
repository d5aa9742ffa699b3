"""The lines of shortlist_truth.py as sections of docs/guide/shortlist.md: truth, picks, regret, agreement."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from statistics import mean
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from measured import Row
from paired import difference, share_right

from headstart.measures.agreement import kendall_tau
from headstart.measures.intervals import wilson_interval

Truth: TypeAlias = Mapping[str, str]
"""Network -> one 1 or 0 for each test image: whether it is right."""
Orders: TypeAlias = Mapping[str, Sequence[str]]
"""Picker -> networks, best first."""

ALL = 4
"""Length of the shortlist that measures every network on all images."""
RANKINGS: dict[str, Callable[[Mapping[str, float | None]], float | None]] = {
    "ridge probe": lambda scores: -(scores["log_loss"] or 0.0),
    "LogME": lambda scores: scores["logme"],
    "H-score": lambda scores: scores["h_score"],
    "kNN": lambda scores: scores["knn_accuracy"],
    "ImageNet": lambda scores: scores["imagenet_top1"],
}
HALVED = "shortlist"
PICKERS = (HALVED, *RANKINGS)

_WIDTH = 120
_EXPLAINED = (
    "Regret: points of accuracy that the best network of the table has more than the first of an order, with the 95 % "
    "interval of the paired difference over images; after the semicolon the same for the better of its first two. The "
    "best is chosen on the same images, which flatters it, so regret is overstated. tau: Kendall's, of the order with "
    "the truth, mean over sets. chance: the mean over all four networks."
)


def section(rows: Sequence[Row], *, strategy: str, sets: Sequence[str], networks: Sequence[str]) -> str:
    """Markdown of one strategy; empty where nothing was trained with it."""
    truths, orders = {}, {}
    for name in sets:
        truth = {row["model"]: row["right"] for row in _of(rows, what="truth", strategy=strategy, set=name)}
        if truth:
            truths[name] = truth
        found = _orders(rows, name)
        if len(truth) == len(networks) and found is not None:
            orders[name] = found
    if not truths:
        return ""
    lines = [
        f"Truth: accuracy in percent of `--strategy {strategy}` on the test images (95 % interval), one seed.",
        "",
        "| set | n | " + " | ".join(networks) + " |",
        "|---|---|" + "---|" * len(networks),
        *(_truth_row(name, truth, networks) for name, truth in truths.items()),
    ]
    if orders:
        lines += ["", textwrap.fill(_EXPLAINED, _WIDTH), "", *_regrets(truths, orders)]
    return "\n".join(lines)


def _of(rows: Sequence[Row], **key: object) -> list[Row]:
    return [row for row in rows if all(row.get(name) == value for name, value in key.items())]


def _truth_row(name: str, truth: Truth, networks: Sequence[str]) -> str:
    cells = []
    for network in networks:
        right = truth.get(network)
        if right is None:
            cells.append("not run")
            continue
        low, high = wilson_interval(right.count("1"), len(right))
        cells.append(f"{100 * right.count('1') / len(right):.1f} ({100 * low:.1f}..{100 * high:.1f})")
    return f"| {name} | {len(next(iter(truth.values())))} | " + " | ".join(cells) + " |"


def _orders(rows: Sequence[Row], name: str) -> dict[str, list[str]] | None:
    """Of every picker; None while a shortlist is missing."""
    halved, whole = _of(rows, what="shortlist", set=name, length=1), _of(rows, what="shortlist", set=name, length=ALL)
    if not halved or not whole:
        return None
    found = {HALVED: halved[-1]["ranking"]}
    scores = whole[-1]["scores"]
    for ranking, score in RANKINGS.items():
        found[ranking] = sorted(scores, key=lambda model: (-(score(scores[model]) or 0.0), model))
    return found


def _regrets(truths: Mapping[str, Truth], orders: Mapping[str, Orders]) -> list[str]:
    lines = [
        "| order by | " + " | ".join(orders) + " | mean of first | mean of better of two | tau |",
        "|---|" + "---|" * (len(orders) + 3),
    ]
    for picker in PICKERS:
        cells = [_cell(found[picker], truths[name]) for name, found in orders.items()]
        first, two = ([regret(f[picker][:n], truths[s])[0] for s, f in orders.items()] for n in (1, 2))
        taus = [_tau(found[picker], truths[name]) for name, found in orders.items()]
        known = [tau for tau in taus if tau is not None]
        said = f"{mean(known):.2f}" if known else "none"
        lines.append(f"| {picker} | {' | '.join(cells)} | {_points(mean(first))} | {_points(mean(two))} | {said} |")
    both = [regret((found[HALVED][0], found["ImageNet"][0]), truths[name])[0] for name, found in orders.items()]
    cells = [
        f"{found[HALVED][0]}, {found['ImageNet'][0]}; {_points(one)}"
        for found, one in zip(orders.values(), both, strict=True)
    ]
    lines.append(f"| the first of the shortlist and of ImageNet | {' | '.join(cells)} | | {_points(mean(both))} | |")
    chance = [mean(regret((model,), truths[name])[0] for model in truths[name]) for name in orders]
    lines.append(f"| chance | {' | '.join(map(_points, chance))} | {_points(mean(chance))} | | 0 |")
    return lines


def _cell(order: Sequence[str], truth: Truth) -> str:
    gap, low, high = regret(order[:1], truth)
    span = f" ({100 * low:.1f}..{100 * high:.1f})" if gap else ""
    return f"{order[0]} {_points(gap)}{span}; {_points(regret(order[:2], truth)[0])}"


def _points(share: float) -> str:
    return f"{100 * share:.1f}" if share else "0"


def regret(picks: Sequence[str], truth: Truth) -> tuple[float, float, float]:
    """(share of images that the best network is right on more than the best pick, and its 95 % interval).

    Raises:
        ValueError: a pick was not trained.
    """
    if unknown := [pick for pick in picks if pick not in truth]:
        raise ValueError(f"{', '.join(unknown)} was not trained; there are {', '.join(truth)}")
    best = max(truth, key=lambda model: truth[model].count("1"))
    picked = max(picks, key=lambda model: truth[model].count("1"))
    if truth[best].count("1") == truth[picked].count("1"):
        return 0.0, 0.0, 0.0
    found = difference(_shares(truth[best]), _shares(truth[picked]))
    return found.mean, found.low, found.high


def _shares(right: str) -> npt.NDArray[np.float64]:
    return share_right([[1 if one == "1" else 0 for one in right]], [1] * len(right))


def _tau(order: Sequence[str], truth: Truth) -> float | None:
    return kendall_tau([-order.index(model) for model in truth], [truth[model].count("1") for model in truth])
