"""Asks every instance for its findings, and shows them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from metta_checks.core.diagnosis import Finding
from metta_checks.core.text import slug

from . import tables
from .collecting import Runner
from .configuration import Configured
from .terminal import counted, errors, progress, say, show


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


def show_report(report: Iterable[Diagnosis]) -> None:
    """Print the findings, then the number of those that are not ok."""
    instances = list(report)
    for one in instances:
        show(tables.findings_listing(one.instance, one.findings))
    statuses = [finding.status for one in instances for finding in one.findings]
    failed, warned = statuses.count('fail'), statuses.count('warning')
    parts = (counted(len(instances), 'instance'), counted(failed, 'failure'), counted(warned, 'warning'))
    say(errors, ', '.join(parts), 'red' if failed else 'yellow' if warned else 'green')
