from __future__ import annotations

from headstart.data.checks.copy_findings import CopyKind, find_copy_findings
from headstart.data.sources.dataset import ImageRecord

KIND = CopyKind("twins", groups_of="twins", are="twins of another", split_remedy="part them", inside_remedy="join them")


def known(count: int = 40) -> dict[str, ImageRecord]:
    """a0, b1, a2 ... : even ones of class a, the second half in test."""
    names = [f"{'ab'[index % 2]}{index}" for index in range(count)]
    return {name: ImageRecord(name, name[0], "train" if at < count / 2 else "test") for at, name in enumerate(names)}


def test_a_group_is_named_by_what_it_crosses():
    found = {one.what: one for one in find_copy_findings((("a0", "a38"), ("a2", "b3"), ("a4", "a6")), known(), KIND)}
    assert found["twins_in_two_splits"].images == (("a0", "a38"),)
    assert (
        "1 group of twins lies in more than one split (1 in train, 1 in test)" in found["twins_in_two_splits"].evidence
    )
    assert found["twins_in_two_splits"].remedy.endswith("part them")
    assert found["twins_in_two_classes"].images == (("a2", "b3"),)
    assert found["twins"].images == (("a2", "b3"), ("a4", "a6"))
    assert found["twins"].evidence.startswith("4 of 40 images are twins of another (2 groups, the largest of 2)")


def test_few_of_many_are_no_warning():
    (found,) = find_copy_findings((("a0", "a2"),), known(1000), KIND, note="all pairs: 1 turned")
    assert found.level == "info"
    assert "2 of 1,000 images are twins of another (1 group, all pairs: 1 turned)" in found.evidence
    assert find_copy_findings((), known(), KIND) == []
