"""Checks of pixel values where they enter the first layer with weights: scale, normalisation, channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from headstart.diagnosis.examined import Examined
from headstart.diagnosis.expected_input import ExpectedInput
from headstart.diagnosis.file_colours import colour_order
from headstart.diagnosis.finding import DoctorFinding
from headstart.diagnosis.transform_probe import ValueMap

CONVENTIONS = {
    "ImageNet's": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "0.5 and 0.5": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "CLIP's": ((0.4815, 0.4578, 0.4082), (0.2686, 0.2613, 0.2758)),
}
"""Name -> mean and standard deviation that other weights expect."""

_SPAN_LOW, _SPAN_HIGH, _SHIFT = 0.8, 1.25, 0.35
"""Share of the expected span, and difference of black in standard deviations, within which values agree."""


_LEAST_USED = 0.02
"""Share of the expected range that the images of a batch use at least; a 255th is what a second division leaves."""


@dataclass(frozen=True, slots=True)
class _Fault:
    id: str
    what: str
    remedy: str


_FAULTS = {
    "pixels_not_scaled": _Fault(
        "pixels_not_scaled",
        "Pixel values look like 0-255 where 0-1 was expected.",
        "Scale before normalising: transforms.ToTensor(), or v2.ToDtype(torch.float32, scale=True).",
    ),
    "pixels_scaled_twice": _Fault(
        "pixels_scaled_twice",
        "Pixel values were divided by 255 twice: the images are almost black.",
        "Leave out one of the two divisions; ToTensor() divides by 255 already.",
    ),
    "pixels_not_normalised": _Fault(
        "pixels_not_normalised",
        "Pixel values of 0-1 are not normalised as the weights expect.",
        "Add the weights' own normalisation after ToTensor(): {normalise}.",
    ),
    "pixels_normalised_twice": _Fault(
        "pixels_normalised_twice",
        "Pixel values were normalised twice.",
        "Leave out one of the two normalisations: in the transform, or in the network.",
    ),
    "normalisation_differs": _Fault(
        "normalisation_differs",
        "The normalisation is not that of the weights.",
        "Take the weights' own: {normalise}.",
    ),
}


def find_pixel_values(examined: Examined) -> list[DoctorFinding]:
    """`pixels_not_scaled`, `pixels_scaled_twice`, `pixels_not_normalised`, `pixels_normalised_twice` or
    `normalisation_differs`: from black and white images through the transform, else from the values of a batch.
    """  # noqa: D205 - names of findings
    expected, entered = examined.expected, examined.entered
    found = examined.value_map("train")
    if found is not None and entered is not None and not _agrees_with(found, entered):
        found = None  # something after the transform changes values: what arrives counts
    kind = evidence = ""
    if found is not None and expected is not None and expected.mean is not None and expected.std is not None:
        kind, evidence = _of_map(found, expected, entered)
    elif entered is not None:
        kind, evidence = _of_values(entered, expected)
    # From random weights on, no normalisation is the right one, unless the user names weights.
    any_will_do = expected is None or (not expected.given and not examined.is_pretrained)
    if not kind or (any_will_do and kind in ("pixels_not_normalised", "normalisation_differs")):
        return []
    return [_finding(kind, evidence, expected)]


def _finding(kind: str, evidence: str, expected: ExpectedInput | None) -> DoctorFinding:
    fault = _FAULTS[kind]
    normalise = "transforms.Normalize(mean, std)"
    if expected is not None and expected.mean is not None and expected.std is not None:
        normalise = f"transforms.Normalize({_plain(expected.mean)}, {_plain(expected.std)})"
    level = "error" if kind != "normalisation_differs" else "warning"
    return DoctorFinding(fault.id, level, fault.what, evidence, fault.remedy.format(normalise=normalise))  # type: ignore[arg-type]


def _of_map(found: ValueMap, expected: ExpectedInput, entered: Tensor | None) -> tuple[str, str]:
    assert expected.mean is not None
    assert expected.std is not None
    channels = len(found.black)
    mean, std = _for_channels(expected.mean, channels), _for_channels(expected.std, channels)
    low = [-one / other for one, other in zip(mean, std, strict=True)]
    high = [(1 - one) / other for one, other in zip(mean, std, strict=True)]
    spans = [span / (top - bottom) for span, top, bottom in zip(found.span, high, low, strict=True)]
    ratio = sum(spans) / channels
    shift = max(abs(black - bottom) for black, bottom in zip(found.black, low, strict=True))
    evidence = (
        f"Black becomes {_short(found.black)} and white {_short(found.white)} where pixels enter the network; "
        f"{expected.source} expects {_short(low)} and {_short(high)}."
    )
    agrees = min(spans) >= _SPAN_LOW and max(spans) <= _SPAN_HIGH and shift <= _SHIFT
    if agrees or min(found.span) <= 0:
        return "", ""
    if ratio > 20:
        return "pixels_not_scaled", evidence
    if 0 < ratio < 0.03:
        return "pixels_scaled_twice", evidence
    if max(map(abs, found.black)) < 0.02 and all(abs(white - 1) < 0.02 for white in found.white):
        return "pixels_not_normalised", evidence
    twice = [(bottom - one) / other for bottom, one, other in zip(low, mean, std, strict=True)]
    if max(abs(black - other) for black, other in zip(found.black, twice, strict=True)) < 0.5 and ratio > 1.5:
        return "pixels_normalised_twice", evidence
    other = _convention(found)
    if other is None and entered is not None and _is_standardised(entered):
        return "", ""  # statistics of these images: chosen on purpose
    if other is not None:
        evidence += f" Those are the values of {other} mean and standard deviation."
    return "normalisation_differs", evidence


def _convention(found: ValueMap) -> str | None:
    for name, (mean, std) in CONVENTIONS.items():
        if len(found.black) == len(mean):
            low = [-one / other for one, other in zip(mean, std, strict=True)]
            span = [1 / one for one in std]
            near = max(abs(one - other) for one, other in zip(found.black, low, strict=True)) < 0.06
            if near and max(abs(one - other) for one, other in zip(found.span, span, strict=True)) < 0.1:
                return name
    return None


def _is_standardised(entered: Tensor) -> bool:
    values = entered.float().transpose(0, 1).flatten(1)
    mean, std = values.mean(dim=1), values.std(dim=1)
    return bool((mean.abs() < 0.4).all() and (std > 0.7).all() and (std < 1.4).all())


def _of_values(entered: Tensor, expected: ExpectedInput | None) -> tuple[str, str]:
    """From the range of a batch, where no transform could be examined."""
    values = entered.float().transpose(0, 1).flatten(1)
    if values.numel() == 0 or not bool(torch.isfinite(values).all()):
        return "", ""
    low, high = values.min(dim=1).values, values.max(dim=1).values
    bottom, top = float(low.min()), float(high.max())
    evidence = f"Values from {bottom:.3g} to {top:.3g} enter the network in {len(entered)} training images"
    if top > 20:
        return "pixels_not_scaled", f"{evidence}."
    if expected is None or expected.mean is None or expected.std is None:
        return "", ""
    mean, std = (torch.tensor(_for_channels(one, len(values))) for one in (expected.mean, expected.std))
    least, most = -mean / std, (1 - mean) / std
    evidence += f"; {expected.source} expects {float(least.min()):.3g} to {float(most.max()):.3g}."
    margin = 0.15 * (most - least)
    plain = bool((least.abs() < 0.05).all() and ((most - 1).abs() < 0.05).all())
    used, dark = (high - low) / (most - least), values.mean(dim=1) - least
    if bool((used < _LEAST_USED).all() and (dark.abs() < 0.1).all()):
        return "pixels_scaled_twice", evidence
    if bottom >= -1e-4 and top <= 0.01 and top > 0:
        return "pixels_scaled_twice", evidence
    if not plain and bottom >= -1e-4 and top <= 1.0001:
        return "pixels_not_normalised", evidence
    twice = (least - mean) / std
    outside = bool((low < least - margin).any() or (high > most + margin).any())
    if outside and bool((low < 0.4 * twice).any()) and bool((least < -0.5).all()):
        return "pixels_normalised_twice", evidence
    spread = values.std(dim=1)
    narrow = bottom >= -1.0001 and top <= 1.0001 and bottom < -0.6 and top > 0.6
    if (outside or (narrow and bool((least < -1.5).all()))) and not (_is_standardised(entered) and not outside):
        return "normalisation_differs", evidence
    if outside and bool((spread > 1.6).any()):
        return "normalisation_differs", evidence
    return "", ""


def _agrees_with(found: ValueMap, entered: Tensor) -> bool:
    """Whether values of a batch lie where the map of the transform says, and use a fair part of that range."""
    values = entered.float().transpose(0, 1).flatten(1)
    if len(values) != len(found.black):
        return False
    black, white = torch.tensor(found.black), torch.tensor(found.white)
    margin = 0.2 * (white - black).abs()
    low, high = torch.minimum(black, white) - margin, torch.maximum(black, white) + margin
    inside = (values >= low[:, None].to(values)) & (values <= high[:, None].to(values))
    used = (values.max(dim=1).values - values.min(dim=1).values) / (white - black).abs().to(values)
    return bool(inside.float().mean() > 0.98) and bool((used > 0.03).all())


def find_swapped_channels(examined: Examined) -> list[DoctorFinding]:
    """`channels_swapped`: blue enters where the weights expect red, by red and blue images or by the files."""
    expected = examined.expected
    found = examined.value_map("train")
    facts = examined.train
    evidence = ""
    if facts is not None and facts.items is not None:
        agreement = colour_order(facts)
        if agreement is not None and agreement.correlation < -0.5:
            evidence = (
                f"Over {agreement.images} training images the difference of the first and the last channel runs "
                "against "
                f"red minus blue of their files (correlation {agreement.correlation:+.2f})"
            )
        elif agreement is not None:
            return []
    if not evidence and found is not None and found.order == "bgr":
        evidence = "A red image becomes large in the last channel and a blue one in the first"
    if not evidence:
        return []
    whose = "" if expected is None else f"; {expected.source} expects red first"
    return [
        DoctorFinding(
            "channels_swapped",
            "error",
            "The channels are swapped: blue, green, red where red, green, blue was expected.",
            f"{evidence}{whose}.",
            "OpenCV reads BGR: cv2.cvtColor(image, cv2.COLOR_BGR2RGB) after reading, or read with PIL.",
        )
    ]


def find_broken_pixels(examined: Examined) -> list[DoctorFinding]:
    """`pixels_not_finite`: NaN or infinity among pixels; `images_identical`: all images of a batch are the same."""
    found = []
    for role, facts in examined.loaders.items():
        images = [batch.images for batch in facts.batches if batch.images.dtype.is_floating_point]
        bad = sum(int((~torch.isfinite(one)).flatten(1).any(dim=1).sum()) for one in images if one.ndim > 1)
        if bad:
            found.append(
                DoctorFinding(
                    "pixels_not_finite",
                    "error",
                    "Images hold values that are no numbers (NaN or infinity).",
                    f"{bad} of {sum(map(len, images))} images read from the {role} loader.",
                    "Divide by max(std, 1e-6), and look at how these files are decoded.",
                )
            )
        first = facts.batches[0].images if facts.batches else None
        if first is not None and len(first) >= 4 and bool((first == first[:1]).all()):
            found.append(
                DoctorFinding(
                    "images_identical",
                    "error",
                    "All images of a batch are the same.",
                    f"{len(first)} images in the first batch of the {role} loader are equal in every pixel.",
                    "Look at __getitem__ of the data set: it gives one image whatever the index is.",
                )
            )
    return found


def _for_channels(values: Sequence[float], channels: int) -> list[float]:
    found = list(values)
    return found if len(found) == channels else [sum(found) / len(found)] * channels


def _short(values: Sequence[float]) -> str:
    rounded = [f"{value:.2f}" if abs(value) < 20 else f"{value:.0f}" for value in values]
    return rounded[0] if len(set(rounded)) == 1 else f"({', '.join(rounded)})"


def _plain(values: Sequence[float]) -> str:
    return "[" + ", ".join(f"{value:g}" for value in values) + "]"
