"""What TensorBoard's own reader finds in a folder."""

from __future__ import annotations

from pathlib import Path


def scalars_of(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder)).Reload()
    return {tag: [(one.step, one.value) for one in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


def texts_of(folder: Path) -> dict[str, list[tuple[int, str]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder)).Reload()
    tags = [tag for tag in read.Tags()["tensors"] if not tag.startswith("_")]
    return {tag: [(one.step, one.tensor_proto.string_val[0].decode()) for one in read.Tensors(tag)] for tag in tags}
