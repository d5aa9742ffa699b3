"""Which mirror images of a picture a plan's training views show; the picture is one whose mirror images all differ."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt

from headstart.engine.views import training_view, view_rng
from headstart.input_spec import InputSpec
from headstart.plan.plan import DataPlan
from headstart.plan.request import Request
from headstart.workflow.plans import make_plan

SIDE, DRAWS = 48, 300
SPEC = InputSpec(SIDE, SIDE, "bilinear", (0.5,) * 3, (0.25,) * 3)


def corner_image() -> npt.NDArray[np.uint8]:
    """(96, 96, 3) grey with a white corner at the top left that runs on to the right; no crop or rotation of a preset
    brings it to another place."""
    pixels = np.full((96, 96, 3), 90, np.uint8)
    pixels[:48, :48] = 255
    pixels[:32, 48:] = 170
    return pixels


def mirrored(view: npt.NDArray[np.floating]) -> str:
    """How a view of the corner image is mirrored, told by its brightest corner."""
    half = len(view) // 2
    grey = view.mean(axis=2)
    corners = {
        "as it is": grey[:half, :half].mean(),
        "left to right": grey[:half, half:].mean(),
        "upside down": grey[half:, :half].mean(),
        "both": grey[half:, half:].mean(),
    }
    way = max(corners, key=lambda name: corners[name])
    # The second brightest corner lies next to the first, or above or below it where the view was turned by a quarter.
    second = sorted(corners, key=lambda name: corners[name])[-2]
    is_level = {way, second} in ({"as it is", "left to right"}, {"upside down", "both"})
    return way if is_level else f"{way}, turned"


def mirror_images_of(domain: str) -> set[str]:
    """Those that come up in many training views of a domain's plan; each must come up as often as the others."""
    augmentation = make_plan(Request(DataPlan(source="photos"), domain=domain)).augmentation
    options = {"preset": augmentation.preset, "flip": augmentation.flip}
    pixels, generators = corner_image(), (view_rng(draw, 0, "image.png") for draw in range(DRAWS))
    seen = Counter(mirrored(training_view(pixels, SPEC, rng=rng, **options)) for rng in generators)
    share = 1 / len(seen)
    for way, count in seen.items():  # within five deviations of a fair draw
        assert abs(count / DRAWS - share) <= 5 * np.sqrt(share * (1 - share) / DRAWS), way
    return set(seen)
