"""The check in a real Agent: `make e2e`, where a Docker engine runs. The Agent reads the sandbox on loopback."""

from __future__ import annotations

import pytest
from datadog_checks.base import AgentCheck

from metta_checks.check import SOURCES

pytestmark = pytest.mark.e2e


def test_the_agent_collects_every_source(dd_agent_check):
    # Two runs in one process: the second re-emits what the first read.
    collected = dd_agent_check(check_rate=True)
    for source in SOURCES:
        tag = f'source:{source}'
        assert {stub.value for stub in collected.metrics('metta.collector.up') if tag in stub.tags} == {1}, source
        states = {stub.status for stub in collected.service_checks('metta.can_connect') if tag in stub.tags}
        assert states == {AgentCheck.OK}, source
        assert any(name.startswith(f'metta.{source}.') for name in collected.metric_names), source
    # No figure belongs to the Agent's host.
    assert {stub.hostname for name in collected.metric_names for stub in collected.metrics(name)} == {''}
