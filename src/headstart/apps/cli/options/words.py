"""Words that options of the command line take; the tables of values are in the packages named here."""

from __future__ import annotations

from enum import StrEnum


class SeenImages(StrEnum):
    """What to do with images that a bundle was trained on; the type is workflow.evaluated_images.Seen."""

    leave_out = "leave_out"
    include = "include"


class LibraryName(StrEnum):
    """Where networks come from."""

    timm = "timm"
    torchvision = "torchvision"


class Sizes(StrEnum):
    """Whether a network takes images of any size."""

    any = "any"
    fixed = "fixed"


class ModelSortOption(StrEnum):
    """What a list is sorted by."""

    parameters = "parameters"
    top1 = "top1"
    gmacs = "gmacs"
    speed = "speed"
    gpu_speed = "gpu_speed"
    input_size = "input_size"
    name = "name"
