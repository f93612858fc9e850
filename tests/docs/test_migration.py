"""docs/migration.md names every metric of the first system once, and every new name exists."""

from __future__ import annotations

import csv

import pytest

from tests.seed_names import BY_SOURCE

from . import pages

PAGE = 'docs/migration.md'
HEADINGS = {
    'github': 'GitHub',
    'skypilot': 'SkyPilot',
    'asana': 'Asana',
    'ec2': 'EC2',
    'wandb': 'Weights & Biases',
    'kubernetes': 'Kubernetes',
}
# 14 names of Asana and 10 of W&B existed; 16 and 3 more had been announced.
SENT, ANNOUNCED = 116, 19


def rows() -> dict[str, list[dict[str, str]]]:
    return {source: pages.table(PAGE, heading) for source, heading in HEADINGS.items()}


def bare(cell: str) -> str:
    return pages.only(r'`([a-z0-9_.]+)`', cell)


@pytest.mark.parametrize('source', HEADINGS)
def test_every_old_name_stands_there_once(source):
    assert [bare(row['new name']) for row in rows()[source]] == list(BY_SOURCE[source])
    for row in rows()[source]:
        assert bare(row['new name']) == f'metta.{bare(row["old name"])}'


def test_every_new_name_exists():
    with (pages.ROOT / 'metadata.csv').open(encoding='utf-8') as file:
        known = {row['metric_name'] for row in csv.DictReader(file)}
    assert [row for found in rows().values() for row in found if bare(row['new name']) not in known] == []


def test_every_row_says_what_changed():
    changes = [row['what changed'] for found in rows().values() for row in found]
    assert all(change.endswith('.') for change in changes)
    announced = [change for change in changes if change.startswith('**New.**')]
    assert len(announced) == ANNOUNCED
    assert len(changes) - len(announced) == SENT
