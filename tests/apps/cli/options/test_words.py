"""The words of an option are those of the type it stands for."""

from __future__ import annotations

from typing import get_args

from headstart.apps.cli.options import words
from headstart.workflow.evaluated_images import Seen


def test_words_are_those_of_the_type():
    assert {word.value for word in words.SeenImages} == set(get_args(Seen))
