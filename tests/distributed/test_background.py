"""Work beside a block: its answer, its errors, and that nobody waits for what is not wanted any more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from headstart.distributed.background import in_background_thread
from headstart.errors import DataError
from headstart.runs.progress import Progress, no_progress


def test_it_runs_while_the_block_runs_and_returns_its_result() -> None:
    inside = threading.Event()

    def work(progress: Progress) -> str:
        assert inside.wait(10)
        return "made"

    with in_background_thread(work, no_progress) as answer:
        inside.set()  # a work that ran before or after the block would wait for ever
        assert answer.result() == "made"


def test_its_progress_is_told() -> None:
    seen: list[tuple[str, int, int]] = []

    def watch(what: str, total: int) -> Callable[[int], object]:
        return lambda count: seen.append((what, total, count))

    def work(progress: Progress) -> None:
        tick = progress("read", 2)
        tick(1)
        tick(1)

    with in_background_thread(work, watch) as answer:
        answer.result()
    assert seen == [("read", 2, 1), ("read", 2, 1)]


def test_its_error_is_the_users_to_read() -> None:
    def work(progress: Progress) -> None:
        raise DataError("nothing there")

    with pytest.raises(DataError, match="nothing there"), in_background_thread(work, no_progress) as answer:
        answer.result()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_block_that_fails_stops_it_at_its_next_image(error: type[BaseException]) -> None:
    done = 0

    def work(progress: Progress) -> None:
        nonlocal done
        tick = progress("read", 10_000)
        for _ in range(10_000):
            time.sleep(0.01)
            tick(1)
            done += 1

    def fail() -> None:
        with in_background_thread(work, no_progress):
            time.sleep(0.05)
            raise error

    with pytest.raises(error):
        fail()
    assert done < 1000
