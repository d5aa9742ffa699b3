"""Views made while images are checked: those that decoding them again would give, and never more than there is room."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import headstart
from headstart.data import loading
from headstart.data.early_views import EarlyViews, early_views, make_early_views
from headstart.data.loading import read_image, read_view
from headstart.data.sources.dataset import WHOLE, ImageRecord
from headstart.input_spec import Decoding, InputSpec

SPEC = InputSpec(size=32, resize=36, interpolation="bicubic", mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))


def image(width: int, height: int, *, kind: str = "JPEG", seed: int = 0) -> ImageRecord:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return ImageRecord(f"{seed}", "a", WHOLE, content=buffer.getvalue())


def offer(record: ImageRecord, views: EarlyViews, *, decoding: Decoding = SPEC.decoding) -> None:
    found = read_image(record, decoding=decoding)
    assert not isinstance(found, loading.ImageFault)
    views.offer(hashlib.blake2b(found.encoded, digest_size=16).digest(), found.decoded, decoding)


@pytest.mark.parametrize(("width", "height", "kind"), [(50, 40, "JPEG"), (30, 90, "PNG"), (143, 160, "JPEG")])
def test_an_early_view_is_the_one_that_decoding_gives(
    width: int, height: int, kind: str, monkeypatch: pytest.MonkeyPatch
):
    record = image(width, height, kind=kind)
    expected = read_view(record, SPEC)
    with make_early_views(SPEC), monkeypatch.context() as patch:
        offer(record, early_views())
        patch.delattr(loading, "read_image")
        assert np.array_equal(read_view(record, SPEC), expected)
    assert np.array_equal(read_view(record, SPEC), expected)


def test_an_image_that_is_read_at_a_reduced_size_has_none():
    views = EarlyViews(SPEC)
    offer(record := image(144, 160), views)
    assert views.take(record, SPEC) is None


def test_another_input_or_other_bytes_have_no_view():
    views = EarlyViews(SPEC)
    offer(record := image(50, 40), views)
    assert views.take(record, SPEC.as_requested(size=40, resize=None)) is None
    assert views.take(image(50, 40, seed=1), SPEC) is None
    assert views.take(ImageRecord("gone", "a", WHOLE, path=Path("none/such.jpg")), SPEC) is None
    assert views.take(ImageRecord("renamed", "b", "val", content=record.content), SPEC) is not None


def test_there_is_room_for_so_many_and_for_none_after_the_check():
    views = EarlyViews(SPEC, most_bytes=2 * 3 * 32**2)
    records = [image(50, 40, seed=seed) for seed in range(3)]
    for record in records:
        offer(record, views)
        offer(record, views)
    assert [views.take(record, SPEC) is not None for record in records] == [True, True, False]
    views = EarlyViews(SPEC)
    views.close()
    offer(records[0], views)
    assert views.take(records[0], SPEC) is None
    offer(records[0], EarlyViews())
    offer(records[0], views := EarlyViews(SPEC), decoding=Decoding(bits=12))
    assert views.take(records[0], SPEC) is None


@pytest.mark.slow
def test_a_training_and_a_prediction_decode_each_image_once(
    image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "home"))
    decoded: list[bytes] = []
    real = loading.decode_with_facts

    def counted(encoded: bytes, **options: Any):
        decoded.append(encoded)
        return real(encoded, **options)

    monkeypatch.setattr(loading, "decode_with_facts", counted)
    # With the domain given: to find it, some images are decoded once more, at a reduced size.
    headstart.train(
        str(image_folder), strategy="feature_extraction", domain="photo", input_size=32, out=tmp_path / "run"
    )
    assert len(decoded) == len(set(decoded))
    del decoded[:]
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "other"))
    headstart.predict(tmp_path / "run", [str(image_folder)])
    assert len(decoded) == len(set(decoded)) > 0
    assert not early_views()._views
