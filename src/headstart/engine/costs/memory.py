"""Measurements of this machine, remembered in one locked file under $HEADSTART_HOME; no torch.

    measurements.json   {"format": 1, "latest": MACHINE, "machines": {MACHINE: {
                            "figures": {FIGURE or "NETWORK@SIZE: FIGURE": number},
                            "networks": {NETWORK@SIZE: what was counted inside, and where it cannot be cut},
                            "estimates": {ORIGIN: [measured by estimated seconds]},
                            "throughputs": {LIBRARY/ARCHITECTURE@SIZE: images a second},
                            "engines": {PART: speeds of both engines}}}}

Trials of a comparison run in parallel, so every read and every change takes the lock, and a change touches only the
values that its process has measured.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar

from headstart.engine.costs.network import NetworkFacts
from headstart.errors import DiskFullError
from headstart.files import has_file, home, locked, read_json, update_json

Origin: TypeAlias = Literal["measured", "related", "guessed"]
"""Of the figures behind an estimate. measured: of this network on this machine. related: of other networks, or of a
quick benchmark of this one. guessed: nothing ran here, so they are those of usual cores."""
MemorySection: TypeAlias = Literal["figures", "networks", "estimates", "throughputs", "engines"]

T = TypeVar("T")
_FORMAT = 1
_WEIGHT = 0.7
"""Of a new measurement against what was known: the machine may have been busy either time."""
MOST_RATIOS = 20
"""Past estimates that are remembered for each origin; older ones go, because machines change."""
FEWEST_RATIOS = 3
"""With fewer runs nothing is said of how far an estimate may be off."""


class PastEstimates(NamedTuple):
    """The range of the last runs' measured time by estimated time, where the estimates had figures of one origin."""

    runs: int
    low: float
    high: float


@dataclass
class Measurements:
    """Measurements of runs on one machine, and those that this process adds."""

    figures: dict[str, float] = field(default_factory=dict)
    """Of the machine: figures of `Speeds`, and `plain view N` and `augmented view N` for images of about 2**N pixels.
    Of a network: `NETWORK@SIZE: NAME`, where NAME is a figure of `Speeds` or a span, in seconds an image."""
    networks: dict[str, NetworkFacts] = field(default_factory=dict)
    """By their names."""
    estimates: dict[str, list[float]] = field(default_factory=dict)
    """Origin -> measured by estimated seconds of the last runs, oldest first."""
    changed: set[tuple[Literal["figures", "networks"], str]] = field(default_factory=set, compare=False, repr=False)
    """What is not in the file yet."""
    tested: list[tuple[Origin, float]] = field(default_factory=list, compare=False, repr=False)
    """Ratios that are not in the file yet."""

    def learn(self, name: str, value: float, *, network: str | None = None) -> None:
        """Take in a figure of the machine or of a network; one that is no positive number teaches nothing."""
        if math.isfinite(value) and value > 0:
            key = figure_of(name, network)
            before = self.figures.get(key, value)
            self.figures[key] = float(f"{_WEIGHT * value + (1 - _WEIGHT) * before:.4g}")
            self.changed.add(("figures", key))

    def figures_of(self, network: str) -> dict[str, float]:
        """Figures that were measured with one network."""
        start = figure_of("", network)
        return {name.removeprefix(start): value for name, value in self.figures.items() if name.startswith(start)}

    def learn_network(self, network: NetworkFacts) -> None:
        """What was counted inside a network, and where it cannot be cut."""
        self.networks[network.name] = network
        self.changed.add(("networks", network.name))

    def learn_estimate(self, origin: Origin, *, estimated: float, measured: float) -> None:
        """A whole run has ended: its seconds, estimated and measured."""
        if math.isfinite(estimated) and math.isfinite(measured) and estimated > 0 and measured > 0:
            ratio = measured / estimated
            self.estimates[origin] = [*self.estimates.get(origin, ()), ratio][-MOST_RATIOS:]
            self.tested.append((origin, ratio))

    def past_estimates(self, origin: Origin) -> PastEstimates | None:
        """Measured by estimated time of the last runs with such figures; None after fewer than FEWEST_RATIOS runs."""
        last = self.estimates.get(origin, [])[-MOST_RATIOS:]
        return PastEstimates(len(last), min(last), max(last)) if len(last) >= FEWEST_RATIOS else None


def figure_of(name: str, network: str | None) -> str:
    """Key of a figure of a network, or of the machine where that is None."""
    return name if network is None else f"{network}: {name}"


def recall(machine: str | None = None) -> Measurements:
    """Measurements of a machine; None: on the one that trained last. Damaged entries count as none."""
    found = _read()
    return _measurements(found, found.get("latest") if machine is None else machine)


def _measurements(found: dict[str, Any], machine: object) -> Measurements:
    return Measurements(
        _valid(_section(found, machine, "figures"), float),
        _valid(_section(found, machine, "networks"), NetworkFacts.from_dict),
        _valid(_section(found, machine, "estimates"), lambda ratios: [float(ratio) for ratio in ratios]),
    )


def remember(machine: str, measured: Measurements) -> None:
    """Write what this process has measured; a full or read-only disk only means that it is measured again."""

    def with_measured(found: dict[str, Any]) -> dict[str, Any]:
        # What other processes have written since this one read the file stays.
        now = _measurements(found, machine)
        now.figures |= {key: measured.figures[key] for section, key in measured.changed if section == "figures"}
        now.networks |= {key: measured.networks[key] for section, key in measured.changed if section == "networks"}
        for origin, ratio in measured.tested:
            now.estimates[origin] = [*now.estimates.get(origin, ()), ratio][-MOST_RATIOS:]
        networks = {name: asdict(facts) for name, facts in now.networks.items()}
        sections: dict[str, dict[str, Any]] = {"figures": now.figures, "networks": networks, "estimates": now.estimates}
        return {**_with(found, machine, sections), "latest": machine}

    with contextlib.suppress(OSError, DiskFullError):
        update_json(_file(), with_measured)
        measured.changed.clear()
        measured.tested.clear()


def recall_value(machine: str, section: MemorySection, key: str) -> Any:  # noqa: ANN401 - JSON
    """One remembered value as JSON gives it, which callers check; None where there is none."""
    return _section(_read(), machine, section).get(key)


def remember_value(machine: str, section: MemorySection, key: str, value: object) -> None:
    """Write one value; all others stay, whatever other processes wrote meanwhile.

    Raises:
        DiskFullError: the disk is full; the file is as it was.
        OSError: the folder or the file cannot be written.
    """
    update_json(
        _file(), lambda found: _with(found, machine, {section: {**_section(found, machine, section), key: value}})
    )


def _read() -> dict[str, Any]:
    path = _file()
    if not has_file(path):
        return {}
    with contextlib.suppress(OSError), locked(path.parent):
        return read_json(path)
    return read_json(path)  # a folder that may only be read has no lock; the file is replaced as a whole anyway


def _section(found: dict[str, Any], machine: object, section: MemorySection) -> dict[str, Any]:
    """A copy of one section of one machine; empty where it is not there or damaged."""
    with contextlib.suppress(KeyError, TypeError, ValueError):
        if found["format"] == _FORMAT:
            return dict(found["machines"][machine][section])
    return {}


def _valid(section: dict[str, Any], read: Callable[[Any], T]) -> dict[str, T]:
    """Entries that can be read; an earlier version or a damaged disk may have left others."""
    found = {}
    for name, value in section.items():
        with contextlib.suppress(AttributeError, KeyError, TypeError, ValueError):
            found[name] = read(value)
    return found


def _with(found: dict[str, Any], machine: str, sections: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """The file with some sections of one machine replaced."""
    machines = _dict(found.get("machines")) if found.get("format") == _FORMAT else {}
    mine = _dict(machines.get(machine))
    return {**found, "format": _FORMAT, "machines": {**machines, machine: {**mine, **sections}}}


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _file() -> Path:
    return home() / "measurements.json"
