"""Counts for how many networks layer groups, heads and freezing hold, and writes docs/zoo-coverage.md.

    python benchmarks/layer_groups.py

All classification networks of torchvision and one small network of every model file of timm, with random weights:
groups partition all parameters and buffers, stand in the order of execution, every head is new, and one training step
moves exactly what it should. Order and step are computed below 30 million parameters, the rest is structure only.
An interrupted run goes on, as long as no code changes, with what build/layer-groups.jsonl holds.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import torchvision.models
from measured import Kept, code_hash
from zoo_checks import NUMERIC_BELOW, Verdict, numeric_verdict, structural_verdict

from headstart.errors import HeadstartError
from headstart.networks.cards.catalog import ModelCard
from headstart.networks.cards.finding import find_model

SMALL = 96
FAILURES = (HeadstartError, RuntimeError, AssertionError, NotImplementedError, ValueError)

ROOT = Path(__file__).parents[1]
FAMILIES = ROOT / "tests" / "models" / "timm_families.txt"
TABLE = ROOT / "docs" / "zoo-coverage.md"


def networks() -> Iterator[tuple[str, str]]:
    """(kind, full name) of every network that is counted."""
    for name in torchvision.models.list_models(module=torchvision.models):
        yield "torchvision", f"torchvision/{name}"
    for line in FAMILIES.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            yield "timm", f"timm/{line.split()[1]}"


def verdict_of(name: str) -> Verdict:
    card = find_model(name).card
    try:
        verdict = computed(card) if card.parameters < NUMERIC_BELOW else structural_verdict(card)
    except FAILURES as error:
        verdict = Verdict(name, parameters=card.parameters, faults=[repr(error).splitlines()[0]])
    verdict.name = name
    return verdict


def computed(card: ModelCard) -> Verdict:
    """On small images where that is enough; anything odd is looked at again at the network's own size."""
    try:
        verdict = numeric_verdict(card, size=SMALL)
    except FAILURES:
        return numeric_verdict(card)
    return numeric_verdict(card) if verdict.faults else verdict


def table(verdicts: dict[str, list[Verdict]]) -> str:
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "torchvision", "timm"))
    lines = [
        "# Layer groups, counted",
        "",
        f"Written by `make benchmarks` with {versions}; random weights. Structure: the groups hold every",
        "parameter and buffer exactly once at both grains, and every layer whose outputs were the old classes was",
        "replaced. Computed (below 30 million parameters): forward meets the groups in their order, and a training",
        "step with only the head, with the last stage, and with everything trainable moves exactly what it should and",
        "no BatchNorm buffer.",
        "",
        "| networks | all hold | of | computed | at least 4 backbone groups |",
        "|---|---|---|---|---|",
    ]
    for kind, found in verdicts.items():
        good = [v for v in found if not v.faults]
        computed = [v for v in good if "training step" in v.checked]
        deep = [v for v in good if v.backbone_groups >= 4]
        what = "torchvision, all networks" if kind == "torchvision" else "timm, one small network of every model file"
        lines.append(f"| {what} | {len(good)} | {len(found)} | {len(computed)} | {len(deep)} |")
    bad = [v for found in verdicts.values() for v in found if v.faults]
    lines += ["", "## Exceptions", ""]
    lines += [
        f"- `{v.name}`: {v.faults[0]}" + (f" (and {len(v.faults) - 1} more)" if v.faults[1:] else "") for v in bad
    ]
    lines += ["None."] if not bad else []
    lines += ["", "## Every network", "", "| network | parameters | groups | checked |", "|---|---|---|---|"]
    for found in verdicts.values():
        lines += [
            f"| `{v.name}` | {v.parameters / 1e6:.1f}M | {v.groups} | {', '.join(v.checked) or 'failed'} |"
            for v in found
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    warnings.simplefilter("ignore")
    kept, code = Kept("layer-groups"), code_hash()
    verdicts: dict[str, list[Verdict]] = {kind: [] for kind, _ in networks()}
    for kind, name in networks():
        done = kept.find(name=name, code=code)
        if done is None:
            started = time.monotonic()
            found = vars(verdict_of(name))
            done = kept.add({"name": name, "code": code, "verdict": found, "seconds": time.monotonic() - started})
        verdicts[kind].append(Verdict(**done["verdict"]))
    TABLE.write_text(table(verdicts), encoding="utf-8")
    print(TABLE.read_text(encoding="utf-8").split("## Every network")[0])


if __name__ == "__main__":
    main()
