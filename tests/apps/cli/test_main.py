"""The command line as a whole: its commands, names of options, and what ends it."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from command_line import Call, refused
from headstart.apps.cli import main
from headstart.networks.cards.catalog import all_cards


def test_a_class_name_that_the_terminal_lacks_does_not_end_a_command(
    image_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    (image_folder / "blue").rename(image_folder / "日本語")
    streams = {name: io.TextIOWrapper(io.BytesIO(), encoding="latin-1") for name in ("stdout", "stderr")}
    for name, stream in streams.items():
        monkeypatch.setattr(sys, name, stream)
    monkeypatch.setattr(sys, "argv", ["headstart", "check", str(image_folder)])
    with pytest.raises(SystemExit) as stop:
        main.main()
    streams["stdout"].flush()
    assert not stop.value.code
    assert "\\u65e5\\u672c\\u8a9e" in streams["stdout"].buffer.getvalue().decode("latin-1")  # type: ignore[attr-defined]


def test_filters_beside_a_name_are_refused(run: Call):
    asked = ("models", "resnet18", "--max-params", "5M", "--limit", 3)
    refused(run(*asked), "--limit, --max-params have no effect together with NAME", code=2)


def test_models_lists_every_card(run: Call):
    code, out, _ = run("models", "--json")
    assert code == 0
    assert len(json.loads(out)) == len(all_cards())
    code, out, _ = run("models", "--limit", len(all_cards()))
    assert out.splitlines()[0] == f"{len(all_cards()):,} networks"
    assert len(out.splitlines()) == 6 + len(all_cards())
