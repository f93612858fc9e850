"""Whatever is done to a document, schema and lint answer; and what Datadog's own client rejects, the schema rejects."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from datadog_api_client import Configuration
from datadog_api_client.exceptions import ApiException, ApiTypeError, ApiValueError
from datadog_api_client.model_utils import OpenApiModel, validate_and_convert_types
from hypothesis import given, settings
from hypothesis import strategies as st

from metta_checks.as_code.asset import Asset, load
from metta_checks.as_code.lint import lint
from metta_checks.as_code.schema import violations
from tests.as_code.test_lint import ASSETS, VALID
from tools.api_schema import ROOTS

SHIPPED = load(ASSETS)
WRITTEN = load(VALID)
CONFIGURATION = Configuration()
JUNK: list[Any] = [
    *(None, True, 0, -1, 1.5, float('inf'), 10**20),
    *('', 'x', '{', '$', 'a,b', '2h', 'timeseries', 'é' * 400, 'avg:m{*}', 'max(last_5m):avg:m{*} > 1'),
    *([], {}, [None], [[]], [{}], {'type': 'group'}, {'type': []}, {'': {}}),
]


def nodes(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container with each of its keys or indexes."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        yield value, key
        yield from nodes(inner)


@st.composite
def spoilt(draw: st.DrawFn, assets: list[Asset], most: int = 4) -> Asset:
    """One of the assets with keys deleted, replaced and inserted."""
    asset = draw(st.sampled_from(assets))
    document = copy.deepcopy(asset.document)
    for _ in range(draw(st.integers(1, most))):
        places = list(nodes(document))
        if not places:
            break
        # Small indexes are near the root and easy to shrink to; the rest is as likely as they are.
        parent, key = places[draw(st.integers(0, len(places) - 1))]
        action = draw(st.sampled_from(('delete', 'replace', 'insert')))
        junk = copy.deepcopy(draw(st.sampled_from(JUNK)))
        if action == 'delete':
            del parent[key]
        elif action == 'replace' or isinstance(parent, list):
            parent[key] = junk
        else:
            parent[draw(st.sampled_from(('id', 'type', 'q', 'widgets', 'queries', 'thresholds', 'stranger')))] = junk
    return Asset(asset.kind, asset.key, document)


@settings(max_examples=150, deadline=None)
@given(spoilt(WRITTEN + SHIPPED))
def test_nothing_makes_the_lint_raise(asset):
    for one in lint([asset, *(other for other in SHIPPED if other.kind == 'slo')]):
        assert one.rule
        assert one.message
        assert one.level in ('error', 'warning', 'info')
        assert '\n' not in one.text


@settings(max_examples=100, deadline=None)
@given(spoilt(WRITTEN + SHIPPED), st.sampled_from(('error', 'warning')))
def test_nothing_makes_the_schema_raise(asset, unknown):
    for one in violations(asset.kind, asset.document, unknown=unknown):
        assert one.level in ('error', 'warning')
        assert one.message


def rejected(asset: Asset) -> str:
    """Where Datadog's client does not understand a document; empty where it does."""
    try:
        parsed = validate_and_convert_types(asset.body, (ROOTS[asset.kind],), ['.'], True, True, CONFIGURATION)
    except (ApiException, ApiTypeError, ApiValueError, TypeError, AttributeError, KeyError, ValueError) as error:
        return type(error).__name__
    return next(_unparsed(parsed, '.'), '')


def _unparsed(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, OpenApiModel):
        if getattr(value, '_unparsed', False):
            yield path
        for key, inner in getattr(value, '_data_store', {}).items():
            yield from _unparsed(inner, f'{path}.{key}')
        for inner in getattr(value, '_composed_instances', ()):
            yield from _unparsed(inner, path)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _unparsed(inner, f'{path}[{index}]')
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _unparsed(inner, f'{path}.{key}')


@settings(max_examples=150, deadline=None)
@given(spoilt([asset for asset in WRITTEN if asset.kind != 'monitor'], most=1))
def test_what_the_client_rejects_the_schema_rejects(asset):
    if place := rejected(asset):
        assert violations(asset.kind, asset.body), f'the client rejects {place}'


def test_the_client_accepts_the_valid_assets():
    assert {asset.name: rejected(asset) for asset in WRITTEN if rejected(asset)} == {}
