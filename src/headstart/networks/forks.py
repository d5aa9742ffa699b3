"""Forked processes: they run torch in one thread, because threads do not survive a fork.

PyTorch starts its threads with the first network that runs. A fork copies the process without them, and the child would
wait for ever for threads that it does not have: a predictor that a web server loads before it forks its workers, an
estimator in a pool of forked processes. A child therefore runs networks in one thread, as torch's own data loaders do.
"""

from __future__ import annotations

import os
from functools import cache

import torch


@cache
def guard_forks() -> None:
    """Let forks of this process, and forks of those, use one thread of torch; called before a network is built.

    A process that has built no network yet has no threads to lose, and its forks keep all of theirs.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_use_one_thread)


def _use_one_thread() -> None:
    torch.set_num_threads(1)
