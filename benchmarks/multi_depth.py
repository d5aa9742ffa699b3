"""The head on all depths against the plain one: accuracy on the same test images, seconds, memory.

    HEADSTART_DATA=FOLDER python benchmarks/multi_depth.py [--parts fits whole memory] [--seeds 1 2 3] [--rounds N]

- fits: features of five sets once; for each seed another division by classes and groups, on which three heads are
  fitted: plain, the best share of the features of all depths (how earlier versions chose), and the features of all
  depths with the same total variance in both parts (now). CPU seconds of the fits, and who classifies what correctly.
- whole: `headstart train` with `--head linear` and `--head multi_depth` on CIFAR-10 with 1,000 labels, in turns, cold.
- memory: peak of both fits on 10,000 and on 50,000 rows in the store.

What is done is kept in build/multi-depth.jsonl. Writes its section of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from measured import Kept, Row, in_new_process, spread, where
from paired import Z95, Difference, difference
from sections import replace_section
from sets import PUBLICATION_LETTERS, folder_of

from headstart.data.checks.image_checks import read_all
from headstart.data.sources.reading import ImageRecord, open_source
from headstart.data.splits import deal_folds
from headstart.engine.store.stored_rows import StoredRows
from headstart.measures.metrics import paired_p_value, sharpened_log_losses
from headstart.networks.cards.finding import find_model
from headstart.solvers.columns import ColumnRows, FeatureMask, widened
from headstart.solvers.head_solver import HeadProblem, head_problem
from headstart.solvers.linear_head import LinearHead
from headstart.solvers.rows import RowSource, matrix_of_rows
from headstart.training.probe.multi_depth import DepthProblem, PlainFit, evaluate_plain, fit_plain, solve_depths

NAME = "multi-depth"
MODEL = "tf_efficientnet_lite0"
SETS = ("cifar10", "rsscn7", "chest_xray", "hymenoptera", "documents")
TEST_FOLDS = {"cifar10": 3, "hymenoptera": 3}
"""One of so many folds is the test set, of CIFAR-10 the training set; 5 where it is not said."""
SIDES = ("plain", "share", "now")
SHARES = (0.1, 0.25, 0.5)
MOST = 2.0
ROWS = (10_000, 50_000)
CLASSES = 10


def records_of(name: str, limit: int | None) -> list[ImageRecord]:
    source = folder_of("cifar10") if name == "cifar10" else Path(os.environ["HEADSTART_DATA"]) / f"{name}.tar"
    records = list(open_source(str(source)).records)
    return records if limit is None else records[:: max(1, len(records) // limit)]


def group_of(name: str, record: ImageRecord) -> str:
    """Patient or publication of an x-ray, book of a page; of other sets the image itself."""
    file = record.id.split("/")[-1]
    if name == "documents":
        return file.split("__")[0]
    if name == "chest_xray":
        patient = re.match(r"(\d{8})_", file)
        return patient.group(1) if patient else file[:PUBLICATION_LETTERS]
    return record.id


def features(records: Sequence[ImageRecord]) -> tuple[RowSource, int]:
    """(rows of all depths, how many features come first that are the last layer's), from the store or into it."""
    from headstart.engine.known.features import pooled_part
    from headstart.engine.prefix.depth_features import with_depths
    from headstart.engine.store.activations import Activations, plain_view
    from headstart.engine.store.store import ActivationStore
    from headstart.networks.backbone import build_classifier

    choice = find_model(MODEL)
    spec = choice.card.input
    classifier = with_depths(build_classifier(choice, kind="linear", num_classes=2, seed=0), spec.size)
    digests = {name: bytes.fromhex(digest) for name, digest in read_all(records).digests.items()}
    cached = Activations(pooled_part(classifier), spec, digests, ActivationStore())
    return StoredRows(cached.reader(records, [plain_view(spec)])), classifier.num_last_features


def best_share(problem: DepthProblem, plain: PlainFit) -> LinearHead:
    """The head of earlier versions (after Head2Toe): on the share of features that predicts best out of fold."""
    folds, labels = np.asarray(problem.folds), problem.labels
    everything = problem.of(problem.train)
    choice = everything.choose(folds)
    predicted = {1.0: np.asarray(choice.out_of_fold_NK, np.float64)}
    predicted |= {share: np.zeros_like(predicted[1.0]) for share in SHARES}
    for fold in np.unique(folds):
        inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        seen, unseen = problem.train.subset(inside), problem.train.subset(outside)
        scores = _scores(problem.of(problem.train, positions=inside), seen, choice.l2_penalty)
        for share in SHARES:
            kept = _best(scores, share)
            narrow = head_problem(ColumnRows(seen, kept), labels[inside], problem.num_classes)
            head = narrow.solve(choice.l2_penalty)
            predicted[share][outside] = head.probabilities_of(ColumnRows(unseen, kept))
    own = np.arange(len(labels))
    share = min(predicted, key=lambda one: (-np.log(np.clip(predicted[one][own, labels], 1e-12, 1)).mean(), -one))
    kept = np.ones(problem.train.width, bool)
    if share < 1.0:
        kept = _best(_scores(everything, problem.train, choice.l2_penalty), share)
    head = problem.of(ColumnRows(problem.train, kept)).solve(choice.l2_penalty)
    old = evaluate_plain(problem, plain).probabilities_NK
    fewer = (predicted[share].argmax(axis=1) == labels).mean() > (old.argmax(axis=1) == labels).mean()
    p_value = paired_p_value(sharpened_log_losses(old, labels), sharpened_log_losses(predicted[share], labels))
    is_better = fewer and p_value < problem.significance_level
    return widened(head, kept) if is_better else widened(plain.head, problem.last)


def _scores(problem: HeadProblem, rows: RowSource, l2_penalty: float) -> np.ndarray:
    """(F,) norm over the classes of the weights of standardised features."""
    deviation = matrix_of_rows(rows).std(axis=0, dtype=np.float64)
    return np.asarray(np.linalg.norm(problem.solve(l2_penalty).weight_KF, axis=0) * deviation)


def _best(scores: np.ndarray, share: float) -> FeatureMask:
    kept = np.zeros(len(scores), bool)
    kept[np.argsort(-scores, kind="stable")[: math.ceil(share * len(scores))]] = True
    return kept


def fits(name: str, seeds: Sequence[int], limit: int | None, kept: Kept) -> None:
    """One row for each seed: seconds of the fits, and the test images that each head classifies correctly."""
    missing = [seed for seed in seeds if not kept.has(part="fits", set=name, seed=seed)]
    if not missing:
        return
    records = records_of(name, limit)
    rows, last = features(records)
    classes = sorted({record.label for record in records})
    labels = np.array([classes.index(record.label) for record in records], np.int64)
    for seed in missing:
        groups = {record.id: group_of(name, record) for record in records}
        fold_of = np.array(deal_folds(records, groups, most=TEST_FOLDS.get(name, 5), seed=seed))
        train = np.flatnonzero((fold_of == 0) == (name == "cifar10"))
        test = np.setdiff1d(np.arange(len(records)), train)
        folds = deal_folds([records[i] for i in train], groups, most=5, seed=seed + 1)
        problem = DepthProblem(
            rows.subset(train), labels[train], len(classes), last, folds, None, "train", None, "logistic", 0.05, seed
        )
        kept.add({"part": "fits", "set": name, "seed": seed, **_fitted(problem, rows.subset(test), labels[test], test)})


def _fitted(problem: DepthProblem, rows: RowSource, labels: np.ndarray, numbers: np.ndarray) -> Row:
    import scipy.optimize  # noqa: F401 - its import is not part of the first fit

    seconds, heads = {}, {}

    def timed(side: str, fit: Callable[[], LinearHead]) -> None:
        started = time.process_time()
        heads[side] = fit()
        seconds[side] = time.process_time() - started

    # Each side reads its rows from the store, as a run does, and both of the wider ones fit the plain head too.
    timed("plain", lambda: evaluate_plain(problem, fit_plain(problem)).head)
    timed("share", lambda: best_share(problem, fit_plain(problem)))
    timed("now", lambda: solve_depths(problem).selected.head)
    correct = {side: head.probabilities_of(rows).argmax(axis=1) == labels for side, head in heads.items()}
    return {
        "images": problem.train.rows,
        "classes": problem.num_classes,
        "seconds": seconds,
        "wider": {side: bool(heads[side].weight_KF[:, ~problem.last].any()) for side in ("share", "now")},
        "predicted": {side: found.astype(int).tolist() for side, found in correct.items()},
        "truth": numbers.tolist(),
    }


def whole(rounds: int, kept: Kept, *, quick: bool) -> None:
    """Both commands in turns, each with an empty home."""
    folder = folder_of("hymenoptera" if quick else "cifar10")
    for number in range(rounds):
        for head in ("linear", "multi_depth") if number % 2 == 0 else ("multi_depth", "linear"):
            if kept.has(part="whole", head=head, round=number):
                continue
            with tempfile.TemporaryDirectory() as home, tempfile.TemporaryDirectory() as scratch:
                before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
                command = ["-m", "headstart", "train", str(folder), "--strategy", "feature_extraction", "--head", head]
                out = ["--seed", "1", "--json", "--out", f"{scratch}/run"]
                answer, seconds = in_new_process([*command, *out], home=Path(home))
                user = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
            accuracy = answer["test"]["accuracy"]
            row = {"seconds": seconds, "user": user, "accuracy": accuracy, "images": answer["test"]["images"]}
            kept.add({"part": "whole", "head": head, "round": number, **row})


def memory(count: int) -> Row:
    """What a process of its own does: its peak memory in MB after each of the fits."""
    from headstart.engine.store.shards import Tensor
    from headstart.engine.store.store import ActivationStore, SpaceKey, row_ids

    width, last, rng = 1776, 1280, np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, count)
    centres = rng.normal(size=(CLASSES, width)).astype(np.float32)
    spec = find_model(MODEL).card.input
    key = SpaceKey("rows", "w", "pooled at every depth", spec, "1", "none", "1", "float16", "evaluation", "none")
    space = ActivationStore().space(key, (Tensor((width,)),))
    ids = row_ids([number.to_bytes(16, "big") for number in range(count)], "evaluation")
    with space.writer() as writer:
        for start in range(0, count, 1000):
            some = labels[start : start + 1000]
            noise = rng.normal(size=(len(some), width)).astype(np.float32)
            writer.add(ids[start : start + 1000], [0.15 * centres[some] + noise])
    rows = StoredRows(space.reader(ids))
    folds = np.arange(count) % 5
    problem = DepthProblem(rows, labels, CLASSES, last, folds, None, "train", None, "logistic", 0.05, 0)
    started = time.process_time()
    plain = fit_plain(problem)
    seconds = {"plain": time.process_time() - started}
    peak = {"plain": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
    solve_depths(replace(problem), plain)
    seconds["now"] = time.process_time() - started
    peak["now"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"rows": count, "seconds": seconds, "peak": peak}


def section(rows: list[Row]) -> str:
    lines = [
        "## The head on all depths",
        "",
        "Written by `python benchmarks/multi_depth.py`, EfficientNet-Lite0 at 224 px: `--head multi_depth` against the",
        f"plain linear probe. {where()}.",
        "",
    ]
    for part, made in (("fits", _fits_lines), ("whole", _whole_lines), ("memory", _memory_lines)):
        if found := [row for row in rows if row["part"] == part]:
            lines += made(found)
    return "\n".join(lines)


def _fits_lines(rows: list[Row]) -> list[str]:
    seeds = sorted({row["seed"] for row in rows})
    lines = [
        f"Each set divided anew with {len(seeds)} seeds, in whole groups where it has them; each head fitted on the",
        "same training images and evaluated on the same test images. *Share*: the best 10 to 100 % of the features, as",
        "earlier versions chose them. *Now*: all of them, both parts with the same total variance. Either is selected",
        "only where it is significantly better out of fold. Points of accuracy, 95 % intervals over images; CPU",
        "seconds of the fits.",
        "",
        "| images | test | plain | share | now | now - plain | now - share | selected | s: plain, share, now | ratio |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    differences: dict[str, list[Difference]] = {"plain": [], "share": []}
    for name in SETS:
        found = [row for row in rows if row["set"] == name]
        if not found:
            continue
        right = {side: _by_image(found, side) for side in SIDES}
        for other, all_of in differences.items():
            all_of.append(difference(right["now"], right[other]))
        middle = {side: statistics.median(row["seconds"][side] for row in found) for side in SIDES}
        selected = sum(row["wider"]["now"] for row in found)
        accuracies = " | ".join(f"{right[side].mean():.3f}" for side in SIDES)
        lines.append(
            f"| {found[0]['images']:,} of {name}, {found[0]['classes']} classes | {right['now'].size} | {accuracies} | "
            f"{_points(differences['plain'][-1])} | {_points(differences['share'][-1])} | {selected} of {len(found)} | "
            f"{', '.join(f'{middle[side]:.2f}' for side in SIDES)} | {middle['now'] / middle['plain']:.2f} |"
        )
    mean = {other: _pooled(found) for other, found in differences.items()}
    lines.append(f"| mean of the sets | | | | | {_points(mean['plain'])} | {_points(mean['share'])} | | | |")
    return [*lines, ""]


def _by_image(rows: list[Row], side: str) -> np.ndarray:
    """(N,) share of the seeds that tested an image in which it was classified correctly."""
    count = 1 + max(max(row["truth"]) for row in rows)
    tested, right = np.zeros(count), np.zeros(count)
    for row in rows:
        tested[row["truth"]] += 1
        right[row["truth"]] += row["predicted"][side]
    seen = tested > 0
    return np.asarray(right[seen] / tested[seen])


def _pooled(found: Sequence[Difference]) -> Difference:
    """Mean over the sets, each counted once; the sets are independent."""
    mean = statistics.mean(one.mean for one in found)
    deviation = math.sqrt(sum(((one.high - one.low) / (2 * Z95)) ** 2 for one in found)) / len(found)
    return Difference(mean, mean - Z95 * deviation, mean + Z95 * deviation, sum(one.images for one in found))


def _points(found: Difference) -> str:
    return f"{100 * found.mean:+.1f} ({100 * found.low:+.1f}..{100 * found.high:+.1f})"


def _whole_lines(rows: list[Row]) -> list[str]:
    by_head = {head: [row for row in rows if row["head"] == head] for head in ("linear", "multi_depth")}
    lines = [
        "Whole commands in turns, 1,000 labels of CIFAR-10 and 2,000 test images, `$HEADSTART_HOME` empty:",
        "",
        "| head | seconds | CPU seconds | test accuracy |",
        "|---|---|---|---|",
    ]
    for head, found in by_head.items():
        seconds, user = (spread([row[key] for row in found]) for key in ("seconds", "user"))
        lines.append(f"| `{head}` | {seconds} | {user} | {found[0]['accuracy']:.3f} |")
    pairs = list(zip(by_head["multi_depth"], by_head["linear"], strict=False))
    ratios = [statistics.median(a[key] / b[key] for a, b in pairs) for key in ("seconds", "user")]
    reached = "yes" if ratios[0] <= MOST else "no"
    lines += [
        "",
        f"multi_depth / linear: {ratios[0]:.2f} (CPU {ratios[1]:.2f}); at most {MOST:g}; reached: {reached}.",
        "",
    ]
    return lines


def _memory_lines(rows: list[Row]) -> list[str]:
    lines = [
        f"Both fits on rows of 1,776 features in the store, {CLASSES} classes; peak memory of the whole process:",
        "",
        "| rows | plain, MB | with the wider head, MB | CPU s: plain, both |",
        "|---|---|---|---|",
    ]
    for row in rows:
        peak, seconds = row["peak"], row["seconds"]
        told = f"{seconds['plain']:.0f}, {seconds['now']:.0f}"
        lines.append(f"| {row['rows']:,} | {peak['plain']:.0f} | {peak['now']:.0f} | {told} |")
    return [*lines, ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=["fits", "whole", "memory"])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="few images: a smoke test")
    parser.add_argument("--rows", type=int, help="of the memory part, as the script calls itself")
    options = parser.parse_args()
    if options.rows:
        print(json.dumps(memory(options.rows)))
        return
    kept = Kept(f"{NAME}-quick" if options.quick else NAME)
    if "fits" in options.parts:
        for name in options.sets:
            fits(name, options.seeds, 60 if options.quick else None, kept)
    if "whole" in options.parts:
        whole(1 if options.quick else options.rounds, kept, quick=options.quick)
    if "memory" in options.parts:
        for count in (2000,) if options.quick else ROWS:
            if not kept.has(part="memory", rows=count):
                with tempfile.TemporaryDirectory() as home:
                    row, _ = in_new_process([__file__, "--rows", str(count)], home=Path(home))
                kept.add({"part": "memory", **row})
    text = section(kept.rows())
    print(text)
    if not options.quick:
        replace_section(NAME, text)


if __name__ == "__main__":
    main()
