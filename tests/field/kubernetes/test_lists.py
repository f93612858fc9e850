"""Lists that change, or break off, while they are read."""

from __future__ import annotations

import json

import pytest

from metta_checks.testing import Driver

from ..case import case
from .world import PLAIN, figures

PODS = '/api/v1/pods'
GPUS = {'labels': {'nvidia.com/gpu.product': 'NVIDIA-L4'}, 'allocatable': {'nvidia.com/gpu': '8'}}


@case('D', 'https://github.com/mlrun/mlrun/pull/6360')
def test_a_pod_that_is_replaced_while_the_list_expires(world):
    """A pod that is replaced while the list expires.

    The list of pods has two pages. A pod with the 8 GPUs of a node is on the first one. Before the check asks for the
    second page, the pod is deleted, its successor gets the GPUs, and the storage drops the old state. The API server
    answers HTTP 410 (`Expired`) and offers a token that continues the list with newer data, where the successor is.

    Right: The list is read again from its beginning. `gpu.requested` is 8, of the successor, and `pods.running` is
    501. There is no warning.

    Unchanged: `gpu.allocatable` is 8.
    """
    world.node('n1', **GPUS)
    first = world.pod('train-a', {'nvidia.com/gpu': '8'})
    for number in range(500):
        world.pod(f'web-{number}')
    answer = world.service.answer

    def replacing(request):
        if 'continue' in request.args and first in world.objects.pods:
            world.objects.pods.remove(first)
            world.pod('train-b', {'nvidia.com/gpu': '8'})
            world.service.changed()
            world.service.expire_tokens()
        return answer(request)

    world.service.answer = replacing
    run = world.run(collect_usage=False)
    gpu = 'gpu_type:l4'
    found = figures(run, f'gpu.requested|{gpu}', f'gpu.allocatable|{gpu}', 'pods.running')
    assert list(found.values()) == [8, 8, 501]
    assert run.warnings == []


@case('D', 'https://github.com/folio-pro/kdashboard/issues/70')
def test_an_expired_list_that_cannot_be_continued(world):
    """An expired list that cannot be continued.

    The API server answers the request for the second page of pods with HTTP 410 and offers no token, once.

    Right: The list is read again from its beginning. `pods.running` is 600.

    Unchanged: A pod of the first page has a request that is not a quantity. It is reported
    once.
    """
    for number in range(600):
        world.pod(f'web-{number}', {} if number else {'memory': '1K'})
    gone = json.dumps({'kind': 'Status', 'metadata': {}, 'reason': 'Expired', 'code': 410})
    world.service.faults.add('status', status=410, path=PODS, after=1, times=1, body=gone)
    run = world.run(collect_usage=False)
    assert run.value('metta.kubernetes.pods.running') == 600
    assert run.errors() == {('pods', 'bad_quantity'): 1}


@case('D', 'https://github.com/kubernetes/kubernetes/pull/67284', guard=True)
def test_a_list_that_expires_again_and_again(world):
    """A list that expires again and again.

    The storage keeps old states for seconds only. The API server answers each request for a second page with HTTP 410.

    Right: `pods.running` and the figures of GPUs that pods hold are absent: a part of the list is not the list. The
    block fails with the reason `expired_token`.

    Unchanged: `resources.cpu_allocatable_cores` is 16.
    """
    world.node('n1', **GPUS)
    for number in range(600):
        world.pod(f'web-{number}')
    world.service.expire_tokens(times=100)
    run = world.run(collect_usage=False)
    assert run.value('metta.kubernetes.pods.running') is None
    assert run.series('metta.kubernetes.gpu.requested') == {}
    assert ('pods', 'expired_token') in run.errors()
    assert run.value('metta.kubernetes.resources.cpu_allocatable_cores') == 16


@case('D', 'https://github.com/k3s-io/k3s/issues/10023', guard=True)
def test_pages_that_repeat_pods(world):
    """Pages that repeat pods.

    The storage of the cluster does not sort its keys, so the second page of pods begins with the last ones of the
    first page, among them one with 8 GPUs.

    Right: Each pod counts once: `pods.running` is 600, `gpu.requested` is 8.

    Unchanged: There is no warning.
    """
    world.node('n1', **GPUS)
    for number in range(600):
        world.pod(f'web-{number}', {'nvidia.com/gpu': '8'} if number == 499 else {})
    start = world.service._start
    world.service._start = lambda token: max(0, start(token) - 20)
    run = world.run(collect_usage=False)
    assert (run.value('metta.kubernetes.pods.running'), run.warnings) == (600, [])
    assert run.value('metta.kubernetes.gpu.requested', 'gpu_type:l4') == 8


@case('D', 'https://github.com/kubernetes/community/pull/896', guard=True)
def test_an_empty_page_in_the_middle(world):
    """An empty page in the middle.

    The check asks for pods that have not succeeded. The API server filters each page after it has read it, so a page of
    finished Jobs is empty and has a continue token nevertheless.

    Right: The list goes on: `pods.running` is 3.

    Unchanged: Two requests read the list.
    """
    for number in range(3):
        world.pod(f'web-{number}')
    empty = json.dumps({'kind': 'PodList', 'metadata': {'continue': world.service._token(0)}, 'items': None})
    world.service.faults.add('status', status=200, path=PODS, times=1, body=empty)
    run = world.run(collect_usage=False)
    assert (run.value('metta.kubernetes.pods.running'), run.warnings) == (3, [])
    assert sum(entry.path == PODS for entry in world.service.log) == 2


@case('D', 'https://github.com/cloud-custodian/cloud-custodian/pull/11081', guard=True)
def test_a_page_that_a_proxy_cuts_off(serve):
    """A page that a proxy cuts off.

    A proxy closes the connection in the middle of each page of pods, before its items end.

    Right: `pods.running` is absent: half a page is not the list.

    Unchanged: `deployments.zero_replicas` is there.
    """
    service = serve('kubernetes', pods=700)
    service.faults.add('truncate', path=PODS)
    run = Driver.of(service, **PLAIN).run()
    assert run.value('metta.kubernetes.pods.running') is None
    assert run.value('metta.kubernetes.deployments.zero_replicas') is not None
    assert run.errors()['pods', 'cut_off'] == 1


@case('D', 'https://github.com/kubernetes/kubernetes/pull/75993')
def test_a_list_that_loses_its_token(world):
    """A list that loses its token.

    There are 600 deployments, 550 of them without replicas. A proxy answers with a page of its own making: it keeps the
    items and `remainingItemCount`, and leaves out the token that leads to the next page.

    Right: `deployments.zero_replicas` is absent: 100 deployments are missing.

    Unchanged: `pods.running` is 1.
    """
    world.pod('web')
    for number in range(600):
        metadata = {'name': f'd{number}', 'namespace': 'team-a', 'uid': f'd{number}'}
        world.objects.deployments.append({'metadata': metadata, 'spec': {'replicas': 0 if number < 550 else 1}})
    answer = world.service.answer

    def without_token(request):
        response = answer(request)
        if request.path.endswith('/deployments'):
            page = json.loads(response.get_data())
            page['metadata'].pop('continue', None)
            response.set_data(json.dumps(page))
        return response

    world.service.answer = without_token
    run = world.run(collect_usage=False)
    assert run.value('metta.kubernetes.deployments.zero_replicas') is None
    assert run.errors()['deployments', 'bad_payload'] == 1
    assert run.value('metta.kubernetes.pods.running') == 1


@case('D', 'https://github.com/k3s-io/k3s/issues/10023')
@pytest.mark.parametrize('gap', ['row', 'namespace'])
def test_a_pod_that_is_missing_once(world, gap):
    """A pod that is missing once.

    A container was restarted 40 times in the days before, and killed once for lack of memory. Its pod is missing from
    one refresh: the pages of a storage that does not sort its keys leave it out, or its namespace is forbidden.

    Right: `containers.restarts` and `containers.oom_kills` are 0 when the pod is back, and `pods.crash_looping` is 0:
    nothing was restarted since.

    Unchanged: Two restarts after that count.
    """
    days = world.ago(days=2)
    end = {'terminated': {'exitCode': 137, 'reason': 'OOMKilled', 'finishedAt': days, 'containerID': 'c40'}}
    status = {'name': 'main', 'restartCount': 40, 'state': {'running': {'startedAt': days}}, 'lastState': end}
    old = {'name': 'old', 'namespace': 'team-a', 'uid': 'uid-old', 'creationTimestamp': world.ago(days=9)}
    world.pod('new', namespace='team-b')
    pod = world.pod('old', metadata=old, status={'containerStatuses': [status]})
    options = {'collect_usage': False, 'collect_nodes': False, 'namespaces': {'include': ['team-a', 'team-b']}}
    names = ('containers.restarts', 'containers.oom_kills', 'pods.crash_looping')
    world.run(**options)
    if gap == 'row':
        world.objects.pods.remove(pod)
    else:
        world.service.forbidden_namespaces = {'team-a'}
    world.service.pass_time(300)
    world.run(**options)
    world.service.forbidden_namespaces = set()
    world.objects.pods[1:] = [pod]
    world.service.pass_time(300)
    assert list(figures(world.run(**options), *names).values()) == [0, 0, 0]
    status['restartCount'] = 42
    world.service.pass_time(300)
    assert figures(world.run(**options), 'containers.restarts') == {'containers.restarts': 2}
