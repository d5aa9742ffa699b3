"""The shortlist over four networks against the truth by training, on four sets: what its first pick costs.

    python scripts/extract_mobilenet_trunk.py build/mobilenet_v2.safetensors
    HEADSTART_DATA=FOLDER python benchmarks/shortlist_truth.py [--strategies feature_extraction] [--sets ...]

The truth is accuracy on test images, after `headstart train` with a strategy. The shortlist looks at
training images alone. Trainings and shortlists are fresh processes and lines of build/shortlist_truth.jsonl; what
stands there is not done again. Accuracy does not depend on how fast the machine is. Writes two sections of
docs/guide/shortlist.md after every line.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from measured import BUILD, Row, in_new_process
from sets import SETS, SetName, folder_of
from shortlist_table import section

HOME = BUILD / "shortlist-home"
KEPT = BUILD / "shortlist_truth.jsonl"
GUIDE = Path(__file__).parents[1] / "docs" / "guide" / "shortlist.md"
TRUNK = BUILD / "mobilenet_v2.safetensors"
STRATEGIES = ("feature_extraction", "probe_then_tune")
LITES = {f"lite{number}": f"tf_efficientnet_lite{number}" for number in range(3)}
NETWORKS = (*LITES, "mobilenet_v2")


@dataclass(frozen=True, slots=True)
class Asked:
    """How a set is trained and looked at."""

    options: tuple[str, ...] = ()
    """Of `train` and `shortlist` alike."""


ASKED: dict[SetName, Asked] = {
    "hymenoptera": Asked(),
    "cifar10": Asked(("--input-size", "128")),
    "rsscn7": Asked(),
    # NIH's patient number; of the other source what pictures of one publication share, as benchmarks/sets.py divides.
    "chest_xray": Asked(("--group", r"/(\d{8}(?=_)|[^/]{1,20})[^/]*$")),
}


def rows() -> list[Row]:
    if not KEPT.is_file():
        return []
    return [json.loads(line) for line in KEPT.read_text(encoding="utf-8").splitlines()]


def is_kept(**key: object) -> bool:
    return any(all(row.get(name) == value for name, value in key.items()) for row in rows())


def keep(row: Row) -> None:
    KEPT.parent.mkdir(exist_ok=True)
    with KEPT.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    print(json.dumps({name: value for name, value in row.items() if name not in ("right", "rounds")}), flush=True)


def trained(name: SetName, model: str, strategy: str) -> dict[str, Any]:
    """Accuracy on test images, and on which of them the bundle is right."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        words = [
            "-m",
            "headstart",
            "train",
            str(folder_of(name)),
            "--model",
            model,
            "--strategy",
            strategy,
        ]
        answer, seconds = in_new_process([*words, *ASKED[name].options, "--out", str(out), "--json"], home=HOME)
        table = pq.read_table(out / "predictions.parquet", columns=["image", "label", "predicted"]).sort_by("image")
    pairs = zip(table["label"].to_pylist(), table["predicted"].to_pylist(), strict=True)
    return {
        "accuracy": answer["test"]["accuracy"],
        "right": "".join("1" if label == predicted else "0" for label, predicted in pairs),
        "kept": answer["selected"]["checkpoint"],
        "seconds": seconds,
    }


def shortlisted(name: SetName, models: Sequence[str], length: int) -> dict[str, Any]:
    """The order of a shortlist of some length, and every score in every round."""
    words = ["-m", "headstart", "shortlist", str(folder_of(name)), "--models", ",".join(models), "--json"]
    answer, seconds = in_new_process([*words, "--keep", str(length), *ASKED[name].options], home=HOME)
    return {
        "ranking": [short(row["model"]) for row in answer["ranking"]],
        "scores": {
            short(row["model"]): {score: row[score] for score in ("log_loss", "logme", "h_score", "knn_accuracy")}
            | {"imagenet_top1": row["imagenet_top1"], "accuracy": row["accuracy"]}
            for row in answer["ranking"]
        },
        "first_two": answer["first_two"],
        "tied": [short(model) for model in answer["tied_with_first"]],
        "rounds": [[row["images"], len(row["scores"])] for row in answer["rounds"]],
        "seconds": seconds,
    }


def short(model: str) -> str:
    """`lite0` for the name in full."""
    architecture = model.partition(":")[0]
    return next((key for key, value in LITES.items() if value == architecture), architecture)


def jobs(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """What is to be done, in order; the trainings leave every feature in the store that shortlists ask for."""
    for strategy in options.strategies:
        for name in options.sets:
            yield from ({"what": "truth", "strategy": strategy, "set": name, "model": model} for model in NETWORKS)
        if strategy == options.strategies[0]:
            yield from ({"what": "shortlist", "set": n, "length": length} for n in options.sets for length in (1, 4))


def run(options: argparse.Namespace) -> int:
    """Do what is not done; the number of trainings and shortlists that failed."""
    names = {**LITES, "mobilenet_v2": f"mobilenet_v2:file:{options.trunk}"}
    failed = 0
    for job in jobs(options):
        if is_kept(**job):
            continue
        print("...", job, file=sys.stderr, flush=True)
        try:
            if job["what"] == "truth":
                found = trained(job["set"], names[job["model"]], job["strategy"])
            else:
                found = shortlisted(job["set"], list(names.values()), job["length"])
        except RuntimeError as error:
            print(error, file=sys.stderr, flush=True)
            failed += 1
            continue
        keep({**job, **found})
        write()
    return failed


def write() -> None:
    from sections import replace_section

    for strategy in STRATEGIES:
        text = section(rows(), strategy=strategy, sets=SETS, networks=NETWORKS)
        if text:
            replace_section(f"truth-{strategy.replace('_', '-')}", text, GUIDE)


def listed(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=listed, default=list(SETS), help="of " + ", ".join(SETS))
    parser.add_argument("--strategies", type=listed, default=list(STRATEGIES), help="of " + ", ".join(STRATEGIES))
    parser.add_argument("--trunk", type=Path, default=TRUNK, help="MobileNetV2's weights, made by the script above")
    parser.add_argument("--table-only", action="store_true", help="train nothing, write the sections")
    options = parser.parse_args()
    failed = 0 if options.table_only else run(options)
    write()
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
