"""View of an asset for the rules: widgets with their positions, parsed queries and formulas, thresholds of all assets.

Nothing here raises on a document that the API would reject: the schema rule reports it, the other rules look at the
parts that are present.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from metta_checks.as_code import query_tree as grammar
from metta_checks.as_code.asset import Asset
from metta_checks.as_code.check_query import CheckQuery, parse_check
from metta_checks.as_code.declared import Declared
from metta_checks.as_code.monitor_query import parse_monitor
from metta_checks.as_code.query import parse_formula, parse_queries, parse_query
from metta_checks.as_code.query_tree import Expression, MonitorQuery, QuerySyntaxError, Series

from .thresholds import Thresholds

METRICS = 'metrics'
PLACE = ('x', 'y', 'width', 'height')


def objects(parent: Any, key: str) -> list[tuple[int, dict[str, Any]]]:
    """Return the objects of a list with their indexes; skip items of other types."""
    found = parent.get(key) if isinstance(parent, dict) else None
    return [(index, one) for index, one in enumerate(found) if isinstance(one, dict)] if isinstance(found, list) else []


def child(parent: Any, key: str) -> dict[str, Any]:
    """Return the object under a key, empty without one."""
    found = parent.get(key) if isinstance(parent, dict) else None
    return found if isinstance(found, dict) else {}


def text(parent: Any, key: str) -> str:
    """Return the text under a key, empty without one."""
    found = parent.get(key) if isinstance(parent, dict) else None
    return found if isinstance(found, str) else ''


def texts(parent: Any, key: str) -> list[tuple[int, str]]:
    """Return the texts of a list with their indexes."""
    found = parent.get(key) if isinstance(parent, dict) else None
    return [(index, one) for index, one in enumerate(found) if isinstance(one, str)] if isinstance(found, list) else []


def number(parent: Any, key: str) -> float | None:
    """Return the number under a key, None without one."""
    found = parent.get(key) if isinstance(parent, dict) else None
    return found if isinstance(found, (int, float)) and not isinstance(found, bool) else None


@dataclass(frozen=True, slots=True)
class Box:
    """A position on the grid, in columns and rows."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """First column to the right of it."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """First row below it."""
        return self.y + self.height

    def overlaps(self, other: Box) -> bool:
        """Return whether both share a cell of the grid."""
        return self.x < other.right and other.x < self.right and self.y < other.bottom and other.y < self.bottom


@dataclass(frozen=True, slots=True)
class Query:
    """A named query. `tree` is None when it does not parse (`error` has the reason) or is not about metrics."""

    path: str
    # Key that holds the text.
    key: str
    name: str
    text: str
    aggregator: str = ''
    tree: Expression | None = None
    error: QuerySyntaxError | None = None
    # True if it may contain arithmetic, as in monitors and old forms.
    arithmetic: bool = False

    @property
    def place(self) -> str:
        """Path of its text."""
        return f'{self.path}.{self.key}' if self.path else self.key

    @property
    def series(self) -> list[Series]:
        """Series that it reads; empty when it does not parse."""
        return grammar.series(self.tree) if self.tree else []

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics that it reads."""
        return [one.metric for one in self.series]


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula over queries. `tree` is None when it does not parse."""

    path: str
    text: str
    definition: dict[str, Any]
    tree: Expression | None = None
    error: QuerySyntaxError | None = None

    @property
    def names(self) -> list[str]:
        """Names of the queries that it uses."""
        nodes = grammar.walk(self.tree) if self.tree else ()
        return [node.name for node in nodes if isinstance(node, grammar.Reference)]


@dataclass(frozen=True, slots=True)
class Request:
    """Queries and the formulas over them: a request of a widget, or the indicator of an SLO."""

    path: str
    definition: dict[str, Any]
    queries: list[Query]
    formulas: list[Formula]

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics that it reads."""
        return [one.metric for query in self.queries for one in query.series]


@dataclass(frozen=True, slots=True)
class Widget:
    """A widget or a group. `path` is that of the widget; its content is under `.definition`."""

    path: str
    outer: dict[str, Any]
    definition: dict[str, Any]
    box: Box | None
    children: list[Widget] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """Type, for example `timeseries`; empty without one."""
        return text(self.definition, 'type')

    @property
    def title(self) -> str:
        """Title, empty without one."""
        return text(self.definition, 'title')

    @property
    def inside(self) -> str:
        """Path of its definition."""
        return f'{self.path}.definition'

    @property
    def breaks_column(self) -> bool:
        """True if it begins the right half of a high-density board."""
        return child(self.outer, 'layout').get('is_column_break') is True

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics that it reads."""
        return [metric for request in self.requests for metric in request.metrics]


class View:
    """An asset, with the context that rules need."""

    def __init__(
        self,
        asset: Asset,
        catalogs: Mapping[str, Declared],
        thresholds: Thresholds,
        beside: Sequence[Asset] = (),
        *,
        covered: Collection[str] | None = None,
    ) -> None:
        self.asset = asset
        # All assets, for rules that find others by their tags.
        self.beside = beside
        self.catalogs = catalogs
        self.thresholds = thresholds
        # Namespaces (the first part of a name) of which every metric is in a catalog; None: all.
        self.covered = covered
        self.wrapped = asset.kind == 'monitor'
        body = asset.document.get('definition') if self.wrapped else asset.document
        self.body: dict[str, Any] = body if isinstance(body, dict) else {}

    @property
    def kind(self) -> str:
        """Kind of the asset: dashboard, monitor or slo."""
        return self.asset.kind

    def at(self, path: str) -> str:
        """Return a path of the body as a path of the file."""
        return f'definition.{path}' if self.wrapped and path else 'definition' if self.wrapped else path

    @cached_property
    def widgets(self) -> list[Widget]:
        """Outermost widgets of a dashboard."""
        return [_widget(f'widgets[{index}]', one) for index, one in objects(self.body, 'widgets')]

    @property
    def groups(self) -> list[Widget]:
        """Groups of a dashboard."""
        return [one for one in self.widgets if one.kind == 'group']

    def every(self) -> Iterator[Widget]:
        """All widgets, groups before their children."""
        stack = list(self.widgets)
        while stack:
            widget = stack.pop(0)
            yield widget
            stack = [*widget.children, *stack]

    def leaves(self) -> Iterator[Widget]:
        """All widgets that are not groups."""
        return (one for one in self.every() if one.kind != 'group')

    @cached_property
    def variables(self) -> dict[str, str]:
        """Template variables with the tag that each filters by, empty for any."""
        return {text(one, 'name'): text(one, 'prefix') for _, one in objects(self.body, 'template_variables')}

    @cached_property
    def requests(self) -> list[Request]:
        """All queries and formulas of the asset."""
        if self.kind == 'dashboard':
            return [request for widget in self.every() for request in widget.requests]
        if self.kind == 'slo':
            return _indicator(self.body)
        tree = self.monitor.expression if self.monitor else None
        if self.monitor and self.monitor.is_formula:
            options = child(self.body, 'options')
            variables = [_query(f'definition.options.variables[{i}]', one) for i, one in objects(options, 'variables')]
            formula = Formula('definition.query', text(self.body, 'query'), {}, tree)
            return [Request('definition.options.variables', options, variables, [formula])]
        query = Query('definition', 'query', '', text(self.body, 'query'), tree=tree, arithmetic=True)
        return [Request('definition', self.body, [query], [])]

    @cached_property
    def monitor(self) -> MonitorQuery | None:
        """Parsed query of a monitor, None when it does not parse."""
        return self._monitor[0]

    @property
    def monitor_error(self) -> QuerySyntaxError | None:
        """Reason why a monitor's query does not parse."""
        return self._monitor[1]

    @cached_property
    def _monitor(self) -> tuple[MonitorQuery | None, QuerySyntaxError | None]:
        return _parsed(parse_monitor, text(self.body, 'query'))

    @cached_property
    def check(self) -> CheckQuery | None:
        """Parsed query of a service check monitor, None for another monitor and when it does not parse."""
        return self._check[0]

    @property
    def check_error(self) -> QuerySyntaxError | None:
        """Reason why the query of a service check monitor does not parse."""
        return self._check[1]

    @cached_property
    def _check(self) -> tuple[CheckQuery | None, QuerySyntaxError | None]:
        if self.kind != 'monitor' or text(self.body, 'type') != 'service check':
            return None, None
        return _parsed(parse_check, text(self.body, 'query'))

    def metric(self, name: str) -> Declared | None:
        """Return the declaration of a metric, None for an unknown one."""
        return self.catalogs.get(name)

    def is_covered(self, name: str) -> bool:
        """Return whether a metric of this name must be in a catalog."""
        return self.covered is None or name.partition('.')[0] in self.covered

    def title_at(self, path: str) -> str:
        """Return the title of the innermost widget that a path points into."""
        inner = [one for one in self.every() if path == one.path or path.startswith(f'{one.path}.')]
        return inner[-1].title if inner else ''


def _parsed(parse: Callable[[str], Any], source: str) -> tuple[Any, QuerySyntaxError | None]:
    try:
        return parse(source), None
    except QuerySyntaxError as error:
        return None, error


def _widget(path: str, outer: dict[str, Any]) -> Widget:
    definition = child(outer, 'definition')
    layout = child(outer, 'layout')
    # True is also an instance of int.
    placed = all(type(layout.get(key)) is int for key in PLACE)
    box = Box(*(layout[key] for key in PLACE)) if placed else None
    inside = f'{path}.definition'
    return Widget(
        path,
        outer,
        definition,
        box,
        [_widget(f'{inside}.widgets[{index}]', one) for index, one in objects(definition, 'widgets')],
        _requests(inside, definition),
    )


def _requests(path: str, definition: dict[str, Any]) -> list[Request]:
    """Return the requests of a widget.

    They are a list, those of a host map and of a scatter plot an object. A split graph holds the widget that it splits.
    """
    found = [_request(f'{path}.requests[{index}]', one) for index, one in objects(definition, 'requests')]
    named = child(definition, 'requests')
    found += [_request(f'{path}.requests.{key}', one) for key in named if (one := child(named, key))]
    if split := child(definition, 'source_widget_definition'):
        found += _requests(f'{path}.source_widget_definition', split)
    return found


def _request(path: str, definition: dict[str, Any]) -> Request:
    queries = _queries(path, definition)
    if text(single := child(definition, 'query'), 'data_source') == METRICS:
        # The points of a distribution, without a formula.
        queries.append(_query(f'{path}.query', single))
    if 'q' in definition:
        source = text(definition, 'q')
        trees, error = _parsed(parse_queries, source)
        queries += [Query(path, 'q', 'q', source, '', tree, error) for tree in trees or (None,)]
    formulas = [_formula(f'{path}.formulas[{index}].formula', one) for index, one in objects(definition, 'formulas')]
    return Request(path, definition, queries, formulas)


def _queries(path: str, parent: dict[str, Any]) -> list[Query]:
    return [_query(f'{path}.queries[{index}]', one) for index, one in objects(parent, 'queries')]


def _query(path: str, one: dict[str, Any]) -> Query:
    source = text(one, 'query')
    parsed = _parsed(parse_query, source) if text(one, 'data_source') == METRICS else (None, None)
    return Query(path, 'query', text(one, 'name'), source, text(one, 'aggregator'), *parsed)


def _formula(path: str, one: dict[str, Any]) -> Formula:
    source = text(one, 'formula')
    return Formula(path, source, one, *_parsed(parse_formula, source))


COUNT_FORMULAS = ('good_events_formula', 'bad_events_formula', 'total_events_formula')


def _indicator(body: dict[str, Any]) -> list[Request]:
    """Return the indicator of an SLO, from any of its three forms."""
    found = []
    specification = child(body, 'sli_specification')
    if time_slice := child(child(specification, 'time_slice'), 'query'):
        found.append(_request('sli_specification.time_slice.query', time_slice))
    if count := child(specification, 'count'):
        path = 'sli_specification.count'
        formulas = [_formula(f'{path}.{key}.formula', child(count, key)) for key in COUNT_FORMULAS if child(count, key)]
        found.append(Request(path, count, _queries(path, count), formulas))
    if old := child(body, 'query'):
        queries = [
            Query('query', key, key, text(old, key), '', *_parsed(parse_query, text(old, key)), arithmetic=True)
            for key in ('numerator', 'denominator')
        ]
        found.append(Request('query', old, queries, []))
    return found
