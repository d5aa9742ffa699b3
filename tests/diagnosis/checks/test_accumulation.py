from __future__ import annotations

from types import SimpleNamespace

from diagnosis.doctored import found


def test_an_epoch_shorter_than_a_step_is_an_error():
    assert found(accumulate=8)["accumulation_remainder"].level == "error"
    assert found(accumulate=2)["accumulation_remainder"].level == "warning"
    assert "accumulation_remainder" not in found(accumulate=3)


def test_a_scale_below_one():
    scaler = SimpleNamespace(get_scale=lambda: 0.25, is_enabled=lambda: True)
    assert "loss_scale_collapsed" in found(scaler=scaler)
    scaler.get_scale = lambda: 65536.0
    assert "loss_scale_collapsed" not in found(scaler=scaler)
