"""What decoding large JPEGs reduced saves, and what it changes.

    HEADSTART_DATA=FOLDER python benchmarks/decode.py [--rounds 7] [--photos 12]

1. Time from 12-megapixel JPEGs (real photos enlarged, quality 90) to 224-pixel arrays in one thread, ways taking turns.
2. How far features of EfficientNet-Lite0 from reduced images are from those of whole ones, by the margin that is left
   after the reduction: real photos and x-rays at four input sizes, and the enlarged photos.
3. What a solved head answers for chest x-rays with and without reduction, and where only one side is reduced.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import PIL
import simplejpeg
import torch
from PIL import Image
from sections import replace_section

from headstart.data.decoders.raster import decode
from headstart.data.preprocess import SAFE_MARGIN, evaluation_view, pixels_needed, resize_and_crop
from headstart.data.sources.reading import ImageRecord, open_source
from headstart.input_spec import InputSpec
from headstart.machine import machine_key
from headstart.networks.backbone import Classifier, build_classifier
from headstart.networks.cards.finding import find_model
from headstart.solvers.head_solver import head_problem
from headstart.solvers.rows import MatrixRows

CHOICE = find_model("tf_efficientnet_lite0")
SPEC = CHOICE.card.input
LARGE, QUALITY = (4000, 3000), 90
MARGINS = (1.0, 1.15, 1.5, 2.0, 3.0)
INPUT_SIZES = (96, 128, 160, 224)
X_RAYS, X_RAYS_TO_SOLVE = 60, 400


def sampled(name: str, count: int) -> list[ImageRecord]:
    """Images of a real set that are JPEGs, the same ones every time."""
    records = open_source(Path(os.environ["HEADSTART_DATA"]) / f"{name}.tar").records
    jpegs = [record for record in records if record.id.lower().endswith((".jpg", ".jpeg"))]
    return [jpegs[i] for i in np.random.default_rng(0).permutation(len(jpegs))[:count]]


def enlarged(record: ImageRecord) -> bytes:
    """A photo of twelve megapixels."""
    with Image.open(io.BytesIO(record.read())) as image:
        upright = image.convert("RGB")
        size = LARGE if image.width >= image.height else LARGE[::-1]
    buffer = io.BytesIO()
    upright.resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def by_pillow(encoded: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(encoded)) as image:
        return np.array(_cropped(image.convert("RGB")))


def by_pillow_draft(encoded: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(encoded)) as image:
        image.draft("RGB", (pixels_needed(SPEC) or 0,) * 2)
        return np.array(_cropped(image.convert("RGB")))


def _cropped(image: Image.Image) -> Image.Image:
    """Shorter side to `resize`, centre cut: what everybody writes."""
    scale = SPEC.resize / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    left, top = (image.width - SPEC.size) // 2, (image.height - SPEC.size) // 2
    return image.crop((left, top, left + SPEC.size, top + SPEC.size))


def by_headstart(encoded: bytes) -> np.ndarray:
    return resize_and_crop(decode(encoded, at_least=pixels_needed(SPEC)), SPEC)


def by_headstart_whole(encoded: bytes) -> np.ndarray:
    return resize_and_crop(decode(encoded), SPEC)


WAYS: tuple[Callable[[bytes], np.ndarray], ...] = (by_pillow, by_pillow_draft, by_headstart_whole, by_headstart)


def features(classifier: Classifier, views: Sequence[np.ndarray]) -> np.ndarray:
    found = []
    with torch.inference_mode():
        for start in range(0, len(views), 8):
            images = torch.from_numpy(np.stack(views[start : start + 8])).permute(0, 3, 1, 2)
            found.append(classifier.features(images).numpy())
    return np.concatenate(found)


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def print_times(classifier: Classifier, photos: Sequence[bytes], rounds: int) -> None:
    taken: dict[str, list[float]] = {way.__name__: [] for way in WAYS}
    for _ in range(rounds):
        for encoded in photos:
            for way in WAYS:
                started = time.perf_counter()
                way(encoded)
                taken[way.__name__].append(time.perf_counter() - started)
    middle = {name: statistics.median(values) for name, values in taken.items()}
    reference = features(classifier, [_view(by_pillow(encoded)) for encoded in photos])
    print(f"{len(photos)} photos of {LARGE[0]} x {LARGE[1]}, {np.mean([len(p) for p in photos]) / 1e6:.2f} MB each\n")
    print("| way | ms | against Pillow | smallest cosine of features |\n|---|---|---|---|")
    for way in WAYS:
        found = features(classifier, [_view(way(encoded)) for encoded in photos])
        ratio = middle[by_pillow.__name__] / middle[way.__name__]
        name = way.__name__.removeprefix("by_").replace("_", " ")
        print(f"| {name} | {1000 * middle[way.__name__]:.1f} | {ratio:.2f} | {cosines(reference, found).min():.4f} |")


def _view(square: np.ndarray) -> np.ndarray:
    return evaluation_view(square, InputSpec(SPEC.size, SPEC.size, SPEC.interpolation, SPEC.mean, SPEC.std))


def margin_pairs(encoded: bytes, spec: InputSpec) -> dict[float, tuple[np.ndarray, np.ndarray]]:
    """Margin that is left -> the view of the whole image and that of the reduced one."""
    whole = decode(encoded)
    found = {}
    for factor in (2, 4, 8):
        left = min(whole.shape[:2]) // factor
        margin = max((m for m in MARGINS if left >= m * spec.resize), default=None)
        if margin is not None:
            found[margin] = evaluation_view(whole, spec), evaluation_view(decode(encoded, at_least=left), spec)
    return found


def print_margins(classifier: Classifier, sets: dict[str, Sequence[bytes]]) -> None:
    print("\n| images | input | margin from | pairs | cosine: least | median | mean difference in deviations |")
    print("|---|---|---|---|---|---|---|")
    for name, files in sets.items():
        for size in INPUT_SIZES:
            spec = SPEC.at_size(size)
            pairs: dict[float, list[tuple[np.ndarray, np.ndarray]]] = {}
            for encoded in files:
                for margin, pair in margin_pairs(encoded, spec).items():
                    pairs.setdefault(margin, []).append(pair)
            for margin, found in sorted(pairs.items()):
                whole, reduced = (features(classifier, [pair[side] for pair in found]) for side in (0, 1))
                same = cosines(whole, reduced)
                difference = np.mean([np.abs(a - b).mean() for a, b in found])
                row = f"| {name} | {size} | {margin} | {len(found)} | {same.min():.4f} | {np.median(same):.4f} |"
                print(f"{row} {difference:.4f} |", flush=True)


def print_answers(classifier: Classifier) -> None:
    """Heads solved on x-rays that were reduced or not, asked about others that were reduced or not."""
    spec = SPEC.at_size(96)
    records = sampled("chest_xray", 2 * X_RAYS_TO_SOLVE)
    classes = sorted({record.label for record in records})
    labels = np.array([classes.index(record.label) for record in records])
    fit, rest = slice(0, X_RAYS_TO_SOLVE), slice(X_RAYS_TO_SOLVE, None)
    files = [record.read() for record in records]
    found = {
        "whole": features(classifier, [evaluation_view(decode(f), spec) for f in files]),
        "reduced": features(
            classifier, [evaluation_view(decode(f, at_least=pixels_needed(spec)), spec) for f in files]
        ),
    }
    print(f"\nchest x-rays at {spec.size} px, solved on {X_RAYS_TO_SOLVE}, asked about {len(labels[rest])} others\n")
    print("| solved on | asked about | accuracy | answers that change | probability: median change | largest |")
    print("|---|---|---|---|---|---|")
    base = None
    for solved, asked in (("whole", "whole"), ("reduced", "reduced"), ("reduced", "whole")):
        x = found[solved]
        folds = [i % 5 for i in range(X_RAYS_TO_SOLVE)]
        problem = head_problem(MatrixRows(x[fit]), labels[fit], len(classes))
        head = problem.solve(problem.choose(folds).l2_penalty)
        answers = head.probabilities(found[asked][rest])
        base = answers if base is None else base
        change = np.abs(answers - base).max(axis=1)
        row = f"| {solved} | {asked} | {(answers.argmax(1) == labels[rest]).mean():.3f} |"
        print(f"{row} {(answers.argmax(1) != base.argmax(1)).sum()} | {np.median(change):.4f} | {change.max():.4f} |")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--photos", type=int, default=12)
    options = parser.parse_args()
    torch.set_num_threads(1)
    classifier = build_classifier(CHOICE, kind="linear", num_classes=2, seed=0)
    classifier.network.eval()
    large = [enlarged(record) for record in sampled("hymenoptera", options.photos)]
    written = io.StringIO()
    with contextlib.redirect_stdout(written):
        print("## Decoding large photos\n")
        print("Written by `python benchmarks/decode.py`, one thread. Row 10 asks for 2.2 times Pillow's speed", end=" ")
        print("with a cosine of at least 0.995.")
        print(f"{machine_key()}, pillow {PIL.__version__}, simplejpeg {simplejpeg.__version__}; margin {SAFE_MARGIN}.")
        print_times(classifier, large, options.rounds)
    replace_section("decode", written.getvalue())
    print(written.getvalue())
    photos = [record.read() for record in sampled("hymenoptera", 60)]
    x_rays = [record.read() for record in sampled("chest_xray", X_RAYS)]
    print_margins(classifier, {"photos": photos, "x-rays": x_rays, "enlarged photos": large})
    print_answers(classifier)


if __name__ == "__main__":
    main()
