"""The card next to a user's file of weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headstart.errors import ModelError
from headstart.networks.cards.finding import find_model
from headstart.networks.cards.user_card import card_file, with_own_card

PAGES = {
    "domain": "document",
    "licence": "apache-2.0",
    "num_classes": 4,
    "source": "a wheel",
    "builder_options": {"bn_eps": 1e-3},
    "input": {"size": 160, "resize": 160, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "crop": "squash"},
}


def weights(folder: Path, card: object = None) -> Path:
    path = folder / "mine.safetensors"
    path.write_bytes(b"tensors")
    if card is not None:
        card_file(path).write_text(card if isinstance(card, str) else json.dumps(card), encoding="utf-8")
    return path


def test_what_lies_next_to_the_file_goes_before_the_catalog(tmp_path: Path):
    path = weights(tmp_path, PAGES)
    choice = find_model(f"lcnet_100:file:{path}")
    usual = find_model("lcnet_100").card
    assert choice.file == path
    assert choice.name == f"lcnet_100:file:{path}"
    card = choice.card
    assert (card.domain, card.licence, card.num_classes) == ("document", "apache-2.0", 4)
    assert (card.input.size, card.input.mean, card.input.crop) == (160, (0.5,) * 3, "squash")
    assert card.input.interpolation == usual.input.interpolation, "what it leaves out is the catalog's"
    assert (card.groups, card.family, card.builder_options) == (usual.groups, usual.family, {"bn_eps": 1e-3})
    assert card.imagenet_top1 is None


def test_without_one_the_card_is_that_of_the_architecture(tmp_path: Path):
    usual = find_model("lcnet_100").card
    assert with_own_card(usual, weights(tmp_path)) is usual


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ("{", "cannot be read"),
        ([1], "no object"),
        ({"means": 1}, "unknown keys means"),
        ({"licence": 3}, "licence: 3 must be of type str"),
        ({"input": {"size": 8}}, "input: .*size: 8 must be >= 32"),
        ({"input": {"sizes": 8}}, "input: "),
        ({"input": {"std": [0.5]}}, "input: "),
    ],
)
def test_a_card_that_is_none_is_refused_by_name(tmp_path: Path, card: object, words: str):
    with pytest.raises(ModelError, match=rf"mine\.card\.json.*{words}"):
        find_model(f"lcnet_100:file:{weights(tmp_path, card)}")
