"""docs/benchmarks.md, written by several scripts: each owns one section, between its own two markers."""

from __future__ import annotations

import re
from pathlib import Path

BENCHMARKS = Path(__file__).parents[1] / "docs" / "benchmarks.md"
HEADING = "# Benchmarks\n"


def replace_section(name: str, text: str, file: Path = BENCHMARKS) -> None:
    """Put a text between `<!-- NAME:start -->` and `<!-- NAME:end -->` and leave the rest of the file alone.

    Args:
        name: What the section is known by; lower-case letters, digits and dashes.
        text: Markdown, with its own heading. It may not hold the section's end marker.
        file: Where; a missing file is begun, a missing section goes to its end.

    Raises:
        ValueError: the name is none, or the text would end its own section.
    """
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise ValueError(f"section name {name!r}: lower-case letters, digits and dashes are expected")
    start, end = f"<!-- {name}:start -->", f"<!-- {name}:end -->"
    if start in text or end in text:
        raise ValueError(f"the text of section {name} holds one of its own markers")
    whole = file.read_text(encoding="utf-8") if file.is_file() else HEADING
    section = f"{start}\n{text.strip()}\n{end}"
    before, found, rest = whole.partition(start)
    if found:
        _, closed, after = rest.partition(end)
        if not closed:
            raise ValueError(f"{file}: section {name} has no end marker; add {end} where it ends")
        whole = before + section + after
    else:
        whole = f"{whole.rstrip()}\n\n{section}\n"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(whole, encoding="utf-8")
