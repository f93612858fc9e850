"""Print the benchmarks; exit with 1 when a budget is exceeded."""

from __future__ import annotations

import importlib
import sys

from rich.console import Console
from rich.table import Table

from .harness import Phase, Result, Scenario, misses, run, slow, sources


def _requests(phase: Phase, budget: int | dict[str, int] | None) -> str:
    by_method = ' + '.join(f'{number} {method}' for method, number in sorted(phase.requests.items()))
    limit = ' + '.join(f'{n} {m}' for m, n in sorted(budget.items())) if isinstance(budget, dict) else budget
    return f'{by_method or 0}' + (f' (<= {limit})' if limit is not None else '')


def _limited(value: float, budget: float | None, form: str) -> str:
    return format(value, form) + (f' (<= {budget:g})' if budget is not None else '')


def _row(name: str, scenario: Scenario, result: Result) -> list[str]:
    return [
        name,
        _requests(result.cold, scenario.cold_requests),
        _requests(result.warm, scenario.warm_requests),
        f'{result.cold.bytes / 2**20:.2f}, {result.warm.bytes / 2**20:.2f}',
        f'{_limited(result.cold.cpu, scenario.cold_cpu, ".2f")}, {_limited(result.warm.cpu, scenario.warm_cpu, ".2f")}',
        '' if result.json_ratio is None else _limited(result.json_ratio, scenario.json_ratio, '.2f'),
        f'{result.cold.wall:.1f}, {result.warm.wall:.1f}',
        _limited(result.memory_mib, scenario.memory_mib, '.0f'),
        f'{result.emit.cpu * 1000:.1f}',
        str(result.series),
        f'{result.equal} of {result.compared}',
    ]


COLUMNS = (
    'scenario',
    'requests cold',
    'requests warm',
    'MiB cold, warm',
    'CPU s cold, warm',
    'CPU of json.loads',
    'wall s',
    'peak MiB over idle',
    're-emit CPU ms',
    'series',
    'seed names equal to truth',
)


def main(arguments: list[str] | None = None) -> int:
    """Run the scenarios of the named sources, or of all; return the exit code."""
    chosen = sources('benchmarks', __doc__, arguments)
    console = Console(width=None if sys.stdout.isatty() else 200)
    failed = False
    for source in chosen:
        table = Table(*COLUMNS, title=source, title_justify='left')
        problems, goals = [], []
        for scenario in importlib.import_module(f'.{source}', __package__).SCENARIOS:
            with console.status(f'{source}: {scenario.name}'):
                result = run(source, scenario)
            table.add_row(*_row(scenario.name, scenario, result))
            problems += [f'{scenario.name}: {miss}' for miss in misses(scenario, result)]
            goals += [f'{scenario.name}: {miss}' for miss in slow(scenario, result)]
        console.print(table)
        for problem in problems:
            console.print(f'  budget exceeded: {problem}', style='red', markup=False, highlight=False)
        for goal in goals:
            console.print(f'  slower than its goal: {goal}', style='yellow', markup=False, highlight=False)
        failed = failed or bool(problems)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
