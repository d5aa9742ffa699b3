"""The pixel rule: on images made to be what a domain is, and on the real sets."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.advise.domain_guess import DomainGuess, Look, guess_domain, look_at

RNG = np.random.default_rng(0)


def page() -> np.ndarray:
    """White paper with dark lines of varying length."""
    pixels = np.full((280, 200, 3), 245, np.uint8)
    for row in range(20, 260, 12):
        pixels[row : row + 3, 15 : RNG.integers(60, 185)] = 20
    return pixels


def radiograph() -> np.ndarray:
    """One large grey shape with many tones."""
    y, x = np.mgrid[-1:1:200j, -1:1:200j]
    tone = 200 * np.exp(-(x**2 + 0.6 * y**2) * RNG.uniform(1, 3)) + RNG.normal(20, 4, (200, 200))
    return np.repeat(np.clip(tone, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def scene() -> np.ndarray:
    """Pale texture all over, square."""
    tone = RNG.normal(100, 25, (48, 48)).repeat(5, axis=0).repeat(5, axis=1)
    return np.clip(tone[..., None] + np.array([0, 10, -5]), 0, 255).astype(np.uint8)


def photo() -> np.ndarray:
    """A coloured object before a ground of another colour."""
    pixels = np.empty((150, 220, 3), np.uint8)
    pixels[:] = RNG.integers(60, 200, 3)
    y, x = np.mgrid[0:150, 0:220]
    inside = (y - RNG.integers(60, 90)) ** 2 + (x - RNG.integers(60, 160)) ** 2 < 40**2
    pixels[inside] = (230, 60, 40)
    return np.clip(pixels + RNG.normal(0, 8, pixels.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("make", "domain"), [(page, "document"), (radiograph, "medical"), (scene, "satellite"), (photo, "photo")]
)
def test_images_made_after_a_domain_are_taken_for_it(make, domain: str):
    guess = guess_domain([look_at(make()) for _ in range(9)])
    assert guess.domain == domain
    assert guess.is_certain
    assert "9 images" in guess.evidence


def test_looks_have_their_ranges_even_where_there_is_nothing_to_see():
    for pixels in (np.zeros((9, 9, 3), np.uint8), np.full((8, 90, 3), 255, np.uint8), photo()):
        look = look_at(pixels)
        assert all(0 <= getattr(look, name) <= 1 for name in ("grey", "paper", "brightness", "chroma", "coarse"))
        assert 0 <= look.tones <= 4
        assert -1 <= look.mirror <= 1
        assert all(np.isfinite(getattr(look, name)) for name in Look.__dataclass_fields__)


def test_a_mixture_is_not_certain():
    guess = guess_domain([look_at(make()) for make in (page, radiograph, scene, photo, photo)])
    assert isinstance(guess, DomainGuess)
    assert guess.certainty <= 0.5


def test_nothing_to_look_at_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        guess_domain([])


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("hymenoptera", "photo"),
        ("cifar10", "photo"),
        ("rsscn7", "satellite"),
        ("chest_xray", "medical"),
        ("documents", "document"),
    ],
)
def test_the_real_sets_are_told_apart(real_data, name: str, domain: str):
    """The rule was made on these sets, so this shows that it holds together, not how it does elsewhere."""
    from headstart.data.decode import decode
    from headstart.data.sources import open_source

    records = open_source(str(real_data / f"{name}.tar")).records
    some = records[5 :: len(records) // 40]
    guess = guess_domain([look_at(decode(record.read(), at_least=96)) for record in some])
    assert guess.domain == domain
    assert guess.is_certain
