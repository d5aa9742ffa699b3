"""Logits of a known network are, bit for bit, those of the torch path with the same engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headstart.engine.known.logits import known_logits, known_logits_from_store
from headstart.engine.prefix import inference
from headstart.engine.prefix.inference import logits_by_engine, logits_of
from headstart.engine.store.store import ActivationStore, image_digest
from headstart.errors import DiskFullError

RNG = np.random.default_rng(1)
WEIGHT, BIAS = RNG.normal(size=(2, 1280)).astype(np.float32), RNG.normal(size=2).astype(np.float32)


@pytest.fixture
def pair(case):
    known, built = case.known(), case.build()
    known.write_linear(WEIGHT, BIAS)
    built.write_linear(WEIGHT, BIAS)
    return known, built


def test_many_images_have_the_bits_of_the_same_engine_in_torch(case, pair, monkeypatch: pytest.MonkeyPatch) -> None:
    known, built = pair
    engine = known.engine()
    monkeypatch.setattr(inference, "choose_engine", lambda *given, **named: engine)
    found = known_logits(known, case.records, case.spec)
    assert np.array_equal(found, logits_by_engine(built, case.records, case.spec))
    # One image has the bits that it has among many: no row depends on its batch.
    assert np.array_equal(known_logits(known, case.records[3:4], case.spec), found[3:4])
    network = logits_of(built, case.records[:8], case.spec)
    assert np.abs(found[:8] - network).max() < 1e-4 * np.abs(network).max()


def test_stored_rows_give_the_same_bits_and_a_full_disk_does_no_harm(
    case, pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, _ = pair
    digests = {record.id: image_digest(record.read()) for record in case.records}
    options = {"digests": digests, "store": ActivationStore(tmp_path)}
    expected = known_logits(known, case.records, case.spec)
    for _ in ("computed", "stored"):
        assert np.array_equal(known_logits_from_store(known, case.records, case.spec, **options), expected)

    def full(*given: object, **named: object) -> None:
        raise DiskFullError("the disk is full")

    monkeypatch.setattr("headstart.engine.store.activations.Activations.reader", full)
    assert np.array_equal(known_logits_from_store(known, case.records, case.spec, **options), expected)
