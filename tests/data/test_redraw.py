"""Drawing again after reading: groups on one side, as many images as before, nobody else moves without need."""

from __future__ import annotations

from collections import Counter

import pytest

from headstart.data.redraw import redrawn, without_group_mates
from headstart.data.sources.reading import WHOLE, Dataset, ImageRecord
from headstart.data.splits import Roles, assign_roles


def roles_of(count: int = 50, *, seed: int = 0, tuned: bool = True) -> Roles:
    records = tuple(ImageRecord(f"{label}/{k:03d}", label, WHOLE) for label in "ab" for k in range(count))
    return assign_roles(
        Dataset("x", "x", records),
        val=None,
        groups={r.id: r.id for r in records},
        test_share=0.2,
        validation_share=0.2,
        tuned=tuned,
        limit_train=None,
        limit_test=None,
        seed=seed,
    )


def everything(roles: Roles) -> list[ImageRecord]:
    return sorted((*roles.train, *roles.validation, *roles.test), key=lambda r: r.id)


def bursts(roles: Roles, size: int, share: float = 1.0) -> dict[str, str]:
    """Every `size` images of a class, one after the other, are one scene; of a share of the images."""
    groups = {}
    for label in "ab":
        ids = [r.id for r in everything(roles) if r.label == label]
        for index, name in enumerate(ids):
            groups[name] = ids[index - index % size] if index < share * len(ids) else name
    return groups


def sides(roles: Roles, groups: dict[str, str]) -> Counter[str]:
    """Group -> on how many sides it lies."""
    return Counter(
        group for held in (roles.train, roles.validation, roles.test) for group in {groups[r.id] for r in held}
    )


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [2, 5, 10])
def test_no_group_lies_on_two_sides_and_the_shares_stay(seed: int, size: int):
    before = roles_of(seed=seed)
    groups = bursts(before, size)
    assert max(sides(before, groups).values()) > 1
    after = redrawn(before, groups, fixed="nothing", seed=seed, test_seed=None)
    assert max(sides(after, groups).values()) == 1
    assert everything(after) == everything(before)
    for label in "ab":
        for held, old in ((after.test, before.test), (after.validation, before.validation)):
            assert 0 <= sum(r.label == label for r in held) - sum(r.label == label for r in old) < size


def test_images_of_no_group_mostly_keep_their_side():
    before = roles_of(200)
    groups = bursts(before, 4, share=0.1)
    after = redrawn(before, groups, fixed="nothing", seed=0, test_seed=None)
    moved = {r.id for r in after.test} ^ {r.id for r in before.test}
    assert max(sides(after, groups).values()) == 1
    assert len(moved) <= 0.1 * len(everything(before))


def test_roles_that_tear_nothing_stay_as_they_are():
    before = roles_of()
    groups = {r.id: r.id for r in everything(before)}
    groups |= {before.train[0].id: "g", before.train[1].id: "g"}
    assert redrawn(before, groups, fixed="nothing", seed=0, test_seed=None) is before


def test_a_fixed_test_set_stays_and_only_validation_is_drawn_again():
    before = roles_of()
    groups = bursts(before, 5)
    after = redrawn(before, groups, fixed="test", seed=0, test_seed=None)
    assert after.test == before.test
    assert not {groups[r.id] for r in after.train} & {groups[r.id] for r in after.validation}
    assert redrawn(before, groups, fixed="test and validation", seed=0, test_seed=None) is before


def test_the_images_that_report_hang_on_their_own_seed_only():
    before = [roles_of(seed=7), roles_of(seed=7, tuned=False)]
    groups = bursts(before[0], 5)
    reports = [
        redrawn(roles, groups, fixed="nothing", seed=seed, test_seed=7).test
        for seed, roles in zip((1, 2), before, strict=True)
    ]
    assert reports[0] == reports[1]


def test_a_class_in_one_group_is_left_torn_and_its_mates_are_not_trained_on():
    before = roles_of()
    groups = {r.id: "one" if r.label == "a" else r.id for r in everything(before)}
    after = redrawn(before, groups, fixed="nothing", seed=0, test_seed=None)
    assert {r.label for r in after.train} == {r.label for r in after.test} == {"a", "b"}
    apart = without_group_mates(after, groups, fixed="nothing")
    assert {r.label for r in apart.train} == {"b"}
    assert apart.test == after.test
    assert without_group_mates(after, groups, fixed="test and validation") == after
