"""Parsing of W&B's answers."""

from __future__ import annotations

import json
import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.wandb.hardware import Hardware
from metta_checks.wandb.keys import top_level_names
from metta_checks.wandb.records import GpuReadings, Run, number_at
from metta_checks.wandb.system_metrics import Gpu

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


def utilization(readings):
    return [values['gpu'] for _, values in sorted(readings.metrics.readings.items()) if 'gpu' in values]


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
    assert (run.times.running_seconds, run.hardware.gpu_type, run.hardware.gpus) == (5400, 'l4', 4)
    assert run.summary['accuracy'] == 0.91
    assert not run.damaged


def test_everything_that_may_be_null_is_null():
    node = dict.fromkeys(NODE) | {'name': 'x', 'state': 'PENDING', 'createdAt': '2026-03-01T10:00:00'}
    run = run_of(node)
    assert (run.state, run.heartbeat, run.times.running_seconds) == ('pending', None, None)
    assert run.hardware == Hardware('unknown')
    assert (run.name, run.group, run.job_type, run.sweep, run.user, run.tags) == ('', '', '', '', '', ())
    assert run.summary == {}
    assert not run.damaged


@pytest.mark.parametrize('missing', ['name', 'state', 'createdAt'])
def test_a_node_that_is_no_run(missing):
    assert Run.parse({**NODE, missing: None}) is None
    assert Run.parse({key: value for key, value in NODE.items() if key != missing}) is None


@pytest.mark.parametrize(
    ('info', 'readings', 'gpus'),
    [
        # Unknown: no metadata, or a name without a number.
        (None, 0, None),
        ({'gpu': 'NVIDIA L4', 'gpuCount': None}, 0, None),
        # A machine without GPUs.
        ({'gpu': None, 'gpuCount': None}, 0, 0),
        ({'gpu': None, 'gpuCount': 0}, 0, 0),
        ({'gpu': 'NVIDIA L4', 'gpuCount': 4}, 0, 4),
        # The readings show GPUs that the metadata does not.
        (None, 2, 2),
        ({'gpu': None, 'gpuCount': 0}, 8, 8),
        ({'gpu': 'NVIDIA L4', 'gpuCount': 1}, 8, 8),
    ],
)
def test_the_number_of_gpus_of_a_machine(info, readings, gpus):
    system = json.dumps({f'system.gpu.{index}.gpu': 50.0 for index in range(readings)})
    assert run_of({**NODE, 'runInfo': info, 'systemMetrics': system}).hardware.gpus == gpus


def labeled(labels, held):
    """Return system metrics of labels that read eight GPUs each, and hold the given ones."""
    return json.dumps(
        {f'system.gpu.{index}.gpu/l:{label}': 50.0 for label in labels for index in range(8)}
        | {f'system.gpu.process.{index}.gpu/l:{label}': 50.0 for label in held for index in held[label]}
    )


@pytest.mark.parametrize(
    ('labels', 'held', 'gpus'),
    [
        # A label for each of two machines.
        (('a', 'b'), {'a': range(8), 'b': range(8)}, 16),
        # A label for each of eight processes of one machine.
        (range(8), {rank: [rank] for rank in range(8)}, 8),
        # Without readings of processes nobody knows.
        (range(8), {}, None),
    ],
)
def test_labels_may_share_a_machine(labels, held, gpus):
    run = run_of({**NODE, 'systemMetrics': labeled(labels, held), 'runInfo': {'gpu': 'NVIDIA L4', 'gpuCount': 8}})
    assert run.hardware.gpus == gpus


def writer(host, ids, started='2026-03-01T10:00:00Z'):
    gpus = [{'name': 'NVIDIA L4', 'uuid': gpu_id} for gpu_id in ids]
    return {'host': host, 'startedAt': started, 'gpu_count': len(gpus), 'gpu_nvidia': gpus}


def test_ids_of_gpus_come_from_the_configuration_that_the_sdk_writes():
    config = {'_wandb': {'value': {'e': {'w1': writer('node-1', ['GPU-1', 'GPU-2'])}}}}
    found = run_of({**NODE, 'config': json.dumps(config)}).hardware
    assert (found.gpus, len(found.gpu_ids), found.host) == (2, 2, 'node-1')


def test_a_resumed_run_is_on_the_machine_of_its_last_writer():
    writers = {'w2': writer('node-2', ['GPU-3'], '2026-03-02T10:00:00Z'), 'w1': writer('node-1', ['GPU-1', 'GPU-2'])}
    config = {'_wandb': {'value': {'e': writers}}}
    found = run_of({**NODE, 'config': json.dumps(config)}).hardware
    assert (found.gpus, found.host) == (1, 'node-2')
    shared = labeled(('a', 'b'), {})
    assert run_of({**NODE, 'config': json.dumps(config), 'systemMetrics': shared}).hardware.gpus == 3


@pytest.mark.parametrize(
    ('config', 'key', 'declared'),
    [
        ({'num_gpus': {'value': 16, 'desc': None}}, 'num_gpus', 16),
        ({'num_gpus': 8}, 'num_gpus', 8),
        ({'num_gpus': {'value': '8'}}, 'num_gpus', 8),
        ({'num_gpus': {'value': 'many'}}, 'num_gpus', None),
        ({'trainer': {'value': {'num_gpus': 4}}}, 'trainer.num_gpus', 4),
        ({'trainer.num_gpus': {'value': 2}, 'trainer': {'value': {'num_gpus': 4}}}, 'trainer.num_gpus', 2),
        ({'num_gpus': {'value': 1e300}}, 'num_gpus', None),
        ({}, 'num_gpus', None),
    ],
)
def test_the_declared_number_of_gpus(config, key, declared):
    hardware = run_of({**NODE, 'config': json.dumps(config)}, key).hardware
    assert (hardware.declared, hardware.gpus) == (declared, 4)


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
    assert number_at({'eval.top1': {'max': 0.7}, 'eval': {'top1': 0.6}}, 'eval.top1.max') == 0.7
    assert number_at({'a': {'b.c': {'d': 2}}}, 'a.b.c.d') == 2
    assert top_level_names('eval.top1.max') == ['eval.top1.max', 'eval.top1', 'eval']
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
    assert run is None or (run.hardware.demand is None or run.hardware.demand >= 0)
    readings = GpuReadings.parse(node, 'num_gpus')
    assert readings is None or all(map(math.isfinite, utilization(readings)))


# Mistake 8 of the first system: it looked for the first GPU only, under a key that never exists in the summary.
def test_readings_of_eight_gpus():
    system = {f'system.gpu.{index}.gpu': 70.0 + index for index in range(8)}
    system |= {f'system.gpu.{index}.memoryAllocated': 50.0 for index in range(8)}
    system |= {f'system.gpu.process.{index}.gpu': 1.0 for index in range(8)}
    system |= {'system.gpu.0.temp': 60.0, 'system.gpu.x.gpu': 2.0, 'system.cpu': 3.0, 'xsystem.gpu.0.gpu': 4.0}
    readings = readings_of({**NODE, 'systemMetrics': json.dumps(system)})
    assert utilization(readings) == [70.0 + index for index in range(8)]
    assert readings.metrics.readings[Gpu('', 0)] == {'gpu': 70.0, 'memoryAllocated': 50.0, 'temp': 60.0}
    assert readings.metrics.held == {Gpu('', index) for index in range(8)}


def test_readings_with_a_label_and_readings_that_are_no_numbers():
    system = {'system.gpu.0.gpu/l:rank0': 81.0, 'system.gpu.10.gpu/l:a.b': 82.0, 'system.gpu.2.gpu': 'NaN'}
    readings = readings_of({**NODE, 'systemMetrics': json.dumps(system)})
    assert readings.metrics.readings == {Gpu('rank0', 0): {'gpu': 81.0}, Gpu('a.b', 10): {'gpu': 82.0}}


def test_damaged_readings_are_reported():
    readings = readings_of({**NODE, 'systemMetrics': '{'})
    assert readings.damaged
    assert readings.metrics.readings == {}
    assert GpuReadings.parse({**NODE, 'name': None}) is None
