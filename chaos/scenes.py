"""Per source: the service, the instance, the faults that only it has, and the things to count exactly once.

Everything here is computed from the sandbox's own data by simple means, independently of the check.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from metta_checks.core.tags import stored_tag
from metta_checks.testing import Key
from sandbox import Figure, Service
from sandbox.ec2 import situations
from sandbox.ec2.estate import SpotRequest
from sandbox.ec2.service import ACCOUNT
from sandbox.every_option import EVERY_OPTION
from sandbox.github.model import Push, Release
from sandbox.skypilot.truth_cost import ENDED as JOB_ENDED
from sandbox.wandb.data import ENDED as RUN_ENDED
from sandbox.wandb.options import EVALS, FLEET, MAIN

from . import asana_faults, ec2_faults, github_faults
from .faults import Answer, Kind, Patience, Script, passed

# (name, tags) -> amount. Only the tags of `Counted.tags` are used.
Amounts = dict[Key, float]
# Name, amount, tags.
Entry = tuple[str, float, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Counted:
    """Counts, histograms and events of one block of one subject, followed from one successful attempt to the next.

    look: the relevant content of the service now; happened: the changes between two looks; names: the metrics (full
    names; titles of events begin with one of `titles`); tags: keys by which amounts are compared
    """

    subject: str
    block: str
    look: Callable[[Service], Any]
    happened: Callable[[Any, Any], Amounts]
    names: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    # Series that belong to this subject.
    where: tuple[str, ...] = ()

    def name_of(self, kind: str, name: str, tags: Collection[str]) -> str | None:
        """Return the name under which a submission is counted, None if it is not counted here.

        The title of an event is shortened to the prefix that all events of its kind share.
        """
        if not set(self.where) <= set(tags):
            return None
        if kind == 'event':
            return next((title for title in self.titles if name.startswith(title)), None)
        return name if name in self.names else None


@dataclass(frozen=True, slots=True)
class Scene:
    """The conditions under which a source is tested."""

    name: str
    service: Mapping[str, Any]
    instance: Mapping[str, Any]
    counted: Callable[[Service], list[Counted]] = lambda _: []
    # Things that happen in addition to those that the service generates.
    happen: Callable[[Service, random.Random], None] = lambda *_: None
    # Called before the truth is computed, with the looks at the last success of each counted block, by block.
    prepare: Callable[[Service, Mapping[tuple[str, str], Any]], None] = lambda *_: None
    # Faults of this source alone, with their weights, among them the reordering of its lists.
    faults: Mapping[str, tuple[Kind, float]] = field(default_factory=dict)
    # Blocks that the service itself refuses for a time, as the sandbox documents it, and the blocks that need them.
    outages: frozenset[str] = frozenset()
    # Tags that are omitted while they are unknown.
    unknown_tags: tuple[str, ...] = ()
    # Documented additional age of readings, in seconds, by block and metric.
    aged: Mapping[str, float] = field(default_factory=dict)
    # Options of a second instance that shows a part of the service, and the tag of that part.
    filtered: Mapping[str, Any] = field(default_factory=dict)
    shown: tuple[str, str] = ('', '')
    # Seconds per read, as configured in the instance.
    timeout: float = 0.5
    # Seconds between refreshes.
    interval: int = 300
    # Computes the truth at a time. A service whose truth depends on the options of the instance gets them here.
    truth: Callable[[Service, datetime], Iterable[Figure]] = lambda service, now: service.truth(now)


def add(amounts: Amounts, key: Key, value: float) -> None:
    """Add to one of several amounts."""
    amounts[key] = amounts.get(key, 0) + value


def _amounts(rows: Iterable[Entry]) -> Amounts:
    found: Amounts = {}
    for name, value, tags in rows:
        if value:
            add(found, (name, tuple(sorted(map(stored_tag, tags)))), value)
    return found


def _shuffled(*keys: str) -> dict[str, tuple[Kind, float]]:
    """Reorder the lists under these keys, whose order the service does not guarantee; '' is the answer itself."""

    def shuffle(answer: Answer, dice: random.Random, patience: Patience) -> Script:
        try:
            value = json.loads(answer.body)
        except ValueError:
            return passed(answer)
        # A search has a defined order.
        for key in () if '/search' in answer.target else keys:
            rows = value if key == '' else value.get(key) if isinstance(value, dict) else None
            if isinstance(rows, list):
                dice.shuffle(rows)
        return passed(replace(answer, body=json.dumps(value).encode()), dice, patience)

    return {'shuffle': (shuffle, 3.0)}


# GitHub.

# The check sees every change of these runs in the next refresh; later ones, as documented, after some refreshes.
NEWEST_RUNS = 50
QUEUED = ('queued', 'requested', 'pending', 'waiting')


def _github(service: Any) -> list[Counted]:
    return [
        counted
        for repository in (service.metta, service.infra)
        for counted in _of_repository(repository.name_with_owner)
    ]


def _of_repository(name: str) -> list[Counted]:
    def look(part: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda service: part(next(one for one in service.repositories if one.name_with_owner == name))

    where = (f'repo:{name}'.lower(),)
    return [
        Counted(
            name,
            'pull_requests',
            look(lambda repository: {number: pull.state for number, pull in repository.pulls.items()}),
            _pull_requests,
            ('metta.github.prs.opened', 'metta.github.prs.merged', 'metta.github.prs.closed'),
            where=where,
        ),
        Counted(
            name,
            'ci',
            look(_attempts),
            _finished_attempts,
            ('metta.github.ci.runs',),
            tags=('conclusion',),
            where=where,
        ),
        Counted(
            name,
            'activity',
            look(_force_pushes),
            lambda before, after: _amounts([('Force push', len(after - before), ())]),
            titles=('Force push',),
            where=where,
        ),
        Counted(
            name,
            'repository',
            look(lambda repository: {release.tag_name for release in repository.releases}),
            lambda before, after: _amounts([('Release', len(after - before), ())]),
            titles=('Release',),
            where=where,
        ),
    ]


def _pull_requests(before: dict[int, str], after: dict[int, str]) -> Amounts:
    changed = [(before.get(number, 'OPEN'), state) for number, state in after.items()]
    return _amounts(
        [
            ('metta.github.prs.opened', len(after.keys() - before.keys()), ()),
            ('metta.github.prs.merged', sum(old != new == 'MERGED' for old, new in changed), ()),
            ('metta.github.prs.closed', sum(old != new == 'CLOSED' for old, new in changed), ()),
        ]
    )


def _attempts(repository: Any) -> dict[tuple[int, int], str]:
    return {
        (run.id, attempt.run_attempt): attempt.conclusion
        for run in repository.runs.recent
        for attempt in run.attempts()
        if attempt.conclusion is not None
    }


def _finished_attempts(before: dict[tuple[int, int], str], after: dict[tuple[int, int], str]) -> Amounts:
    return _amounts(
        ('metta.github.ci.runs', 1, (f'conclusion:{conclusion}',))
        for key, conclusion in after.items()
        if key not in before
    )


def _start_what_waits(service: Any, _: Mapping[tuple[str, str], Any]) -> None:
    """Let all young runs begin. Once a run has ended, only an instance that saw it waiting knows that it waited."""
    for repository in (service.metta, service.infra):
        for run in repository.runs.recent[:NEWEST_RUNS]:
            if run.status in QUEUED and run.created_at > service.clock.now() - timedelta(days=1):
                run.status = 'in_progress'


def _force_pushes(repository: Any) -> set[int]:
    main = f'refs/heads/{repository.default_branch}'
    return {push.id for push in repository.activity if push.activity_type == 'force_push' and push.ref == main}


def _github_happen(service: Any, dice: random.Random) -> None:
    repository = dice.choice((service.metta, service.infra))
    now = service.clock.now()
    _run_again(repository, now, dice)
    if dice.random() < 0.15:
        number = len(repository.releases)
        repository.releases.insert(0, Release(f'chaos-{number}', False, False, now, now))
    if dice.random() < 0.15:
        new = max((push.id for push in repository.activity), default=0) + 1
        # Somebody amends the last commit.
        head = repository.commits[0]
        before, head.oid = head.oid, f'{dice.getrandbits(160):040x}'
        ref = f'refs/heads/{repository.default_branch}'
        repository.activity.insert(0, Push(new, before, head.oid, ref, now, 'force_push', None))


def _run_again(repository: Any, now: datetime, dice: random.Random) -> None:
    """Finish runs that are run again, some canceled, and run a finished one again, all among the newest runs."""
    recent = [run for run in repository.runs.recent[:NEWEST_RUNS] if run.created_at > now - timedelta(days=5)]
    for run in recent:
        if run.run_attempt > 1 and run.status == 'in_progress' and dice.random() < 0.5:
            run.status, run.conclusion = 'completed', dice.choice(('success', 'failure', 'cancelled'))
            run.updated_at = now - timedelta(minutes=1)
    ended = [run for run in recent if run.conclusion in ('success', 'failure', 'cancelled')]
    if ended and dice.random() < 0.4:
        dice.choice(ended).run_again(now - timedelta(minutes=6))


# Kubernetes.


def _containers(service: Any) -> tuple[dict[tuple[str, str], int], set[tuple[str, str, str]]]:
    restarts, kills = {}, set()
    for pod in service.cluster.pods:
        if pod.phase == 'Succeeded':
            continue
        for container in pod.all_containers:
            restarts[pod.uid, container.name] = container.restarts
            kills |= {
                (pod.uid, container.name, end.container_id) for end in container.ends if end.reason == 'OOMKilled'
            }
    return restarts, kills


def _restarts(before: Any, after: Any) -> Amounts:
    risen = sum(max(0, number - before[0].get(key, 0)) for key, number in after[0].items())
    return _amounts(
        [
            ('metta.kubernetes.containers.restarts', risen, ()),
            ('metta.kubernetes.containers.oom_kills', len(after[1] - before[1]), ()),
        ]
    )


def _since_last_success(service: Any, looks: Mapping[tuple[str, str], Any]) -> None:
    """Tell the pods their restarts at the last success: two more since then are a crash."""
    look = looks.get(('', 'pods'))
    for pod in service.cluster.pods:
        pod.restarts_before = (
            None if look is None else {c.name: look[0].get((pod.uid, c.name), 0) for c in pod.all_containers}
        )


def _kubernetes(_: Service) -> list[Counted]:
    names = ('metta.kubernetes.containers.restarts', 'metta.kubernetes.containers.oom_kills')
    return [Counted('', 'pods', _containers, _restarts, names)]


def _kubernetes_happen(service: Any, dice: random.Random) -> None:
    for pod in dice.sample(service.cluster.pods, 2):
        if pod.live and dice.random() < 0.3:
            service.cluster._kill(pod, service.clock.now())
            service.changed()


# SkyPilot.

# No truth covers the time that requests take.
SKYPILOT_OPTIONS: Mapping[str, Any] = {**EVERY_OPTION['skypilot'], 'max_jobs': 20, 'api_timing': False}


def _jobs(service: Any) -> tuple[dict[int, str], dict[int, tuple[int, str]]]:
    ended = {number: job.status for number, job in service.jobs.items() if job.status in JOB_ENDED}
    recoveries = {
        number: (sum(task.recoveries for task in job.tasks), job.current.market) for number, job in service.jobs.items()
    }
    return ended, recoveries


def _job_changes(before: Any, after: Any) -> Amounts:
    rows: list[Entry] = [
        ('metta.skypilot.jobs.finished', 1, (f'status:{status}',))
        for number, status in after[0].items()
        if number not in before[0]
    ]
    for number, (recoveries, market) in after[1].items():
        risen = recoveries - before[1].get(number, (0, ''))[0]
        rows.append(('metta.skypilot.jobs.recoveries', max(0, risen), (f'market:{market}',)))
    return _amounts(rows)


def _skypilot(_: Service) -> list[Counted]:
    names = ('metta.skypilot.jobs.finished', 'metta.skypilot.jobs.recoveries')
    return [Counted('', 'jobs', _jobs, _job_changes, names, tags=('status', 'market'))]


def _skypilot_truth(service: Any, now: datetime) -> Iterable[Figure]:
    truth: Iterable[Figure] = service.truth(now, SKYPILOT_OPTIONS)
    return truth


def _skypilot_happen(service: Any, dice: random.Random) -> None:
    life = service.life
    life.catch_up(service.clock.now())
    if dice.random() < 0.4:
        job = life.queue(f'chaos-{max(service.jobs)}', service.organization.people[dice.randrange(20)])
        life.start(job)
        life.run(job)
    running = [
        job
        for job in service.jobs.values()
        if job.status == 'RUNNING' and job.name.startswith('chaos-') and len(job.tasks) == 1
    ]
    if running and dice.random() < 0.3:
        job = dice.choice(running)
        life.lose(job)
        life.recover(job)
    if running and dice.random() < 0.4:
        life.end(dice.choice(running), dice.choice(('SUCCEEDED', 'FAILED', 'CANCELLED')))


# W&B.

WANDB_OPTIONS: Mapping[str, Any] = {**EVERY_OPTION['wandb'], 'max_runs': 20}


def _wandb(service: Any) -> list[Counted]:
    return [
        Counted(
            name,
            'runs',
            partial(_seen_runs, name),
            _newly_ended,
            ('metta.wandb.runs.finished', 'metta.wandb.training.run_duration_hours'),
            tags=('state',),
            where=(f'project:{name}',),
        )
        for name in service.projects
    ]


@dataclass(frozen=True, slots=True)
class _SeenRun:
    """A run of W&B as an instance sees it."""

    state: str
    end: datetime
    hours: float


def _seen_runs(project: str, service: Any) -> dict[str, _SeenRun]:
    return {
        run.id: _SeenRun(run.state, run.last_seen, run.seconds / 3600)
        for run in service.projects[project].runs.values()
    }


def _newly_ended(before: dict[str, _SeenRun], after: dict[str, _SeenRun]) -> Amounts:
    rows: list[Entry] = []
    for key, run in after.items():
        known = before.get(key)
        if run.state not in RUN_ENDED or (known and known.state in RUN_ENDED and run.end <= known.end):
            continue
        tags = (f'state:{run.state}',)
        rows.append(('metta.wandb.runs.finished', 1, tags))
        rows.append(('metta.wandb.training.run_duration_hours', 1, tags))
        rows.append(('metta.wandb.training.run_duration_hours sum', run.hours, tags))
    return _amounts(rows)


def _is_alone(service: Any, run: Any) -> bool:
    """Return True for a run whose machine no other run has ever used.

    W&B does not say when a run paused. Only the total matters for a run that has its machine for itself.
    """
    machines = [one.writers[0].machine for project in service.projects.values() for one in project.runs.values()]
    return machines.count(run.writers[0].machine) == 1


def _wandb_happen(service: Any, dice: random.Random) -> None:
    name = dice.choice(tuple(service.projects))
    mine = [run for run in service.projects[name].runs.values() if run.display_name.startswith('chaos-')]
    active = [run for run in mine if run.state in ('running', 'preempting')]
    lost = [run for run in mine if run.state == 'crashed' and _is_alone(service, run)]
    unpaused = [run for run in active if run.resumed is None]
    if dice.random() < 0.4:
        new = f'chaos-{service.clock.now():%d-%H%M%S}'
        run = (
            service.join_run(dice.choice(unpaused), name, new, (0,))
            if unpaused and dice.random() < 0.5
            else service.start_run(name, new, run_type='other')
        )
        # Half of the API's times are whole seconds; so are those of the truth.
        run.created = run.heartbeat = run.created.replace(microsecond=0)
    if active and dice.random() < 0.5:
        service.end_run(dice.choice(active), dice.choice(('finished', 'failed', 'crashed', 'killed')))
    running = [run for run in active if run.state == 'running']
    if running and dice.random() < 0.2:
        service.preempt_run(dice.choice(running))
    if lost and dice.random() < 0.4:
        service.resume_run(dice.choice(lost))
    if dice.random() < 0.2:
        run = service.send_run(name, f'sent-{service.clock.now():%d-%H%M%S}', 40, 2)
        run.created = run.created.replace(microsecond=0)


# Asana.

ASANA_OPTIONS = {
    name: EVERY_OPTION['asana'][name] for name in ('milestones', 'blocked_fields', 'projects', 'bugs_severity_field')
}


def _asana_truth(service: Any, now: datetime) -> Iterable[Figure]:
    truth = service.truths(now)
    fields = service.workspace.projects[service.bugs_project].custom_fields
    [severity] = [one for one in fields if one.name == ASANA_OPTIONS['bugs_severity_field']]
    return (
        *service.truth(now),
        *truth.milestones(),
        *truth.blocked(),
        *truth.severities(severity),
        *truth.single_projects(ASANA_OPTIONS['projects']),
    )


# EC2.

INTERRUPTIONS = ('instance-terminated-no-capacity', 'instance-terminated-by-price', 'instance-stopped-no-capacity')


def _ec2_happen(service: Any, dice: random.Random) -> None:
    """Interrupt spot instances, and change snapshots, images, volumes and Capacity Reservations."""
    estate, now = service.estate, service.clock.now()
    if dice.random() < 0.4:
        kind, code = dice.choice(('g6.12xlarge', 'p5.48xlarge')), dice.choice(INTERRUPTIONS)
        number = len(estate.requests)
        estate.requests.append(SpotRequest(f'sir-chaos{number}', 'us-east-1', kind, 'closed', code, now))
    if dice.random() < 0.3:
        one = dice.choice(estate.capacities)
        one.available = dice.randint(0, one.total)
    if dice.random() < 0.1:
        image = dice.choice(estate.images)
        image.state = dice.choice(('available', 'disabled', 'deregistered'))
    if dice.random() < 0.2:
        copy = dice.choice(estate.copies)
        copy.archived = not copy.archived
    if dice.random() < 0.2:
        free = [disk for disk in estate.disks if disk.state in ('available', 'creating', 'error')]
        dice.choice(free).state = dice.choice(('available', 'error'))


SCENES: dict[str, Scene] = {
    scene.name: scene
    for scene in (
        # The sandbox counts in quarters of an hour, and dates events back to their start.
        Scene(
            'github',
            {'scale': 0.03},
            {},
            _github,
            _github_happen,
            _start_what_waits,
            faults=github_faults.FAULTS,
            interval=900,
            filtered={'repositories': ['metta-ai/metta']},
            shown=('repo', 'metta-ai/metta'),
        ),
        Scene(
            'skypilot',
            {'scale': 0.3, 'rare': True},
            {'result_timeout': 1, **SKYPILOT_OPTIONS},
            _skypilot,
            _skypilot_happen,
            truth=_skypilot_truth,
            faults=_shuffled(''),
        ),
        Scene(
            'asana', {'scale': 0.06}, ASANA_OPTIONS, truth=_asana_truth, faults=asana_faults.FAULTS | _shuffled('data')
        ),
        Scene(
            'ec2',
            # A type that AWS does not describe is a permanent warning.
            {'scale': 0.3, 'situations': [name for name in situations.ALL if name != 'retired']},
            {
                'connect_timeout': 0.5,
                'read_timeout': 0.5,
                **EVERY_OPTION['ec2'],
            },
            happen=_ec2_happen,
            faults=ec2_faults.FAULTS,
            unknown_tags=(f'account:{ACCOUNT}',),
            # Spot prices of the last hour; idle instances are searched every 6 hours and used for 18.
            aged={
                'prices': 3600.0,
                'region_prices': 3600.0,
                'idle': 19 * 3600.0,
                'metta.ec2.cost.idle_hourly_usd': 19 * 3600.0,
                'metta.ec2.cost.idle_by_tag_hourly_usd.team': 19 * 3600.0,
            },
            filtered={'regions': ['us-east-1']},
            shown=('region', 'us-east-1'),
            interval=900,
        ),
        Scene(
            'wandb',
            {'scale': 0.1, 'rare': True, 'projects': [MAIN, EVALS, FLEET], 'instance_options': WANDB_OPTIONS},
            {},
            _wandb,
            _wandb_happen,
            filtered={'projects': ['metta']},
            shown=('project', 'metta'),
        ),
        Scene(
            'kubernetes',
            {'scale': 0.1},
            {},
            _kubernetes,
            _kubernetes_happen,
            _since_last_success,
            faults=_shuffled('items'),
            filtered={'namespaces': {'include': ['team-core']}},
            shown=('kube_namespace', 'team-core'),
            # metrics-server is not ready for 20 minutes, six hours after the start.
            outages=frozenset({'usage', 'idle'}),
        ),
    )
}
