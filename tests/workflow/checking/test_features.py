"""Features for check: which images are taken."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as some

from headstart.data.sources.dataset import ImageRecord
from headstart.workflow.checking.features import stratified

RECORDS = some.lists(
    some.tuples(some.sampled_from(["train", "test"]), some.sampled_from("abc")), min_size=1, max_size=200
).map(
    lambda rows: [
        ImageRecord(id=f"{split}/{label}/{number}", label=label, split=split, path=Path("x"))
        for number, (split, label) in enumerate(rows)
    ]
)


@given(RECORDS, some.integers(1, 250))
def test_every_class_and_split_keeps_its_share(records: list[ImageRecord], most: int):
    taken = stratified(records, most=most)
    if len(records) <= most:
        assert taken == records
        return
    before, after = (Counter((r.split, r.label) for r in some_records) for some_records in (records, taken))
    assert set(before) == set(after)
    for stratum, count in before.items():
        assert after[stratum] == max(1, most * count // len(records))


@given(RECORDS, some.integers(1, 50), some.randoms(use_true_random=False))
def test_the_sample_does_not_depend_on_the_order_of_the_files(records: list[ImageRecord], most: int, random):
    shuffled = random.sample(records, len(records))
    assert {r.id for r in stratified(shuffled, most=most)} == {r.id for r in stratified(records, most=most)}
