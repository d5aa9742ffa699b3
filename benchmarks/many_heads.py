"""Twenty settings of a linear head beside one, with the pass that computes the features.

    HEADSTART_DATA=FOLDER python benchmarks/many_heads.py [--rounds N] [--quick]

In one process: features of all images into an empty store, then one head (logistic, L2 penalty 0.1), then twenty
(logistic and ridge, ten penalties each), each fitted on train and evaluated on val. The engine is chosen beforehand,
which makes the pass shorter and the comparison harder. On ants and bees, where a head takes next to nothing, and on the
10,000 CIFAR-10 images of ten_thousand.py, where it does not. What is done is kept in build/many-heads.jsonl. Writes its
section of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import numpy as np
from measured import Kept, Row, in_new_process, spread, where
from sections import replace_section
from sets import folder_of
from ten_thousand import MODEL, TRAIN, VAL, cifar_folder

from headstart.data.checks.image_checks import read_all
from headstart.data.loading import read_view
from headstart.data.sources.reading import Dataset, ImageRecord, open_source
from headstart.engine.store.stored_rows import StoredRows
from headstart.networks.cards.finding import find_model
from headstart.solvers.head_solver import Solver, head_problem
from headstart.solvers.rows import RowSource

NAME = "many-heads"
SOLVERS: tuple[Solver, ...] = ("logistic", "ridge")
L2_PENALTIES = tuple(float(value) for value in np.geomspace(1e-4, 10, 10))
SETTINGS: tuple[tuple[Solver, float], ...] = tuple(product(SOLVERS, L2_PENALTIES))
ONE: tuple[tuple[Solver, float], ...] = (("logistic", 0.1),)
MOST = 1.2
SOLVES_A_ROUND = 3
"""The heads are solved again so many times on one set of features."""
FOLDERS: dict[str, Callable[[], Path]] = {
    "hymenoptera": lambda: folder_of("hymenoptera"),
    "cifar10": lambda: cifar_folder(TRAIN, VAL),
}


def features(dataset: Dataset) -> tuple[RowSource, RowSource, float]:
    """(rows of train, rows of val, seconds): computed by the best engine into an empty store."""
    from headstart.engine.known.features import pooled_part
    from headstart.engine.prefix.running import SAMPLE_IMAGES
    from headstart.engine.store.activations import Activations, View
    from headstart.engine.store.store import EVALUATION, ActivationStore
    from headstart.networks.backbone import build_classifier

    choice = find_model(MODEL)
    spec = choice.card.input
    classifier = build_classifier(choice, kind="linear", num_classes=len(dataset.classes()), seed=0)
    view = View(EVALUATION, EVALUATION, lambda record: read_view(record, spec))
    digests = {name: bytes.fromhex(digest) for name, digest in read_all(dataset.records).digests.items()}
    with_engine = Activations(
        pooled_part(classifier), spec, digests, ActivationStore(), images_to_come=len(dataset.records)
    )
    with_engine.reader(dataset.records[:SAMPLE_IMAGES], [view])
    started = time.perf_counter()
    train, val = (StoredRows(with_engine.reader(dataset.of(split), [view])) for split in ("train", "val"))
    return train, val, time.perf_counter() - started


def solved(
    settings: Sequence[tuple[Solver, float]], rows: tuple[RowSource, RowSource], labels: Sequence[np.ndarray], k: int
) -> tuple[float, list[float]]:
    """(seconds, accuracy of each setting on val): what the settings of a solver share is found once."""
    started = time.perf_counter()
    problems = {solver: head_problem(rows[0], labels[0], k, solver=solver) for solver, _ in settings}
    accuracies = []
    for solver, problem in problems.items():
        for head in problem.solve_many([l2_penalty for other, l2_penalty in settings if other == solver]):
            right = head.probabilities_of(rows[1]).argmax(axis=1) == labels[1]
            accuracies.append(float(right.mean()))
    return time.perf_counter() - started, accuracies


def one_round(name: str, limit: int | None) -> Row:
    """What a process of its own does."""
    dataset = open_source(str(FOLDERS[name]()))
    if limit is not None:
        records = dataset.records[:: max(1, len(dataset.records) // limit)]
        dataset = Dataset(dataset.name, dataset.source, records)
    classes = dataset.classes()

    def labels(records: Sequence[ImageRecord]) -> np.ndarray:
        return np.array([classes.index(record.label) for record in records], np.int64)

    train, val, seconds = features(dataset)
    both = [labels(dataset.of(split)) for split in ("train", "val")]
    taken: dict[str, list[float]] = {"one": [], "twenty": []}
    accuracies: dict[str, list[float]] = {}
    for _ in range(SOLVES_A_ROUND):
        for side, settings in (("one", ONE), ("twenty", SETTINGS)):
            time_taken, accuracies[side] = solved(settings, (train, val), both, len(classes))
            taken[side].append(time_taken)
    middle = {side: statistics.median(values) for side, values in taken.items()}
    return {"features_seconds": seconds, **middle, "images": len(dataset.records), "accuracies": accuracies}


def section(rows: list[Row]) -> str:
    lines = [
        "## Many heads on the same features",
        "",
        "Written by `python benchmarks/many_heads.py`: EfficientNet-Lite0 at 224 px, one process, the features",
        f"computed into an empty store, then one head or {len(SETTINGS)}, each fitted on train and evaluated on val.",
        f"{where()}.",
        "",
        "| images | features s | one head s | 20 heads s | 20 against one | at most | reached | accuracy: one, best |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in FOLDERS:
        found = [row for row in rows if row["set"] == name]
        if not found:
            continue
        passes, one, twenty = ([row[key] for row in found] for key in ("features_seconds", "one", "twenty"))
        ratio = statistics.median((f + t) / (f + o) for f, o, t in zip(passes, one, twenty, strict=True))
        accuracies = found[0]["accuracies"]
        reached = "yes" if ratio <= MOST else "no"
        best = f"{accuracies['one'][0]:.3f}, {max(accuracies['twenty']):.3f}"
        lines.append(
            f"| {found[0]['images']:,} of {name} | {spread(passes)} | {statistics.median(one):.2f} | "
            f"{statistics.median(twenty):.2f} | {ratio:.2f} | {MOST} | {reached} | {best} |"
        )
    lines += ["", "The best of twenty is selected on the images that evaluate it, and so too good; it is not a result."]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="on hymenoptera; one on cifar10")
    parser.add_argument("--quick", action="store_true", help="forty images: a smoke test")
    one = parser.add_argument_group("one round, as the script calls itself")
    one.add_argument("--set", choices=list(FOLDERS))
    one.add_argument("--limit", type=int)
    options = parser.parse_args()
    if options.set:
        print(json.dumps(one_round(options.set, options.limit)))
        return
    kept = Kept(f"{NAME}-quick" if options.quick else NAME)
    for name in FOLDERS:
        for number in range(options.rounds if name == "hymenoptera" and not options.quick else 1):
            if not kept.has(set=name, round=number):
                with tempfile.TemporaryDirectory() as home:
                    arguments = [__file__, "--set", name, *(["--limit", "40"] if options.quick else [])]
                    row, _ = in_new_process(arguments, home=Path(home))
                kept.add({"set": name, "round": number, **row})
    text = section(kept.rows())
    print(text)
    if not options.quick:
        replace_section(NAME, text)


if __name__ == "__main__":
    main()
