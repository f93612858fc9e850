"""ddev's validators: what Datadog's own repositories demand of an integration."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator

import pytest

from metta_checks.check import SOURCES
from tools.ddev import CHECK, ROOT, VALIDATORS, Repository, Unavailable, repository

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


@pytest.fixture(scope='module')
def place() -> Iterator[Repository]:
    try:
        with repository() as prepared:
            yield prepared
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.mark.parametrize('validator', VALIDATORS)
def test_validator_is_content(place, validator):
    verdict = place.validate(validator)
    assert verdict.passed, verdict.output


def test_a_validator_would_notice(place):
    path = place.parent / CHECK / 'metadata.csv'
    original = path.read_text(encoding='utf-8')
    rows = list(csv.reader(original.splitlines()))
    next(row for row in rows[1:] if row[3])[3] = 'parsec'
    try:
        with path.open('w', encoding='utf-8', newline='') as file:
            csv.writer(file, lineterminator='\n').writerows(rows)
        verdict = place.validate('metadata')
    finally:
        path.write_text(original, encoding='utf-8')
    assert not verdict.passed
    assert 'parsec' in verdict.output


def test_manifest_names_what_is_there():
    manifest = json.loads((ROOT / 'manifest.json').read_text(encoding='utf-8'))
    assets = manifest['assets']
    integration = assets['integration']
    named = [
        integration['configuration']['spec'],
        integration['metrics']['metadata_path'],
        integration['service_checks']['metadata_path'],
        *(path for kind in ('dashboards', 'monitors', 'saved_views') for path in assets[kind].values()),
    ]
    assert [path for path in named if not (ROOT / path).is_file()] == []
    assert manifest['manifest_version'] == '2.0.0'
    assert integration['metrics']['prefix'] == 'metta.'
    # Datadog detects the installed integration by this metric, so the integration must send it.
    with (ROOT / 'metadata.csv').open(encoding='utf-8', newline='') as file:
        assert integration['metrics']['check'] in {row['metric_name'] for row in csv.DictReader(file)}
    # Old rules of Datadog's that ddev no longer checks.
    assert len(manifest['tile']['description']) <= 80
    assert len(manifest['tile']['media']) <= 8


def test_the_one_service_check_is_declared():
    [declared] = json.loads((ROOT / 'assets' / 'service_checks.json').read_text(encoding='utf-8'))
    assert declared['check'] == 'metta.can_connect'
    assert declared['groups'] == ['source']
    assert declared['statuses'] == ['ok', 'warning', 'critical']


def test_the_readme_names_every_source():
    text = (ROOT / 'README.md').read_text(encoding='utf-8')
    assert [source for source in SOURCES if f'`{source}`' not in text] == []
