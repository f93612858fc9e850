"""The figures of a whole run, as text and as JSON."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from .judge import Tally, WrongValue
from .trial import Result, flatness

# Kinds of violations, in the order of the verdict.
KINDS = (
    'wrong value', 'invented zero', 'stale value', 'doubled gauge', 'hang', 'crash', 'lost', 'doubled', 'self-metric',
    'memory',
)  # fmt: skip
# Further violations are only counted.
SHOWN = 40


class Report:
    """The results of all trials: (source, with kills, result)."""

    def __init__(self, seed: str, results: list[tuple[str, bool, Result]], seconds: float) -> None:
        self.seed = seed
        self.results = results
        self.seconds = seconds
        self.findings: list[WrongValue] = [finding for *_, result in results for finding in result.findings]
        self.kinds = Counter(finding.kind for finding in self.findings)

    def _sum(self, what: str) -> Any:
        return sum(getattr(result.tally, what) for *_, result in self.results)

    @property
    def faults(self) -> Counter[str]:
        """Injected faults by kind."""
        return sum((result.tally.faults for *_, result in self.results), Counter())

    def document(self) -> dict[str, Any]:
        """Return the figures as a JSON value."""
        return {
            'seed': self.seed,
            'seconds': round(self.seconds, 1),
            'refreshes': self._sum('refreshes'),
            'refreshes_under_faults': self._sum('struck'),
            'kinds': {kind: self.kinds[kind] for kind in KINDS},
            'faults': dict(self.faults),
            'trials': [
                {
                    'source': source,
                    'kills': kills,
                    **result.tally.document(),
                    'memory_mib': [None if math.isnan(value) else value for value in flatness(result.memory)],
                }
                for source, kills, result in self.results
            ],
        }

    def text(self) -> str:
        """Return the figures as text."""
        lines = [
            (
                f'{"trial":<22}{"refreshes":>10}{"struck":>8}{"failed":>8}{"values":>9}{"series":>8}{"kills":>7}'
                f'{"counted":>9}{"slowest":>9}  memory'
            )
        ]
        for source, kills, result in self.results:
            lines.append(self._row(f'{source}{" + kills" if kills else ""}', result))
        lines += [
            '',
            (
                f'{self._sum("refreshes")} refreshes, {self._sum("struck")} of them under faults, in '
                f'{self.seconds:.0f} s; {self.faults.total()} faults of {len(self.faults)} kinds; '
                f'{self._sum("values")} values held against the truth; {self._sum("kills")} kills'
            ),
            f'faults: {", ".join(f"{name} {number}" for name, number in sorted(self.faults.items()))}',
            f'kills: {", ".join(f"{name} {number}" for name, number in sorted(self._points().items())) or "none"}',
            (
                f'of these, {self._sum("window_kills")} between persisting and submitting: '
                f'{self._sum("window_lost"):g} counted things not sent, none twice (see docs/chaos.md)'
            ),
        ]
        lines += [f'{name}: {line}' for name, line in self._notes()]
        lines += ['', ', '.join(f'{kind}: {self.kinds[kind]}' for kind in KINDS)]
        lines += [finding.line() for finding in self.findings[:SHOWN]]
        if len(self.findings) > SHOWN:
            lines.append(f'and {len(self.findings) - SHOWN} more findings')
        return '\n'.join(lines)

    @staticmethod
    def _row(name: str, result: Result) -> str:
        tally: Tally = result.tally
        early, late = flatness(result.memory)
        memory = '' if math.isnan(early) else f'  {early:.1f} -> {late:.1f} MiB'
        return (
            f'{name:<22}{tally.refreshes:>10}{tally.struck:>8}{tally.failed:>8}{tally.values:>9}'
            f'{len(tally.names):>8}{tally.kills:>7}{tally.counted:>9.0f}{tally.slowest:>8.1f}s{memory}'
        )

    def _points(self) -> Counter[str]:
        return sum((result.tally.points for *_, result in self.results), Counter())

    def _notes(self) -> list[tuple[str, str]]:
        notes = []
        for source in dict.fromkeys(source for source, *_ in self.results):
            tallies = [result.tally for name, _, result in self.results if name == source]
            names = set().union(*(tally.names for tally in tallies))
            uncovered = set().union(*(tally.uncovered for tally in tallies))
            line = f'{len(names - uncovered)} of {len(names)} metric names held against the truth'
            notes.append((source, line + (f'; without a truth: {", ".join(sorted(uncovered))}' if uncovered else '')))
        return notes
