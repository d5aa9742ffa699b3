"""Counts at how many networks every cut point works, and writes docs/cut-coverage.md.

    python benchmarks/cut_coverage.py [NAME ...]

All classification networks of torchvision and one small network of every model file of timm, with random weights: at
every cut point between two layer groups the parts compute, train and move buffers bit for bit as the whole does. Names
check only these networks and leave the table as it is. An interrupted run goes on, as long as no code changes, with
what build/cut-coverage.jsonl holds.
"""

from __future__ import annotations

import sys
import time
import warnings
from importlib import metadata
from pathlib import Path

import torch
from cut_checks import ALL_BELOW, CutVerdict, cut_verdict
from layer_groups import networks
from measured import Kept, code_hash

from headstart.errors import HeadstartError
from headstart.networks.cards.finding import find_model

TABLE = Path(__file__).parents[1] / "docs" / "cut-coverage.md"

REASONS = {
    "timm/vit_srelpos_small_patch16_224": "all blocks share one table of positions, made by a layer with dropout. Each "
    "side makes it for itself, and where even the prefix is in training draws other numbers for it; evaluation, and "
    "training with the prefix frozen, are equal",
}
"""Why a known exception is one."""


def verdict_of(name: str) -> CutVerdict:
    card = find_model(name).card
    try:
        verdict = cut_verdict(card)
    except (HeadstartError, RuntimeError, AssertionError, NotImplementedError, ValueError, KeyError) as error:
        verdict = CutVerdict(name, card.parameters, faults=[repr(error).splitlines()[0]])
    verdict.name = name
    return verdict


def table(verdicts: dict[str, list[CutVerdict]]) -> str:
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "torchvision", "timm"))
    lines = [
        "# Cuts, counted",
        "",
        f"Written by `make benchmarks` with {versions}; random weights, float32, CPU, one thread. At every cut point",
        "between two layer groups, stem to head, prefix and suffix together are compared with the whole: logits in",
        "evaluation for 1, 2 and 5 images; logits and moved buffers with everything in training mode, from the same",
        "seed; logits, gradients and still buffers with the prefix frozen as training freezes it. All must be equal",
        "bit for bit, and every layer must run on its own side, as often as in the whole. Networks above",
        f"{ALL_BELOW // 1_000_000} million parameters are compared for 2 images and without gradients. Side: of the",
        "images, in pixels. Crossing: the most tensors that cross a cut point.",
        "",
        "| networks | cut at every cut point | of | cut points |",
        "|---|---|---|---|",
    ]
    for kind, found in verdicts.items():
        good = [v for v in found if v.holds]
        what = "torchvision, all networks" if kind == "torchvision" else "timm, one small network of every model file"
        lines.append(f"| {what} | {len(good)} | {len(found)} | {sum(v.borders for v in good)} |")
    bad = [v for found in verdicts.values() for v in found if not v.holds]
    lines += ["", "## Exceptions", ""]
    for v in bad:
        reasons = v.refused + v.faults
        lines.append(f"- `{v.name}`: {reasons[0]}" + (f" (and {len(reasons) - 1} more)" if reasons[1:] else ""))
        lines += [f"  Reason: {REASONS[v.name]}."] if v.name in REASONS else []
    lines += ["None."] if not bad else []
    lines += [
        "",
        "## Every network",
        "",
        "| network | parameters | side | cut points | crossing |",
        "|---|---|---|---|---|",
    ]
    for found in verdicts.values():
        lines += [
            f"| `{v.name}` | {v.parameters / 1e6:.1f}M | {v.side} | {v.borders} | {v.most_crossing} |" for v in found
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    asked = sys.argv[1:]
    kept, code = Kept("cut-coverage"), code_hash()
    verdicts: dict[str, list[CutVerdict]] = {}
    for kind, name in networks():
        if asked and name not in asked:
            continue
        done = kept.find(name=name, code=code)
        if done is None:
            started = time.monotonic()
            found = vars(verdict_of(name))
            done = kept.add({"name": name, "code": code, "verdict": found, "seconds": time.monotonic() - started})
        verdicts.setdefault(kind, []).append(CutVerdict(**done["verdict"]))
    if not asked:
        TABLE.write_text(table(verdicts), encoding="utf-8")
    print(table(verdicts).split("## Every network")[0])


if __name__ == "__main__":
    main()
