"""A finding as a value, and how groups of images are named in a sentence."""

from __future__ import annotations

import json

from headstart.findings import Finding, groups_text


def test_a_finding_is_plain_values_with_every_group() -> None:
    finding = Finding("info", "kind", "fact", "do this", (("a/1", "a/2"), ("b/1", "b/2", "b/3")))
    assert json.loads(json.dumps(finding.to_dict())) == {
        "level": "info",
        "what": "kind",
        "evidence": "fact",
        "remedy": "do this",
        "images": [["a/1", "a/2"], ["b/1", "b/2", "b/3"]],
    }
    assert Finding("info", "kind", "fact", "do this").to_dict()["images"] == []
    assert Finding.from_dict(json.loads(json.dumps(finding.to_dict()))) == finding


def test_the_first_groups_are_named_and_the_rest_counted() -> None:
    assert groups_text([("a", "b")]) == "a = b"
    assert groups_text([tuple("abcde")]) == "a = b = c (and 2 more)"
    pairs = [(f"{i}a", f"{i}b") for i in range(7)]
    assert groups_text(pairs) == "0a = 0b; 1a = 1b; 2a = 2b; 3a = 3b; 4a = 4b; and 2 more groups"
    assert groups_text(pairs[:6]).endswith("4a = 4b; and 1 more group")
    assert groups_text(pairs[:5]).endswith("4a = 4b")
