"""Folder of a pretraining: its request, its checkpoint, and at the end the backbone with its card.

pretrain.json        what was requested, resolved, and the hash of the images; read on resume
environment.json     versions, machine, command
checkpoint.pt        network, heads, optimizer and position; written after every epoch and every two minutes
metrics.json         figures of every epoch; written at the end, after the backbone
backbone.safetensors the result, for `ARCH:file:PATH`
backbone.card.json   its input, licence and origin
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from headstart.errors import RunError
from headstart.files import is_file, read_json, write_json
from headstart.machine import environment
from headstart.networks.cards.user_card import card_file
from headstart.runs.finding import PRETRAIN_FILE, PRETRAINED_FOLDER
from headstart.runs.folder import new_folder, resume_command
from headstart.runs.values import typed
from headstart.training.self_supervised.settings import PretrainedEpoch, PretrainSettings

_METRICS = "metrics.json"
_OF_CARD = ("size", "resize", "interpolation", "mean", "std", "crop")


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainRequest:
    """What a pretraining is made of."""

    init: str
    """Full name of the network whose weights it starts from."""
    input_size: int
    domain: str
    data: dict[str, Any]
    """The images, as a plan writes its `data`."""
    images: int
    """Readable ones."""
    content: str
    """Hash of their names and bytes."""
    settings: PretrainSettings


@dataclass(frozen=True)
class PretrainFolder:
    """One folder."""

    path: Path

    @classmethod
    def create(cls, path: Path | None, request: PretrainRequest, *, stem: str) -> Self:
        """A new folder.

        Args:
            path: Where; a new one under `pretrained/` if None.
            request: What is written there first.
            stem: Name of a new one.

        Raises:
            RunError: it exists and holds something, or cannot be made.
        """
        if path is None:
            path = new_folder(PRETRAINED_FOLDER, stem)
        try:
            path.mkdir(parents=True, exist_ok=True)
            if any(file.name[0] != "." for file in path.iterdir()):
                raise RunError(f"{path} exists already", remedy=f"choose another --out, or {cls(path).resume_sentence}")
        except OSError as error:
            raise RunError(f"{path} cannot be made ({error.strerror})", remedy="choose another --out") from error
        write_json(path / "environment.json", environment().to_dict())
        write_json(path / PRETRAIN_FILE, asdict(request))
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """An existing folder.

        Raises:
            RunError: it is none of a pretraining.
        """
        if not is_file(path / PRETRAIN_FILE):
            raise RunError(f"{path} is not the folder of a pretraining", expected="one made by headstart pretrain")
        return cls(path)

    def request(self) -> PretrainRequest:
        """What was requested.

        Raises:
            RunError: pretrain.json is damaged.
        """
        try:
            return typed(PretrainRequest, read_json(self.path / PRETRAIN_FILE))
        except ValueError as error:
            raise RunError(
                f"{self.path / PRETRAIN_FILE} is damaged: {error}", expected="it as it was written"
            ) from error

    @property
    def checkpoint(self) -> Path:
        """Where a resume starts."""
        return self.path / "checkpoint.pt"

    @property
    def backbone(self) -> Path:
        """The result."""
        return self.path / "backbone.safetensors"

    @property
    def resume_command(self) -> str:
        """The command that resumes it."""
        return resume_command("pretrain", self.path)

    @property
    def resume_sentence(self) -> str:
        """Sentence with the command that resumes it."""
        return f"resume it with: {self.resume_command}"

    def write_card(self, spec: dict[str, Any], *, licence: str, domain: str, source: str) -> None:
        """Write the card of the backbone, which `ARCH:file:PATH` reads.

        Args:
            spec: Input of the network, as plain values.
            licence: Of the weights it started from.
            domain: Of the images.
            source: What it was made from, in words.
        """
        card = {
            "input": {name: spec[name] for name in _OF_CARD if name in spec},
            "domain": domain,
            "licence": licence,
            "paper": "Chen & He 2021, Exploring Simple Siamese Representation Learning",
            "source": source,
        }
        write_json(card_file(self.backbone), card)

    def write_metrics(self, epochs: list[PretrainedEpoch], *, ended: str) -> None:
        """Write metrics.json.

        Args:
            epochs: Of all parts.
            ended: finished, or budget.
        """
        write_json(self.path / _METRICS, {"ended": ended, "epochs": [asdict(epoch) for epoch in epochs]})

    def metrics(self) -> dict[str, Any] | None:
        """Contents of metrics.json; None while it has not ended."""
        if not is_file(self.path / _METRICS):
            return None
        found: dict[str, Any] = json.loads((self.path / _METRICS).read_text(encoding="utf-8"))
        return found
