"""A cluster of manifests: the objects of a situation, in the notation of the API."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from metta_checks import verify
from metta_checks.core.diagnosis import Finding
from metta_checks.testing import Driver, Run
from sandbox.kubernetes.prometheus import GpuSeries
from sandbox.kubernetes.service import KubernetesService, Manifests

PREFIX = 'metta.kubernetes.'
# Options of the sandbox's instance that these situations do not need.
PLAIN = dict.fromkeys(('prices', 'per_deployment', 'per_namespace', 'per_workload', 'cluster_idle'))
UNSCHEDULABLE = {'type': 'PodScheduled', 'status': 'False', 'reason': 'Unschedulable'}
GATED = {'type': 'PodScheduled', 'status': 'False', 'reason': 'SchedulingGated'}


class World:
    """The objects of a situation.

    Parameters:
        service: serves them
    """

    def __init__(self, service: KubernetesService) -> None:
        self.service = service
        self.objects = service.manifests = Manifests()
        self._driver: Driver | None = None

    def ago(self, **time: float) -> str:
        """Return a time before now, as the API writes it."""
        return (self.service.clock.now() - timedelta(**time)).strftime('%Y-%m-%dT%H:%M:%SZ')

    def node(self, name: str, *, ready: bool = True, **parts: Any) -> dict[str, Any]:
        """Add a node with 16 cores and 64 GiB. `allocatable` adds resources; `labels` and `spec` are its own."""
        amounts = {'cpu': '16', 'memory': '64Gi', **parts.get('allocatable', {})}
        made = {
            'metadata': {'name': name, 'uid': name, 'labels': parts.get('labels', {})},
            'spec': parts.get('spec', {}),
            'status': {
                'allocatable': amounts,
                'capacity': amounts,
                'conditions': [{'type': 'Ready', 'status': 'True' if ready else 'Unknown'}],
            },
        }
        self.objects.nodes.append(made)
        return made

    def pod(
        self, name: str, requests: Mapping[str, str] | None = None, *, node: str = 'n1', **parts: Any
    ) -> dict[str, Any]:
        """Add a running pod, an hour old, with one container `main`. `metadata`, `spec` and `status` add fields."""
        ready = {'type': 'Ready', 'status': 'True', 'lastTransitionTime': self.ago(minutes=59)}
        started = {'startTime': self.ago(hours=1)} if node else {}
        made = {
            'metadata': {
                'name': name,
                'namespace': parts.get('namespace', 'team-a'),
                'uid': parts.get('uid', f'uid-{name}'),
                'creationTimestamp': self.ago(hours=1),
                **parts.get('metadata', {}),
            },
            'spec': {
                'containers': [{'name': 'main', 'resources': {'requests': dict(requests or {})}}],
                **({'nodeName': node} if node else {}),
                **parts.get('spec', {}),
            },
            'status': {'phase': 'Running', 'conditions': [ready], **started, **parts.get('status', {})},
        }
        self.objects.pods.append(made)
        return made

    def sample(self, name: str, usage: Mapping[str, tuple[str, str]], *, seconds_ago: float = 20, **parts: Any) -> None:
        """Add a sample of the metrics API: CPU and memory by container."""
        containers = [{'name': key, 'usage': {'cpu': cpu, 'memory': memory}} for key, (cpu, memory) in usage.items()]
        metadata = {'name': name, 'namespace': parts.get('namespace', 'team-a')}
        at = self.ago(seconds=seconds_ago)
        self.objects.metrics.append({'metadata': metadata, 'timestamp': at, 'window': '15s', 'containers': containers})

    def gpu(self, uuid: str, pod: str, value: float, *, minutes: float = 60, **labels: str) -> None:
        """Add a series of the DCGM exporter: a GPU that a pod has held for some minutes."""
        known = {'UUID': uuid, 'exported_pod': pod, 'exported_namespace': 'team-a', 'pod': 'dcgm-exporter-x7k2p'}
        self.objects.gpu_series.append(GpuSeries({**known, **labels}, value, since=minutes * 60))

    def findings(self) -> list[Finding]:
        """Return the findings of `doctor` about the instance that ran."""
        assert self._driver is not None
        return self._driver.findings()

    def assert_verified(self, run: Run) -> None:
        """Compare the gauges about accelerators of a run with those of the official client."""
        assert self._driver is not None
        theirs = verify.recompute('kubernetes', self._driver.check.instance, self.service.clock.now())
        ours = [verify.Figure(name, value, tags) for (name, tags), value in run.values.items()]
        pairs = [pair for pair in verify.compare(ours, theirs.figures) if '.gpu.' in pair.name]
        assert pairs
        assert [pair for pair in pairs if not pair.agrees] == []

    def run(self, **options: Any) -> Run:
        """Refresh with these options, which must be the same in every call."""
        if self._driver is None:
            self._driver = Driver.of(self.service, refresh_interval=0, **{**PLAIN, **options})
        return self._driver.run()


def figures(run: Run, *names: str) -> dict[str, float | None]:
    """Return single figures, written `name` or `name|tag`."""
    found = {}
    for name in names:
        metric, _, tag = name.partition('|')
        found[name] = run.value(PREFIX + metric, *([tag] if tag else []))
    return found
