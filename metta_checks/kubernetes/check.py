"""Kubernetes: how credentials, client, records and measures meet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from datadog_checks.base import ConfigurationError

from ..diagnosis import Finding
from ..errors import Forbidden, NotFound, SourceError, Unauthorized, Unavailable
from ..http import Endpoint, Response, ResponsePolicy
from ..refresh import Block, Refresh, need
from ..source import Source
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


class KubernetesCheck(Source['InstanceConfig']):
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

    def refresh(self, refresh: Refresh) -> None:
        """Read the lists, block by block."""
        self._renew_credentials()
        # Samples first, so that pods are never older than their usage: one that ended in between is simply not counted.
        sampling = self._sampling() if self.config.collect_usage else None
        pods = refresh.attempt_for('', self.tags, 'pods', self._pods)
        if sampling is not None:
            refresh.attempt_for('', self.tags, 'usage', self._usage, sampling, pods)
        refresh.attempt_for('', self.tags, 'deployments', self._deployments)
        if self.config.collect_nodes:
            nodes = refresh.attempt_for('', self.tags, 'nodes', self._nodes, pods)
            if self.config.cluster_idle and sampling is not None:
                refresh.attempt_for('', self.tags, 'idle', self._idle, nodes, pods, sampling)

    def _sampling(self) -> Sampling | SourceError:
        """The answer of the metrics API, or why there is none: block `usage` alone is to fail of that."""
        try:
            return self.client.sampling()
        except Unauthorized:
            raise
        except SourceError as error:
            return error

    def _pods(self, block: Block) -> list[Pod]:
        pods = list(self.client.pods(block.problem))
        previous, current = measures.History.load(block.state), measures.History.of(pods)
        block.emit(measures.pods(pods, block.now, previous=previous, current=current, settings=self.settings))
        block.state = current.dump()
        return pods

    def _usage(self, block: Block, sampling: Sampling | SourceError, pods: list[Pod] | None) -> None:
        if isinstance(sampling, SourceError):
            raise sampling
        for reason, message in sampling.problems:
            block.problem(reason, message)
        pods = need(pods, 'pods')
        if (samples := self._samples(sampling, pods)) is None:
            # Not "nothing is used": metrics-server answers like this while it starts, or when it reaches no kubelet.
            raise Unavailable(
                f'the metrics API has no sample of any of the {sum(pod.live for pod in pods)} running pods: '
                'metrics-server has just started, or cannot reach the nodes',
                reason='no_samples',
            )
        block.emit(measures.usage(pods, samples, block.now, settings=self.settings))

    @staticmethod
    def _samples(sampling: Sampling | SourceError, pods: list[Pod]) -> Samples | None:
        """The samples, None when there are none although pods run."""
        if isinstance(sampling, SourceError):
            return None
        live = [pod for pod in pods if pod.live]
        if live and not any((pod.namespace, pod.name) in sampling.samples for pod in live):
            return None
        return sampling.samples

    def _deployments(self, block: Block) -> None:
        block.emit(measures.deployments(self.client.deployments(block.problem)))

    def _nodes(self, block: Block, pods: list[Pod] | None) -> list[Node]:
        nodes = list(self.client.nodes(block.problem))
        block.emit(measures.allocatable(nodes))
        if pods is None:
            block.problem('dependency', 'gpu.requested and gpu.free need block `pods`, which failed')
        else:
            block.emit(measures.gpus(nodes, pods))
        return nodes

    def _idle(
        self, block: Block, nodes: list[Node] | None, pods: list[Pod] | None, sampling: Sampling | SourceError
    ) -> None:
        nodes, pods = need(nodes, 'nodes'), need(pods, 'pods')
        samples = need(self._samples(sampling, pods), 'usage')
        block.emit(measures.idle(nodes, pods, samples))

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
