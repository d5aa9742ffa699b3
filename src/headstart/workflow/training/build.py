"""The network and the training images of a resolved plan, ready for the first step."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Literal

from headstart.data.class_balance import BalanceMethod, class_balance
from headstart.data.loading import choose_workers
from headstart.errors import require
from headstart.machine import choose_device
from headstart.measures.figures import SelectionMetric
from headstart.networks.cards.catalog import ModelChoice
from headstart.plan.plan import Plan, ProbePhase, TrainPhase
from headstart.runs.event import Event
from headstart.runs.events import ChannelsSelected
from headstart.workflow.images import CheckedData
from headstart.workflow.training.image_weights import image_weights

if TYPE_CHECKING:
    from headstart.engine.known.choices import Purpose
    from headstart.engine.known.classifier import AnyClassifier, KnownClassifier
    from headstart.engine.store.training_images import TrainingImages
    from headstart.networks.backbone import Classifier
    from headstart.networks.band_adapter import BandAdapter


@dataclass(frozen=True)
class BuiltTraining:
    """Everything that training needs before there is a run folder; whatever can be wrong with it was found."""

    plan: Plan
    """Resolved."""
    choice: ModelChoice
    """The network as it was chosen: its card, and a file of weights if one was given."""
    classifier: AnyClassifier
    """The network with its weights and a new head, on the device that will train it; known ones torch builds later."""
    images: TrainingImages
    data: CheckedData
    notes: tuple[Event, ...] = ()
    """What was decided while it was built."""


def build_training(plan: Plan, choice: ModelChoice, data: CheckedData) -> BuiltTraining:
    """Network and training images of a resolved plan.

    Args:
        plan: Resolved against the network.
        choice: The network.
        data: Its images, which have all been read.

    Raises:
        HeadstartError: the weights cannot be loaded, or they do not fit the network.
    """
    num_classes, images = len(data.roles.classes), _training_images(plan, choice, data)
    if data.decoding.band_count is None:
        resolved = plan.model_copy(update={"input": plan.input.model_copy(update={"channels": "plain"})})
        return BuiltTraining(resolved, choice, _classifier(plan, choice, num_classes=num_classes), images, data)
    return _adapted(plan, choice, images, data)


def _adapted(plan: Plan, choice: ModelChoice, images: TrainingImages, data: CheckedData) -> BuiltTraining:
    """The training with its network adapted to bands, in the way that the plan names or that probes select.

    Statistics and probes see training images only. A resumed run computes the statistics again, from the same files.

    Args:
        plan: Resolved against the network.
        choice: The network.
        images: With the number of bands in their decoding, and otherwise the input of the weights.
        data: The same images.

    Raises:
        HeadstartError: the network cannot be adapted, or images cannot be read.
    """
    from headstart.data.band_statistics import band_statistics
    from headstart.training.channels.adapting import adapted_to_bands
    from headstart.training.channels.choosing import choose_channels, methods_for

    build = partial(_torch_classifier, plan, choice, num_classes=len(images.roles.classes))
    statistics = band_statistics(images.roles.train, images.spec, seed=plan.seed)
    method, reasons, notes = plan.input.channels, plan.reasons, tuple[Event, ...]()
    if method == "auto" or method == "plain":
        methods = methods_for(len(statistics.mean), head=plan.head.kind)
        chosen = choose_channels(
            lambda adapter: build(adapter=adapter), images, statistics, methods, seed=plan.seed, engine=plan.engine
        )
        method, reasons = chosen.method, {**reasons, "input.channels": chosen.reason}
        notes = (ChannelsSelected(method, chosen.reason),)
    resolved = plan.model_copy(
        update={
            "input": plan.input.model_copy(update={"channels": method}),
            "data": plan.data.model_copy(update={"band_count": images.spec.decoding.band_count}),
            "reasons": reasons,
        }
    )
    adapted = adapted_to_bands(images.spec, statistics, method)
    classifier = build(adapter=adapted.adapter)
    return BuiltTraining(resolved, choice, classifier, replace(images, spec=adapted.spec), data, notes)


def use_machine(*, device: str, workers: int | Literal["auto"]) -> None:
    """Let this process compute on a device, and decode images with so many threads.

    Args:
        device: auto, cpu, cuda, cuda:1 or mps.
        workers: Threads; auto: one for each core, at most 8.

    Raises:
        HeadstartError: this machine has no such device.
    """
    choose_workers(None if workers == "auto" else workers)
    choose_device(device)


def import_training(plan: Plan, choice: ModelChoice) -> None:
    """Import all that training needs, in some two seconds where that is torch; while images are read it costs no time.

    Args:
        plan: Resolved against the network.
        choice: The network.
    """
    import headstart.prediction.predictor
    import headstart.training.loop  # noqa: F401

    # Two classes stand for any number: whether torch is needed does not depend on it.
    if _known_classifier(plan, choice, num_classes=2, purpose="features") is None:
        _import_tuning(choice)


def _import_tuning(choice: ModelChoice) -> None:
    """Import what builds and tunes a network."""
    require(choice.card.library, extra="train")
    import headstart.engine.prefix.depth_features
    import headstart.engine.store.frozen_part
    import headstart.training.phase  # noqa: F401


def _import_tuning_in_background(choice: ModelChoice) -> None:
    """The same in a background thread, while the linear probe is fitted."""

    def work() -> None:
        with contextlib.suppress(Exception):  # the train phase imports it again, and reports what is wrong
            _import_tuning(choice)

    # No daemon: an interpreter that ends in the middle of such an import may crash.
    threading.Thread(target=work, name="imports").start()


def _make_deterministic() -> None:
    """The same operations in the same order give the same bits; on a CPU they do for a given number of threads."""
    import torch

    if "torch._inductor.config" in sys.modules:
        torch.use_deterministic_algorithms(True, warn_only=True)
    else:
        # The call above would import the compiler, for a second, to set this of it; it reads it when it is imported.
        os.environ["TORCHINDUCTOR_DETERMINISTIC"] = "1"
        torch.set_deterministic_debug_mode("warn")
    torch.backends.cudnn.benchmark = False


def _classifier(plan: Plan, choice: ModelChoice, *, num_classes: int) -> AnyClassifier:
    """The network of a resolved plan, on the device that will train it."""
    known = _known_classifier(plan, choice, num_classes=num_classes)
    if known is not None:
        # Whether a step of progressive tuning begins is not known before the probe is fitted.
        if any(isinstance(phase, TrainPhase) and phase.begins == "always" for phase in plan.phases):
            _import_tuning_in_background(choice)
        return known
    from headstart.engine.known.remembering import remember_choice

    built = _torch_classifier(plan, choice, num_classes=num_classes)
    assert isinstance(plan.input.size, int)
    remember_choice(choice, built, size=plan.input.size, grain=plan.model.grain, purpose="bundle")
    return built


def _known_classifier(
    plan: Plan, choice: ModelChoice, *, num_classes: int, purpose: Purpose = "bundle"
) -> KnownClassifier | None:
    """The network of a resolved plan without torch; None where torch is needed from the start."""
    from headstart.engine.known.finding import known_pretrained_classifier

    assert isinstance(plan.input.size, int)
    # Without a probe phase, a store or ONNX Runtime, the first step needs torch.
    if (
        not isinstance(plan.phases[0], ProbePhase)
        or plan.model.weights == "random"
        or plan.activation_cache == "off"
        or plan.engine == "torch"
    ):
        return None
    return known_pretrained_classifier(
        choice,
        head_kind=plan.head.kind,
        num_classes=num_classes,
        size=plan.input.size,
        grain=plan.model.grain,
        purpose=purpose,
        build=partial(_torch_classifier, plan, choice, num_classes=num_classes),
    )


def _torch_classifier(
    plan: Plan, choice: ModelChoice, *, num_classes: int, adapter: BandAdapter | None = None
) -> Classifier:
    from headstart.engine.known.pretrained import torch_classifier

    _make_deterministic()
    assert isinstance(plan.input.size, int)
    return torch_classifier(
        choice,
        head_kind=plan.head.kind,
        num_classes=num_classes,
        seed=plan.seed,
        size=plan.input.size,
        weights=plan.model.weights,
        grain=plan.model.grain,
        adapter=adapter,
    )


def _training_images(plan: Plan, choice: ModelChoice, data: CheckedData) -> TrainingImages:
    """Images by role, the network's input, and the activation cache of a resolved plan."""
    from headstart.engine.store.store import ActivationStore
    from headstart.engine.store.training_images import TrainingImages

    assert isinstance(plan.input.size, int)
    # A run of an earlier version, whose plan resolved neither, balanced nothing and selected by accuracy.
    method: BalanceMethod = "none" if plan.imbalance == "auto" else plan.imbalance
    metric: SelectionMetric = "accuracy" if plan.selection.metric == "auto" else plan.selection.metric
    pool = data.roles.training_pool
    return TrainingImages(
        data.roles,
        choice.card.input.as_requested(size=plan.input.size, resize=plan.input.resize, decoding=data.decoding),
        data.groups,
        digests={name: bytes.fromhex(digest) for name, digest in data.facts.digests.items()},
        store=None if plan.activation_cache == "off" else ActivationStore(),
        precision="float32" if plan.activation_cache == "float32" else "float16",
        weights=image_weights(method, plan.class_weight, pool),
        balance=class_balance(method, pool, weights="balanced" if plan.class_weight is None else "given"),
        metric=metric,
        pixels=round(median(width * height for width, height in data.facts.sizes.values())),
    )
