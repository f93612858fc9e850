"""Making Datadog what the files say: idempotent, in order, and safe to interrupt."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metta_checks.as_code import apply, marker
from metta_checks.as_code.asset import Asset, load, walk_widgets
from metta_checks.as_code.canonical import canonical
from metta_checks.as_code.changes import same
from metta_checks.as_code.declared import declared
from metta_checks.as_code.marker import Marker
from metta_checks.as_code.merge import merge
from metta_checks.as_code.plan import CREATE, SAME, UPDATE, Decisions, make
from metta_checks.as_code.remote import Datadog, Unavailable
from sandbox import Running

from .documents import BODIES, asset_of, copied, dashboard, monitor, slo, three, timeseries
from .fake_datadog import API_KEY, APP_KEY, FakeDatadog

pytestmark = pytest.mark.integration
SHIPPED = load(Path(__file__).parents[2] / 'assets')


def push(remote: Datadog, assets: list[Asset], **how) -> list[apply.Result]:
    return list(apply.push(remote, make(remote, assets, assets, **how)))


def test_pushed_once_there_is_nothing_left(remote: Datadog, datadog: FakeDatadog) -> None:
    results = push(remote, three())
    assert [(result.action, result.error, result.unlike) for result in results] == [(CREATE, '', ())] * 3
    assert not make(remote, three(), three()).different
    assert push(remote, three()) == []
    assert [len(store) for store in (datadog.slos, datadog.monitors, datadog.dashboards)] == [1, 1, 1]


def test_slos_come_first_and_dashboards_last(remote: Datadog, datadog: FakeDatadog) -> None:
    push(remote, three()[::-1])
    created = [path for path in datadog.calls('POST') if 'validate' not in path]
    assert created == ['/api/v1/slo', '/api/v1/monitor', '/api/v1/dashboard']


def test_the_marker_is_stored_and_tags_stay(remote: Datadog, datadog: FakeDatadog) -> None:
    push(remote, three(), namespace='team-a')
    (stored,) = datadog.monitors.values()
    assert stored['message'].endswith('\n\nmanaged by metta-checks: team-a/stale_prs_high')
    assert sorted(stored['tags']) == ['integration:metta-checks', 'team:devops']
    (stored_slo,) = datadog.slos.values()
    assert sorted(stored_slo['tags']) == sorted(slo()['tags'])


def test_two_namespaces_share_an_organization(remote: Datadog, datadog: FakeDatadog) -> None:
    push(remote, three(), namespace='a')
    push(remote, three(), namespace='b')
    assert len(datadog.dashboards) == 2
    for namespace in 'ab':
        assert not make(remote, three(), three(), namespace=namespace).different


# Updates.


def test_what_was_edited_in_the_browser_goes_back(remote: Datadog, datadog: FakeDatadog) -> None:
    push(remote, three())
    (identifier,) = datadog.dashboards
    datadog.dashboards[identifier]['title'] = 'Edited'
    (result,) = push(remote, three())
    assert (result.action, result.id) == (UPDATE, identifier)
    assert datadog.dashboards[identifier]['title'] == 'Metta Test'


def test_what_the_file_no_longer_says_is_reset(remote: Datadog) -> None:
    options = {**monitor()['definition']['options'], 'timeout_h': 4, 'notify_by': ['repo']}
    full = [Asset('monitor', 'm', monitor(options=options)), Asset('slo', 's', slo())]
    push(remote, full)
    bare_monitor, bare_slo = monitor(), slo()
    del bare_monitor['definition']['priority'], bare_monitor['definition']['tags']
    del bare_slo['tags'], bare_slo['description']
    bare = [Asset('monitor', 'm', bare_monitor), Asset('slo', 's', bare_slo)]
    assert [result.unlike for result in push(remote, bare)] == [(), ()]
    assert not make(remote, bare, bare).different


def test_widgets_keep_their_ids(remote: Datadog, datadog: FakeDatadog) -> None:
    push(remote, three())
    (identifier,) = datadog.dashboards
    before = ids(datadog.dashboards[identifier])
    document = dashboard(title='Renamed')
    document['widgets'][1]['definition']['widgets'].insert(0, timeseries('New'))
    document['widgets'].reverse()
    push(remote, [Asset('dashboard', 'test', document)])
    after = ids(datadog.dashboards[identifier])
    assert after.pop(('Overview', 'New'))
    assert after == before


def ids(document: dict) -> dict[tuple[str, str], int]:
    groups: dict[str, str] = {}
    found = {}
    for path, widget in walk_widgets(document):
        groups[path] = widget['definition'].get('title', '')
        parent = groups.get(path.rpartition('.definition.widgets[')[0], '')
        found[parent, widget['definition'].get('title', 'note')] = widget['id']
    return found


def test_an_id_is_given_to_one_widget_only() -> None:
    live = {'widgets': [{**timeseries('A'), 'id': 1}, {**timeseries('A'), 'id': 2}]}
    built = {'widgets': [timeseries('A'), timeseries('A'), timeseries('A')]}
    restored = apply.with_widget_ids(built, live)
    assert [widget.get('id') for widget in restored['widgets']] == [1, 2, None]
    assert 'id' not in built['widgets'][0]


def test_another_layout_type_deletes_and_creates(remote: Datadog, datadog: FakeDatadog) -> None:
    push(remote, three()[2:])
    (before,) = datadog.dashboards
    document = dashboard(layout_type='free')
    del document['reflow_type']
    assets = [Asset('dashboard', 'test', document)]
    (result,) = push(remote, assets)
    assert result.error == ''
    assert list(datadog.dashboards) == [result.id] != [before]
    assert not make(remote, assets, assets).different


# Failures.


def test_one_that_fails_does_not_keep_the_rest(remote: Datadog, datadog: FakeDatadog) -> None:
    datadog.faults.add('status', status=400, body='{"errors": ["no"]}', path='/api/v1/monitor', method='POST', times=1)
    results = push(remote, three())
    assert [(result.name, bool(result.error)) for result in results] == [
        ('slo/stale_prs', False),
        ('monitor/stale_prs_high', True),
        ('dashboard/test', False),
    ]
    assert [result.name for result in push(remote, three())] == ['monitor/stale_prs_high']
    assert not make(remote, three(), three()).different


@pytest.mark.parametrize('kind', ['slo', 'monitor', 'dashboard'])
@pytest.mark.parametrize('fault', ['reset', 'truncate', 'not_json'])
def test_a_lost_answer_makes_no_duplicate(kind: str, fault: str, remote: Datadog, datadog: FakeDatadog) -> None:
    datadog.faults.add(fault, path=f'/api/v1/{kind}', method='POST', times=1)
    (failed,) = [result for result in push(remote, three()) if result.error]
    assert 'push again: an existing object is found by its marker' in failed.error
    push(remote, three())
    assert [len(store) for store in (datadog.slos, datadog.monitors, datadog.dashboards)] == [1, 1, 1]
    assert not make(remote, three(), three()).different


@pytest.mark.parametrize('number', range(7))
@pytest.mark.parametrize('fault', ['reset', 'status'])
def test_interrupted_anywhere_the_next_push_succeeds(
    number: int, fault: str, remote: Datadog, datadog: FakeDatadog
) -> None:
    assets = [*three(), Asset('slo', 'b', slo(name='B')), Asset('dashboard', 'b', dashboard(title='B'))]
    datadog.faults.add(fault, after=number, status=500)
    with suppress(Unavailable):
        push(remote, assets)
    datadog.faults.clear()
    push(remote, assets)
    assert [len(store) for store in (datadog.slos, datadog.monitors, datadog.dashboards)] == [2, 1, 2]
    assert not make(remote, assets, assets).different


def test_a_replacement_that_fails_half_way(remote: Datadog, datadog: FakeDatadog) -> None:
    push(remote, three())
    document = dashboard(layout_type='free')
    assets = [Asset('dashboard', 'test', document)]
    datadog.faults.add('status', status=400, method='POST', path='/api/v1/dashboard', times=1)
    (result,) = push(remote, assets)
    assert result.error
    assert datadog.dashboards == {}
    (again,) = push(remote, assets)
    assert (again.action, again.error) == (CREATE, '')


def test_what_datadog_stores_otherwise_is_said(remote: Datadog, datadog: FakeDatadog) -> None:
    body = '{"data": [{"id": "1", "name": "Other", "type": "time_slice"}]}'
    datadog.faults.add('status', status=200, body=body, method='POST')
    (result,) = push(remote, [three()[0]])
    assert 'name' in {change.path for change in result.unlike}


def test_what_somebody_changed_since_the_plan_is_left_alone(remote: Datadog, datadog: FakeDatadog) -> None:
    push(remote, three())
    changed = [Asset('dashboard', 'test', dashboard(title='Ours')), Asset('slo', 'stale_prs', slo(name='Ours'))]
    found = make(remote, changed, changed)
    (stored,) = datadog.dashboards.values()
    stored['title'] = 'Theirs'
    results = list(apply.push(remote, found))
    assert [(result.name, 'was changed in Datadog' in result.error) for result in results] == [
        ('slo/stale_prs', False),
        ('dashboard/test', True),
    ]
    assert stored['title'] == 'Theirs'


def test_what_lost_its_marker_since_it_was_listed_is_not_deleted(remote: Datadog, datadog: FakeDatadog) -> None:
    push(remote, three())
    objects = [live for kind in ('slo', 'monitor', 'dashboard') for live in remote.objects(kind)]
    (stored,) = datadog.dashboards.values()
    stored['description'] = 'Now ours.'
    (stored_slo,) = datadog.slos
    del datadog.slos[stored_slo]
    results = list(apply.delete(remote, objects))
    assert [(result.kind, bool(result.error)) for result in results] == [
        ('dashboard', True),
        ('slo', False),
        ('monitor', False),
    ]
    assert len(datadog.dashboards) == 1


def test_read_only_fields_of_a_file_are_not_sent(remote: Datadog, datadog: FakeDatadog) -> None:
    push(remote, [Asset('dashboard', 'test', {**dashboard(), 'id': 'x', 'author_handle': 'somebody@example.com'})])
    (entry,) = [entry for entry in datadog.log if entry.method == 'POST']
    assert 'somebody@' not in entry.body


def test_adopting_keeps_the_object(remote: Datadog, datadog: FakeDatadog) -> None:
    identifier = remote.create('dashboard', dashboard(title='By hand')).id
    push(remote, three(), decided=Decisions({'dashboard/test': identifier}))
    assert list(datadog.dashboards) == [identifier]
    assert marker.of('dashboard', datadog.dashboards[identifier]) == Marker('default', 'test')
    assert not make(remote, three(), three()).different


def test_deleting_begins_with_dashboards(remote: Datadog, datadog: FakeDatadog) -> None:
    push(remote, three())
    objects = [live for kind in ('monitor', 'slo', 'dashboard') for live in remote.objects(kind)]
    assert [result.error for result in apply.delete(remote, objects)] == ['', '', '']
    assert [path.split('/')[3] for path in datadog.calls('DELETE')] == ['dashboard', 'slo', 'monitor']


def test_metadata_of_metrics(remote: Datadog, datadog: FakeDatadog) -> None:
    metrics = list(declared().values())
    datadog.faults.add('status', status=400, path=f'/api/v1/metrics/{metrics[3].name}', body='{"errors": ["no"]}')
    results = dict(apply.describe(remote, metrics))
    assert [name for name, error in results.items() if error] == [metrics[3].name]
    assert set(datadog.metrics) == {metric.name for metric in metrics} - {metrics[3].name}
    duration = datadog.metrics['metta.github.ci.duration_p90_minutes']
    assert (duration['type'], duration['unit']) == ('gauge', 'minute')
    assert duration['description']


# Whatever there is: build, push, plan, pull.


@pytest.fixture(scope='module')
def shared() -> Iterator[tuple[FakeDatadog, Datadog]]:
    service = FakeDatadog()
    with Running(service), Datadog(API_KEY, APP_KEY, url=service.url, backoff=0.01) as connection:
        yield service, connection


@given(
    st.sampled_from(sorted(BODIES)).flatmap(lambda kind: st.tuples(st.just(kind), st.lists(BODIES[kind], max_size=2)))
)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_difference_after_any_push(shared, generated) -> None:
    service, remote = shared
    kind, bodies = generated
    service.dashboards, service.monitors, service.slos = {}, {}, {}
    service.log.clear()
    # One key, so that the second body updates what the first made.
    for body in bodies:
        assets = [asset_of(kind, 'x', copied(body))]
        for result in push(remote, assets):
            assert (result.error, result.unlike) == ('', ())
        assert make(remote, assets, assets).having(SAME)
        (live,) = remote.objects(kind)
        pulled = canonical(kind, remote.body(live))
        assert same(pulled, canonical(kind, body))
        for written in (pulled, merge(kind, body, remote.body(live))):
            again = [asset_of(kind, 'x', written)]
            assert make(remote, again, again).having(SAME)


@pytest.mark.parametrize('asset', SHIPPED, ids=lambda asset: asset.name)
def test_every_shipped_asset(asset: Asset, remote: Datadog) -> None:
    (result,) = push(remote, [asset])
    assert (result.action, result.error, result.unlike) == (CREATE, '', ())
    (live,) = remote.objects(asset.kind)
    assert make(remote, [asset], [asset]).having(SAME)
    assert merge(asset.kind, asset.body, remote.body(live)) == asset.body


def test_all_shipped_assets_together(remote: Datadog, datadog: FakeDatadog) -> None:
    assert {asset.kind for asset in SHIPPED} == {'dashboard', 'monitor', 'slo'}
    assert [result.error for result in push(remote, SHIPPED)] == [''] * len(SHIPPED)
    assert not make(remote, SHIPPED, SHIPPED).different
    assert push(remote, SHIPPED) == []
