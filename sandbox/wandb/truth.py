"""The figures that the check should report, by the plainest means: one loop per figure over all runs of a project."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ..server import Figure
from .data import ACCURACY, ENDED, LOSS, Run

STATES = ('running', 'pending', 'preempting', *ENDED)


class Truth:
    """The truth about the runs of one project at a moment."""

    def __init__(
        self,
        runs: Sequence[Run],
        now: datetime,
        tags: Mapping[str, str],
        prices: Mapping[str, float],
        aliases: Mapping[str, str],
    ) -> None:
        self.runs = runs
        self.now = now
        self.tags = tags
        self.prices = prices
        self.aliases = aliases
        self.week_ago = now - timedelta(hours=168)
        self.ended = [run for run in runs if run.state in ENDED and run.last_seen >= self.week_ago]
        self.finished = [run for run in self.ended if run.state == 'finished']
        self.running = [run for run in runs if run.state == 'running']

    def figure(self, name: str, value: float, **tags: str) -> Figure:
        """Return a figure with the tags of the project."""
        pairs = {**self.tags, **tags}
        return Figure(
            f'metta.wandb.{name}', float(value), tuple(sorted(f'{key}:{text}' for key, text in pairs.items()))
        )

    def figures(self) -> Iterator[Figure]:
        """Compute all figures. Absent ones are left out."""
        yield from self.counts()
        yield from self.durations()
        yield from self.hours()
        yield from self.summaries()
        yield from self.gpus()

    def counts(self) -> Iterator[Figure]:
        """Count runs by state and time."""
        yield self.figure('runs.active', len(self.running))
        yield self.figure('runs.total', len(self.runs))
        yield self.figure('runs.completed_7d', len(self.finished))
        yield self.figure('runs.failed_7d', sum(run.state in ('failed', 'crashed') for run in self.ended))
        for state in STATES:
            yield self.figure('runs.count', sum(run.state == state for run in self.runs), state=state)
        for state in ENDED:
            yield self.figure('runs.ended_7d', sum(run.state == state for run in self.ended), state=state)
        yield self.figure('runs.created_24h', sum(run.created >= self.now - timedelta(hours=24) for run in self.runs))
        silent = self.now - timedelta(minutes=15)
        yield self.figure(
            'runs.stale', sum(run.heartbeat is not None and run.heartbeat < silent for run in self.running)
        )

    def durations(self) -> Iterator[Figure]:
        """Compute figures of running times and ages."""
        hours = sorted(run.compute / 3600 for run in self.ended)
        if hours:
            yield self.figure('training.avg_duration_hours', statistics.fmean(hours))
            yield self.figure('training.duration_hours', statistics.median(hours))
            yield self.figure('training.run_hours_7d.max', hours[-1])
        if len(hours) > 1:
            yield self.figure('training.run_hours_7d.p90', statistics.quantiles(hours, n=10, method='inclusive')[8])
        ages = [(self.now - run.created).total_seconds() / 3600 for run in self.running]
        if ages:
            yield self.figure('training.elapsed_hours.avg', statistics.fmean(ages))
            yield self.figure('training.elapsed_hours.max', max(ages))
        waiting = [(self.now - run.created).total_seconds() / 3600 for run in self.runs if run.state == 'pending']
        if waiting:
            yield self.figure('runs.pending_hours.max', max(waiting))

    def hours(self) -> Iterator[Figure]:
        """Compute GPU hours of the last 7 days and their cost."""
        totals: dict[str, float] = {}
        for run in (*self.ended, *self.running):
            if run.heartbeat is None or not run.gpus:
                continue
            inside = (min(run.heartbeat, self.now) - max(run.created, self.week_ago)).total_seconds()
            spent = run.gpus * min(max(inside, 0.0), run.compute) / 3600
            if spent:
                totals[run.gpu_type] = totals.get(run.gpu_type, 0.0) + spent
        yield self.figure('training.total_gpu_hours_7d', sum(totals.values()))
        priced = [gpu_type for gpu_type in totals if gpu_type in self.prices]
        if priced or not totals:
            cost = sum(totals[gpu_type] * self.prices[gpu_type] for gpu_type in priced)
            yield self.figure('training.cost_estimate_usd', cost)
        unpriced = sum(spent for gpu_type, spent in totals.items() if gpu_type not in self.prices)
        yield self.figure('training.unpriced_gpu_hours_7d', unpriced)
        for gpu_type, spent in totals.items():
            yield self.figure('gpus.hours_7d', spent, gpu_type=gpu_type)
            if gpu_type in priced:
                yield self.figure('gpus.cost_usd_7d', spent * self.prices[gpu_type], gpu_type=gpu_type)

    def numbers(self, key: str) -> list[float]:
        """Return the numbers of the finished runs, that of the run that ended last at the end."""
        by_end = sorted(self.finished, key=lambda run: (run.last_seen, run.created, run.id))
        values: list[Any] = [run.summary.get(key) for run in by_end]
        return [value for value in values if type(value) in (int, float) and value == value]

    def summaries(self) -> Iterator[Figure]:
        """Compute figures of accuracy, loss and configured summary keys."""
        accuracies = self.numbers(ACCURACY)
        if accuracies:
            yield self.figure('metrics.best_accuracy', max(accuracies))
            yield self.figure('metrics.avg_accuracy_7d', statistics.fmean(accuracies))
        losses = self.numbers(LOSS)
        if losses:
            yield self.figure('metrics.latest_loss', losses[-1])
        for alias, key in self.aliases.items():
            values = self.numbers(key)
            if values:
                yield self.figure(f'summary.{alias}.last', values[-1])
                yield self.figure(f'summary.{alias}.avg', statistics.fmean(values))
                yield self.figure(f'summary.{alias}.max', max(values))

    def gpus(self) -> Iterator[Figure]:
        """Compute figures of GPUs in use and their utilization."""
        recent = self.now - timedelta(minutes=10)
        fresh = [run for run in self.running if run.heartbeat and run.heartbeat >= recent]
        busy: dict[str, list[float]] = {}
        memory: dict[str, list[float]] = {}
        means = []
        for run in fresh:
            readings = []
            for index in range(run.gpus):
                for suffix in ('', '/l:rank0'):
                    if f'system.gpu.{index}.gpu{suffix}' in run.system:
                        readings.append(run.system[f'system.gpu.{index}.gpu{suffix}'])
                        memory.setdefault(run.gpu_type, []).append(
                            run.system[f'system.gpu.{index}.memoryAllocated{suffix}']
                        )
            if readings:
                means.append(statistics.fmean(readings))
                busy.setdefault(run.gpu_type, []).extend(readings)
        every = [value for values in busy.values() for value in values]
        yield self.figure('gpus.idle', sum(value < 5 for value in every))
        if every:
            yield self.figure('training.gpu_utilization_avg', statistics.fmean(every))
            yield self.figure('training.gpu_utilization_pct', statistics.fmean(means))
        for gpu_type, values in busy.items():
            in_use = sum(run.gpus for run in fresh if run.gpu_type == gpu_type)
            yield self.figure('gpus.in_use', in_use, gpu_type=gpu_type)
            yield self.figure('gpus.utilization_pct', statistics.fmean(values), gpu_type=gpu_type)
            yield self.figure('gpus.memory_pct', statistics.fmean(memory[gpu_type]), gpu_type=gpu_type)
