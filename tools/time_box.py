"""Plugin for pytest that starts no test after a given time, and no slow test: `-p tools.time_box --until TIME`.

Tests that are not started are neither passed nor skipped; the last line counts them by folder. Works with pytest-xdist.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest

# Key by which a worker of pytest-xdist reports the tests that it did not start.
LEFT = 'left_by_time_box'


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--until`."""
    parser.addoption('--until', type=float, metavar='TIME', help='start no test after this time, in seconds since 1970')


def pytest_configure(config: pytest.Config) -> None:
    """Register the time box, if there is an end."""
    until = config.getoption('until')
    if until is not None:
        config.pluginmanager.register(TimeBox(until))


class TimeBox:
    """Leaves tests out, and counts them by folder."""

    def __init__(self, until: float) -> None:
        self.until = until
        self.left: Counter[str] = Counter()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Take slow and late tests from pytest."""
        if item.get_closest_marker('slow') is None and time.time() < self.until:
            return None
        self.left[str(item.path.parent.relative_to(item.config.rootpath))] += 1
        return True

    @pytest.hookimpl
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Hand the numbers of a worker over."""
        output: dict[str, Any] | None = getattr(session.config, 'workeroutput', None)
        if output is not None:
            output[LEFT] = dict(self.left)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take the numbers of a worker; a crashed one has none."""
        self.left.update(getattr(node, 'workeroutput', {}).get(LEFT, {}))

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was left out, in one line."""
        if self.left:
            places = ', '.join(f'{number} of {folder}' for folder, number in sorted(self.left.items()))
            terminalreporter.line(f'left to `make test`: {self.left.total()} tests ({places})')
