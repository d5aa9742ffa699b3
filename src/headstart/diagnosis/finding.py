"""Findings of the doctor as values, and as lines like those of a linter."""

from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass
from typing import Any

from headstart.findings import Level

_WIDTH = 110
_ORDER: dict[Level, int] = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True, slots=True, repr=False)
class DoctorFinding:
    """One thing that is wrong, with its numbers and the way out."""

    id: str
    """Name of the kind; stable, for filters."""
    level: Level
    """error: training fails or its figures are wrong. warning: it costs accuracy or misleads. info: good to know."""
    what: str
    """The fault, in a sentence."""
    evidence: str
    """What was measured or read, with numbers and names."""
    remedy: str
    """What to do, in a sentence or a line of code."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    def __repr__(self) -> str:
        return f"DoctorFinding({self.level} {self.id}: {self.what})"

    def __str__(self) -> str:
        """`error[id] what`, then evidence and remedy, indented."""
        lines = _wrapped(f"{self.level}[{self.id}] {self.what}", rest="    ")
        lines += _wrapped(f"    {self.evidence}", rest="    ")
        return "\n".join([*lines, *_wrapped(f"    -> {self.remedy}", rest="       ")])


@dataclass(frozen=True, slots=True)
class OmittedCheck:
    """A check that was not run."""

    check: str
    reason: str
    """What it lacks."""


@dataclass(frozen=True, slots=True)
class DoctorResult:
    """Findings on a set-up or a run, errors first, and which checks they come from."""

    subject: str
    """What was examined, in words."""
    findings: tuple[DoctorFinding, ...]
    checks: tuple[str, ...]
    """Names of the checks that were run."""
    omitted: tuple[OmittedCheck, ...] = ()
    """Checks that were not run, because something was not given or failed."""
    seconds: float = 0.0

    @property
    def complaints(self) -> tuple[DoctorFinding, ...]:
        """Errors and warnings."""
        return tuple(finding for finding in self.findings if finding.level != "info")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "subject": self.subject,
            "findings": [finding.to_dict() for finding in self.findings],
            "checks": list(self.checks),
            "omitted": [asdict(one) for one in self.omitted],
            "seconds": round(self.seconds, 3),
        }

    def __str__(self) -> str:
        """The number of errors and warnings first, then one paragraph a finding, then what was not checked."""
        errors, warnings = (sum(one.level == level for one in self.findings) for level in ("error", "warning"))
        found = f"{_count(errors, 'error')}, {_count(warnings, 'warning')}" if errors or warnings else "nothing wrong"
        lines = [f"{self.subject}: {found} in {_count(len(self.checks), 'check')}"]
        lines += [str(finding) for finding in self.findings]
        lines += self._omitted_lines()
        return "\n".join(lines)

    __repr__ = __str__

    def _omitted_lines(self) -> list[str]:
        by_reason: dict[str, list[str]] = {}
        for one in self.omitted:
            by_reason.setdefault(one.reason, []).append(one.check)
        text = "; ".join(f"{', '.join(checks)} ({reason})" for reason, checks in by_reason.items())
        return _wrapped(f"not checked: {text}", rest="    ") if text else []


def errors_first(findings: list[DoctorFinding]) -> tuple[DoctorFinding, ...]:
    """Errors first, then warnings; those of one level keep their order."""
    return tuple(sorted(findings, key=lambda finding: _ORDER[finding.level]))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _wrapped(text: str, *, rest: str) -> list[str]:
    indent = text[: len(text) - len(text.lstrip())]
    body = text.strip()
    return textwrap.wrap(
        body,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
