"""EC2 and Kubernetes in a working week."""

from __future__ import annotations

import copy
import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ..ec2.estate import Copy, Disk, Estate, Machine
from ..kubernetes.model import Container, Ended, Pod
from .life import HOUR, Life, intensity, main_is_broken, spot_is_short

if TYPE_CHECKING:
    from ..ec2.service import Ec2Service
    from ..kubernetes.service import KubernetesService


class Ec2Life(Life):
    """Development machines by day, batch machines when they are needed, spot machines that are taken away and return.

    Disks are left over, and every night brings snapshots.
    """

    service: Ec2Service

    def begin(self) -> None:
        """Remember development machines and spot machines."""
        self._next = 0x800000
        estate = self._estate
        self._play = [m for m in estate.machines if m.team == 'play' and m.kind == 'g5.xlarge' and m.state == 'running']
        self._batch: list[Machine] = []
        self._wanted = [
            m for m in estate.machines if m.state == 'running' and m.lifecycle == 'spot' and m.kind[0] == 'g'
        ]

    @property
    def _estate(self) -> Estate:
        return self.service.estate

    def _id(self, kind: str) -> str:
        self._next += 1
        return f'{kind}-{self._next:017x}'

    def beat(self, before: datetime) -> None:
        """Start and stop machines; at night, make snapshots."""
        self._developers()
        self._batches()
        self._spot()
        if before.hour != self.now.hour and self.now.hour == 2:
            self._snapshots()
        self._forget()

    def _developers(self) -> None:
        awake = min(1.0, 0.1 + 0.5 * intensity(self.now))
        for index, machine in enumerate(self._play):
            wanted = index < round(awake * len(self._play))
            if wanted and machine.state == 'stopped' and self.dice.random() < 0.5:
                machine.state, machine.started, machine.stopped = 'running', self.now, None
            elif not wanted and machine.state == 'running' and self.dice.random() < 0.3:
                machine.state, machine.stopped = 'stopped', self.now

    def _batches(self) -> None:
        base = next((m for m in self._estate.machines if m.kind == 'm5.large' and m.state == 'running'), None)
        wanted = round(len(self._play) * 0.5 * intensity(self.now))
        if base is not None and len(self._batch) < wanted and self.dice.random() < 0.7:
            self._batch.append(
                self._launch(replace(base, team='batch', load='busy', operation='', tenancy='default'), base)
            )
        elif len(self._batch) > wanted:
            self._terminate(self._batch.pop(0))

    def _launch(self, machine: Machine, like: Machine) -> Machine:
        machine = replace(
            machine, id=self._id('i'), state='running', created=self.now, started=self.now, stopped=None,
            operation=like.operation,
        )  # fmt: skip
        self._estate.machines.append(machine)
        disk = Disk(self._id('vol'), machine.region, 'gp3', 'in-use', 200, self.now, 3000, 125, machine.id)
        self._estate.disks.append(disk)
        return machine

    def _terminate(self, machine: Machine) -> None:
        machine.state = 'terminated'
        machine.stopped = self.now
        own = [disk for disk in self._estate.disks if disk.machine == machine.id]
        for disk in own:
            # Somebody forgot to have it deleted with the machine.
            if self.dice.random() < 0.08:
                disk.machine, disk.state = '', 'available'
            else:
                self._estate.disks.remove(disk)

    def _spot(self) -> None:
        chance = 0.25 if spot_is_short(self.now) else 0.004
        for index, machine in enumerate(self._wanted):
            if machine.state == 'running' and self.dice.random() < chance:
                self._terminate(machine)
            elif machine.state == 'terminated' and not spot_is_short(self.now) and self.dice.random() < 0.4:
                self._wanted[index] = self._launch(machine, machine)

    def _snapshots(self) -> None:
        alive = [disk for disk in self._estate.disks if disk.state == 'in-use']
        for disk in self.dice.sample(alive, min(4, len(alive))):
            size = round(disk.size * 2**30 * self.dice.uniform(0.1, 0.7))
            self._estate.copies.append(
                Copy(self._id('snap'), disk.region, 'completed', disk.id, disk.size, size, self.now)
            )
        oldest = sorted(
            (copy for copy in self._estate.copies if copy.state == 'completed'), key=lambda copy: copy.begun
        )
        for copy_ in oldest[:2]:
            self._estate.copies.remove(copy_)

    def _forget(self) -> None:
        """Remove terminated machines, which AWS shows for about an hour."""
        hidden = self.now - HOUR
        self._estate.machines[:] = [
            machine
            for machine in self._estate.machines
            if machine.state != 'terminated' or machine.stopped is None or machine.stopped > hidden
        ]


class KubernetesLife(Life):
    """Load that follows the people, jobs that come and go, a service that crash-loops while main is broken."""

    service: KubernetesService

    def begin(self) -> None:
        """Remember jobs and services to repeat."""
        # Usage of every container at the average of a week.
        self._usual: dict[int, tuple[Container, int, int]] = {}
        self._bad: list[Pod] = []
        pods = self.service.cluster.pods
        self._templates = [pod for pod in pods if pod.owner[0] == 'Job' and pod.phase == 'Succeeded']
        self._services = [
            pod for pod in pods if pod.live and pod.ready and pod.owner[0] == 'ReplicaSet' and pod.sampled
        ]

    def beat(self, before: datetime) -> None:
        """Start jobs, crash services, change the load of all containers."""
        cluster = self.service.cluster
        for _ in range(self.often(3 * len(self._templates) / 36, before)):
            self._job()
        if main_is_broken(self.now) and not self._bad:
            self._bad = self.dice.sample(self._services, max(1, len(self._services) // 40))
        elif not main_is_broken(self.now) and self._bad:
            for pod in self._bad:
                pod.ready, pod.containers[0].waiting = True, ''
            self._bad = []
        for pod in self._bad:
            self._crash(pod)
        for pod in cluster.pods:
            if pod.live and pod.sampled:
                self._load(pod)
        self.service.changed()

    def _crash(self, pod: Pod) -> None:
        container = pod.containers[0]
        container.restarts += 3
        pod.ready, container.waiting = False, 'CrashLoopBackOff'
        reason, code = ('OOMKilled', 137) if self.dice.random() < 0.3 else ('Error', 1)
        ended = self.now - timedelta(seconds=40)
        container.ended_before = Ended(reason, code, ended, f'containerd://{self.dice.getrandbits(256):064x}')

    def _load(self, pod: Pod) -> None:
        for container in pod.app_and_sidecars:
            key = id(container)
            if key not in self._usual:
                self._usual[key] = (container, container.used_cpu, container.used_memory)
            _, cpu, memory = self._usual[key]
            busy = 0.6 + 0.4 * intensity(self.now)
            container.used_cpu = int(cpu * busy * self.dice.uniform(0.9, 1.1))
            # metrics-server reports whole KiB.
            container.used_memory = int(memory * (0.9 + 0.1 * busy) * self.dice.uniform(0.97, 1.03)) // 1024 * 1024

    def _job(self) -> None:
        """Start a job like one that has ended: pending, running, ended, and removed after a day."""
        pod = copy.deepcopy(self.dice.choice(self._templates))
        suffix = f'{self.dice.getrandbits(40):010x}'
        pod.name = f'{pod.owner[1]}-{suffix}'
        pod.uid = str(uuid.UUID(int=self.dice.getrandbits(128), version=4))
        pod.created, pod.started = self.now, None
        pod.phase, pod.ready, pod.sampled, pod.rendered, pod.restarts_before = 'Pending', False, False, None, None
        pods = self.service.cluster.pods
        for container in pod.all_containers:
            container.restarts, container.ended, container.ended_before = 0, None, None
        pod.containers[0].waiting = 'ContainerCreating'
        pods.append(pod)
        pods.sort(key=lambda one: (one.namespace, one.name))

        def run() -> None:
            if spot_is_short(self.now):
                self.later(1, run)
                return
            pod.phase, pod.ready, pod.sampled, pod.started = 'Running', True, True, self.now
            pod.containers[0].waiting = ''
            self.later(min(20, self.dice.lognormvariate(0.8, 0.8)), end)

        def end() -> None:
            failed = self.dice.random() < 0.06
            pod.phase, pod.ready, pod.sampled = 'Failed' if failed else 'Succeeded', False, False
            self.later(24, lambda: pods.remove(pod))

        self.later(self.dice.expovariate(1 / 0.15), run)
