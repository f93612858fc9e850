from __future__ import annotations

import functools
from typing import Any

import botocore.session
import pytest

from metta_checks.ec2 import service_models
from metta_checks.ec2.service_models import SELECTIONS
from sandbox.ec2.service import ACCESS_KEY, SECRET_KEY


@functools.cache
def whole(service: str) -> dict[str, Any]:
    """Return the service model of the SDK."""
    return botocore.session.Session().get_component('data_loader').load_service_model(service, 'service-2')


@pytest.mark.parametrize('service', SELECTIONS)
def test_the_selection_exists_in_the_sdk(service):
    described, selection = whole(service), SELECTIONS[service]
    assert set(selection.operations) <= set(described['operations'])
    for shape, members in selection.members.items():
        assert set(members) <= set(described['shapes'][shape]['members']), shape


@pytest.mark.parametrize('service', SELECTIONS)
def test_a_reduced_model_has_the_shapes_that_it_refers_to(service):
    reduced = service_models.reduced(whole(service), SELECTIONS[service])
    assert set(reduced['operations']) == set(SELECTIONS[service].operations)
    assert len(reduced['shapes']) < len(whole(service)['shapes']) / 3
    named = set(service_models._references([reduced['operations'], reduced['shapes']]))
    assert named == set(reduced['shapes'])


def test_other_services_are_not_reduced():
    assert service_models.loader().load_service_model('sts', 'service-2') == whole('sts')


def test_a_reduced_client_reads_the_same_values(serve):
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
    own.register_component('data_loader', service_models.loader())
    ours, theirs = (client(session).describe_volumes()['Volumes'] for session in (own, botocore.session.Session()))
    assert len(ours) == len(theirs) > 0
    for mine, other in zip(ours, theirs, strict=True):
        assert set(mine) <= set(SELECTIONS['ec2'].members['Volume'])
        assert mine.pop('CreateTime') == f'{other["CreateTime"]:%Y-%m-%dT%H:%M:%S.000Z}'
        assert [{'InstanceId': a['InstanceId']} for a in other['Attachments']] == mine.pop('Attachments')
        assert mine == {key: other[key] for key in mine}
