"""The bundle: a folder with a trained model as safetensors and JSON; reading it runs no code."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from safetensors.numpy import save_file as save_arrays

from headstart.data.class_balance import ClassBalance, PredictedShares
from headstart.engine.known.classifier import AnyClassifier
from headstart.errors import BundleError
from headstart.files import is_file, is_folder, write_atomically, write_json
from headstart.input_spec import InputSpec
from headstart.networks.cards.catalog import ModelCard
from headstart.networks.head_layers import DEPTHS
from headstart.runs.folder import resume_command

if TYPE_CHECKING:
    from headstart.networks.backbone import Classifier

SCHEMA_VERSION = 1
CARD_FILE = "bundle.json"
WEIGHTS_FILE = "model.safetensors"


@dataclass(frozen=True, slots=True)
class BundleInfo:
    """Contents of bundle.json: everything in a bundle but its weights."""

    card: ModelCard
    head: Literal["linear", "mlp", "multi_depth"]
    classes: tuple[str, ...]
    """In the order of the network's outputs."""
    input: InputSpec
    temperature: float | None = None
    """Divides the logits; None is not calibrated."""
    thresholds: dict[str, float] | None = None
    """None: no image is called unknown."""
    predicts_for: PredictedShares = "training"
    """Shares of the classes that probabilities are for; bundles of earlier versions do not say it."""
    training_shares: dict[str, float] | None = None
    """Class -> its share of the training images, where probabilities p are not for these shares. Where they are for
    equal ones, those for shares q are p q over its sum."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "schema_version": SCHEMA_VERSION,
            "card": self.card.to_dict(),
            "head": self.head,
            "classes": list(self.classes),
            "input": self.input.to_dict(),
            "temperature": self.temperature,
            "thresholds": self.thresholds,
            "predicts_for": self.predicts_for,
            "training_shares": self.training_shares,
            "licence": self.card.licence,
        }


def save_bundle(
    folder: Path,
    classifier: AnyClassifier,
    *,
    classes: tuple[str, ...],
    spec: InputSpec,
    balance: ClassBalance | None = None,
) -> None:
    """Write a bundle; an existing one is replaced file by file, each atomically.

    A multi_depth head that reads nothing but what the ordinary head reads is written as that one.

    Args:
        folder: Of the bundle.
        classifier: What is saved.
        classes: In the order of its outputs.
        spec: Its input.
        balance: How classes of unequal size were balanced; None: not at all.

    Raises:
        DiskFullError: nothing half-written is left.
    """
    tensors = classifier.state()
    kind = classifier.head_kind
    # A depth head whose weights are all zero adds nothing; as a linear head the bundle needs no fixed image size.
    if kind == "multi_depth" and not tensors[f"{DEPTHS}.weight"].any():
        kind = "linear"
        del tensors[f"{DEPTHS}.weight"]
    balance = ClassBalance() if balance is None else balance
    shares = {name: balance.shares[name] for name in classes} if balance.shares else None
    info = BundleInfo(classifier.card, kind, classes, spec, predicts_for=balance.predicts_for, training_shares=shares)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / WEIGHTS_FILE, lambda aside: _save(tensors, aside))
    # The card last: a folder without a card is no bundle, so an interrupted save is not mistaken for one.
    write_json(folder / CARD_FILE, info.to_dict())


def _save(tensors: dict[str, Any], path: Path) -> None:
    """Write tensors, or arrays of a network that torch never built; the same values give the same bytes."""
    # Copies: some networks use one tensor under two names, which the file format refuses to guess about.
    if all(isinstance(values, np.ndarray) for values in tensors.values()):
        save_arrays({name: np.array(values, order="C") for name, values in tensors.items()}, path)
        return
    from safetensors.torch import save_file

    save_file({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}, path)


def bundle_folder(folder: Path) -> Path:
    """Folder of the bundle that a path names: of the bundle itself, or of the run that holds it.

    Raises:
        BundleError: a run whose training has not ended.
    """
    if is_file(folder / CARD_FILE):
        return folder
    if is_file(folder / "bundle" / CARD_FILE):
        return folder / "bundle"
    if is_file(folder / "plan.resolved.yaml"):
        raise BundleError(
            f"the run {folder} has no bundle yet: its training has not ended",
            remedy=f"finish it with: {resume_command('train', folder)}",
        )
    return folder


def read_info(folder: Path) -> BundleInfo:
    """Contents of bundle.json; needs no torch.

    Raises:
        BundleError: not a bundle, or one of a newer schema.
    """
    if is_folder(folder) and not is_file(folder / CARD_FILE) and is_file(folder / "bundle" / CARD_FILE):
        raise BundleError(f"{folder} is a run folder", remedy=f"its bundle is {folder / 'bundle'}")
    try:
        raw = json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(
            f"{folder} is no bundle ({CARD_FILE} cannot be read)",
            expected="the folder of a run or a bundle that training made",
        ) from error
    if raw.get("schema_version", 0) > SCHEMA_VERSION:
        raise BundleError(
            f"{folder} has schema version {raw['schema_version']}",
            expected=f"at most {SCHEMA_VERSION}",
            remedy="pip install --upgrade headstart",
        )
    try:
        return BundleInfo(
            card=ModelCard.from_dict(raw["card"]),
            head=raw["head"],
            classes=tuple(raw["classes"]),
            input=InputSpec.from_dict(raw["input"]),
            temperature=raw["temperature"],
            thresholds=raw["thresholds"],
            predicts_for=raw.get("predicts_for", "training"),
            training_shares=raw.get("training_shares"),
        )
    except (KeyError, TypeError) as error:
        raise BundleError(f"{folder / CARD_FILE} lacks or garbles {error}") from error


def load_classifier(
    folder: Path, *, deepen: Callable[[Classifier, int], Classifier] | None = None
) -> tuple[Classifier, BundleInfo]:
    """Classifier of a bundle, in evaluation mode.

    Args:
        folder: Of the bundle.
        deepen: Gives a classifier a multi_depth head, for images of a size: `engine.prefix.depth_features.with_depths`.

    Raises:
        BundleError: not a bundle, or its weights do not fit its card.
        MissingExtraError: torch is not installed.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from headstart.networks.backbone import build_network, with_new_head
    from headstart.networks.groups.layers import restore

    info = read_info(folder)
    if info.head == "multi_depth" and deepen is None:
        raise BundleError(f"{folder} has a multi_depth head", remedy=f"headstart.load({str(folder)!r}) reads it")
    network = build_network(info.card, input_size=info.input.size)
    kind = "linear" if info.head == "multi_depth" else info.head
    classifier = with_new_head(network, info.card, kind=kind, num_classes=len(info.classes))
    try:
        tensors = load_file(folder / WEIGHTS_FILE)
        if info.input.channels_by is not None:
            from headstart.networks.channels import with_bands_of

            classifier = with_bands_of(classifier, tensors, info.input.channels)
        # The depth head's width follows from the weights' network, so the other tensors are loaded first.
        own = {name: tensor for name, tensor in tensors.items() if not name.startswith(f"{DEPTHS}.")}
        restore(classifier.network, own)
        if info.head == "multi_depth" and deepen is not None:
            classifier = deepen(classifier, info.input.size)
            restore(classifier.network, tensors)
    except (OSError, SafetensorError, RuntimeError) as error:
        first = str(error).splitlines()[0]
        raise BundleError(
            f"{folder / WEIGHTS_FILE} cannot be used ({first})", remedy="train or copy the bundle again"
        ) from error
    return classifier, info
