"""The blocks of source `kubernetes`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from datadog_checks.base import ConfigurationError

from ..core.blocks import block
from ..core.diagnosis import Finding
from ..core.errors import BadPayload, Forbidden, NotFound, Rejected, SourceError, Unauthorized, Unavailable
from ..core.http import BearerAuth, Endpoint, NoAuth
from ..core.refresh import Attempt, Refresh, need
from ..core.service_clock import ServiceClock
from ..core.source import Source
from ..core.stored import NoMemory
from .client import CLAIMS, DEPLOYMENTS, NODES, POD_METRICS, PODS, SLICES, Client, Kind, Refusals, Sampling
from .credentials import CredentialsAuth, credentials
from .device_claims import DeviceClaims
from .history import History
from .inventory import Inventory
from .measures import deployments as deployment_measures
from .measures import gpu_usage as gpu_usage_measures
from .measures import gpus as gpu_measures
from .measures import nodes as node_measures
from .measures import pods as pod_measures
from .measures import usage as usage_measures
from .prometheus import Prometheus
from .records import Node, Pod, Samples
from .samples import of_pods as samples_of_pods
from .settings import Settings

if TYPE_CHECKING:
    from .config_models.instance import InstanceConfig

REMEDIES = {
    'auth': (
        'the token is invalid, expired, or of another cluster; with a kubeconfig, try '
        '`kubectl --kubeconfig FILE get pods` as the user of the Agent'
    ),
    'unreachable': 'check the address of the API server, and that the Agent may connect to it',
    'tls': 'set option `tls_ca_cert` to the CA certificate of the cluster, or use a kubeconfig that contains it',
    'timeout': 'raise option `timeout` or `read_timeout` if the API server is slow',
    'not_found': 'check that this is the address of a Kubernetes API server',
}

PROMETHEUS_REMEDIES = {
    'auth': 'set `prometheus_token` to a token that Prometheus accepts',
    'unreachable': 'check `prometheus_url` of option `gpu_usage`, and that the Agent may connect to it',
    'not_found': 'check that `prometheus_url` is the address of Prometheus, without /api/v1',
    'rejected': 'check `metric` and `selector` of option `gpu_usage`',
}


class KubernetesCheck(Source['InstanceConfig', NoMemory]):
    """One cluster."""

    SOURCE = 'kubernetes'
    HEALTH = 'try `kubectl get --raw /readyz`'
    LABEL_OPTIONS = ('cluster_name', 'context', 'kubeconfig', 'namespaces')
    SECRET_OPTIONS = ('token', 'prometheus_token')

    def connect(self) -> None:
        """Resolve the credentials and build the client. Raises ConfigurationError for options that do not fit."""
        self.settings = Settings.of(self.config)
        self.credentials = credentials(self.config)
        self.refusals = Refusals()
        endpoint = Endpoint(
            self.credentials.url,
            'Kubernetes',
            auth=CredentialsAuth(self.credentials, self.register_secret),
            policy=self.refusals,
            remedies=REMEDIES,
            options=self.credentials.options,
        )
        self.client = Client(self.api(endpoint), self.settings.namespaces)
        self.prometheus = self._prometheus()
        self.service_clock = ServiceClock(self.budget)
        self.claims: DeviceClaims | None = None
        self.tags = {'cluster': self.settings.cluster_name} if self.settings.cluster_name else {}

    def _prometheus(self) -> Prometheus | None:
        if (usage := self.settings.gpu_usage) is None:
            return None
        auth = BearerAuth(self.config.prometheus_token) if self.config.prometheus_token else NoAuth()
        endpoint = Endpoint(usage.url, 'Prometheus', auth=auth, remedies=PROMETHEUS_REMEDIES)
        return Prometheus(self.api(endpoint), usage)

    def begin(self, refresh: Refresh) -> None:
        """Read the usage before the pods: a pod that ends in between is in the samples only, and is not counted."""
        self._renew_credentials()
        self.sampling: Sampling | SourceError | None = self._sampling() if self.settings.collect_usage else None

    def base_tags(self) -> Mapping[str, str]:
        """Return the tag `cluster`, if the cluster has a name."""
        return self.tags

    def collects_usage(self) -> bool:
        """Return the option `collect_usage`."""
        return self.settings.collect_usage

    def collects_nodes(self) -> bool:
        """Return the option `collect_nodes`."""
        return self.settings.collect_nodes

    def reads_gpu_usage(self) -> bool:
        """Return whether option `gpu_usage` is set."""
        return self.settings.gpu_usage is not None

    def shows_idle(self) -> bool:
        """Return the option `cluster_idle`, which needs `collect_nodes` and `collect_usage`."""
        return self.settings.cluster_idle

    def _sampling(self) -> Sampling | SourceError:
        """Return the answer of the metrics API, or the error that only block `usage` is to fail with."""
        try:
            return self.client.sampling()
        except Unauthorized:
            raise
        except SourceError as error:
            return error

    @block(state=History)
    def pods(self, attempt: Attempt[History]) -> list[Pod]:
        """Read the pods."""
        pods = self.client.pods(attempt.problem)
        if not attempt.problems:
            for pattern in self.settings.namespaces.unmatched(pod.namespace for pod in pods):
                attempt.problem('no_match', f'option `namespaces`: {pattern!r} matches no namespace that has pods')
        now = self.service_clock.time(attempt.now)
        previous, current = attempt.state, History.of(pods, now, attempt.state)
        attempt.emit(pod_measures.pods(pods, now, previous=previous, current=current, settings=self.settings))
        attempt.state = current
        return pods

    @block(when=collects_nodes, uses=pods)
    def nodes(self, attempt: Attempt[None], pods: list[Pod] | None) -> list[Node]:
        """Read the nodes, and count their GPUs."""
        nodes = self.client.nodes(attempt.problem)
        attempt.emit(node_measures.allocatable(nodes))
        self.claims = self._device_claims(attempt, pods or ())
        inventory = Inventory(nodes, self.settings.accelerator_types, self.claims)
        for reason, message in inventory.problems():
            attempt.problem(reason, message)
        attempt.emit(gpu_measures.allocatable(inventory))
        if pods is None:
            attempt.problem('dependency', 'the GPUs that pods request need block `pods`, which has no result')
        else:
            inventory.hold(pods)
            attempt.emit(gpu_measures.states(inventory, pods))
            attempt.emit(gpu_measures.by_owner(inventory, pods, self.settings))
        return nodes

    def _device_claims(self, attempt: Attempt[None], pods: Collection[Pod]) -> DeviceClaims | None:
        """Return the devices that pods claim, None when they are not read. Notes what is not counted then."""
        if self.settings.resource_claims:
            try:
                return self.client.device_claims(self.settings.accelerator_types, attempt.problem)
            except (BadPayload, Forbidden, NotFound, Rejected, Unavailable) as error:
                attempt.problem(error.reason, f'devices that pods claim are not counted: {error}')
        elif number := sum(pod.claims > 0 for pod in pods):
            attempt.problem(
                'uncounted',
                f'{number} pods claim devices (dynamic resource allocation), which are not counted as GPUs: set '
                '`resource_claims: true` to count them',
            )
        return None

    @block(when=collects_usage, uses=(pods, nodes))
    def usage(self, attempt: Attempt[None], pods: list[Pod] | None, nodes: list[Node] | None) -> Samples:
        """Compare the usage of pods with their requests."""
        if isinstance(self.sampling, SourceError):
            raise self.sampling
        sampling = need(self.sampling, 'usage')
        for reason, message in sampling.problems:
            attempt.problem(reason, message)
        pods = need(pods, 'pods')
        samples = samples_of_pods(sampling.samples, pods, nodes or (), attempt.problem)
        live = [pod for pod in pods if pod.live]
        if live and not any(pod.key in samples for pod in live):
            # This does not mean that nothing is used: metrics-server answers so while it starts, or reaches no kubelet.
            raise Unavailable(
                f'the metrics API has no sample of any of the {len(live)} running pods: '
                'metrics-server has just started, or cannot reach the nodes',
                reason='no_samples',
            )
        now = self.service_clock.time(attempt.now)
        attempt.emit(usage_measures.usage(pods, samples, now, settings=self.settings))
        return samples

    @block()
    def deployments(self, attempt: Attempt[None]) -> None:
        """Read the deployments."""
        attempt.emit(deployment_measures.deployments(self.client.deployments(attempt.problem)))

    @block(nodes, pods, when=shows_idle, uses=usage)
    def idle(self, attempt: Attempt[None], nodes: list[Node], pods: list[Pod], samples: Samples | None) -> None:
        """Calculate the capacity that is neither requested nor used."""
        attempt.emit(node_measures.idle(nodes, pods, need(samples, 'usage')))

    @block(nodes, pods, when=reads_gpu_usage)
    def gpu_usage(self, attempt: Attempt[None], nodes: list[Node], pods: list[Pod]) -> None:
        """Ask Prometheus for the utilization of the GPUs that pods hold."""
        prometheus, option = need(self.prometheus, 'gpu_usage'), need(self.settings.gpu_usage, 'gpu_usage')
        # The pods began by the clock of the API server, not by that of Prometheus.
        now = self.service_clock.time(attempt.now)
        inventory = Inventory(nodes, self.settings.accelerator_types, self.claims)
        inventory.hold(pods)
        found = list(gpu_usage_measures.measured(inventory, pods, prometheus.readings()))
        for warning in prometheus.warnings:
            attempt.truncated(f'Prometheus may have left out series: {warning}')
        if found and not any(one.readings for one in found):
            raise Unavailable(
                f'Prometheus has no series of {option.metric} for any of the {len({one.pod.uid for one in found})} '
                'pods that hold NVIDIA GPUs: the DCGM exporter must run on their nodes, and add the labels of pods',
                reason='no_samples',
            )
        attempt.emit(gpu_usage_measures.usage(found, now, option=option, settings=self.settings))

    def probe(self) -> Iterator[Finding]:
        """Request one item of every list that a refresh reads."""
        self._renew_credentials()
        kinds = [PODS, DEPLOYMENTS]
        if self.settings.collect_usage:
            kinds.append(POD_METRICS)
        if self.settings.collect_nodes:
            kinds += [NODES, *((CLAIMS, SLICES) if self.settings.resource_claims else ())]
        for kind in kinds:
            yield self._finding(kind)
        if self.prometheus is not None:
            yield Finding('Prometheus', 'ok', f'{self.prometheus.number_of_gpus()} GPUs are measured')

    def _finding(self, kind: Kind) -> Finding:
        name = f'list {kind.plural}.{kind.group}'.rstrip('.')
        try:
            self.client.reach(kind)
        except Forbidden as error:
            return Finding(name, 'fail', error.fact, f'add to the ClusterRole: {kind.rule}')
        except (NotFound, Unavailable) as error:
            if kind is not POD_METRICS:
                raise
            return Finding(name, 'fail', error.fact, 'install metrics-server, or set `collect_usage: false`')
        return Finding(name, 'ok', 'allowed')

    def verifies_tls(self) -> bool:
        """Return False when the options or a kubeconfig switch verification off."""
        return super().verifies_tls() and self.credentials.options.get('verify') is not False

    def _renew_credentials(self) -> None:
        if self.refusals.refused:
            try:
                self.credentials.renew()
            except ConfigurationError as error:
                raise Unauthorized(str(error)) from error
            self.refusals.refused = False
