"""Checks of BatchNorm, by what a forward pass in the training mode does."""

from __future__ import annotations

from torch import nn

from headstart.diagnosis.examined import Examined
from headstart.diagnosis.finding import DoctorFinding
from headstart.diagnosis.layers import is_weight_layer
from headstart.networks.groups.layers import is_batch_norm


def find_frozen_drift(examined: Examined) -> list[DoctorFinding]:
    """`frozen_batch_norm_drifts`: running statistics of a frozen part move.

    `frozen_batch_norm_by_batch`: they stay, and training normalises by the batch all the same.
    """
    model, dry = examined.setup.model, examined.dry
    if model is None or not any(one.is_trainable for one in examined.parameters):
        return []
    frozen = frozen_norms(model, dry.executed)
    moved = [path for path in frozen if any(name.rpartition(".")[0] == path for name in dry.moved_buffers)]
    by_batch = [path for path in frozen if path in dry.differs_by_mode and path not in moved]
    if _adapts_on_purpose(model):
        return []
    found = []
    if moved:
        found.append(
            DoctorFinding(
                "frozen_batch_norm_drifts",
                "error",
                "BatchNorm of the frozen part drifts: its running statistics move although its weights are frozen.",
                f"In one forward pass on a copy, in the mode in which training runs, the running statistics of "
                f"{len(moved)} of {len(frozen)} frozen BatchNorm layers moved ({', '.join(moved[:2])}, ...).",
                "Keep them in evaluation mode after every model.train(): headstart.batch_norm(model) does, on "
                "every step.",
            )
        )
    if by_batch:
        found.append(
            DoctorFinding(
                "frozen_batch_norm_by_batch",
                "error",
                "Frozen BatchNorm normalises by the batch in training and by old statistics in evaluation.",
                f"{len(by_batch)} of {len(frozen)} frozen BatchNorm layers ({', '.join(by_batch[:2])}, ...) give other "
                "values in training mode than in evaluation mode, and their running statistics do not move.",
                "track_running_stats=False does not freeze: keep it True and the layers in evaluation mode; "
                "headstart.batch_norm(model) does that on every step.",
            )
        )
    return found


def frozen_norms(model: nn.Module, executed: tuple[str, ...]) -> list[str]:
    """Paths of BatchNorm layers with frozen scale whose input comes from a frozen layer, in order of execution."""
    modules = dict(model.named_modules())
    found = []
    before_is_frozen = True
    for path in executed:
        module = modules.get(path)
        if module is None:
            continue
        own = [one.requires_grad for one in module.parameters(recurse=False)]
        if is_batch_norm(module):
            if before_is_frozen and not any(own):
                found.append(path)
        elif is_weight_layer(module):
            before_is_frozen = not any(own)
    return found


def _adapts_on_purpose(model: nn.Module) -> bool:
    from headstart.networks.toolbox import BatchNormHandle

    owners = [getattr(hook, "__self__", None) for hook in model._forward_pre_hooks.values()]
    return any(isinstance(one, BatchNormHandle) and one._policy == "adapt_statistics" for one in owners)


def find_single_image_batches(examined: Examined) -> list[DoctorFinding]:
    """`last_batch_of_one`: BatchNorm by batch, and the last batch of an epoch holds one image."""
    facts = examined.train
    if facts is None or facts.batch_size is None or facts.dataset.size is None or facts.drops_last:
        return []
    last = facts.dataset.size % facts.batch_size
    single = facts.batch_size == 1
    if not single and last != 1:
        return []
    if not examined.dry.moved_buffers:
        return []
    text = (
        "every batch holds one image"
        if single
        else f"{facts.dataset.size:,} images in batches of {facts.batch_size} leave one"
    )
    return [
        DoctorFinding(
            "last_batch_of_one",
            "warning",
            "BatchNorm gets a batch of one image.",
            f"{text}, and BatchNorm layers are in training mode: variance over one image is no statistic, and after "
            "global pooling it is an error.",
            "drop_last=True in the training loader, or another batch size.",
        )
    ]
