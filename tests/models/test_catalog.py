"""Which weights there are: names, look-ups, and facts that the libraries confirm."""

from __future__ import annotations

import functools
import importlib.util
import json
import re
from pathlib import Path

import pytest

from headstart.errors import ModelError
from headstart.input_spec import InputSpec
from headstart.models.catalog import ModelCard, all_cards, find_model

ROOT = Path(__file__).parents[2]


def refused(name: str) -> str:
    with pytest.raises(ModelError) as caught:
        find_model(name)
    return str(caught.value)


def test_names_are_unique_and_many() -> None:
    names = [card.name for card in all_cards()]
    assert len(names) == len(set(names)) >= 20
    assert {"tf_efficientnet_lite0:in1k", "resnet18:IMAGENET1K_V1", "resnet50:IMAGENET1K_V2"} <= set(names)


@pytest.mark.parametrize("card", all_cards(), ids=lambda card: card.name)
def test_every_card_is_complete(card: ModelCard) -> None:
    assert card.licence
    assert card.paper
    assert isinstance(card.input, InputSpec)
    assert card.input.channels == 3
    assert card.groups[-1] == "head"
    assert len(set(card.groups)) == len(card.groups) >= 3
    assert 50 < card.imagenet_top1 < 100
    assert card.parameters > 1e6
    assert card.gmacs > 0
    assert card.features > 0
    assert re.fullmatch(r"[0-9a-f]{64}" if card.weights.kind == "package" else r"[0-9a-f]{8,64}", card.weights.sha256)
    assert card.weights.package if card.weights.kind == "package" else card.weights.url.startswith("https://")
    assert card.weights.file.endswith(".pth")


@pytest.mark.parametrize("card", all_cards(), ids=lambda card: card.name)
def test_a_card_survives_json_and_is_found_by_its_full_name(card: ModelCard) -> None:
    raw = json.loads(json.dumps(card.to_dict()))
    assert next(iter(raw)) == "name"
    assert ModelCard.from_dict(raw) == card
    choice = find_model(card.name)
    assert (choice.card, choice.file, choice.name) == (card, None, card.name)


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("tf_efficientnet_lite0", "tf_efficientnet_lite0:in1k"),
        ("resnet18", "resnet18:IMAGENET1K_V1"),
        ("resnet50", "resnet50:IMAGENET1K_V2"),
        ("resnet50:IMAGENET1K_V1", "resnet50:IMAGENET1K_V1"),
    ],
)
def test_an_architecture_alone_means_its_default_weights(name: str, full: str) -> None:
    assert find_model(name).name == full


def test_a_file_of_the_users_goes_with_the_architecture(tmp_path: Path) -> None:
    weights = tmp_path / "mine:v2.pth"
    weights.write_bytes(b"x")
    choice = find_model(f"resnet50:file:{weights}")
    assert choice.file == weights
    assert choice.card.architecture == "resnet50"
    assert choice.name == f"resnet50:file:{weights}"
    assert find_model(choice.name) == choice


def test_a_home_folder_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "w.pth").write_bytes(b"x")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_model("resnet18:file:~/w.pth").file == tmp_path / "w.pth"


@pytest.mark.parametrize("tail", ["nowhere.pth", ""])
def test_a_missing_file_is_refused(tail: str, tmp_path: Path) -> None:
    message = refused(f"resnet18:file:{tmp_path / tail}")
    for words in (str(tmp_path), "does not exist", ".safetensors or .pth"):
        assert words in message


@pytest.mark.parametrize(
    ("typo", "meant"),
    [("resnet81", "resnet18"), ("ResNet50", "resnet50"), ("efficientnet_lite0", "tf_efficientnet_lite0")],
)
def test_a_typo_offers_the_nearest_architecture(typo: str, meant: str) -> None:
    message = refused(typo)
    for words in (f"no model {typo!r}", "did you mean", meant, "headstart models lists all"):
        assert words in message


def test_nonsense_offers_nothing_but_the_list() -> None:
    message = refused("00000")
    assert "did you mean" not in message
    assert f"lists all {len({card.architecture for card in all_cards()})} architectures" in message


def test_an_unknown_tag_lists_those_there_are() -> None:
    message = refused("resnet50:in22k")
    for words in ("resnet50 has no weights 'in22k'", "IMAGENET1K_V2, IMAGENET1K_V1", "file:PATH"):
        assert words in message


def test_the_cards_are_what_the_installed_libraries_say(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    path = ROOT / "scripts" / "make_cards.py"
    spec = importlib.util.spec_from_file_location("make_cards", path)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    # Two sets of weights of one architecture share the network and its count.
    monkeypatch.setattr(script.torchvision_models, "get_model", functools.cache(script.torchvision_models.get_model))
    monkeypatch.setattr(script, "gigamacs", functools.cache(script.gigamacs))
    with torch.device("meta"):  # names, shapes and counts need no weights
        made = script.cards()
    assert len(made) == len(all_cards())
    assert script.CARDS == ROOT / "src" / "headstart" / "models" / "cards.json"
    assert script.as_json(made) == script.CARDS.read_text(encoding="utf-8"), "run python scripts/make_cards.py"
