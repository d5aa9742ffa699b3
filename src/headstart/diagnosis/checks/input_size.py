"""Checks of the shape of a batch: side, axes, and whether the network takes it at all."""

from __future__ import annotations

from headstart.diagnosis.examined import Examined
from headstart.diagnosis.finding import DoctorFinding

_LOW, _HIGH = 0.8, 1.25
"""Share of the weights' own side within which their features still fit."""


def find_input_size(examined: Examined) -> list[DoctorFinding]:
    """`input_size`: the side that enters the network is far from the weights' own and was not declared."""
    expected, entered = examined.expected, examined.entered
    if expected is None or expected.size is None or entered is None or examined.dry.forward_error:
        return []
    side = min(entered.shape[-2:])
    meant = examined.setup.input_size
    if meant is not None:
        if abs(side - meant) <= 1:
            return []
        expected_side, whose = meant, "input_size"
    else:
        expected_side, whose = expected.size, expected.source
        if _LOW <= side / expected_side <= _HIGH:
            return []
    return [
        DoctorFinding(
            "input_size",
            "warning",
            f"Images enter the network at {side} px, the weights were trained at {expected_side} px.",
            f"A batch is {tuple(entered.shape)} at the first layer; {whose} says {expected_side}. Features of one "
            "scale "
            "do not carry over to another without a loss.",
            f"Resize to {expected_side} px, or declare the size: headstart.doctor(..., input_size={side}).",
        )
    ]


def find_failing_forward(examined: Examined) -> list[DoctorFinding]:
    """`channels_last`, `channel_count` or `forward_fails`: the network does not take a batch of the loader."""
    error, images = examined.dry.forward_error, examined.dry.images
    if images is None or not (error or examined.dry.outputs is None):
        return []
    shape = tuple(images.shape)
    if images.ndim == 4 and shape[-1] in (1, 3, 4) and shape[1] not in (1, 3, 4):
        return [
            DoctorFinding(
                "channels_last",
                "error",
                "Images have their channels last; torch expects them first.",
                f"A batch is {shape}: (B, H, W, C); expected (B, C, H, W). {error}".rstrip() + ".",
                "tensor.permute(0, 3, 1, 2), or ToTensor() / ToTensorV2() as the last step of the transform.",
            )
        ]
    if images.ndim == 4 and shape[1] in (1, 2, 4) and "channels" in error:
        return [
            DoctorFinding(
                "channel_count",
                "error",
                f"Images have {shape[1]} channel{'s' if shape[1] > 1 else ''}, the network takes 3.",
                f"A batch is {shape}. {error}.",
                "image.convert('RGB') when the file is read, or transforms.Grayscale(num_output_channels=3).",
            )
        ]
    text = error or "it returns no tensor"
    hint = "Cast them: images.float()." if images.dtype != examined_dtype(examined) else "Run one batch by hand."
    return [
        DoctorFinding(
            "forward_fails",
            "error",
            "The network fails on a batch of the loader.",
            f"For images {shape} of {images.dtype}: {text}.",
            f"{hint} What the loader gives must be what forward takes.",
        )
    ]


def examined_dtype(examined: Examined) -> object:
    """Type of the network's parameters."""
    model = examined.setup.model
    return next((one.dtype for one in model.parameters()), None) if model is not None else None


def find_unreadable_loaders(examined: Examined) -> list[DoctorFinding]:
    """`loader_fails`: a loader gives no batch."""
    return [
        DoctorFinding(
            "loader_fails",
            "error",
            f"The {role} loader gives no batch.",
            f"Reading it: {facts.problem}.",
            "Read one batch by hand: next(iter(loader)); the doctor needs an object that can be iterated again.",
        )
        for role, facts in examined.loaders.items()
        if facts.problem
    ]
