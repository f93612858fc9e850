"""Asks every instance for its findings, and shows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from metta_checks.core.diagnosis import Finding
from metta_checks.core.text import slug

from . import tables
from .collecting import Runner
from .configuration import Configured
from .terminal import counted, progress, say, show


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The findings about one instance."""

    instance: str
    source: str
    findings: list[Finding]

    @property
    def failed(self) -> bool:
        """True if a finding needs action."""
        return any(one.status == 'fail' for one in self.findings)

    def document(self) -> dict[str, Any]:
        """Return the findings for JSON. The id of a finding depends on its name alone."""
        found = [{'id': f'{self.source}.{slug(one.name)}', **asdict(one)} for one in self.findings]
        return {'instance': self.instance, 'source': self.source, 'findings': found}


def diagnose(configured: Iterable[Configured]) -> list[Diagnosis]:
    """Return the findings about each instance."""
    report = []
    for one in configured:
        runner = Runner(one)
        with progress(f'{runner.label}: asking'):
            report.append(Diagnosis(runner.label, runner.source, runner.findings()))
    return report


def totals(report: Sequence[Diagnosis]) -> dict[str, int]:
    """Return the number of instances, and of findings that are not ok."""
    statuses = [finding.status for one in report for finding in one.findings]
    return {'instance': len(report), 'failure': statuses.count('fail'), 'warning': statuses.count('warning')}


def show_report(report: Sequence[Diagnosis]) -> None:
    """Print the findings, then the number of those that are not ok."""
    for one in report:
        show(tables.findings_listing(one.instance, one.findings))
    numbers = totals(report)
    style = 'red' if numbers['failure'] else 'yellow' if numbers['warning'] else 'green'
    say(', '.join(counted(number, noun) for noun, number in numbers.items()), style)
