"""The lines of shortlist_truth.py as sections of docs/guide/shortlist.md: truth, picks, regret, agreement."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from measured import Row
from paired import difference, share_right

from headstart.advise.agreement import kendall_tau
from headstart.evaluate.metrics import wilson_interval

Truth: TypeAlias = Mapping[str, str]
"""Network -> one 1 or 0 for each image that reports: whether it is right."""

ALL = 4
"""Length of the shortlist that judges every network on all images."""
JUDGES: dict[str, Callable[[Mapping[str, float | None]], float | None]] = {
    "ridge probe": lambda scores: -(scores["log_loss"] or 0.0),
    "LogME": lambda scores: scores["logme"],
    "H-score": lambda scores: scores["h_score"],
    "kNN": lambda scores: scores["knn_accuracy"],
    "ImageNet": lambda scores: scores["imagenet_top1"],
}
PICKERS = ("shortlist", *JUDGES)


def section(rows: Sequence[Row], *, strategy: str, sets: Sequence[str], networks: Sequence[str]) -> str:
    """Markdown of one strategy; empty where no set has all its networks trained and its shortlists made."""
    truths: list[str] = []
    costs: list[str] = []
    whole = 0
    regrets: dict[str, list[float]] = {picker: [] for picker in PICKERS}
    for name in sets:
        truth = {row["model"]: row["right"] for row in _of(rows, what="truth", strategy=strategy, set=name)}
        if not truth:
            continue
        truths.append(_truth_row(name, truth, networks))
        orders = _orders(rows, name)
        if len(truth) < len(networks) or orders is None:
            continue
        whole += 1
        costs += [_cost_row(name, picker, orders[picker], truth) for picker in PICKERS]
        for picker in PICKERS:
            regrets[picker].append(regret(orders[picker][:1], truth)[0])
    if not truths:
        return ""
    lines = [
        f"Truth: accuracy in percent of `--strategy {strategy}` on the images that report (95 % interval), one seed.",
        "",
        "| set | n | " + " | ".join(networks) + " |",
        "|---|---|" + "---|" * len(networks),
        *truths,
    ]
    if costs:
        heading = "| set | order by | its first two | regret of the first | regret of the better of both | tau |"
        lines += ["", _explained(regrets, whole), "", heading, "|---|---|---|---|---|---|", *costs]
    return "\n".join(lines)


def _explained(regrets: Mapping[str, Sequence[float]], sets: int) -> str:
    means = ", ".join(f"{picker} {100 * np.mean(values):.2f}" for picker, values in regrets.items())
    return (
        "Regret: points of accuracy that the best network of the table has more, with the 95 % interval of the paired "
        "difference over images (the best is chosen on the same images, which flatters it: regret is overstated). tau: "
        f"Kendall's, of the order with the truth. Mean regret of the first pick over {sets} sets: {means}."
    )


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
    """Picker -> networks, best first; None while a shortlist is missing."""
    halved, whole = _of(rows, what="shortlist", set=name, length=1), _of(rows, what="shortlist", set=name, length=ALL)
    if not halved or not whole:
        return None
    found = {"shortlist": halved[-1]["ranking"]}
    scores = whole[-1]["scores"]
    for judge, score in JUDGES.items():
        found[judge] = sorted(scores, key=lambda model: (-(score(scores[model]) or 0.0), model))
    return found


def regret(picks: Sequence[str], truth: Truth) -> tuple[float, float, float]:
    """(share of images that the best network is right on more than the best pick, and its 95 % interval).

    Raises:
        ValueError: a pick was not trained.
    """
    if unknown := [pick for pick in picks if pick not in truth]:
        raise ValueError(f"{', '.join(unknown)} was not trained; there are {', '.join(truth)}")
    best = max(truth, key=lambda model: (truth[model].count("1"), model in picks))
    picked = max(picks, key=lambda model: truth[model].count("1"))
    if truth[best].count("1") == truth[picked].count("1"):
        return 0.0, 0.0, 0.0
    found = difference(_shares(truth[best]), _shares(truth[picked]))
    return found.mean, found.low, found.high


def _shares(right: str) -> np.ndarray:
    return share_right([[1 if one == "1" else 0 for one in right]], [1] * len(right))


def _cost_row(name: str, picker: str, order: Sequence[str], truth: Truth) -> str:
    cells = []
    for picks in (order[:1], order[:2]):
        mean, low, high = regret(picks, truth)
        cells.append("0" if mean == 0 else f"{100 * mean:.1f} ({100 * low:.1f}..{100 * high:.1f})")
    tau = kendall_tau([-order.index(model) for model in truth], [truth[model].count("1") for model in truth])
    said = "none" if tau is None else f"{tau:.2f}"
    return f"| {name} | {picker} | {', '.join(order[:2])} | {cells[0]} | {cells[1]} | {said} |"
