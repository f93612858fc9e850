"""The figures that the check should report, by the plainest means: one loop per figure over all runs of a project."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from ..server import Figure
from .data import ACCURACY, ENDED, ENTITY, LOSS, Project, Run
from .truth_hours import gpu_seconds
from .truth_machines import Facts, Usage

ACTIVE = ('running', 'preempting')
STATES = ('running', 'pending', 'preempting', *ENDED)
FAILED = ('failed', 'crashed')
WASTED = ('failed', 'crashed', 'killed')
SWEEP_STATES = ('RUNNING', 'PAUSED', 'FINISHED', 'CANCELED')
HOUR = 3600


class Truth:
    """The truth about one project at a moment, for an instance of the check with these options."""

    def __init__(self, project: Project, now: datetime, options: Mapping[str, Any], facts: Facts) -> None:
        self.project = project
        self.runs = list(project.runs.values())
        self.now = now
        self.options = options
        self.facts = facts
        self.prices: Mapping[str, float] = options.get('prices') or {}
        self.week_ago = now - timedelta(hours=168)
        self.active = [run for run in self.runs if run.state in ACTIVE]
        self.ended = [run for run in self.runs if run.state in ENDED and facts.end(run) >= self.week_ago]
        self.finished = [run for run in self.ended if run.state == 'finished']
        self.in_week = [*self.ended, *(run for run in self.active if run.heartbeat)]
        self.usage = Usage(facts, options.get('gpu_count_config_key') == 'num_gpus', self.in_week)

    def figure(self, name: str, value: float, **tags: str) -> Figure:
        """Return a figure with the tags of the project."""
        pairs = {'entity': ENTITY, 'project': self.project.name, **tags}
        texts = sorted(f'{key}:{text}'.lower() for key, text in pairs.items())
        return Figure(f'metta.wandb.{name}', float(value), tuple(texts))

    def figures(self) -> Iterator[Figure]:
        """Compute all figures. Absent ones are left out."""
        yield from self.counts()
        yield from self.durations()
        yield from self.hours()
        yield from self.summaries()
        yield from self.gpus()
        yield from self.single_runs()
        yield from self.whole_project()

    def counts(self) -> Iterator[Figure]:
        """Count runs by state and time."""
        yield self.figure('runs.active', len(self.active))
        yield self.figure('runs.total', len(self.runs))
        yield self.figure('runs.completed_7d', len(self.finished))
        yield self.figure('runs.failed_7d', sum(run.state in FAILED for run in self.ended))
        for state in STATES:
            yield self.figure('runs.count', sum(run.state == state for run in self.runs), state=state)
        for state in ENDED:
            yield self.figure('runs.ended_7d', sum(run.state == state for run in self.ended), state=state)
        yield self.figure('runs.created_24h', sum(run.created >= self.now - timedelta(hours=24) for run in self.runs))
        silent = self.now - timedelta(minutes=15)
        yield self.figure(
            'runs.stale', sum(run.heartbeat is not None and run.heartbeat < silent for run in self.active)
        )
        decided = [run.state for run in self.ended if run.state in ('finished', *FAILED)]
        if decided:
            yield self.figure('training.success_rate_pct_7d', 100 * decided.count('finished') / len(decided))

    def durations(self) -> Iterator[Figure]:
        """Compute figures of running times and ages."""
        hours = sorted(sum(part[2] for part in self.facts.stretches(run)) / HOUR for run in self.ended)
        if hours:
            yield self.figure('training.avg_duration_hours', statistics.fmean(hours))
            yield self.figure('training.duration_hours', statistics.median(hours))
            yield self.figure('training.run_hours_7d.max', hours[-1])
            yield self.figure('training.run_hours_7d.p90', _ninth_decile(hours))
        ages = [self._age(run) for run in self.active]
        if ages:
            yield self.figure('training.elapsed_hours.avg', statistics.fmean(ages))
            yield self.figure('training.elapsed_hours.max', max(ages))
        waiting = [self._age(run) for run in self.runs if run.state == 'pending']
        if waiting:
            yield self.figure('runs.pending_hours.max', max(waiting))

    def _age(self, run: Run) -> float:
        return (self.now - run.created).total_seconds() / HOUR

    def hours(self) -> Iterator[Figure]:
        """Compute GPU hours of the last 7 days and their cost: in sum, by type, and by what the options name."""
        shares = gpu_seconds(self.in_week, self.week_ago, self.now, self.usage)
        if shares is None:
            return
        hours = [(run, shares[run.id] / HOUR) for run in self.in_week if shares.get(run.id)]
        by_type = _sums((self.usage.gpu_type(run), spent) for run, spent in hours)
        yield self.figure('training.total_gpu_hours_7d', sum(by_type.values()))
        for gpu_type, spent in by_type.items():
            yield self.figure('gpus.hours_7d', spent, gpu_type=gpu_type)
        wasted = [(run, spent) for run, spent in hours if run.state in WASTED]
        yield self.figure('training.wasted_gpu_hours_7d', sum(spent for _, spent in wasted))
        if 'prices' in self.options:
            yield from self.costs(hours, wasted)
        yield from self.divided_hours(hours)

    def costs(self, hours: list[tuple[Run, float]], wasted: list[tuple[Run, float]]) -> Iterator[Figure]:
        """Compute figures of prices."""
        by_type = _sums((self.usage.gpu_type(run), cost) for run, cost in self._costs(hours))
        if by_type or not hours:
            yield self.figure('training.cost_estimate_usd', sum(by_type.values()))
        for gpu_type, cost in by_type.items():
            yield self.figure('gpus.cost_usd_7d', cost, gpu_type=gpu_type)
        unpriced = sum(spent for run, spent in hours if self.usage.gpu_type(run) not in self.prices)
        yield self.figure('training.unpriced_gpu_hours_7d', unpriced)
        lost = [cost for _, cost in self._costs(wasted)]
        if lost or not wasted:
            yield self.figure('training.wasted_cost_usd_7d', sum(lost))

    def _costs(self, hours: list[tuple[Run, float]]) -> list[tuple[Run, float]]:
        """Return the cost of those hours that have a price."""
        typed = [(run, spent, self.usage.gpu_type(run)) for run, spent in hours]
        return [(run, spent * self.prices[gpu_type]) for run, spent, gpu_type in typed if gpu_type in self.prices]

    def divided_hours(self, hours: list[tuple[Run, float]]) -> Iterator[Figure]:
        """Divide the hours, and their cost, by state, user, run type and group."""
        for option, key, read in (
            ('by_state', 'state', lambda run: run.state),
            ('by_user', 'user', lambda run: run.user.login if run.user else 'other'),
            ('by_run_type', 'run_type', lambda run: run.run_type),
            ('by_group', 'group', lambda run: run.group or 'other'),
        ):
            if not self.options.get(option):
                continue
            for value, spent in _sums((read(run), spent) for run, spent in hours).items():
                yield self.figure(f'gpus.hours_{option}_7d', spent, **{key: value})
            if key == 'state' or 'prices' not in self.options:
                continue
            for value, cost in _sums((read(run), cost) for run, cost in self._costs(hours)).items():
                yield self.figure(f'gpus.cost_{option}_usd_7d', cost, **{key: value})

    def numbers(self, key: str) -> list[float]:
        """Return the numbers of the finished runs, that of the run that ended last at the end."""
        by_end = sorted(self.finished, key=lambda run: (self.facts.end(run), run.created, run.id))
        return [value for run in by_end if (value := _number(run.summary.get(key))) is not None]

    def summaries(self) -> Iterator[Figure]:
        """Compute figures of accuracy, loss and configured summary keys."""
        accuracies = self.numbers(ACCURACY)
        if accuracies:
            yield self.figure('metrics.best_accuracy', max(accuracies))
            yield self.figure('metrics.avg_accuracy_7d', statistics.fmean(accuracies))
        losses = self.numbers(LOSS)
        if losses:
            yield self.figure('metrics.latest_loss', losses[-1])
        for alias, key in self.options.get('summary_metrics', {}).items():
            values = self.numbers(key)
            if values:
                yield self.figure(f'summary.{alias}.last', values[-1])
                yield self.figure(f'summary.{alias}.avg', statistics.fmean(values))
                yield self.figure(f'summary.{alias}.max', max(values))

    def _fresh(self) -> list[Run]:
        recent = self.now - timedelta(minutes=10)
        return [run for run in self.active if run.heartbeat and run.heartbeat >= recent]

    def gpus(self) -> Iterator[Figure]:
        """Compute figures of the GPUs in use: their number, utilization, memory and power."""
        now = self.usage.now(self._fresh())
        if now.in_use is not None:
            for gpu_type, number in now.in_use.items():
                yield self.figure('gpus.in_use', number, gpu_type=gpu_type)
            idle = [gpu.gpu_type for gpu in now.gpus if gpu.values['gpu'] < 5]
            yield self.figure('gpus.idle', len(idle))
            priced = [self.prices[gpu_type] for gpu_type in idle if gpu_type in self.prices]
            if 'prices' in self.options and (priced or not idle):
                yield self.figure('gpus.idle_cost_hourly_usd', sum(priced))
        if now.gpus:
            yield self.figure('training.gpu_utilization_avg', statistics.fmean(gpu.values['gpu'] for gpu in now.gpus))
        if now.by_run:
            yield self.figure('training.gpu_utilization_pct', statistics.fmean(now.by_run.values()))
        for gpu_type in {gpu.gpu_type for gpu in now.gpus}:
            of_type = [gpu.values for gpu in now.gpus if gpu.gpu_type == gpu_type]
            for name, what in (('utilization_pct', 'gpu'), ('memory_pct', 'memoryAllocated')):
                mean = statistics.fmean(values[what] for values in of_type)
                yield self.figure(f'gpus.{name}', mean, gpu_type=gpu_type)
        if self.options.get('gpu_details') and now.gpus:
            yield self.figure('gpus.sm_active_pct', statistics.fmean(gpu.values['smActive'] for gpu in now.gpus))
            yield self.figure('gpus.power_watts', statistics.fmean(gpu.values['powerWatts'] for gpu in now.gpus))
            errors = sum(gpu.values['uncorrectedMemoryErrors'] for gpu in now.gpus)
            yield self.figure('gpus.uncorrected_memory_errors', errors)

    def single_runs(self) -> Iterator[Figure]:
        """Show the oldest active runs, with option per_run."""
        if not self.options.get('per_run'):
            return
        oldest = sorted(self.active, key=lambda run: (run.created, run.id))[: self.options.get('max_runs', 50)]
        means = self.usage.now(self._fresh()).by_run
        for run in oldest:
            tags = {'run_id': run.id, 'run_name': run.display_name, 'run_type': run.run_type}
            yield self.figure('run.elapsed_hours', self._age(run), **tags)
            for alias, key in self.options.get('summary_metrics', {}).items():
                if (value := _number(run.summary.get(key))) is not None:
                    yield self.figure(f'run.summary.{alias}', value, **tags)
            if run.id in means:
                yield self.figure('run.gpu_utilization_pct', means[run.id], **tags)

    def whole_project(self) -> Iterator[Figure]:
        """Look at all runs of any age, and at the sweeps, with the options for them."""
        if self.options.get('all_time'):
            values = [_number(run.summary.get(ACCURACY)) for run in self.runs if run.state == 'finished']
            numbers = [value for value in values if value is not None]
            if numbers:
                yield self.figure('metrics.best_accuracy_all_time', max(numbers))
        if self.options.get('sweeps'):
            for state in SWEEP_STATES:
                yield self.figure('sweeps.count', sum(one == state for _, one in self.project.sweeps), state=state)


def _number(value: Any) -> float | None:
    return value if type(value) in (int, float) and math.isfinite(value) else None


def _ninth_decile(values: list[float]) -> float:
    return statistics.quantiles(values, n=10, method='inclusive')[8] if len(values) > 1 else values[0]


def _sums(rows: Any) -> dict[str, float]:
    totals: dict[str, float] = {}
    for key, amount in rows:
        totals[key] = totals.get(key, 0.0) + amount
    return totals
