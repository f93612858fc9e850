"""The stand-in for the Agent: as strict as the real one, and the same submissions as with the toolkit's stub."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from datadog_checks.base.stubs import aggregator

from metta_checks.check import SOURCES
from metta_checks.core.source import SERVICE_CHECK
from metta_checks.testing import TYPES, Agent, Driver
from sandbox.every_option import every_option

SIZES: dict[str, dict[str, Any]] = {
    'github': {'scale': 0.05, 'runs_in_window': 30, 'prs': 12},
    'kubernetes': {'pods': 25},
    'wandb': {'scale': 0.05},
}
GAUGE = aggregator.GAUGE


class Check:
    """Submits; the Agent knows it by its identity alone."""


@pytest.mark.parametrize(
    ('arguments', 'error'),
    [
        ((None, 1.0, [], ''), TypeError),
        (('name', None, [], ''), TypeError),
        (('name', True, [], ''), TypeError),
        (('name', '1', [], ''), TypeError),
        (('name', float('nan'), [], ''), ValueError),
        (('name', 1.0, None, ''), TypeError),
        (('name', 1.0, ('a:b',), ''), TypeError),
        (('name', 1.0, ['a:b', None], ''), TypeError),
        (('name', 1.0, [b'a:b'], ''), TypeError),
        (('name', 1.0, ['a:\0'], ''), ValueError),
        (('name', 1.0, ['a:\ud800'], ''), ValueError),
        (('na\0me', 1.0, [], ''), ValueError),
        (('name', 1.0, [], None), TypeError),
    ],
)
def test_a_metric_that_the_agent_would_not_take_unchanged(arguments, error):
    agent, check = Agent(), Check()
    with pytest.raises(error):
        agent.submit_metric(check, 'id', GAUGE, *arguments)
    assert not agent.take(check).points
    agent.submit_metric(check, 'id', GAUGE, 'name', 1.0, ['a:b'], '', False)
    assert len(agent.take(check).points) == 1


@pytest.mark.parametrize(
    ('status', 'tags', 'host', 'message'),
    [('0', [], '', ''), (4, [], '', ''), (None, [], '', ''), (0, None, '', ''), (0, [], None, ''), (0, [], '', None)],
)
def test_a_service_check_that_the_agent_would_not_take(status, tags, host, message):
    with pytest.raises((TypeError, ValueError)):
        Agent().submit_service_check(Check(), 'id', SERVICE_CHECK, status, tags, host, message)


@pytest.mark.parametrize(
    'change', [{'msg_title': None}, {'msg_text': b'text'}, {'timestamp': 1.5}, {'tags': None}, {'tags': [1]}]
)
def test_an_event_that_the_agent_would_not_take(change):
    event = {'msg_title': 'title', 'msg_text': 'text', 'timestamp': 1, 'tags': ['a:b']}
    Agent().submit_event(Check(), 'id', event)
    with pytest.raises((TypeError, KeyError)):
        Agent().submit_event(Check(), 'id', {**event, **change})


def test_the_cache_is_files(tmp_path):
    agent = Agent(tmp_path)
    assert agent.read_persistent_cache('a:b_c') == ''
    agent.write_persistent_cache('a:b_c', 'würde')
    [path] = tmp_path.iterdir()
    assert path.name == 'ab_c'
    assert Agent(tmp_path).read_persistent_cache('a:b_c') == 'würde'
    values: tuple[Any, ...] = ('\ud800', 'a\0b', None, b'a')
    for value in values:
        with pytest.raises((TypeError, ValueError)):
            agent.write_persistent_cache('a', value)
    path.write_bytes(b'a\0b')
    assert agent.read_persistent_cache('a:b_c') == 'a'
    path.write_bytes(b'a\xff')
    with pytest.raises(UnicodeDecodeError):
        agent.read_persistent_cache('a:b_c')


def test_a_folder_of_its_own_goes_with_the_agent():
    agent = Agent()
    agent.write_persistent_cache('a', 'b')
    folder = agent.folder
    assert list(folder.iterdir())
    agent.reset()
    assert not folder.exists()
    assert agent.read_persistent_cache('a') == ''


class Both(Agent):
    """The stand-in, and the toolkit's stub beside it."""

    def submit_metric(self, *arguments: Any) -> None:
        super().submit_metric(*arguments)
        aggregator.submit_metric(*arguments)

    def submit_service_check(self, *arguments: Any) -> None:
        super().submit_service_check(*arguments)
        aggregator.submit_service_check(*arguments)

    def submit_event(self, *arguments: Any) -> None:
        super().submit_event(*arguments)
        aggregator.submit_event(*arguments)


@pytest.mark.integration
@pytest.mark.parametrize('source', SOURCES)
def test_the_stub_of_the_toolkit_sees_the_same_submissions(serve, source, monkeypatch):
    # The toolkit advises integrations of Datadog against tags such as `cluster`.
    monkeypatch.setenv('DDEV_SKIP_GENERIC_TAGS_CHECK', 'true')
    service = serve(source, **SIZES.get(source, {'scale': 0.1}))
    instance = {**service.instance(), **every_option(service), 'tags': ['env:test']}
    driver = Driver(instance, service.clock, agent=Both())
    for _ in range(2):
        aggregator.reset()
        run = driver.run()
        seen = Counter(
            (one.name, TYPES[one.type], one.value, tuple(sorted(one.tags)))
            for name in aggregator.metric_names
            for one in aggregator.metrics(name)
        )
        assert seen == Counter((one.name, one.type, one.value, tuple(sorted(one.tags))) for one in run.points)
        assert len(run.points) > 10
        [check] = aggregator.service_checks(SERVICE_CHECK)
        assert (check.status, check.message) == run.service_check
        assert aggregator.events == run.events
        service.pass_time(900)
