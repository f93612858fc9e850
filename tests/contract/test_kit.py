"""The Agent of the test kit takes what the toolkit's own stub takes."""

from __future__ import annotations

from typing import Any

import pytest
from datadog_checks.base.stubs import aggregator

from metta_checks.check import SOURCES
from metta_checks.testing import TYPES, Agent, Clock, Driver

pytestmark = pytest.mark.integration


class Both(Agent):
    """Hands everything that is submitted on to the stub."""

    def submit_metric(self, *arguments: Any) -> None:
        super().submit_metric(*arguments)
        aggregator.submit_metric(*arguments)

    def submit_service_check(self, *arguments: Any) -> None:
        super().submit_service_check(*arguments)
        aggregator.submit_service_check(*arguments)

    def submit_event(self, *arguments: Any) -> None:
        super().submit_event(*arguments)
        aggregator.submit_event(*arguments)


@pytest.mark.parametrize('source', SOURCES)
def test_the_agent_of_the_kit_agrees_with_the_stub_of_the_toolkit(serve, source, monkeypatch):
    # The stub refuses tags such as `cluster`; the real Agent does not.
    monkeypatch.setenv('DDEV_SKIP_GENERIC_TAGS_CHECK', 'true')
    service = serve(source, Clock())
    driver = Driver(service.instance(), service.clock, agent=Both())
    for _ in range(2):
        aggregator.reset()
        report = driver.execute()
        assert report == ''
        submitted = driver.agent.take(driver.check)
        stubs = [stub for name in aggregator.metric_names for stub in aggregator.metrics(name)]
        assert len(stubs) > 10
        # The stub has them by name.
        assert sorted((stub.name, TYPES[stub.type], stub.value, tuple(stub.tags)) for stub in stubs) == sorted(
            (point.name, point.type, point.value, point.tags) for point in submitted.points
        )
        assert [
            (stub.name, stub.status, tuple(stub.tags), stub.message)
            for stub in aggregator.service_checks('metta.can_connect')
        ] == submitted.service_checks
        assert aggregator.events == submitted.events
        service.pass_time(900)
