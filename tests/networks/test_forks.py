"""Processes that are forked from one in which networks have run; in interpreters of their own, which may hang."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import multiprocessing
import torch
from headstart.networks.backbone import build_network
from headstart.networks.cards.finding import find_model

images = torch.ones(4, 3, 160, 160)

def work(network):
    with torch.inference_mode():
        return torch.get_num_threads(), None if network is None else network(images).sum().item()

torch.set_num_threads(2)
network = None
if {built}:
    torch.manual_seed(0)
    network = build_network(find_model("timm/test_resnet").card).eval()
    before = work(network)[1]
with multiprocessing.get_context("fork").Pool(1) as pool:
    threads, found = pool.apply_async(work, [network]).get(timeout=100)
print(threads, torch.get_num_threads(), network is None or abs(found - before) < 1e-3 * abs(before))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
@pytest.mark.parametrize(("built", "threads"), [(True, 1), (False, 2)])
@pytest.mark.slow
def test_a_fork_of_a_process_that_ran_a_network_runs_in_one_thread_and_others_keep_theirs(built: bool, threads: int):
    command = [sys.executable, "-c", SCRIPT.format(built=built)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.split() == [str(threads), "2", "True"], done.stderr
