from __future__ import annotations

import functools
from typing import Any

import botocore.session
import pytest

from metta_checks.ec2 import model
from metta_checks.ec2.model import READINGS
from sandbox.ec2.service import ACCESS_KEY, SECRET_KEY


@functools.cache
def whole(service: str) -> dict[str, Any]:
    """The SDK's own description of a service."""
    return botocore.session.Session().get_component('data_loader').load_service_model(service, 'service-2')


@pytest.mark.parametrize('service', READINGS)
def test_what_is_kept_exists_in_the_sdk(service):
    described, reading = whole(service), READINGS[service]
    assert set(reading.operations) <= set(described['operations'])
    for shape, members in reading.members.items():
        assert set(members) <= set(described['shapes'][shape]['members']), shape


@pytest.mark.parametrize('service', READINGS)
def test_the_rest_is_gone_and_nothing_dangles(service):
    reduced = model.reduced(whole(service), READINGS[service])
    assert set(reduced['operations']) == set(READINGS[service].operations)
    assert len(reduced['shapes']) < len(whole(service)['shapes']) / 3
    named = set(model._references([reduced['operations'], reduced['shapes']]))
    assert named == set(reduced['shapes'])


def test_other_services_are_left_alone():
    assert model.loader().load_service_model('sts', 'service-2') == whole('sts')


def test_a_reduced_client_reads_the_same(serve):
    service = serve('ec2', scale=0.1)

    def client(session):
        return session.create_client(
            'ec2',
            region_name='us-east-1',
            endpoint_url=service.url,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
        )

    own = botocore.session.Session()
    own.register_component('data_loader', model.loader())
    ours, theirs = (client(session).describe_volumes()['Volumes'] for session in (own, botocore.session.Session()))
    assert len(ours) == len(theirs) > 0
    for mine, other in zip(ours, theirs, strict=True):
        assert set(mine) <= set(READINGS['ec2'].members['Volume'])
        assert mine.pop('CreateTime') == f'{other["CreateTime"]:%Y-%m-%dT%H:%M:%S.000Z}'
        assert [{'InstanceId': a['InstanceId']} for a in other['Attachments']] == mine.pop('Attachments')
        assert mine == {key: other[key] for key in mine}
