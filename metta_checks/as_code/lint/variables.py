"""DG11: template variables reach every graph whose metrics carry their tag."""

from __future__ import annotations

from collections.abc import Iterator

from metta_checks.as_code import query as grammar

from .findings import Problem, rule
from .queries import SERVICE_CHECKS
from .view import Query, View, objects, text, texts


@rule('DG11')
def graphs_listen(view: View) -> Iterator[Problem]:
    """Every graph listens to each template variable whose tag its metrics carry (guidelines: template variables)."""
    used = set()
    for query in (query for request in view.requests for query in request.queries):
        for one in query.series:
            listens = {leaf.name for leaf in grammar.conditions(one.filter) if isinstance(leaf, grammar.Variable)}
            used |= listens
            metric = view.metric(one.metric)
            for name, prefix in view.variables.items():
                if prefix and metric and prefix in metric.tags and name not in listens:
                    yield Problem(query.place, f'does not listen to ${name}, though {one.metric} carries {prefix}')
    for widget in view.leaves():
        conditions = texts(widget.definition, 'tags')
        used |= {tag[1:].removesuffix('.value') for _, tag in conditions if tag.startswith('$')}
        if widget.kind == 'check_status':
            carried = SERVICE_CHECKS.get(text(widget.definition, 'check'), ())
            listens = {tag[1:].removesuffix('.value') for _, tag in conditions}
            for name, prefix in view.variables.items():
                if prefix in carried and name not in listens:
                    yield Problem(f'{widget.inside}.tags', f'does not listen to ${name}')
    used |= {word for query in _other(view) for word in view.variables if f'${word}' in query}
    for index, one in objects(view.body, 'template_variables'):
        if text(one, 'name') not in used:
            yield Problem(f'template_variables[{index}]', f'no graph listens to ${text(one, "name")}')


@rule('DG11')
def variables_are_unique(view: View) -> Iterator[Problem]:
    """Variables are declared once and presets name declared ones."""
    seen: set[str] = set()
    for index, one in objects(view.body, 'template_variables'):
        name = text(one, 'name')
        if name in seen:
            yield Problem(f'template_variables[{index}].name', f'${name} is declared twice')
        seen.add(name)
    for index, preset in objects(view.body, 'template_variable_presets'):
        for inner, one in objects(preset, 'template_variables'):
            if text(one, 'name') not in seen:
                place = f'template_variable_presets[{index}].template_variables[{inner}].name'
                yield Problem(place, f'${text(one, "name")} is no template variable')


def _other(view: View) -> Iterator[str]:
    """What else may name variables: searches of logs, events, monitors."""
    for widget in view.leaves():
        yield text(widget.definition, 'query')
        for request in widget.requests:
            query = request.definition.get('query')
            yield text(query, 'query_string')
            yield from (_search(one) for _, one in objects(request.definition, 'queries'))
            yield from (query.text for query in request.queries if _unparsed(query))


def _search(query: dict) -> str:
    return text(query.get('search'), 'query')


def _unparsed(query: Query) -> bool:
    return query.tree is None
