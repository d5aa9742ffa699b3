"""Logits from stored features hold no features of all images."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from headstart.data.sources.reading import open_source
from headstart.engine.known.features import pooled_part
from headstart.engine.prefix.inference import head_logits
from headstart.engine.store.activations import Activations, matrix_of, plain_view
from headstart.engine.store.store import EVALUATION, ActivationStore, image_digest
from headstart.engine.store.stored_logits import logits_from_store
from headstart.networks.backbone import build_classifier
from headstart.networks.cards.finding import find_model

SPEC = find_model("tf_efficientnet_lite0").card.input.at_size(64)


def test_logits_from_the_store_hold_no_features_of_all_images(
    image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Else a report on 60,000 images would hold 300 MB of features."""
    classifier = build_classifier(find_model("tf_efficientnet_lite0"), kind="linear", num_classes=2, seed=0)
    torch.nn.init.normal_(classifier.head.weight, std=0.1)
    (record,) = list(open_source(str(image_folder)).records)[:1]
    digests, store = {record.id: image_digest(record.read())}, ActivationStore(tmp_path / "store")
    activations = Activations(pooled_part(classifier), SPEC, digests, store, precision="float32")
    rows = activations.reader([record], [plain_view(SPEC)])
    count = 40_000
    (space,) = activations._spaces(EVALUATION)
    many = space.reader(np.repeat(activations._ids([record], [plain_view(SPEC)]), count))
    monkeypatch.setattr(Activations, "reader", lambda *given, **named: many)
    tracemalloc.start()
    found = logits_from_store(classifier, [record] * count, SPEC, digests={}, store=store)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.shape == (count, 2)
    assert np.allclose(found, head_logits(classifier, matrix_of(rows)), atol=1e-4)
    assert peak < 0.3 * count * 1280 * 4
