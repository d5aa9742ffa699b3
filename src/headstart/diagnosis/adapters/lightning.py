"""A LightningModule, alone or with its data module: optimizers as it configures them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from headstart.diagnosis.setup import LoaderRole

LOADERS: dict[LoaderRole, str] = {
    "train": "train_dataloader",
    "validation": "val_dataloader",
    "test": "test_dataloader",
}


def is_lightning_module(value: object) -> bool:
    """Whether the object has the methods of a LightningModule."""
    return all(callable(getattr(value, name, None)) for name in ("configure_optimizers", "training_step", "forward"))


def is_data_module(value: object) -> bool:
    """Whether the object has the methods of a LightningDataModule."""
    return callable(getattr(value, "train_dataloader", None)) and not callable(getattr(value, "forward", None))


def own_copy(module: Any) -> Any:  # noqa: ANN401
    """A copy of a LightningModule; itself where it cannot be copied."""
    try:
        return copy.deepcopy(module)
    except Exception:  # a module that holds locks or handles
        return module


def configured(module: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:  # noqa: ANN401 - a LightningModule
    """(optimizers, schedulers) as `configure_optimizers` gives them, in any of its shapes."""
    raw = module.configure_optimizers()
    optimizers: list[Any] = []
    schedulers: list[Any] = []
    if isinstance(raw, tuple) and len(raw) == 2 and all(isinstance(part, list) for part in raw):
        optimizers, schedulers = list(raw[0]), list(raw[1])
    else:
        for one in raw if isinstance(raw, list | tuple) else [raw]:
            if isinstance(one, Mapping):
                optimizers.append(one["optimizer"])
                schedulers += [one["lr_scheduler"]] if one.get("lr_scheduler") is not None else []
            elif one is not None:
                optimizers.append(one)
    schedulers = [one["scheduler"] if isinstance(one, Mapping) else one for one in schedulers]
    return tuple(optimizers), tuple(schedulers)


def loaders_of(owner: Any) -> dict[LoaderRole, Any]:  # noqa: ANN401
    """Loaders of a module or data module; those that are not written are left out."""
    found: dict[LoaderRole, Any] = {}
    if is_data_module(owner):
        owner = copy.copy(owner)  # `setup` writes its data sets into the module
        if callable(getattr(owner, "setup", None)):
            owner.setup("fit")
    for role, name in LOADERS.items():
        make = getattr(owner, name, None)
        try:
            made = make() if callable(make) else None
        except Exception:  # Lightning's own raise where nothing is written
            continue
        made = made[0] if isinstance(made, list | tuple) and made else made
        if made is not None and not isinstance(made, list | tuple):
            found[role] = made
    return found


def criterion_of(module: Any) -> Any:  # noqa: ANN401
    """The loss that a module holds under a usual name; None where it has none."""
    for name in ("criterion", "loss_fn", "loss", "loss_func"):
        found = getattr(module, name, None)
        if callable(found):
            return found
    return None
