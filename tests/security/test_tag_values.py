"""With 10,001 values of a field that becomes a tag, series stay within the declared bound and sums stay the total."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from math import prod
from typing import Any

import pytest

from metta_checks.asana.measures.bugs import bugs
from metta_checks.asana.measures.severity import by_severity
from metta_checks.asana.settings import SectionMap
from metta_checks.check import SOURCES
from metta_checks.core import catalog
from metta_checks.core.catalog import Catalog, Metric
from metta_checks.core.refresh import Sample
from metta_checks.core.tag_values import OTHER
from metta_checks.core.tags import format_tags
from metta_checks.ec2.capacity import Reservation
from metta_checks.ec2.measures import accelerators, capacity, instance_costs, instances, volumes
from metta_checks.ec2.measures import regions as ec2_regions
from metta_checks.ec2.records import InstanceType
from metta_checks.ec2.tag_keys import TagKey
from metta_checks.github.job_records import Job
from metta_checks.github.measures import ci, deployments, dora, pull_requests, repository, runners
from metta_checks.github.measures import jobs as job_measures
from metta_checks.github.measures.ci import CiSettings
from metta_checks.github.measures.dora import Delivery, Deployed
from metta_checks.github.records import MergeQueue
from metta_checks.github.runner_records import Runner
from metta_checks.kubernetes.accelerator_types import AcceleratorTypes
from metta_checks.kubernetes.history import History
from metta_checks.kubernetes.inventory import Inventory
from metta_checks.kubernetes.measures import gpus as kubernetes_gpus
from metta_checks.kubernetes.measures import pods as pod_measures
from metta_checks.kubernetes.measures.usage import usage
from metta_checks.kubernetes.records import Pod, PodKey, PodUsage
from metta_checks.kubernetes.settings import Settings
from metta_checks.skypilot.kinds import Kinds
from metta_checks.skypilot.measures import clusters as cluster_measures
from metta_checks.skypilot.measures import cost, jobs, single_jobs
from metta_checks.skypilot.measures import pools as pool_measures
from metta_checks.skypilot.pools import Worker
from metta_checks.wandb.gpu_readings import Fleet
from metta_checks.wandb.measures import gpus as gpu_measures
from metta_checks.wandb.measures import runs as run_measures
from metta_checks.wandb.measures.single_runs import single_gpus
from metta_checks.wandb.measures.sweeps import sweeps
from metta_checks.wandb.settings import Figures
from tests.asana import rows as asana
from tests.ec2 import builders as ec2
from tests.github import test_deployments as github_deployments
from tests.github import test_measures as github
from tests.kubernetes import build as kubernetes
from tests.skypilot import build as skypilot
from tests.wandb import test_measures as wandb

pytestmark = pytest.mark.unit

NUMBER = 10_001
# In two spellings, since Datadog stores tags in lower case.
NAMES = [f'{"Value" if index % 2 else "value"}-{index // 2:04d}' for index in range(NUMBER - 1)] + ['the-last-one']
DISTINCT = len({name.lower() for name in NAMES})
LOWER = [f'value-{index:05d}' for index in range(NUMBER)]
# Options that are numbers, or the number of entries in options that are lists, in these scenes.
OPTIONS = {
    'max_workflows': 30, 'max_jobs': 200, 'max_types': 30, 'max_runs': 50, 'max_namespaces': 50, 'per_deployment': 20,
    'per_workload': 20,
    'run_types': 1, 'projects': 1,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Scene:
    """A hostile answer.

    Attributes:
        tags: the tags whose values it makes up, together
        samples: makes the samples
        totals: by metric, the sum over its tags: a number, or the name of the metric without tags
        full: whether as many values are shown as the limits of these tags allow
    """

    source: str
    tags: tuple[str, ...]
    samples: Callable[[], Iterable[Sample]]
    totals: Mapping[str, float | str] = field(default_factory=dict)
    full: bool = True

    def __str__(self) -> str:
        return f'{self.source}-{"-".join(self.tags)}-{next(iter(self.totals), "series")}'


def wandb_fleet() -> Fleet:
    return wandb.fleet([wandb.reading(name, gpu_type=name, gpus=1.0, utilization=[50.0]) for name in LOWER])


def wandb_runs(**figures):
    rows = [wandb.row(name, gpu_type=name, gpus=1.0, user=name, group=name) for name in LOWER]
    return wandb_gauges(rows, **figures)


def wandb_gauges(rows, **figures):
    return run_measures.runs(rows, wandb.NOW, Figures(0, 1, {}, **figures), run_measures.usage_of(rows, wandb.NOW))


def wandb_single_runs():
    rows = [wandb.row(name, 'running', name=name) for name in LOWER]
    yield from wandb_gauges(rows, single_runs=50)
    yield from single_gpus(wandb_fleet(), rows, 50)


WANDB = [
    Scene(
        'wandb',
        ('gpu_type',),
        lambda: gpu_measures.gpus(wandb_fleet(), LOWER[5000:], Figures(0, 1, {})),
        {'gpus.in_use': NUMBER},
    ),
    Scene('wandb', ('gpu_type',), lambda: gpu_measures.gpus(Fleet(), LOWER, Figures(0, 1, {})), {'gpus.in_use': 0}),
    Scene(
        'wandb', ('user',), lambda: wandb_runs(by_user=True), {'gpus.hours_by_user_7d': 'training.total_gpu_hours_7d'}
    ),
    Scene(
        'wandb',
        ('group',),
        lambda: wandb_runs(by_group=True),
        {'gpus.hours_by_group_7d': 'training.total_gpu_hours_7d'},
    ),
    Scene('wandb', ('gpu_type',), wandb_runs, {'gpus.hours_7d': 'training.total_gpu_hours_7d'}),
    Scene(
        'wandb',
        ('gpu_type',),
        lambda: wandb_runs(costs=True, prices=dict.fromkeys(LOWER, 2.0)),
        {'gpus.cost_usd_7d': 'training.cost_estimate_usd'},
    ),
    Scene(
        'wandb',
        ('user',),
        lambda: run_measures.endings([wandb.row(name, user=name) for name in NAMES], by_user=True),
        {'runs.finished': NUMBER},
    ),
    Scene('wandb', ('state',), lambda: sweeps(LOWER), {'sweeps.count': NUMBER}),
    Scene('wandb', ('run_id',), wandb_single_runs),
]


def sky_jobs(**columns: Iterable[Any]) -> list:
    """Return running jobs with these columns."""
    return list(sky_queue(**columns).jobs)


def sky_queue(**columns):
    rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
    return skypilot.queue(*(skypilot.record(index, **row) for index, row in enumerate(rows)))


def sky_live(by_workspace: bool = False, **columns):
    return jobs.jobs(sky_queue(**columns), skypilot.NOW, by_workspace=by_workspace)


def sky_ended():
    queue = skypilot.queue(*(skypilot.ended(index, f'FAILED_{name}', 2) for index, name in enumerate(LOWER)))
    yield from jobs.jobs(queue, skypilot.NOW)
    yield from jobs.finished(queue.jobs)


def sky_requested():
    rows = (skypilot.record(index, 'PENDING', resources=f'1x[{name}:1]') for index, name in enumerate(LOWER))
    return jobs.jobs(skypilot.queue(*rows), skypilot.NOW)


def sky_clusters(by_workspace: bool = False, **columns):
    rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
    found = [skypilot.cluster(str(index), **row) for index, row in enumerate(rows)]
    yield from cluster_measures.clusters(found, skypilot.NOW, by_workspace=by_workspace)
    yield from cluster_measures.gpus(found, by_workspace=by_workspace)


def sky_costs():
    bills = [skypilot.bill(name, cloud=name, accelerators={name: 1.0}) for name in LOWER]
    rated = [cost.RatedCluster(bill, 2.0) for bill in bills]
    return [*cost.cost(rated, skypilot.NOW), *cost.breakdown(rated, Kinds((), (), complete=True))]


def sky_pools():
    return pool_measures.workers([Worker(name, name, name, {}) for name in LOWER])


def sky_owners(rated_by: Callable[..., Iterable[Sample]], **owners: str):
    bills = [skypilot.bill(name, total_cost=20.0, **dict.fromkeys(owners, name)) for name in LOWER]
    return rated_by([cost.RatedCluster(bill, 2.0) for bill in bills], skypilot.NOW)


GPUS = [{name: 1} for name in LOWER]
SKYPILOT = [
    Scene('skypilot', ('status',), lambda: sky_live(status=NAMES), {'jobs.count': NUMBER, 'tasks.count': NUMBER}),
    Scene('skypilot', ('status',), sky_ended, {'jobs.ended_24h': NUMBER, 'jobs.finished': NUMBER}),
    Scene('skypilot', ('workspace',), lambda: sky_live(by_workspace=True, workspace=NAMES), {'jobs.count': NUMBER}),
    Scene(
        'skypilot',
        ('workspace', 'status'),
        lambda: sky_live(by_workspace=True, workspace=NAMES, status=NAMES),
        {'jobs.count': NUMBER},
        full=False,
    ),
    Scene(
        'skypilot', ('cloud', 'region'), lambda: sky_live(cloud=NAMES, region=NAMES), {'jobs.by_region': 'jobs.running'}
    ),
    Scene('skypilot', ('gpu_type',), sky_requested, {'gpus.requested': NUMBER}),
    Scene('skypilot', ('gpu_type',), lambda: jobs.gpus(sky_jobs(accelerators=GPUS)), {'gpus.in_use': NUMBER}),
    Scene(
        'skypilot',
        ('gpu_type', 'workspace'),
        lambda: jobs.gpus(sky_jobs(accelerators=GPUS, workspace=NAMES), by_workspace=True),
        {'gpus.in_use': NUMBER},
    ),
    Scene(
        'skypilot', ('user',), lambda: jobs.users(sky_queue(user_name=NAMES, user_hash=NAMES)), {'users.jobs': NUMBER}
    ),
    Scene('skypilot', ('job_id',), lambda: single_jobs.single_jobs(sky_queue(job_name=NAMES), 200)),
    Scene(
        'skypilot',
        ('status',),
        lambda: sky_clusters(status=LOWER),
        {'clusters.count': NUMBER, 'clusters.nodes': NUMBER},
    ),
    Scene(
        'skypilot', ('workspace',), lambda: sky_clusters(by_workspace=True, workspace=NAMES), {'clusters.count': NUMBER}
    ),
    Scene('skypilot', ('gpu_type',), lambda: sky_clusters(accelerators=GPUS), {'gpus.in_use': NUMBER}),
    Scene('skypilot', ('cloud', 'gpu_type'), sky_costs, {'cost.breakdown_hourly_usd': 'cost.hourly_usd'}),
    Scene(
        'skypilot',
        ('user',),
        lambda: sky_owners(cost.of_users, owner='', user_name=''),
        {'cost.hourly_usd_by_user': 2.0 * NUMBER},
    ),
    Scene(
        'skypilot',
        ('workspace',),
        lambda: sky_owners(cost.of_workspaces, workspace=''),
        {'cost.hourly_usd_by_workspace': 2.0 * NUMBER},
    ),
    Scene(
        'skypilot',
        ('gpu_type',),
        lambda: cost.gpu_hours([skypilot.bill(name, accelerators={name: 1.0}) for name in LOWER], skypilot.NOW),
        {'gpus.hours_24h': 10.0 * NUMBER},
    ),
    Scene(
        'skypilot',
        ('gpu_type', 'region'),
        lambda: jobs.preemptions({(name, name): 1 for name in LOWER}),
        {'jobs.preemptions_24h': NUMBER},
    ),
    Scene('skypilot', ('pool', 'status'), sky_pools, {'pools.workers': NUMBER}, full=False),
]


def github_runs(**fields):
    return [github.run(index, **{key: value[index] for key, value in fields.items()}) for index in range(NUMBER)]


def github_ci(**fields):
    runs, settings = github_runs(**fields), CiSettings()
    yield from ci.measure(runs, settings, github.NOW)
    yield from ci.by_branch(runs, ('main',), settings)
    yield from ci.finished([(run, one) for run in runs for one in run.attempts], runs, ('main',), settings)


def github_deployed():
    found = [github_deployments.deployment(index // 100, name) for index, name in enumerate(NAMES)]
    yield from deployments.measure(found)
    yield from deployments.finished(found, deployments.environments(found))


def github_open():
    pulls = [github.pull(index, decision=name) for index, name in enumerate(LOWER)]
    return pull_requests.measure(pull_requests.PullRequests(pulls, [], NUMBER), frozenset(), github.NOW)


def github_states():
    found = [github_deployments.deployment(index // 100, outcome=name) for index, name in enumerate(LOWER)]
    return deployments.measure(found)


def github_delivered():
    found = [Delivery(github.NOW, github.NOW, str(index), name.lower(), 'a') for index, name in enumerate(NAMES)]
    return dora.measure(Deployed(found, (), {name.lower() for name in NAMES}), {}, github.NOW)


def github_jobs(**fields):
    job = Job(0, 1, 1, 0, 'build', 'linux', 'failure', github.NOW, github.NOW, github.NOW)
    found = [
        job._replace(id=index, run=index, **{key: value[index] for key, value in fields.items()})
        for index in range(NUMBER)
    ]
    names: dict[int | str, str] = dict(enumerate(NAMES))
    return job_measures.measure(found, (), job_measures.Coverage(NUMBER, NUMBER), names, github.NOW)


GITHUB = [
    Scene('github', ('workflow',), lambda: github_ci(workflow=NAMES), {'ci.runs_7d': NUMBER, 'ci.runs': NUMBER}),
    Scene('github', ('conclusion',), lambda: github_ci(conclusion=NAMES), {'ci.runs_7d': NUMBER, 'ci.runs': NUMBER}),
    Scene(
        'github',
        ('environment',),
        github_deployed,
        {'deployments.created_7d': NUMBER, 'deployments.finished': NUMBER},
    ),
    Scene('github', ('environment',), github_delivered, {'dora.deployments_30d': NUMBER}),
    Scene('github', ('state',), github_states, {'deployments.created_7d': NUMBER}),
    Scene(
        'github',
        ('state',),
        lambda: repository._merge_queue(MergeQueue(tuple((github.NOW, name) for name in LOWER), None), github.NOW),
        {'merge_queue.entries': NUMBER},
    ),
    Scene('github', ('review',), github_open, {'prs.open_by_state': 'prs.open'}),
    Scene(
        'github',
        ('os',),
        lambda: runners.by_system([Runner(1, name, True, True) for name in NAMES]),
        {'runners.online': NUMBER, 'runners.busy': NUMBER},
    ),
    Scene(
        'github',
        ('label',),
        lambda: runners.by_scope([Runner(1, 'linux', True, True, (name,)) for name in LOWER], 'organization'),
        {'runners.by_label': NUMBER},
    ),
    Scene('github', ('runner_label',), lambda: github_jobs(label=LOWER), {'jobs.failed_24h': NUMBER}),
    Scene('github', ('workflow', 'job'), lambda: github_jobs(workflow_key=range(NUMBER), name=NAMES)),
]


def ec2_fleet():
    found = [ec2.instance(name, region=name) for name in LOWER]
    types = {name: InstanceType(vcpus=1, gpus={name: 1}, has_gpu=True, accelerators={}) for name in LOWER}
    fleet = ec2.fleet(*found, types=types)
    yield from instances.measure(fleet, ec2.NOW, max_types=30)
    yield from accelerators.measure(fleet, NAMES[:2])
    yield from accelerators.by_lifecycle(fleet)
    yield from ec2_regions.running({one.region: [one] for one in found})


def ec2_prices():
    found = [
        ec2.priced(1.0, instance_type=name, region=name, tags={'team': f'team-{index}'})
        for index, name in enumerate(LOWER)
    ]
    types = {name: InstanceType(vcpus=1, gpus={name: 1}, has_gpu=True, accelerators={}) for name in LOWER}
    running = [one.instance for one in found]
    fleet = ec2.fleet(*running, types=types)
    yield from instance_costs.measure(found, fleet, ec2.NOW)
    yield from instance_costs.by_gpu_type(found, fleet)
    yield from instance_costs.by_tag(found, TagKey.of('team'))
    yield from ec2_regions.hourly(found, {one.region: [one] for one in running}, ())


def ec2_capacity():
    found = [Reservation(name, 2, 1) for name in LOWER]
    yield from capacity.reserved(found, (), max_types=30)
    yield from capacity.interrupted(LOWER, (), max_types=30)


def ec2_volumes():
    return volumes.measure([ec2.volume(state=name) for name in LOWER], None, ec2.NOW)


EC2 = [
    Scene('ec2', ('instance_type',), ec2_fleet, {'instances.by_type': 'instances.running'}),
    Scene('ec2', ('gpu_type',), ec2_fleet, {'instances.gpus': NUMBER, 'gpus.running': NUMBER}),
    Scene('ec2', ('gpu_type',), ec2_prices, {'cost.by_gpu_type_hourly_usd': 'cost.gpu_hourly_usd'}),
    Scene('ec2', ('instance_type',), ec2_capacity, {'capacity.reserved_instances': 2 * NUMBER}),
    Scene('ec2', ('instance_type',), ec2_capacity, {'capacity.unused_instances': NUMBER}),
    Scene('ec2', ('instance_type',), ec2_capacity, {'spot.interruptions_24h': NUMBER}),
    Scene('ec2', ('state',), ec2_volumes, {'ebs.volumes.by_state': 'ebs.volumes.total'}),
    Scene('ec2', ('region',), ec2_fleet, {'region.instances_running': 'instances.running'}),
    Scene('ec2', ('region',), ec2_prices, {'region.hourly_usd': 'cost.running_hourly_estimate'}),
    Scene('ec2', ('*',), ec2_prices, {'cost.by_tag_hourly_usd.team': 'cost.running_hourly_estimate'}),
]


def kubernetes_nodes(offered: int, requested: int):
    found = [kubernetes.node(name, {f'{name}.example/gpu': 2.0}) for name in LOWER[:offered]]
    pods = [
        kubernetes.pod(
            name,
            containers=[kubernetes.container(requests={f'{name}.example/gpu': '1'})],
            spec={'nodeName': name},
        )
        for name in LOWER[-requested:]
    ]
    inventory = Inventory(found, AcceleratorTypes())
    yield from kubernetes_gpus.allocatable(inventory)
    inventory.hold(pods)
    yield from kubernetes_gpus.states(inventory, pods)


def kubernetes_pods():
    statuses = [[kubernetes.status(waiting=f'Reason{name}')] for name in LOWER]
    found = [
        kubernetes.pod(name, namespace=name, phase='Failed', statuses=some)
        for name, some in zip(LOWER, statuses, strict=True)
    ]
    current = History.of(found, kubernetes.NOW, None)
    return pod_measures.pods(
        found, kubernetes.NOW, previous=None, current=current, settings=Settings(max_namespaces=50)
    )


def kubernetes_usage():
    container = kubernetes.container(requests={'cpu': '2', 'memory': '1Gi'})
    owner = [{'kind': 'ReplicaSet', 'controller': True}]
    found: list[Pod] = []
    samples: dict[PodKey, PodUsage] = {}
    for name in LOWER:
        replica_set = [{**owner[0], 'name': f'{name}-5d4f8c7b9'}]
        metadata = {'ownerReferences': replica_set, 'labels': {'pod-template-hash': '5d4f8c7b9'}}
        found.append(kubernetes.pod(name, namespace=name, containers=[container], metadata=metadata))
        samples |= kubernetes.samples({name: {'main': ('1', '1Mi')}}, namespace=name)
    settings = Settings(max_namespaces=50, max_deployments=20, max_workloads=20)
    return usage(found, samples, kubernetes.NOW, settings=settings)


def kubernetes_kinds():
    container = kubernetes.container(requests={'cpu': '2', 'memory': '1Gi'})
    found: list[Pod] = []
    samples: dict[PodKey, PodUsage] = {}
    for name in LOWER:
        owner = {'kind': f'Kind{name}', 'name': 'same', 'controller': True}
        found.append(kubernetes.pod(name, containers=[container], metadata={'ownerReferences': [owner]}))
        samples |= kubernetes.samples({name: {'main': ('1', '1Mi')}})
    return usage(found, samples, kubernetes.NOW, settings=Settings(max_workloads=20))


KUBERNETES = [
    Scene(
        'kubernetes',
        ('gpu_type',),
        lambda: kubernetes_nodes(NUMBER, NUMBER),
        {'gpu.allocatable': 2 * NUMBER, 'gpu.requested': NUMBER, 'gpu.free': NUMBER},
    ),
    Scene(
        'kubernetes',
        ('gpu_type',),
        lambda: kubernetes_nodes(1, NUMBER),
        {'gpu.allocatable': 2, 'gpu.requested': NUMBER, 'gpu.free': 1},
        full=False,
    ),
    Scene('kubernetes', ('kube_namespace',), kubernetes_pods, {'namespace.pods_unhealthy': NUMBER}),
    Scene(
        'kubernetes',
        ('kube_namespace',),
        kubernetes_usage,
        {'namespace.cpu_waste_cores': 'resources.cpu_waste_cores'},
    ),
    Scene('kubernetes', ('reason',), kubernetes_pods, {'pods.waiting': NUMBER}),
    Scene('kubernetes', ('owner_name',), kubernetes_usage, {'workload.cpu_waste_cores': 'resources.cpu_waste_cores'}),
    Scene('kubernetes', ('owner_kind',), kubernetes_kinds, {'workload.cpu_waste_cores': 'resources.cpu_waste_cores'}),
    Scene('kubernetes', ('deployment',), kubernetes_usage, {'deployment.waste_cores': 'resources.cpu_waste_cores'}),
]


def asana_bugs():
    section_of = SectionMap({'triage': ('triage',), 'active': ('active',), 'backlog': ('backlog',)})
    listed = [asana.bug(name, section=name) for name in NAMES]
    return bugs(listed, asana.NOW + timedelta(days=1), section_of)


def asana_severities():
    return by_severity([asana.bug(name, severity=name) for name in NAMES], NAMES)


ASANA = [
    Scene('asana', ('section',), asana_bugs, {'bugs.open_by_age': 'projects.bugs.total_open'}, full=False),
    Scene('asana', ('severity',), asana_severities, {'bugs.open_by_severity': NUMBER}),
]

SCENES = [*WANDB, *SKYPILOT, *GITHUB, *EC2, *KUBERNETES, *ASANA]


def bound(catalog: Catalog, metric: Metric) -> int:
    """Return the largest number of series of a metric: limits of several tags add up, vocabularies multiply."""
    tags = [catalog.tags[key] for key in metric.tags]
    limits = [OPTIONS[tag.option] if tag.option else tag.limit for tag in tags if not tag.values]
    vocabularies = [len(tag.values) + (tag.limit and tag.limit + 1) for tag in tags if tag.values]
    return prod(vocabularies) * (sum(limits) + 1)


@functools.cache
def series_of(scene: Scene) -> dict[str, dict[tuple[str, ...], float]]:
    """Return values by metric and tags; of gauges, each series once."""
    loaded = catalog.load(scene.source)
    found: dict[str, dict[tuple[str, ...], float]] = defaultdict(dict)
    for sample in scene.samples():
        metric = declared(loaded, sample)
        tags = tuple(format_tags(sample.tags))
        assert metric.type != 'gauge' or tags not in found[sample.name], (sample.name, tags)
        if sample.value is not None and metric.type != 'histogram':
            found[sample.name][tags] = found[sample.name].get(tags, 0) + sample.value
    return found


def declared(loaded: Catalog, sample: Sample) -> Metric:
    """Return the metric of a sample of any block."""
    blocks = {metric.block for metric in loaded.metrics if metric.name.split('.')[0] == sample.name.split('.')[0]}
    for block in blocks:
        try:
            return loaded.metric(sample.name, block, sample.tags)
        except catalog.UndeclaredMetric:
            continue
    raise AssertionError(f'{sample.name} {dict(sample.tags)} is not declared')


@pytest.mark.parametrize('scene', SCENES, ids=str)
def test_no_answer_makes_more_series_than_declared(scene):
    loaded = catalog.load(scene.source)
    for name, series in series_of(scene).items():
        metric = declared(loaded, Sample(name, 0))
        assert len(series) <= bound(loaded, metric), name


@pytest.mark.parametrize('scene', SCENES, ids=str)
def test_sums_over_the_tags_are_the_total(scene):
    found = series_of(scene)
    for name, total in scene.totals.items():
        expected = found[total][()] if isinstance(total, str) else total
        assert sum(found[name].values()) == pytest.approx(expected), name


@pytest.mark.parametrize('scene', [scene for scene in SCENES if scene.full and scene.totals], ids=str)
def test_as_many_values_are_shown_as_the_limits_allow(scene):
    loaded = catalog.load(scene.source)
    tags = [loaded.tags[key] for key in scene.tags]
    known = {OTHER, *(value for tag in tags for value in tag.values)}
    limit = sum(OPTIONS[tag.option] if tag.option else tag.limit for tag in tags)
    for name in scene.totals:
        shown = {
            tuple(tag.partition(':')[2] for tag in series if tag.partition(':')[0] in scene.tags or '*' in scene.tags)
            for series in series_of(scene)[name]
        }
        assert len([values for values in shown if known.isdisjoint(values)]) == limit, name


@pytest.mark.parametrize('source', SOURCES)
def test_every_limited_tag_has_a_scene(source):
    limited = {
        tag.key for tag in catalog.load(source).tags.values() if tag.limit or tag.option.startswith(('max', 'per'))
    }
    limited -= set(catalog.load(source).base_tags)
    assert limited <= {tag for scene in SCENES if scene.source == source for tag in scene.tags}
