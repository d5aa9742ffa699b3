"""Words that options of the command line take; the tables of values are in the packages named here."""

from __future__ import annotations

from enum import StrEnum


class SeenImages(StrEnum):
    """What to do with images that a bundle was trained on; the type is workflow.evaluated_images.Seen."""

    leave_out = "leave_out"
    include = "include"
