"""Page data from a recording: evaluated requests; states of service checks, monitors and SLOs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from functools import cached_property
from itertools import product
from typing import Any

from metta_checks.as_code.asset import Asset

from ..query_tree import Filter
from .chart import Happening
from .choices import Values
from .evaluate import Evaluator
from .filters import NotDrawn, Tagged, Variables, predicate, search_filter
from .page import Origin, Stamp
from .recording import CheckState, Recording
from .request import series_of
from .result import Outcome
from .status import monitor_state, slo_status
from .tables import MonitorState, SloState, Tile
from .widgets import event_queries, requests_of

# Datadog's states of checks in the words of this package, the most urgent first.
_CHECK_STATES = {'critical': 'alert', 'warning': 'warn', 'unknown': 'none', 'ok': 'ok'}
DEFAULT_LABEL = 'Sample data'
# One term of a search: `tag:("a:b" OR "c:d")`, `tag:a:b`, `team:devops`.
_TERM = re.compile(r'tag:\(([^()]*)\)|(?:tag:)?("[^"]*"|\w[\w./-]*:[^\s"()]+)')
# A word of a search of events, or several in quotes.
_WORDS = re.compile(r'"([^"]*)"|([^\s"]+)')
# All recorded events are those of the check.
_OF_SOURCE = ('source:', 'sources:')
_HUES = {'error': 'red', 'warning': 'amber', 'success': 'green'}


class States:
    """Monitors and SLOs of a directory of assets, with their states at the end of a recording."""

    def __init__(self, recording: Recording, assets: Iterable[Asset]) -> None:
        self._recording = recording
        self._assets = tuple(assets)

    @cached_property
    def monitors(self) -> list[tuple[set[str], MonitorState]]:
        """Return every monitor with its tags."""
        return [(_tags(asset), self._monitor(asset)) for asset in self._assets if asset.kind == 'monitor']

    @cached_property
    def slos(self) -> list[tuple[set[str], SloState]]:
        """Return every SLO with its tags."""
        return [(_tags(asset), self._slo(asset)) for asset in self._assets if asset.kind == 'slo']

    def _monitor(self, asset: Asset) -> MonitorState:
        status = monitor_state(asset.body, self._recording)
        # With one group, the detail is enough.
        urgent = sum(state != 'ok' for state in status.groups.values())
        many = f'{urgent} of {len(status.groups)} groups; ' if urgent and len(status.groups) > 1 else ''
        return MonitorState(asset.title, status.state, '' if status.state == 'ok' else f'{many}{status.detail}')

    def _slo(self, asset: Asset) -> SloState:
        found = slo_status(asset.body, self._recording)
        frame = str(asset.body.get('timeframe') or '')
        return SloState(asset.title, found.state, found.status, found.target, found.budget, frame, found.detail)


def _tags(asset: Asset) -> set[str]:
    return {str(tag) for tag in (*(asset.document.get('tags') or ()), *(asset.body.get('tags') or ()))}


def matching(query: str, tags: set[str]) -> bool:
    """Return whether tags match a search of monitors or SLOs. Raises NotDrawn for a search by anything but tags."""
    rest = query.strip()
    if rest in ('', '*'):
        return True
    if _TERM.sub('', rest).replace('AND', '').strip():
        raise NotDrawn(f'search not evaluated here: {query!r}')
    for several, one in _TERM.findall(rest):
        wanted = {word.strip().strip('"') for word in re.split(r'\s+OR\s+', several or one)}
        if not wanted & tags:
            return False
    return True


class RecordedData:
    """Widget data of one dashboard for one choice of its template variables."""

    def __init__(
        self,
        recording: Recording,
        states: States,
        template_variables: Sequence[Mapping[str, Any]],
        values: Values,
    ) -> None:
        self._recording = recording
        self._states = states
        self._declared = template_variables
        self._variables = Variables(template_variables, values)
        self._evaluator = Evaluator(recording, values, template_variables)

    def choosing(self, values: Values) -> RecordedData:
        """Return the same data for other values of the template variables."""
        other = copy(self)
        other._variables = Variables(self._declared, values)
        other._evaluator = self._evaluator.choosing(other._variables)
        return other

    @property
    def window(self) -> tuple[float, float]:
        """Window from the first bucket to the recording's end."""
        start, end = self._evaluator.window.first, self._recording.end
        return (start, end) if end > start else (start, start + self._evaluator.window.step)

    def request(self, widget_type: str, request: Mapping[str, Any]) -> Outcome:
        """Return the result of one request."""
        return self._evaluator.request(widget_type, request)

    def events(self, query: str) -> list[Happening]:
        """Return the events that carry all tags and words of a search. Raises NotDrawn for an unknown variable."""
        tests = [predicate(one, self._variables) for one in _tag_filters(query)]
        words = _words(query)
        return [
            Happening(one.time, one.title, _HUES.get(one.alert_type, 'blue'))
            for one in self._recording.events
            if all(test(one) for test in tests) and all(word in one.title.lower() for word in words)
        ]

    def checks(self, definition: Mapping[str, Any]) -> list[Tile]:
        """Return one tile per group, with the most urgent state of its checks; without groups a single tile."""
        check = str(definition.get('check') or '')
        tests = [predicate(one, self._variables) for one in _check_filters(definition)]
        by = [str(key) for key in definition.get('group_by') or ()]
        groups: dict[tuple[str, ...], list[CheckState]] = {}
        for state in self._recording.latest_checks(check):
            if all(test(state) for test in tests):
                for group in product(*(state.by_key.get(key, ['N/A']) for key in by)):
                    groups.setdefault(group, []).append(state)
        return [_tile(group, many, check) for group, many in sorted(groups.items())]

    def monitors(self, definition: Mapping[str, Any]) -> list[MonitorState]:
        """Return the monitors that match the definition's query."""
        query = str(definition.get('query') or '')
        return [state for tags, state in self._states.monitors if matching(query, tags)]

    def slos(self, definition: Mapping[str, Any]) -> list[SloState]:
        """Return the SLOs that match the query of the definition's request."""
        search = (definition.get('requests') or [{}])[0].get('query') or {}
        query = str(search.get('query_string') or '')
        found = [state for tags, state in self._states.slos if matching(query, tags)]
        return found[: int(search.get('limit') or len(found))]

    def filtered(self, definition: Mapping[str, Any]) -> Iterator[tuple[Filter, Iterable[Tagged]]]:
        """Yield the filters of a widget with the series, service checks and events that they select from."""
        for request in requests_of(definition):
            yield from ((one.filter, self._recording.series(one.metric)) for one in series_of(request))
        for query in event_queries(definition):
            for filter_ in _tag_filters(query):
                yield filter_, self._recording.events
        if definition.get('type') == 'check_status':
            checks = self._recording.latest_checks(str(definition.get('check') or ''))
            for filter_ in _check_filters(definition):
                yield filter_, checks


def _tag_filters(query: str) -> list[Filter]:
    """Return the filters by tags in a search of events."""
    return [search_filter(word.removeprefix('tags:')) for _, word in _WORDS.findall(query) if _is_tag(word)]


def _words(query: str) -> list[str]:
    """Return the words of a search of events that their titles must have, in lower case."""
    return [
        (quoted or word).lower()
        for quoted, word in _WORDS.findall(query)
        if not (_is_tag(word) or word.startswith(_OF_SOURCE))
    ]


def _is_tag(word: str) -> bool:
    return not word.startswith(_OF_SOURCE) and (word.startswith('$') or ':' in word)


def _check_filters(definition: Mapping[str, Any]) -> list[Filter]:
    return [search_filter(str(text)) for text in definition.get('tags') or ()]


def _tile(group: tuple[str, ...], states: Sequence[CheckState], check: str) -> Tile:
    order = list(_CHECK_STATES)
    worst = min(states, key=lambda state: order.index(state.status))
    return Tile(', '.join(group) or check, _CHECK_STATES[worst.status], worst.message)


def origin(recording: Recording, states: States, dashboard: Mapping[str, Any], stamp: Stamp) -> Origin:
    """Return the data from which a dashboard's page is drawn."""
    variables = dashboard.get('template_variables') or ()
    tags = recording.tag_values()
    return Origin(
        RecordedData(recording, states, variables, {}).choosing,
        lambda tag: tags.get(tag, ()),
        stamp,
    )


def stamp(recording: Recording, now: float, label: str = DEFAULT_LABEL, name: str = '') -> Stamp:
    """Return the statement of a page about its data. `now` is the time of drawing, `name` the recording's file."""
    return Stamp(label, recording.start, recording.end, now - recording.end, name)
