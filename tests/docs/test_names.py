"""Metrics and files that the documentation mentions exist."""

from __future__ import annotations

import json
import re

import pytest

from metta_checks.as_code.query import parse_query
from metta_checks.check import SOURCES
from metta_checks.core import catalog
from metta_checks.core.catalog import HISTOGRAM_SERIES

from . import pages

# The page builds a source that does not exist.
ELSEWHERE = {'docs/adding-a-source.md'}
SERVICE_CHECKS = {'metta.can_connect'}
# The Agent's folder of the same name is meant.
AGENT_FOLDER = 'conf.d'
PATH = re.compile(r'[\w.-]+(?:/[\w.*<>-]+)*/?')
NAME = re.compile(r'(?<![\w./-])metta\.[a-z0-9_]+(?:\.[a-z0-9_*]+)+(?![\w/-])')


def known(name: str) -> bool:
    """Return whether a full name, or a group ending with `*`, is in a catalog."""
    for source in ('collector', *SOURCES):
        one = catalog.load(source)
        for metric in one.metrics:
            full = one.full_name(metric.name)
            series = [full, *(f'{full}.{suffix}' for suffix in HISTOGRAM_SERIES if metric.type == 'histogram')]
            for candidate in series:
                pattern = re.escape(candidate).replace(r'\*', '[a-z0-9_*]+')
                if re.fullmatch(pattern, name):
                    return True
                if name.endswith('*') and candidate.startswith(name[:-1]):
                    return True
    return False


@pytest.mark.parametrize('name', [name for name in pages.names() if name not in ELSEWHERE])
def test_every_metric_that_is_mentioned_exists(name):
    text = (pages.ROOT / name).read_text(encoding='utf-8')
    mentioned = {found.rstrip('.') for found in NAME.findall(text)} - SERVICE_CHECKS
    assert sorted(found for found in mentioned if not known(found)) == []


def test_the_catalog_is_asked():
    assert known('metta.github.prs.open')
    assert known('metta.wandb.training.run_duration_hours.95percentile')
    assert known('metta.collector.rate_limit.*')
    assert not known('metta.github.prs.opened_tomorrow')
    assert not known('metta.nothing.*')


def test_queries_that_are_recommended_can_be_parsed():
    fences = [fence for fence in pages.fences('docs/metric-conventions.md') if fence.language in ('text', 'json')]
    queries = [
        query
        for fence in fences
        for query in ([json.loads(fence.text)['query']] if fence.language == 'json' else fence.text.splitlines())
    ]
    assert len(queries) >= 5
    for query in queries:
        parse_query(query)


def mentioned_paths(name: str) -> list[str]:
    """Return the paths in backquotes that begin with a folder of the project."""
    folders = {path.name for path in pages.ROOT.iterdir() if path.is_dir()} - {AGENT_FOLDER}
    codes = [token.content for token in pages.tokens(name) if token.type == 'code_inline']
    return [code for code in codes if '/' in code and PATH.fullmatch(code) and code.split('/')[0] in folders]


@pytest.mark.parametrize('name', [name for name in pages.names() if name not in ELSEWHERE])
def test_every_file_that_is_mentioned_exists(name):
    missing = {
        path
        for mentioned in mentioned_paths(name)
        for path in {mentioned.replace('<source>', source) for source in SOURCES}
        if not any(pages.ROOT.glob(re.sub('<.*?>', '*', path)))
    }
    assert missing == set()


def test_the_paths_are_looked_for():
    assert 'metta_checks/core' in mentioned_paths('docs/development.md')
    assert 'metta_checks/<source>' in mentioned_paths('docs/architecture.md')
