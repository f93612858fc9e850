"""Texts: quantities, resource strings, times, queries, configuration. A case is the text."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any
from unittest import mock

from datadog_checks.base import ConfigurationError

from metta_checks.as_code import monitor_query, query, schema
from metta_checks.as_code.query_tree import QuerySyntaxError
from metta_checks.check import SOURCES
from metta_checks.cli import configuration, vault
from metta_checks.core import accelerators, catalog, fields
from metta_checks.core.secrets import Scrubber
from metta_checks.core.tags import format_tags
from metta_checks.core.text import slug
from metta_checks.ec2 import records as ec2
from metta_checks.github import graphql as github
from metta_checks.kubernetes.quantity import BadQuantity, parse_quantity
from metta_checks.skypilot import resources as skypilot
from metta_checks.skypilot import settings as skypilot_settings
from metta_checks.wandb import records as wandb

from .. import mutate
from ..fits import fits
from ..target import Finding, Target, encodable, readable

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Text:
    """A function of a text, the errors that it may raise, what it returns, and texts to begin with."""

    name: str
    function: Callable[[Any], Any]
    kind: Any
    seeds: tuple[Any, ...]
    errors: tuple[type[Exception], ...] = ()

    def run(self, case: Any) -> None:
        """Read one text."""
        try:
            found = self.function(case)
        except self.errors as error:
            readable(str(error) or '-', 'the error')
            return
        fits(found, self.kind, self.name)


def _quantity(text: Any) -> float:
    try:
        number = parse_quantity(text)
    except BadQuantity:
        return 0.0
    if number < 0:
        raise Finding(f'{text!r} is read as {number}')
    return number


def _resources(text: str) -> Any:
    skypilot.is_unclear(text)
    counts = skypilot.parse_accelerators(text)
    accelerators.gpu_of_choice(counts)
    fits(counts, dict[str, float], 'accelerators')
    return skypilot.Resources.parse(text)


def _accelerators(value: Any) -> dict[str, float]:
    skypilot.is_unclear(value)
    return skypilot.parse_accelerators(value)


def _summary(text: str) -> wandb.Run | None:
    node = {
        'name': 'x',
        'state': 'running',
        'createdAt': '2026-11-24T18:00:00Z',
        'summaryMetrics': text,
        'config': text,
        'systemMetrics': text,
    }
    fits(wandb.GpuReadings.parse(node, 'gpus'), wandb.GpuReadings | None, 'readings')
    run = wandb.Run.parse(node, 'gpus')
    if run is not None:
        fits(wandb.number_at(run.summary, 'a.b'), float | None, 'number')
    return run


def _configuration(text: str) -> None:
    """Read a file of conf.d, and the secrets in it, which are as much a text of others."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / 'fuzz.yaml'
        path.write_bytes(text.encode('utf-8', 'surrogatepass'))
        instances = list(configuration._instances(path))
    with mock.patch.object(vault.Vault, '_fetch', return_value=text):
        secrets = vault.Vault()
        for item in instances:
            secrets.resolve(item.instance)


def _secret(text: str) -> str:
    with mock.patch.object(vault.Vault, '_fetch', return_value=text):
        secrets = vault.Vault()
        return secrets.resolve(f'ENC[name;{text[:8]}]') + str(secrets.resolve(text))


def _scrubbed(text: str) -> str:
    scrubber = Scrubber()
    secret = 'tOp-sEcReT/0123456789/' + text[:30]
    scrubber.add(secret)
    shown = scrubber.scrub(f'{text} {secret} {secret[:12]}')
    if 'tOp-sEcR' in shown:
        raise Finding(f'a secret is left in {shown!r:.200}')
    return shown


def _tag(text: str) -> list[str]:
    tags = format_tags({'key': text})
    encodable(tags, 'a tag')
    return tags


def _asset(kind: str, document: Any) -> None:
    for one in schema.violations(kind, document, unknown='warning'):
        readable(one.message, 'a violation')


QUERIES = (
    'avg:metta.github.prs.open{org:metta,repo:metta/x} by {repo}.rollup(avg, 3600)',
    'sum:a.b{*}.as_count() / (max:c{x IN (1,2) AND NOT y:z} + 2)',
    'top(anomalies(avg:a{$env}, "agile", 2), 10, "mean", "desc")',
    'count(v: v<=1):a{x:*-$y.value,z IN ($z.value, b)} by {*}.fill(last, 300)',
    'sum(p99.9:a{NOT (x:1* OR x:2)} by {b,$c}.rollup(avg, 60), { b })',
)
FORMULAS = ('a / (b + 1) * 100', 'moving_rollup(a, 60, "avg")', '-default_zero(query1)')
MONITORS = (
    'avg(last_1h):avg:metta.github.prs.stale_count_14d{*} by {repo} > 20',
    'avg(last_4h):anomalies(avg:a{*}, "agile", 2, direction="below", interval=60) >= 1',
    'pct_change(avg(last_5m),last_1h):sum:a{b:c} <= -5.5',
    'max(current_1mo):1 - default_zero(sum:a{*}.as_count() / sum:b{*}.as_count()) > 1e-3 by {c}',
    'formula("a / b").rollup("sum").last("1d") != 0',
)
CONFIGURATIONS = (
    'init_config: {}\ninstances:\n  - source: github\n    token: ENC[github/token;key]\n    repositories: [a/b]\n',
    'instances: [{source: wandb, api_key: "x", entity: metta}]',
)
TEXTS = (
    Text('quantity', _quantity, float, ('250m', '1Ti', '1.5e9', '12E6', '+7k', '100Ei', '1e-3', '0.1u')),
    Text(
        'resources',
        _resources,
        skypilot.Resources,
        (
            '2x[L4:4][Spot]',
            '1x[A100:8, H100:8][On-demand|Spot]',
            '2x[spot](gpus=L4:4, g6.12xlarge, ...)',
            "{'L4': 4}",
            '1x(cpus=4, mem=16, m6i.xlarge, ...)',
        ),
    ),
    Text('accelerators', _accelerators, dict[str, float], ({'L4': 4, 'A10G': 1.5}, {'CPU': 4}, ['x'], 'L4:4')),
    Text('accelerator_type', accelerators.accelerator_type, str, ('NVIDIA A100-SXM4-80GB', 'tpu-v5p-8', 'RTX4090')),
    Text('wandb_summary', _summary, wandb.Run | None, ('{"loss": 0.5, "a": {"b": NaN}}', '{"gpus": {"value": 8}}')),
    Text('moment', fields.moment, Any, ('2026-11-24T18:00:00Z', '2026-11-24T18:00:00.123+01:00', '2026-11-24')),
    Text('timestamp', fields.timestamp, float | None, ('2026-11-24T18:00:00Z', '0001-01-01T00:00:00+14:00')),
    Text('ec2_stopped', ec2.stopped_at, Any, ('User initiated (2026-11-12 03:04:05 GMT)',)),
    Text('slug', slug, str, ('RTX PRO 4500',)),
    Text('github_url', github.graphql_url, str, ('https://github.example/api/v3',), (ValueError,)),
    Text(
        'skypilot_prices',
        skypilot_settings.gpu_prices,
        Any,
        ({'L4': {'ondemand': 0.8, 'spot': 0.3}},),
        (ConfigurationError,),
    ),
    Text('configuration', _configuration, None, CONFIGURATIONS, (vault.UnknownSecret,)),
    Text('enc', _secret, str, ('ENC[a;b]', '{"b": "c"}', 'plain'), (vault.UnknownSecret,)),
    Text('scrubber', _scrubbed, str, ('GET / failed', 'tOp-sEcReT', 'a%2Fb')),
    Text('tag', _tag, list[str], ('main', 'Ünïcode')),
    Text('query', query.parse_query, Any, QUERIES, (QuerySyntaxError,)),
    Text('formula', query.parse_formula, Any, FORMULAS, (QuerySyntaxError,)),
    Text('monitor', monitor_query.parse_monitor, Any, MONITORS, (QuerySyntaxError,)),
)


def _metrics_yaml() -> Text:
    seeds = tuple(
        resources.files(f'metta_checks.{source}').joinpath('metrics.yaml').read_text(encoding='utf-8')[:1_500]
        for source in SOURCES
    )
    return Text('metrics_yaml', lambda text: catalog.parse(text) and None, None, seeds, (ValueError,))


def _assets() -> Iterator[Text]:
    for kind, directory in (('dashboard', 'dashboards'), ('monitor', 'monitors'), ('slo', 'slos')):
        paths = sorted((ROOT / 'assets' / directory).glob('*.json'))[:3]
        documents = [json.loads(path.read_text(encoding='utf-8')) for path in paths]
        seeds = tuple(one.get('definition', one) if kind == 'monitor' else one for one in documents)
        yield Text(f'schema_{kind}', partial(_asset, kind), None, seeds)


def targets() -> Iterator[Target]:
    """Return the targets `texts.<name>`."""
    for text in (*TEXTS, _metrics_yaml(), *_assets()):
        if text.seeds:
            yield Target(f'texts.{text.name}', text.run, mutate.from_seeds(text.seeds))
