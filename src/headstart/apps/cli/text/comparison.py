"""Text of a comparison: a line for each trial on stderr, tables and sentences on stdout."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from headstart.amounts import bytes_text, count_text, duration_text
from headstart.apps.cli.text.console import TrainingConsole
from headstart.comparison.comparison import TrialEnd
from headstart.comparison.grid import Trial
from headstart.plan.plan import Phase
from headstart.runs.event import Event
from headstart.runs.warnings import Diverged, LatencyNotMeasured, OptionWithoutEffect, PhaseWarning, RandomWeights
from headstart.workflow.comparing import Watcher

_MOST_SENTENCES = 12


class ComparisonConsole(Watcher):
    """Bars inside a trial, where stderr is a terminal, and one line when it has ended."""

    def __init__(self) -> None:
        self._console = TrainingConsole()
        self._now = ""
        self._said: set[str] = set()

    def __enter__(self) -> Self:
        """Nothing is shown yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bar away."""
        self._console.close()

    def trial_started(self, trial: Trial, *, of: int, resumed: str) -> None:
        """Name the trial on the bar."""
        self._now = f"{trial.number}/{of} {trial.variant.name}, seed {trial.seed}"
        if resumed == "resume":
            self._console.say(f"{self._now}: resumed")

    def trial_ended(self, trial: Trial, end: TrialEnd, row: Mapping[str, Any]) -> None:
        """One line."""
        self._console.close()
        if end.state == "failed":
            self._console.say(f"{self._now}: failed: {end.error}")
            return
        accuracy = "needs download" if row["test_accuracy"] is None else f"{row['test_accuracy']:.3f}"
        validation = "-" if row["validation_accuracy"] is None else f"{row['validation_accuracy']:.3f}"
        self._console.say(
            f"{self._now}: test accuracy {accuracy} (validation {validation}), {duration_text(end.seconds)}"
        )

    def phase_started(self, index: int, phase: Phase) -> None:
        """No line for phases: there are many."""

    def work_started(self, what: str, total: int) -> None:
        """A new bar in place of the last."""
        self._console.work_started(f"{self._now}: {what}", total)

    def work_done(self, count: int) -> None:
        """Move the bar."""
        self._console.work_done(count)

    def noted(self, event: Event) -> None:
        """Only what changes how the figures are to be read; an option without effect once for all trials."""
        if isinstance(event, OptionWithoutEffect):
            if event.option not in self._said:
                self._said.add(event.option)
                self._console.noted(event)
        elif isinstance(event, LatencyNotMeasured):
            self._console.noted(event)
        elif isinstance(event, PhaseWarning | Diverged | RandomWeights):
            self._console.say(f"{self._now}: warning: {event.sentence()}")


def comparison_text(result: Mapping[str, Any]) -> str:
    """Text of a result, printed at the end of `headstart compare`."""
    data = result["data"]
    lines = [_headline(result), "", *_table(result), ""]
    lines += _chosen_lines(result)
    sentences = [pair["sentence"] for pair in result["pairs"] if pair["on"] == "validation"]
    if sentences:
        lines += ["", f"on validation images ({data['validated_on']}):"]
        lines += [f"  {sentence}" for sentence in sentences[:_MOST_SENTENCES]]
        if (more := len(sentences) - _MOST_SENTENCES) > 0:
            lines.append(f"  and {more} more pairs (see --json)")
    sentences = [pair["sentence"] for pair in result["pairs"] if pair["on"] == "test"]
    if sentences:
        lines += ["", f"on test images ({data['tested_on']}):"]
        lines += [f"  {sentence}" for sentence in sentences[:_MOST_SENTENCES]]
    lines += [*_rate_lines(result), "", *_front_lines(result), *_unstable_lines(result)]
    for trial in result["trials"]:
        if trial["state"] == "failed":
            lines.append(f"failed: {trial['trial']}: {trial['error']}")
    for row in result["variants"]:
        if row["weights_missing"]:
            lines.append(f"needs download: {row['name']}: {row['weights_missing']}")
    lines += [
        "",
        f"{sum(t['state'] == 'done' for t in result['trials'])} trials, {duration_text(result['seconds'])} of training",
        f"comparison: {result['comparison']}",
        f"next:       headstart report {shlex.quote(result['comparison'])}",
    ]
    if result["resume"]:
        lines.append(f"{result['why_resume']}: {result['resume']}")
    return "\n".join(lines)


def _headline(result: Mapping[str, Any]) -> str:
    """Result in a line: which variant is better, or that no difference is significant."""
    chosen = result["chosen"]
    if chosen is None:
        return "no recommendation: no accuracy was measured"
    return str(chosen["headline"]) + ("" if result["finished"] else " (so far: not all trials are finished)")


def _table(result: Mapping[str, Any]) -> list[str]:
    rows = result["variants"]
    width = max(7, *(len(row["name"]) for row in rows))
    lines = [
        f"{'variant':<{width}} {'seeds':>5} {'test':>8} {'95 % interval':>14} {'valid.':>7} {'training':>9} "
        f"{'images/s':>8} {'latency':>9} {'memory':>8} {'params':>7}"
    ]
    entries = {entry["variant"]: entry["why"] for entry in result["entries"]}
    for row in rows:
        if row["same_model_as"]:
            why = f"same model as {row['same_model_as']}: {entries[row['same_model_as']]}"
            time = f"; training took {duration_text(row['seconds']['mean'])}" if row["seconds"] else ""
            lines.append(f"{row['name']:<{width}} {row['seeds_done']:>5} {why}{time}")
            continue
        test, validation, speed = row["test"], row["validation"], row["inference"]
        accuracy = [f"{test['accuracy']:.3f}", "{:.3f}..{:.3f}".format(*test["interval"])] if test else ["-", "-"]
        valid = f"{validation['accuracy']:.3f}" if validation else "-"
        time = duration_text(row["seconds"]["mean"]) if row["seconds"] else "-"
        speeds = [f"{speed['images_per_second']:.0f}", f"{speed['one_image_ms']:.1f} ms"] if speed else ["-", "-"]
        if speed and speed.get("stability") == "unstable":
            speeds = ["unstable", "unstable"]
        memory = bytes_text(row["peak_memory_bytes"]) if row["peak_memory_bytes"] else "-"
        parameters = f"{row['parameters'] / 1e6:.1f}M" if row["parameters"] else "-"
        status = "" if row["accuracy_status"] == "measured" else f"  {row['accuracy_status']}"
        lines.append(
            f"{row['name']:<{width}} {row['seeds_done']:>5} {accuracy[0]:>8} {accuracy[1]:>14} {valid:>7} {time:>9} "
            f"{speeds[0]:>8} {speeds[1]:>9} {memory:>8} {parameters:>7}{status}"
        )
    return lines


def _chosen_lines(result: Mapping[str, Any]) -> list[str]:
    chosen = result["chosen"]
    if chosen is None:
        return []
    test = chosen["test"]
    lines = [f"{'recommended' if chosen['tied_with'] else 'chosen'}: {chosen['variant']} - {chosen['why']}"]
    if test:
        low, high = test["interval"]
        seeds = test["by_seed"]
        spread = f", {min(seeds):.3f} to {max(seeds):.3f} by seed" if len(seeds) > 1 else ""
        few = f"; too few seeds: use {test['seeds_needed']}" if test["seeds_needed"] else ""
        lines.append(
            f"its test accuracy on {test['images']:,} images: {test['accuracy']:.3f} "
            f"(95 % interval {low:.3f}..{high:.3f}, {count_text(len(seeds), 'seed')}{spread}){few}"
        )
    return lines


def _rate_lines(result: Mapping[str, Any]) -> list[str]:
    labelled = [row for row in result["variants"] if row["learning_rate_label"]]
    if not labelled:
        return []
    return [
        "",
        "learning rates:",
        *(
            f"  {row['name']}: {row['learning_rate_label']['label']} - {row['learning_rate_label']['why']}"
            for row in labelled
        ),
    ]


def _unstable_lines(result: Mapping[str, Any]) -> list[str]:
    """Lines on unstable throughput and latency."""
    found = {}
    for row in result["variants"]:
        speed = row["inference"]
        if speed and speed.get("stability") == "unstable":
            low, high = speed.get("one_image_ms_range") or [speed["one_image_ms"]] * 2
            least, most = speed.get("images_per_second_range") or [speed["images_per_second"]] * 2
            found[row["model"]] = (
                f"prediction with {row['model']} is unstable: latency {low:,.0f} to {high:,.0f} ms, {least:,.0f} to "
                f"{most:,.0f} images/s; the machine was busy. Measure again when it is idle: headstart compare "
                f"--resume {shlex.quote(result['comparison'])}"
            )
    return list(found.values())


def _front_lines(result: Mapping[str, Any]) -> list[str]:
    fronts = {"accuracy and training time": "minutes", "accuracy and throughput": "inference"}
    return [
        f"Pareto front of {what}: {', '.join(result['pareto'][key])}"
        for what, key in fronts.items()
        if result["pareto"][key]
    ]
