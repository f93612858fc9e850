"""Parsing of W&B's answers."""

from __future__ import annotations

import json
import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.wandb.records import GpuReadings, Run, number_at

pytestmark = pytest.mark.unit

# As the runs query of W&B's own SDK (0.31) and of the web application return them.
NODE = {
    'id': 'UnVuOnYxOmFiYzEyMzQ1Om1ldHRhOm1ldHRhLXJlc2VhcmNo',
    'projectId': 4711,
    'name': 'abc12345',
    'displayName': 'ptm-large-07',
    'state': 'finished',
    'tags': ['stable', 'v2'],
    'group': 'nightly',
    'jobType': 'train',
    'sweepName': 'k3v9x1',
    'commit': '0f3a',
    'readOnly': False,
    'createdAt': '2026-03-01T10:00:00Z',
    'heartbeatAt': '2026-03-01T12:30:00.500000',
    'computeSeconds': 5400,
    'description': None,
    'notes': None,
    'config': '{"num_gpus": {"value": 16, "desc": null}}',
    'summaryMetrics': '{"accuracy": 0.91, "_runtime": 5400}',
    'systemMetrics': '{"system.gpu.0.gpu": 77.0}',
    'historyLineCount': 120,
    'user': {'name': 'Ada Okafor', 'username': 'adao'},
    'runInfo': {'gpu': 'NVIDIA L4', 'gpuCount': 4},
}


def run_of(node, gpu_count_key=None) -> Run:
    run = Run.parse(node, gpu_count_key)
    assert run is not None
    return run


def readings_of(node) -> GpuReadings:
    readings = GpuReadings.parse(node)
    assert readings is not None
    return readings


def test_a_complete_node():
    run = run_of(NODE)
    assert (run.id, run.name, run.state, run.user, run.sweep) == (
        'abc12345',
        'ptm-large-07',
        'finished',
        'adao',
        'k3v9x1',
    )
    assert (run.tags, run.group, run.job_type) == (('stable', 'v2'), 'nightly', 'train')
    # Both spellings of time: with Z, and without a zone but with a fraction.
    assert run.heartbeat == run.created + timedelta(hours=2.5, seconds=0.5)
    assert (run.compute_seconds, run.gpu_type, run.gpus) == (5400, 'l4', 4)
    assert run.summary['accuracy'] == 0.91
    assert not run.damaged


def test_everything_that_may_be_null_is_null():
    node = dict.fromkeys(NODE) | {'name': 'x', 'state': 'PENDING', 'createdAt': '2026-03-01T10:00:00'}
    run = run_of(node)
    assert (run.state, run.heartbeat, run.compute_seconds, run.gpu_type, run.gpus) == (
        'pending',
        None,
        None,
        'unknown',
        0,
    )
    assert (run.name, run.group, run.job_type, run.sweep, run.user, run.tags) == ('', '', '', '', '', ())
    assert run.summary == {}
    assert not run.damaged


@pytest.mark.parametrize('missing', ['name', 'state', 'createdAt'])
def test_a_node_that_is_no_run(missing):
    assert Run.parse({**NODE, missing: None}) is None
    assert Run.parse({key: value for key, value in NODE.items() if key != missing}) is None


def test_gpus_are_unknown_where_the_server_has_no_run_info_but_none_where_it_is_null():
    assert run_of({key: value for key, value in NODE.items() if key != 'runInfo'}).gpus is None
    assert run_of({**NODE, 'runInfo': None}).gpus == 0


def test_the_configured_number_of_gpus_wins():
    assert run_of(NODE, 'num_gpus').gpus == 16
    assert run_of({**NODE, 'config': '{"num_gpus": 8}'}, 'num_gpus').gpus == 8
    assert run_of({**NODE, 'config': '{"num_gpus": {"value": "many"}}'}, 'num_gpus').gpus == 4
    assert run_of({**NODE, 'config': '{}'}, 'num_gpus').gpus == 4


@pytest.mark.parametrize('text', ['{"accuracy": 0.9', '[1, 2]', '', '"text"'])
def test_a_summary_that_is_not_a_json_object_is_reported(text):
    run = run_of({**NODE, 'summaryMetrics': text})
    assert run.damaged
    assert run.summary == {}


# Mistake 7 of the first system: one value that is not a number lost all the others.
@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('{"k": 0.5}', 0.5),
        ('{"k": 3}', 3.0),
        ('{"k": -0.0}', 0.0),
        ('{"k": true}', None),
        ('{"k": "NaN"}', None),
        ('{"k": "Infinity"}', None),
        ('{"k": "diverged"}', None),
        ('{"k": NaN}', None),
        ('{"k": -Infinity}', None),
        ('{"k": null}', None),
        ('{"k": {"max": 1}}', None),
        ('{"k": [1]}', None),
        ('{"k": 1' + '0' * 400 + '}', None),
        ('{}', None),
    ],
)
def test_number(text, expected):
    assert number_at(json.loads(text), 'k') == expected


def test_a_key_is_looked_up_literally_first_then_as_a_path():
    assert number_at({'accuracy': {'max': 0.9}}, 'accuracy.max') == 0.9
    assert number_at({'accuracy.max': 0.8, 'accuracy': {'max': 0.9}}, 'accuracy.max') == 0.8
    assert number_at({'accuracy.max': 'NaN', 'accuracy': {'max': 0.9}}, 'accuracy.max') is None
    assert number_at({'a': {'b': {'c': 1}}}, 'a.b.c') == 1
    assert number_at({'a': 5}, 'a.b') is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(['a', 'a.b', 'b']), JSON), st.sampled_from(['a', 'a.b', 'b', 'a.b.c', '.']))
def test_number_is_finite_or_none_for_any_summary(values, key):
    found = number_at(values, key)
    assert found is None or (isinstance(found, float) and math.isfinite(found))


@given(st.dictionaries(st.sampled_from(sorted(NODE)), JSON))
def test_no_node_makes_the_parsers_fail(changes):
    node = {**NODE, **changes}
    run = Run.parse(node, 'num_gpus')
    assert run is None or (run.gpus is None or run.gpus >= 0)
    readings = GpuReadings.parse(node, 'num_gpus')
    assert readings is None or all(map(math.isfinite, readings.utilization))


# Mistake 8 of the first system: it looked for the first GPU only, under a key that never exists in the summary.
def test_readings_of_eight_gpus():
    system = {f'system.gpu.{index}.gpu': 70.0 + index for index in range(8)}
    system |= {f'system.gpu.{index}.memoryAllocated': 50.0 for index in range(8)}
    system |= {f'system.gpu.process.{index}.gpu': 1.0 for index in range(8)}
    system |= {'system.gpu.0.temp': 60.0, 'system.gpu.x.gpu': 2.0, 'system.cpu': 3.0, 'xsystem.gpu.0.gpu': 4.0}
    readings = readings_of({**NODE, 'systemMetrics': json.dumps(system)})
    assert readings.utilization == tuple(70.0 + index for index in range(8))
    assert readings.memory == (50.0,) * 8


def test_readings_with_a_label_and_readings_that_are_no_numbers():
    system = {'system.gpu.0.gpu/l:rank0': 81.0, 'system.gpu.10.gpu/l:a.b': 82.0, 'system.gpu.2.gpu': 'NaN'}
    assert readings_of({**NODE, 'systemMetrics': json.dumps(system)}).utilization == (81.0, 82.0)


def test_damaged_readings_are_reported():
    readings = readings_of({**NODE, 'systemMetrics': '{'})
    assert readings.damaged
    assert readings.utilization == ()
    assert GpuReadings.parse({**NODE, 'name': None}) is None
