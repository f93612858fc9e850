"""Reads an instance with the check, recomputes its figures through the vendor's SDK, and compares them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from metta_checks import verify
from metta_checks.core import catalog
from metta_checks.core.source import Source
from metta_checks.core.text import one_line
from metta_checks.testing import SELF_METRICS, Clock
from metta_checks.verify.coverage import NO_VALUE, Coverage, coverage

from . import tables, terminal
from .collecting import Collected, Runner
from .configuration import Configured
from .terminal import counted, progress, say

# The check reads some figures over several refreshes; the comparison waits for at most this many, and for this time.
MAX_REFRESHES = 30
MAX_SECONDS = 900
# Metrics that are named for each reason for which metrics are not compared.
MAX_GAPS = 5
RATE_LIMIT = f'{SELF_METRICS}rate_limit.'


@dataclass(frozen=True, slots=True)
class Comparison:
    """Figures of one instance beside the recomputed ones.

    Attributes:
        label: names the instance
        pairs: the figures, series by series
        ours, theirs: requests of the check and of the SDK
        series: number of the check's series, without the self-metrics
        coverage: the metrics of the catalog that were compared, and the others
        seconds: the time between the look of the check and that of the SDK
    """

    label: str
    source: str
    pairs: list[verify.FigurePair]
    ours: int
    theirs: int
    series: int
    coverage: Coverage
    seconds: float

    @property
    def compared(self) -> int:
        """Number of the check's series that were compared."""
        return sum(pair.ours is not None for pair in self.pairs)

    @property
    def different(self) -> list[verify.FigurePair]:
        """Figures that differ, or that one side lacks."""
        return [pair for pair in self.pairs if not pair.agrees]

    def document(self) -> dict[str, Any]:
        """Return the comparison for JSON output."""
        return {
            'instance': self.label,
            'source': self.source,
            'figures': [{**asdict(pair), 'agrees': pair.agrees} for pair in self.pairs],
            'requests': {'ours': self.ours, 'theirs': self.theirs},
            'seconds_apart': round(self.seconds, 3),
            'series': {'compared': self.compared, 'all': self.series},
            'coverage': asdict(self.coverage) | {'percent': round(self.coverage.percent, 1)},
        }


@dataclass(frozen=True, slots=True)
class Pause:
    """The time between two readings.

    Attributes:
        seconds: its length
        wait: waits that long
        clock: of the check; None for the real one
    """

    seconds: float
    wait: Callable[[float], object] = time.sleep
    clock: Clock | None = None


def compare(configured: Configured, pause: Pause | None = None) -> Comparison | None:
    """Read and recompute an instance; return None after printing that one of the two failed.

    With a pause, a source of which two readings tell more is read twice, and its counts are compared, too. Raises
    ImportError when the vendor's SDK is not installed.
    """
    if pause is not None and not verify.compares_readings(configured.source):
        pause = None
    runner = Runner(configured, pause.clock if pause else None)
    ours = _settled(runner)
    before = None
    seconds = 0.0
    if pause is not None and runner.check is not None and not ours[-1].error:
        before = _recompute(configured, runner.check)
        if before is None:
            return None
        seconds = _seconds_since_refresh(runner.check)
        ours.append(_later(runner, pause))
    if runner.check is None or ours[-1].error:
        say(ours[-1].error, 'red')
        return None
    own, unfinished = set(runner.instance_tags), _unfinished(runner.check, len(ours))
    figures = [
        verify.Figure(point.name, point.value, tuple(sorted(set(point.tags) - own)))
        for point in ours[-1].points
        if point.type == 'gauge' or (pause is not None and point.type == 'count')
    ]
    figures = verify.of_other_metrics(configured.source, unfinished, figures)
    if not _fits_limit(configured, ours[-1], figures):
        return None
    theirs = _recompute(configured, runner.check, before)
    if theirs is None:
        return None
    # Of two readings, the looks at the first one may have been further apart.
    seconds = max(seconds, _seconds_since_refresh(runner.check))
    recomputed = verify.of_other_metrics(configured.source, unfinished, theirs.figures)
    without_series = theirs.without_series - {f'metta.{configured.source}.{name}' for name in unfinished}
    theirs = replace(theirs, figures=tuple(recomputed), without_series=without_series)
    covered = coverage(
        catalog.load(configured.source),
        {figure.name for figure in figures},
        theirs,
        {**verify.left_out(configured.source), **unfinished},
        _options_off(runner.check),
    )
    requests = sum(one.requests for one in ours)
    requested = theirs.requests + (before.requests if before else 0)
    return Comparison(
        label=runner.label,
        source=configured.source,
        pairs=list(verify.compare(figures, theirs.figures, without_series=theirs.without_series, seconds=seconds)),
        ours=requests,
        theirs=requested,
        series=ours[-1].series,
        coverage=covered,
        seconds=seconds,
    )


def announce_charges(configured: Configured) -> None:
    """Print what the service will bill for the comparison, on standard error; nothing when it is free.

    Raises ImportError when the vendor's SDK is not installed.
    """
    try:
        lines = verify.charges(configured.source, configured.instance)
    except ImportError:
        raise
    except Exception:
        # The comparison itself reports why the service refuses.
        return
    if lines:
        say(f'{configured.source}: the service bills this comparison. {"; ".join(lines)}', 'yellow')


def free_of_charge(configured: Configured) -> Configured:
    """Return the instance without the options whose requests the service bills."""
    return replace(configured, instance=verify.free_of_charge(configured.source, configured.instance))


def show(comparison: Comparison, *, everything: bool, covered: bool) -> None:
    """Print the differences (or every figure), and the extent of the comparison; with `covered` also its gaps."""
    label, pairs, different = comparison.label, comparison.pairs, comparison.different
    if different or everything:
        terminal.show(tables.comparison_listing(label, pairs, everything=everything))
    gaps = comparison.coverage.left_out
    if covered:
        terminal.show(tables.left_out_listing(label, gaps))
    names, empty = len(comparison.coverage.compared), len(comparison.coverage.without_series)
    without_series = f', {empty} of them without a series on both sides' if empty else ''
    say(
        f'{label}: {len(pairs) - len(different)} of {len(pairs)} figures agree; compared are {comparison.compared} of '
        f'{comparison.series} series, {names} of {names + len(gaps)} metrics ({comparison.coverage.percent:.0f} %)'
        f'{without_series}; requests: ours {comparison.ours}, theirs {comparison.theirs}',
        'red' if different else 'green',
    )
    if not covered:
        for reason, left in _by_reason(gaps):
            shown = [name.removeprefix(f'metta.{comparison.source}.') for name in left]
            others = f' and {len(shown) - MAX_GAPS} more' if len(shown) > MAX_GAPS else ''
            say(f'{label}: not compared: {", ".join(shown[:MAX_GAPS])}{others} ({reason})', 'dim')


def _by_reason(gaps: Mapping[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each reason with the names of its metrics; last those for which the check shows nothing."""
    for reason in sorted(set(gaps.values()), key=lambda one: (one == NO_VALUE, list(gaps.values()).index(one))):
        yield reason, [name for name, own in gaps.items() if own == reason]


def _options_off(check: Source[Any, Any]) -> frozenset[str]:
    """Return the options of metrics that are not set."""
    options = {metric.option for metric in check.catalog.metrics if metric.option}
    return frozenset(option for option in options if not getattr(check.config, option))


def _seconds_since_refresh(check: Source[Any, Any]) -> float:
    """Return the seconds since the check began to look at the service."""
    return (check.now() - check.last_refresh).total_seconds() if check.last_refresh else 0.0


def _fits_limit(configured: Configured, collected: Collected, figures: list[verify.Figure]) -> bool:
    """Print what the comparison will cost. Returns False, after saying so, when the rate limit leaves too little."""
    expected = verify.expected_requests(configured.source, configured.instance, figures)
    if expected is None:
        return True
    text = f'{collected.label}: recomputing takes about {counted(expected, "request")}'
    left = rate_limit(collected, verify.limited_by(configured.source))
    if left is None:
        say(text, 'dim')
        return True
    text = f'{text}; {left.remaining:,.0f} of {left.limit:,.0f} are left ({left.resource})'
    if expected <= left.remaining:
        say(text, 'dim')
        return True
    say(f'{text}: not compared, so that the check keeps its share; try again later', 'red')
    return False


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Requests of a resource that are left, of all in its window."""

    resource: str
    remaining: float
    limit: float


def rate_limit(collected: Collected, resource: str = '') -> RateLimit | None:
    """Return the limit of a resource as the check saw it, else the one with the fewest requests left; None: unknown."""
    values: dict[str, dict[str, float]] = {}
    for point in collected.points:
        kind = point.name.removeprefix(RATE_LIMIT)
        name = next((tag.partition(':')[2] for tag in point.tags if tag.startswith('resource:')), '')
        if kind != point.name and name and resource in ('', name):
            values.setdefault(name, {})[kind] = point.value
    found = [RateLimit(name, one['remaining'], one['limit']) for name, one in values.items() if len(one) == 2]
    return min(found, key=lambda one: one.remaining, default=None)


def _settled(runner: Runner) -> list[Collected]:
    """Return the refreshes until the check has read all that its figures are about, within the limits."""
    until = time.monotonic() + MAX_SECONDS
    with progress(f'{runner.label}: reading'):
        found = [runner.run()]
        while (
            runner.check is not None
            and runner.check.can_finish
            and not found[-1].error
            and len(found) < MAX_REFRESHES
            and time.monotonic() < until
        ):
            found.append(runner.run(refresh=True))
    return found


def _unfinished(check: Source[Any, Any], refreshes: int) -> dict[str, str]:
    """Return why metrics are not compared that the check has not read completely, by their name."""
    times = 'the first refresh' if refreshes == 1 else f'{refreshes} refreshes'
    return dict.fromkeys(check.unfinished, f'the check has not read all of it after {times}')


def _later(runner: Runner, pause: Pause) -> Collected:
    """Return another refresh after a pause."""
    with progress(f'{runner.label}: waiting {pause.seconds:g} s, then reading again'):
        pause.wait(pause.seconds)
        return runner.run(refresh=True)


def _recompute(
    configured: Configured, check: Source[Any, Any], before: verify.Recomputed | None = None
) -> verify.Recomputed | None:
    """Return the recomputed figures; None after printing that the vendor's SDK failed."""
    now = check.last_refresh or datetime.now(UTC)
    try:
        with progress(f'{check.label}: recomputing'):
            return verify.recompute(configured.source, configured.instance, now, before=before)
    except ImportError:
        raise
    except Exception as error:
        # SDKs raise arbitrary exceptions with arbitrary texts of the service.
        said = check.sanitize(one_line(f'{type(error).__name__}: {error}', 300))
        say(f"{check.label}: the vendor's SDK failed: {said}", 'red')
        return None
