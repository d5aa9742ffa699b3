"""Whether alarms fire where a learning rate destroys a network, stay silent where it does not, and a rescue mends it.

    HEADSTART_DATA=FOLDER python benchmarks/alarms.py [--sets rsscn7 ...] [--variants 1e-4 ...] [--seeds 1 ...]
        [--epochs N] [--images N] [--table]

Every layer is trained with AdamW, without a linear probe before it, at 1e-2, at 1e-4, and at 1e-2 with --rescue: on at
most N training images of each set at 128 px. A row says which alarms were raised and in which epoch first, how
many epochs there were, and the accuracy on the test set. What is done is kept in build/alarms.jsonl.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from pathlib import Path
from typing import Literal, get_args

from measured import Kept, Row, where
from sets import SETS, SetName, folder_of

import headstart
from headstart.measures.intervals import wilson_interval
from headstart.plan.plan import Plan, TrainPhase
from headstart.runs.ledger import Ledger

NAME = "alarms"
VariantName = Literal["1e-2", "1e-4", "1e-2 --rescue"]
SIZE = 128
USUAL_SETS: tuple[SetName, ...] = ("hymenoptera", "rsscn7", "cifar10")


def plan_of_variant(folder: Path, variant: VariantName, *, epochs: int, images: int, seed: int = 1) -> Plan:
    """A plan that trains every layer from pretrained weights and a random head."""
    plan = headstart.make_plan(
        folder,
        strategy="full",
        lr=float(variant.split()[0]),
        after_alarm="rescue" if "rescue" in variant else "go_on",
        epochs=epochs,
        input_size=SIZE,
        limit_train=str(images),
        limit_test=str(images),
        seed=seed,
        progress="none",
    )
    (phase,) = (one for one in plan.phases if isinstance(one, TrainPhase))
    return plan.changed(phases=(phase.model_copy(update={"head_refit_views": 0}),))


def measured_run(folder: Path, variant: VariantName, *, epochs: int, images: int, seed: int = 1) -> Row:
    """Alarms with the epoch in which each was raised first, epochs, lowest similarity, and the test accuracy."""
    plan = plan_of_variant(folder, variant, epochs=epochs, images=images, seed=seed)
    with tempfile.TemporaryDirectory() as parent:
        result = headstart.train(plan, out=Path(parent) / "run", progress="none")
        entries = Ledger(result.run.folder).entries()
    alarms: dict[str, int] = {}
    for warning in result.metrics.warnings:
        if "alarm" in warning.numbers and "evidence" in warning.numbers:
            alarms.setdefault(warning.kind, int(warning.numbers["epoch"]))
    return {
        "variant": variant,
        "alarms": alarms,
        "rescues": sum(warning.kind.startswith("rescued") for warning in result.metrics.warnings),
        "epochs": len(entries),
        "similarity": entries[-1].similarity,
        "accuracy": result.accuracy,
        "images": result.images,
        "best_validation": max(row.validation_accuracy for row in result.metrics.epochs),
    }


def table(rows: list[Row]) -> list[str]:
    """Lines of Markdown, one a run."""
    lines = [
        "| set | images | seed | learning rate | alarms (epoch) | rescues | epochs | lowest CKA | test accuracy |",
        "|---|--:|--:|---|---|--:|--:|--:|--:|",
    ]
    for row in rows:
        alarms = ", ".join(f"{name.replace('_', ' ')} ({epoch})" for name, epoch in row["alarms"].items()) or "none"
        similarity = "-" if row["similarity"] is None else f"{row['similarity']:.2f}"
        lines.append(
            f"| {row['set']} | {row['limit']} | {row['seed']} | {row['variant']} | {alarms} | {row['rescues']} | "
            f"{row['epochs']} | {similarity} | {_accuracy_text(row)} |"
        )
    return lines


def _accuracy_text(row: Row) -> str:
    """`0.908 of 153 (0.851 to 0.945)`."""
    low, high = wilson_interval(round(row["accuracy"] * row["images"]), row["images"])
    return f"{row['accuracy']:.3f} of {row['images']} ({low:.3f} to {high:.3f})"


def main() -> None:
    """Run what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="*", choices=SETS, default=USUAL_SETS)
    parser.add_argument("--variants", nargs="*", choices=get_args(VariantName), default=get_args(VariantName))
    parser.add_argument("--seeds", nargs="*", type=int, default=[1])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--images", type=int, default=280)
    parser.add_argument("--table", action="store_true", help="only print what is there")
    given = parser.parse_args()
    kept = Kept(NAME)
    cells = () if given.table else itertools.product(given.seeds, given.sets, given.variants)
    for seed, name, variant in cells:
        what = {"set": name, "variant": variant, "seed": seed, "planned_epochs": given.epochs, "limit": given.images}
        if not kept.has(**what):
            row = measured_run(folder_of(name), variant, epochs=given.epochs, images=given.images, seed=seed)
            kept.add({**what, **row})
    print("\n".join(table([row for row in kept.rows() if row["set"] in given.sets])))
    print(where())


if __name__ == "__main__":
    main()
