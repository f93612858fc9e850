"""The figures of a whole run, as text and as JSON."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from .judge import Tally, Violation
from .trial import Result, flatness

# Kinds of violations, in the order of the verdict.
KINDS = (
    'wrong value', 'invented zero', 'stale value', 'doubled gauge', 'hang', 'crash', 'lost', 'doubled', 'self-metric',
    'memory', 'status lie', 'needless failure', 'unexpected error', 'frozen', 'dropped connection',
    'stray request', 'diagnosis', 'foreign series',
)  # fmt: skip
# Further violations are only counted.
SHOWN = 40


class Report:
    """The results of all trials: (source, name of the trial, result)."""

    def __init__(self, seed: str, results: list[tuple[str, str, Result]], seconds: float) -> None:
        self.seed = seed
        self.results = results
        self.seconds = seconds
        self.findings: list[Violation] = [finding for *_, result in results for finding in result.findings]
        self.kinds = Counter(finding.kind for finding in self.findings)

    def _sum(self, what: str) -> Any:
        return sum(getattr(result.tally, what) for *_, result in self.results)

    def _total(self, what: str) -> Counter[str]:
        return sum((getattr(result.tally, what) for *_, result in self.results), Counter())

    @property
    def faults(self) -> Counter[str]:
        """Injected faults by kind."""
        return self._total('faults')

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
                    'trial': name,
                    **result.tally.document(),
                    'memory_mib': [None if math.isnan(value) else value for value in flatness(result.memory)],
                }
                for source, name, result in self.results
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
        lines += [self._row(f'{source} {name}', result) for source, name, result in self.results]
        lines += [
            '',
            (
                f'{self._sum("refreshes")} refreshes, {self._sum("struck")} of them under faults, in '
                f'{self.seconds:.0f} s; {self.faults.total()} faults of {len(self.faults)} kinds; '
                f'{self._sum("values")} values held against the truth; {self._sum("kills")} kills'
            ),
            f'faults: {_listed(self.faults)}',
            f'kills: {_listed(self._total("points"))}',
            f'restarts between runs, by state of health: {_listed(self._total("restarts"))}',
            (
                f'{self._sum("jumps")} jumps of the clock, {self._sum("drops")} silent drops of idle connections, '
                f'{self._sum("diagnoses")} diagnoses during runs; at most '
                f'{max((result.tally.peak for *_, result in self.results), default=0):.0f} MiB above idle'
            ),
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

    def _notes(self) -> list[tuple[str, str]]:
        notes = []
        for source in dict.fromkeys(source for source, *_ in self.results):
            tallies = [result.tally for name, _, result in self.results if name == source]
            names = set().union(*(tally.names for tally in tallies))
            uncovered = set().union(*(tally.uncovered for tally in tallies))
            line = f'{len(names - uncovered)} of {len(names)} metric names held against the truth'
            notes.append((source, line + (f'; without a truth: {", ".join(sorted(uncovered))}' if uncovered else '')))
        return notes


def _listed(numbers: Counter[str]) -> str:
    return ', '.join(f'{name} {number}' for name, number in sorted(numbers.items())) or 'none'
