"""The figures of one project."""

from __future__ import annotations

import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from .. import Figure, NoSeries
from .changes import Earlier
from .hours import gpu_hours
from .machines import GpuInUse, Machines, gpus_in_use, mean_utilization
from .reading import ACTIVE, ENDED, Extras, Run, latest, number

PREFIX = 'metta.wandb.'
STATES = ('running', 'pending', 'preempting', *ENDED)
# States that the SDK knows.
SWEEP_STATES = ('RUNNING', 'PAUSED', 'CANCELED', 'FINISHED')
WASTED = ('failed', 'crashed', 'killed')
# Values of a tag; the rest is `other`.
MOST_VALUES = 50
MAX_RUNS = 50
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
        return Figure(PREFIX + name, float(value), pairs, per_second)

    def figure_of(self, name: str, value: float | None, per_second: float = 0.0) -> Figure | NoSeries:
        """Return a figure without further tags, or that there is none."""
        return NoSeries(PREFIX + name) if value is None else self.figure(name, value, per_second)

    def by_tag(
        self, name: str, tag: str, values: Mapping[str, float], per_second: Mapping[str, float] | None = None
    ) -> Iterator[Figure | NoSeries]:
        """Yield a figure per value of a tag, or that there is none."""
        if not values:
            yield NoSeries(PREFIX + name)
        for label, value in values.items():
            yield self.figure(name, value, (per_second or {}).get(label, 0.0), **{tag: label})

    def figures(self) -> Iterator[Figure | NoSeries]:
        """Yield all figures but those of sweeps and of changes."""
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
            yield from self._finished(before)
        if not self._takes_one_refresh:
            return
        if before is None:
            yield from (NoSeries(PREFIX + name) for name in OF_DAY)
            return
        yield from self.by_tag('gpus.utilization_24h_pct', 'gpu_type', _means(self._now.used, 'gpu'))
        day = timedelta(days=1) / timedelta(seconds=100)
        seconds = min(self.now - before.at, LONGEST_GAP) / timedelta(seconds=1)
        yield self.figure('gpus.utilization_24h_coverage_pct', seconds / day, 1 / day)

    @property
    def _takes_one_refresh(self) -> bool:
        """True when the check needs one refresh for its first figures."""
        heard = [run for run in self.runs if run.state not in ENDED or run.heard >= self.week_ago]
        return len(heard) <= (self.instance.get('max_rows_per_refresh') or MAX_ROWS)

    def _finished(self, before: Earlier) -> Iterator[Figure | NoSeries]:
        counts: Counter[tuple[tuple[str, str], ...]] = Counter()
        for run in before.newly_ended(self.runs, self.now):
            tags = {'state': run.state}
            if self.instance.get('run_types'):
                tags['run_type'] = self._run_type(run)
            if self.instance.get('by_user'):
                tags['user'] = run.user
            counts[tuple(tags.items())] += 1
        if not counts:
            yield NoSeries(f'{PREFIX}runs.finished')
        for pairs, amount in counts.items():
            yield self.figure('runs.finished', amount, **dict(pairs))

    def age(self, moment: datetime) -> float:
        """Return the hours since a moment."""
        return (self.now - moment) / timedelta(hours=1)

    def counts(self) -> Iterator[Figure | NoSeries]:
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
        decided = ends['finished'] + ends['failed'] + ends['crashed']
        yield self.figure_of('training.success_rate_pct_7d', 100 * ends['finished'] / decided if decided else None)

    def durations(self) -> Iterator[Figure | NoSeries]:
        """Yield figures of running times and ages."""
        hours = [run.hours for run in self.ended]
        yield self.figure_of('training.avg_duration_hours', _average(hours))
        yield self.figure_of('training.duration_hours', statistics.median(hours) if hours else None)
        yield self.figure_of('training.run_hours_7d.max', max(hours, default=None))
        p90 = statistics.quantiles(hours, n=10, method='inclusive')[-1] if len(hours) > 1 else next(iter(hours), None)
        yield self.figure_of('training.run_hours_7d.p90', p90)
        ages = [self.age(run.created) for run in self.active]
        yield self.figure_of('training.elapsed_hours.avg', _average(ages), PER_HOUR)
        yield self.figure_of('training.elapsed_hours.max', max(ages, default=None), PER_HOUR)
        waiting = [self.age(run.created) for run in self.runs if run.state == 'pending']
        yield self.figure_of('runs.pending_hours.max', max(waiting, default=None), PER_HOUR)

    # GPU-hours and cost.

    def hours(self) -> Iterator[Figure | NoSeries]:
        """Yield the GPU-hours of the week, and their cost, in sum and divided."""
        hours = gpu_hours(self.in_week, self.week_ago, self.now, self.machines)
        yield from self._of_hours(hours) if hours is not None else _unknown(self._of_hours({}))

    def _of_hours(self, hours: Mapping[Run, float]) -> Iterator[Figure | NoSeries]:
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
    ) -> Iterator[Figure | NoSeries]:
        """Yield amounts of runs, GPU-hours or their cost, by what is read of each run."""
        growth = {run: self._growth(run) * (self.prices[self._type(run)] if in_usd else 1) for run in amounts}
        yield from self.by_tag(name, tag, _sums(amounts, read), _sums(growth, read))

    def costs(
        self, hours: Mapping[Run, float], costs: Mapping[Run, float], wasted: Mapping[Run, float]
    ) -> Iterator[Figure | NoSeries]:
        """Yield the cost of the hours, and the hours without a price."""
        yield from self._divided('gpus.cost_usd_7d', 'gpu_type', costs, self._type, in_usd=True)
        growth = sum(self._growth(run) * self.prices[self._type(run)] for run in costs)
        total = sum(costs.values()) if costs or not hours else None
        yield self.figure_of('training.cost_estimate_usd', total, growth)
        unpriced = [run for run in hours if run not in costs]
        amount = sum(hours[run] for run in unpriced)
        yield self.figure('training.unpriced_gpu_hours_7d', amount, sum(map(self._growth, unpriced)))
        lost = [costs[run] for run in wasted if run in costs]
        yield self.figure_of('training.wasted_cost_usd_7d', sum(lost) if lost or not wasted else None)

    def by_options(self, hours: Mapping[Run, float], costs: Mapping[Run, float]) -> Iterator[Figure | NoSeries]:
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

    def summaries(self) -> Iterator[Figure | NoSeries]:
        """Yield figures of accuracy, loss and configured keys."""
        accuracies = self.numbers(self._accuracy_key)
        yield self.figure_of('metrics.best_accuracy', max(accuracies, default=None))
        yield self.figure_of('metrics.avg_accuracy_7d', _average(accuracies))
        losses = self.numbers(self.instance.get('loss_key') or 'loss')
        yield self.figure_of('metrics.latest_loss', losses[-1] if losses else None)
        for alias, key in self._aliases.items():
            values = self.numbers(key)
            yield self.figure_of(f'summary.{alias}.last', values[-1] if values else None)
            yield self.figure_of(f'summary.{alias}.avg', _average(values))
            yield self.figure_of(f'summary.{alias}.max', max(values, default=None))

    @property
    def _accuracy_key(self) -> str:
        return self.instance.get('accuracy_key') or 'accuracy'

    @property
    def _aliases(self) -> Mapping[str, str]:
        return self.instance.get('summary_metrics') or {}

    def all_time(self) -> Iterator[Figure | NoSeries]:
        """Yield the best accuracy of all runs."""
        found = [number(run.summary, self._accuracy_key) for run in self.runs if run.state == 'finished']
        values = [value for value in found if value is not None]
        yield self.figure_of('metrics.best_accuracy_all_time', max(values, default=None))

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

    def gpus(self) -> Iterator[Figure | NoSeries]:
        """Yield the GPUs in use and their readings, and the figures of single runs."""
        now = self._now
        yield from self._in_use(now.amounts, now.used) if now.amounts is not None else _unknown(self._in_use({}, []))
        yield self.figure_of('training.gpu_utilization_pct', _average(now.means.values()))
        yield from self._readings(now.used)
        if self.instance.get('per_run'):
            yield from self._single_runs(now.means)

    def _in_use(self, by_type: Mapping[str, float], used: list[GpuInUse]) -> Iterator[Figure | NoSeries]:
        yield from self.by_tag('gpus.in_use', 'gpu_type', {kind: amount for kind, amount in by_type.items() if amount})
        idle = [gpu.gpu_type for gpu in used if gpu.readings['gpu'] < 5]
        yield self.figure('gpus.idle', len(idle))
        if 'prices' in self.instance:
            prices = [self.prices[kind] for kind in idle if kind in self.prices]
            yield self.figure_of('gpus.idle_cost_hourly_usd', sum(prices) if prices or not idle else None)

    def _readings(self, used: list[GpuInUse]) -> Iterator[Figure | NoSeries]:
        yield self.figure_of('training.gpu_utilization_avg', _average(_values(used, 'gpu')))
        for name, what in (('utilization_pct', 'gpu'), ('memory_pct', 'memoryAllocated')):
            yield from self.by_tag(f'gpus.{name}', 'gpu_type', _means(used, what))
        if self.instance.get('gpu_details'):
            yield self.figure_of('gpus.sm_active_pct', _average(_values(used, 'smActive')))
            yield self.figure_of('gpus.power_watts', _average(_values(used, 'powerWatts')))
            errors = _values(used, 'uncorrectedMemoryErrors')
            yield self.figure_of('gpus.uncorrected_memory_errors', sum(errors) if errors else None)

    def _single_runs(self, means: Mapping[Run, float]) -> Iterator[Figure | NoSeries]:
        oldest = sorted(self.active, key=lambda run: (run.created, run.id))[: self.instance.get('max_runs') or MAX_RUNS]
        ages = {run: self.age(run.created) for run in oldest}
        yield from self._by_run('run.elapsed_hours', ages, PER_HOUR)
        for alias, key in self._aliases.items():
            found = {run: value for run in oldest if (value := number(run.summary, key)) is not None}
            yield from self._by_run(f'run.summary.{alias}', found)
        yield from self._by_run('run.gpu_utilization_pct', {run: means[run] for run in oldest if run in means})

    def _by_run(self, name: str, values: Mapping[Run, float], per_second: float = 0.0) -> Iterator[Figure | NoSeries]:
        if not values:
            yield NoSeries(PREFIX + name)
        for run, value in values.items():
            tags = {'run_id': run.id, 'run_name': run.name}
            if self.instance.get('run_types'):
                tags['run_type'] = self._run_type(run)
            yield self.figure(name, value, per_second, **tags)


def _unknown(found: Iterable[Figure | NoSeries]) -> Iterator[NoSeries]:
    """Yield that there is none of these figures."""
    return (NoSeries(one.name) for one in found)


def _average(values: Collection[float]) -> float | None:
    return statistics.mean(values) if values else None


def _values(gpus: Iterable[GpuInUse], what: str) -> list[float]:
    return [gpu.readings[what] for gpu in gpus if what in gpu.readings]


def _means(gpus: Iterable[GpuInUse], what: str) -> dict[str, float]:
    """Return the mean of a reading of the GPUs that have it, by type."""
    found: dict[str, list[float]] = defaultdict(list)
    for gpu in gpus:
        if what in gpu.readings:
            found[gpu.gpu_type].append(gpu.readings[what])
    return {kind: statistics.mean(values) for kind, values in found.items()}


def _sums(amounts: Mapping[Run, float], read: Callable[[Run], str]) -> dict[str, float]:
    totals: dict[str, float] = defaultdict(float)
    for run, amount in amounts.items():
        totals[read(run)] += amount
    return totals


def _among_largest(totals: Mapping[str, float], read: Callable[[Run], str]) -> Callable[[Run], str]:
    """Return what reads the label of a run: `other` beyond the labels with the largest totals."""
    shown = set(sorted(totals, key=lambda label: -totals[label])[:MOST_VALUES])
    return lambda run: label if (label := read(run)) in shown else 'other'
