"""What threads spend is added up, and waiting is not spending."""

from __future__ import annotations

import threading
import time

import pytest

from headstart.data.meter import Meter


def test_spending_is_counted_from_many_threads():
    meter = Meter()

    def work() -> None:
        for _ in range(50):
            with meter.view("augmented"):
                sum(range(200))
            meter.add_read(10, 0.5)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = meter.reading()
    assert (found.views["augmented"], found.views["plain"], found.read_bytes) == (200, 0, 2000)
    assert found.read_seconds == pytest.approx(100.0)
    assert found.view_seconds["augmented"] > 0


def test_what_waits_is_not_counted_as_work_of_a_core():
    meter = Meter()
    with meter.view("plain"):
        time.sleep(0.2)
    assert meter.reading().view_seconds["plain"] < 0.1
