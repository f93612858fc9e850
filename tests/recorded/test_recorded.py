"""The checks submit, log and request exactly what the committed recording contains.

A change that is meant to differ writes the recording again (`python -m tests.recorded`), in a commit of its own.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import itertools

import pytest
import yaml

from metta_checks.check import SOURCES
from sandbox.every_option import EVERY_OPTION
from tools.generate import SPEC

from .recorder import lines, path_of, record

pytestmark = pytest.mark.integration
MEASURES = {
    'asana': ('asana.measures.bugs', 'bugs'),
    'ec2': ('ec2.measures.instances', 'measure'),
    'github': ('github.measures.repository', 'measure'),
    'kubernetes': ('kubernetes.measures.pods', 'pods'),
    'skypilot': ('skypilot.measures.jobs', 'jobs'),
    'wandb': ('wandb.measures.counts', 'counts'),
}


@pytest.mark.parametrize('source', SOURCES)
def test_the_recorded_run(source):
    recorded = path_of(source).read_text(encoding='utf-8').splitlines()
    found = record(source).splitlines()
    difference = list(difflib.unified_diff(recorded, found, 'recorded', 'found', lineterm='', n=1))
    assert not difference, '\n'.join(difference[:40])


@pytest.mark.parametrize('source', SOURCES)
def test_a_changed_measure_is_seen(source, monkeypatch):
    module, name = MEASURES[source]
    measures = importlib.import_module(f'metta_checks.{module}')
    original = getattr(measures, name)

    def changed(*args, **kwargs):
        samples = list(original(*args, **kwargs))
        known = next(index for index, sample in enumerate(samples) if sample.value is not None)
        samples[known] = dataclasses.replace(samples[known], value=samples[known].value + 1)
        return samples

    monkeypatch.setattr(measures, name, changed)
    found = list(itertools.takewhile(lambda line: not line.startswith('== warm'), lines(source)))
    assert found != path_of(source).read_text(encoding='utf-8').splitlines()[: len(found)]


@pytest.mark.parametrize('source', SOURCES)
def test_every_switch_is_on(source):
    spec = yaml.safe_load(SPEC.read_text(encoding='utf-8'))
    [file] = [file for file in spec['files'] if file['name'] == f'{source}.yaml']
    [instances] = [option for option in file['options'] if option.get('template') == 'instances']
    own = {option['name']: option.get('value', {}) for option in instances['options'] if 'name' in option}
    switches = {name for name, value in own.items() if value.get('type') == 'boolean' and not value.get('example')}
    assert switches <= EVERY_OPTION[source].keys()
    assert EVERY_OPTION[source].keys() <= own.keys()
    assert all(EVERY_OPTION[source][name] is True for name in switches)
