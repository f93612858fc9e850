"""Datadog's dashboards, monitors and SLOs on loopback: keeps state, and answers as the real API does.

It adds ids, people, times and defaults, drops nothing that it does not know, returns tags and conditional formats in
another order, and keeps fields that an update of a monitor or SLO omits. Its answers come from its own knowledge of the
API, not from the code under test.
"""

from __future__ import annotations

import copy
import itertools
import random
import re
from typing import Any

from werkzeug.wrappers import Request, Response

from sandbox import Clock, Organization, Service

API_KEY = 'Qz7-api-key'
APP_KEY = 'Xk9-app-key'
PEOPLE = {'email': 'dev@example.com', 'handle': 'dev@example.com', 'name': 'Dev'}
NOTE = {
    'background_color': 'white',
    'font_size': '14',
    'text_align': 'left',
    'vertical_align': 'top',
    'show_tick': False,
    'tick_pos': '50%',
    'tick_edge': 'left',
    'has_padding': True,
}
AXIS = {'include_zero': True, 'label': '', 'scale': 'linear', 'min': 'auto', 'max': 'auto'}


class FakeDatadog(Service):
    """The API of one organization."""

    name = 'datadog'

    def __init__(self) -> None:
        super().__init__(Organization(), Clock())
        self.dashboards: dict[str, dict[str, Any]] = {}
        self.monitors: dict[int, dict[str, Any]] = {}
        self.slos: dict[str, dict[str, Any]] = {}
        self.metrics: dict[str, dict[str, Any]] = {}
        # An application key without this scope gets 403, for example `dashboards_write`.
        self.forbidden: set[str] = set()
        self._numbers = itertools.count(1)
        self._random = random.Random(7)

    # Requests.

    def answer(self, request: Request) -> Response:
        keys = request.headers.get('DD-API-KEY'), request.headers.get('DD-APPLICATION-KEY')
        if keys != (API_KEY, APP_KEY):
            return self.json({'errors': ['Forbidden']}, 403)
        kind, _, rest = request.path.removeprefix('/api/v1/').partition('/')
        handler = {'dashboard': self._dashboard, 'monitor': self._monitor, 'slo': self._slo, 'metrics': self._metric}
        if kind not in handler:
            return self.json({'errors': ['Not found']}, 404)
        if f'{kind}s_{"read" if request.method == "GET" else "write"}' in self.forbidden:
            return self.json({'errors': ['Forbidden']}, 403)
        body = request.get_json() if request.method in ('POST', 'PUT') else {}
        return handler[kind](request, rest, body)

    def _missing(self, what: str) -> Response:
        return self.json({'errors': [f'{what} not found']}, 404)

    def _now(self) -> str:
        # Two changes never share a time.
        self.clock.advance(1)
        return self.clock.now().strftime('%Y-%m-%dT%H:%M:%S.%f+00:00')

    def calls(self, method: str, path: str = '') -> list[str]:
        """The paths of requests so far with this method, whose path contains `path`."""
        return [entry.path for entry in self.log if entry.method == method and path in entry.path]

    # Dashboards.

    def _dashboard(self, request: Request, identifier: str, body: dict[str, Any]) -> Response:
        if not identifier:
            if request.method == 'POST':
                return self._store_dashboard(self._dashboard_id(), body, self._now())
            start = int(request.args.get('start', 0))
            page = list(self.dashboards.values())[start : start + int(request.args.get('count', 100))]
            shown = ('id', 'title', 'description', 'layout_type', 'url', 'author_handle', 'created_at', 'modified_at')
            return self.json({'dashboards': [{key: item.get(key) for key in shown} for item in page]})
        if identifier not in self.dashboards:
            return self._missing(f'Dashboard with ID {identifier}')
        if request.method == 'PUT':
            if body.get('layout_type') != self.dashboards[identifier]['layout_type']:
                return self.json({'errors': ['layout_type cannot be changed']}, 400)
            return self._store_dashboard(identifier, body, self.dashboards[identifier]['created_at'])
        if request.method == 'DELETE':
            del self.dashboards[identifier]
            return self.json({'deleted_dashboard_id': identifier})
        return self.json(self.dashboards[identifier])

    def _dashboard_id(self) -> str:
        number = next(self._numbers)
        return f'{number:03x}-def-{number:03x}'

    def _store_dashboard(self, identifier: str, body: dict[str, Any], created: str) -> Response:
        for required in ('title', 'layout_type', 'widgets'):
            if required not in body:
                return self.json({'errors': [f"'{required}' is a required property"]}, 400)
        stored = {
            'description': None,
            'template_variables': None,
            'template_variable_presets': [],
            'notify_list': None,
            'restricted_roles': [],
            'is_read_only': False,
            'restricted': False,
            **{key: value for key, value in copy.deepcopy(body).items() if key not in ('id', 'url')},
            'id': identifier,
            'author_handle': 'dev@example.com',
            'author_name': 'Dev',
            'url': f'/dashboard/{identifier}/x',
            'created_at': created,
            'modified_at': self._now(),
        }
        if stored['layout_type'] == 'ordered':
            stored.setdefault('reflow_type', 'auto')
        for variable in stored['template_variables'] or []:
            if 'default' not in variable and 'defaults' not in variable:
                variable['default'] = '*'
            variable.setdefault('prefix', None)
            variable.setdefault('available_values', [])
        for widget in stored['widgets']:
            self._fill_widget(widget)
        self.dashboards[identifier] = stored
        return self.json(stored)

    def _fill_widget(self, widget: dict[str, Any]) -> None:
        widget.setdefault('id', self._random.randrange(10**15, 10**16))
        definition = widget['definition']
        for child in definition.get('widgets') or ():
            self._fill_widget(child)
        match definition.get('type'):
            case 'group':
                definition.setdefault('show_title', True)
                definition.setdefault('banner_img', None)
            case 'note':
                for key, value in NOTE.items():
                    definition.setdefault(key, value)
            case kind:
                self._fill_graph(kind, definition)

    @staticmethod
    def _fill_graph(kind: str, definition: dict[str, Any]) -> None:
        if 'title' in definition:
            definition.setdefault('title_size', '16')
            definition.setdefault('title_align', 'left')
        definition.setdefault('time', {})
        if kind == 'timeseries':
            definition.setdefault('markers', [])
            definition.setdefault('legend_size', '0')
            definition['yaxis'] = {**AXIS, **definition.get('yaxis', {})}
        for request in definition.get('requests') or ():
            if not isinstance(request, dict):
                continue
            if kind == 'timeseries':
                style = request.get('style') or {}
                request['style'] = {
                    'palette': 'dog_classic',
                    'line_type': 'solid',
                    'line_width': 'normal',
                    **style,
                }
            if request.get('conditional_formats'):
                request['conditional_formats'].reverse()

    # Monitors.

    def _monitor(self, request: Request, rest: str, body: dict[str, Any]) -> Response:
        if rest.endswith('validate'):
            objection = self._objection(body)
            return self.json({'errors': [objection]}, 400) if objection else self.json({})
        if not rest:
            if request.method == 'POST':
                objection = self._objection(body)
                if objection:
                    return self.json({'errors': [objection]}, 400)
                number = 1000 + next(self._numbers)
                self.monitors[number] = {'id': number, 'org_id': 2, 'created': self._now(), 'creator': PEOPLE}
                return self._store_monitor(number, body)
            size = int(request.args.get('page_size', 100))
            start = int(request.args.get('page', 0)) * size
            return self.json(list(self.monitors.values())[start : start + size])
        number = int(rest)
        if number not in self.monitors:
            return self._missing('Monitor')
        if request.method == 'PUT':
            objection = self._objection({**self.monitors[number], **body})
            return self.json({'errors': [objection]}, 400) if objection else self._store_monitor(number, body)
        if request.method == 'DELETE':
            del self.monitors[number]
            return self.json({'deleted_monitor_id': number})
        return self.json(self.monitors[number])

    @staticmethod
    def _objection(body: dict[str, Any]) -> str:
        for required in ('query', 'type'):
            if not body.get(required):
                return f'Missing required attribute: {required}'
        threshold = (body.get('options') or {}).get('thresholds', {}).get('critical')
        if body['type'] == 'service check':
            fits = re.fullmatch(r'"[^"]+"(\.\w+\([^()]*\))*\.count_by_status\(\)', body['query'])
            return '' if fits else 'The value provided for parameter "query" is invalid'
        stated = re.search(r'[<>]=?\s*(-?[\d.]+)\s*$', body['query'])
        if stated is None:
            return 'The value provided for parameter "query" is invalid'
        if threshold is not None and float(stated[1]) != threshold:
            return 'Alert threshold does not match that used in the query'
        return ''

    def _store_monitor(self, number: int, body: dict[str, Any]) -> Response:
        before = self.monitors[number]
        stored = {**before, **copy.deepcopy(body)}
        # A field that is not mentioned is unchanged; one that is mentioned is replaced, the options as a whole.
        options = stored.setdefault('options', {})
        usual: dict[str, Any] = {
            'notify_audit': False,
            'include_tags': True,
            'silenced': {},
            'notify_no_data': False,
            'new_host_delay': 300,
            'groupby_simple_monitor': False,
            # Not in the description of the API.
            'avalanche_window': 10,
        }
        for key, value in usual.items():
            options.setdefault(key, value)
        thresholds = options.get('thresholds')
        if stored['type'] == 'service check':
            thresholds = {'ok': 1, 'warning': 1, 'critical': 1, **(thresholds or {})}
        if thresholds:
            options['thresholds'] = {key: float(value) for key, value in thresholds.items()}
        empty: dict[str, Any] = {'message': '', 'tags': [], 'priority': None, 'restricted_roles': None}
        for key, value in empty.items():
            stored.setdefault(key, value)
        if stored['type'] == 'metric alert':
            stored['type'] = 'query alert'
        stored['message'] = (stored['message'] or '').strip()
        stored['tags'] = sorted(stored['tags'] or [], reverse=True)
        stored |= {
            'modified': self._now(),
            'overall_state': 'No Data',
            'overall_state_modified': None,
            'multi': ' by {' in stored['query'],
            'deleted': None,
            'matching_downtimes': [],
            'draft_status': stored.get('draft_status', 'published'),
            'restriction_policy': None,
            'restricted': False,
            'permissions': ['monitors_write'],
        }
        self.monitors[number] = stored
        return self.json(stored)

    # SLOs.

    def _slo(self, request: Request, identifier: str, body: dict[str, Any]) -> Response:
        if not identifier:
            if request.method == 'POST':
                return self._store_slo(f'{next(self._numbers):032x}', body)
            start = int(request.args.get('offset', 0))
            page = list(self.slos.values())[start : start + int(request.args.get('limit', 1000))]
            return self.json({'data': page, 'error': None, 'metadata': {'page': {'total_count': len(self.slos)}}})
        if identifier not in self.slos:
            return self.json({'error': {'errors': ['SLO not found']}}, 404)
        if request.method == 'PUT':
            return self._store_slo(identifier, body)
        if request.method == 'DELETE':
            del self.slos[identifier]
            return self.json({'data': [identifier], 'error': None})
        return self.json({'data': self.slos[identifier], 'error': None})

    def _store_slo(self, identifier: str, body: dict[str, Any]) -> Response:
        for threshold in body.get('thresholds') or ():
            if not 0 < threshold['target'] < 100:
                return self.json({'errors': ['Invalid payload: target must be between 0 and 100']}, 400)
        before = self.slos.get(identifier, {'id': identifier, 'created_at': self._epoch(), 'creator': PEOPLE})
        stored = {'description': '', 'tags': [], 'monitor_tags': [], **before, **copy.deepcopy(body)}
        if 'time_slice' in stored.get('sli_specification', {}):
            stored['sli_specification']['time_slice'].setdefault('query_interval_seconds', 300)
        if 'count' in stored.get('sli_specification', {}):
            # The older form of the same, derived.
            stored['query'] = {'numerator': 'derived', 'denominator': 'derived'}
        stored['tags'] = sorted(stored['tags'] or [], key=lambda tag: (len(tag), tag), reverse=True)
        stored['thresholds'] = sorted(stored['thresholds'], key=lambda one: one['timeframe'], reverse=True)
        for threshold in stored['thresholds']:
            threshold['target'] = float(threshold['target'])
            threshold['target_display'] = f'{threshold["target"]:.4}'
            if 'warning' in threshold:
                threshold['warning_display'] = f'{float(threshold["warning"]):.4}'
        primary = next(
            (one for one in stored['thresholds'] if one['timeframe'] == stored.get('timeframe')),
            stored['thresholds'][0],
        )
        stored |= {'timeframe': primary['timeframe'], 'target_threshold': primary['target']}
        if 'warning' in primary:
            stored['warning_threshold'] = primary['warning']
        stored['modified_at'] = self._epoch()
        stored['type_id'] = {'metric': 1, 'monitor': 0, 'time_slice': 2}.get(stored['type'], 1)
        self.slos[identifier] = stored
        return self.json({'data': [stored], 'error': None})

    def _epoch(self) -> int:
        self.clock.advance(1)
        return int(self.clock.now().timestamp())

    # Metadata of metrics.

    def _metric(self, request: Request, name: str, body: dict[str, Any]) -> Response:
        if request.method == 'PUT':
            self.metrics[name] = {**self.metrics.get(name, {}), **body}
        return self.json(self.metrics.get(name, {}))
