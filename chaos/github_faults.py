"""Faults that only GitHub has: lists from an index that lags, parts that are null, limits, single sign-on.

All of them are in its documentation or in public reports: a filtered list of workflow runs may miss rows for a while,
GraphQL answers 200 with an error and with a part of the data, and a limit has several shapes.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from .faults import Answer, Kind, Patience, Script, passed

GRAPHQL = '/graphql'
RUNS = '/actions/runs?'
SSO = 'Resource protected by organization SAML enforcement. You must grant your Personal Access token access.'
SECONDARY = 'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.'
# Errors beside a part of the data. The second one is what GitHub says after a timeout.
PART_ERRORS = (
    {'type': 'FORBIDDEN', 'message': 'Resource not accessible by personal access token'},
    {'message': 'Something went wrong while executing your query. Please include `CHAOS` when reporting this issue.'},
)


def _document(answer: Answer) -> Any:
    try:
        return json.loads(answer.body) if answer.status == 200 else None
    except ValueError:
        return None


def _sent(answer: Answer, document: Any, dice: random.Random, patience: Patience) -> Script:
    return passed(replace(answer, body=json.dumps(document).encode()), dice, patience)


def late_index(answer: Answer, dice: random.Random, patience: Patience) -> Script:
    """Answer a filtered list of runs without its newest rows, or without any."""
    document = _document(answer)
    filtered = RUNS in answer.target and 'created=' in answer.target
    # The newest rows are on the first page.
    if not filtered or 'page=1&' not in f'{answer.target}&' or not isinstance(document, dict):
        return passed(answer, dice, patience)
    rows = document.get('workflow_runs', [])
    missing = dice.choice((len(rows), 1, len(rows) // 2))
    document['workflow_runs'] = rows[missing:]
    document['total_count'] = max(0, document.get('total_count', 0) - missing)
    return _sent(answer, document, dice, patience)


def null_part(answer: Answer, dice: random.Random, patience: Patience) -> Script:
    """Make a part of the data of GraphQL null, with an error that does not say which."""
    document = _document(answer)
    if GRAPHQL not in answer.target or not isinstance(document, dict):
        return passed(answer, dice, patience)
    parts = list(_parts(document.get('data')))
    if not parts:
        return passed(answer, dice, patience)
    holder, key = dice.choice(parts)
    holder[key] = None
    document['errors'] = [dice.choice(PART_ERRORS)]
    return _sent(answer, document, dice, patience)


def _parts(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield (holder, key) of the objects within the data, which are parts of a repository or rows of a list."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        if isinstance(inner, dict) and key not in ('rateLimit', 'pageInfo'):
            yield value, key
        yield from _parts(inner)


def limit(answer: Answer, dice: random.Random, patience: Patience) -> Script:
    """Refuse with one of the shapes of a limit; GraphQL answers 200."""
    headers = answer.headers
    if dice.random() < 0.5:
        headers = (*headers, ('Retry-After', '60'))
    refusal: dict[str, Any] = {'message': SECONDARY}
    status = dice.choice((403, 429))
    if GRAPHQL in answer.target:
        status = dice.choice((200, 403))
        error = {'message': SECONDARY}
        if status == 200 and dice.random() < 0.5:
            error = {'type': 'RATE_LIMIT', 'code': 'graphql_rate_limit', 'message': 'API rate limit already exceeded.'}
        refusal = {'errors': [error], **({'message': SECONDARY} if status == 403 else {})}
    return _sent(replace(answer, status=status, headers=headers), refusal, dice, patience)


def single_sign_on(answer: Answer, dice: random.Random, patience: Patience) -> Script:
    """Refuse the token until somebody has authorized it for single sign-on."""
    headers = (*answer.headers, ('X-GitHub-SSO', 'required; url=https://github.example.com/orgs/metta-ai/sso'))
    if GRAPHQL in answer.target:
        error = {'type': 'FORBIDDEN', 'extensions': {'saml_failure': True}, 'message': SSO}
        refused = replace(answer, headers=headers)
        return _sent(refused, {'data': None, 'errors': [error]}, dice, patience)
    return _sent(replace(answer, status=403, headers=headers), {'message': SSO}, dice, patience)


FAULTS: dict[str, tuple[Kind, float]] = {
    'late_index': (late_index, 3.0),
    'null_part': (null_part, 3.0),
    'limit': (limit, 1.0),
    'single_sign_on': (single_sign_on, 0.5),
}
