"""Kubernetes: how credentials, client, records and measures meet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from datadog_checks.base import ConfigurationError

from ..core.blocks import block
from ..core.diagnosis import Finding
from ..core.errors import Forbidden, NotFound, SourceError, Unauthorized, Unavailable
from ..core.http import Endpoint, Response, ResponsePolicy
from ..core.refresh import Attempt, Refresh, need
from ..core.source import Source
from ..core.stored import NoMemory
from . import measures
from .client import DEPLOYMENTS, NODES, POD_METRICS, PODS, Client, Kind, Sampling
from .credentials import Credentials, credentials
from .namespaces import Namespaces
from .records import Node, Pod, Samples

if TYPE_CHECKING:
    from .config_models.instance import InstanceConfig

REMEDIES = {
    'auth': (
        'the token was rejected: it is wrong, expired, or of another cluster (with a kubeconfig, try '
        '`kubectl --kubeconfig FILE get pods` as the user of the Agent)'
    ),
    'unreachable': 'is the address right, and may the Agent reach it?',
    'tls': 'give the CA of the cluster as `tls_ca_cert`, or use a kubeconfig that has it',
    'timeout': 'raise `timeout` or `read_timeout` if the API server is that slow',
    'not_found': 'is this the address of a Kubernetes API server?',
}


class _Auth:
    """The credentials, scrubbed: they are not in the configuration when a kubeconfig or the pod has them."""

    def __init__(self, credentials: Credentials, register_secret: Callable[[str], None]) -> None:
        self._credentials = credentials
        self._register_secret = register_secret

    def headers(self) -> Mapping[str, str]:
        """Return the headers of the next request."""
        found = self._credentials.headers()
        if value := found.get('Authorization'):
            self._register_secret(value.rpartition(' ')[2])
        return found


class _Refusals(ResponsePolicy):
    """Leaves every error to the general rules; a refused token is only to be read again the next time."""

    def __init__(self) -> None:
        self.refused = False

    def classify(self, response: Response, resource: str) -> None:
        """Remember that the token was refused."""
        if response.status == 401:
            self.refused = True


class KubernetesCheck(Source['InstanceConfig', NoMemory]):
    """One cluster."""

    SOURCE = 'kubernetes'
    IDENTITY_OPTIONS = ('cluster_name', 'context', 'kubeconfig', 'api_server_url', 'namespaces')
    SECRET_OPTIONS = ('token',)

    def connect(self) -> None:
        """Resolve the credentials and build the client. Raises ConfigurationError for options that do not fit."""
        config = self.config
        if config.cluster_idle and not (config.collect_usage and config.collect_nodes):
            raise ConfigurationError('option `cluster_idle` needs `collect_usage` and `collect_nodes`')
        self.credentials = credentials(config)
        self.refusals = _Refusals()
        endpoint = Endpoint(
            self.credentials.url,
            'Kubernetes',
            auth=_Auth(self.credentials, self.register_secret),
            policy=self.refusals,
            remedies=REMEDIES,
            options=self.credentials.options,
        )
        selection = config.namespaces
        namespaces = Namespaces(selection.include or (), selection.exclude or ()) if selection else Namespaces()
        self.client = Client(self.api(endpoint), namespaces)
        self.tags = {'cluster': config.cluster_name} if config.cluster_name else {}
        self.settings = measures.Settings.of(config)

    def begin(self, refresh: Refresh) -> None:
        """Read the samples of usage, so that pods are never older: one that ended in between is not counted."""
        self._renew_credentials()
        self.sampling: Sampling | SourceError | None = self._sampling() if self.config.collect_usage else None

    def base_tags(self) -> Mapping[str, str]:
        """Return the tag `cluster`, if the cluster has a name."""
        return self.tags

    def collects_usage(self) -> bool:
        """Return the option `collect_usage`."""
        return self.config.collect_usage

    def collects_nodes(self) -> bool:
        """Return the option `collect_nodes`."""
        return self.config.collect_nodes

    def shows_idle(self) -> bool:
        """Return whether option `cluster_idle` and what it needs are on."""
        return self.config.cluster_idle and self.config.collect_nodes and self.config.collect_usage

    def _sampling(self) -> Sampling | SourceError:
        """The answer of the metrics API, or why there is none: block `usage` alone is to fail of that."""
        try:
            return self.client.sampling()
        except Unauthorized:
            raise
        except SourceError as error:
            return error

    @block(state=measures.History)
    def pods(self, attempt: Attempt[measures.History]) -> list[Pod]:
        """Read the pods."""
        pods = list(self.client.pods(attempt.problem))
        previous, current = attempt.state, measures.History.of(pods)
        attempt.emit(measures.pods(pods, attempt.now, previous=previous, current=current, settings=self.settings))
        attempt.state = current
        return pods

    @block(when=collects_usage, uses=pods)
    def usage(self, attempt: Attempt[None], pods: list[Pod] | None) -> None:
        """Compare what pods use with what they request."""
        if isinstance(self.sampling, SourceError):
            raise self.sampling
        sampling = need(self.sampling, 'usage')
        for reason, message in sampling.problems:
            attempt.problem(reason, message)
        pods = need(pods, 'pods')
        if (samples := self._samples(pods)) is None:
            # Not "nothing is used": metrics-server answers like this while it starts, or when it reaches no kubelet.
            raise Unavailable(
                f'the metrics API has no sample of any of the {sum(pod.live for pod in pods)} running pods: '
                'metrics-server has just started, or cannot reach the nodes',
                reason='no_samples',
            )
        attempt.emit(measures.usage(pods, samples, attempt.now, settings=self.settings))

    def _samples(self, pods: list[Pod]) -> Samples | None:
        """The samples, None when there are none although pods run."""
        sampling = self.sampling
        if sampling is None or isinstance(sampling, SourceError):
            return None
        live = [pod for pod in pods if pod.live]
        if live and not any((pod.namespace, pod.name) in sampling.samples for pod in live):
            return None
        return sampling.samples

    @block()
    def deployments(self, attempt: Attempt[None]) -> None:
        """Read the deployments."""
        attempt.emit(measures.deployments(self.client.deployments(attempt.problem)))

    @block(when=collects_nodes, uses=pods)
    def nodes(self, attempt: Attempt[None], pods: list[Pod] | None) -> list[Node]:
        """Read the nodes, and what pods leave of their GPUs."""
        nodes = list(self.client.nodes(attempt.problem))
        attempt.emit(measures.allocatable(nodes))
        if pods is None:
            attempt.problem('dependency', 'gpu.requested and gpu.free need block `pods`, which failed')
        else:
            attempt.emit(measures.gpus(nodes, pods))
        return nodes

    @block(nodes, pods, when=shows_idle)
    def idle(self, attempt: Attempt[None], nodes: list[Node], pods: list[Pod]) -> None:
        """Calculate what nobody uses or holds."""
        samples = need(self._samples(pods), 'usage')
        attempt.emit(measures.idle(nodes, pods, samples))

    def probe(self) -> Iterator[Finding]:
        """Ask for one item of every list that a refresh reads."""
        self._renew_credentials()
        kinds = [PODS, DEPLOYMENTS]
        if self.config.collect_usage:
            kinds.append(POD_METRICS)
        if self.config.collect_nodes:
            kinds.append(NODES)
        for kind in kinds:
            yield self._finding(kind)

    def _finding(self, kind: Kind) -> Finding:
        name = f'list {kind.plural}.{kind.group}'.rstrip('.')
        try:
            self.client.reach(kind)
        except Forbidden as error:
            return Finding(name, 'fail', str(error), f'add to the ClusterRole: {kind.rule}')
        except (NotFound, Unavailable) as error:
            if kind is not POD_METRICS:
                raise
            return Finding(name, 'fail', str(error), 'install metrics-server, or set `collect_usage: false`')
        return Finding(name, 'ok', 'allowed')

    def verifies_tls(self) -> bool:
        """A kubeconfig may switch verification off, too."""
        return super().verifies_tls() and self.credentials.options.get('verify') is not False

    def _renew_credentials(self) -> None:
        if self.refusals.refused:
            try:
                self.credentials.renew()
            except ConfigurationError as error:
                raise Unauthorized(str(error)) from error
            self.refusals.refused = False
