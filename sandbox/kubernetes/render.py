"""The cluster as the API server writes it. About 11 kB per pod, half of it managedFields, as on real servers."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from .model import Amount, Claim, Container, Deployment, Ended, Node, Pod

RUNTIME = 'containerd://2.1.4'
# Driver of dynamic resource allocation.
DRIVER = 'gpu.nvidia.com'
_FIELDS = ('f:metadata', 'f:spec', 'f:status', 'f:annotations', 'f:labels', 'f:ownerReferences', 'f:containers')


def compact(value: Any) -> str:
    """Format JSON without blanks, as the API server does."""
    return json.dumps(value, separators=(',', ':'))


def stamp(moment: datetime) -> str:
    """Format a time as Kubernetes does."""
    return moment.strftime('%Y-%m-%dT%H:%M:%SZ')


def _managed_fields() -> list[dict[str, Any]]:
    def entry(manager: str, operation: str, subresource: str | None, breadth: int) -> dict[str, Any]:
        tree: dict[str, Any] = {
            field: {f'f:{manager}-{index}': {'.': {}, 'f:value': {}, 'f:name': {}} for index in range(breadth)}
            for field in _FIELDS
        }
        subs = {'subresource': subresource} if subresource else {}
        common = {'manager': manager, 'operation': operation, 'apiVersion': 'v1', 'time': '2026-01-01T00:00:00Z'}
        return {**common, 'fieldsType': 'FieldsV1', 'fieldsV1': tree, **subs}

    return [entry('kube-controller-manager', 'Update', None, 7), entry('kubelet', 'Update', 'status', 7)]


MANAGED_FIELDS = compact(_managed_fields())
_ENV = [{'name': f'SETTING_{index:02d}', 'value': f'value-of-setting-{index:02d}'} for index in range(24)]
_VOLUMES = [
    {
        'name': 'kube-api-access',
        'projected': {
            'sources': [
                {'serviceAccountToken': {'expirationSeconds': 3607, 'path': 'token'}},
                {'configMap': {'name': 'kube-root-ca.crt', 'items': [{'key': 'ca.crt', 'path': 'ca.crt'}]}},
            ],
            'defaultMode': 420,
        },
    }
]


def pod(subject: Pod) -> bytes:
    """Return a pod as an item of a list."""
    if subject.rendered is None:
        text = compact(_pod(subject))
        subject.rendered = text.replace('"managedFields":[]', f'"managedFields":{MANAGED_FIELDS}', 1).encode()
    return subject.rendered


def _pod(subject: Pod) -> dict[str, Any]:
    kind, owner = subject.owner
    metadata: dict[str, Any] = {
        'name': subject.name,
        'generateName': f'{owner}-',
        'namespace': subject.namespace,
        'uid': subject.uid,
        'resourceVersion': '1000',
        'creationTimestamp': stamp(subject.created),
        'labels': {'app': subject.deployment or owner, **_hash(subject)},
        'annotations': {
            'kubectl.kubernetes.io/restartedAt': '2026-01-01T00:00:00Z',
            'config/checksum': subject.uid * 4,
        },
        'ownerReferences': [
            {
                'apiVersion': 'batch/v1' if kind == 'Job' else 'apps/v1',
                'kind': kind,
                'name': owner,
                'uid': subject.uid,
                'controller': True,
                'blockOwnerDeletion': True,
            }
        ],
        'managedFields': [],
    }
    if subject.deletion_ends:
        metadata['deletionTimestamp'] = stamp(subject.deletion_ends)
        metadata['deletionGracePeriodSeconds'] = 30
    spec: dict[str, Any] = {
        'volumes': _VOLUMES,
        'containers': [_container(container) for container in subject.containers],
        'restartPolicy': 'Always',
        'terminationGracePeriodSeconds': 30,
        'dnsPolicy': 'ClusterFirst',
        'serviceAccountName': 'default',
        'schedulerName': 'default-scheduler',
        'tolerations': [{'key': 'node.kubernetes.io/not-ready', 'operator': 'Exists', 'effect': 'NoExecute'}],
    }
    if subject.init:
        spec['initContainers'] = [_container(container) for container in subject.init]
    if subject.node:
        spec['nodeName'] = subject.node
    if subject.gated:
        spec['schedulingGates'] = [{'name': 'kueue.x-k8s.io/admission'}]
    if subject.claim:
        spec['resourceClaims'] = [{'name': 'devices', 'resourceClaimName': subject.claim}]
    if subject.overhead:
        spec['overhead'] = {'cpu': subject.overhead[0].text, 'memory': subject.overhead[1].text}
    if subject.pod_cpu:
        spec['resources'] = {'requests': {'cpu': subject.pod_cpu.text}}
    return {'metadata': metadata, 'spec': spec, 'status': _status(subject)}


def _hash(subject: Pod) -> dict[str, str]:
    """Return the label with the hash of the pod template, which the controllers of Deployments and Rollouts set."""
    labels = {'Deployment': 'pod-template-hash', 'Rollout': 'rollouts-pod-template-hash'}
    kind = subject.workload[0]
    return {labels[kind]: subject.owner[1].rpartition('-')[2]} if kind in labels else {}


def _container(subject: Container) -> dict[str, Any]:
    requests = {name: amount.text for name, amount in (('cpu', subject.cpu), ('memory', subject.memory)) if amount}
    if subject.gpus:
        requests[subject.gpu_resource] = str(subject.gpus)
    always = {'restartPolicy': 'Always'} if subject.sidecar else {}
    return {
        'name': subject.name,
        'image': f'registry.example/{subject.name}:v1',
        'env': _ENV,
        'resources': {'limits': {'memory': '1Ti'}, 'requests': requests},
        'volumeMounts': [{'name': 'kube-api-access', 'mountPath': '/var/run/secrets', 'readOnly': True}],
        'terminationMessagePath': '/dev/termination-log',
        'imagePullPolicy': 'IfNotPresent',
        **always,
    }


def _status(subject: Pod) -> dict[str, Any]:
    ready = 'True' if subject.ready else 'False'
    scheduled = {'type': 'PodScheduled', 'status': 'True', 'lastTransitionTime': stamp(subject.created)}
    if subject.unschedulable:
        scheduled.update(status='False', reason='Unschedulable', message='0/12 nodes are available')
    status: dict[str, Any] = {'phase': subject.phase, 'conditions': [scheduled], 'qosClass': 'Burstable'}
    if subject.gated:
        scheduled.update(status='False', reason='SchedulingGated', message='Scheduling is blocked')
    if subject.reason:
        status['reason'] = subject.reason
    if subject.pod_allocated_cpu:
        status['allocatedResources'] = {'cpu': subject.pod_allocated_cpu.text}
    if subject.started:
        status['conditions'] += [
            {'type': 'Initialized', 'status': 'True', 'lastTransitionTime': stamp(subject.started)},
            {'type': 'ContainersReady', 'status': ready, 'lastTransitionTime': stamp(subject.started)},
            {'type': 'Ready', 'status': ready, 'lastTransitionTime': stamp(subject.started)},
        ]
        status.update(startTime=stamp(subject.started), hostIP='10.0.0.1', podIP='10.1.0.1')
        status['containerStatuses'] = [_container_status(container, subject) for container in subject.containers]
        if subject.allocated_cpu:
            status['containerStatuses'][0]['allocatedResources'] = {'cpu': subject.allocated_cpu.text}
        if subject.init:
            status['initContainerStatuses'] = [_container_status(container, subject) for container in subject.init]
    return status


def _container_status(subject: Container, owner: Pod) -> dict[str, Any]:
    if subject.ended:
        state = {'terminated': _ended(subject.ended)}
    elif owner.phase == 'Succeeded':
        state = {'terminated': {'reason': 'Completed', 'exitCode': 0, 'finishedAt': stamp(owner.created)}}
    elif subject.waiting:
        state = {'waiting': {'reason': subject.waiting, 'message': f'{subject.waiting} of {subject.name}'}}
    else:
        state = {'running': {'startedAt': stamp(subject.ended_before.at if subject.ended_before else owner.created)}}
    return {
        'name': subject.name,
        'state': state,
        'lastState': {'terminated': _ended(subject.ended_before)} if subject.ended_before else {},
        'ready': 'running' in state and owner.ready,
        'restartCount': subject.restarts,
        'image': f'registry.example/{subject.name}:v1',
        'imageID': f'registry.example/{subject.name}@sha256:{"0" * 64}',
        'containerID': f'{RUNTIME.partition(":")[0]}://{"0" * 64}',
        'started': 'running' in state,
    }


def _ended(subject: Ended) -> dict[str, Any]:
    return {
        'exitCode': subject.exit_code,
        'reason': subject.reason,
        'startedAt': stamp(subject.at - subject.ran),
        'finishedAt': stamp(subject.at),
        'containerID': subject.container_id,
    }


def pod_metrics(subject: Pod, now: datetime) -> str:
    """Return a PodMetrics entry: in nanocores and KiB, without finished init containers, as from metrics-server."""
    containers = ','.join(
        f'{{"name":"{container.name}","usage":{{"cpu":"{container.used_cpu}n",'
        f'"memory":"{container.used_memory // 1024}Ki"}}}}'
        for container in subject.app_and_sidecars
    )
    return (
        f'{{"metadata":{{"name":"{subject.name}","namespace":"{subject.namespace}",'
        f'"creationTimestamp":"{stamp(now)}","labels":{{"app":"{subject.deployment}"}}}},'
        f'"timestamp":"{stamp(now)}","window":"15.2s","containers":[{containers}]}}'
    )


def deployment(subject: Deployment, start: datetime) -> str:
    """Return a deployment as an item of a list."""
    labels = {'app': subject.name}
    container = {'name': 'main', 'image': 'registry.example/main:v1', 'env': _ENV, 'resources': {}}
    spec: dict[str, Any] = {
        'selector': {'matchLabels': labels},
        'template': {'metadata': {'labels': labels}, 'spec': {'containers': [container]}},
        'strategy': {'type': 'RollingUpdate'},
    }
    if subject.replicas is not None:
        spec['replicas'] = subject.replicas
    metadata = {
        'name': subject.name,
        'namespace': subject.namespace,
        'uid': subject.name,
        'creationTimestamp': stamp(start),
    }
    return compact({'metadata': metadata, 'spec': spec, 'status': {'observedGeneration': 1}})


def node(subject: Node, start: datetime) -> str:
    """Return a node as an item of a list."""
    allocatable = {'cpu': subject.cpu.text, 'memory': subject.memory.text, 'pods': '110'}
    labels = {'kubernetes.io/hostname': subject.name}
    if subject.gpus:
        allocatable[subject.gpu_resource] = str(subject.gpus)
    if subject.instance_type:
        labels['node.kubernetes.io/instance-type'] = subject.instance_type
    if subject.product and subject.gpus:
        labels['nvidia.com/gpu.product'] = subject.product
        labels['nvidia.com/gpu.count'] = str(subject.gpus // subject.replicas)
        labels['nvidia.com/gpu.replicas'] = str(subject.replicas)
        labels['nvidia.com/gpu.sharing-strategy'] = 'time-slicing' if subject.replicas > 1 else 'none'
    ready = {
        'type': 'Ready',
        'status': 'True' if subject.ready else 'Unknown',
        'lastHeartbeatTime': stamp(start),
        'lastTransitionTime': stamp(start),
    }
    pressure = {**ready, 'type': 'MemoryPressure', 'status': 'False'}
    images = [{'names': [f'registry.example/image-{index}:v1'], 'sizeBytes': 10**8} for index in range(40)]
    status = {
        'capacity': allocatable,
        'allocatable': allocatable,
        'conditions': [pressure, ready],
        'images': images,
    }
    spec: dict[str, Any] = {'providerID': f'aws:///{subject.name}'}
    if subject.cordoned:
        spec['unschedulable'] = True
        spec['taints'] = [{'key': 'node.kubernetes.io/unschedulable', 'effect': 'NoSchedule'}]
    if subject.virtual:
        labels['type'] = 'virtual-kubelet'
        spec['taints'] = [{'key': 'virtual-kubelet.io/provider', 'value': 'azure', 'effect': 'NoSchedule'}]
    metadata = {'name': subject.name, 'uid': subject.name, 'creationTimestamp': stamp(start), 'labels': labels}
    return compact({'metadata': metadata, 'spec': spec, 'status': status})


def resourceslice(subject: Node, start: datetime) -> str:
    """Return the devices of a node as an item of a list."""
    text = {'string': subject.product}
    devices = [
        {
            'name': f'gpu-{index}',
            'attributes': {'productName': text, 'type': {'string': 'gpu'}, 'uuid': {'string': f'GPU-{index}'}},
            'capacity': {'memory': {'value': '141Gi'}},
        }
        for index in range(subject.devices)
    ]
    spec = {
        'driver': DRIVER,
        'nodeName': subject.name,
        'pool': {'name': subject.name, 'generation': 3, 'resourceSliceCount': 1},
        'devices': devices,
    }
    return compact({'metadata': _metadata(f'{subject.name}-{DRIVER}', start), 'spec': spec})


def resourceclaim(subject: Claim, start: datetime) -> str:
    """Return a claim as an item of a list."""
    admin = {'adminAccess': True} if subject.admin else {}
    results = [
        {'request': 'gpus', 'driver': DRIVER, 'pool': subject.node, 'device': f'gpu-{index}', **admin}
        for index in subject.devices
    ]
    request = {'name': 'gpus', 'exactly': {'deviceClassName': DRIVER, 'allocationMode': 'ExactCount', 'count': 1}}
    status: dict[str, Any] = {}
    if results:
        status['allocation'] = {'devices': {'results': results}}
        status['reservedFor'] = [{'resource': 'pods', 'name': pod.name, 'uid': pod.uid} for pod in subject.pods]
    metadata = {**_metadata(subject.name, start), 'namespace': subject.namespace}
    return compact({'metadata': metadata, 'spec': {'devices': {'requests': [request]}}, 'status': status})


def _metadata(name: str, start: datetime) -> dict[str, str]:
    return {'name': name, 'uid': name, 'creationTimestamp': stamp(start)}


__all__ = ['Amount', 'compact', 'deployment', 'node', 'pod', 'pod_metrics', 'resourceclaim', 'resourceslice', 'stamp']
