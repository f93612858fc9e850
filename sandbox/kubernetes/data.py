"""The cluster `prod` of the organization, and the events in it as time passes.

A training namespace requests 64 GPUs and gets 32; 24 are free after a run ends. One service crash-loops for two hours,
another one restarts every five minutes and runs whenever it is read. A wrong tag leaves pods without an image, a data
loader is OOM-killed every night, and a team requests 4 cores per pod and uses 0.1.
Two more runs of 16 GPUs each wait in a queue, notebooks share four GPUs, and a node has accelerators of another vendor.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import replace
from datetime import datetime, timedelta

from .model import CPU_AMOUNTS, GIB, MEMORY_AMOUNTS, MIB, NANO, Amount, Claim, Container, Deployment, Ended, Node, Pod

PODS = 400
DEPLOYMENTS = 60
AT_ZERO = 6
NODES = 12
GPU_NODES = 4
TEAMS = (
    'agents', 'alignment', 'api', 'audio', 'auth', 'batch', 'billing', 'bench', 'cache', 'catalog', 'chat', 'core',
    'data', 'diffusion', 'docs', 'edge', 'eval', 'evolve', 'features', 'gateway', 'graph', 'infra', 'inference',
    'ingest', 'labels', 'legacy', 'metrics', 'ml-ops', 'notebooks', 'planner', 'policy', 'reward', 'robots',
    'safety', 'search', 'sim-a', 'sim-b', 'training', 'vision', 'web',
)  # fmt: skip
NAMESPACES = tuple(f'team-{team}' for team in TEAMS)
PULL_ERRORS = (
    'ImagePullBackOff',
    'ErrImagePull',
    'InvalidImageName',
    'ErrImageNeverPull',
    'ImageInspectError',
    'RegistryUnavailable',
    'SignatureValidationFailed',
)
CRASH_SECONDS = 300
CRASH_LOOP_ENDS = timedelta(hours=1)
TRAINING_ENDS = timedelta(minutes=10)
FIRST_NIGHT = timedelta(hours=17)
DAY = timedelta(days=1)


class Cluster:
    """Pods, deployments and nodes at a point in time."""

    def __init__(self, dice: random.Random, start: datetime, *, pods: int = PODS, claims: bool = False) -> None:
        self.start = start
        self._dice = dice
        factor = pods / PODS
        self._cpu_nodes = max(NODES, round(NODES * factor)) - GPU_NODES
        self.nodes = self._nodes(self._cpu_nodes)
        self.deployments: list[Deployment] = []
        self.pods: list[Pod] = []
        self.claims: list[Claim] = []
        self._crashing: list[Pod] = []
        self._flapping: list[Pod] = []
        self._training: list[Pod] = []
        self._loaders: list[Pod] = []
        self._special()
        self._ordinary(pods, max(DEPLOYMENTS, round(DEPLOYMENTS * factor)), max(AT_ZERO, round(AT_ZERO * factor)))
        if claims:
            self._claimed()
        self.pods.sort(key=lambda pod: (pod.namespace, pod.name))

    def pass_time(self, before: datetime, now: datetime) -> None:
        """Make the events after `before` and until `now`."""
        for pod in self.pods:
            pod.restarts_before = {container.name: container.restarts for container in pod.all_containers}
        self._let_crash(before, now)
        if before < self.start + CRASH_LOOP_ENDS <= now:
            self._end_crash_loop()
        if before < self.start + TRAINING_ENDS <= now:
            self._end_training()
        night = self.start + FIRST_NIGHT
        while night <= now:
            if night > before:
                for pod in self._loaders:
                    self._kill(pod, night)
            night += DAY

    def _let_crash(self, before: datetime, now: datetime) -> None:
        crashes = int((now - self.start).total_seconds() // CRASH_SECONDS) - int(
            (before - self.start).total_seconds() // CRASH_SECONDS
        )
        if not crashes:
            return
        if before < self.start + CRASH_LOOP_ENDS:
            for pod in self._crashing:
                self._crash(pod, crashes, now, waiting='CrashLoopBackOff')
        for pod in self._flapping:
            self._crash(pod, crashes, now, waiting='')

    def _end_crash_loop(self) -> None:
        for pod in self._crashing:
            for container in pod.containers:
                container.waiting = ''
            pod.ready, pod.rendered = True, None

    def _end_training(self) -> None:
        for pod in self._training[:3]:
            pod.phase, pod.ready, pod.rendered = 'Succeeded', False, None

    # Pods with a certain problem.

    def _special(self) -> None:
        for index in range(3):
            pod = self._add('team-inference', 'ranker', hours=30)
            pod.containers[0].restarts = 40 + index
            # Three containers that crash are still one crashing pod.
            pod.containers += [self._container(f'helper-{n}', restarts=9) for n in (1, 2)]
            pod.ready = False
            for container in pod.containers:
                container.waiting = 'CrashLoopBackOff'
                container.ended_before = self._end('Error', 1, minutes=4)
            self._crashing.append(pod)
        flapping = self._add('team-gateway', 'router', hours=50)
        flapping.containers[0].restarts = 3
        flapping.containers[0].ended_before = replace(self._end('Error', 2, minutes=3), ran=timedelta(minutes=2))
        self._flapping.append(flapping)
        for index, reason in enumerate((*PULL_ERRORS, 'ImagePullBackOff', 'ImagePullBackOff')):
            pod = self._add('team-web' if index >= len(PULL_ERRORS) else 'team-eval', 'suite', hours=1 + index)
            self._wait(pod, reason)
        for minutes in (7 * 60, 23 * 60 + 59, 24 * 60, 25 * 60):
            pod = self._add('team-data', 'loader', hours=200)
            pod.containers[0].restarts = 2
            pod.containers[0].ended_before = self._end('OOMKilled', 137, minutes=minutes)
            self._loaders.append(pod)
        # One with a kill in the present state, and one with a killed init container.
        pod = self._add('team-data', 'export', hours=9, owner='Job')
        pod.phase, pod.ready, pod.sampled = 'Failed', False, False
        pod.containers[0].ended = self._end('OOMKilled', 137, minutes=90)
        pod = self._add('team-data', 'migrate', hours=3)
        pod.init = [self._container('prepare', restarts=1)]
        pod.init[0].ended_before = self._end('OOMKilled', 137, minutes=170)
        for _ in range(6):
            pod = self._add('team-legacy', 'monolith', hours=900)
            pod.containers[0].cpu = Amount('4', 4 * NANO)
            pod.containers[0].used_cpu = NANO // 10
        # Training: 32 of 64 GPUs are in use, and the 70B job waits for the rest.
        for index in range(8):
            pod = self._add('team-training', 'ptm' if index < 4 else 'llm-70b', hours=12, owner='Job')
            pod.containers[0].gpus = 8
            if index < 4:
                pod.node = f'gpu-{index:03d}'
                self._training.append(pod)
            else:
                self._wait(pod, '')
                pod.node, pod.started, pod.unschedulable = '', None, True
        self._accelerated()

    def _accelerated(self) -> None:
        for _ in range(4):
            pod = self._add('team-training', 'next', hours=2, owner='Job')
            self._wait(pod, '')
            pod.containers[0].gpus = 8
            pod.node, pod.started, pod.gated = '', None, True
        for index in range(6):
            pod = self._add('team-notebooks', 'jupyter', hours=20, owner='StatefulSet')
            pod.containers[0].gpus, pod.node = 1 + index % 2, 'shared-000'
            if index == 5:
                pod.deletion_ends = self.start - timedelta(minutes=2)
        pod = self._add('team-vision', 'trainer', hours=5, owner='RayCluster')
        pod.containers[0].gpus, pod.containers[0].gpu_resource, pod.node = 6, 'habana.ai/gaudi', 'gaudi-000'
        pod = self._add('team-edge', 'burst', hours=5)
        pod.node = 'virtual-000'
        # A ReplicaSet without a Deployment, and one of an Argo Rollout.
        for kind in ('ReplicaSet', 'Rollout'):
            pod = self._add('team-api', 'legacy', hours=60)
            pod.deployment, pod.workload = '', (kind, pod.owner[1] if kind == 'ReplicaSet' else 'legacy')

    def _claimed(self) -> None:
        """Let claims keep 5 of 6 GPUs of a driver: one for a pod that ends, and one for a pod that has failed."""
        self.nodes.append(
            replace(self.nodes[-2], name='dra-000', gpus=0, devices=6, product='NVIDIA H200', cordoned=False)
        )
        pods = [self._add('team-vision', 'renderer', hours=7, owner='RayCluster') for _ in range(2)]
        pods += [self._add('team-robots', 'simulator', hours=3, owner='Job') for _ in range(4)]
        # Two pods of one cluster share a claim.
        pods[1].owner, pods[1].workload = pods[0].owner, pods[0].workload
        for pod in pods:
            pod.node = 'dra-000'
        pods[3].deletion_ends = self.start + timedelta(minutes=8)
        pods[5].phase, pods[5].ready, pods[5].sampled = 'Failed', False, False
        self.claims += [
            Claim('team-vision', 'shared', 'dra-000', (0, 1), (pods[0], pods[1])),
            Claim('team-robots', 'training', 'dra-000', (2,), (pods[2],)),
            Claim('team-robots', 'ending', 'dra-000', (3,), (pods[3],)),
            Claim('team-robots', 'monitor', 'dra-000', (0, 1, 2, 3), (pods[4],), admin=True),
            Claim('team-robots', 'failed', 'dra-000', (5,), (pods[5],)),
            Claim('team-robots', 'waiting', '', (), ()),
        ]
        for claim in self.claims:
            for pod in claim.pods:
                pod.claim = claim.name

    def _wait(self, pod: Pod, reason: str) -> None:
        pod.phase, pod.ready, pod.sampled = 'Pending', False, False
        for container in pod.containers:
            container.waiting = reason

    def _crash(self, pod: Pod, times: int, now: datetime, *, waiting: str) -> None:
        for container in pod.containers:
            container.restarts += times
            container.waiting = waiting
            ran = timedelta(seconds=20)
            container.ended_before = Ended('Error', 1, now - timedelta(seconds=40), self._id(), ran)
        pod.rendered = None

    def _kill(self, pod: Pod, at: datetime) -> None:
        container = pod.containers[0]
        container.restarts += 1
        container.ended_before = Ended('OOMKilled', 137, at, self._id())
        pod.rendered = None

    # All other pods.

    def _ordinary(self, pods: int, deployments: int, at_zero: int) -> None:
        workloads = []
        for number in range(deployments):
            namespace = NAMESPACES[number % len(NAMESPACES)]
            name = f'{TEAMS[number * 7 % len(TEAMS)]}-{number:03d}'
            replicas = 0 if number < at_zero else None if number % 10 == 9 else 3 + number % 5
            self.deployments.append(Deployment(namespace, name, replicas))
            if replicas != 0:
                workloads.append((namespace, name))
        for number in range(max(0, pods - len(self.pods))):
            namespace, name = workloads[number % len(workloads)]
            hours = self._dice.choice((0.05, 0.2, 0.3, 2, 30, 400))
            pod = self._add(namespace, name, hours=hours, owner='Job' if number % 11 == 3 else 'ReplicaSet')
            self._vary(pod, number)

    def _vary(self, pod: Pod, number: int) -> None:
        """Give every n-th pod a special property."""
        self._vary_phase(pod, number)
        if number % 13 == 4:
            pod.containers[0].restarts = self._dice.randrange(1, 12)
            pod.containers[0].ended_before = self._end('Error', 1, minutes=self._dice.uniform(60, 4000))
        self._vary_spec(pod, number)
        if number % 37 == 10:
            pod.sampled = False
        if number % 47 == 13:
            pod.ready = False
        self._vary_usage(pod.containers[0], number)

    def _vary_phase(self, pod: Pod, number: int) -> None:
        if number % 11 == 3:
            pod.phase, pod.ready, pod.sampled = 'Succeeded', False, False
        elif number % 67 == 5:
            pod.phase, pod.ready, pod.sampled = 'Failed', False, False
            pod.reason = 'Evicted' if number % 2 else ''
        elif number % 53 == 7:
            self._wait(pod, 'ContainerCreating')
        elif number % 59 == 9:
            pod.deletion_ends = self.start + timedelta(minutes=-30 if number % 2 else 1)

    def _vary_spec(self, pod: Pod, number: int) -> None:
        if number % 17 == 2:
            pod.init.append(self._container('mesh', sidecar=True))
        if number % 19 == 6:
            pod.init.append(self._container('unpack', cpu=Amount('8', 8 * NANO), memory=Amount('9Gi', 9 * GIB)))
        if number % 23 == 1:
            pod.overhead = (Amount('250m', NANO // 4), Amount('160Mi', 160 * MIB))
        if number % 29 == 8:
            pod.pod_cpu = Amount('2500m', NANO * 5 // 2)
            if number % 2:
                pod.pod_allocated_cpu = Amount('3500m', NANO * 7 // 2)
        if number % 31 == 5:
            pod.allocated_cpu = Amount('2250m', NANO * 9 // 4)
        if number % 41 == 11:
            pod.containers[0].cpu = None
        if number % 43 == 12:
            pod.containers[0].memory = None

    def _vary_usage(self, main: Container, number: int) -> None:
        if number % 14 == 0:
            main.used_cpu, main.used_memory = self._dice.randrange(900_000), self._dice.randrange(1, 10) * MIB
        elif number % 7 == 0:
            main.used_cpu, main.used_memory = self._dice.randrange(100, 12_000_000), self._dice.randrange(4, 60) * MIB
        elif number % 5 == 0 and main.cpu and main.memory:
            main.used_cpu, main.used_memory = main.cpu.value * 3 // 2, main.memory.value * 5 // 4 // 1024 * 1024
        elif number % 31 == 14 and main.cpu:
            # Exactly at the threshold of over-allocation, not below it.
            main.used_cpu = main.cpu.value // 5

    # Single objects.

    def _add(self, namespace: str, workload: str, *, hours: float, owner: str = 'ReplicaSet') -> Pod:
        created = self.start - timedelta(hours=hours)
        suffix = f'{self._dice.getrandbits(40):010x}'
        container = self._container('main')
        pod = Pod(
            namespace=namespace,
            name=f'{workload}-{suffix[:5]}-{suffix[5:]}',
            uid=str(uuid.UUID(int=self._dice.getrandbits(128), version=4)),
            created=created,
            started=created + timedelta(seconds=2),
            containers=[container],
            node=f'cpu-{self._dice.randrange(self._cpu_nodes):03d}',
            owner=(owner, f'{workload}-{suffix[:5]}'),
            deployment=workload if owner == 'ReplicaSet' else '',
            workload=('Deployment', workload) if owner == 'ReplicaSet' else (owner, f'{workload}-{suffix[:5]}'),
        )
        self.pods.append(pod)
        return pod

    def _container(
        self,
        name: str,
        *,
        cpu: Amount | None = None,
        memory: Amount | None = None,
        restarts: int = 0,
        sidecar: bool = False,
    ) -> Container:
        cpu = cpu or self._dice.choice(CPU_AMOUNTS)
        memory = memory or self._dice.choice(MEMORY_AMOUNTS)
        return Container(
            name=name,
            cpu=cpu,
            memory=memory,
            sidecar=sidecar,
            restarts=restarts,
            used_cpu=int(cpu.value * self._dice.choice((0.01, 0.1, 0.3, 0.5, 0.7, 0.9))),
            # metrics-server reports whole KiB.
            used_memory=int(memory.value * self._dice.uniform(0.1, 1.0)) // 1024 * 1024,
        )

    def _end(self, reason: str, exit_code: int, *, minutes: float) -> Ended:
        return Ended(reason, exit_code, self.start - timedelta(seconds=round(minutes * 60)), self._id())

    def _id(self) -> str:
        return f'containerd://{self._dice.getrandbits(256):064x}'

    @staticmethod
    def _nodes(number: int) -> list[Node]:
        ordinary = [
            Node(
                f'cpu-{index:03d}',
                index != 0,
                Amount('191850m', 191_850_000_000),
                Amount('528974848Ki', 528_974_848 * 1024),
                cordoned=index == 1,
            )
            for index in range(number)
        ]
        large = Amount('191450m', 191_450_000_000), Amount('2096Gi', 2096 * GIB)
        with_gpus = [
            Node(f'gpu-{index:03d}', True, *large, gpus=8, product='NVIDIA-H100-80GB-HBM3')
            for index in range(GPU_NODES)
        ]
        special = [
            Node('shared-000', True, *large, gpus=16, product='NVIDIA-L4-SHARED', replicas=4),
            Node(
                'gaudi-000',
                True,
                *large,
                gpus=8,
                gpu_resource='habana.ai/gaudi',
                cordoned=True,
                instance_type='dl1.24xlarge',
            ),
            Node('virtual-000', True, Amount('800', 800 * NANO), Amount('4000Gi', 4000 * GIB), virtual=True),
        ]
        return ordinary + with_gpus + special
