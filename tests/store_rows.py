"""Rows of the store tests, and a process that forks fillers which can be killed at any moment.

As a script it reads lines `FIRST COUNT PAUSE` on stdin, forks a filler for each, prints its pid, and waits for it when
it reads `wait`: importing numpy once and forking is what makes twenty kills quick.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from headstart.engine.store.shards import Ids, Tensor
from headstart.engine.store.store import EVALUATION, ActivationStore, Space, SpaceKey, image_digest, row_ids
from headstart.input_spec import InputSpec

SPEC = InputSpec(32, 36, "bilinear", (0.5,), (0.5,))
KEY = SpaceKey("net:tag", "ab" * 16, "layer3", SPEC, "1", "torch", "2.9", precision="float32")
TENSORS = (Tensor((3, 2)), Tensor((5,)), Tensor((), "int64"))
SHARD_ROWS = 50
BATCH_ROWS = 5
LOGGED_BYTES = 8
"""One line of the log, for one row computed."""


def ids_of(numbers) -> Ids:
    return row_ids([image_digest(int(number).to_bytes(8, "little")) for number in numbers], EVALUATION)


def arrays_of(numbers, tensors=TENSORS) -> tuple[np.ndarray, ...]:
    """What the network would give: a function of the number alone."""
    numbers = np.asarray(numbers, np.int64)
    found = []
    for place, tensor in enumerate(tensors):
        step = np.arange(max(1, int(np.prod(tensor.shape))), dtype=np.float64) + 1
        values = np.sin(numbers[:, None] * (place + 1.7) + step) if tensor.dtype == "float32" else numbers[:, None]
        found.append(values.reshape(len(numbers), *tensor.shape).astype(tensor.dtype))
    return tuple(found)


def fill(space: Space, numbers, log: int | None = None, pause: float = 0.0) -> None:
    ids = ids_of(numbers)
    numbers = np.asarray(numbers)
    missing = space.missing(ids)
    with space.writer(shard_rows=SHARD_ROWS) as writer:
        for start in range(0, len(missing), BATCH_ROWS):
            rows = missing[start : start + BATCH_ROWS]
            time.sleep(pause)
            if log is not None:
                os.write(log, b"".join(b"%7d\n" % number for number in numbers[rows]))
            writer.add(ids[rows], arrays_of(numbers[rows]))


class Nursery:
    """Forks fillers of a store in a process of its own."""

    def __init__(self, root: Path) -> None:
        self.log = root.with_name(root.name + ".log")
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(root), str(self.log)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def start(self, first: int, count: int, pause: float) -> int:
        """The pid of a process that began to fill just now."""
        return int(self._ask(f"{first} {count} {pause}"))

    def wait(self) -> int:
        """The exit status of the oldest filler, negative if a signal ended it."""
        return int(self._ask("wait"))

    def computed(self) -> int:
        """Rows that all fillers together have computed, whether stored or lost."""
        return self.log.stat().st_size // LOGGED_BYTES if self.log.exists() else 0

    def close(self) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(10)

    def _ask(self, line: str) -> str:
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()


def main() -> None:
    root, log = Path(sys.argv[1]), os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    children = []
    for line in sys.stdin:
        if line.strip() == "wait":
            _, status = os.waitpid(children.pop(0), 0)
            print(os.waitstatus_to_exitcode(status), flush=True)
            continue
        first, count, pause = line.split()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                space = ActivationStore(root).space(KEY, TENSORS)
                fill(space, range(int(first), int(first) + int(count)), log, float(pause))
                status = 0
            finally:
                os._exit(status)
        children.append(child)
        print(child, flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    main()
