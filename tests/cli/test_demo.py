"""`make demo`: short, and with the addresses to go on with."""

from __future__ import annotations

import pytest

from metta_checks.cli.headlines import HEADLINES
from sandbox import demo


@pytest.mark.integration
def test_shows_a_summary_and_headlines(capsys):
    assert demo.main(['asana', 'skypilot']) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    cold, warm = (
        [line for line in lines if line.startswith(f'{title}\t')]
        for title in ('First refresh (cold)', 'A quarter of an hour later (warm)')
    )
    assert len(cold) == len(warm) == 2
    assert [line.split('\t')[2] for line in cold] == ['ok', 'ok']
    assert sum('\tmetta.asana.' in line for line in lines) == len(HEADLINES['asana'])
    hints = captured.err.splitlines()
    assert len(lines) + len(hints) <= 25
    assert any('docs/quick-start.md' in line for line in hints[-3:])
