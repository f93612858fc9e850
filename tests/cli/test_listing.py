"""Rows on a terminal and in a pipe."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from metta_checks.cli import tables, terminal
from metta_checks.cli.headlines import FIRST, HEADLINES, headlines
from metta_checks.cli.listing import Listing
from metta_checks.core import catalog
from metta_checks.core.diagnosis import Finding
from metta_checks.core.points import Point
from metta_checks.verify import FigurePair

WIDE = 'x' * 150


def on_a_terminal(listing: Listing, width: int = 200) -> str:
    output = io.StringIO()
    Console(file=output, width=width).print(listing.renderable(width))
    return output.getvalue()


def in_a_pipe(listing: Listing) -> list[list[str]]:
    return [line.split('\t') for line in listing.lines()]


def test_what_is_well_needs_no_remedy():
    for finding, is_shown in (
        (Finding('rate limit', 'ok', '1000 of 1000 left', 'Wait.'), False),
        (Finding('rate limit', 'warning', '3 of 1000 left', 'Wait.'), True),
    ):
        listing = tables.findings_listing('wandb (x)', [finding])
        assert ('to do: Wait.' in on_a_terminal(listing)) is is_shown
        [line] = in_a_pipe(listing)
        assert ('to do: Wait.' in line) is is_shown


def test_brackets_are_shown_as_they_are():
    finding = Finding('key', 'fail', 'option [api_key] is ENC[key]', 'pip install "x[verify]"')
    text = on_a_terminal(tables.findings_listing('wandb (x)', [finding]))
    assert 'option [api_key] is ENC[key]' in text
    assert 'pip install "x[verify]"' in text


def test_a_line_in_a_pipe_stands_alone_and_is_not_wrapped():
    listing = Listing('github (o/r)', grouped=True)
    listing.add('metta.github.prs.open', WIDE, 1284)
    listing.add('metta.github.prs.open', 'repo:b', 0.125)
    listing.add('metta.github.prs.open', 'repo:c', None)
    assert in_a_pipe(listing) == [
        ['github (o/r)', 'metta.github.prs.open', WIDE, '1284'],
        ['github (o/r)', 'metta.github.prs.open', 'repo:b', '0.125'],
        ['github (o/r)', 'metta.github.prs.open', 'repo:c', '-'],
    ]


def test_a_terminal_shows_a_repeated_name_once_and_no_frames():
    listing = Listing('github (o/r)', grouped=True)
    listing.add('metta.github.prs.open', 'repo:a', 1284)
    listing.add('metta.github.prs.open', 'repo:b', 22336.801)
    text = on_a_terminal(listing)
    assert text.count('metta.github.prs.open') == 1
    assert '1,284' in text
    assert '22,336.80' in text
    assert not re.search('[\u2500-\u257f]', text)


@pytest.mark.parametrize('width', [80, 100, 200])
def test_a_terminal_is_not_exceeded_and_nothing_is_cut(width):
    pair = FigurePair('metta.kubernetes.resources.cpu_efficiency_pct', (f'repo:{WIDE}',), 1.5, 2)
    text = on_a_terminal(tables.comparison_listing('x', [pair], everything=False), width)
    assert max(map(len, text.splitlines())) <= width
    assert text.count('x') == 151
    assert '\u2026' not in text


@pytest.mark.parametrize('width', [80, 100, 200])
def test_names_and_ids_are_folded_only_where_they_must_be(width):
    listing = Listing('kubernetes (prod)', grouped=True)
    name = 'metta.kubernetes.resources.cpu_efficiency_pct'
    listing.add(name, 'cluster:prod namespace:research deployment:a-service', 39.8)
    assert name in on_a_terminal(listing, width)
    assert 'deployment:a-service' in on_a_terminal(listing, width)
    listing.add(WIDE, 'a b', 1)
    assert on_a_terminal(listing, width).count('x') == len(WIDE)


def test_columns_of_a_pipe_fit_their_values():
    pair = FigurePair('metta.x', ('a:b',), 1, None)
    first, second = in_a_pipe(tables.comparison_listing('label', [pair], everything=False))
    assert first == ['', 'metric', 'tags', 'ours', 'theirs', 'difference']
    assert second == ['label', 'metta.x', 'a:b', '1', '-', '-']


def test_nothing_is_shown_without_rows(capsys):
    terminal.show(Listing('title', ('a', 'b')))
    assert capsys.readouterr().out == ''


@pytest.mark.parametrize('source', HEADLINES)
def test_headlines_are_metrics_of_the_catalog(source):
    assert set(HEADLINES[source]) <= {metric.name for metric in catalog.load(source).metrics}


def test_headlines_show_the_largest_series_and_the_number_of_the_others():
    points = [Point('metta.github.prs.open', 'gauge', value, (f'repo:{value}',)) for value in range(5)]
    [(name, shown, others)] = headlines('github', [*points, Point('metta.collector.up', 'gauge', 1, ())])
    assert (name, [point.value for point in shown], others) == ('metta.github.prs.open', [4, 3, 2], 2)


def test_a_source_without_headlines_shows_its_first_metrics():
    points = [Point(f'metta.other.m{number}', 'gauge', 1, ()) for number in range(9)]
    assert [name for name, _, _ in headlines('other', points)] == [f'metta.other.m{n}' for n in range(FIRST)]
