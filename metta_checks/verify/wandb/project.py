"""The figures of one project."""

from __future__ import annotations

import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from .. import Figure, NoSeries
from .changes import Earlier
from .hours import gpu_hours
from .machines import GpuInUse, Machines, gpus_in_use, mean_utilization
from .reading import ACTIVE, ENDED, Extras, Run, latest, number

STATES = ('running', 'pending', 'preempting', *ENDED)
# States that the SDK knows.
SWEEP_STATES = ('RUNNING', 'PAUSED', 'CANCELED', 'FINISHED')
WASTED = ('failed', 'crashed', 'killed')
# Values of a tag; the rest is `other`.
MOST_VALUES = 50
MAX_RUNS = 50
# Figures that every project has, unless nothing is there to tell, or it is unknown.
NOT_ALWAYS = (
    'runs.pending_hours.max',
    'training.success_rate_pct_7d',
    'training.avg_duration_hours',
    'training.duration_hours',
    'training.run_hours_7d.max',
    'training.run_hours_7d.p90',
    'training.elapsed_hours.avg',
    'training.elapsed_hours.max',
    'training.total_gpu_hours_7d',
    'training.wasted_gpu_hours_7d',
    'training.gpu_utilization_avg',
    'training.gpu_utilization_pct',
    'gpus.hours_7d',
    'gpus.in_use',
    'gpus.idle',
    'gpus.utilization_pct',
    'gpus.memory_pct',
    'metrics.best_accuracy',
    'metrics.avg_accuracy_7d',
    'metrics.latest_loss',
)
# Figures of several refreshes.
OF_DAY = ('gpus.utilization_24h_pct', 'gpus.utilization_24h_coverage_pct')
# The readings of a refresh stand for the time since the one before, but not for a longer time.
LONGEST_GAP = timedelta(minutes=30)
# Runs that the check reads in one refresh, without option `max_rows_per_refresh`.
MAX_ROWS = 5000
PER_HOUR = 1 / 3600


@dataclass(frozen=True)
class _Now:
    """The use of GPUs at the time of the figures.

    Attributes:
        amounts: GPUs in use by type, None when they are unknown
        used: the GPUs in use that have readings
        means: utilization of single runs
    """

    amounts: Mapping[str, float] | None
    used: list[GpuInUse]
    means: Mapping[Run, float]


class Project:
    """Figures of one project."""

    def __init__(self, instance: Mapping[str, Any], name: str, runs: list[Run], extras: Extras) -> None:
        self.instance = instance
        self.base = {'entity': instance['entity'], 'project': name}
        self.runs = runs
        self.now = extras.now
        self.prices: Mapping[str, float] = instance.get('prices') or {}
        self.week_ago = self.now - timedelta(days=7)
        self.ended = [run for run in runs if run.state in ENDED and run.end >= self.week_ago]
        self.active = [run for run in runs if run.state in ACTIVE]
        self.in_week = [*self.ended, *(run for run in self.active if run.heartbeat)]
        self.machines = Machines(self.in_week, instance)

    def figure(self, name: str, value: float, per_second: float = 0.0, /, **tags: str) -> Figure:
        """Return a figure with the tags of the project."""
        pairs = tuple(sorted(f'{key}:{tag}'.lower() for key, tag in {**self.base, **tags}.items()))
        return Figure(f'metta.wandb.{name}', float(value), pairs, per_second)

    def figures(self) -> Iterator[Figure | NoSeries]:
        """Yield all figures but those of sweeps and of changes."""
        yield from (NoSeries(f'metta.wandb.{name}') for name in NOT_ALWAYS)
        yield from self.counts()
        yield from self.durations()
        yield from self.hours()
        yield from self.summaries()
        yield from self.gpus()
        if self.instance.get('all_time'):
            yield from self.all_time()

    def of_sweeps(self, states: Iterable[str]) -> Iterator[Figure]:
        """Yield the number of sweeps by state."""
        for state, amount in {**dict.fromkeys(SWEEP_STATES, 0), **Counter(states)}.items():
            yield self.figure('sweeps.count', amount, state=state)

    def changes(self, before: Earlier | None) -> Iterator[Figure | NoSeries]:
        """Yield the runs that ended since an earlier reading, and the utilization in a day that knows no more.

        Without an earlier reading, the check has had one refresh, and cannot have figures of a day.
        """
        if before is not None:
            yield NoSeries('metta.wandb.runs.finished')
            yield from self._finished(before)
        if not self._takes_one_refresh:
            return
        yield from (NoSeries(f'metta.wandb.{name}') for name in OF_DAY)
        if before is not None:
            for kind, busy in _by_type(self._now.used, 'gpu').items():
                yield self.figure('gpus.utilization_24h_pct', statistics.mean(busy), gpu_type=kind)
            day = timedelta(days=1) / timedelta(seconds=100)
            seconds = min(self.now - before.at, LONGEST_GAP) / timedelta(seconds=1)
            yield self.figure('gpus.utilization_24h_coverage_pct', seconds / day, 1 / day)

    @property
    def _takes_one_refresh(self) -> bool:
        """True when the check needs one refresh for its first figures."""
        heard = [run for run in self.runs if run.state not in ENDED or run.heard >= self.week_ago]
        return len(heard) <= (self.instance.get('max_rows_per_refresh') or MAX_ROWS)

    def _finished(self, before: Earlier) -> Iterator[Figure]:
        counts: Counter[tuple[tuple[str, str], ...]] = Counter()
        for run in before.newly_ended(self.runs, self.now):
            tags = {'state': run.state}
            if self.instance.get('run_types'):
                tags['run_type'] = self._run_type(run)
            if self.instance.get('by_user'):
                tags['user'] = run.user
            counts[tuple(tags.items())] += 1
        for pairs, amount in counts.items():
            yield self.figure('runs.finished', amount, **dict(pairs))

    def age(self, moment: datetime) -> float:
        """Return the hours since a moment."""
        return (self.now - moment) / timedelta(hours=1)

    def counts(self) -> Iterator[Figure]:
        """Count runs."""
        states = Counter(run.state for run in self.runs)
        yield self.figure('runs.active', len(self.active))
        yield self.figure('runs.total', len(self.runs))
        for state in STATES:
            yield self.figure('runs.count', states[state], state=state)
        if other := sum(amount for state, amount in states.items() if state not in STATES):
            yield self.figure('runs.count', other, state='other')
        yield self.figure('runs.created_24h', sum(self.age(run.created) <= 24 for run in self.runs))
        silent = self.now - timedelta(minutes=self.instance.get('stale_minutes', 15))
        heard = [run.heartbeat for run in self.active if run.heartbeat is not None]
        yield self.figure('runs.stale', sum(moment < silent for moment in heard))
        ends = Counter(run.state for run in self.ended)
        for state in ENDED:
            yield self.figure('runs.ended_7d', ends[state], state=state)
        yield self.figure('runs.completed_7d', ends['finished'])
        yield self.figure('runs.failed_7d', ends['failed'] + ends['crashed'])
        if decided := ends['finished'] + ends['failed'] + ends['crashed']:
            yield self.figure('training.success_rate_pct_7d', 100 * ends['finished'] / decided)

    def durations(self) -> Iterator[Figure]:
        """Yield figures of running times and ages."""
        hours = [run.hours for run in self.ended]
        if hours:
            yield self.figure('training.avg_duration_hours', statistics.mean(hours))
            yield self.figure('training.duration_hours', statistics.median(hours))
            yield self.figure('training.run_hours_7d.max', max(hours))
            p90 = statistics.quantiles(hours, n=10, method='inclusive')[-1] if len(hours) > 1 else hours[0]
            yield self.figure('training.run_hours_7d.p90', p90)
        ages = [self.age(run.created) for run in self.active]
        if ages:
            yield self.figure('training.elapsed_hours.avg', statistics.mean(ages), PER_HOUR)
            yield self.figure('training.elapsed_hours.max', max(ages), PER_HOUR)
        waiting = [self.age(run.created) for run in self.runs if run.state == 'pending']
        if waiting:
            yield self.figure('runs.pending_hours.max', max(waiting), PER_HOUR)

    # GPU-hours and cost.

    def hours(self) -> Iterator[Figure]:
        """Yield the GPU-hours of the week, and their cost, in sum and divided."""
        hours = gpu_hours(self.in_week, self.week_ago, self.now, self.machines)
        if hours is None:
            return
        costs = {
            run: spent * self.prices[kind] for run, spent in hours.items() if (kind := self._type(run)) in self.prices
        }
        wasted = {run: spent for run, spent in hours.items() if run.state in WASTED}
        yield self.figure('training.total_gpu_hours_7d', sum(hours.values()), sum(map(self._growth, hours)))
        yield self.figure('training.wasted_gpu_hours_7d', sum(wasted.values()))
        yield from self._divided('gpus.hours_7d', 'gpu_type', hours, self._type)
        if 'prices' in self.instance:
            yield from self.costs(hours, costs, wasted)
        yield from self.by_options(hours, costs)

    def _type(self, run: Run) -> str:
        return self.machines.types[run.id]

    def _growth(self, run: Run) -> float:
        """Return the GPU-hours that a run can add per second."""
        return (self.machines.own[run] or 0) * PER_HOUR if run.state in ACTIVE else 0.0

    def _divided(
        self, name: str, tag: str, amounts: Mapping[Run, float], read: Callable[[Run], str], *, in_usd: bool = False
    ) -> Iterator[Figure]:
        """Yield amounts of runs, GPU-hours or their cost, by what is read of each run."""
        growth = {run: self._growth(run) * (self.prices[self._type(run)] if in_usd else 1) for run in amounts}
        rates = _sums(growth, read)
        for value, amount in _sums(amounts, read).items():
            yield self.figure(name, amount, rates[value], **{tag: value})

    def costs(
        self, hours: Mapping[Run, float], costs: Mapping[Run, float], wasted: Mapping[Run, float]
    ) -> Iterator[Figure]:
        """Yield the cost of the hours, and the hours without a price."""
        yield from self._divided('gpus.cost_usd_7d', 'gpu_type', costs, self._type, in_usd=True)
        if costs or not hours:
            growth = sum(self._growth(run) * self.prices[self._type(run)] for run in costs)
            yield self.figure('training.cost_estimate_usd', sum(costs.values()), growth)
        unpriced = [run for run in hours if run not in costs]
        amount = sum(hours[run] for run in unpriced)
        yield self.figure('training.unpriced_gpu_hours_7d', amount, sum(map(self._growth, unpriced)))
        lost = [costs[run] for run in wasted if run in costs]
        if lost or not wasted:
            yield self.figure('training.wasted_cost_usd_7d', sum(lost))

    def by_options(self, hours: Mapping[Run, float], costs: Mapping[Run, float]) -> Iterator[Figure]:
        """Divide hours and cost by what the options name."""
        keys: dict[str, Callable[[Run], str]] = {
            'user': lambda run: run.user.lower(),
            'run_type': self._run_type,
            'group': lambda run: run.group or 'other',
        }
        if self.instance.get('by_state'):
            yield from self._divided('gpus.hours_by_state_7d', 'state', hours, lambda run: run.state)
        for key, read in keys.items():
            if not self.instance.get(f'by_{key}') or (key == 'run_type' and not self.instance.get('run_types')):
                continue
            label = _among_largest(_sums(hours, read), read)
            yield from self._divided(f'gpus.hours_by_{key}_7d', key, hours, label)
            if 'prices' in self.instance:
                yield from self._divided(f'gpus.cost_by_{key}_usd_7d', key, costs, label, in_usd=True)

    def _run_type(self, run: Run) -> str:
        """Return the first rule of option run_types that matches."""
        fields: dict[str, Iterable[str | None]] = {
            'display_name': [run.name],
            'group': [run.group],
            'job_type': [run.job_type],
            'sweep': [run.sweep],
            'tags': run.tags,
        }
        for name, rule in (self.instance.get('run_types') or {}).items():
            if any(re.search(rule['pattern'], text) for text in fields[rule['field']] if text):
                return str(name)
        return 'other'

    # Summaries.

    def numbers(self, key: str) -> list[float]:
        """Return numbers of finished runs by time of the end."""
        finished = latest(run for run in self.ended if run.state == 'finished')
        return [value for run in finished if (value := number(run.summary, key)) is not None]

    def summaries(self) -> Iterator[Figure]:
        """Yield figures of accuracy, loss and configured keys."""
        accuracies = self.numbers(self._accuracy_key)
        if accuracies:
            yield self.figure('metrics.best_accuracy', max(accuracies))
            yield self.figure('metrics.avg_accuracy_7d', statistics.mean(accuracies))
        losses = self.numbers(self.instance.get('loss_key') or 'loss')
        if losses:
            yield self.figure('metrics.latest_loss', losses[-1])
        for alias, key in self._aliases.items():
            values = self.numbers(key)
            if values:
                yield self.figure(f'summary.{alias}.last', values[-1])
                yield self.figure(f'summary.{alias}.avg', statistics.mean(values))
                yield self.figure(f'summary.{alias}.max', max(values))

    @property
    def _accuracy_key(self) -> str:
        return self.instance.get('accuracy_key') or 'accuracy'

    @property
    def _aliases(self) -> Mapping[str, str]:
        return self.instance.get('summary_metrics') or {}

    def all_time(self) -> Iterator[Figure]:
        """Yield the best accuracy of all runs."""
        found = [number(run.summary, self._accuracy_key) for run in self.runs if run.state == 'finished']
        values = [value for value in found if value is not None]
        if values:
            yield self.figure('metrics.best_accuracy_all_time', max(values))

    # GPUs in use.

    @cached_property
    def _now(self) -> _Now:
        """The GPUs in use."""
        recent = self.now - timedelta(minutes=10)
        fresh = [run for run in self.active if run.heartbeat and run.heartbeat >= recent]
        machines, is_clear = self.machines.at_once(fresh)
        used = [gpu for machine in machines for gpu in gpus_in_use(machine)]
        is_known = is_clear and all(machine.in_use is not None for machine in machines)
        amounts: dict[str, float] = defaultdict(float)
        means: dict[Run, float] = {}
        for machine in machines:
            amounts[machine.gpu_type] += machine.in_use or 0
            for run in machine.holders:
                if (mean := mean_utilization(run, machine)) is not None:
                    means[run] = mean
        return _Now(amounts if is_known else None, used, means)

    def gpus(self) -> Iterator[Figure]:
        """Yield the GPUs in use and their readings, and the figures of single runs."""
        now = self._now
        if now.amounts is not None:
            yield from self._in_use(now.amounts, now.used)
        if now.means:
            yield self.figure('training.gpu_utilization_pct', statistics.mean(now.means.values()))
        yield from self._readings(now.used)
        if self.instance.get('per_run'):
            yield from self._single_runs(now.means)

    def _in_use(self, by_type: Mapping[str, float], used: list[GpuInUse]) -> Iterator[Figure]:
        for kind, amount in by_type.items():
            if amount:
                yield self.figure('gpus.in_use', amount, gpu_type=kind)
        idle = [gpu.gpu_type for gpu in used if gpu.readings['gpu'] < 5]
        yield self.figure('gpus.idle', len(idle))
        prices = [self.prices[kind] for kind in idle if kind in self.prices]
        if 'prices' in self.instance and (prices or not idle):
            yield self.figure('gpus.idle_cost_hourly_usd', sum(prices))

    def _readings(self, used: list[GpuInUse]) -> Iterator[Figure]:
        busy = _values(used, 'gpu')
        if busy:
            yield self.figure('training.gpu_utilization_avg', statistics.mean(busy))
        for name, what in (('utilization_pct', 'gpu'), ('memory_pct', 'memoryAllocated')):
            for kind, values in _by_type(used, what).items():
                yield self.figure(f'gpus.{name}', statistics.mean(values), gpu_type=kind)
        if self.instance.get('gpu_details'):
            for name, what, combine in (
                ('sm_active_pct', 'smActive', statistics.mean),
                ('power_watts', 'powerWatts', statistics.mean),
                ('uncorrected_memory_errors', 'uncorrectedMemoryErrors', sum),
            ):
                values = _values(used, what)
                if values:
                    yield self.figure(f'gpus.{name}', combine(values))

    def _single_runs(self, means: Mapping[Run, float]) -> Iterator[Figure]:
        oldest = sorted(self.active, key=lambda run: (run.created, run.id))
        for run in oldest[: self.instance.get('max_runs') or MAX_RUNS]:
            tags = {'run_id': run.id, 'run_name': run.name}
            if self.instance.get('run_types'):
                tags['run_type'] = self._run_type(run)
            yield self.figure('run.elapsed_hours', self.age(run.created), PER_HOUR, **tags)
            for alias, key in self._aliases.items():
                if (value := number(run.summary, key)) is not None:
                    yield self.figure(f'run.summary.{alias}', value, **tags)
            if run in means:
                yield self.figure('run.gpu_utilization_pct', means[run], **tags)


def _values(gpus: Iterable[GpuInUse], what: str) -> list[float]:
    return [gpu.readings[what] for gpu in gpus if what in gpu.readings]


def _by_type(gpus: Iterable[GpuInUse], what: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for gpu in gpus:
        if what in gpu.readings:
            found[gpu.gpu_type].append(gpu.readings[what])
    return found


def _sums(amounts: Mapping[Run, float], read: Callable[[Run], str]) -> dict[str, float]:
    totals: dict[str, float] = defaultdict(float)
    for run, amount in amounts.items():
        totals[read(run)] += amount
    return totals


def _among_largest(totals: Mapping[str, float], read: Callable[[Run], str]) -> Callable[[Run], str]:
    """Return what reads the label of a run: `other` beyond the labels with the largest totals."""
    shown = set(sorted(totals, key=lambda label: -totals[label])[:MOST_VALUES])
    return lambda run: label if (label := read(run)) in shown else 'other'
