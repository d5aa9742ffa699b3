"""Where the reasons that presets give for values of a plan come from."""

from __future__ import annotations

import re

from headstart.facts import RATE_PRESETS

_ONE_CYCLE = "Smith 2018; tried on 1,000 CIFAR-10 images (docs/guide/strategies.md)"
_UNIFORM = "the ten-fold rule; measured on 1,000 CIFAR-10 images (docs/guide/strategies.md)"

PHASES: dict[str, str] = {
    "feature_extraction": "Zeiler & Fergus 2014; Kornblith et al. 2019",
    "gradual": "Howard & Ruder 2018",
    "scratch": "He et al. 2019",
}
"""Strategy -> source of its phases; the others start from the probe: Kumar et al. 2022."""

BY_PATH: dict[str, str] = {
    "model.weights": "He et al. 2019",
    "input.size": "the weights' card",
    "phases[].strength": "Kornblith et al. 2019",
    "phases[].epochs": "measured on small sets (docs/guide/strategies.md)",
    "phases[].thaw": "Yosinski et al. 2014",
    "phases[].batch_norm": "measured: buffers move in layers that only have no gradients (docs/guide/strategies.md)",
    "phases[].learning_rate": "Loshchilov & Hutter 2019",
    "optimizer": "Loshchilov & Hutter 2019",
    "optimizer.label_smoothing": "Szegedy et al. 2016",
    "batch_size": "Masters & Luschi 2018",
    "augmentation.mixup_alpha": "Kolesnikov et al. 2020",
    "augmentation.flip": "headstart.domains",
    "augmentation.preset": "headstart.domains",
    "domain": "what was said",
}
"""Path of a plan, numbers of phases left out -> source."""

BY_STRATEGY: dict[tuple[str, str], str] = {
    ("discriminative", "phases[].backbone_rates"): "Howard & Ruder 2018; headstart.facts.DEPTHS",
    ("discriminative", "selection.patience_epochs"): "Prechelt 1998",
    ("gradual", "selection.patience_epochs"): "Prechelt 1998",
    ("feature_extraction", "selection.patience_epochs"): "Prechelt 1998",
    ("scratch", "phases[].backbone_rates"): "He et al. 2019",
    ("scratch", "phases[].schedule"): "Loshchilov & Hutter 2017; Goyal et al. 2017",
    ("scratch", "phases[].epochs"): "He et al. 2019",
    ("scratch", "phases[].batch_norm"): "Ioffe & Szegedy 2015",
    ("scratch", "selection.patience_epochs"): "Loshchilov & Hutter 2017",
}
"""(strategy, path) -> source, before BY_PATH."""


def source_of(path: str, *, strategy: str, rates: str | None = None) -> str:
    """Where the sentence that a preset wrote for a path comes from.

    Args:
        path: As in `Plan.reasons`.
        strategy: Whose plan it is.
        rates: Name of the preset of rates the user asked for.
    """
    short = re.sub(r"\[\d+\]", "[]", path)
    if rates is not None and short in ("phases[].backbone_rates", "model.grain", "phases[].schedule"):
        return RATE_PRESETS[rates].source
    if rates == "bit":
        return RATE_PRESETS["bit"].source
    if short == "phases":
        return PHASES.get(strategy, "Kumar et al. 2022")
    if (strategy, short) in BY_STRATEGY:
        return BY_STRATEGY[(strategy, short)]
    if short in ("phases[].schedule", "selection.patience_epochs"):
        return _ONE_CYCLE
    if short == "phases[].backbone_rates":
        return _UNIFORM
    return BY_PATH.get(short, "headstart.presets")
