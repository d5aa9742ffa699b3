"""Ten thousand images: how near the store is filled to what the machine can do, a second training, and the expert.

    HEADSTART_DATA=FOLDER python benchmarks/ten_thousand.py [--parts fill again expert] [--rounds N] [--quick]

- fill: folder to stored features against the bound 1 / (decode / cores + trunk), start-up excluded: ten thousand
  CIFAR-10 images at 224 px, and the photos, x-rays, aerial images and pages of the other sets, whose decoding counts.
  Piece by piece, in turns: one thread that only makes views, all cores that only run the network, and the real thing.
- again: `headstart train` on the ten thousand, and once more with other heads and the same $HEADSTART_HOME.
- expert: the first of those, cold, against peers/expert_lines.py on the same folder; whole processes.

CIFAR-10's ten thousand are 8,000 training and 2,000 test images. What is done is kept in build/ten-thousand.jsonl.
Writes its section of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tarfile
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from measured import Kept, Row, in_new_process, spread, where
from sections import replace_section
from sets import FOLDER

from headstart.data.checks.image_checks import read_all
from headstart.data.loading import cores, read_view
from headstart.data.sources.reading import ImageRecord, open_source
from headstart.measures.intervals import wilson_interval

NAME = "ten-thousand"
PARTS = ("fill", "again", "expert")
TRAIN, VAL = 8_000, 2_000
MODEL = "tf_efficientnet_lite0"
PIECE, SAMPLE = 1_000, 256
"""Images of a piece of the real thing; of the bounds beside it."""
BOUND_GOAL, AGAIN_GOAL, EXPERT_GOAL = 0.90, 8.0, 4.0
OTHER_SETS = ("hymenoptera", "rsscn7", "chest_xray", "documents")
EXPERT = Path(__file__).parent / "peers" / "expert_lines.py"

FIRST = ("--strategy", "feature_extraction")
AGAIN: dict[str, tuple[str, ...]] = {
    "ridge": ("--head-solver", "ridge"),
    "other folds": ("--seed", "1"),
    "mlp": ("--head", "mlp", "--augmentation", "none"),
}
"""Other heads that read the view which the first one stored."""


def cifar_folder(train: int, val: int) -> Path:
    """`train` images of CIFAR-10's train and `val` of its test as folders of train and val; as many of every class."""
    folder = FOLDER / f"cifar10-{train + val}"
    if folder.is_dir():
        return folder
    aside = folder.with_name(folder.name + ".part")
    rng = np.random.default_rng(0)
    with tarfile.open(Path(os.environ["HEADSTART_DATA"]) / "cifar10.tar") as archive:
        by_class: dict[tuple[str, str], list[tarfile.TarInfo]] = defaultdict(list)
        for member in sorted((m for m in archive if m.isfile()), key=lambda m: m.name):
            split, label, _ = member.name.split("/")
            by_class[split, label].append(member)
        classes = len({label for _, label in by_class})
        for (split, label), members in sorted(by_class.items()):
            side, count = ("train", train // classes) if split == "train" else ("val", val // classes)
            for position in sorted(rng.permutation(len(members))[:count]):
                file = archive.extractfile(members[position])
                assert file is not None
                path = aside / side / label / Path(members[position].name).name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(file.read())
    aside.rename(folder)
    return folder


def records_of(name: str, folder: Path, limit: int | None) -> list[ImageRecord]:
    """All images of a fill, in an order that mixes its sets."""
    if name == "cifar10":
        records = list(open_source(str(folder)).records)
    else:
        data = Path(os.environ["HEADSTART_DATA"])
        records = [record for one in OTHER_SETS for record in open_source(str(data / f"{one}.tar")).records]
    return [records[i] for i in np.random.default_rng(0).permutation(len(records))[:limit]]


def fill(records: Sequence[ImageRecord], piece: int) -> Row:
    """Seconds of the real thing and of its two bounds; the store begins empty, the engine is chosen beforehand."""
    from headstart.engine.known.features import pooled_part
    from headstart.engine.prefix.running import SAMPLE_IMAGES
    from headstart.engine.store.activations import Activations, View
    from headstart.engine.store.store import EVALUATION, ActivationStore
    from headstart.networks.backbone import build_classifier
    from headstart.networks.cards.finding import find_model

    choice = find_model(MODEL)
    spec = choice.card.input
    classifier = build_classifier(choice, kind="linear", num_classes=2, seed=0)
    part, view = pooled_part(classifier), View(EVALUATION, EVALUATION, lambda record: read_view(record, spec))
    first = np.stack([view.prepare(record) for record in records[:SAMPLE_IMAGES]])
    # The engine of the bound; the store chooses its own, in the same way and from the same export.
    engine = part.runner.engine(
        first, label=part.label, images_to_come=len(records), requested="auto", on_note=lambda text: None
    )
    taken = {"check": 0.0, "reader": 0.0, "decode": 0.0, "trunk": 0.0}
    sampled = 0

    def clocked(what: str, started: float) -> None:
        taken[what] += time.perf_counter() - started

    digests: dict[str, bytes] = {}
    activations = Activations(part, spec, digests, ActivationStore(), images_to_come=len(records))
    warm = read_all(records[:SAMPLE_IMAGES])
    digests.update((name, bytes.fromhex(digest)) for name, digest in warm.digests.items())
    activations.reader(records[:SAMPLE_IMAGES], [view])
    for start in range(SAMPLE_IMAGES, len(records), piece):
        chunk = records[start : start + piece]
        some = chunk[:: max(1, len(chunk) // SAMPLE)][:SAMPLE]
        started = time.perf_counter()
        views = [view.prepare(record) for record in some]
        clocked("decode", started)
        ready = np.stack(views)
        started = time.perf_counter()
        engine.run(ready)
        clocked("trunk", started)
        sampled += len(some)
        started = time.perf_counter()
        facts = read_all(chunk)
        clocked("check", started)
        digests.update((name, bytes.fromhex(digest)) for name, digest in facts.digests.items())
        started = time.perf_counter()
        activations.reader(chunk, [view])
        clocked("reader", started)
    return {
        "images": len(records) - SAMPLE_IMAGES,
        "engine": " and ".join(sorted({engine.name, activations.engine_name or engine.name})),
        "check_ms": 1e3 * taken["check"] / (len(records) - SAMPLE_IMAGES),
        "reader_ms": 1e3 * taken["reader"] / (len(records) - SAMPLE_IMAGES),
        "decode_ms": 1e3 * taken["decode"] / sampled,
        "trunk_ms": 1e3 * taken["trunk"] / sampled,
        "cores": cores(),
    }


def train(folder: Path, home: Path, arguments: Sequence[str]) -> Row:
    """One `headstart train`: seconds of the process and of its parts, and its accuracy."""
    with tempfile.TemporaryDirectory() as scratch:
        out = ["--json", "--out", f"{scratch}/run"]
        command = ["-m", "headstart", "train", str(folder), *FIRST, *arguments, *out]
        answer, seconds = in_new_process(command, home=home)
    own = {name: round(value, 2) for name, value in answer["seconds"].items()}
    return {
        "seconds": seconds,
        "parts": own,
        "accuracy": answer["test"]["accuracy"],
        "images": answer["test"]["images"],
    }


def rounds(folder: Path, kept: Kept, parts: Sequence[str], count: int) -> None:
    """Ours cold, ours again with other heads, and the expert, in turns."""
    for number in range(count):
        what = {"part": "train", "folder": folder.name, "round": number, "with_others": "again" in parts}
        if not kept.has(**what):
            with tempfile.TemporaryDirectory() as home:
                row = {"first": train(folder, Path(home), ())}
                if "again" in parts:
                    row["again"] = {head: train(folder, Path(home), options) for head, options in AGAIN.items()}
            kept.add({**what, **row})
        what = {"part": "expert", "folder": folder.name, "round": number}
        if "expert" in parts and not kept.has(**what):
            answer, seconds = in_new_process([str(EXPERT), str(folder)])
            kept.add({**what, "seconds": seconds, "accuracy": answer["accuracy"], "images": len(answer["truth"])})


def fills(folder: Path, kept: Kept, *, quick: bool) -> None:
    """Each in a process of its own, with an empty home."""
    for name in ("cifar10", "photos"):
        if kept.has(part="fill", set=name):
            continue
        with tempfile.TemporaryDirectory() as home:
            arguments = [__file__, "--fill", name, "--folder", str(folder), *(["--quick"] if quick else [])]
            row, _ = in_new_process(arguments, home=Path(home))
        kept.add({"part": "fill", "set": name, **row})


def section(rows: list[Row]) -> str:
    lines = [
        "## Ten thousand images",
        "",
        "Written by `python benchmarks/ten_thousand.py`, EfficientNet-Lite0 at 224 px.",
        f"{where(('torch', 'timm', 'onnxruntime', 'scikit-learn'))}.",
        "",
    ]
    found = [row for row in rows if row["part"] == "fill"]
    if found:
        lines += _fill_lines(found)
    trained = [row for row in rows if row["part"] == "train"]
    expert = [row for row in rows if row["part"] == "expert"]
    if trained:
        lines += _train_lines(trained, expert)
    return "\n".join(lines)


def _fill_lines(rows: list[Row]) -> list[str]:
    lines = [
        "Folder to stored features, milliseconds an image, start-up excluded. The bound is 1 / (decode / cores +",
        "trunk): decode is one thread that makes views, trunk is all cores that run the network on ready arrays.",
        "`check` is the pass before it, which decodes every file in full, finds broken ones and copies, and gives the",
        "rows their names.",
        "",
        "| images | engine | decode | trunk | bound | filling | of the bound | goal | reached | check | both of it |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        bound = row["decode_ms"] / row["cores"] + row["trunk_ms"]
        share, whole = bound / row["reader_ms"], bound / (row["reader_ms"] + row["check_ms"])
        reached = "yes" if share >= BOUND_GOAL else "no"
        lines.append(
            f"| {row['images']:,} of {row['set']} | {row['engine']} | {row['decode_ms']:.2f} | {row['trunk_ms']:.2f} | "
            f"{bound:.2f} | {row['reader_ms']:.2f} | {share:.2f} | {BOUND_GOAL:.2f} | {reached} | "
            f"{row['check_ms']:.2f} | {whole:.2f} |"
        )
    return [*lines, ""]


def _train_lines(trained: list[Row], expert: list[Row]) -> list[str]:
    first = [row["first"] for row in trained]
    own = statistics.median(row["seconds"] for row in first)
    lines = [
        f"Whole processes with start-up on {trained[0]['folder']} ({first[0]['images']:,} of the images report); the",
        "first of ours has an empty `$HEADSTART_HOME`, those that follow have what it left.",
        "",
        "| side | seconds (median) | ratio | goal | reached | accuracy (95 % interval, first round) |",
        "|---|---|---|---|---|---|",
        f"| headstart, linear head, cold | {spread([row['seconds'] for row in first])} | | | | {_accuracy(first[0])} |",
    ]
    for head in AGAIN:
        again = [row["again"][head] for row in trained if "again" in row]
        if again:
            ratio = own / statistics.median(row["seconds"] for row in again)
            told = f"{ratio:.1f} times sooner | {AGAIN_GOAL:g} | {'yes' if ratio >= AGAIN_GOAL else 'no'}"
            times = spread([row["seconds"] for row in again])
            lines.append(f"| headstart again, {head} | {times} | {told} | {_accuracy(again[0])} |")
    if expert:
        ratio = statistics.median(row["seconds"] for row in expert) / own
        told = f"ours {ratio:.1f} times sooner | {EXPERT_GOAL:g} | {'yes' if ratio >= EXPERT_GOAL else 'no'}"
        times = spread([row["seconds"] for row in expert])
        lines.append(f"| the expert's lines | {times} | {told} | {_accuracy(expert[0])} |")
    lines += ["", f"Parts of the first, seconds by its own clock: {json.dumps(first[0]['parts'])}."]
    if "again" in trained[0]:
        told = "; ".join(f"{head} {json.dumps(row['parts'])}" for head, row in trained[0]["again"].items())
        lines.append(f"Of those that follow: {told}.")
    return [*lines, ""]


def _accuracy(row: Row) -> str:
    low, high = wilson_interval(round(row["accuracy"] * row["images"]), row["images"])
    return f"{row['accuracy']:.3f} ({low:.3f}..{high:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a hundred images: a smoke test")
    one = parser.add_argument_group("one fill, as the script calls itself")
    one.add_argument("--fill")
    one.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.fill:
        records = records_of(options.fill, options.folder, 100 if options.quick else None)
        print(json.dumps(fill(records, 50 if options.quick else PIECE)))
        return
    kept = Kept(f"{NAME}-quick" if options.quick else NAME)
    folder = cifar_folder(*((200, 100) if options.quick else (TRAIN, VAL)))
    if "fill" in options.parts:
        fills(folder, kept, quick=options.quick)
    if {"again", "expert"} & set(options.parts):
        rounds(folder, kept, options.parts, options.rounds)
    text = section(kept.rows())
    print(text)
    if not options.quick:
        replace_section(NAME, text)


if __name__ == "__main__":
    main()
