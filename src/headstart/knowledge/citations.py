"""Sources of the reasons that presets give for values of a plan."""

from __future__ import annotations

import re

from headstart.knowledge.domain import RULE_OF_THUMB
from headstart.knowledge.transfer import LR_RULES

_RISE = "measured on four sets (docs/guide/strategies.md)"
_STEPS = "measured on four sets (docs/guide/progressive.md)"
_UNIFORM = "measured on 1,000 CIFAR-10 images (docs/guide/strategies.md)"

PHASES: dict[str, str] = {
    "feature_extraction": "Zeiler & Fergus 2014; Kornblith et al. 2019",
    "gradual": "Howard & Ruder 2018 for the order (on text); epochs and learning rates: " + RULE_OF_THUMB,
    "scratch": "He et al. 2019 (object detection)",
}
"""Strategy -> source of its phases; the others start from the probe: Kumar et al. 2022."""

BY_PATH: dict[str, str] = {
    "model.weights": f"He et al. 2019 (object detection); the number of images: {RULE_OF_THUMB}",
    "input.size": "the weights' card",
    "input.resize": "headstart.input_spec",
    "phases[].folds": _STEPS,
    "phases[].alternative_head": "measured on five sets (docs/benchmarks.md)",
    "phases[].l2_penalty": "Kornblith et al. 2019",
    "phases[].epochs": "measured on small sets (docs/guide/strategies.md)",
    "phases[].unfreeze": f"Yosinski et al. 2014: features turn specific with depth; the number: {RULE_OF_THUMB}",
    "phases[].batch_norm": "measured: buffers move in layers that only have no gradients (docs/guide/strategies.md)",
    "phases[].head_lr": "Kingma & Ba 2015, whose default for Adam it is",
    "optimizer": "Loshchilov & Hutter 2019",
    "phases[].head_refit_views": _RISE,
    "optimizer.label_smoothing": "Szegedy et al. 2016",
    "batch_size": "Masters & Luschi 2018",
    "augmentation.mixup_alpha": "Kolesnikov et al. 2020",
    "augmentation.flip": "headstart.knowledge.domains",
    "augmentation.preset": "headstart.knowledge.domains",
    "domain": "given",
}
"""Path of a plan, numbers of phases left out -> source."""

BY_STRATEGY: dict[tuple[str, str], str] = {
    (
        "discriminative",
        "phases[].backbone_lr",
    ): f"Howard & Ruder 2018 for the idea (on text); numbers: {RULE_OF_THUMB}",
    ("discriminative", "selection.patience"): "Prechelt 1998",
    ("gradual", "selection.patience"): "Prechelt 1998",
    ("feature_extraction", "selection.patience"): "Prechelt 1998",
    **{
        (strategy, path): _RISE
        for strategy in ("probe_then_tune", "partial", "full")
        for path in ("phases[].head_lr", "optimizer.label_smoothing")
    },
    **{
        ("progressive", path): _STEPS
        for path in ("phases[].head_lr", "phases[].backbone_lr", "phases[].epochs", "optimizer.label_smoothing")
    },
    ("scratch", "phases[].backbone_lr"): RULE_OF_THUMB,
    ("scratch", "phases[].schedule"): "Loshchilov & Hutter 2017; Goyal et al. 2017",
    (
        "scratch",
        "phases[].epochs",
    ): f"He et al. 2019 train random weights up to six times as long; the number: {RULE_OF_THUMB}",
    ("scratch", "phases[].batch_norm"): "Ioffe & Szegedy 2015",
    ("scratch", "selection.patience"): "Loshchilov & Hutter 2017",
}
"""(strategy, path) -> source, before BY_PATH."""


def source_of(path: str, *, strategy: str, lr_rule: str | None = None) -> str:
    """Source of the reason that a preset gives for a path.

    Args:
        path: As in `Plan.reasons`.
        strategy: Whose plan it is.
        lr_rule: Name of the learning-rate rule that was given.
    """
    short = re.sub(r"\[\d+\]", "[]", path)
    if lr_rule is not None and short in ("phases[].backbone_lr", "model.grain", "phases[].schedule"):
        return LR_RULES[lr_rule].source
    if lr_rule == "bit":
        return LR_RULES["bit"].source
    if short == "phases":
        return PHASES.get(strategy, "Kumar et al. 2022")
    if (strategy, short) in BY_STRATEGY:
        return BY_STRATEGY[(strategy, short)]
    if short in ("phases[].schedule", "selection.patience"):
        return _RISE
    if short == "phases[].backbone_lr":
        return _UNIFORM
    return BY_PATH.get(short, "headstart.plan.presets")
