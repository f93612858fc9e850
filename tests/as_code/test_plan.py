"""Plans: files compared with the objects in Datadog."""

from __future__ import annotations

import pytest

from metta_checks.as_code import marker, plan
from metta_checks.as_code.asset import Asset, AssetError
from metta_checks.as_code.changes import Change
from metta_checks.as_code.marker import Marker
from metta_checks.as_code.plan import CREATE, DELETE, ERROR, SAME, UPDATE, Decisions, decisions, make
from metta_checks.as_code.remote import Datadog, Refused

from .documents import copied, dashboard, monitor, slo, three
from .fake_datadog import FakeDatadog

pytestmark = pytest.mark.integration


def store(remote: Datadog, assets: list[Asset], namespace: str = 'default') -> list[str]:
    """Put assets into Datadog without the code under test. Returns the ids."""
    return [
        remote.create(asset.kind, marker.attach(asset.kind, asset.body, Marker(namespace, asset.key))).id
        for asset in assets
    ]


def actions(found: plan.Plan) -> dict[str, str]:
    return {step.name: step.action for step in found.steps}


def test_all_is_new_in_an_empty_organization(remote: Datadog, datadog: FakeDatadog) -> None:
    found = make(remote, three(), three())
    assert actions(found) == {'slo/stale_prs': CREATE, 'monitor/stale_prs_high': CREATE, 'dashboard/test': CREATE}
    assert found.different
    # Planning writes nothing: the one POST asks whether the monitor is valid.
    assert [entry.path for entry in datadog.log if entry.method != 'GET'] == ['/api/v1/monitor/validate']


def test_nothing_to_do(remote: Datadog) -> None:
    store(remote, three())
    found = make(remote, three(), three())
    assert set(actions(found).values()) == {SAME}
    assert not found.different
    assert found.counts() == {'create': 0, 'update': 0, 'same': 3, 'delete': 0, 'error': 0}


def test_values_that_datadog_fills_in_are_no_difference(remote: Datadog) -> None:
    time_slice = slo()
    del time_slice['sli_specification']['time_slice']['query_interval_seconds']
    query = '"metta.can_connect".over("*").by("source").last(2).count_by_status()'
    check = monitor(type='service check', query=query, options={'thresholds': {'warning': 1}})
    bare = monitor(type='service check', query=query, options={})
    assets = [Asset('slo', 'a', time_slice), Asset('monitor', 'b', check), Asset('monitor', 'c', bare)]
    store(remote, assets)
    assert set(actions(make(remote, assets, assets)).values()) == {SAME}
    # A value of one's own is a difference.
    time_slice['sli_specification']['time_slice']['query_interval_seconds'] = 60
    check['definition']['options']['thresholds']['critical'] = 3
    assert set(actions(make(remote, assets, assets)).values()) == {UPDATE, SAME}


def test_an_edited_widget_is_exactly_that_path(remote: Datadog, datadog: FakeDatadog) -> None:
    _, _, identifier = store(remote, three())
    group = datadog.dashboards[identifier]['widgets'][1]['definition']
    request = group['widgets'][0]['definition']['requests'][0]
    request['queries'][0]['query'] = 'sum:metta.github.prs.open{*}'
    (step,) = make(remote, three(), three()).having(UPDATE)
    path = 'widgets[1].definition.widgets[0].definition.requests[0].queries[0].query'
    was = 'avg:metta.github.prs.open{$env,$repo} by {repo}'
    assert step.changes == (Change(path, 'sum:metta.github.prs.open{*}', was),)


def test_an_edited_monitor_and_slo(remote: Datadog, datadog: FakeDatadog) -> None:
    slo_id, monitor_id, _ = store(remote, three())
    datadog.monitors[int(monitor_id)]['options']['thresholds']['warning'] = 30.0
    datadog.slos[slo_id]['sli_specification']['time_slice']['comparator'] = '<'
    found = make(remote, three(), three())
    assert {(step.name, *(change.path for change in step.changes)) for step in found.having(UPDATE)} == {
        ('slo/stale_prs', 'sli_specification.time_slice.comparator'),
        ('monitor/stale_prs_high', 'options.thresholds.warning'),
    }


def test_what_left_the_source_is_shown_and_only_when_all_is_planned(remote: Datadog) -> None:
    store(remote, [*three(), Asset('slo', 'old', slo(name='Old'))])
    (step,) = make(remote, three(), three()).having(DELETE)
    assert (step.name, step.title) == ('slo/old', 'Old')
    assert make(remote, three()[:1], three()).having(DELETE) == []


def test_another_namespace_is_not_ours(remote: Datadog) -> None:
    store(remote, [*three(), Asset('slo', 'old', slo(name='Old'))], namespace='other')
    found = make(remote, three(), three())
    assert set(actions(found).values()) == {CREATE}
    assert found.unmanaged == {'slo': 2, 'monitor': 1, 'dashboard': 1}


def test_two_objects_with_one_key(remote: Datadog) -> None:
    first = store(remote, three())
    second = store(remote, three())
    for step in make(remote, three(), three()).steps:
        assert step.action == ERROR
        assert any(f'{one}, {other}' in step.error for one, other in zip(first, second, strict=True))


def test_the_same_key_in_two_kinds_is_no_duplicate(remote: Datadog) -> None:
    assets = [Asset('slo', 'x', slo()), Asset('monitor', 'x', monitor()), Asset('dashboard', 'x', dashboard())]
    store(remote, assets)
    assert set(actions(make(remote, assets, assets)).values()) == {SAME}


# Objects that nobody manages.


def test_an_unmanaged_object_with_the_same_title(remote: Datadog) -> None:
    identifier = remote.create('dashboard', dashboard()).id
    assets = [three()[2]]
    (step,) = make(remote, assets, assets).steps
    assert (step.action, step.candidate.id if step.candidate else '') == (ERROR, identifier)
    assert f'push --adopt dashboard/test={identifier}' in step.error


def test_several_with_the_same_title_are_no_candidate(remote: Datadog) -> None:
    ids = [remote.create('dashboard', dashboard()).id for _ in range(2)]
    (step,) = make(remote, three()[2:], three()[2:]).steps
    assert step.candidate is None
    assert ', '.join(ids) in step.error


def test_creating_another_one_on_request(remote: Datadog) -> None:
    remote.create('dashboard', dashboard())
    (step,) = make(remote, three()[2:], three()[2:], decided=Decisions(new={'dashboard/test'})).steps
    assert step.action == CREATE


def test_adopting(remote: Datadog) -> None:
    identifier = remote.create('dashboard', dashboard(title='Made by hand')).id
    (step,) = make(remote, three()[2:], three()[2:], decided=Decisions({'dashboard/test': identifier})).steps
    assert step.action == UPDATE
    assert {change.path for change in step.changes} == {'title', 'description (last line)'}


def test_what_cannot_be_adopted(remote: Datadog) -> None:
    (other,) = store(remote, [three()[2]], namespace='other')
    for identifier, message in (('abc', 'there is no dashboard abc'), (other, 'is managed already, as other/test')):
        (step,) = make(remote, three()[2:], three()[2:], decided=Decisions({'dashboard/test': identifier})).steps
        assert step.action == ERROR
        assert message in step.error


def test_choices_name_one_asset_each() -> None:
    assets = [Asset('slo', 'x', slo()), Asset('dashboard', 'x', dashboard()), Asset('monitor', 'y', monitor())]
    assert decisions(['slo/x=1', 'y=2'], ['dashboard/x'], assets) == Decisions(
        {'slo/x': '1', 'monitor/y': '2'}, {'dashboard/x'}
    )
    for adopt, message in (
        (['x=1'], 'name one of slo/x, dashboard/x'),
        (['z=1'], 'no asset has this key'),
        (['y'], 'expected KEY=ID'),
        (['y='], 'expected KEY=ID'),
        (['slo/x=1', 'y=1'], 'two keys'),
    ):
        with pytest.raises(AssetError, match=message):
            decisions(adopt, [], assets)


# Validity and failures.


def test_a_monitor_that_datadog_does_not_accept(remote: Datadog) -> None:
    document = monitor(options={'thresholds': {'critical': 1}})
    assets = [Asset('monitor', 'x', document)]
    (step,) = make(remote, assets, assets).steps
    assert step.action == ERROR
    assert 'Alert threshold does not match' in step.error


def test_a_changed_monitor_is_validated_as_itself(remote: Datadog, datadog: FakeDatadog) -> None:
    (identifier,) = store(remote, [three()[1]])
    changed = [Asset('monitor', 'stale_prs_high', monitor(priority=1))]
    assert make(remote, changed, changed).having(UPDATE)
    assert datadog.calls('POST', 'validate') == [f'/api/v1/monitor/{identifier}/validate']


def test_a_plan_needs_no_right_to_write(remote: Datadog, datadog: FakeDatadog) -> None:
    datadog.forbidden = {'dashboards_write', 'monitors_write', 'slos_write'}
    found = make(remote, three(), three())
    assert set(actions(found).values()) == {CREATE}
    (note,) = found.steps[1].notes
    assert note.startswith('not validated: POST /api/v1/monitor/validate: HTTP 403')


def test_one_object_that_cannot_be_read(remote: Datadog, datadog: FakeDatadog) -> None:
    _, _, identifier = store(remote, three())
    datadog.faults.add('status', status=404, path=f'/api/v1/dashboard/{identifier}')
    found = actions(make(remote, three(), three()))
    assert found == {'slo/stale_prs': SAME, 'monitor/stale_prs_high': SAME, 'dashboard/test': ERROR}


def test_no_right_to_list_is_a_failure_of_the_whole(remote: Datadog, datadog: FakeDatadog) -> None:
    datadog.forbidden = {'monitors_read'}
    with pytest.raises(Refused, match='monitors_read'):
        make(remote, three(), three())


@pytest.mark.parametrize('name', ['', 'a/b', 'a b', '-x', 'ä'])
def test_names_that_a_marker_cannot_hold(name: str, remote: Datadog) -> None:
    with pytest.raises(AssetError, match='namespace'):
        make(remote, three(), three(), namespace=name)
    with pytest.raises(AssetError, match='key'):
        make(remote, [Asset('slo', name, slo())], [])


def test_another_layout_type_is_a_replacement(remote: Datadog) -> None:
    store(remote, [three()[2]])
    document = dashboard(layout_type='free')
    del document['reflow_type']
    assets = [Asset('dashboard', 'test', document)]
    (step,) = make(remote, assets, assets).steps
    assert step.replace
    assert 'deleted and created again' in step.notes[0]


def test_the_plan_as_json(remote: Datadog, datadog: FakeDatadog) -> None:
    _, identifier, _ = store(remote, three())
    datadog.monitors[int(identifier)]['priority'] = None
    found = make(remote, three(), three())
    assert found.summary() == {
        'namespace': 'default', 'create': 0, 'update': 1, 'same': 2, 'delete': 0, 'error': 0,
        'unmanaged': {'slo': 0, 'monitor': 0, 'dashboard': 0},
    }  # fmt: skip
    assert copied(found.steps[1].document()) == {
        'kind': 'monitor',
        'key': 'stale_prs_high',
        'title': 'Stale PR count is above 50',
        'action': 'update',
        'id': identifier,
        'changes': [{'path': 'priority', 'new': 3}],
    }
