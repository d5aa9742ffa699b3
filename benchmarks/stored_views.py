"""Training on stored views beside hand-written loops with the same freeze, augmentation and optimizer.

    HEADSTART_DATA=FOLDER python benchmarks/cached_views.py [--cases head ...] [--sets hymenoptera ...] [--seeds N]
        [--other-seeds N] [--sides fly full] [--peer-epochs N] [--quick]

- head: a linear head on EfficientNet-Lite0, 25 epochs on 4 stored views, against the same views made anew every epoch.
- lite0: the last stage and the head, 10 epochs on 2 stored views, against the same freeze without a store and against
  full fine-tuning; beside it headstart with a view for every epoch, which is what the others make.
- resnet18: the same with layer4 of a ResNet-18 from random weights, for the time only.

Every side is a process of its own, sides in turns. All learn from train and are validated on val in every epoch,
read the same files through the same code, take the same batches of 32 by AdamW (head 1e-3, the rest 1e-4, constant) and
run in channels_last; the answer is that of the last epoch, so that nobody chooses on val. A side's time begins when
imports, network and the list of images stand, and ends with the last epoch; ours begins with an empty store and without
an exported network, so that cutting, exporting and filling count. Times are taken on hymenoptera at 224 px; other sets,
at 128 px and 10 epochs, add to the accuracies. Peers may be timed for a few epochs only (--peer-epochs): their time is
then extrapolated and they have no accuracy. What is done is kept in build/stored-views.jsonl. Writes its section of
docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from measured import Kept, Row, in_new_process, spread, where
from paired import difference, share_right
from sections import replace_section
from sets import SETS
from stored_sides import CASES, OURS, Case, CaseName, Images, SideName, ours, theirs

NAME = "stored-views"
TIMED_SET, OTHER_SIZE, OTHER_EPOCHS = "hymenoptera", 128, 10
TITLES: dict[SideName, str] = {
    "stored": "headstart, stored views",
    "view_an_epoch": "headstart, as many views as epochs",
    "fly": "the same freeze, views made anew",
    "full": "full fine-tuning",
}


def one_side(options: argparse.Namespace) -> Row:
    """What a process of its own does."""
    case = CASES[options.case]
    images = Images.of(options.set, options.size, case, options.limit)
    if options.side in OURS:
        return ours(case, images, side=options.side, epochs=options.epochs, seed=options.seed)
    return theirs(case, images, side=options.side, epochs=options.epochs, seed=options.seed)


@dataclass(frozen=True)
class Asked:
    """One measurement."""

    case: CaseName
    set: str
    side: SideName
    seed: int
    size: int
    epochs: int
    """Of the comparison."""
    run_epochs: int
    """That are run; fewer are extrapolated."""
    limit: int | None

    def measured(self) -> Row:
        """By a fresh process."""
        arguments = [__file__, "--case", self.case, "--set", self.set, "--side", self.side, "--seed", str(self.seed)]
        arguments += ["--size", str(self.size), "--epochs", str(self.run_epochs)]
        arguments += ["--limit", str(self.limit)] if self.limit is not None else []
        with tempfile.TemporaryDirectory() as home:
            row, _ = in_new_process(arguments, home=Path(home))
        if self.run_epochs < self.epochs:
            row["seconds"] += (self.epochs - self.run_epochs) * statistics.median(row["epoch_seconds"][1:])
            row["predicted"] = None
        return row


def run(options: argparse.Namespace, kept: Kept) -> None:
    """All that was asked for and is not there yet; sides take turns."""
    for name in options.sets:
        timed = name == TIMED_SET
        for seed in range(options.seeds if timed else options.other_seeds):
            for case_name in options.cases:
                case = CASES[case_name]
                if not timed and case.weights == "random":
                    continue
                size = options.size or (224 if timed else OTHER_SIZE)
                epochs = min(case.epochs, options.epochs or (case.epochs if timed else OTHER_EPOCHS))
                for side in (*case.ours, *(side for side in case.goals if side in options.sides)):
                    run_epochs = epochs if side in OURS else min(epochs, options.peer_epochs or epochs)
                    asked = Asked(case_name, name, side, seed, size, epochs, run_epochs, options.limit)
                    if not kept.has(**vars(asked)):
                        kept.add({**vars(asked), **asked.measured()})


def accuracy_of(row: Row) -> float | None:
    """Share of right answers, or None for an extrapolated time."""
    if row["predicted"] is None:
        return None
    return float(np.mean(np.asarray(row["predicted"]) == np.asarray(row["truth"])))


def section(rows: list[Row]) -> str:
    """The table of times, and that of accuracies."""
    timed = [row for row in rows if row["set"] == TIMED_SET]
    images = f"{len(timed[0]['truth'])} validation images" if timed else ""
    lines = [
        "## Training on stored views",
        "",
        f"Written by `python benchmarks/cached_views.py`: ants and bees, {images}; every side in a process of its own,",
        "in turns, validated every epoch, start-up excluded, store and exports empty at first.",
        f"{where()}.",
        "",
        "| trainable | epochs | side | seconds (median) | times ours | goal | reached | accuracy, last epoch |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for case_name, case in CASES.items():
        by_side = {side: [r for r in timed if (r["case"], r["side"]) == (case_name, side)] for side in TITLES}
        if not by_side["stored"]:
            continue
        own = statistics.median(row["seconds"] for row in by_side["stored"])
        for side, found in by_side.items():
            if found:
                lines.append(_time_row(case, side, found, own))
    filling = [r for r in timed if r["side"] == "stored"]
    if filling:
        parts = "; ".join(
            f"{CASES[name].title} {statistics.median(r['store_seconds'] for r in filling if r['case'] == name):.1f} s"
            for name in CASES
            if any(r["case"] == name for r in filling)
        )
        lines += ["", f"Of ours, cutting, exporting and filling the store took: {parts}."]
    return "\n".join([*lines, "", *_accuracy_lines(rows)])


def _time_row(case: Case, side: SideName, found: list[Row], own: float) -> str:
    seconds = statistics.median(row["seconds"] for row in found)
    goal = case.goals.get(side)
    ratio = seconds / own
    shown = [f"{ratio:.2f}", f"{goal:g}", "yes" if ratio >= goal else "no"] if goal else [f"{ratio:.3g}", "", ""]
    accuracies = [a for row in found if (a := accuracy_of(row)) is not None and case.weights == "pretrained"]
    if found[0]["run_epochs"] < found[0]["epochs"]:
        title = f"{TITLES[side]} (extrapolated from {found[0]['run_epochs']} epochs)"
    else:
        title = TITLES[side]
    accuracy = spread([100 * a for a in accuracies]) + " %" if accuracies else "-"
    times = spread([row["seconds"] for row in found])
    return f"| {case.title} | {found[0]['epochs']} | {title} | {times} | {' | '.join(shown)} | {accuracy} |"


def _accuracy_lines(rows: list[Row]) -> list[str]:
    """Ours minus theirs by set and pooled, with the paired 95 % interval over images."""
    lines = [
        "| trainable | ours | against | set | images | seeds | ours - theirs, points (95 % interval) | above -2 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for case_name, case in CASES.items():
        if case.weights == "random":
            continue
        for mine, side in itertools.product(case.ours, case.goals):
            right: dict[str, tuple[np.ndarray, np.ndarray]] = {}
            seeds: dict[str, int] = {}
            for name in SETS:
                shared = _shared_seeds(rows, case_name, name, (mine, side))
                both = [_share_right(shared, case_name, name, one) for one in (mine, side)]
                if both[0] is not None and both[1] is not None:
                    right[name] = both[0], both[1]
                    seeds[name] = len({row["seed"] for row in shared})
            pooled = [np.concatenate(parts) for parts in zip(*right.values(), strict=True)]
            shown = {**right, **({f"pooled over {len(right)}": tuple(pooled)} if len(right) > 1 else {})}
            for name, (own, other) in shown.items():
                d = difference(own, other)
                points = f"{100 * d.mean:+.1f} ({100 * d.low:+.1f}..{100 * d.high:+.1f})"
                cells = (case.title, TITLES[mine].removeprefix("headstart, "), TITLES[side], name, str(d.images))
                good = "yes" if d.is_non_inferior else "no"
                lines.append(f"| {' | '.join((*cells, str(seeds.get(name, '')), points, good))} |")
    return lines


def _shared_seeds(rows: list[Row], case: str, name: str, sides: tuple[str, str]) -> list[Row]:
    """Rows of a set of the seeds that both sides have run in full."""
    whole = [row for row in rows if (row["case"], row["set"]) == (case, name) and row["predicted"] is not None]
    mine, theirs = ({row["seed"] for row in whole if row["side"] == one} for one in sides)
    return [row for row in whole if row["seed"] in mine & theirs]


def _share_right(rows: list[Row], case: str, name: str, side: str) -> np.ndarray | None:
    """Over its seeds; `_shared_seeds` has left those that both sides ran."""
    found = [r for r in rows if (r["case"], r["set"], r["side"]) == (case, name, side) and r["predicted"] is not None]
    return share_right([row["predicted"] for row in found], found[0]["truth"]) if found else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=get_args(CaseName), default=list(CASES))
    parser.add_argument("--sets", nargs="+", choices=SETS, default=[TIMED_SET])
    parser.add_argument("--seeds", type=int, default=3, help="on hymenoptera")
    parser.add_argument("--other-seeds", type=int, default=1, help="on the other sets")
    parser.add_argument("--sides", nargs="+", choices=("fly", "full"), default=["fly", "full"], help="beside ours")
    parser.add_argument("--peer-epochs", type=int, help="time so many epochs of the peers and extrapolate")
    parser.add_argument("--quick", action="store_true", help="two epochs of a few small images: a smoke test")
    one = parser.add_argument_group("one side, as the script calls itself")
    one.add_argument("--case", choices=get_args(CaseName))
    one.add_argument("--side", choices=get_args(SideName))
    one.add_argument("--set", choices=SETS)
    for name in ("seed", "size", "epochs", "limit"):
        one.add_argument(f"--{name}", type=int)
    options = parser.parse_args()
    if options.side:
        print(json.dumps(one_side(options)))
        return
    if options.quick:
        options.size, options.epochs, options.limit, options.seeds = 96, 2, 24, 1
    kept = Kept(f"{NAME}-quick" if options.quick else NAME)
    run(options, kept)
    text = section(kept.rows())
    print(text)
    if not options.quick:
        replace_section(NAME, text)


if __name__ == "__main__":
    main()
