"""Pooled features for linear heads: computed once, and read out of the activation cache from then on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from headstart.engine.prefix.inference import head_logits
from headstart.engine.store import frozen_part, stored_logits
from headstart.engine.store.store import ActivationStore
from headstart.errors import NotWritableError
from headstart.runs.event import Event
from headstart.runs.observers import Observer
from headstart.solvers.rows import MatrixRows, matrix_of_rows
from headstart.training.activation_source import ActivationSource
from headstart.training.probe.pooled_source import PooledSource


def test_test_images_are_computed_once_for_findings_and_figures(
    prepare: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    task = prepare(strategy="feature_extraction")
    digests = {name: bytes.fromhex(digest) for name, digest in task.data.facts.digests.items()}
    images = replace(task.images, digests=digests, store=ActivationStore(tmp_path / "store"))
    classifier = task.classifier()
    pooled, test = PooledSource(ActivationSource(classifier, images)), images.roles.test
    with torch.no_grad():
        torch.nn.init.normal_(classifier.head.weight, std=0.1)
    train = matrix_of_rows(pooled.rows(images.roles.train, what="features of train"))
    found = matrix_of_rows(pooled.test_rows(test))
    chosen = []
    monkeypatch.setattr(frozen_part, "choose_engine", lambda *given, **named: chosen.append(given))
    again = matrix_of_rows(pooled.rows(images.roles.train, what="features of train"))
    assert np.array_equal(again, train), "in the precision of the run, as before"
    monkeypatch.setattr(stored_logits, "FEWEST_FOR_AN_ENGINE", 1)
    logits = stored_logits.logits_from_store(classifier, test, images.spec, digests=images.digests, store=images.store)
    assert not chosen, "nothing is computed again"
    assert np.array_equal(logits, head_logits(classifier, found))


def test_where_nothing_can_be_cached_features_are_computed_in_memory(
    prepare: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    task, told = prepare(strategy="feature_extraction"), []
    digests = {name: bytes.fromhex(digest) for name, digest in task.data.facts.digests.items()}
    images = replace(task.images, digests=digests, store=ActivationStore(tmp_path / "store"))

    class Notes(Observer):
        def noted(self, event: Event) -> None:
            told.append(event.event)

    def refuse(*given: object, **named: object) -> None:
        raise NotWritableError("the store may not be written")

    monkeypatch.setattr("headstart.engine.store.activations.Activations.reader", refuse)
    pooled = PooledSource(ActivationSource(task.classifier(), images, observer=Notes()))
    rows = pooled.rows(images.roles.train[:4], what="features")
    assert isinstance(rows, MatrixRows)
    assert (rows.rows, rows.width) == (4, 1280)
    assert told == ["not_cached"]
