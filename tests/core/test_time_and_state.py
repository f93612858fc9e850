"""Clocks that were wrong, restarts, rotations, changed options and damaged files, for every source.

The persistent cache is real files, the services are those of the sandbox.
"""

from __future__ import annotations

import importlib
import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from datadog_checks.base import AgentCheck
from datadog_checks.base.utils.http import STANDARD_FIELDS

from metta_checks.check import SOURCES, source_class
from metta_checks.core.snapshot import SNAPSHOT_VERSION
from metta_checks.core.source import CACHE_KEY
from metta_checks.testing import Agent, Clock, Driver, Run
from sandbox import Service

pytestmark = pytest.mark.integration
OK, WARNING, CRITICAL = AgentCheck.OK, AgentCheck.WARNING, AgentCheck.CRITICAL
YEAR = timedelta(days=365)
SIZES: dict[str, dict[str, Any]] = {
    'github': {'scale': 0.05, 'runs_in_window': 30, 'prs': 12},
    'kubernetes': {'pods': 25},
    'wandb': {'scale': 0.05},
}
TOKENS = {
    'github': 'token',
    'skypilot': 'token',
    'asana': 'access_token',
    'ec2': 'secret_access_key',
    'wandb': 'api_key',
    'kubernetes': 'token',
}
# For each source, an option that decides what is read or shown.
SHOWN: dict[str, dict[str, Any]] = {
    'github': {'exclude': ['nothing/*']},
    'skypilot': {'by_user': True},
    'asana': {'tasks_total': True},
    'ec2': {'tag_by': ['team']},
    'wandb': {'sweeps': True},
    'kubernetes': {'max_namespaces': 5},
}
# The form in which AWS refuses; the other sources look at the status alone.
AWS_ERROR = '<Response><Errors><Error><Code>ServiceUnavailable</Code><Message/></Error></Errors></Response>'
all_sources = pytest.mark.parametrize('source', SOURCES)
linux = pytest.mark.skipif(not Path('/proc/net/tcp').exists(), reason='reads the table of connections of Linux')
Start = Callable[..., Driver]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    # The AWS SDK waits between its attempts.
    monkeypatch.setattr('metta_checks.ec2.aws.ATTEMPTS', 1)


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return Agent(tmp_path)


@pytest.fixture
def service(serve, source) -> Service:
    return serve(source, **SIZES.get(source, {'scale': 0.1}))


@pytest.fixture
def start(service: Service, agent: Agent) -> Start:
    """Start an instance as the Agent does after a restart: a new object, with what is stored."""

    def started(clock: Clock | None = None, agent: Agent = agent, **options: Any) -> Driver:
        instance = {'refresh_interval': 900, 'tags': ['env:test'], **service.instance(), **options}
        return Driver(instance, clock or service.clock, agent=agent)

    return started


def documents(agent: Agent) -> list[dict[str, Any]]:
    return [json.loads(path.read_text('utf-8')) for path in agent.folder.iterdir()]


def shown(run: Run) -> dict[Any, float]:
    """The gauges that are emitted again in every run."""
    gauges = (point for point in run.points if point.type == 'gauge' and 'rate_limit' not in point.name)
    return {(point.name, tuple(sorted(point.tags))): point.value for point in gauges}


def figures(run: Run) -> dict[Any, float]:
    """The gauges of the service, without those about the collection."""
    return {key: value for key, value in shown(run).items() if not key[0].startswith('metta.collector.')}


def status(run: Run) -> tuple[Any, ...]:
    """Everything that a run says of the state of the instance."""
    return run.error, run.service_check, run.warnings, run.value('metta.collector.up')


# Clocks.


def set_right(clock: Clock, service: Service) -> None:
    clock.start = service.clock.now() - timedelta(seconds=clock.monotonic())


@all_sources
@pytest.mark.parametrize('restarted', [False, True])
def test_after_a_clock_was_a_year_ahead_the_next_run_is_a_fresh_start(
    service, start, agent, tmp_path_factory, restarted
):
    ahead = Clock(service.clock.now() + YEAR)
    driver = start(ahead)
    driver.run()
    # Waits of the service and of blocks, noted while the clock is ahead.
    service.faults.add('status', status=429, headers={'Retry-After': '3600'})
    ahead.advance(900)
    driver.run()
    service.faults.clear()
    service.log.clear()
    if restarted:
        driver = start()
    set_right(ahead, service)
    run = driver.run()
    asked = len(service.log)
    service.log.clear()
    empty = Agent(tmp_path_factory.mktemp('fresh'))
    fresh = start(agent=empty).run()
    assert asked == len(service.log) > 0
    assert status(run) == status(fresh)
    assert shown(run) == shown(fresh)
    assert documents(agent) == documents(empty)


def learned(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the learned values inside a memory."""
    if isinstance(value, dict):
        if value.keys() == {'value', 'at'}:
            yield value
        for inner in value.values():
            yield from learned(inner)


def sightings(document: dict[str, Any]) -> Iterator[dict[str, float]]:
    states = (block[2]['state'] for block in document['blocks'])
    return (state['last'] for state in states if isinstance(state, dict) and state.keys() == {'last'})


# The kinds of times that the core stores. Times in the state of a block are not later than its `refreshed_at`.
KINDS: dict[str, Callable[[dict[str, Any], float], object]] = {
    'written_at': lambda document, at: document.update(written_at=at),
    'refreshed_at': lambda document, at: document.update(refreshed_at=at),
    'refreshed_at of blocks': lambda document, at: [block[2].update(refreshed_at=at) for block in document['blocks']],
    'resume_at': lambda document, at: [block[2].update(resume_at=at) for block in document['blocks']],
    'limits': lambda document, at: document.update(limits={'core': [at, 'wait'], 'graphql': [at, 'wait']}),
    'learned values': lambda document, at: [one.update(at=at) for one in learned(document['memory'])],
    'sightings': lambda document, at: [one.update(gone=at) for one in sightings(document)],
}


@all_sources
@pytest.mark.parametrize('kind', KINDS)
def test_a_stored_time_of_the_future_does_not_keep_an_instance_from_reading(
    service, start, agent, kind, tmp_path_factory
):
    start().run()
    service.pass_time(900)
    future = (service.clock.now() + YEAR).timestamp()
    damaged(agent, lambda document: KINDS[kind](document, future))
    run = start().run()
    fresh = start(agent=Agent(tmp_path_factory.mktemp('fresh'))).run()
    assert run.requests
    assert status(run) == status(fresh)
    assert figures(run).keys() >= figures(fresh).keys()
    # Every block was read now, or in the first run where its interval is longer than that of the instance.
    assert set(run.series('metta.collector.data_age_seconds').values()) <= {0, 900}
    service.pass_time(900)
    assert start().run().requests


@all_sources
def test_a_stored_document_of_the_future_is_a_fresh_start(start, agent, service):
    start(Clock(service.clock.now() + YEAR)).run()
    service.log.clear()
    run = start().run()
    assert service.log
    assert run.error == ''


def test_a_clock_that_is_set_back_a_little_changes_nothing(serve, agent):
    service = serve('kubernetes', pods=5)
    clock = Clock(service.clock.now() + timedelta(seconds=50))
    driver = Driver(service.instance(), clock, agent=agent)
    first = driver.run()
    asked = len(service.log)
    set_right(clock, service)
    second = driver.run()
    assert len(service.log) == asked
    assert figures(second) == figures(first)
    assert second.value('metta.collector.data_age_seconds', 'block:pods') == 0


# Restarts.


@all_sources
@pytest.mark.parametrize(('fault', 'level'), [(None, OK), (503, CRITICAL), (429, WARNING)])
def test_a_restart_does_not_change_the_status(service, start, fault, level):
    driver = start()
    driver.run()
    if fault is not None:
        service.faults.add('status', status=fault, headers={'Retry-After': '600'}, body=AWS_ERROR)
    service.pass_time(900)
    driver.run()
    service.pass_time(30)
    before = driver.run()
    service.log.clear()
    after = start().run()
    assert not service.log, 'a wait that is stored must be waited for'
    assert after.status == level
    assert status(after) == status(before)
    assert shown(after) == shown(before)


@all_sources
def test_a_refresh_that_read_nothing_is_due_at_once_in_a_new_process(service, start):
    start().run()
    service.faults.add('status', status=401)
    service.pass_time(900)
    driver = start()
    assert driver.run().status == CRITICAL
    service.faults.clear()
    service.pass_time(60)
    # The same process waits for its turn.
    still = driver.run()
    assert (still.status, still.value('metta.collector.up'), still.requests) == (CRITICAL, 0, None)
    run = start().run()
    assert (run.error, run.value('metta.collector.up')) == ('', 1)
    assert run.status == OK
    assert run.requests


@all_sources
def test_a_rotation_to_a_wrong_token_is_seen_in_the_first_run(service, start, source):
    """The procedure of docs/secrets.md: write the new token, restart, look at `metta.collector.up`."""
    good = start().run()
    assert good.value('metta.collector.up') == 1
    service.pass_time(60)
    wrong = start(**{TOKENS[source]: 'a-wrong-one-but-long-enough'}).run()
    assert (wrong.value('metta.collector.up'), wrong.status) == (0, CRITICAL)
    assert wrong.error
    # Nothing is lost: the figures are those of before.
    assert figures(wrong) == figures(good)
    service.pass_time(60)
    right = start().run()
    assert (right.error, right.value('metta.collector.up'), right.status) == ('', 1, OK)


@all_sources
def test_a_rotation_during_a_wait_is_seen_in_the_first_run(service, start, source):
    start().run()
    service.faults.add('status', status=429, headers={'Retry-After': '3600'}, body=AWS_ERROR)
    service.pass_time(900)
    assert start().run().status == WARNING
    service.faults.clear()
    wrong = start(**{TOKENS[source]: 'a-wrong-one-but-long-enough'}).run()
    assert (wrong.value('metta.collector.up'), wrong.status) == (0, CRITICAL)


# Options.


# Options that are neither those of the HTTP wrapper nor secrets, and do not decide what is read or shown.
HOW = {
    'asana': {'requests_per_run', 'resync_interval', 'free_crawl_interval'},
    'ec2': {'external_id'},
    'github': {'app_id', 'app_installation_id', 'max_requests', 'rate_limit_reserve_pct'},
    'kubernetes': set(),
    'skypilot': {'result_timeout'},
    'wandb': {'page_size', 'max_rows_per_refresh'},
}
OF_THE_AGENT = {'min_collection_interval', 'refresh_interval', 'refresh_timeout', 'empty_default_hostname', 'service'}


@pytest.mark.parametrize('source', SOURCES)
def test_every_option_is_part_of_the_key_unless_it_says_how_to_read(source):
    check_class = source_class(source)
    options = importlib.import_module(f'metta_checks.{source}.config_models.instance').InstanceConfig.model_fields

    check = check_class('metta_checks', {}, [{'source': source}])

    def key(**changed: Any) -> str:
        check.instance = {'source': source, **changed}
        return check.persistent_cache_id()

    ignored = {option for option in options if key(**{option: ['other']}) == key()}
    expected = {*HOW[source], *check_class.SECRET_OPTIONS, *OF_THE_AGENT, *STANDARD_FIELDS}
    assert ignored == expected & options.keys()


@all_sources
def test_options_that_say_how_to_read_lose_nothing(service, start):
    before = start().run()
    service.pass_time(60)
    service.log.clear()
    how: dict[str, Any] = {
        'refresh_timeout': 100,
        'min_collection_interval': 30,
        'timeout': 7,
        'proxy': {'no_proxy': ['127.0.0.1']},
    }
    after = start(**how, refresh_interval=901).run()
    assert not service.log
    assert figures(after) == figures(before)


@all_sources
@pytest.mark.parametrize('change', ['tags', 'option'])
def test_options_that_say_what_is_shown_make_the_next_run_refresh(service, start, source, change):
    start().run()
    service.pass_time(60)
    service.log.clear()
    options = {'tags': ['env:other']} if change == 'tags' else SHOWN[source]
    driver = start(**options)
    run = driver.run()
    assert run.requests
    assert service.log
    # Back again: the run asks for nothing, because each has a snapshot of its own.
    service.log.clear()
    assert start().run().requests is None
    assert not service.log


def test_instances_of_one_organization_with_different_filters_show_their_own(serve, agent):
    service = serve('github', **SIZES['github'])
    names = service.instance()['repositories']
    organization = names[0].partition('/')[0]
    common = {**service.instance(), 'organization': organization, 'repositories': None}
    common = {key: value for key, value in common.items() if value is not None}
    first = Driver({**common, 'include': names[:1]}, service.clock, agent=agent).run()
    second = Driver({**common, 'exclude': names[:1]}, service.clock, agent=agent).run()
    repositories = [
        {tag for _, tags in run.figures() for tag in tags if tag.startswith('repo:')} for run in (first, second)
    ]
    assert repositories[0] == {f'repo:{names[0]}'}
    assert f'repo:{names[0]}' not in repositories[1]


def test_the_order_of_tags_does_not_matter(serve, agent):
    service = serve('kubernetes', pods=5)
    Driver({**service.instance(), 'tags': ['a:b', 'c:d']}, service.clock, agent=agent).run()
    assert Driver({**service.instance(), 'tags': ['c:d', 'a:b']}, service.clock, agent=agent).run().requests is None


@all_sources
def test_two_instances_with_one_key_are_noticed(service, start):
    one, other = start(), start()
    one.run()
    other.run()
    for driver in (one, other):
        [warning] = [line for line in driver.run().warnings if 'another instance' in line]
        assert driver.check.label in warning
    # After one of them is unscheduled, all is well.
    one.check.cancel()
    assert not [line for line in other.run().warnings if 'another instance' in line]


@all_sources
@pytest.mark.parametrize('tags', ['env:x', {'env': 'x'}, [{'env': 'x'}], ['a:b', None], [1], 7])
def test_tags_of_a_wrong_type_are_one_configuration_error(service, start, tags):
    run = start(tags=tags).run()
    assert 'option `tags` must be a list of texts' in run.error
    assert '\n' not in run.error
    assert run.status == CRITICAL
    assert run.value('metta.collector.up') == 0
    assert not service.log


# Damaged documents.


def damaged(agent: Agent, change: Callable[[dict[str, Any]], object]) -> None:
    for path in agent.folder.iterdir():
        document = json.loads(path.read_text('utf-8'))
        change(document)
        path.write_text(json.dumps(document), 'utf-8')


@all_sources
def test_a_file_that_is_not_text_is_one_cold_refresh(service, start, agent):
    start().run()
    [path] = agent.folder.iterdir()
    text = path.read_bytes()
    path.write_bytes(text[:40] + b'\xff' + text[41:])
    service.log.clear()
    driver = start()
    run = driver.run()
    assert run.error == ''
    assert service.log
    assert json.loads(path.read_text('utf-8'))['version'] == SNAPSHOT_VERSION
    service.log.clear()
    assert start().run().error == ''
    assert not service.log


@all_sources
def test_a_snapshot_of_an_older_version_is_one_cold_refresh(service, start, agent):
    start().run()
    damaged(agent, lambda document: document.update(version=SNAPSHOT_VERSION - 1))
    service.log.clear()
    run = start().run()
    assert (run.error, run.status) == ('', OK)
    assert service.log


@all_sources
def test_stored_gauges_that_are_not_declared_are_not_shown(start, agent):
    before = start().run()

    def plant(document: dict[str, Any]) -> None:
        for _, _, values in document['blocks']:
            values['gauges'].append(['system.cpu.user', 1.0, []])
            values['gauges'] += [[f'{name}.other', value, tags] for name, value, tags in values['gauges'][:1]]
        document['blocks'].append(['', 'removed_block', {**document['blocks'][0][2]}])

    damaged(agent, plant)
    after = start().run()
    assert figures(after) == figures(before)
    assert after.requests is None


@all_sources
def test_any_number_of_failures_leaves_the_instance_working(service, start, agent):
    start().run()
    damaged(agent, lambda document: [block[2].update(failures=3e10) for block in document['blocks']])
    service.faults.add('status', status=503)
    service.pass_time(900)
    driver = start()
    assert driver.run().status == CRITICAL
    service.faults.clear()
    service.pass_time(900)
    assert driver.run().status == OK


# Threads.


@all_sources
def test_diagnoses_from_other_threads_do_not_disturb_the_first_run(start, agent):
    alone = start(agent=Agent()).run()
    driver = start()
    reports: list[str] = []
    ready = threading.Barrier(4)

    def diagnose() -> None:
        ready.wait()
        for _ in range(2):
            reports.append(driver.check.get_diagnoses())

    threads = [threading.Thread(target=diagnose) for _ in range(3)]
    for thread in threads:
        thread.start()
    ready.wait()
    run = driver.run()
    for thread in threads:
        thread.join()
    assert status(run) == status(alone)
    assert shown(run) == shown(alone)
    found = [[(one['name'], one['result'], one['diagnosis']) for one in json.loads(report)] for report in reports]
    assert len(found) == 6
    assert all(found)
    assert not [one for report in found for one in report if one[1] in (1, 3)]
    # Only the age of the stored figures comes with the first run.
    names = {tuple(name for name, _, _ in report if 'last refresh' not in name) for report in found}
    assert len(names) == 1


# The end of an object.


@pytest.fixture
def canceling(service: Service, monkeypatch: pytest.MonkeyPatch) -> Callable[[Driver], list[str]]:
    """Let the service cancel an instance while it answers, from its own thread; the requests are listed."""
    answer = service.answer

    def during(driver: Driver) -> list[str]:
        requests: list[str] = []

        def canceled(request):
            requests.append(request.path)
            driver.check.cancel()
            return answer(request)

        monkeypatch.setattr(service, 'answer', canceled)
        return requests

    return during


@all_sources
def test_an_object_that_was_canceled_stores_and_sends_nothing(service, start, agent, canceling):
    driver = start()
    driver.run()
    stored = {path: path.read_bytes() for path in agent.folder.iterdir()}
    service.pass_time(900)
    requests = canceling(driver)
    run = driver.run()
    assert len(requests) == 1
    assert (run.points, run.service_check, run.events, run.error, run.warnings) == ([], None, [], '', [])
    assert {path: path.read_bytes() for path in agent.folder.iterdir()} == stored
    assert driver.run().points == []
    assert len(requests) == 1


def connections_to(service: Service) -> int:
    """Number of connections to a service that are established, as seen from the client."""
    port = f':{int(service.url.rpartition(":")[2]):04X}'
    rows = [line.split() for line in Path('/proc/net/tcp').read_text('ascii').splitlines()[1:]]
    return sum(row[2].endswith(port) and row[3] == '01' for row in rows)


@linux
@all_sources
def test_cancel_ends_the_exchange_under_way_and_closes_the_connections(service, start, monkeypatch):
    # Far longer than the test may take.
    driver = start(timeout=3000, read_timeout=3000)
    driver.run()
    assert connections_to(service) > 0
    service.faults.add('silent')
    service.pass_time(900)
    asked = threading.Event()
    strike = service.faults.strike

    def noted(request):
        asked.set()
        return strike(request)

    monkeypatch.setattr(service.faults, 'strike', noted)
    thread = threading.Thread(target=driver.run)
    thread.start()
    assert asked.wait(60)
    driver.check.cancel()
    thread.join(60)
    assert not thread.is_alive()
    assert connections_to(service) == 0


@linux
@all_sources
def test_cancel_closes_idle_connections(service, start):
    driver = start()
    driver.run()
    assert connections_to(service) > 0
    driver.check.cancel()
    assert connections_to(service) == 0


@all_sources
def test_a_canceled_object_does_not_send_its_configuration_error(service, start):
    driver = start(refresh_interval='often')
    driver.check.cancel()
    assert driver.run().service_check is None


def test_the_key_of_the_cache_is_that_of_the_document(serve, agent):
    service = serve('kubernetes', pods=5)
    driver = Driver(service.instance(), service.clock, agent=agent)
    driver.run()
    assert json.loads(driver.check.read_persistent_cache(CACHE_KEY)) == documents(agent)[0]
