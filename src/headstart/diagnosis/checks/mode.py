"""Checks of the mode of the network: training or evaluation."""

from __future__ import annotations

from torch import nn

from headstart.diagnosis.examined import Examined
from headstart.diagnosis.finding import DoctorFinding
from headstart.networks.groups.layers import is_batch_norm


def find_wrong_mode(examined: Examined) -> list[DoctorFinding]:
    """`model_in_evaluation_mode`: trainable layers with dropout or BatchNorm among them, and `training` is False.

    `model_in_training_mode`: no optimizer and no training loader, so the network is used, in training mode.
    """
    setup, model = examined.setup, examined.setup.model
    if model is None or setup.mode_set_by == "framework":
        return []
    if not setup.optimizers and "train" not in setup.loaders:
        return _while_predicting(examined, model)
    if model.training or not setup.optimizers:
        return []
    active = _mode_layers(model)
    trainable_norms = [
        path for path in active if any(one.requires_grad for one in model.get_submodule(path).parameters())
    ]
    drops = [path for path in active if not is_batch_norm(model.get_submodule(path)) and _trains_near(model, path)]
    if not trainable_norms and not drops:
        return []
    named = (trainable_norms + drops)[:3]
    return [
        DoctorFinding(
            "model_in_evaluation_mode",
            "warning",
            "The network is in evaluation mode while it is to be trained.",
            f"model.training is False; {len(trainable_norms)} trainable BatchNorm layers and {len(drops)} dropout "
            "layers "
            f"are switched off by that ({', '.join(named)}).",
            "Call model.train() before each epoch, after every validation pass.",
        )
    ]


def _while_predicting(examined: Examined, model: nn.Module) -> list[DoctorFinding]:
    if not model.training or not (examined.setup.loaders or examined.setup.transform is not None):
        return []
    active = [path for path in _mode_layers(model) if model.get_submodule(path).training]
    if not active:
        return []
    return [
        DoctorFinding(
            "model_in_training_mode",
            "warning",
            "The network is in training mode while it is used.",
            f"No optimizer and no training loader were given, and {len(active)} layers ({', '.join(active[:3])}) act "
            "otherwise in training: predictions depend on the other images of the batch, or on chance.",
            "Call model.eval() before predicting.",
        )
    ]


def _mode_layers(model: nn.Module) -> list[str]:
    """Paths of layers that depend on the mode: BatchNorm, and dropout of a share above 0."""
    found = []
    for path, module in model.named_modules():
        drop = getattr(module, "p", None) if isinstance(module, nn.modules.dropout._DropoutNd) else None
        if is_batch_norm(module) or (drop or 0) > 0:
            found.append(path)
    return found


def _trains_near(model: nn.Module, path: str) -> bool:
    """Whether the module around a layer has trainable parameters."""
    parent = model.get_submodule(path.rpartition(".")[0])
    return any(one.requires_grad for one in parent.parameters())
