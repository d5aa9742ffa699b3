from __future__ import annotations

from torch import nn

from headstart.diagnosis.adapters.plain import several, unwrapped


def test_wrappers_come_off():
    inner = nn.Linear(2, 2)
    assert unwrapped(nn.DataParallel(inner)) is inner
    compiled = nn.Module()
    compiled._orig_mod = inner
    assert unwrapped(compiled) is inner
    assert unwrapped(inner) is inner


def test_one_several_or_none():
    assert several(None) == ()
    assert several(1) == (1,)
    assert several([1, 2]) == (1, 2)
    assert several({"a": 1}) == (1,)
