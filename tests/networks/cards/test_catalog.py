"""Which weights there are: names, look-ups, and facts that the libraries confirm."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from dataclasses import replace
from importlib import metadata
from types import ModuleType

import pytest

from checkout import ROOT
from headstart.networks.cards.catalog import ModelCard, all_cards, cards_without_weights, made_with
from headstart.networks.cards.finding import find_model


def test_names_are_unique_and_many() -> None:
    names = [card.name for card in (*all_cards(), *cards_without_weights())]
    assert len(names) == len(set(names)) > 2000
    assert {"tf_efficientnet_lite0:in1k", "resnet18:IMAGENET1K_V1", "resnet50:a1_in1k"} <= set(names)


def test_every_card_is_complete() -> None:
    for card in all_cards():
        assert card.licence, card.name
        assert card.input.channels == 3, card.name
        assert card.parameters > 1e5, card.name
        assert len(set(card.groups)) == len(card.groups), card.name
        if card.groups:
            assert len(card.groups) >= 5, card.name
            assert card.groups[-1] == "head", card.name
            assert card.features > 0, card.name
        assert card.imagenet_top1 is None or 20 < card.imagenet_top1 < 95, card.name
        source = card.weights
        origin = {"package": source.package, "url": source.url.startswith("https://"), "hub": "/" in source.hub}
        assert origin[source.kind], card.name
        assert re.fullmatch(r"[0-9a-f]*", source.sha256), card.name
        if source.kind == "package":
            assert len(source.sha256) == 64


def test_only_encoders_have_no_layer_groups() -> None:
    assert {card.architecture for card in all_cards() if not card.groups} <= {
        *("deepseek_vit_412m_enc", "gemma4_vit_167m_enc", "gemma4_vit_570m_enc", "mobilenetv5_300m_enc"),
        *("qwen3_vit_88m_enc", "qwen3_vit_306m_enc", "qwen3_vit_416m_enc"),
    }


def test_cards_survive_json_and_are_found_by_their_full_names() -> None:
    for card in (*all_cards()[::20], *cards_without_weights()[::50]):
        raw = json.loads(json.dumps(card.to_dict()))
        assert next(iter(raw)) == "name"
        assert ModelCard.from_dict(raw) == card
        choice = find_model(card.name)
        assert (choice.card, choice.file, choice.name) == (card, None, card.name)


def test_what_licences_say_of_commercial_use() -> None:
    assert find_model("tf_efficientnet_lite0").card.commercial_use == "allowed"
    assert find_model("vit_b_16:IMAGENET1K_SWAG_E2E_V1").card.commercial_use == "forbidden"
    by_use = {
        use: [c for c in all_cards() if c.commercial_use == use] for use in ("allowed", "forbidden", "see licence")
    }
    assert all(by_use.values())
    assert {card.licence for card in by_use["forbidden"]} >= {"cc-by-nc-4.0", "fair-noncommercial-research-license"}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = ROOT / "scripts" / "make_cards.py"
    spec = importlib.util.spec_from_file_location("make_cards", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_cards"] = module
    spec.loader.exec_module(module)
    return module


def stated(card: ModelCard) -> ModelCard:
    """A card without what only its network or a published table can say."""
    unknown = {"imagenet_top1": None, "imagenet_top1_size": None, "gpu_images_per_second": None}
    unknown |= {"parameters": 0, "gmacs": None, "features": 0, "groups": (), "paper": "", "cpu_images_per_second": None}
    return replace(card, **unknown)


def test_the_cards_are_what_the_installed_libraries_say(script: ModuleType) -> None:
    """Count, order, inputs, licences and sources of all of them; what needs a network is checked on some below."""
    assert made_with() == {name: metadata.version(name) for name in ("torchvision", "timm")}, (
        "run scripts/make_cards.py"
    )
    libraries = [*script.torchvision_cards(), *script.timm_cards()]
    made = [stated(card) for card in libraries if card.weights.kind != "none"]
    assert len(all_cards()) == len(made)
    assert {card.name: stated(card) for card in all_cards()} == {card.name: card for card in made}
    unpublished = [stated(card) for card in libraries if card.weights.kind == "none"]
    assert [stated(card) for card in cards_without_weights()] == unpublished
    defaults = {card.architecture: card.tag for card in reversed(made) if card.library == "timm"}
    assert all(find_model(f"timm/{name}").card.tag == tag for name, tag in list(defaults.items())[::40])


@pytest.mark.parametrize(
    "name",
    ["resnet18", "vgg16:IMAGENET1K_FEATURES", "tf_efficientnet_lite0", "timm/vit_tiny_patch16_224", "timm/levit_128s"],
)
def test_what_the_networks_say_of_themselves_is_what_the_cards_say(name: str) -> None:
    from headstart.networks.cards.describe import structure_of

    card = find_model(name).card
    found = structure_of(card)
    assert (found.parameters, found.features, found.groups) == (card.parameters, card.features, card.groups)
    assert found.gmacs == card.gmacs


def test_published_parameters_agree_with_the_counted_ones() -> None:
    """torchvision states its own counts: an independent reference."""
    import torchvision.models

    for name in torchvision.models.list_models(module=torchvision.models):
        for weights in torchvision.models.get_model_weights(name):
            card = find_model(f"{name}:{weights.name}").card
            auxiliary = {"googlenet": 13_004_888 - 6_624_904}.get(name, 0)
            assert card.parameters == weights.meta["num_params"] + auxiliary, name
            assert card.gmacs == pytest.approx(weights.meta["_ops"], rel=0.06, abs=0.02) or name in SKIPPED, name


SKIPPED: set[str] = set()
