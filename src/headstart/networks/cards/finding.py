"""Name of a model -> its card: as typed, as in a plan, or a repository on Hugging Face."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from headstart.errors import ModelError, nearest
from headstart.files import is_file, is_folder
from headstart.networks.cards.catalog import ModelCard, ModelChoice, all_cards, cards_of, cards_without_weights
from headstart.networks.cards.domain_cards import domain_cards_of
from headstart.networks.cards.user_card import with_own_card


def find_model(name: str) -> ModelChoice:
    """Model of a name: `ARCH`, `ARCH:TAG` (or timm's `ARCH.TAG`), `ARCH:file:PATH` and `hf-hub:USER/REPOSITORY`.

    A name that both libraries know is torchvision's unless the tag is timm's; `timm/ARCH` and `torchvision/ARCH` say
    which.

    Raises:
        ModelError: no such architecture or tag (with the nearest names), or no such file.
    """
    if name.replace("_", "-").startswith("hf-hub:"):
        from headstart.networks.cards.describe import choice_from_hub

        return choice_from_hub(name.partition(":")[2])
    stem, _, tag = name.partition(":")
    if tag.startswith("hf-hub:"):  # as a resolved plan names it
        return find_model(tag)
    library, _, architecture = stem.rpartition("/")
    if "." in architecture and not tag and not cards_of(architecture):
        architecture, _, tag = architecture.partition(".")
    known = (*cards_of(architecture), *domain_cards_of(architecture))
    cards = [card for card in known if library in ("", card.library)]
    if not cards:
        raise _unknown(name, architecture)
    if tag.startswith("file:"):
        path = Path(tag.removeprefix("file:")).expanduser()
        if is_folder(path):
            raise ModelError(
                f"{path} is a folder", expected="a .safetensors or .pth file", remedy="name the file in the folder"
            )
        if not is_file(path):
            raise ModelError(f"weights file {path} does not exist", expected="a .safetensors or .pth file")
        return ModelChoice(with_own_card(cards[0], path), path)
    return ModelChoice(_tagged(cards, tag))


def _tagged(cards: Sequence[ModelCard], tag: str) -> ModelCard:
    if not tag:
        return cards[0]
    for card in cards:
        if card.tag == tag:
            return card
    tags = ", ".join(card.tag for card in cards)
    raise ModelError(f"{cards[0].architecture} has no weights {tag!r}", expected=f"one of {tags}, or file:PATH")


def _unknown(name: str, architecture: str) -> ModelError:
    known = sorted({card.architecture for card in (*all_cards(), *cards_without_weights())})
    hint = nearest(architecture, known)
    return ModelError(
        f"no model {name!r}" + (f"; {hint}" if hint else ""),
        remedy=f"headstart models lists all {len(known)} architectures",
    )
