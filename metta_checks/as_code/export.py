"""Assets in the formats of other tools: JSON, Jsonnet, the Operator's DatadogGenericResource, Terraform.

Objects managed by another tool do not carry the marker.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import yaml

from metta_checks.core.errors import SHAPE_ERRORS
from metta_checks.core.text import CONTROLS

from .asset import Asset, AssetError, dump
from .canonical import writable

# Formats with the suffix of their files.
FORMATS = {'json': '.json', 'jsonnet': '.jsonnet', 'ddgr': '.yaml', 'terraform': '.tf'}
# Separator of several assets in one text.
_BETWEEN = {'json': '', 'jsonnet': '\n', 'ddgr': '---\n', 'terraform': '\n'}
# Up to this number, every whole number is also a 64-bit float.
LARGEST_WHOLE = 2**53
_WIDTH = 100
_IDENTIFIER = re.compile(r'[A-Za-z_][A-Za-z0-9_]*')
_KEYWORDS = {
    'assert', 'else', 'error', 'false', 'for', 'function', 'if', 'import', 'importbin', 'importstr', 'in', 'local',
    'null', 'self', 'super', 'tailstrict', 'then', 'true',
}  # fmt: skip


def export(asset: Asset, style: str) -> str:
    """Return one asset in a format. Raises AssetError when the format cannot hold it."""
    try:
        text = {'json': _json, 'jsonnet': _jsonnet, 'ddgr': _ddgr, 'terraform': _terraform}[style](asset)
    except SHAPE_ERRORS as error:
        raise AssetError(
            f'{asset.name}: not the form of a {asset.kind} ({type(error).__name__}); see `metta-checks assets lint`'
        ) from error
    # Control characters and halves of surrogate pairs occur only in strings, in which all formats know this notation.
    escaped = CONTROLS.sub(lambda found: '\n' if found[0] == '\n' else f'\\u{ord(found[0]):04x}', text)
    return escaped.encode('utf-8', 'backslashreplace').decode()


def together(assets: Iterable[Asset], style: str) -> str:
    """Return several assets in one text; more than one JSON or Jsonnet document becomes a list."""
    texts = [export(asset, style) for asset in assets]
    if len(texts) > 1 and style in ('json', 'jsonnet'):
        return '[\n' + ',\n'.join(text.rstrip('\n') for text in texts) + '\n]\n'
    return _BETWEEN[style].join(texts)


def _json(asset: Asset) -> str:
    return dump(writable(asset.kind, asset.body))


# Jsonnet.


def _jsonnet(asset: Asset) -> str:
    try:
        return jsonnet(writable(asset.kind, asset.body)) + '\n'
    except AssetError as error:
        raise AssetError(f'{asset.name}: {error}') from None


def jsonnet(value: Any, indent: str = '') -> str:
    """Return a JSON value as Jsonnet: bare keys, single quotes, short objects and lists on one line.

    Raises AssetError for a whole number that Jsonnet, with its 64-bit floats, would change.
    """
    if isinstance(value, dict) and value:
        fields = [f'{_field(key)}: {jsonnet(item, indent + "  ")}' for key, item in value.items()]
        return _enclosed('{ ', fields, ' }', indent)
    if isinstance(value, list) and value:
        return _enclosed('[', [jsonnet(item, indent + '  ') for item in value], ']', indent)
    if isinstance(value, int) and abs(value) > LARGEST_WHOLE:
        raise AssetError(f'{value} is too large for Jsonnet, which would change it; export as JSON instead')
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


def _enclosed(start: str, parts: list[str], end: str, indent: str) -> str:
    line = start + ', '.join(parts) + end
    if '\n' not in line and len(indent) + len(line) <= _WIDTH:
        return line
    return f'{start.strip()}\n' + ''.join(f'{indent}  {part},\n' for part in parts) + indent + end.strip()


def _field(key: str) -> str:
    return key if _IDENTIFIER.fullmatch(key) and key not in _KEYWORDS else _quoted(key)


def _quoted(text: str) -> str:
    inner = json.dumps(text, ensure_ascii=False)[1:-1].replace('\\"', '"').replace("'", "\\'")
    return f"'{inner}'"


# Datadog Operator.


class _Block(str):
    """A text that YAML writes as a literal block."""


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(
    _Block, lambda dumper, text: dumper.represent_scalar('tag:yaml.org,2002:str', str(text), style='|')
)


def _ddgr(asset: Asset) -> str:
    body = writable(asset.kind, asset.body)
    name = re.sub(r'[^a-z0-9-]+', '-', f'{asset.kind}-{asset.key}'.lower()).strip('-')[:253]
    document = {
        'apiVersion': 'datadoghq.com/v1alpha1',
        'kind': 'DatadogGenericResource',
        'metadata': {'name': name},
        'spec': {'type': asset.kind, 'jsonSpec': _Block(json.dumps(body, indent=2) + '\n')},
    }
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=10**6)


# Terraform.


def _terraform(asset: Asset) -> str:
    name = re.sub(r'[^A-Za-z0-9_-]', '_', asset.key)
    body = writable(asset.kind, asset.body)
    if asset.kind == 'slo':
        # The provider has no JSON resource for SLOs, so their blocks are written one by one.
        lines = '\n'.join(_slo_lines(asset, body))
        return f'resource "datadog_service_level_objective" "{name}" {{\n{lines}\n}}\n'
    argument, resource = asset.kind, f'datadog_{asset.kind}_json'
    text = _template(json.dumps(body, indent=2, ensure_ascii=False))
    return f'resource "{resource}" "{name}" {{\n  {argument} = <<EOT\n{text}\nEOT\n}}\n'


def _template(text: str) -> str:
    """Return text for a Terraform template, with `${` and `%{` escaped."""
    return text.replace('${', '$${').replace('%{', '%%{')


def _hcl(value: Any) -> str:
    """Return the value of an argument. Strings in HCL are JSON strings, except for templates."""
    return _template(json.dumps(value, ensure_ascii=False))


def _slo_lines(asset: Asset, body: dict[str, Any]) -> Iterator[str]:
    known = {'name', 'type', 'description', 'tags', 'thresholds', 'sli_specification', 'query'}
    known |= {'timeframe', 'target_threshold', 'warning_threshold', 'monitor_ids', 'groups'}
    if unknown := sorted(set(body) - known):
        raise AssetError(f'{asset.name}: Terraform has no argument for {", ".join(unknown)}')
    for key in (
        'name',
        'type',
        'description',
        'tags',
        'monitor_ids',
        'groups',
        'timeframe',
        'target_threshold',
        'warning_threshold',
    ):
        if body.get(key) is not None:
            yield f'  {key} = {_hcl(body[key])}'
    for threshold in body.get('thresholds', ()):
        yield from _block('thresholds', threshold, 1)
    if 'query' in body:
        yield from _block('query', body['query'], 1)
    for key, value in body.get('sli_specification', {}).items():
        yield '  sli_specification {'
        if key == 'count':
            yield from _count(value)
        elif key == 'time_slice':
            yield from _time_slice(value)
        else:
            raise AssetError(f'{asset.name}: Terraform has no block for sli_specification.{key}')
        yield '  }'


def _count(count: dict[str, Any]) -> Iterator[str]:
    yield '    count {'
    for key in ('good_events_formula', 'total_events_formula', 'bad_events_formula'):
        if key in count:
            yield f'      {key} = {_hcl(count[key]["formula"])}'
    yield from _queries('queries', count['queries'])
    yield '    }'


def _time_slice(condition: dict[str, Any]) -> Iterator[str]:
    yield '    time_slice {'
    yield '      query {'
    for formula in condition['query']['formulas']:
        yield from _block('formula', {'formula_expression': formula['formula']}, 4)
    yield from (f'  {line}' for line in _queries('query', condition['query']['queries']))
    yield '      }'
    for key in ('comparator', 'threshold', 'query_interval_seconds'):
        if key in condition:
            yield f'      {key} = {_hcl(condition[key])}'
    yield '    }'


def _queries(name: str, queries: list[dict[str, Any]]) -> Iterator[str]:
    for query in queries:
        yield f'      {name} {{'
        yield from _block('metric_query', query, 4)
        yield '      }'


def _block(name: str, arguments: dict[str, Any], depth: int) -> Iterator[str]:
    indent = '  ' * depth
    yield f'{indent}{name} {{'
    for key, value in arguments.items():
        if value is not None and not key.endswith('_display'):
            yield f'{indent}  {key} = {_hcl(value)}'
    yield f'{indent}}}'
