"""How the suffix of a network is tuned best on cached activations, many recipes in one process.

    HEADSTART_DATA=FOLDER python benchmarks/tuning_recipe.py [--sets rsscn7 ...] [--seeds N] [--variants base ...]
        [--decisions] [--table] [--write]

For each set and seed the activations at a cut point are computed once; then the suffix is trained from the linear
probe, one recipe after another, and evaluated on the same test images, which choose nothing. Four points of a training
are evaluated: its end, the mean of the weights of its last epochs, and the points half-way to both from the start.
--decisions compares ways to decide whether the tuned suffix replaces the probe: on a held-out fifth, or out of fold.
What is done is kept in build/tuning-recipe.jsonl. --write writes the section of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
from measured import Kept, Row
from sections import replace_section
from sets import SETS
from tuning_cells import POINTS, Cell, Recipe, Rows, Trained, changed, mean_of
from tuning_table import section

from headstart.arrays import Labels, Singles
from headstart.measures.metrics import sharpened_log_losses
from headstart.solvers.linear_head import softmax

NAME = "tuning-recipe"
MODEL = "tf_efficientnet_lite0"
CUT_POINT = "stage6"
BASE = Recipe()
VARIANTS: dict[str, tuple[str, Recipe]] = {
    "base": (CUT_POINT, BASE),
    "last stage only": ("stage7", BASE),
    "last stage only at 5e-4": ("stage7", changed(BASE, lr=5e-4)),
    "last three stages": ("stage5", BASE),
    "learning rate 2e-4": (CUT_POINT, changed(BASE, lr=2e-4)),
    "learning rate 5e-4": (CUT_POINT, changed(BASE, lr=5e-4)),
    "learning rate 2e-3": (CUT_POINT, changed(BASE, lr=2e-3)),
    "head at 1e-4": (CUT_POINT, changed(BASE, head_lr=1e-4)),
    "head at 3e-3": (CUT_POINT, changed(BASE, head_lr=3e-3)),
    "4 epochs": (CUT_POINT, changed(BASE, epochs=4, rise_epochs=1.0)),
    "16 epochs": (CUT_POINT, changed(BASE, epochs=16)),
    "batches of 16": (CUT_POINT, changed(BASE, batch_size=16)),
    "batches of 64": (CUT_POINT, changed(BASE, batch_size=64)),
    "label smoothing 0.1": (CUT_POINT, changed(BASE, label_smoothing=0.1)),
    "head as the probe left it": (CUT_POINT, changed(BASE, refit_views=0)),
    "no rise": (CUT_POINT, changed(BASE, rise_epochs=0.0)),
    "constant learning rate": (CUT_POINT, changed(BASE, schedule="constant")),
    "one cycle": (CUT_POINT, changed(BASE, schedule="one_cycle")),
    "plain view only": (CUT_POINT, changed(BASE, views=0, refit_views=0)),
    "1 view": (CUT_POINT, changed(BASE, views=1)),
    "2 views": (CUT_POINT, changed(BASE, views=2)),
    "8 views": (CUT_POINT, changed(BASE, views=8)),
    "mixup 0.2": (CUT_POINT, changed(BASE, mixup=0.2)),
    "channel jitter 0.3": (CUT_POINT, changed(BASE, channel_jitter=0.3)),
}
"""Name -> cut point and recipe."""
FOLDS = 3
HELD_OUT_OF = 5
"""One fold of so many is the held-out fifth."""


def answers(logits: Singles, truth: Labels) -> dict[str, list[Any]]:
    """Class and log loss at the best temperature of every image."""
    losses = sharpened_log_losses(softmax(logits.astype(np.float64)), truth)
    return {"predicted": logits.argmax(axis=1).tolist(), "losses": [round(float(loss), 4) for loss in losses]}


def tried(cell: Cell, recipe: Recipe | None) -> Row:
    """A row: the points of one training on all training images; of None the linear probe."""
    rows = np.arange(len(cell.train))
    if recipe is None:
        cell.write_probe(rows)
        return {"seconds": 0.0, "points": {"end": answers(cell.logits(cell.test), cell.truth)}}
    trained = cell.fit(recipe, rows)
    points = {}
    for name in POINTS:
        cell.write(trained.point(name))
        points[name] = answers(cell.logits(cell.test), cell.truth)
    return {"seconds": round(trained.seconds, 2), "points": points}


def decided(cell: Cell, recipe: Recipe) -> Row:
    """A row: probe and tuned suffix on a held-out fifth and out of fold, and on the test images what each would give.

    Points on the test images: `fifth` was trained without the held-out fifth; `soup` averages the weights of the models
    of all folds; `base` itself, trained on all images, is a row of its own.
    """
    every = np.arange(len(cell.train))
    fold, validated, points = cell.folds(HELD_OUT_OF), {}, {}
    train, held_out = every[fold != 0], every[fold == 0]
    cell.write_probe(train)
    validated["fifth probe"] = answers(cell.logits(cell.plain, held_out), cell.labels[held_out])
    trained = cell.fit(recipe, train)
    for name in POINTS:
        cell.write(trained.point(name))
        validated[f"fifth {name}"] = answers(cell.logits(cell.plain, held_out), cell.labels[held_out])
        points[f"fifth {name}"] = answers(cell.logits(cell.test), cell.truth)
    out_of_fold, models = _cross_validated(cell, recipe, every)
    validated |= {f"folds {name}": answers(logits, cell.labels) for name, logits in out_of_fold.items()}
    for name in POINTS:
        cell.write(mean_of([model.point(name) for model in models]))
        points[f"soup {name}"] = answers(cell.logits(cell.test), cell.truth)
    return {"seconds": round(sum(m.seconds for m in models), 2), "points": points, "validated": validated}


def _cross_validated(cell: Cell, recipe: Recipe, every: Rows) -> tuple[dict[str, Singles], list[Trained]]:
    """({probe or a point: (N, K) out-of-fold logits}, the model of each fold)."""
    fold = cell.folds(FOLDS)
    found = {name: np.zeros((len(every), cell.classifier.num_classes), np.float32) for name in ("probe", *POINTS)}
    models = []
    for number in range(FOLDS):
        train, left_out = every[fold != number], every[fold == number]
        cell.write_probe(train)
        found["probe"][left_out] = cell.logits(cell.plain, left_out)
        models.append(cell.fit(recipe, train))
        for name in POINTS:
            cell.write(models[-1].point(name))
            found[name][left_out] = cell.logits(cell.plain, left_out)
    return found, models


def measure(options: argparse.Namespace, kept: Kept) -> None:
    """All that was asked for and is not there yet, the first seed of everything first."""
    for seed, name in itertools.product(range(1, options.seeds + 1), options.sets):
        asked: list[tuple[str, str, Recipe | None]] = [("probe", CUT_POINT, None)]
        asked += [(variant, *VARIANTS[variant]) for variant in options.variants]
        asked += [("decision", CUT_POINT, BASE)] if options.decisions else []
        # Cut point by cut point, so that activations of one are in memory only.
        for cut_point, of_cut in itertools.groupby(sorted(asked, key=lambda a: a[1]), key=lambda a: a[1]):
            keys = {
                v: {"set": name, "seed": seed, "size": options.size, "variant": v, "cut_point": cut_point}
                for v, *_ in of_cut
            }
            waiting = [variant for variant, key in keys.items() if not kept.has(**key)]
            if not waiting:
                continue
            cell = Cell(name, seed=seed, model=MODEL, size=options.size, cut_point=cut_point)
            for variant in waiting:
                recipe = BASE if variant == "decision" else VARIANTS[variant][1] if variant in VARIANTS else None
                row = decided(cell, recipe) if variant == "decision" and recipe else tried(cell, recipe)
                labels = (
                    {"labels": cell.labels.tolist(), "fold": cell.folds(HELD_OUT_OF).tolist()}
                    if variant == "decision"
                    else {}
                )
                facts = {"train": len(cell.train), "prefix_seconds": cell.prefix_seconds, "truth": cell.truth.tolist()}
                kept.add({**keys[variant], **facts, **labels, **row})


class _Quiet(Kept):
    """Prints a line a row, without the answers for each image."""

    def add(self, row: Row) -> Row:
        """See `Kept.add`."""
        shown = {key: row[key] for key in ("set", "seed", "variant", "cut_point", "seconds")}
        truth: npt.NDArray[np.int64] = np.array(row["truth"])
        for point, found in row["points"].items():
            shown[point] = f"{(np.array(found['predicted']) == truth).mean():.3f} {np.mean(found['losses']):.3f}"
        print(shown, flush=True)
        with contextlib.redirect_stdout(io.StringIO()):
            return super().add(row)


def main() -> None:
    """Parse, measure what is not there yet, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--size", type=int, default=128, help="input side in pixels")
    parser.add_argument("--variants", nargs="*", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--decisions", action="store_true", help="also compare ways to decide between probe and suffix")
    parser.add_argument("--table", action="store_true", help="measure nothing")
    parser.add_argument("--write", action="store_true", help="write the section of docs/benchmarks.md")
    options = parser.parse_args()
    kept = _Quiet(NAME)
    if not options.table:
        measure(options, kept)
    text = section(kept.rows(), options.size)
    print(text)
    if options.write:
        replace_section(NAME, text)


if __name__ == "__main__":
    main()
