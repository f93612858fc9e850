"""Engines that drive a target: hypothesis, which shrinks failing cases, and atheris, which observes the coverage."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st

from .choices import Bytes
from .target import Target, timed

Found = Callable[[Target, Any, BaseException], None]
# Examples between two checks of the time.
BATCH = 200


@st.composite
def cases(draw: Any, target: Target) -> Any:
    """Return a strategy for the cases of a target."""

    def choose(number: int) -> int:
        return draw(st.integers(0, number - 1)) if number > 1 else 0

    return target.make(choose)


def examples(target: Target, number: int, starting: int, until: float = float('inf')) -> tuple[int, Any, Any]:
    """Run a number of examples of a seed, fewer when the time is over.

    Returns the number of cases, and the smallest failing case with its error, or (number, None, None).
    """
    ran = 0
    last: tuple[Any, Any] = (None, None)

    @seed(starting)
    @settings(
        max_examples=number,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
        print_blob=False,
        report_multiple_bugs=False,
    )
    @given(cases(target))
    def test(case: Any) -> None:
        nonlocal ran, last
        if time.monotonic() > until:
            return
        ran += 1
        try:
            timed(target, case)
        except BaseException as error:
            last = case, error
            raise

    try:
        test()
    except Exception:
        # Flaky: a case failed once and not again, because of state that outlives a case. The last failure is still
        # shown.
        if last[1] is None:
            # A failure to make a case is not one of the code under test.
            raise
        return ran, *last
    return ran, None, None


def hypothesis(target: Target, seconds: float, starting: int, found: Found) -> int:
    """Run for a time, or until a case fails; return the number of cases."""
    # Recordings that a target makes before its first case do not count as its time.
    target.make(Bytes(b''))
    until = time.monotonic() + seconds
    total = 0
    while time.monotonic() < until:
        ran, case, error = examples(target, BATCH, starting + total, until)
        total += ran
        if error is not None:
            found(target, case, error)
            return total
    return total


def atheris(name: str, seconds: float, starting: int, found: Found) -> None:
    """Run for a time with feedback from coverage, or until a case fails. Ends the process, as libFuzzer does.

    Must come before anything of metta_checks was imported. Raises ImportError without the extra `fuzz`.
    """
    import atheris as engine

    # Only the project's own code is instrumented, not the libraries.
    with engine.instrument_imports(include=['metta_checks']):
        from .targets import all_targets

        target = all_targets()[name]
        target.make(Bytes(b''))

    def one(data: bytes) -> None:
        case = target.make(Bytes(data))
        try:
            timed(target, case)
        except Exception as error:
            found(target, case, error)
            raise

    arguments = ['fuzz', f'-max_total_time={max(1, round(seconds))}', f'-seed={starting + 1}', '-max_len=4096']
    engine.Setup(arguments, one)
    engine.Fuzz()
