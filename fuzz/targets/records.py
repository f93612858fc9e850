"""The parsers of records, one by one: nodes of recorded answers, tampered with.

A case is the node. The result must be a record whose values fit its annotations, or a typed error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any

from metta_checks.asana import records as asana
from metta_checks.asana.section_names import SectionNames
from metta_checks.core.errors import SourceError
from metta_checks.ec2 import records as ec2
from metta_checks.ec2.price_list import Product
from metta_checks.github import records as github
from metta_checks.github import run_records as github_runs
from metta_checks.github.connections import resolved
from metta_checks.github.deployment_records import Deployment
from metta_checks.github.people import Bots
from metta_checks.github.runner_records import Runner
from metta_checks.kubernetes import payloads
from metta_checks.kubernetes import records as kubernetes
from metta_checks.skypilot import cluster_records, idle_clusters, pools, price_list
from metta_checks.skypilot import records as skypilot
from metta_checks.wandb import records as wandb

from .. import mutate, wire
from ..choices import Choose
from ..fits import fits
from ..target import Target
from .checks import bench

NOW = datetime(2026, 11, 24, 18, tzinfo=UTC)
BOTS = Bots.of()


@dataclass(frozen=True)
class Parser:
    """A parser of nodes, with the errors that it may raise and the type of its records.

    `template` and `nodes` say where the nodes of a good run are; `seeds` are further ones.
    """

    name: str
    parse: Callable[[Any], Any]
    kind: Any
    template: str = ''
    nodes: Callable[[Any], Any] = lambda document: [document]
    seeds: tuple[Any, ...] = ()
    errors: tuple[type[Exception], ...] = (SourceError,)

    @property
    def source(self) -> str:
        """The source that it belongs to."""
        return self.name.split('.')[0]

    def run(self, case: Any) -> None:
        """Parse one node."""
        try:
            record = self.parse(case)
        except self.errors:
            return
        fits(record, self.kind, self.name)

    def make(self, choose: Choose) -> Any:
        """Return a node with a few changes."""
        return _maker(self.name)(choose)


def _problem(reason: str, message: str) -> None:
    """Accept a report of a parser of Kubernetes about a skipped part."""


def _github(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """As the client reads nodes: only objects reach the parser."""

    def read(node: Any) -> Any:
        (checked,) = resolved({'nodes': [node]}, 'nodes') or ({},)
        return parse(checked)

    return read


def _validated(adapter: Any, parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """As a page is read: through pydantic first."""

    def read(node: Any) -> Any:
        body = wire.content({'metadata': {}, 'items': [node]}, b'{')
        _, items = payloads.decode_list(adapter, _response(body))
        return [parse(item) for item in items]

    return read


def _response(body: bytes) -> Any:
    from metta_checks.core.http import Response

    return Response(200, {}, body, 'http://kubernetes.example/', 'GET / at kubernetes.example')


PUSH = {'id': 1, 'timestamp': '2026-11-24T09:00:00Z', 'actor': {'login': 'ada'}, 'before': 'a' * 40, 'after': 'b' * 40}
POOLS = [
    {
        'name': 'batch',
        'replica_info': [
            {
                'name': 'batch-1',
                'status': 'READY',
                'resources_str': '1x(gpus=L4:4, ...)',
                'resources_str_full': '2x[spot](gpus=L4:4, cpus=48, mem=192, g6.12xlarge, disk=256)',
            }
        ],
    }
]
CLUSTER_JOBS = [{'status': 'SUCCEEDED', 'submitted_at': 1795000000.5, 'start_at': 1795000010.0, 'end_at': None}]
PRODUCT = {
    'product': {'productFamily': 'Storage', 'attributes': {'usagetype': 'USW2-EBS:VolumeUsage.gp3'}},
    'terms': {'OnDemand': {'x': {'priceDimensions': {'y': {'unit': 'GB-Mo', 'pricePerUnit': {'USD': '0.08'}}}}}},
}
INSTANCE = {
    'InstanceId': 'i-1',
    'InstanceType': 'g6.xlarge',
    'State': {'Name': 'stopped'},
    'InstanceLifecycle': 'spot',
    'LaunchTime': '2026-11-01T00:00:00Z',
    'Placement': {'AvailabilityZone': 'us-east-1a', 'Tenancy': 'default'},
    'CpuOptions': {'CoreCount': 2, 'ThreadsPerCore': 2},
    'NetworkInterfaces': [{'Attachment': {'DeviceIndex': 0, 'AttachTime': '2026-10-01T00:00:00Z'}}],
    'StateTransitionReason': 'User initiated (2026-11-12 03:04:05 GMT)',
    'Tags': [{'Key': 'team', 'Value': 'vision'}],
}
TYPE = {
    'InstanceType': 'g6f.xlarge',
    'VCpuInfo': {'DefaultVCpus': 4},
    'GpuInfo': {'Gpus': [{'Name': 'L4', 'Count': 0, 'LogicalGpuCount': 1, 'GpuPartitionSize': 0.125}]},
    'NeuronInfo': {'NeuronDevices': [{'Count': 1}]},
}
VOLUME = {
    'VolumeId': 'vol-1',
    'VolumeType': 'gp3',
    'State': 'in-use',
    'Size': 100,
    'Iops': 3000,
    'Throughput': 125,
    'CreateTime': '2026-10-01T00:00:00Z',
    'Attachments': [{'InstanceId': 'i-1'}],
}
SNAPSHOT = {
    'State': 'completed',
    'VolumeId': 'vol-1',
    'VolumeSize': 100,
    'FullSnapshotSizeInBytes': 10**9,
    'StartTime': '2026-10-01T00:00:00Z',
}
SPOT = {
    'InstanceType': 'g6.xlarge',
    'AvailabilityZone': 'us-east-1a',
    'ProductDescription': 'Linux/UNIX (Amazon VPC)',
    'SpotPrice': '0.31',
    'Timestamp': '2026-11-24T00:00:00Z',
}


def _repositories(document: Any) -> list[Any]:
    """Return the repositories in an answer to the first query, which asks for several at once."""
    return [node for key, node in document['data'].items() if key.startswith('repository') and node is not None]


def _edges(document: Any) -> Any:
    return [edge['node'] for edge in document['data']['project']['runs']['edges']]


PARSERS = (
    Parser(
        'github.overview',
        _github(lambda node: github.Overview.parse(node, {}, BOTS)),
        github.Overview,
        'Now',
        _repositories,
    ),
    Parser(
        'github.pull_request',
        _github(lambda node: github.PullRequest.parse(node, BOTS)),
        github.PullRequest,
        'ClosedPullRequests',
        lambda document: [
            node for repository in _repositories(document) for node in repository['closedPullRequests']['nodes']
        ],
    ),
    Parser(
        'github.commit',
        _github(lambda node: github.Commit.parse(node, BOTS)),
        github.Commit,
        'Now',
        lambda document: [
            node
            for repository in _repositories(document)
            if repository['defaultBranchRef'] is not None
            for node in repository['defaultBranchRef']['target']['inWindow']['nodes']
        ],
    ),
    Parser(
        'github.run',
        _github(github_runs.Run.parse),
        github_runs.Run,
        'GET /repos/*/actions/runs',
        lambda document: document['workflow_runs'],
    ),
    Parser(
        'github.deployment',
        _github(Deployment.parse),
        Deployment,
        'Deployments',
        lambda document: document['data']['repository']['deployments']['nodes'],
    ),
    Parser(
        'github.runner',
        _github(Runner.parse),
        Runner,
        'GET /repos/*/actions/runners',
        lambda document: document['runners'],
    ),
    Parser('github.force_push', _github(github.ForcePush.parse), github.ForcePush, seeds=(PUSH,)),
    Parser(
        'asana.task',
        lambda node: asana.Task.parse(node, SectionNames(['in progress'])),
        tuple[str, asana.Task | None],
        'GET /api/*.*/projects/*/tasks',
        lambda document: document['data'],
        errors=(asana.Unreadable,),
    ),
    Parser(
        'asana.bug',
        lambda node: asana.Bug.parse(node, '1'),
        tuple[str, asana.Bug | None],
        'GET /api/*.*/projects/*/tasks',
        lambda document: document['data'],
        errors=(asana.Unreadable,),
    ),
    Parser(
        'asana.project',
        asana.Project.parse,
        asana.Project,
        'GET /api/*.*/projects',
        lambda document: document['data'],
        errors=(asana.Unreadable,),
    ),
    Parser('asana.me', asana.Me.parse, asana.Me, 'GET /api/*.*/users/me', lambda document: [document['data']]),
    Parser(
        'asana.story',
        lambda node: asana.Story.parse(node, SectionNames(['in progress'])),
        asana.Story,
        'GET /api/*.*/tasks/*/stories',
        lambda document: document['data'],
        errors=(asana.Unreadable,),
    ),
    Parser(
        'ec2.instance',
        lambda node: ec2.Instance.parse(node, 'us-east-1', ('team',)),
        ec2.Instance,
        seeds=(INSTANCE,),
    ),
    Parser('ec2.instance_type', ec2.InstanceType.parse, tuple[str, ec2.InstanceType], seeds=(TYPE,)),
    Parser('ec2.volume', lambda node: ec2.Volume.parse(node, 'us-east-1'), ec2.Volume, seeds=(VOLUME,)),
    Parser('ec2.snapshot', lambda node: ec2.Snapshot.parse(node, 'us-east-1'), ec2.Snapshot, seeds=(SNAPSHOT,)),
    Parser('ec2.spot_price', ec2.SpotPrice.parse, ec2.SpotPrice, seeds=(SPOT,)),
    Parser('ec2.product', Product.parse, Product, seeds=(PRODUCT,)),
    Parser('wandb.run', lambda node: wandb.Run.parse(wire.closed(node), 'gpus'), wandb.Run | None, 'Runs', _edges),
    Parser(
        'wandb.readings',
        lambda node: wandb.GpuReadings.parse(wire.closed(node), 'gpus'),
        wandb.GpuReadings | None,
        'Running',
        _edges,
    ),
    Parser(
        'skypilot.queue',
        lambda answer: skypilot.Queue.parse(answer, complete=True),
        skypilot.Queue,
        'result of /jobs/queue/v2',
        lambda document: [document['return_value'][wire.INSIDE]],
    ),
    Parser(
        'skypilot.row',
        skypilot.Task.parse,
        skypilot.Task | None,
        'result of /jobs/queue/v2',
        lambda document: document['return_value'][wire.INSIDE]['jobs'],
    ),
    Parser(
        'skypilot.clusters',
        cluster_records.parse_clusters,
        list[cluster_records.Cluster],
        'result of /status',
        lambda document: [document['return_value'][wire.INSIDE]],
    ),
    Parser(
        'skypilot.bills',
        cluster_records.parse_bills,
        list[cluster_records.Bill],
        'result of /cost_report',
        lambda document: [document['return_value'][wire.INSIDE]],
    ),
    Parser(
        'skypilot.pools',
        pools.parse_workers,
        list[pools.Worker],
        seeds=(POOLS,),
    ),
    Parser(
        'skypilot.cluster_jobs',
        idle_clusters.parse_jobs,
        list[idle_clusters.ClusterJob],
        seeds=(CLUSTER_JOBS,),
    ),
    Parser(
        'skypilot.prices',
        lambda answer: price_list.PriceList.parse(answer, [('aws', 'g6.xlarge'), ('gcp', 'a2-highgpu-1g')]),
        price_list.PriceList,
        'result of /list_accelerators',
        lambda document: [document['return_value'][wire.INSIDE]],
        seeds=({'L4': [['AWS', 'g6.xlarge', 'L4', 1, 4, 24, 16, 0.8, 0.3, 'us-east-1']]},),
    ),
    Parser(
        'kubernetes.pod',
        _validated(payloads.POD_LIST, lambda item: kubernetes.Pod.parse(item, _problem)),
        list[kubernetes.Pod],
        'GET /api/v1/pods',
        lambda document: document['items'],
    ),
    Parser(
        'kubernetes.usage',
        _validated(payloads.POD_METRICS_LIST, lambda item: kubernetes.PodUsage.parse(item, _problem)),
        list[kubernetes.PodUsage],
        'GET /apis/metrics.k8s.io/v1beta1/pods',
        lambda document: document['items'],
    ),
    Parser(
        'kubernetes.node',
        _validated(payloads.NODE_LIST, lambda item: kubernetes.Node.parse(item, _problem)),
        list[kubernetes.Node],
        'GET /api/v1/nodes',
        lambda document: document['items'],
    ),
    Parser(
        'kubernetes.deployment',
        _validated(payloads.DEPLOYMENT_LIST, kubernetes.Deployment.parse),
        list[kubernetes.Deployment],
        'GET /apis/apps/v1/deployments',
        lambda document: document['items'],
    ),
)


@cache
def _maker(name: str) -> Callable[[Choose], Any]:
    parser = next(one for one in PARSERS if one.name == name)
    seeds = list(parser.seeds)
    if parser.template:
        seeds += parser.nodes(bench(parser.source).templates[parser.template][0])[:40]
    return mutate.from_seeds(seeds)


def targets() -> Iterator[Target]:
    """Return the targets `records.<source>.<record>`."""
    for parser in PARSERS:
        yield Target(f'records.{parser.name}', parser.run, partial(Parser.make, parser))
