"""pretrain: self-supervised pretraining of a network on images without labels; the result is a backbone file."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.amounts import count_text
from headstart.data.checks.image_checks import FileFacts, refuse_unusable
from headstart.errors import DataError, Interrupted, ModelError, PlanError, RunError, require, require_installed
from headstart.files import write_atomically
from headstart.input_spec import InputSpec
from headstart.knowledge.domain import Domain
from headstart.knowledge.domains import DOMAINS
from headstart.networks.cards.catalog import ModelChoice
from headstart.networks.cards.finding import find_model
from headstart.plan.plan import DataPlan, ModelPlan, NoncommercialWeights
from headstart.plan.request import DEFAULT_MODEL
from headstart.runs.progress import Progress, no_progress
from headstart.training.self_supervised.settings import PretrainedEpoch, PretrainSettings
from headstart.training.stopping import Stopped, StopRequest
from headstart.workflow.images import read_watched, sources_of, with_absolute_paths
from headstart.workflow.plans import refuse_by_licence
from headstart.workflow.pretraining.folder import PretrainFolder, PretrainRequest
from headstart.workflow.training.run_data import files_hash

if TYPE_CHECKING:
    from headstart.training.self_supervised.epochs import SelfSupervisedTraining

COLLAPSED = 0.1
"""A spread of features below this: all images have nearly the same, and the backbone is of no use."""
DEFAULTS = PretrainSettings(
    epochs=20,
    batch_size=32,
    lr=1e-4,
    weight_decay=1e-4,
    batch_norm="pretrained_statistics",
    augmentation="strong",
    flip="horizontal",
    seed=0,
)
"""Small batches: statistics of the pretrained BatchNorm layers stay, and the learning rate is that of fine-tuning."""

OnEpoch = Callable[[PretrainedEpoch], object]


@dataclass(frozen=True, repr=False)
class PretrainResult:
    """A pretrained backbone."""

    folder: Path
    model: str
    """Its name for `--model`: `ARCH:file:PATH`."""
    init: str
    images: int
    epochs: tuple[PretrainedEpoch, ...]
    ended: str
    """finished, or budget."""

    def __repr__(self) -> str:
        count = f"{count_text(self.images, 'image')}, {count_text(len(self.epochs), 'epoch')}"
        return f"PretrainResult({self.model}: {count} without labels, {self.ended})"

    @property
    def has_collapsed(self) -> bool:
        """Whether all images have nearly the same features."""
        return bool(self.epochs) and self.epochs[-1].spread < COLLAPSED

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "folder": str(self.folder),
            "model": self.model,
            "init": self.init,
            "images": self.images,
            "ended": self.ended,
            "has_collapsed": self.has_collapsed,
            "epochs": [asdict(epoch) for epoch in self.epochs],
        }


def pretrain_backbone(
    data: str | os.PathLike[str] | DataPlan,
    *,
    init: str | None = None,
    input_size: int | None = None,
    domain: Domain | None = None,
    settings: PretrainSettings = DEFAULTS,
    noncommercial_weights: NoncommercialWeights = "refuse",
    budget_seconds: float | None = None,
    out: Path | None = None,
    progress: Progress = no_progress,
    on_epoch: OnEpoch = lambda epoch: None,
) -> PretrainResult:
    """Backbone that was trained on images without labels, from pretrained weights.

    Args:
        data: UNLABELLED: any DATA; labels are not used.
        init: Network whose weights it starts from; the default of `train` if None.
        input_size: Side in pixels; that of the weights if None.
        domain: Of the images: decides mirroring, and stands on the card.
        settings: Of the training; `flip` is that of the domain where one is given.
        noncommercial_weights: refuse or allow weights whose licence forbids commercial use.
        budget_seconds: Time limit; the backbone as far as it is trained then is the result.
        out: Folder; a new one under `pretrained/` if None.
        progress: Receives the progress.
        on_epoch: Called after each epoch.

    Raises:
        DataError: fewer readable images than a batch.
        MissingExtraError: lightly is not installed.
        HeadstartError: see its subclasses; Interrupted after Ctrl-C or SIGTERM, with everything saved.
    """
    require_installed("torch", extra="train")
    require("lightly.loss", extra="pretrain")
    part = data if isinstance(data, DataPlan) else DataPlan.from_options(source=os.fspath(data))
    _refuse_settings(settings)
    choice = find_model(init or DEFAULT_MODEL)
    refuse_by_licence(ModelPlan(name=choice.name, noncommercial_weights=noncommercial_weights), choice)
    if domain is not None:
        settings = replace(settings, flip=DOMAINS[domain].flip)
    part = with_absolute_paths(part)
    facts = _read(part, progress)
    if len(facts.readable) < settings.batch_size:
        raise DataError(
            f"{part.source} has {len(facts.readable)} readable images, fewer than a batch of {settings.batch_size}",
            remedy="more images, or a smaller --batch-size",
        )
    request = PretrainRequest(
        init=choice.name,
        input_size=input_size or choice.card.input.size,
        domain=domain or choice.card.domain,
        data=part.model_dump(mode="json"),
        images=len(facts.readable),
        content=files_hash(facts.readable, facts.digests),
        settings=settings,
    )
    made = _training(choice, request, facts, None)
    folder = PretrainFolder.create(out, request, stem=f"{choice.card.architecture}-{Path(part.source).stem}")
    made.file = folder.checkpoint
    return _run(folder, request, made, StopRequest(budget_seconds=budget_seconds), progress, on_epoch)


def resume_backbone(
    folder: Path,
    *,
    budget_seconds: float | None = None,
    progress: Progress = no_progress,
    on_epoch: OnEpoch = lambda epoch: None,
) -> PretrainResult:
    """Go on with a pretraining that was stopped, killed or out of budget; the result is the same as without a stop.

    Args:
        folder: Of the pretraining.
        budget_seconds: Time limit of this call.
        progress: Receives the progress.
        on_epoch: Called after each epoch.

    Raises:
        RunError: not such a folder, or the images have changed.
        HeadstartError: as `pretrain`.
    """
    require("lightly.loss", extra="pretrain")
    found = PretrainFolder.open(folder)
    request = found.request()
    facts = _read(DataPlan.from_options(**request.data), progress)
    if files_hash(facts.readable, facts.digests) != request.content:
        raise RunError(
            f"the images of {request.data['source']} have changed since {folder} was begun",
            expected=f"the same {request.images} files",
            remedy="restore them, or begin anew",
        )
    made = _training(find_model(request.init), request, facts, found.checkpoint)
    return _run(found, request, made, StopRequest(budget_seconds=budget_seconds), progress, on_epoch)


def _refuse_settings(settings: PretrainSettings) -> None:
    faults = [f"epochs: {settings.epochs} must be >= 1"] if settings.epochs < 1 else []
    if settings.batch_size < 4:
        faults.append(f"batch_size: {settings.batch_size} must be >= 4, because the heads normalise by batch")
    if not 0 < settings.lr <= 1:
        faults.append(f"lr: {settings.lr:g} must be > 0 and <= 1")
    if faults:
        raise PlanError(faults, source="the request")


def _read(part: DataPlan, progress: Progress) -> FileFacts:
    if part.decoding.band_count is not None:
        fault = f"data.bands: {part.bands} are {part.decoding.band_count} bands, and pretraining takes one or three"
        raise PlanError([f"{fault}: --bands 3,2,1 reads three"], source="the data options")
    dataset, _ = sources_of(part, labels="optional")
    facts = read_watched(dataset.records, progress, decoding=part.decoding)
    if not facts.readable:
        refuse_unusable(facts, source=part.source, strict=False)
    return facts


def _training(
    choice: ModelChoice, request: PretrainRequest, facts: FileFacts, checkpoint: Path | None
) -> SelfSupervisedTraining:
    """The training, ready to run; from a checkpoint if there is one."""
    from headstart.machine import best_device
    from headstart.networks.backbone import build_classifier
    from headstart.training.self_supervised.epochs import SelfSupervisedTraining
    from headstart.training.self_supervised.siamese import Siamese

    settings = request.settings
    classifier = build_classifier(
        choice, kind="linear", num_classes=2, seed=settings.seed, input_size=request.input_size
    )
    if len(classifier.main_sites) != 1:
        raise ModelError(f"{choice.name} has several heads", expected="a network with one, such as resnet50")
    classifier.network.to(best_device())
    model = Siamese.of(classifier, seed=settings.seed)
    return SelfSupervisedTraining(model, facts.readable, _spec(choice, request), settings, checkpoint)


def _spec(choice: ModelChoice, request: PretrainRequest) -> InputSpec:
    part = DataPlan.from_options(**request.data)
    return choice.card.input.as_requested(size=request.input_size, resize=None, decoding=part.decoding)


def _run(
    folder: PretrainFolder,
    request: PretrainRequest,
    made: SelfSupervisedTraining,
    stop: StopRequest,
    progress: Progress,
    on_epoch: OnEpoch,
) -> PretrainResult:
    settings, at = request.settings, made.progress
    left = (settings.epochs - at.epoch) * made.steps_an_epoch - at.step
    tick = progress("pretrain", left * settings.batch_size)
    try:
        with stop.listening():
            ended = made.run(stop, on_epoch=on_epoch, on_images=tick)
    except Stopped as stopped:
        raise Interrupted("stopped; everything is saved", remedy=folder.resume_sentence) from stopped
    choice = find_model(request.init)
    _write_backbone(folder, made)
    folder.write_card(
        _spec(choice, request).to_dict(),
        licence=choice.card.licence,
        domain=request.domain,
        source=f"{choice.name}, trained without labels on {request.images:,} images",
    )
    epochs = made.progress.done
    folder.write_metrics(epochs, ended=ended)
    name = ModelChoice(choice.card, folder.backbone).name
    return PretrainResult(folder.path, name, request.init, request.images, tuple(epochs), ended)


def _write_backbone(folder: PretrainFolder, made: SelfSupervisedTraining) -> None:
    """Write the tensors of the network, without heads."""
    from safetensors.torch import save_file

    classifier = made.model.classifier
    heads = tuple(f"{site.path}." for site in classifier.sites)
    tensors = {name: one.contiguous() for name, one in classifier.state().items() if not name.startswith(heads)}
    write_atomically(folder.backbone, lambda aside: save_file(tensors, aside))
