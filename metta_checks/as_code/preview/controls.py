"""Controls of a page's template variables: one list of values per variable, and the views."""

from __future__ import annotations

from typing import Any

from .choices import Choices, Offered
from .svg import Markup, tag


def controls(offered: Choices) -> Markup | None:
    """Return a control per variable, in which several values can be chosen, and one for the views."""
    if not offered.variables:
        return None
    views = tag(
        'select',
        *(tag('option', view.name, value=str(index)) for index, view in enumerate(offered.views)),
        tag('option', 'own choice', value='own', disabled=True),
        id='view',
        autocomplete='off',
    )
    variables = [
        _control(index, one, chosen)
        for index, (one, chosen) in enumerate(zip(offered.variables, offered.initial, strict=True))
    ]
    parts = (tag('label', tag('span', 'View'), views), *variables)
    return tag('div', *parts, class_='controls', role='group', aria_label='Template variables')


def _control(index: int, variable: Offered, chosen: frozenset[int]) -> Markup:
    value = ', '.join(variable.chosen(chosen))
    head = (tag('span', f'${variable.name}', class_='name'), tag('span', value, class_='chosen', title=value))
    if not variable.values:
        return tag('div', *head, class_='variable off')
    boxes = [
        tag(
            'label',
            tag('input', type='checkbox', value=str(place), checked=place in chosen, autocomplete='off'),
            tag('span', value),
        )
        for place, value in enumerate(variable.values)
    ]
    if variable.hidden:
        boxes.append(tag('p', f'{variable.hidden} more values'))
    every = tag('button', 'All (*)', type='button')
    values = tag('div', every, *boxes, class_='values', role='group', aria_label=f'Values of ${variable.name}')
    return tag('details', tag('summary', *head), values, class_='variable', data_variable=str(index))


def written(offered: Choices) -> dict[str, Any]:
    """Return the variables and views for the script."""
    return {
        'variables': [{'name': one.name, 'prefix': one.prefix, 'values': one.values} for one in offered.variables],
        'views': [[sorted(indices) for indices in view.selection] for view in offered.views],
    }
