"""The sandbox's own frame: clock, faults, control interface, organization, command line."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from itertools import chain, repeat

import pytest
import requests

import sandbox
from sandbox import SERVICES, Clock, Organization, Running, UnknownOption, server
from sandbox.__main__ import main, parse, service_options, write_configuration
from sandbox.faults import Faults

from .fake import FakeService

HEADERS = {'Authorization': 'Bearer right-token'}


@pytest.fixture
def service():
    with Running(FakeService(Organization(), Clock())) as running:
        yield running


def test_a_free_port_is_given_once(monkeypatch):
    with Running(FakeService(Organization(), Clock())) as first:
        old = int(first.url.rpartition(':')[2])
    ports = chain([old], repeat(0))
    bind = server._Server
    monkeypatch.setattr(server, '_Server', lambda _port, service: bind(next(ports), service))
    with Running(FakeService(Organization(), Clock())) as second:
        assert second.url != first.url


def test_the_clock_stands_still_until_told_otherwise():
    clock = Clock()
    assert clock.now() == clock.start
    clock.advance(90)
    assert clock.now() == clock.start + timedelta(seconds=90)
    clock.run()
    assert clock.now() > clock.start + timedelta(seconds=90)


def test_control_from_another_process(service):
    control = f'{service.url}/__sandbox__'
    requests.get(f'{service.url}/numbers', headers=HEADERS, timeout=5)
    log = requests.get(f'{control}/log', timeout=5).json()
    assert [(entry['method'], entry['path'], entry['status']) for entry in log['requests']] == [
        ('GET', '/numbers', 200)
    ]
    requests.delete(f'{control}/log', timeout=5)
    assert requests.get(f'{control}/log', timeout=5).json()['requests'] == []
    requests.post(f'{control}/faults', json={'kind': 'status', 'status': 418}, timeout=5)
    assert requests.get(f'{service.url}/numbers', headers=HEADERS, timeout=5).status_code == 418
    requests.delete(f'{control}/faults', timeout=5)
    assert requests.get(f'{service.url}/numbers', headers=HEADERS, timeout=5).status_code == 200
    now = requests.post(f'{control}/clock', json={'seconds': 60}, timeout=5).json()['now']
    assert now == (service.clock.start + timedelta(seconds=60)).isoformat()
    assert requests.get(f'{control}/instance', timeout=5).json()['source'] == 'fake'
    assert requests.get(f'{control}/nonsense', timeout=5).status_code == 404


def test_faults_strike_what_they_are_for(service):
    service.faults.add('status', status=500, path='/num*', method='GET', after=1, times=1)
    statuses = [requests.get(f'{service.url}/numbers', headers=HEADERS, timeout=5).status_code for _ in range(3)]
    assert statuses == [200, 500, 200]
    with pytest.raises(ValueError, match='unknown fault'):
        Faults().add('explode')


def test_broken_connections_are_really_broken(service):
    for kind in ('reset', 'truncate'):
        service.faults.clear()
        service.faults.add(kind)
        with pytest.raises((requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            requests.get(f'{service.url}/numbers', headers=HEADERS, timeout=5)


def test_the_organization_is_the_known_one():
    organization = Organization()
    jobs = organization.running_jobs
    gpus: Counter[str] = Counter()
    for job in jobs:
        gpus[job.gpu] += job.gpus
    assert len(jobs) == 46
    assert gpus == {'L4': 184, 'A10G': 3, 'L40S': 8, 'H100': 40, '': 0}
    assert sum(gpus.values()) == 235
    assert sum(job.age_hours > 24 for job in jobs) == 37
    assert sum(job.spot for job in jobs) == 39
    assert Counter(job.region for job in jobs) == {
        'us-east-1': 28,
        'us-west-2': 12,
        'eu-west-1': 4,
        'eks_us-east-1_prod': 2,
    }
    assert len({job.owner.login for job in jobs}) == 20
    assert len({person.login for person in organization.people}) == len(organization.people)


def test_the_same_seed_gives_the_same_organization():
    assert Organization(3).running_jobs == Organization(3).running_jobs
    assert Organization(3).running_jobs != Organization(4).running_jobs


def test_command_line_options():
    assert parse(['github', '--scale', '2']).services == ['github']
    assert service_options(['github.history=40000', 'github.ghes=true', 'ec2.regions=[a]']) == {
        'github': {'history': 40000, 'ghes': True},
        'ec2': {'regions': ['a']},
    }
    with pytest.raises(SystemExit):
        parse(['gitlab'])
    with pytest.raises(SystemExit, match=r'expected SERVICE\.NAME=VALUE'):
        service_options(['history=1'])


@pytest.mark.parametrize('name', SERVICES)
def test_options_are_given_by_name(name):
    assert sandbox.service(name, scale=0.01).options_type().scale == 1.0
    with pytest.raises(UnknownOption, match=rf'{name} has no option shoes; it has .*scale'):
        sandbox.service(name, scale=0.01, shoes=2)


def test_an_unknown_option_on_the_command_line_is_one_line():
    with pytest.raises(SystemExit, match='--option: asana has no option shoes'):
        main(['asana', '--option=asana.shoes=2'])


def test_written_configuration_is_a_conf_d(tmp_path, service):
    directory = write_configuration(tmp_path, {'asana': {**service.instance(), 'source': 'asana'}})
    assert [file.name for file in directory.iterdir()] == ['asana.yaml']
    assert 'min_collection_interval: 60' in (directory / 'asana.yaml').read_text()
