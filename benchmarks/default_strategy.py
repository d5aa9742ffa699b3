"""The default strategy beside the one that tunes every layer and beside fastai: whole commands on four sets.

All at 224 px, but for the default on CIFAR-10: it gives tiny images a smaller input. There it runs at 224 px too.

    HEADSTART_DATA=FOLDER python benchmarks/default_strategy.py [--rounds 3] [--sets ...] [--sides ...] [--untimed]

Each side learns from the same training images and answers for the same test images, in a fresh process with an empty
$HEADSTART_HOME; the seed is the number of the round. Rounds are the outer loop, so that an interrupted run has a first
figure of everything. --untimed is for a machine that others use: its accuracies count, its seconds do not, and a
later run without it measures the seconds. Every measurement is one line of build/default_strategy.jsonl. Writes its
section of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from measured import Kept, Row, spread, where
from paired import Difference, difference, share_right
from sections import replace_section
from sets import SETS, SetName, folder_of
from sides import Job, Side, SideError, measure

TRAINING_IMAGES = 600
"""At most, of rsscn7 and chest_xray."""

SIDES = (
    Side("progressive", "all", "`headstart train FOLDER`", arguments=("--strategy", "progressive")),
    Side("probe", "head", "the linear probe", arguments=("--strategy", "feature_extraction")),
    Side(
        "probe_then_tune",
        "all",
        "`--strategy probe_then_tune`, the default before",
        arguments=("--strategy", "probe_then_tune"),
    ),
    Side("fastai", "all", "fastai, `fine_tune(5)`", epochs="fastai", script="fastai_fine_tune.py"),
    Side(
        "progressive_224",
        "all",
        "`headstart train FOLDER --input-size 224`",
        arguments=("--strategy", "progressive", "--input-size", "224"),
    ),
)
TINY: tuple[SetName, ...] = ("cifar10",)
"""Sets of tiny images."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--sides", nargs="+", default=[s.name for s in SIDES], choices=[s.name for s in SIDES])
    parser.add_argument("--untimed", action="store_true", help="others use this machine: keep no seconds")
    parser.add_argument("--table-only", action="store_true", help="measure nothing, write the section")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "benchmarks.md")
    options = parser.parse_args()
    failed = 0 if options.table_only else measured(options)
    if rows := Kept("default_strategy").rows():
        replace_section("default-strategy", section(rows), options.out)
    return min(failed, 1)


def measured(options: argparse.Namespace) -> int:
    """Do what is not done; the number of runs that failed."""
    kept, failed = Kept("default_strategy"), 0
    for number in range(1, options.rounds + 1):
        for name in options.sets:
            job = Job("full", name, folder_of(name, limit=TRAINING_IMAGES), seed=number, epochs=25)
            for side in (side for side in SIDES if side.name in options.sides and _differs(side, name)):
                key = {"set": name, "side": side.name, "round": number}
                if kept.has(**key, timed=True) or (options.untimed and kept.has(**key)):
                    continue
                load = os.getloadavg()[0]
                try:
                    found = measure(side, job)
                except (RuntimeError, SideError) as error:
                    print(error, file=sys.stderr, flush=True)
                    failed += 1
                    continue
                kept.add({**key, "timed": not options.untimed, "load_before": load, **found})
    return failed


def _differs(side: Side, name: SetName) -> bool:
    """Whether a side does anything on this set that the default does not."""
    return side.name != "progressive_224" or name in TINY


def section(rows: Sequence[Row]) -> str:
    """The text of the section: a row a set, then what all sets say together."""
    lines = [
        "## The default strategy",
        "",
        "Written by `python benchmarks/default_strategy.py`.",
        f"{where(('torch', 'timm', 'fastai', 'onnxruntime'))}. EfficientNet-Lite0, 224 px (the default gives "
        f"{', '.join(TINY)} 128 px); "
        f"at most {TRAINING_IMAGES} training images of rsscn7 and chest_xray. Accuracy is the "
        "mean over seeds, on test images; seconds are those of the whole command with an empty cache, one round after "
        "the other on a machine that nobody else used.",
        "",
        "| set | test images | side | seeds | accuracy | seconds | over the default's |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in SETS:
        for side in SIDES:
            if found := _rows(rows, name, side.name):
                right = share_right(_answers(found), found[0]["truth"])
                seconds = [row["seconds"] for row in found if row["timed"]]
                lines.append(
                    f"| {name} | {right.size} | {side.says} | {len(found)} | {right.mean():.3f} | "
                    f"{spread(seconds) if seconds else ''} | {_ratio(rows, name, side.name)} |"
                )
    lines += [
        "",
        "The default minus the other side, same images and seeds, points of test accuracy (95 % interval):",
        "",
    ]
    lines += ["| against | sets | images | points |", "|---|---|---|---|"]
    for side in SIDES[1:]:
        if found_sets := [name for name in SETS if _gap(rows, [name], side.name) is not None]:
            gap = _gap(rows, found_sets, side.name)
            assert gap is not None
            lines.append(
                f"| {side.says} | {len(found_sets)} | {gap.images} | "
                f"{100 * gap.mean:+.1f} ({100 * gap.low:+.1f}..{100 * gap.high:+.1f}) |"
            )
    return "\n".join(lines)


def _rows(rows: Iterable[Row], name: str, side: str) -> list[Row]:
    """One row a round; a timed one stands in for one that was not."""
    by_round = {
        row["round"]: row
        for row in sorted(rows, key=lambda r: r["timed"])
        if row["set"] == name and row["side"] == side
    }
    return [by_round[number] for number in sorted(by_round)]


def _answers(rows: Sequence[Row]) -> list[list[int]]:
    return [row["predicted"]["last"] for row in rows]


def _ratio(rows: Sequence[Row], name: str, side: str) -> str:
    """Seconds of a side over those of the default, round by round."""
    ours = {row["round"]: row["seconds"] for row in _rows(rows, name, SIDES[0].name) if row["timed"]}
    theirs = {row["round"]: row["seconds"] for row in _rows(rows, name, side) if row["timed"]}
    ratios = [theirs[number] / ours[number] for number in sorted(ours.keys() & theirs.keys())]
    return f"{spread(ratios)}x" if ratios and side != SIDES[0].name else ""


def _gap(rows: Sequence[Row], sets: Sequence[SetName], side: str) -> Difference | None:
    """Of all test images of some sets; the rounds that both sides have."""
    gaps_ours, gaps_theirs = [], []
    for name in sets:
        ours, theirs = ({row["round"]: row for row in _rows(rows, name, one)} for one in (SIDES[0].name, side))
        rounds = sorted(ours.keys() & theirs.keys())
        if not rounds:
            return None
        truth = ours[rounds[0]]["truth"]
        gaps_ours.append(share_right(_answers([ours[number] for number in rounds]), truth))
        gaps_theirs.append(share_right(_answers([theirs[number] for number in rounds]), truth))
    return difference(np.concatenate(gaps_ours), np.concatenate(gaps_theirs))


if __name__ == "__main__":
    sys.exit(main())
