"""Results of one run describe one time, even when the clock advances between their submissions."""

from __future__ import annotations

import pytest

from metta_checks.testing import Driver

pytestmark = pytest.mark.integration


@pytest.mark.parametrize('name', ['metta.skypilot.cost.breakdown_hourly_usd', 'metta.skypilot.users.active_count'])
def test_figures_of_several_answers_are_shown_while_the_clock_runs(serve, name):
    service = serve('skypilot', scale=0.1, activity=False)
    service.clock.run()
    run = Driver.of(service).run()
    assert run.errors() == {}
    assert run.series(name)
