"""A script replaces its own section and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from sections import replace_section


def test_sections_are_added_and_replaced_and_the_rest_stays(tmp_path: Path):
    file = tmp_path / "docs" / "benchmarks.md"
    replace_section("one", "first", file)
    replace_section("two", "second", file)
    file.write_text(file.read_text() + "\nby hand\n")
    replace_section("one", "anew\nand longer", file)
    text = file.read_text()
    assert text.index("anew\nand longer") < text.index("second") < text.index("by hand")
    assert "first" not in text
    assert text.count("<!-- one:start -->") == text.count("<!-- one:end -->") == 1


def test_what_would_break_the_file_is_refused(tmp_path: Path):
    file = tmp_path / "benchmarks.md"
    with pytest.raises(ValueError, match="own markers"):
        replace_section("one", "a <!-- one:end --> b", file)
    with pytest.raises(ValueError, match="section name"):
        replace_section("One two", "text", file)
    file.write_text("<!-- one:start -->\nopen")
    with pytest.raises(ValueError, match="no end marker"):
        replace_section("one", "text", file)
    assert file.read_text() == "<!-- one:start -->\nopen"
