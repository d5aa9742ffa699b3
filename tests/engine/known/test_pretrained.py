"""A known network is not built; another one is, and is known from then on."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.engine.known.classifier import KnownClassifier
from headstart.engine.known.network import known_folder
from headstart.engine.known.pretrained import feature_extractor, torch_classifier
from headstart.networks.backbone import Classifier


def test_torch_builds_only_what_is_not_known(case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def made() -> object:
        return feature_extractor(case.choice, size=32, purpose="bundle")

    assert isinstance(made(), KnownClassifier)
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path))
    assert isinstance(made(), Classifier)
    assert list(known_folder().glob("choices/*.json"))


@pytest.mark.parametrize("kind", ["linear", "mlp", "multi_depth"])
def test_the_head_is_of_the_kind_that_was_requested(case, kind: str) -> None:
    made = torch_classifier(case.choice, head_kind=kind, num_classes=3, seed=0, size=32, weights="random")
    assert (made.head_kind, made.num_classes) == (kind, 3)
