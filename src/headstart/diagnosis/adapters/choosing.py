"""A set-up from whatever the user has: one small adapter a framework, chosen by what the object can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from headstart.arguments import ArgumentError
from headstart.diagnosis.adapters import fastai, lightning, timm, transformers
from headstart.diagnosis.adapters.plain import several, unwrapped
from headstart.diagnosis.setup import LoaderRole, Setup


def setup_of(subject: Any, given: Setup, *, trainer: Any = None) -> Setup:  # noqa: ANN401
    """The set-up of a network, a LightningModule, a fastai Learner or a Hugging Face Trainer.

    Args:
        subject: One of these; None where only loaders or a transform are to be examined.
        given: What the user named; it takes the place of what the object holds.
        trainer: A Lightning Trainer, for its accumulation and epochs.

    Raises:
        ArgumentError: the object is none of these.
    """
    given = replace(
        given, loaders=_timm_loaders(given.loaders), optimizers=tuple(map(_inner_optimizer, given.optimizers))
    )
    if subject is None:
        return given
    if fastai.is_learner(subject):
        return _from_learner(subject, given)
    if transformers.is_trainer(subject):
        return _from_trainer(subject, given)
    if lightning.is_lightning_module(subject):
        return _from_lightning(subject, given, trainer)
    if not isinstance(subject, nn.Module):
        kind = f"{type(subject).__name__} {subject!r:.60}"
        raise ArgumentError(
            f"model is {kind}", expected="a torch network, LightningModule, fastai Learner, Trainer, or a run folder"
        )
    return replace(given, model=unwrapped(subject))


def _timm_loaders(loaders: Mapping[LoaderRole, Any]) -> dict[LoaderRole, Any]:
    return {role: timm.NormalisedBatches(one) if timm.is_prefetch_loader(one) else one for role, one in loaders.items()}


def _inner_optimizer(optimizer: Any) -> Any:  # noqa: ANN401
    """The torch optimizer inside Accelerate's wrapper, or itself."""
    inner = getattr(optimizer, "optimizer", None)
    return inner if inner is not None and hasattr(inner, "param_groups") else optimizer


def _from_learner(learner: Any, given: Setup) -> Setup:  # noqa: ANN401
    optimizer = getattr(learner, "opt", None)
    own = () if given.optimizers else (_fastai_optimizer(learner, optimizer),)
    return replace(
        given,
        model=unwrapped(learner.model),
        optimizers=given.optimizers or own,
        criterion=given.criterion or learner.loss_func,
        loaders=given.loaders or fastai.loaders_of_learner(learner),
        classes=given.classes or fastai.classes_of_learner(learner),
        mode_set_by="framework",
        framework="fastai",
    )


def _fastai_optimizer(learner: Any, optimizer: Any) -> Any:  # noqa: ANN401
    return (
        optimizer
        if hasattr(optimizer, "step") and hasattr(optimizer, "defaults")
        else fastai.GroupedOptimizer(learner).optimizer
    )


def _from_trainer(trainer: Any, given: Setup) -> Setup:  # noqa: ANN401
    own = transformers.optimizer_of_trainer(trainer)
    scheduler = getattr(trainer, "lr_scheduler", None)
    return replace(
        given,
        model=unwrapped(trainer.model),
        optimizers=given.optimizers or several(own),
        schedulers=given.schedulers or several(scheduler),
        loaders=given.loaders or transformers.loaders_of_trainer(trainer),
        weights=given.weights if given.weights is not None else transformers.processor_of(trainer),
        classes=given.classes or transformers.classes_of_trainer(trainer),
        accumulate=given.accumulate
        if given.accumulate > 1
        else int(getattr(trainer.args, "gradient_accumulation_steps", 1)),
        mode_set_by="framework",
        framework="Hugging Face Trainer",
    )


def _from_lightning(module: Any, given: Setup, trainer: Any) -> Setup:  # noqa: ANN401
    loaders = given.loaders or lightning.loaders_of(module)
    if not given.optimizers:
        module = lightning.own_copy(module)  # configuring may freeze layers or note the optimizer
    optimizers, schedulers = (given.optimizers, given.schedulers) if given.optimizers else lightning.configured(module)
    every = int(getattr(trainer, "accumulate_grad_batches", 1) or 1)
    return replace(
        given,
        model=unwrapped(module),
        optimizers=optimizers,
        schedulers=given.schedulers or schedulers,
        criterion=given.criterion or lightning.criterion_of(module),
        loaders=loaders,
        accumulate=given.accumulate if given.accumulate > 1 else every,
        mode_set_by="framework",
        framework="Lightning",
    )
