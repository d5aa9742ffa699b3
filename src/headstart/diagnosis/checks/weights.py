"""Checks of the weights: whether they were loaded, and whether they are numbers."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from headstart.diagnosis.examined import Examined
from headstart.diagnosis.finding import DoctorFinding


def find_random_weights(examined: Examined) -> list[DoctorFinding]:
    """`weights_not_loaded`: the backbone holds initial values where pretrained ones were meant."""
    model, expected, initial = examined.setup.model, examined.expected, examined.initial
    if model is None or initial is None:
        return []
    if expected is not None and expected.state is not None:
        return _against_state(examined, model, expected.state)
    if not initial.is_random or initial.layers + initial.norms < 3:
        return []
    meant = expected is not None and expected.given
    frozen = any(not one.is_trainable for one in examined.backbone)
    evidence = (
        f"{initial.initial_norms} of {initial.norms} norm layers have scale 1 and shift 0 exactly, and "
        f"{initial.initial_layers} of {initial.layers} weight layers the distribution of their initialisation"
    )
    if meant or frozen:
        why = f"; {expected.source} was meant" if meant and expected else "; part of it is frozen, and stays random"
        return [_not_loaded("error", f"{evidence}{why}.")]
    return [_not_loaded("info", f"{evidence}. From random weights training needs far more images.")]


def _not_loaded(level: str, evidence: str) -> DoctorFinding:
    return DoctorFinding(
        "weights_not_loaded",
        level,  # type: ignore[arg-type]
        "The pretrained weights are not in the network: it is random.",
        evidence,
        "pretrained=True or weights=...; with load_state_dict read what it returns: strict=False passes over "
        "names that do "
        "not fit, such as those with the prefix 'module.'.",
    )


def _against_state(examined: Examined, model: nn.Module, state: Mapping[str, Tensor]) -> list[DoctorFinding]:
    own = {name: one for name, one in model.state_dict().items() if not name.startswith(f"{examined.head}.")}
    given = {_stem(name): one for name, one in state.items()}
    weights = {name: one for name, one in own.items() if one.ndim >= 2 or "running" in name}
    equal = [name for name, one in weights.items() if _is_equal(one, _matching(name, given))]
    if not weights or len(equal) >= 0.5 * len(weights):
        return []
    # A network that was trained on from these weights is another one, and no longer random.
    if examined.initial is not None and not examined.initial.is_random:
        return []
    missing = [name for name in own if _matching(name, given) is None]
    evidence = f"{len(equal)} of {len(weights)} weight tensors equal those given"
    if missing:
        evidence += (
            f"; {len(missing)} names are not among them, such as {missing[0]!r} (the file has {next(iter(state))!r})"
        )
    return [_not_loaded("error", f"{evidence}.")]


def _stem(name: str) -> str:
    for prefix in ("module.", "model.", "backbone.", "_orig_mod.", "encoder.", "network.", "state_dict."):
        name = name.removeprefix(prefix)
    return name


def _matching(name: str, given: Mapping[str, Tensor]) -> Tensor | None:
    stem = _stem(name)
    while stem:
        if stem in given:
            return given[stem]
        stem = stem.partition(".")[2]
    return None


def _is_equal(one: Tensor, other: Tensor | None) -> bool:
    return other is not None and one.shape == other.shape and torch.allclose(one.cpu().float(), other.cpu().float())


def find_broken_weights(examined: Examined) -> list[DoctorFinding]:
    """`weights_not_finite`: NaN or infinity among weights."""
    model = examined.setup.model
    if model is None:
        return []
    bad = [
        name
        for name, one in model.state_dict().items()
        if one.dtype.is_floating_point and not torch.isfinite(one).all()
    ]
    if not bad:
        return []
    return [
        DoctorFinding(
            "weights_not_finite",
            "error",
            "Weights are not finite.",
            f"{len(bad)} tensors hold NaN or infinity ({', '.join(bad[:3])}).",
            "Load the last good checkpoint; lower the learning rate or clip gradients.",
        )
    ]
