"""Jobs and clusters in the formats of the server's interface."""

from __future__ import annotations

import base64
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from .machines import BY_SHAPE, NAMES
from .model import CONTEXT, MIXED, SPOT, Cluster, ClusterJob, Job, Task

# The server sends pickles, which no client may open.
PICKLE = base64.b64encode(b'\x80\x04never opened.').decode()
# A pickled null, for clients that do not ask for handles.
NO_HANDLE = 'gAROLg=='
HANDLE_FIELDS = ('cluster_resources', 'cluster_resources_full', 'accelerators', 'cloud', 'region', 'zone', 'infra')
# The API version since which fields that were not asked for are left out; 0.12, version 42, sends null.
LEAVES_OUT = 43
# The API versions that introduced fields. All servers know the other fields.
SINCE = {'is_primary_in_job_group': 31, 'root_job_id': 61, 'dynamic_task_index': 62}
# Characters of an instance type in the short form.
LONGEST_TYPE = 15
SECRET = 'HF_TOKEN=hf_secretsecretsecret'


def request(task: Task) -> str:
    """Return the resources that a task asks for, as text."""
    if task.gpu:
        wanted = f'{task.gpu}:{_number(task.gpus)}'
        if task.alternative:
            wanted += f', {task.alternative[0]}:{_number(task.alternative[1])}'
    else:
        wanted = 'CPU:4+'
    market = {SPOT: '[Spot]', MIXED: '[On-demand|Spot]'}.get(task.market, '')
    return f'{task.nodes}x[{wanted}]{market}'


def launched(nodes: int, gpu: str, gpus: float, *, spot: bool, cloud: str, full: bool = False) -> str:
    """Return the resources of a cluster, as text."""
    machine = BY_SHAPE[gpu, gpus]
    parts = [f'gpus={gpu}:{_number(gpus)}'] if gpu else []
    if full or not gpu or cloud == CONTEXT:
        parts += [f'cpus={machine.cpus}', f'mem={machine.memory}']
    if cloud != CONTEXT:
        named = machine.instance_type
        parts.append(named if full or len(named) <= LONGEST_TYPE else f'{named[:LONGEST_TYPE]}...')
    parts.append('disk=256' if full else '...')
    return f'{nodes}x{"[spot]" if spot else ""}({", ".join(parts)})'


def _resources(cluster: Cluster, *, full: bool = False) -> str:
    return launched(cluster.nodes, cluster.gpu, cluster.gpus, spot=cluster.spot, cloud=cluster.cloud, full=full)


def row(job: Job, index: int, now: datetime, api_version: int) -> dict[str, Any]:
    """Return a complete record of the queue, secrets included."""
    task = job.tasks[index]
    without_machines = request(task) if task.cloud else '-'
    described = {
        full: launched(task.nodes, task.gpu, task.gpus, spot=task.market == SPOT, cloud=task.cloud, full=full)
        if task.holds and task.cloud
        else without_machines
        for full in (False, True)
    }
    seen = NAMES.get(task.cloud, '-') if task.cloud else '-'
    record: dict[str, Any] = {
        '_job_id': job.number,
        'job_id': job.number,
        'task_id': index,
        'job_name': job.name,
        'task_name': job.task_name(index),
        'job_duration': task.runtime(now),
        'workspace': job.workspace,
        'status': task.status,
        'schedule_state': 'ALIVE' if task.ended is None else 'DONE',
        'resources': request(task),
        'cluster_resources': described[False],
        'cluster_resources_full': described[True],
        'cloud': seen,
        'region': task.region or '-',
        'zone': '-',
        'infra': f'{seen} ({task.region})' if task.region else '-',
        'recovery_count': task.recoveries,
        'user_name': job.owner.login,
        'user_hash': job.owner_hash or user_hash(job.owner.login),
        'submitted_at': _epoch(task.submitted),
        'start_at': _epoch(task.started),
        'end_at': _epoch(task.ended),
        'last_recovered_at': _epoch(task.since) or -1.0,
        'user_yaml': f'run: train.py\nenvs:\n  {SECRET}\n',
        'entrypoint': f'sky jobs launch --env {SECRET} train.yaml',
        'env_file_path': '~/.sky/managed_jobs/env',
        'priority': 500,
        'pool': job.pool,
        'current_cluster_name': job.worker,
    }
    if task.holds:
        # Rows without a machine do not have this key.
        record['accelerators'] = {task.gpu: task.gpus} if task.gpu else None
    if api_version >= SINCE['is_primary_in_job_group']:
        record['is_primary_in_job_group'] = task.primary
        record['execution'] = 'parallel' if job.is_group else 'serial'
    return record


def known_fields(api_version: int) -> set[str]:
    """Return the fields that a client may ask for."""
    example = Job(1, 'x', _NOBODY, [Task('RUNNING', 1, 'L4', 4, SPOT, 'aws', 'us-east-1', holds=True)])
    fields = set(row(example, 0, datetime.now(), api_version))
    return fields | {field for field, since in SINCE.items() if api_version >= since}


def selected(record: dict[str, Any], fields: Collection[str], api_version: int) -> dict[str, Any]:
    """Return a record with some fields; job_id and status are always included. Old servers send the others as null."""
    wanted = {*fields, 'job_id', 'status'}
    if api_version < LEAVES_OUT:
        return {name: value if name in wanted else None for name, value in record.items()}
    return {name: value for name, value in record.items() if name in wanted}


def status(cluster: Cluster) -> dict[str, Any]:
    """Return a cluster of /status in its summary form, without nulls."""
    record: dict[str, Any] = {
        'name': cluster.name,
        'launched_at': int(cluster.launched.timestamp()),
        'handle': NO_HANDLE,
        'last_use': '',
        'status': cluster.status,
        'autostop': cluster.autostop,
        'to_down': False,
        'cluster_hash': cluster.hash,
        'cluster_ever_up': cluster.was_up,
        'status_updated_at': 0,
        'user_hash': cluster.owner_hash or user_hash(cluster.owner.login),
        'user_name': cluster.owner.login,
        'workspace': cluster.workspace,
        'is_managed': False,
        'resources_str': _resources(cluster),
        'resources_str_full': _resources(cluster, full=True),
        'nodes': cluster.nodes,
        'cloud': NAMES[cluster.cloud],
        'region': cluster.region,
        'cpus': str(cluster.machine.cpus),
        'memory': str(cluster.machine.memory),
        'labels': {},
        'storage_mounts_metadata': PICKLE,
    }
    if cluster.gpu:
        record['accelerators'] = str({cluster.gpu: cluster.gpus})
    return record


def bill(cluster: Cluster, now: datetime) -> dict[str, Any]:
    """Return a cluster of /cost_report."""
    seconds = int(cluster.up_seconds(now))
    return {
        'name': cluster.name,
        'launched_at': int(cluster.launched.timestamp()),
        'duration': seconds,
        'num_nodes': cluster.nodes,
        'resources': PICKLE,
        'cluster_hash': cluster.hash,
        'usage_intervals': [[_whole(start), _whole(end)] for start, end in cluster.intervals],
        'status': cluster.status,
        'user_hash': cluster.owner_hash or user_hash(cluster.owner.login),
        'user_name': cluster.owner.login,
        'workspace': cluster.workspace,
        'last_event': cluster.last_event,
        'total_cost': (cluster.billed_rate or 0.0) / 3600 * seconds,
        'cloud': NAMES[cluster.cloud],
        'region': cluster.region,
        'cpus': str(cluster.machine.cpus),
        'memory': str(cluster.machine.memory),
        'accelerators': str({cluster.gpu: cluster.gpus} if cluster.gpu else None),
        'resources_str': _resources(cluster),
        'resources_str_full': _resources(cluster, full=True),
    }


def pool(name: str, workers: Collection[Cluster]) -> dict[str, Any]:
    """Return a pool of /jobs/pool_status, secrets included."""
    return {
        'name': name,
        'status': 'READY',
        'pool': True,
        'pool_yaml': f'setup: setup.sh\nenvs:\n  {SECRET}\n',
        'target_num_replicas': len(workers),
        'replica_info': [
            {
                'replica_id': number,
                'name': worker.name,
                'status': worker.worker_status,
                'version': 1,
                'endpoint': None,
                'is_spot': worker.spot,
                'launched_at': int(worker.launched.timestamp()),
                'cloud': NAMES[worker.cloud],
                'region': worker.region,
                'resources_str': _resources(worker),
                'resources_str_full': _resources(worker, full=True),
                'handle': PICKLE,
            }
            for number, worker in enumerate(workers, 1)
        ],
    }


def cluster_job(number: int, job: ClusterJob) -> dict[str, Any]:
    """Return a job in the answer of /queue."""
    return {
        'job_id': number,
        'job_name': 'train',
        'username': 'ubuntu',
        'user_hash': '',
        'submitted_at': job.started.timestamp(),
        'start_at': job.started.timestamp(),
        'end_at': _epoch(job.ended),
        'resources': '1x[L4:1]',
        'status': 'RUNNING' if job.ended is None else 'SUCCEEDED',
        'log_path': '~/sky_logs/sky-1',
        'metadata': {},
    }


def in_report(cluster: Cluster, now: datetime, days: int | None) -> bool:
    """Return True for the clusters in the report: present ones, and those that ended recently."""
    if cluster.status is not None or days is None:
        return True
    last = max((end for _, end in cluster.intervals if end is not None), default=cluster.launched)
    return last >= now - timedelta(days=days)


def user_hash(login: str) -> str:
    """Return the hash of a user: eight characters."""
    return f'{abs(sum(ord(letter) * 257**index for index, letter in enumerate(login))) % 16**8:08x}'


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)


def _epoch(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment is not None else None


def _whole(moment: datetime | None) -> int | None:
    return int(moment.timestamp()) if moment is not None else None


class _Nobody:
    login = 'nobody'


_NOBODY: Any = _Nobody()
