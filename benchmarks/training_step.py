"""What a training step of the last stages costs on a CPU, next to matrix multiplication, and what makes it faster.

    python benchmarks/training_step.py [--networks tf_efficientnet_lite0 ...] [--turns N] [--threads N] [--compile]

For each network and cut point all variants of a step take turns in one process: the trainable suffix on 32 images of
activations, forward, backward and optimizer. In every turn a matrix multiplication of 1,024 x 1,024 is timed too; the
floating-point operations of the step at its speed are the bound. CPU seconds, so that others may use the machine.
Weights are random. --compile tries
torch.compile on one stage, which needs a C++ compiler.
What is done is kept in build/training-step.jsonl. Writes its section of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Literal
from unittest.mock import patch

import torch
import torch.nn.functional as F
from measured import Kept, Row, where
from sections import replace_section
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from headstart.engine.prefix.cut import CutNetwork
from headstart.engine.store.frozen_part import cut_at
from headstart.engine.training_step import rewrites
from headstart.engine.training_step.rewrites import Rewrites, step_rewrites
from headstart.networks.backbone import Classifier, build_classifier
from headstart.networks.cards.finding import find_model
from headstart.networks.groups.layers import freeze, set_batch_norm

NAME = "training-step"
SIZE = 224
CLASSES = 10
BATCH_IMAGES = 32
MATRIX_SIDE = 1024
CUT_POINTS = {
    "tf_efficientnet_lite0": ("stage7", "stage6", "stage5"),
    "mobilenet_v2": ("stage4", "stage3"),
    "resnet18": ("layer4",),
}
"""Network -> first trainable layer groups."""


@dataclass(frozen=True)
class Variant:
    """One way to take a step."""

    rewrites: Literal["none", "norms", "all"] = "all"
    """norms: frozen BatchNorms are folded, depthwise gradients are torch's."""
    channels_last: bool = True
    optimizer: Literal["fused", "foreach"] = "fused"
    half: bool = False
    """Convolutions and linear layers in bfloat16 by autocast."""
    batches: tuple[int, ...] = (BATCH_IMAGES,)
    """Images of each backward before the optimizer's step."""
    compiled: bool = False


PLAIN = Variant("none")
VARIANTS: dict[str, Variant] = {
    "plain": PLAIN,
    "rewritten": Variant(),
    "only norms folded": Variant("norms"),
    "NCHW": replace(PLAIN, channels_last=False),
    "foreach AdamW": replace(PLAIN, optimizer="foreach"),
    "batches of 64": replace(PLAIN, batches=(64,)),
    "2 x 16, accumulated": replace(PLAIN, batches=(16, 16)),
    "bfloat16": replace(PLAIN, half=True),
    "bfloat16, rewritten": Variant(half=True),
}
COMPILED = "torch.compile"
COMPILED_FOR = ("tf_efficientnet_lite0", "stage7")


class Step:
    """A network of its own, cut and ready to be trained behind the cut point."""

    def __init__(self, model: str, cut_point: str, variant: Variant) -> None:
        self._variant = variant
        classifier = build_classifier(
            find_model(model), kind="linear", num_classes=CLASSES, seed=0, input_size=SIZE, weights="random"
        )
        _make_usual(classifier)
        self._made = cut_at(classifier, cut_point, size=SIZE)
        names = classifier.group_names
        trained = names[names.index(cut_point) :]
        freeze(classifier.network, classifier.groups, trained=trained)
        set_batch_norm(
            classifier.network, classifier.groups, policy="pretrained_statistics", affine="trained", trained=trained
        )
        if not variant.channels_last:
            classifier.network.to(memory_format=torch.contiguous_format)
        self._optimizer = _optimizer(classifier, variant.optimizer)
        self._inputs = [_inputs(self._made, count, channels_last=variant.channels_last) for count in variant.batches]
        self._rewrites = _rewrites(classifier.network, self._made) if variant.rewrites != "none" else nullcontext()
        self._forward: Callable[..., Tensor] = (
            torch.compile(self._made.suffix) if variant.compiled else self._made.suffix
        )

    @property
    def images(self) -> int:
        """Images of a step."""
        return sum(self._variant.batches)

    def __call__(self) -> None:
        """Take a step."""
        self._optimizer.zero_grad(set_to_none=True)
        if self._variant.rewrites == "norms":
            with patch.object(rewrites, "has_slow_gradient", return_value=False):
                self._losses()
        else:
            self._losses()
        self._optimizer.step()

    def _losses(self) -> None:
        for inputs, labels in self._inputs:
            with self._rewrites, torch.autocast("cpu", dtype=torch.bfloat16, enabled=self._variant.half):
                logits = self._forward(*inputs).float()
            (F.cross_entropy(logits, labels) * len(labels) / self.images).backward()

    def seconds(self) -> float:
        """CPU seconds of a step for 32 images."""
        started = time.process_time()
        self()
        return (time.process_time() - started) * BATCH_IMAGES / self.images

    def operations(self) -> int:
        """Floating-point operations of a step's convolutions and matrix multiplications.

        Each of both gradients takes as many as the forward pass; torch's own count of them takes groups for dense.
        """
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            for inputs, _ in self._inputs:
                self._forward(*inputs)
        return 3 * int(counter.get_total_flops())


def _make_usual(classifier: Classifier) -> None:
    """Give random weights activations and gradients of usual size: numbers close to zero are slow to compute with."""
    network, generator = classifier.network.train(), torch.Generator().manual_seed(0)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network(torch.randn(8, classifier.card.input.channels, SIZE, SIZE, generator=generator))
        for site in classifier.sites:
            weight = network.get_submodule(site.path).get_parameter("weight")
            weight.copy_(0.05 * torch.randn(weight.shape, generator=generator))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _optimizer(classifier: Classifier, kind: str) -> torch.optim.Optimizer:
    trainable = [p for p in classifier.network.parameters() if p.requires_grad]
    return torch.optim.AdamW(trainable, lr=1e-5, fused=kind == "fused", foreach=kind == "foreach")


def _inputs(made: CutNetwork, count: int, *, channels_last: bool) -> tuple[list[Tensor], Tensor]:
    generator = torch.Generator().manual_seed(0)
    found = []
    for crossing in made.crossing:
        tensor = torch.randn(count, *crossing.shape, generator=generator)
        in_nhwc = crossing.channels_last and channels_last
        found.append(tensor.contiguous(memory_format=torch.channels_last) if in_nhwc else tensor)
    return found, torch.randint(CLASSES, (count,), generator=generator)


def _rewrites(network: nn.Module, made: CutNetwork) -> AbstractContextManager[object]:
    found = step_rewrites(network, made.suffix, [torch.zeros(1, *one.shape) for one in made.crossing])
    assert isinstance(found, Rewrites)
    return found


def measure(model: str, cut_point: str, variants: dict[str, Variant], turns: int) -> Row:
    """Seconds of every variant and of the bound in each turn, for one cut point."""
    steps = {name: Step(model, cut_point, variant) for name, variant in variants.items()}
    operations = steps["plain"].operations()
    first: dict[str, float] = {}
    for name, step in steps.items():  # kernels are made in the first step
        started = time.perf_counter()
        step()
        first[name] = round(time.perf_counter() - started, 2)
    seconds: dict[str, list[float]] = {name: [] for name in (*steps, "bound")}
    for _ in range(turns):
        for name, step in steps.items():
            seconds[name].append(step.seconds())
        seconds["bound"].append(operations / multiplication_speed())
    facts = {"network": model, "cut_point": cut_point, "giga": operations / 1e9, "first": first}
    return {**facts, "seconds": {name: [round(s, 5) for s in of] for name, of in seconds.items()}}


def multiplication_speed() -> float:
    """Floating-point operations a CPU second of a multiplication of two matrices."""
    a, rounds = torch.ones(MATRIX_SIDE, MATRIX_SIDE), 4
    started = time.process_time()
    for _ in range(rounds):
        a @ a
    return rounds * 2 * MATRIX_SIDE**3 / (time.process_time() - started)


def ratio(row: Row, name: str, to: str = "plain") -> float:
    """How many times as fast as another variant, the median over the turns."""
    return statistics.median(b / a for a, b in zip(row["seconds"][name], row["seconds"][to], strict=True))


HEADER = """## A training step on a CPU

Written by `python benchmarks/training_step.py --compile`: the layers from a cut point to the head on 32 images of
{size} px as cached activations, frozen BatchNorm statistics, forward, backward and optimizer (AdamW), {threads}.
{where}.

All variants take turns in one process; medians of the turns in CPU seconds, as others used the machine too.
*Plain*: as torch runs it, in NHWC with the fused optimizer.
*Rewritten*: what headstart does ([why it is exact](guide/speed.md#a-training-step)). *Bound*: three times the
operations of the forward pass at the speed of a multiplication of 1,024 x 1,024 matrices in the same turn."""


def section(rows: Sequence[Row], threads: int) -> str:
    """The section of docs/benchmarks.md."""
    names = list(dict.fromkeys(name for row in rows for name in row["seconds"] if name not in ("plain", "bound")))
    counted = f"{threads} thread" + "s" * (threads > 1)
    lines = [
        HEADER.format(size=SIZE, threads=counted, where=where(["torch", "timm", "torchvision"])),
        "",
        "| network | from | GFLOP | plain, ms | rewritten, ms | bound, ms | bound / plain | bound / rewritten |",
        "|---" * 8 + "|",
    ]
    for row in rows:
        plain, new, bound = (1000 * statistics.median(row["seconds"][n]) for n in ("plain", "rewritten", "bound"))
        cells = [row["network"], row["cut_point"], f"{row['giga']:.1f}", *(f"{ms:.0f}" for ms in (plain, new, bound))]
        cells += [f"{1 / ratio(row, 'bound', name):.0%}" for name in ("plain", "rewritten")]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "How many times as fast as the plain step, for the same number of images:",
        "",
        "| tried | " + " | ".join(f"{row['network']} {row['cut_point']}" for row in rows) + " |",
        "|---" * (len(rows) + 1) + "|",
    ]
    for name in names:
        values = [f"{ratio(row, name):.2f}" if name in row["seconds"] else "-" for row in rows]
        lines.append(f"| {name} | {' | '.join(values)} |")
    for row in rows:
        if COMPILED in row["first"]:
            seconds, what = row["first"][COMPILED], f"{row['network']} {row['cut_point']}"
            lines += ["", f"The first step with `torch.compile` took {seconds:.0f} s ({what})."]
    return "\n".join(lines)


def main() -> None:
    """Parse, measure what is not there yet, write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=CUT_POINTS, default=list(CUT_POINTS))
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true", help="also try torch.compile, on one stage")
    parser.add_argument("--table", action="store_true", help="measure nothing")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.compile:
        os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"  # what an earlier run compiled would be found
    kept, found = Kept(NAME), []
    for model in options.networks:
        for cut_point in CUT_POINTS[model]:
            # Compiling takes a minute each: once is enough.
            compiled = options.compile and (model, cut_point) == COMPILED_FOR
            key = {"network": model, "cut_point": cut_point, "threads": options.threads, "compile": compiled}
            if not options.table and not kept.has(**key):
                variants = VARIANTS | ({COMPILED: replace(PLAIN, compiled=True)} if compiled else {})
                kept.add({**key, **measure(model, cut_point, variants, options.turns)})
            if row := kept.find(**key):
                found.append(row)
    text = section(found, options.threads)
    print(text)
    replace_section(NAME, text)


if __name__ == "__main__":
    main()
