"""Every source under faults and kills for a short while: nothing wrong, nothing lost, nothing twice.

`make chaos` is the long version.
"""

from __future__ import annotations

import json

import pytest

from chaos.__main__ import main
from chaos.scenes import SCENES
from chaos.trial import Conditions, Trial

# Everything that the trials of `make chaos` do one by one.
ALL = Conditions(kill_share=0.2, restart_share=0.15, outage_share=0.1, jump_share=0.1, tls=True, settling=8)


@pytest.mark.parametrize('source', SCENES)
def test_a_source(source):
    result = Trial(source, 'short', 10, conditions=ALL).run()
    assert [finding.line() for finding in result.findings] == []
    assert result.tally.refreshes >= 10
    assert result.tally.values > 100
    assert result.tally.struck > 0


def test_the_command_line(capsys):
    assert main(['asana', '--trial', 'kills', '--refreshes', '4', '--seed', 'cli', '--json']) == 0
    document = json.loads(capsys.readouterr().out)
    assert document['refreshes'] >= 4
    assert set(document['kinds'].values()) == {0}
    with pytest.raises(SystemExit):
        main(['asana', '--refreshes', '4', 'nobody'])
