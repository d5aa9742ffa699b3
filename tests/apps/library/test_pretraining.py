"""The library verb pretrain: arguments reach the workflow as the command's do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import headstart
from headstart.workflow.pretraining import pretrain as workflow
from headstart.workflow.pretraining.pretrain import DEFAULTS, PretrainResult

RESULT = PretrainResult(Path("out"), "resnet18:file:out/backbone.safetensors", "resnet18", 9, (), "finished")


def test_arguments_reach_the_workflow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: dict[str, Any] = {}

    def made(data: object, **options: Any) -> PretrainResult:
        seen.update(data=data, **options)
        return RESULT

    monkeypatch.setattr(workflow, "pretrain_backbone", made)
    found = headstart.pretrain(
        tmp_path, init="resnet18", epochs=3, lr=1e-3, seed=2, domain="satellite", progress="none"
    )
    assert found.model == RESULT.model
    assert (seen["data"], seen["domain"], seen["out"]) == (str(tmp_path), "satellite", None)
    assert seen["settings"] == replace(DEFAULTS, epochs=3, lr=1e-3, seed=2)
    with pytest.raises(TypeError, match="learning_rate"):
        headstart.pretrain(tmp_path, learning_rate=3)  # type: ignore[call-arg]


def test_a_resume_reaches_the_workflow(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    def resumed(folder: Path, **options: Any) -> PretrainResult:
        seen.append((folder, options["budget_seconds"]))
        return RESULT

    monkeypatch.setattr(workflow, "resume_backbone", resumed)
    assert headstart.resume_pretraining("out", budget_seconds=9, progress="none") is RESULT
    assert seen == [(Path("out"), 9)]
