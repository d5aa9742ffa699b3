"""A network that got known in a home of its own: built in torch once, for all tests of this folder."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from conftest import make_images
from headstart.data.loading import read_view
from headstart.data.sources.reading import ImageRecord, open_source
from headstart.engine.known.classifier import KnownClassifier
from headstart.engine.known.finding import known_pretrained_classifier
from headstart.engine.known.pretrained import torch_classifier
from headstart.engine.known.remembering import make_known, remember_choice
from headstart.networks.backbone import Classifier
from headstart.networks.cards.catalog import ModelChoice
from headstart.networks.cards.finding import find_model


class KnownCase:
    """A network that is known, in torch and without it."""

    size = 32

    def __init__(self, images: Path) -> None:
        self.choice: ModelChoice = find_model("tf_efficientnet_lite0")
        self.spec = self.choice.card.input.at_size(self.size)
        self.records: list[ImageRecord] = list(open_source(str(images)).records)
        self.classifier: Classifier = self.build()
        remember_choice(self.choice, self.classifier, size=self.size, grain="stage", purpose="bundle")
        make_known(self.classifier, np.stack([read_view(record, self.spec) for record in self.records[:8]]))

    def build(self) -> Classifier:
        return torch_classifier(self.choice, num_classes=2, seed=0, size=self.size)

    def known(self, **changes: object) -> KnownClassifier | None:
        """As a command finds it."""
        options = {"head_kind": "linear", "num_classes": 2, "size": self.size, "grain": "stage", "purpose": "bundle"}
        return known_pretrained_classifier(
            self.choice, **{**options, "build": partial(KnownCase.build, self), **changes}
        )


@pytest.fixture(scope="session")
def _known_home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, KnownCase]:
    home = tmp_path_factory.mktemp("known_home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_HOME", str(home))
        return home, KnownCase(make_images(tmp_path_factory.mktemp("known_images"), per_class=40))


@pytest.fixture
def case(_known_home: tuple[Path, KnownCase], monkeypatch: pytest.MonkeyPatch) -> KnownCase:
    """The case, in its home; files of the home that a test changes are its own to restore."""
    monkeypatch.setenv("HEADSTART_HOME", str(_known_home[0]))
    return _known_home[1]
