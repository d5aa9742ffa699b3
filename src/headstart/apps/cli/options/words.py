"""Words that options of the command line take; the tables of values are in the packages named here."""

from __future__ import annotations

from enum import StrEnum


class Strategy(StrEnum):
    """Names of the strategies, and auto; the table of functions is presets.STRATEGIES."""

    auto = "auto"
    feature_extraction = "feature_extraction"
    probe_then_tune = "probe_then_tune"
    discriminative = "discriminative"
    gradual = "gradual"
    partial = "partial"
    full = "full"
    scratch = "scratch"


class LrRule(StrEnum):
    """Names of the learning-rate rules; the table of values is knowledge.transfer.LR_RULES."""

    decay_75 = "decay_0.75"
    decay_90 = "decay_0.9"
    ulmfit = "ulmfit"
    ten_fold = "ten_fold"
    by_depth = "by_depth"
    bit = "bit"


class Grain(StrEnum):
    """What a layer group is."""

    stage = "stage"
    block = "block"


class DomainName(StrEnum):
    """Names of the domains; the table of values is domains.DOMAINS."""

    photo = "photo"
    medical = "medical"
    satellite = "satellite"
    document = "document"
    industrial = "industrial"


class Resize(StrEnum):
    """How an image becomes a square; the table is input_spec.CROP_OF."""

    crop = "crop"
    squash = "squash"
    letterbox = "letterbox"


class Augmentation(StrEnum):
    """Names of the augmentation presets; the table is models.augment.PRESETS, and none."""

    none = "none"
    light = "light"
    standard = "standard"
    strong = "strong"
    trivial = "trivial"


class SeenImages(StrEnum):
    """What to do with images that a bundle was trained on; the type is workflow.evaluated_images.Seen."""

    leave_out = "leave_out"
    include = "include"


class Head(StrEnum):
    """Kinds of heads."""

    linear = "linear"
    mlp = "mlp"
    multi_depth = "multi_depth"


class HeadSolver(StrEnum):
    """How a linear head is found."""

    logistic = "logistic"
    ridge = "ridge"
    adam = "adam"


class LibraryName(StrEnum):
    """Where networks come from."""

    timm = "timm"
    torchvision = "torchvision"


class Sizes(StrEnum):
    """Whether a network takes images of any size."""

    any = "any"
    fixed = "fixed"


class Sort(StrEnum):
    """What a list is sorted by."""

    parameters = "parameters"
    top1 = "top1"
    gmacs = "gmacs"
    speed = "speed"
    gpu_speed = "gpu_speed"
    input_size = "input_size"
    name = "name"
