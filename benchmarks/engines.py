"""How many images a second each engine runs through a frozen network, beside the machine's matrix multiplication.

    python benchmarks/engines.py [--images 32] [--rounds 7] [MODEL ...]

Pooled features of 224-pixel images, start-up excluded. All sides take turns in one process, so that whatever else runs
on the machine slows all of them; figures are medians over the rounds. Weights are random: they do not change the time.
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

from headstart.features.engines import pooled_features
from headstart.features.onnx_engine import OnnxEngine, exported_path
from headstart.features.speed import machine_key
from headstart.features.torch_engine import EagerEngine, TorchEngine
from headstart.models.backbone import Classifier, build_classifier
from headstart.models.catalog import find_model

MODELS = ("tf_efficientnet_lite0", "mobilenet_v2", "resnet18", "resnet50")
DENSE = ("resnet18", "resnet50")
"""Compared with matrix multiplication: nearly all their work is dense convolution."""
BASE, FAST = "eager NCHW no_grad", "onnxruntime"
MATRIX_SIDE = 3072
TORCH_GEMM, MLAS_GEMM, NUMPY_GEMM = "torch.mm", "ONNX Runtime MatMul", "numpy matmul"

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
    onnx = OnnxEngine(prefix, images[:1], kept=exported_path(prefix, images[:1], label=classifier.card.name))
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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="*", default=list(MODELS))
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    images = np.random.default_rng(0).normal(size=(options.images, 224, 224, 3)).astype(np.float32)
    print(f"{machine_key()}, onnxruntime {onnxruntime.__version__}, load {os.getloadavg()[0]:.1f}; ", end="")
    print(f"{options.images} images, median of {options.rounds} rounds\n")
    ratios = []
    print("| network | engine | images/s | against eager NCHW | GFLOP/s | of torch.mm | of the fastest GEMM |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as home:
        os.environ["HEADSTART_HOME"] = home
        gemm = gemm_sides(Path(home))
        for side in gemm.values():
            side()
        for name in options.models:
            choice = find_model(name)
            classifier = build_classifier(choice, kind="linear", num_classes=2, seed=0, weights="random")
            taken = seconds(model_sides(classifier, images) | gemm, options.rounds)
            rates = {side: 2 * MATRIX_SIDE**3 / 1e9 / taken[side] for side in gemm}
            for side in taken:
                if side in gemm:
                    continue
                gflops = 2 * (choice.card.gmacs or math.nan) * options.images / taken[side]
                shares = f"{gflops / rates[TORCH_GEMM]:.0%} | {gflops / max(rates.values()):.0%}"
                row = f"| {name} | {side} | {options.images / taken[side]:.1f} | {taken[BASE] / taken[side]:.2f} |"
                print(f"{row} {gflops:.0f} | {shares if name in DENSE else '- | -'} |", flush=True)
            print("| | " + ", ".join(f"{side} {rate:.0f} GFLOP/s" for side, rate in rates.items()) + " | | | | | |")
            ratios.append(taken[BASE] / taken[FAST])
    mean = statistics.geometric_mean(ratios)
    print(f"\nONNX Runtime against eager NCHW: geometric mean {mean:.2f}, worst {min(ratios):.2f}")


if __name__ == "__main__":
    main()
