"""Names of models: what they mean, and what is said of those that mean nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.errors import ModelError
from headstart.networks.cards.catalog import all_cards, cards_without_weights
from headstart.networks.cards.finding import find_model


def refused(name: str) -> str:
    with pytest.raises(ModelError) as caught:
        find_model(name)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("tf_efficientnet_lite0", "tf_efficientnet_lite0:in1k"),
        ("resnet18", "resnet18:IMAGENET1K_V1"),
        ("resnet50", "resnet50:IMAGENET1K_V2"),
        ("resnet50:IMAGENET1K_V1", "resnet50:IMAGENET1K_V1"),
        ("resnet50:a1_in1k", "resnet50:a1_in1k"),
        ("resnet50.a1_in1k", "resnet50:a1_in1k"),
        ("timm/resnet50", "resnet50:a1_in1k"),
        ("torchvision/resnet50", "resnet50:IMAGENET1K_V2"),
        ("timm/nfnet_f0", "timm/nfnet_f0"),
        ("convnext_atto", "convnext_atto:d2_in1k"),
    ],
)
def test_a_name_means_one_set_of_weights(name: str, full: str) -> None:
    assert find_model(name).name == full


def test_a_file_of_the_users_goes_with_the_architecture(tmp_path: Path) -> None:
    weights = tmp_path / "mine:v2.pth"
    weights.write_bytes(b"x")
    choice = find_model(f"resnet50:file:{weights}")
    assert choice.file == weights
    assert choice.card.architecture == "resnet50"
    assert choice.name == f"resnet50:file:{weights}"
    assert find_model(choice.name) == choice
    timms = find_model(f"timm/resnet50:file:{weights}")
    assert (timms.card.library, timms.name) == ("timm", f"timm/resnet50:file:{weights}")
    assert find_model(f"convnext_atto:file:{weights}").name == f"convnext_atto:file:{weights}"


def test_a_home_folder_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "w.pth").write_bytes(b"x")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_model("resnet18:file:~/w.pth").file == tmp_path / "w.pth"


@pytest.mark.parametrize(("tail", "what"), [("nowhere.pth", "does not exist"), ("", "is a folder")])
def test_a_missing_file_is_refused(tail: str, what: str, tmp_path: Path) -> None:
    message = refused(f"resnet18:file:{tmp_path / tail}")
    for words in (str(tmp_path), what, ".safetensors or .pth"):
        assert words in message


@pytest.mark.parametrize(
    ("typo", "meant"),
    [("resnet81", "resnet18"), ("ResNet50", "resnet50"), ("eficientnet_lite0", "efficientnet_lite0")],
)
def test_a_typo_offers_the_nearest_architecture(typo: str, meant: str) -> None:
    message = refused(typo)
    for words in (f"no model {typo!r}", "did you mean", meant, "headstart models lists all"):
        assert words in message


def test_nonsense_offers_nothing_but_the_list() -> None:
    message = refused("00000")
    assert "did you mean" not in message
    known = {card.architecture for card in (*all_cards(), *cards_without_weights())}
    assert f"lists all {len(known)} architectures" in message


def test_an_unknown_tag_lists_those_there_are() -> None:
    message = refused("resnet50:in22k")
    for words in ("resnet50 has no weights 'in22k'", "IMAGENET1K_V2, IMAGENET1K_V1", "a1_in1k", "file:PATH"):
        assert words in message
