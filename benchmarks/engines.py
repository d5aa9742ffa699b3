"""How many images a second each engine runs through a frozen network, beside the machine's matrix multiplication.

    python benchmarks/engines.py [--images 32] [--rounds 7] [--quick] [MODEL ...]

Pooled features of 224-pixel images, start-up excluded. All sides take turns in one process, so that whatever else runs
on the machine slows all of them; figures are medians over the rounds. Weights are random: they do not change the time.
With all four networks it writes its section of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from measured import where
from sections import replace_section

from headstart.engine.prefix.inference import pooled_features
from headstart.engine.prefix.onnx_engine import OnnxEngine, exported_path
from headstart.engine.prefix.torch_engine import EagerEngine, TorchEngine
from headstart.networks.backbone import Classifier, build_classifier
from headstart.networks.cards.finding import find_model

NAME = "throughput"
MODELS = ("tf_efficientnet_lite0", "mobilenet_v2", "resnet18", "resnet50")
DENSE = ("resnet18", "resnet50")
"""Compared with matrix multiplication: nearly all their work is dense convolution."""
BASE, FAST = "eager NCHW no_grad", "onnxruntime"
MEAN_GOAL, WORST_GOAL, GEMM_GOAL = 3.5, 1.7, 0.85
MATRIX_SIDE = 3072
TORCH_GEMM, MLAS_GEMM, NUMPY_GEMM = GEMMS = "torch.mm", "ONNX Runtime MatMul", "numpy matmul"

Sides = dict[str, Callable[[], object]]


def gemm_sides(folder: Path) -> Sides:
    """fp32 multiplication of two large matrices by every library at hand."""
    left = torch.randn(MATRIX_SIDE, MATRIX_SIDE)
    right = torch.randn(MATRIX_SIDE, MATRIX_SIDE)
    path = folder / "matmul.onnx"

    class Product(torch.nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return a @ b

    torch.onnx.export(Product(), (left, right), path, input_names=["a", "b"], dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    a, b = left.numpy(), right.numpy()
    return {
        TORCH_GEMM: lambda: torch.mm(left, right),
        MLAS_GEMM: lambda: session.run(None, {"a": a, "b": b}),
        NUMPY_GEMM: lambda: a @ b,
    }


def model_sides(classifier: Classifier, images: np.ndarray) -> Sides:
    """The same features by every engine; all agree before anything is timed."""
    prefix = pooled_features(classifier)
    plain = copy.deepcopy(classifier)
    for parameter in plain.network.parameters():
        parameter.data = parameter.data.contiguous()
    batch = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))

    def base() -> torch.Tensor:
        with torch.no_grad():
            return plain.features(batch)

    eager, folded = EagerEngine(prefix), TorchEngine(prefix, images[:1])
    onnx = OnnxEngine(prefix, images[:1], path=exported_path(prefix, images[:1], label=classifier.card.name))
    expected = base().numpy()
    for engine in (eager, folded, onnx):
        found = engine.run(images)[0]
        assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max(), engine.version
    return {
        BASE: base,
        "eager NHWC": lambda: eager.run(images),
        "torch, folded": lambda: folded.run(images),
        FAST: lambda: onnx.run(images),
    }


def seconds(sides: Sides, rounds: int) -> dict[str, float]:
    """Median seconds of each side; the sides take turns."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            started = time.perf_counter()
            side()
            taken[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in taken.items()}


def measured(models: list[str], images: np.ndarray, rounds: int) -> dict[str, dict[str, float]]:
    """Network -> side -> median seconds; the matrix multiplications are measured anew beside every network."""
    found = {}
    with tempfile.TemporaryDirectory() as home:
        os.environ["HEADSTART_HOME"] = home
        gemm = gemm_sides(Path(home))
        for name in models:
            classifier = build_classifier(find_model(name), kind="linear", num_classes=2, seed=0, weights="random")
            sides = model_sides(classifier, images) | gemm
            seconds(sides, 1)  # kernels are made in a first pass
            found[name] = seconds(sides, rounds)
            print(name, {side: round(value, 4) for side, value in found[name].items()}, flush=True)
    return found


def section(found: dict[str, dict[str, float]], *, count: int, rounds: int, load: float) -> str:
    lines = [
        "## Throughput of frozen networks",
        "",
        f"Written by `python benchmarks/engines.py`: pooled features of {count} images at 224 px by every engine,",
        f"sides in turns, medians of {rounds} rounds, start-up excluded; load of the machine at the start {load:.1f}.",
        f"{where()}.",
        "",
        "| network | engine | images/s | against eager NCHW | GFLOP/s | of torch.mm | of the fastest GEMM |",
        "|---|---|---|---|---|---|---|",
    ]
    shares: dict[str, float] = {}
    for name, taken in found.items():
        gemm = {side: 2 * MATRIX_SIDE**3 / 1e9 / taken[side] for side in GEMMS}
        for side in (side for side in taken if side not in GEMMS):
            gflops = 2 * (find_model(name).card.gmacs or math.nan) * count / taken[side]
            row = f"| {name} | {side} | {count / taken[side]:.1f} | {taken[BASE] / taken[side]:.2f} | {gflops:.0f} |"
            told = f"{gflops / gemm[TORCH_GEMM]:.0%} | {gflops / max(gemm.values()):.0%}" if name in DENSE else "- | -"
            lines.append(f"{row} {told} |")
            if name in DENSE and side == FAST:
                shares[name] = gflops / max(gemm.values())
        lines.append("| | " + ", ".join(f"{side} {rate:.0f} GFLOP/s" for side, rate in gemm.items()) + " | | | | | |")
    ratios = [taken[BASE] / taken[FAST] for taken in found.values()]
    mean, worst = statistics.geometric_mean(ratios), min(ratios)
    lines += [
        "",
        "| ONNX Runtime | is | goal | reached |",
        "|---|---|---|---|",
        f"| against eager NCHW, geometric mean | {mean:.2f} | {MEAN_GOAL} | {'yes' if mean >= MEAN_GOAL else 'no'} |",
        f"| the worst | {worst:.2f} | {WORST_GOAL} | {'yes' if worst >= WORST_GOAL else 'no'} |",
    ]
    for name, share in shares.items():
        reached = "yes" if share >= GEMM_GOAL else "no"
        lines.append(f"| {name}, share of the fastest GEMM | {share:.0%} | {GEMM_GOAL:.0%} | {reached} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="*", default=list(MODELS))
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="one small network, one round: a smoke test")
    options = parser.parse_args()
    if options.quick:
        options.models, options.images, options.rounds = ["tf_efficientnet_lite0"], 4, 1
    load = os.getloadavg()[0]
    images = np.random.default_rng(0).normal(size=(options.images, 224, 224, 3)).astype(np.float32)
    found = measured(options.models, images, options.rounds)
    text = section(found, count=options.images, rounds=options.rounds, load=load)
    print(text)
    if set(MODELS) <= set(options.models):
        replace_section(NAME, text)


if __name__ == "__main__":
    main()
