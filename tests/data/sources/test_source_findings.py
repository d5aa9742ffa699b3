"""Findings about names, folders and links."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from headstart.data.sources.dataset import Account, Dataset, ImageRecord, OutsideLink, Skipped, SkipReason
from headstart.data.sources.reading import WHOLE, open_source
from headstart.data.sources.source_findings import STRICT, find_in_source, reason_text, refuse_left_out
from headstart.errors import DataError
from headstart.findings import Finding
from image_folders import folder_of


def found(account: Account, labels: tuple[str, ...] = ("a", "b")) -> dict[str, Finding]:
    records = tuple(ImageRecord(f"{label}/{i}.png", label, WHOLE) for label in labels for i in range(2))
    return {finding.what: finding for finding in find_in_source(Dataset("x", "x", records, account))}


def skips(reason: SkipReason, *names: str, detail: str = "") -> Account:
    return Account(skipped=tuple(Skipped(name, reason, detail) for name in names))


def test_nothing_left_out_is_no_finding() -> None:
    assert found(Account()) == {}
    refuse_left_out(Dataset("x", "x", ()))


@pytest.mark.parametrize(
    ("reason", "what", "words"),
    [
        (SkipReason.DANGLING, "dangling_links", ["links that lead nowhere: 2", "a/1.png -> t", "git annex get"]),
        (SkipReason.REPEATED, "repeated_folders", ["read already under another name: 2", "a/1.png -> t"]),
        (SkipReason.LOCKED, "locked", ["may not be opened: 2", "permissions"]),
        (SkipReason.SPECIAL, "special_files", ["neither files nor folders: 2"]),
        (SkipReason.HIDDEN, "hidden_images", ["hidden", ": 2 (first: a/1.png", "without the dot"]),
        (SkipReason.UNREAD_FORMAT, "unread_formats", ["formats that are not read: 2", "convert"]),
    ],
)
def test_every_kind_of_loss_is_a_warning_and_stops_where_strict(
    reason: SkipReason, what: str, words: list[str]
) -> None:
    account = skips(reason, "a/1.png", "a/2.png", detail="t")
    (finding,) = found(account).values()
    assert (finding.what, finding.level, finding.images) == (what, "warning", (("a/1.png",), ("a/2.png",)))
    for word in words:
        assert word in f"{finding.evidence} {finding.remedy}"
    assert what in STRICT
    with pytest.raises(DataError, match=r"left out, .*or leave out --strict to go on without them"):
        refuse_left_out(Dataset("x", "x", (), account))


def test_files_that_are_no_images_are_good_to_know_and_stop_nothing() -> None:
    account = Account(skipped=(Skipped("a/r", SkipReason.NO_IMAGE, ".txt"), Skipped(".git", SkipReason.TOOL_FOLDER)))
    (finding,) = found(account).values()
    assert (finding.what, finding.level) == ("not_images", "info")
    assert "1 .txt" in finding.evidence
    refuse_left_out(Dataset("x", "x", (), account))


def test_a_class_folder_without_an_image_is_named_with_what_it_holds(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "photos", ["ants/1.png", "bees/1.png", "empty/"])
    for name in ("wasps/1.npy", "wasps/2.npy", "raw/1.CR2"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"")
    (root / "links").mkdir()
    (root / "links" / "1.png").symlink_to("gone")
    (root / "twin").symlink_to("ants")
    dataset = open_source(str(root))
    finding = next(f for f in find_in_source(dataset) if f.what == "class_without_images")
    assert finding.level == "warning"
    assert finding.evidence == (
        "5 folders of a class or split without an image: empty is empty; links holds only 1 dangling links; "
        "raw holds only 1 .cr2; twin is a link to a folder that is read already (ants); wasps holds only 2 .npy"
    )
    with pytest.raises(DataError, match="5 folders of a class"):
        refuse_left_out(dataset)


def test_many_folders_are_counted_and_the_first_named() -> None:
    evidence = found(Account(bare_folders=tuple(f"c{i}" for i in range(8))))["class_without_images"].evidence
    assert evidence.startswith("8 folders")
    assert evidence.endswith("c4 is empty and 3 more")


def test_a_class_that_a_given_split_lacks_is_a_warning() -> None:
    records = [("train", "a"), ("train", "b"), ("train", "c"), ("test", "a"), ("val", "a"), ("val", "b"), ("val", "c")]
    dataset = Dataset("x", "x", tuple(ImageRecord(f"{s}/{c}/1", c, s) for s, c in records))
    (finding,) = find_in_source(dataset)
    assert (finding.what, finding.level) == ("class_missing_in_split", "warning")
    assert finding.evidence == "test has no image of b, c"


@pytest.mark.parametrize(
    ("labels", "twins"),
    [
        (("Ants", "ants"), True),
        (("hot dog", "hot_dog"), True),
        (("cat", "cat "), True),
        (("straße", "STRASSE"), True),
        ((unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")), True),
        (("ant", "ants"), False),
        (("1", "-1"), False),
        (("a", "ä"), False),
    ],
)
def test_class_names_that_look_alike_are_twins(labels: tuple[str, str], twins: bool) -> None:
    findings = found(Account(), labels)
    assert list(findings) == (["twin_classes"] if twins else [])
    if twins:
        assert "(2) and " in findings["twin_classes"].evidence


def test_names_that_look_the_same_are_shown_by_their_letters() -> None:
    composed, decomposed = unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")
    evidence = found(Account(), (composed, decomposed))["twin_classes"].evidence
    assert "'\\xe9' (2)" in evidence
    assert "'e\\u0301' (2)" in evidence


def test_what_was_interpreted_is_said() -> None:
    findings = found(
        Account(
            outside_links=(OutsideLink("val", "/data/store"),),
            read_as={"seg_train": "train", "seg_test": "test"},
            split_like=("north", "south"),
            split_like_hold=("cat", "dog"),
            label_tables=("metadata.csv",),
            missing_value_labels={"nan": 3},
            decimal_labels=("1.0", "2.0"),
        )
    )
    for what, level, words in (
        ("links_outside", "info", "1 link out of DATA (first: val -> /data/store)"),
        ("split_names", "info", "seg_train as train, seg_test as test"),
        ("classes_like_splits", "warning", "2 class folders (north, south) hold the same subfolders (cat, dog)"),
        ("label_table_not_read", "warning", "metadata.csv holds labels and is not read"),
        ("missing_value_labels", "warning", "'nan' 3"),
        ("decimal_labels", "warning", "1.0, 2.0"),
    ):
        finding = findings.pop(what)
        assert finding.level == level
        assert words in finding.evidence
    assert not findings


def test_every_reason_has_words() -> None:
    for reason in SkipReason:
        assert reason_text(Skipped("a", reason, "why"))
