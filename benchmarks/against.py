"""headstart beside its peers, in turns, on the same images, weights (EfficientNet-Lite0) and cores.

    HEADSTART_DATA=FOLDER python benchmarks/against.py [--what speed] [--rounds 3] [--sets ...] [--sides ...]

Ants and bees: the whole recipe (25 epochs) at 224 px, --rounds times, the seed being the number of the round. CIFAR-10
with 1,000 labels, rsscn7 and chest_xray, once: two epochs at 224 px for the speed, ten at 128 px for the accuracy.
Every measurement is a fresh process and one line of build/against.jsonl; what stands there is not measured again
(--again forgets sides). Rounds are the outer loop, so that an interrupted run has a first figure of everything. Writes
its section of docs/benchmarks.md after every measurement.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from against_table import section
from measured import BUILD, Kept
from sections import replace_section
from sets import LIMITED, SETS, folder_of
from sides import SIDES, Job, Side, SideError, Task, measure

KEPT = BUILD / "against.jsonl"
KEY = ("task", "set", "side", "round", "epochs", "limit")


def forget(sides: Sequence[str]) -> None:
    """Leave out what was measured of some sides."""
    rows = [json.loads(line) for line in KEPT.read_text(encoding="utf-8").splitlines()] if KEPT.is_file() else []
    KEPT.write_text("".join(json.dumps(row) + "\n" for row in rows if row["side"] not in sides), encoding="utf-8")


def jobs(options: argparse.Namespace) -> Iterator[tuple[dict[str, Any], Side, Job]]:
    """Key, side and job of everything that was asked for, in the order in which it is done."""
    for number in range(1, options.rounds + 1):
        for name in options.sets:
            tasks: list[Task] = ["full"]
            if name != "hymenoptera":
                tasks = [t for t, what in (("pace", "speed"), ("accuracy", "accuracy")) if what in options.what]
            for task in tasks if number == 1 or name == "hymenoptera" else ():
                folder = folder_of(name, limit=options.limit)
                for side in options.sides:
                    job = Job(task, name, folder, seed=number, epochs=options.epochs)
                    if job.size in side.sizes:
                        limit = options.limit if name in LIMITED else None
                        values = (task, name, side.name, number, options.epochs, limit)
                        yield dict(zip(KEY, values, strict=True)), side, job


def read_once(folder: Path) -> None:
    """Bring the files into the page cache, so that no side pays for the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            path.read_bytes()


def run(options: argparse.Namespace) -> int:
    """Do what is not done; the number of sides that failed."""
    failed, kept = 0, Kept("against")
    for key, side, job in jobs(options):
        if kept.has(**key):
            continue
        read_once(job.folder)
        print(f"{job.task} on {job.set}, round {key['round']}: {side.name} ...", file=sys.stderr, flush=True)
        load = os.getloadavg()[0]
        try:
            found = measure(side, job)
        except (RuntimeError, SideError) as error:
            print(error, file=sys.stderr, flush=True)
            failed += 1
            continue
        kept.add({**key, "size": job.size, "load_before": load, **found})
        write(options)
    return failed


def write(options: argparse.Namespace) -> None:
    rows = [
        row
        for row in Kept("against").rows()
        if row["epochs"] == options.epochs and row["limit"] in (None, options.limit)
    ]
    if any(row["side"] == "headstart" for row in rows):
        replace_section("against", section(rows, epochs=options.epochs, limit=options.limit), options.out)


def parsed() -> argparse.Namespace:
    by_name = {side.name: side for side in SIDES}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="on ants and bees; the other sets have one")
    parser.add_argument("--sets", default=",".join(SETS), help="of " + ", ".join(SETS))
    parser.add_argument("--sides", default=",".join(by_name), help="of " + ", ".join(by_name))
    parser.add_argument("--epochs", type=int, default=25, help="of the whole recipe")
    parser.add_argument("--what", default="speed,accuracy", help="speed, accuracy or both, of the sets with one round")
    parser.add_argument("--limit", type=int, default=600, help="training images of rsscn7 and chest_xray")
    parser.add_argument("--again", default="", help="sides whose measurements are forgotten first")
    parser.add_argument("--table-only", action="store_true", help="measure nothing, write the section")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "benchmarks.md")
    options = parser.parse_args()
    for option, allowed in (("sets", SETS), ("sides", by_name), ("what", ("speed", "accuracy")), ("again", by_name)):
        chosen = [word for word in getattr(options, option).split(",") if word]
        if unknown := [word for word in chosen if word not in allowed]:
            parser.error(f"--{option}: {', '.join(unknown)} is none of {', '.join(allowed)}")
        setattr(options, option, [word for word in allowed if word in chosen])
    options.sides = [by_name[name] for name in options.sides]
    return options


def main() -> int:
    options = parsed()
    if options.again:
        forget(options.again)
    failed = 0 if options.table_only else run(options)
    write(options)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
