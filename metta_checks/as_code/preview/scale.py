"""Number formats for readers: units, ticks of value axes and of time axes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache

# Families of convertible units: name -> (size, symbol), small to large. `above` is the size (in the family's base) from
# which a unit is used.
_TIME = (
    ('nanosecond', 1e-9, 'ns', 0.0),
    ('microsecond', 1e-6, 'µs', 1e-6),
    ('millisecond', 1e-3, 'ms', 1e-3),
    ('second', 1.0, 's', 1.0),
    ('minute', 60.0, 'min', 120.0),
    ('hour', 3600.0, 'h', 7200.0),
    ('day', 86400.0, 'd', 4 * 86400.0),
)
_BINARY = tuple(
    (name, 1024.0**power, symbol, 1024.0**power if power else 0.0)
    for power, (name, symbol) in enumerate(
        (('byte', 'B'), ('kibibyte', 'KiB'), ('mebibyte', 'MiB'), ('gibibyte', 'GiB'), ('tebibyte', 'TiB'))
    )
)
_DECIMAL = tuple(
    (name, 1000.0**power, symbol, 1000.0**power)
    for power, (name, symbol) in enumerate(
        (('kilobyte', 'kB'), ('megabyte', 'MB'), ('gigabyte', 'GB'), ('terabyte', 'TB')), 1
    )
)
_Family = tuple[tuple[str, float, str, float], ...]
_FAMILIES: tuple[_Family, ...] = (_TIME, _BINARY, _DECIMAL)
# Units that are not written with their name.
_SYMBOLS = {'percent': '%', 'dollar': '$', 'cent': '¢', 'percent_nano': '%', 'core': 'cores', 'fraction': ''}
_PER = {'second': 's', 'minute': 'min', 'hour': 'h', 'day': 'd', 'week': 'wk', 'month': 'mo'}
# Sizes from which a number is shortened; thousands only where this saves space.
_LARGE = ((1e12, 1e12, 'T'), (1e9, 1e9, 'G'), (1e6, 1e6, 'M'), (1e4, 1e3, 'k'))
_IRREGULAR = {'query': 'queries', 'entry': 'entries', 'process': 'processes', 'batch': 'batches', 'class': 'classes'}
# Steps of ticks by symbol, in the shown unit; elsewhere 1, 2 and 5 times a power of ten.
_STEPS = {
    's': (1, 2, 5, 10, 15, 30, 60),
    'min': (1, 2, 5, 10, 15, 30, 60, 120),
    'h': (1, 2, 3, 6, 12, 24, 48, 96),
}


@dataclass(frozen=True, slots=True)
class Shown:
    """Notation of the values of one unit: divided by `factor`, with `prefix` before and `suffix` after.

    `attached`: the suffix also appears on axis ticks (%, h, GiB); units that count things (jobs, runs) only beside
    single values.
    """

    factor: float = 1.0
    prefix: str = ''
    suffix: str = ''
    attached: bool = False
    # True if large numbers are shortened to k, M, G.
    short: bool = True
    # Unit that counts things, singular; empty for measures.
    thing: str = ''

    def number(self, value: float, precision: int | None = None) -> str:
        """Return the number alone, with its sign and prefix."""
        scaled = value / self.factor
        size, letter = next(
            ((size, letter) for least, size, letter in _LARGE if self.short and abs(scaled) >= least), (1.0, '')
        )
        text = digits(abs(scaled) / size, precision)
        sign = '-' if scaled < 0 and text.strip('0.,') else ''
        return f'{sign}{self.prefix}{text}{letter}'

    def unit(self, value: float) -> str:
        """Return the unit beside a single value: `1 job`, `2 jobs`."""
        return self.thing if self.thing and value == 1 else self.suffix

    def text(self, value: float, precision: int | None = None) -> str:
        """Return number and unit."""
        return joined(self.number(value, precision), self.unit(value))

    def tick(self, value: float) -> str:
        """Return the label of an axis tick."""
        number = self.number(value)
        return joined(number, self.suffix) if self.attached and self.suffix else number


def joined(number: str, unit: str) -> str:
    """Return number and unit with a narrow no-break space; without it before %, ¢ or a slash."""
    return f'{number}{unit}' if not unit or unit[0] in '%¢/' else f'{number}\u202f{unit}'


def digits(value: float, precision: int | None = None) -> str:
    """Return a positive number with three significant digits, or with `precision` decimals; thousands are separated."""
    if precision is None:
        if value == 0:
            return '0'
        decimals = max(0, 2 - math.floor(math.log10(value)))
        text = f'{value:,.{min(decimals, 8)}f}'
        return text.rstrip('0').rstrip('.') if '.' in text else text
    return f'{value:,.{max(0, min(precision, 8))}f}'


# Begins a unit that a dashboard names itself, which is neither converted nor put into the plural.
VERBATIM = '='


def shown(unit: str, largest: float, *, fixed: bool = False) -> Shown:
    """Return the notation for values of a unit up to `largest`.

    `unit` is Datadog's name, or `dollar/hour`. `fixed` keeps the unit (hours stay hours).
    """
    own, steps = ladder(unit)
    if fixed or not largest:
        # Zero has no order of magnitude.
        return own
    return next((step for least, step in reversed(steps) if abs(largest) >= least), own)


@cache
def ladder(unit: str) -> tuple[Shown, tuple[tuple[float, Shown], ...]]:
    """Return the notations of a unit and of its larger units: (least value, notation), ascending."""
    if unit.startswith(VERBATIM):
        return Shown(suffix=unit.removeprefix(VERBATIM)), ()
    name, _, per = unit.replace(' per ', '/').partition('/')
    name, per = name.strip(), per.strip()
    rate = f'/{_PER.get(per, per)}' if per else ''
    for family in _FAMILIES:
        size = next((member[1] for member in family if member[0] == name), None)
        if size is not None:
            return _convertible(name, size, family, rate)
    if name == 'dollar':
        return Shown(prefix='$', suffix=rate, attached=bool(rate)), ()
    if name in _SYMBOLS:
        return Shown(suffix=_SYMBOLS[name] + rate, attached=name.startswith('percent') or name == 'cent'), ()
    if not name:
        return Shown(suffix=rate, attached=bool(rate)), ()
    return Shown(suffix=plural(name) + rate, thing=name + rate), ()


def _convertible(name: str, size: float, family: _Family, rate: str) -> tuple[Shown, tuple[tuple[float, Shown], ...]]:
    """Return the notations of a unit that belongs to a family; `size` is its own."""
    steps = []
    for member, factor, symbol, above in family:
        # A value that fits its own unit keeps it: 40 h, not 1.7 d; 90 min, not 1.5 h.
        least = min(above / size, 1.0) if member == name else above / size
        steps.append((least, Shown(factor / size, suffix=symbol + rate, attached=True, short=False)))
    own = next(step for _, step in steps if step.factor == 1.0)
    return own, tuple(steps)


def plural(name: str) -> str:
    """Return the plural of a unit that counts things."""
    if name in _IRREGULAR:
        return _IRREGULAR[name]
    return name if name.endswith('s') else f'{name}s'


# A difference too small to divide into steps.
_NOTHING = 1e-100
# Approximate number of steps of an axis.
_TICKS = 4


@dataclass(frozen=True, slots=True)
class Axis:
    """A value axis: its range, the ticks inside it, and the notation of values. `log`: logarithmic."""

    low: float
    high: float
    ticks: tuple[float, ...]
    shown: Shown
    log: bool = False
    # Datadog's name; empty without one.
    unit: str = ''

    def place(self, value: float) -> float:
        """Return the relative position of a value: 0 at the bottom, 1 at the top, kept inside."""
        low, high = self.low, self.high
        if self.log:
            # Zero has no logarithm; it is drawn at the bottom.
            value = math.log10(value) if value > 0 else math.log10(low)
            low, high = math.log10(low), math.log10(high)
        return min(1.0, max(0.0, (value - low) / (high - low)))


def axis(
    values: Iterable[float],
    unit: str = '',
    *,
    log: bool = False,
    zero: bool = True,
    low: float | None = None,
    high: float | None = None,
) -> Axis:
    """Return the axis for all values (markers among them). `low` and `high` are requested limits."""
    finite = [value for value in values if math.isfinite(value)]
    if log:
        return _logarithmic([value for value in finite if value > _NOTHING], unit, low, high)
    if not finite:
        finite = [0.0, 1.0]
    elif zero:
        finite.append(0.0)
    bottom = min(finite) if low is None else low
    top = max(finite) if high is None else high
    if top - bottom <= max(abs(top) * 1e-9, _NOTHING):
        bottom, top = _around(bottom, top, fixed=low is not None)
    writing = shown(unit, max(abs(bottom), abs(top)))
    step = (top - bottom) / writing.factor / _TICKS
    while True:
        step = nice_step(step, writing)
        rounded = _rounded(bottom, top, step * writing.factor, low, high)
        ticks = _ticks(*rounded, step * writing.factor)
        # A step below the digits that are written would give neighbors the same label.
        if len({writing.tick(tick) for tick in ticks}) == len(ticks):
            return Axis(*rounded, ticks, writing, unit=unit)
        step *= 1.5


def _rounded(bottom: float, top: float, step: float, low: float | None, high: float | None) -> tuple[float, float]:
    """Return a range that begins and ends at multiples of the step, except at requested limits."""
    if low is None:
        bottom = math.floor(bottom / step + 1e-9) * step
    if high is None:
        top = max(math.ceil(top / step - 1e-9), round(bottom / step) + 1) * step
    return bottom, top


def _ticks(bottom: float, top: float, step: float) -> tuple[float, ...]:
    """Return the multiples of a step within the limits."""
    first = math.ceil(bottom / step - 1e-9)
    last = math.floor(top / step + 1e-9)
    return tuple(index * step for index in range(first, last + 1))


def _around(bottom: float, top: float, *, fixed: bool) -> tuple[float, float]:
    """Return the range of a constant value: a margin above, and one below unless the bottom is `fixed` or zero."""
    margin = abs(bottom) * 0.1 if abs(bottom) > _NOTHING else 1.0
    keeps = fixed or bottom == 0
    return bottom if keeps else bottom - margin, max(top, bottom) + margin


def nice_step(rough: float, writing: Shown) -> float:
    """Return the smallest round step of at least `rough`, in the shown unit; a whole number for counted things."""
    for known in _STEPS.get(writing.suffix, ()) if rough >= 1 else ():
        if known >= rough:
            return float(known)
    if writing.thing and rough < 1:
        rough = max(rough, 0.5)
    power: float = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    return max(step, 1.0) if writing.thing else step


def _logarithmic(positive: list[float], unit: str, low: float | None, high: float | None) -> Axis:
    # A limit without a logarithm is ignored.
    low, high = (limit if limit and limit > 0 else None for limit in (low, high))
    least = min(positive, default=1.0) if low is None else low
    most = max(positive, default=10.0) if high is None else high
    bottom = 10.0 ** math.floor(math.log10(least) + 1e-9) if low is None else low
    top = 10.0 ** math.ceil(math.log10(most) - 1e-9) if high is None else high
    if top <= bottom:
        top = bottom * 10
    first, last = math.ceil(math.log10(bottom) - 1e-9), math.floor(math.log10(top) + 1e-9)
    every = max(1, math.ceil((last - first) / 5))
    ticks = tuple(10.0**power for power in range(first, last + 1, every))
    # The unit is fixed; powers of ten of another unit would be odd numbers.
    return Axis(bottom, top, ticks, replace(shown(unit, most, fixed=True), short=True), log=True, unit=unit)


@dataclass(frozen=True, slots=True)
class TimeTick:
    """A tick of a time axis. `level` 0 is always shown, 1 and 2 where space permits; `place` is 0 left, 1 right."""

    place: float
    text: str
    level: int


_TIME_STEPS = (
    60,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    10800,
    21600,
    43200,
    86400,
    172800,
    604800,
    1209600,
    2419200,
    4838400,
    9676800,
)


def time_ticks(start: float, end: float) -> tuple[TimeTick, ...]:
    """Return ticks in UTC, about twelve at the densest level and three at the sparsest."""
    span = end - start
    step = next((step for step in _TIME_STEPS if span / step <= 14), _TIME_STEPS[-1])
    coarse = _coarser(step, span, 7)
    coarsest = _coarser(coarse, span, 3.6)
    found = []
    moment = math.ceil(start / step) * step
    while moment <= end:
        place = (moment - start) / span
        # A label at the very edge would be cut.
        if 0.01 <= place <= 0.965:
            level = next(level for level, every in enumerate((coarsest, coarse, step)) if moment % every == 0)
            found.append(TimeTick(place, _moment(moment, step), level))
        moment += step
    return tuple(found)


def _coarser(step: int, span: float, most: float) -> int:
    """Return the smallest multiple of a step with at most this number of ticks; the step itself without one."""
    return next((wide for wide in _TIME_STEPS if wide % step == 0 and span / wide <= most), step)


def _moment(moment: float, step: int) -> str:
    time = datetime.fromtimestamp(moment, UTC)
    if step >= 86400 or (time.hour == 0 and time.minute == 0):
        return f'{time:%a} {time.day}' if step < 604800 else f'{time.day} {time:%b}'
    return f'{time:%H:%M}'


def date_text(moment: float, *, clock: bool = True) -> str:
    """Return a moment in UTC: `24 Nov 2026, 14:05`."""
    time = datetime.fromtimestamp(moment, UTC)
    return f'{time.day} {time:%b %Y}' + (f', {time:%H:%M}' if clock else '')


def duration_text(seconds: float) -> str:
    """Return a span of time in its two largest units: `2 d 3 h`."""
    parts = []
    rest = max(0, round(seconds))
    for size, symbol in ((86400, 'd'), (3600, 'h'), (60, 'min'), (1, 's')):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f'{count} {symbol}')
        if len(parts) == 2 or (parts and size == 60):
            break
    return ' '.join(parts) or '0 s'
