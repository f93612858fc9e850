"""Against a real kube-apiserver (tests/peers/kubernetes/run.sh): TLS, RBAC, admission, paging, 410, selectors, gzip."""

from __future__ import annotations

import contextlib
import json
import os
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from datadog_checks.base import AgentCheck

from metta_checks.kubernetes.check import KubernetesCheck
from metta_checks.testing import Driver
from metta_checks.verify import Figure, compare, recompute

from .build import Problems

PEER = os.environ.get('METTA_KUBE_PEER', '')
STATE = Path(PEER)
pytestmark = [
    pytest.mark.kube_apiserver,
    pytest.mark.skipif(
        not PEER, reason='METTA_KUBE_PEER (directory of kubeconfigs) is not set: run tests/peers/kubernetes/run.sh'
    ),
]
PREFIX = 'metta.kubernetes.'
MERGE = 'application/merge-patch+json'
PODS = 1_100
NAMESPACES = ('load-a', 'load-b', 'load-c')
# Notations that users write. The server must keep them, and the check must read them.
MEMORY = ('64Mi', '128974848', '1500M', '1e9', '12e6', '629145600000m', '2k', '1Ti')


class Admin:
    """Writes to the API server."""

    def __init__(self, state: Path) -> None:
        document = yaml.safe_load((state / 'kubeconfig').read_text())
        cluster = document['clusters'][0]['cluster']
        self.url = cluster['server']
        self._token = document['users'][0]['user']['token']
        self._context = ssl.create_default_context(cafile=cluster['certificate-authority'])

    def call(self, method: str, path: str, body: Any = None, kind: str = 'application/json') -> Any:
        """Return the answer. Raises urllib.error.HTTPError."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={'Authorization': f'Bearer {self._token}', 'Content-Type': kind},
        )
        with urllib.request.urlopen(request, context=self._context, timeout=60) as answer:
            return json.load(answer)

    def pod(self, namespace: str, name: str, spec: dict, status: dict, **metadata: Any) -> None:
        """Create a pod and give it a status, as a kubelet would."""
        metadata = {'name': name, 'namespace': namespace, **metadata}
        pods = f'/api/v1/namespaces/{namespace}/pods'
        self.call('POST', pods, {'apiVersion': 'v1', 'kind': 'Pod', 'metadata': metadata, 'spec': spec})
        self.call('PATCH', f'{pods}/{name}/status', {'status': status}, MERGE)

    def node(self, name: str, allocatable: dict, *, ready: bool = True, **parts: Any) -> None:
        """Create a node and give it a status. `labels` and `spec` are its own."""
        metadata = {'name': name, 'labels': parts.get('labels', {})}
        self.call('POST', '/api/v1/nodes', {'metadata': metadata, 'spec': parts.get('spec', {})})
        condition = {'type': 'Ready', 'status': 'True' if ready else 'False'}
        status = {'allocatable': allocatable, 'conditions': [condition]}
        self.call('PATCH', f'/api/v1/nodes/{name}/status', {'status': status}, MERGE)

    def delete(self, path: str, **options: Any) -> None:
        """Request the deletion of an object."""
        self.call('DELETE', path, {'apiVersion': 'v1', 'kind': 'DeleteOptions', **options})

    def usage(self, namespace: str, name: str, containers: dict[str, tuple[str, str]]) -> None:
        """Create a PodMetrics entry."""
        self.call(
            'POST',
            f'/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods',
            {
                'apiVersion': 'metrics.k8s.io/v1beta1',
                'kind': 'PodMetrics',
                'metadata': {'name': name, 'namespace': namespace},
                'timestamp': stamp(seconds=20),
                'window': '15s',
                'containers': [
                    {'name': key, 'usage': {'cpu': cpu, 'memory': memory}} for key, (cpu, memory) in containers.items()
                ],
            },
        )


def stamp(**ago: float) -> str:
    return (datetime.now(UTC) - timedelta(**ago)).strftime('%Y-%m-%dT%H:%M:%SZ')


def pod_of(number: int) -> tuple[dict, dict, dict[str, tuple[str, str]] | None]:
    """Return specification, status and usage of the pod with a number."""
    requests = {'cpu': ('100m', '1', '0.5', '2e0')[number % 4], 'memory': MEMORY[number % len(MEMORY)]}
    spec: dict[str, Any] = {
        'nodeName': f'node-{number % 3}',
        'containers': [{'name': 'main', 'image': 'example/main', 'resources': {'requests': requests}}],
    }
    if number % 10 == 1:
        spec['initContainers'] = [{'name': 'prepare', 'image': 'example/init', 'resources': {'requests': {'cpu': '3'}}}]
    if number % 10 == 2:
        # The server uses a limit without a request as the request.
        spec['containers'].append({'name': 'side', 'image': 'example/side', 'resources': {'limits': {'cpu': '300m'}}})
    state: dict[str, Any] = {'running': {'startedAt': stamp(hours=1)}}
    last: dict[str, Any] = {}
    phase = 'Running'
    if number % 50 == 7:
        state = {'waiting': {'reason': 'CrashLoopBackOff'}}
        last = {'terminated': {'reason': 'Error', 'exitCode': 1, 'finishedAt': stamp(minutes=4)}}
    elif number % 50 == 8:
        phase, state = 'Pending', {'waiting': {'reason': 'ErrImagePull'}}
    elif number % 50 == 9:
        last = {'terminated': {'reason': 'OOMKilled', 'exitCode': 137, 'finishedAt': stamp(hours=number % 48)}}
    elif number % 50 == 10:
        phase = 'Succeeded'
        state = {'terminated': {'reason': 'Completed', 'exitCode': 0, 'finishedAt': stamp(hours=1)}}
    elif number % 50 == 11:
        phase = 'Failed'
        state = {'terminated': {'reason': 'OOMKilled', 'exitCode': 137, 'finishedAt': stamp(hours=1)}}
    names = [container['name'] for container in spec['containers']]
    status = {
        'phase': phase,
        'startTime': stamp(minutes=5 if number % 7 == 0 else 90),
        'conditions': [{'type': 'Ready', 'status': 'False' if number % 20 == 3 else 'True'}],
        'containerStatuses': [
            {
                'name': name,
                'image': 'example/main',
                'imageID': '',
                'ready': True,
                'restartCount': number % 13 if name == 'main' else 0,
                'state': state,
                'lastState': last,
            }
            for name in names
        ],
    }
    used = ('50m', '400u', '1500000000n', '900000n')[number % 4], ('40Mi', '900Ki', '2000000')[number % 3]
    return spec, status, dict.fromkeys(names, used) if phase == 'Running' and number % 30 else None


@pytest.fixture(scope='module')
def admin():
    return Admin(STATE)


@pytest.fixture(scope='module', autouse=True)
def _loaded(admin):
    """Write 1,100 pods with status and usage, 60 deployments, and 3 nodes with GPUs."""
    for namespace in (*NAMESPACES, 'leaving'):
        admin.call('POST', '/api/v1/namespaces', {'metadata': {'name': namespace}})
    for number in range(3):
        allocatable = {'cpu': '63500m', 'memory': '128974848Ki', 'nvidia.com/gpu': '8'}
        admin.node(f'node-{number}', allocatable, ready=number > 0)
    for number in range(60):
        labels = {'app': f'd{number}'}
        template = {'metadata': {'labels': labels}, 'spec': {'containers': [{'name': 'c', 'image': 'i'}]}}
        spec = {'selector': {'matchLabels': labels}, 'template': template}
        if number % 6:
            spec['replicas'] = number % 6 - 1
        admin.call(
            'POST',
            f'/apis/apps/v1/namespaces/{NAMESPACES[number % 3]}/deployments',
            {'metadata': {'name': f'd{number}'}, 'spec': spec},
        )

    def load(number: int) -> None:
        namespace = NAMESPACES[number % 3]
        spec, status, usage = pod_of(number)
        owner = {'apiVersion': 'apps/v1', 'kind': 'ReplicaSet', 'name': f'd{number % 60}-5d8', 'uid': 'x'}
        admin.pod(namespace, f'pod-{number}', spec, status, ownerReferences=[{**owner, 'controller': True}])
        if usage:
            admin.usage(namespace, f'pod-{number}', usage)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(load, range(PODS)))
    gpu = {'requests': {'nvidia.com/gpu': '4'}, 'limits': {'nvidia.com/gpu': '4'}}
    spec = {'nodeName': 'node-1', 'containers': [{'name': 'main', 'image': 'i', 'resources': gpu}]}
    admin.pod('load-a', 'training', spec, {'phase': 'Running', 'startTime': stamp(hours=1)})


def driver(user: str = 'kubeconfig.check', **options: Any) -> Driver:
    instance = {
        'source': 'kubernetes',
        'cluster_name': 'peer',
        'kubeconfig': str(STATE / user),
        'cluster_idle': True,
        'refresh_interval': 0,
        'read_timeout': 60,
        **options,
    }
    return Driver(instance)


def check(user: str = 'kubeconfig.check') -> KubernetesCheck:
    found = driver(user).check
    assert isinstance(found, KubernetesCheck)
    found.run_check_initializations()
    return found


def test_the_figures_are_those_of_the_official_client():
    checked = driver(prices={'cpu_core_hour': 0.03, 'memory_gib_hour': 0.004}, per_deployment=5)
    run = checked.run()
    assert (run.error, run.warnings) == ('', [])
    theirs = recompute('kubernetes', checked.check.instance, datetime.now(UTC))
    ours = [Figure(name, value, tags) for (name, tags), value in run.values.items()]
    comparisons = list(compare(ours, theirs.figures))
    assert [comparison for comparison in comparisons if not comparison.agrees] == []
    assert len({comparison.name for comparison in comparisons}) >= 38


def test_known_figures():
    run = driver().run()
    numbers = range(PODS)
    assert run.value(f'{PREFIX}pods.crash_looping') == sum(n % 50 == 7 for n in numbers)
    assert run.value(f'{PREFIX}pods.image_pull_errors') == sum(n % 50 == 8 for n in numbers)
    assert run.value(f'{PREFIX}pods.failed') == sum(n % 50 == 11 for n in numbers)
    assert run.value(f'{PREFIX}pods.running') == sum(n % 50 not in (8, 10, 11) for n in numbers) + 1
    assert run.value(f'{PREFIX}deployments.zero_replicas') == 10
    assert run.value(f'{PREFIX}gpu.allocatable') == 16
    assert run.value(f'{PREFIX}gpu.free') == 12
    assert run.require(f'{PREFIX}resources.cpu_waste_cores') > 0
    # Metrics 1, pods 3 pages, deployments 1, nodes 1.
    assert run.requests == 6


LEAVING = '/api/v1/namespaces/leaving'
KEEP = {'finalizers': ['example.com/keep']}
H200 = {'nvidia.com/gpu.product': 'NVIDIA-H200'}
EIGHT = {'cpu': '64', 'memory': '256Gi', 'nvidia.com/gpu': '8'}


def with_gpus(number: int, node: str = '') -> dict[str, Any]:
    """Return the specification of a pod that requests GPUs."""
    amounts = {'nvidia.com/gpu': str(number)}
    container = {'name': 'main', 'image': 'i', 'resources': {'requests': amounts, 'limits': amounts}}
    return {'containers': [container], 'nodeSelector': H200, **({'nodeName': node} if node else {})}


@pytest.fixture
def leaving(admin):
    """Return a namespace whose pods, and nodes with names that begin with `h200`, are gone after the test."""
    yield 'leaving'
    for pod in admin.call('GET', f'{LEAVING}/pods')['items']:
        path = f'{LEAVING}/pods/{pod["metadata"]["name"]}'
        admin.call('PATCH', path, {'metadata': {'finalizers': None}}, MERGE)
        with contextlib.suppress(urllib.error.HTTPError):
            admin.delete(path, gracePeriodSeconds=0)
    assert admin.call('GET', f'{LEAVING}/pods')['items'] == []
    for node in admin.call('GET', '/api/v1/nodes')['items']:
        if node['metadata']['name'].startswith('h200'):
            admin.delete(f'/api/v1/nodes/{node["metadata"]["name"]}')


def gpus(run: Any, *names: str) -> list[float | None]:
    return [run.value(f'{PREFIX}gpu.{name}', 'gpu_type:h200') for name in names]


def test_pods_that_are_being_deleted(admin, leaving):
    before = driver().run()
    admin.node('h200-a', EIGHT, labels=H200)
    running = {'phase': 'Running', 'startTime': stamp(hours=1)}
    admin.pod(leaving, 'saving', with_gpus(4, 'h200-a'), running)
    admin.pod(leaving, 'kept', with_gpus(2, 'h200-a'), running, **KEEP)
    admin.pod(leaving, 'ended', with_gpus(1, 'h200-a'), {**running, 'phase': 'Failed'}, **KEEP)
    unschedulable = {'type': 'PodScheduled', 'status': 'False', 'reason': 'Unschedulable'}
    admin.pod(leaving, 'withdrawn', with_gpus(8), {'phase': 'Pending', 'conditions': [unschedulable]}, **KEEP)
    admin.pod(leaving, 'staying', with_gpus(1, 'h200-a'), running)
    # The kubelet has not answered yet.
    admin.delete(f'{LEAVING}/pods/saving', gracePeriodSeconds=600)
    for name in ('kept', 'ended', 'withdrawn'):
        admin.delete(f'{LEAVING}/pods/{name}', gracePeriodSeconds=0)
    pods = admin.call('GET', f'{LEAVING}/pods')['items']
    assert sum('deletionTimestamp' in pod['metadata'] for pod in pods) == 4
    run = driver().run()
    assert (run.error, run.warnings) == ('', [])
    # Free are 8, less the 4 and 2 that pods hold until they are gone, less the 1 of the pod that stays.
    names = ('allocatable', 'requested', 'terminating', 'free', 'largest_free_block', 'pending')
    assert gpus(run, *names) == [8, 7, 6, 1, 1, 0]
    differences = {
        name: run.require(f'{PREFIX}pods.{name}') - before.require(f'{PREFIX}pods.{name}')
        for name in ('terminating', 'terminating_stuck', 'running', 'pending', 'unschedulable')
    }
    assert differences == {'terminating': 4, 'terminating_stuck': 0, 'running': 1, 'pending': 1, 'unschedulable': 1}


def test_nodes_with_taints(admin, leaving):
    def taint(key: str, effect: str = 'NoSchedule') -> dict[str, Any]:
        return {'taints': [{'key': key, 'effect': effect, 'value': 'x'}]}

    admin.node('h200-plain', EIGHT, labels=H200)
    # Pods with GPUs tolerate it.
    admin.node('h200-gpus', EIGHT, labels=H200, spec=taint('nvidia.com/gpu'))
    admin.node('h200-cordoned', EIGHT, labels=H200, spec={'unschedulable': True})
    admin.node('h200-removed', EIGHT, labels=H200, spec=taint('ToBeDeletedByClusterAutoscaler'))
    admin.node('h200-virtual', EIGHT, labels=H200, spec=taint('virtual-kubelet.io/provider'))
    admin.node('h200-broken', EIGHT, labels=H200, ready=False)
    for node in ('plain', 'cordoned', 'removed', 'broken'):
        admin.pod(
            leaving, f'on-{node}', with_gpus(2, f'h200-{node}'), {'phase': 'Running', 'startTime': stamp(hours=1)}
        )
    run = driver().run()
    assert (run.error, run.warnings) == ('', [])
    # Offered by four Ready nodes; free on two of them, 6 and 8; held on four nodes.
    assert gpus(run, 'allocatable', 'requested', 'free', 'largest_free_block') == [32, 8, 14, 8]


def test_gates_are_of_later_versions(admin, leaving):
    spec = {**with_gpus(8), 'schedulingGates': [{'name': 'kueue.x-k8s.io/admission'}]}
    admin.pod(leaving, 'gated', spec, {'phase': 'Pending'}, **KEEP)
    assert 'schedulingGates' not in admin.call('GET', f'{LEAVING}/pods/gated')['spec']
    assert driver().run().value(f'{PREFIX}pods.gated') == 0


def test_answers_come_compressed():
    checked = check()
    answer = checked.http.get(
        f'{checked.credentials.url}/api/v1/pods?limit=500',
        extra_headers=dict(checked.credentials.headers()),
        persist=True,
        stream=True,
        **checked.credentials.options,
    )
    assert answer.headers['Content-Encoding'] == 'gzip'
    answer.close()


def test_a_namespace_at_a_time():
    run = driver(namespaces={'include': ['load-b']}, collect_nodes=False, cluster_idle=None).run()
    assert (run.error, run.warnings) == ('', [])
    expected = sum(n % 50 not in (8, 10, 11) for n in range(PODS) if n % 3 == 1)
    assert run.value(f'{PREFIX}pods.running') == expected


def test_rights_are_missing():
    run = driver('kubeconfig.reader').run()
    assert run.names == set()
    assert run.status == AgentCheck.CRITICAL
    assert 'missing RBAC rule: apiGroups: [""], resources: ["pods"], verbs: ["list"]' in run.error
    assert {block for block, reason in run.errors() if reason == 'permission'} == {
        'pods',
        'usage',
        'deployments',
        'nodes',
    }


def test_the_documented_rights_suffice_for_the_diagnosis():
    assert {finding.status for finding in driver().findings()} == {'ok'}


def test_the_token_is_wrong(tmp_path):
    path = tmp_path / 'kubeconfig'
    path.write_text((STATE / 'kubeconfig.check').read_text().replace('checktoken', 'wrongtoken'))
    run = driver(kubeconfig=str(path)).run()
    assert 'the token is invalid, expired' in run.error
    assert 'wrongtoken' not in run.error
    assert run.requests == 1


def test_the_certificate_is_not_trusted(admin):
    run = driver(kubeconfig=None, api_server_url=admin.url, token='checktoken').run()
    assert 'the TLS certificate or handshake was not accepted' in run.error
    assert 'checktoken' not in run.error


def test_address_and_token_with_the_http_options(admin):
    authority = str(STATE / 'certs' / 'ca.crt')
    run = driver(kubeconfig=None, api_server_url=admin.url, token='checktoken', tls_ca_cert=authority).run()
    assert (run.error, run.warnings) == ('', [])


def test_the_plural_of_the_first_system_does_not_exist(admin):
    with pytest.raises(urllib.error.HTTPError) as caught:
        admin.call('GET', '/apis/metrics.k8s.io/v1beta1/podmetrics')
    assert caught.value.code == 404


def test_the_server_refuses_the_same_quantities(admin):
    for text in ('1K', '1mi', '5e3m', '1_000', '-1', 'NaN', ''):
        resources = {'requests': {'memory': text}}
        spec = {'containers': [{'name': 'main', 'image': 'i', 'resources': resources}]}
        with pytest.raises(urllib.error.HTTPError) as caught:
            admin.pod('load-a', 'refused', spec, {})
        assert caught.value.code in (400, 422), text


def test_a_list_that_expires_half_way_is_read_again(admin, monkeypatch):
    """Compact etcd between two pages, so that the server drops the state of the first page."""
    checked = check()
    get = checked.client._get
    asked: list[str] = []

    def between_pages(kind, scope, params, **options):
        if len(asked) == 1:
            compact(admin)
        asked.append(params.get('continue', ''))
        return get(kind, scope, params, **options)

    monkeypatch.setattr(checked.client, '_get', between_pages)
    problems = Problems()
    checked.budget.start(120)
    pods = checked.client.pods(problems)
    assert list(problems) == []
    assert [bool(token) for token in asked[:3]] == [False, True, False]
    names = {(pod.namespace, pod.name) for pod in pods}
    assert len(names) == len(pods) >= PODS - sum(n % 50 == 10 for n in range(PODS))


def compact(admin: Admin) -> None:
    """Make etcd drop all but its present revision, and wait until the API server notices."""
    peer = Path(os.environ.get('KUBE_PEER_DIR', '.peers/kubernetes'))
    port = int(admin.url.rpartition(':')[2]) + 1
    etcdctl = [str(peer / 'bin' / 'etcdctl'), f'--endpoints=http://127.0.0.1:{port}']
    environment = {**os.environ, 'ETCDCTL_API': '3'}
    # A change is needed, because the list was read at the present revision.
    admin.call('PATCH', '/api/v1/namespaces/load-a', {'metadata': {'labels': {'t': str(time.time_ns())}}}, MERGE)
    shown = subprocess.run(
        [*etcdctl, 'endpoint', 'status', '--write-out=json'], env=environment, capture_output=True, check=True
    )
    revision = json.loads(shown.stdout)[0]['Status']['header']['revision']
    subprocess.run([*etcdctl, 'compact', str(revision)], env=environment, capture_output=True, check=True)
