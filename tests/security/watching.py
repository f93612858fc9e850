"""Searches what every run of a check in every test shows for the secrets of its instance.

The tests of this folder plant secrets and look everywhere; this looks on where any other test makes something fail.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

from datadog_checks.base import AgentCheck
from datadog_checks.base.checks import base

from metta_checks.core.source import CACHE_KEY, Source

from .planted import Evidence

# A shorter secret may be a word.
SHORTEST = 12
# A leak has at least this many characters: the tokens of the sandbox begin with words.
ENOUGH = 16
# Parts of the names of options that hold secrets.
NAMED = ('token', 'api_key', 'secret', 'password', 'private_key')


class Watch(logging.Handler):
    """Finds the secrets that were in use since the last `search` in what was shown."""

    def __init__(self) -> None:
        super().__init__()
        self._secrets: dict[str, str] = {}
        # Lines since the last run.
        self._log: list[tuple[str, str]] = []
        self._leaks: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps a log line, with its traceback."""
        try:
            self._log.append((f'log of {record.name}', self.format(record)))
        except (TypeError, ValueError):
            # Wrong arguments: the line was never written.
            return

    def ran(self, check: AgentCheck, report: str) -> None:
        """Searches what a run of a check left, at once: a test may run it a thousand times."""
        self._secrets.update(secrets_of(check.instance or {}))
        submitted = base.aggregator.submitted(check)
        self._look(
            ('report', report),
            ('warnings', '\n'.join(check.warnings)),
            ('tags', '\n'.join({tag for point in submitted.points for tag in point.tags})),
            *(('service check', f'{message} {tags}') for _, _, tags, message in submitted.service_checks),
            *(('event', str(event)) for event in submitted.events),
            ('snapshot', check.read_persistent_cache(CACHE_KEY)),
        )

    def search(self) -> list[str]:
        """The leaks since the last search."""
        self._look()
        leaks, self._leaks, self._secrets = self._leaks, set(), {}
        return sorted(leaks)

    def _look(self, *said: tuple[str, str]) -> None:
        self._leaks.update(Evidence(self._secrets, [*self._log, *said], ENOUGH).leaks())
        self._log.clear()


def secrets_of(instance: Mapping[str, Any]) -> dict[str, str]:
    """Return the secrets by option and beginning. Options with such names that hold a file or a switch are left out."""
    return {
        f'{option} {value[:4]}...': value
        for option, value in instance.items()
        if isinstance(value, str) and len(value) >= SHORTEST and any(part in option for part in NAMED)
        if not option.endswith(('_file', '_path')) and option != 'tls_private_key'
    }


@contextmanager
def watching() -> Iterator[Watch]:
    """Look on at all runs of all checks."""
    run, watch = Source.run, Watch()

    @functools.wraps(run)
    def watched(check: Source) -> str:
        report = run(check)
        watch.ran(check, report)
        return report

    logging.getLogger().addHandler(watch)
    try:
        with mock.patch.object(Source, 'run', watched):
            yield watch
    finally:
        logging.getLogger().removeHandler(watch)
