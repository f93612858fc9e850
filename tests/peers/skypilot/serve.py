"""Seeds a real SkyPilot API server and serves it; runs in the environment that SkyPilot is installed in.

    python serve.py PLAN HOME

Offline and without any cloud account. Prints READY with its address when the server answers; ends, and takes the
server with it, on SIGTERM. SIGUSR1 damages the record of one job's cluster, SIGUSR2 repairs it. Beside the plan it
leaves `statuses.json`: the status of every job by SkyPilot's own rule.
"""

from __future__ import annotations

import asyncio
import csv
import json
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

MARK = 'METTA_SKYPILOT_PEER_HOME'
CATALOG = '.sky/catalogs/v8/aws/vms.csv'
CONFIG = """\
jobs:
  controller:
    consolidation_mode: true
workspaces:
  default: {}
  research: {}
"""
KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {{server: "https://127.0.0.1:1"}}}}]
users: [{{name: u, user: {{}}}}]
contexts: [{{name: {context}, context: {{cluster: c, user: u}}}}]
current-context: {context}
"""
VIEWED = 'jobs/queue/v2'
ATTEMPTS = 4


def prepare(plan: dict[str, Any], home: Path) -> None:
    """Files and environment, before anything of SkyPilot is imported."""
    shutil.rmtree(home, ignore_errors=True)
    (home / '.sky').mkdir(parents=True)
    (home / '.sky' / 'config.yaml').write_text(CONFIG)
    context = next(cluster['region'] for cluster in plan['clusters'] if cluster['cloud'] == 'kubernetes')
    (home / '.kube').mkdir()
    (home / '.kube' / 'config').write_text(KUBECONFIG.format(context=context))
    write_catalog(plan, home / CATALOG)
    for name in [name for name in os.environ if name.startswith(('AWS_', 'KUBE', 'SKYPILOT_'))]:
        del os.environ[name]
    os.environ |= {
        'HOME': str(home),
        MARK: str(home),
        'SKYPILOT_DISABLE_USAGE_COLLECTION': '1',
        'SKYPILOT_USER_ID': 'abcd0123',
        'PYTHONWARNINGS': 'ignore',
        # Without the command-line tools of clouds, which the server would call.
        'PATH': f'{Path(sys.executable).parent}:/usr/bin:/bin',
    }


def write_catalog(plan: dict[str, Any], path: Path) -> None:
    """Prices, without which every cost is 0; GpuInfo, without which machines are not listed."""
    path.parent.mkdir(parents=True)
    with path.open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(
            [
                'InstanceType', 'AcceleratorName', 'AcceleratorCount', 'vCPUs', 'MemoryGiB', 'GpuInfo', 'Price',
                'SpotPrice', 'Region', 'AvailabilityZone', 'Arch',
            ]
        )  # fmt: skip
        for row in plan['catalog']:
            machine = row['machine']
            info = {'Gpus': [{'Name': machine['gpu'], 'Count': machine['gpus'], 'MemoryInfo': {'SizeInMiB': 24576}}]}
            writer.writerow(
                [
                    machine['instance_type'], machine['gpu'], machine['gpus'] or '', machine['cpus'], machine['memory'],
                    {**info, 'TotalGpuMemoryInMiB': 24576} if machine['gpu'] else '', row['ondemand'], row['spot'],
                    row['region'], f'{row["region"]}a', 'x86_64',
                ]
            )  # fmt: skip


class Seeder:
    """Fills the databases with SkyPilot's own functions, then dates everything back."""

    def __init__(self, plan: dict[str, Any]) -> None:
        # Here, because SkyPilot looks at HOME when it is imported.
        import sqlalchemy
        from sky import backends, clouds, global_user_state, models, resources
        from sky.jobs import state, utils

        self.plan = plan
        self.sql = sqlalchemy
        self.backends, self.clouds, self.resources, self.models = backends, clouds, resources, models
        self.users, self.state, self.job_utils = global_user_state, state, utils
        # Number in the plan -> job id and names of the tasks on the server.
        self.jobs: dict[int, tuple[int, list[str]]] = {}
        self.engine = global_user_state.initialize_and_get_db()
        # 0.11 has no manager of databases.
        manager = getattr(state, '_db_manager', None)
        self.jobs_engine = manager.get_engine() if manager else state.initialize_and_get_db()

    def seed(self) -> None:
        """Everything."""
        for login, identifier in self.plan['users'].items():
            self.users.add_or_update_user(self.models.User(id=identifier, name=login))
        asyncio.run(self._seed_jobs())
        for cluster in self.plan['clusters']:
            self._seed_cluster(cluster)

    def statuses(self) -> dict[int, str]:
        """Status of each job by SkyPilot's own rule, by job id."""
        found = {}
        for job_id, _ in self.jobs.values():
            tasks = self.state.get_managed_job_tasks(job_id)
            found[job_id] = self.job_utils._get_job_status_from_tasks(tasks)[0].value
        return found

    async def _seed_jobs(self) -> None:
        # Older ones first: ids go up with time.
        for job in sorted(self.plan['jobs'], key=lambda job: job['number']):
            await self._seed_job(job)

    async def _seed_job(self, job: dict[str, Any]) -> None:
        state = self.state
        job_id = state.set_job_info_without_job_id(
            name=job['name'], workspace=job['workspace'], entrypoint='train', pool=None, pool_hash=None,
            user_hash=self.plan['users'][job['owner']], execution='parallel' if job['group'] else 'serial',
        )  # fmt: skip
        names = [
            f'{job["name"]}-{index}' if len(job['tasks']) > 1 else job['name'] for index in range(len(job['tasks']))
        ]
        self.jobs[job['number']] = (job_id, names)
        for index, task in enumerate(job['tasks']):
            state.set_pending(job_id, index, names[index], task['request'], '{}', task['primary'])
        state.scheduler_set_waiting([job_id], '', '', '', None, 500)
        for index, task in enumerate(job['tasks']):
            if task['status'] != 'CANCELLED':
                await self._advance(job_id, index, task)
        # Concerns all tasks that have not ended.
        statuses = {task['status'] for task in job['tasks']}
        if statuses & {'CANCELLED', 'CANCELLING'}:
            await state.set_cancelling_async(job_id, _nothing)
        if 'CANCELLED' in statuses:
            await state.set_cancelled_async(job_id, _nothing)
        placed = next((task for task in job['tasks'][job['decides'] :] if task['cloud']), None)
        if placed:
            state.set_job_infra(job_id, cloud=_cloud_name(placed['cloud']), region=placed['region'])
        self._date_back(job_id, job['tasks'])

    async def _advance(self, job_id: int, index: int, task: dict[str, Any]) -> None:
        state, status = self.state, task['status']
        if task['submitted'] is not None:
            await state.set_starting_async(job_id, index, 'run', task['submitted'], task['request'], {}, _nothing)
        if task['started'] is not None or task['ran']:
            await state.set_started_async(job_id, index, task['started'] or 1.0, _nothing)
            for _ in range(task['recoveries']):
                await state.set_recovering_async(job_id, index, False, _nothing)
                await state.set_recovered_async(job_id, index, time.time(), _nothing)
        if status == 'RECOVERING':
            await state.set_recovering_async(job_id, index, False, _nothing)
        elif status == 'WINDING_DOWN':
            state.set_winding_down(job_id, index)
        elif status == 'SUCCEEDED':
            await state.set_succeeded_async(job_id, index, task['ended'] or time.time(), _nothing)
        elif status.startswith('FAILED'):
            failure = state.ManagedJobStatus(status)
            await state.set_failed_async(job_id, index, failure, 'seeded', _nothing, task['ended'])

    def _date_back(self, job_id: int, tasks: list[dict[str, Any]]) -> None:
        table = self.state.spot_table
        with self.jobs_engine.begin() as connection:
            for index, task in enumerate(tasks):
                times = {
                    table.c.submitted_at: task['submitted'],
                    table.c.start_at: task['started'],
                    table.c.end_at: task['ended'],
                    table.c.last_recovered_at: task['since'] or -1,
                    table.c.job_duration: task['ran'],
                    table.c.recovery_count: task['recoveries'],
                }
                where = self.sql.and_(table.c.spot_job_id == job_id, table.c.task_id == index)
                written = connection.execute(self.sql.update(table).where(where).values(times))
                assert written.rowcount == 1
                found = connection.execute(self.sql.select(table.c.status).where(where)).scalar_one()
                assert found == task['status'], f'job {job_id} task {index}: {found}, not {task["status"]}'

    def _seed_cluster(self, cluster: dict[str, Any]) -> None:
        name = cluster['name']
        if cluster['job'] is not None:
            job = next(job for job in self.plan['jobs'] if job['number'] == cluster['job'])
            job_id, names = self.jobs[cluster['job']]
            name = self.job_utils.generate_managed_job_cluster_name(names[job['decides']], job_id)
        handle = self.backends.CloudVmRayResourceHandle(
            cluster_name=name, cluster_name_on_cloud=name, cluster_yaml=None, launched_nodes=cluster['nodes'],
            launched_resources=self._resources(cluster),
        )  # fmt: skip
        managed = cluster['job'] is not None
        self.users.add_or_update_cluster(name, handle, None, ready=cluster['status'] != 'INIT', is_managed=managed)
        identifier = self.users._get_hash_for_existing_cluster(name)
        if cluster['status'] in ('UP', 'INIT', 'STOPPED'):
            self.users.set_cluster_autostop_value(name, cluster['autostop'], False)
        if cluster['status'] not in ('UP', 'INIT'):
            self.users.remove_cluster(name, terminate=cluster['status'] is None)
        intervals = [tuple(None if end is None else int(end) for end in pair) for pair in cluster['intervals']]
        owner = self.plan['users'][cluster['owner']]
        history, current = self.users.cluster_history_table, self.users.cluster_table
        with self.engine.begin() as connection:
            connection.execute(
                self.sql.update(history)
                .where(history.c.cluster_hash == identifier)
                .values(
                    usage_intervals=pickle.dumps(intervals),
                    launched_at=int(cluster['launched']),
                    last_activity_time=intervals[-1][1] or int(time.time()),
                    user_hash=owner,
                    workspace=cluster['workspace'],
                )
            )
            connection.execute(
                self.sql.update(current)
                .where(current.c.name == name)
                .values(launched_at=int(cluster['launched']), user_hash=owner, workspace=cluster['workspace'])
            )

    def _resources(self, cluster: dict[str, Any]) -> Any:
        machine = cluster['machine']
        accelerators = {machine['gpu']: int(machine['gpus'])} if machine['gpu'] else None
        if cluster['cloud'] == 'kubernetes':
            kind = f'{machine["cpus"]}CPU--{machine["memory"]}GB--{machine["gpu"]}:{int(machine["gpus"])}'
            return self.resources.Resources(
                cloud=self.clouds.Kubernetes(), instance_type=kind, accelerators=accelerators, region=cluster['region']
            )
        return self.resources.Resources(
            cloud=self.clouds.AWS(), instance_type=machine['instance_type'], accelerators=accelerators,
            region=cluster['region'], use_spot=cluster['spot'],
        )  # fmt: skip

    def damage(self) -> None:
        """Make the record of one job's cluster unreadable."""
        table = self.users.cluster_table
        with self.engine.begin() as connection:
            name, self.handle = connection.execute(
                self.sql.select(table.c.name, table.c.handle).where(table.c.is_managed == 1).limit(1)
            ).one()
            self.damaged = name
            # A pickle of something that is not installed here.
            self._write(connection, b'cgone_module\nGone\n.')

    def repair(self) -> None:
        """Make it readable again."""
        with self.engine.begin() as connection:
            self._write(connection, self.handle)

    def _write(self, connection: Any, handle: bytes) -> None:
        table = self.users.cluster_table
        connection.execute(self.sql.update(table).where(table.c.name == self.damaged).values(handle=handle))

    def hold_locks(self) -> list[Any]:
        """Locks that keep the server from starting job controllers and from looking at the clusters."""
        from sky.backends import backend_utils
        from sky.jobs import constants
        from sky.utils import locks

        names = [one['name'] for one in self.plan['clusters'] if one['job'] is None]
        wanted = [constants.CONSOLIDATION_MODE_LOCK_ID, *map(backend_utils.cluster_status_lock_id, names)]
        held = [locks.get_lock(name) for name in wanted]
        for lock in held:
            lock.acquire(blocking=False)
        return held


async def _nothing(*_: Any, **__: Any) -> None:
    """Where SkyPilot wants to be told of changes."""


def _cloud_name(cloud: str) -> str:
    return {'aws': 'AWS', 'kubernetes': 'Kubernetes'}[cloud]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return int(probe.getsockname()[1])


def start(home: Path) -> tuple[subprocess.Popen, str]:
    """Start the server on a free port and return it with its address. Raises RuntimeError.

    The server derives the port of its queues from its own, and ends when somebody else has that one. Then it is
    started on another port.
    """
    for attempt in range(1, ATTEMPTS + 1):
        port = free_port()
        # Otherwise two servers on a machine share the port of the queues, and requests hang.
        environment = os.environ | {'SKYPILOT_API_SERVER_LOCAL_PORT': str(port)}
        with open(home / 'server.log', 'wb') as log:
            server = subprocess.Popen(
                [sys.executable, '-m', 'sky.server.server', '--host', '127.0.0.1', '--port', str(port)],
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True, env=environment,
            )  # fmt: skip
        try:
            wait_until_up(f'http://127.0.0.1:{port}', server)
        except BaseException as error:
            stop(server, home)
            if attempt == ATTEMPTS or not isinstance(error, RuntimeError):
                raise
            print(f'attempt {attempt}: {error}', flush=True)
        else:
            return server, f'http://127.0.0.1:{port}'
    raise AssertionError('unreachable')


def wait_until_up(url: str, server: subprocess.Popen, seconds: float = 180) -> None:
    """Raises RuntimeError when the server ends, or does not answer in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise RuntimeError(f'the server ended with {server.returncode}')
        try:
            urllib.request.urlopen(f'{url}/api/health', timeout=5).read()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise RuntimeError(f'the server did not answer within {seconds:.0f} s')


def warm_up(url: str) -> None:
    """The first call takes long."""
    body = json.dumps({'refresh': False, 'all_users': True, 'fields': ['job_id']}).encode()
    request = urllib.request.Request(f'{url}/{VIEWED}', body, {'Content-Type': 'application/json'})
    identifier = urllib.request.urlopen(request, timeout=60).headers['X-Skypilot-Request-ID']
    urllib.request.urlopen(f'{url}/api/get?request_id={identifier}', timeout=180).read()


def stop(server: subprocess.Popen, home: Path) -> None:
    """Kill the server's process group, and those of its children that made groups of their own."""
    try:
        os.killpg(server.pid, signal.SIGKILL)
    except ProcessLookupError:
        print('the server had ended already', file=sys.stderr)
    server.wait()
    mark = f'{MARK}={home}'.encode()
    for process in Path('/proc').glob('[0-9]*'):
        try:
            ours = mark in (process / 'environ').read_bytes().split(b'\0')
        except OSError:
            continue
        if ours and int(process.name) != os.getpid():
            os.kill(int(process.name), signal.SIGKILL)


def serve(seeder: Seeder, received: list[int]) -> None:
    """Do what signals say, until one says to end."""
    while True:
        while not received:
            time.sleep(0.1)
        number = received.pop(0)
        if number in (signal.SIGTERM, signal.SIGINT):
            return
        (seeder.damage if number == signal.SIGUSR1 else seeder.repair)()


def main(plan_file: str, home: str) -> None:
    """Seed, serve, wait."""
    plan = json.loads(Path(plan_file).read_text())
    directory = Path(home).resolve()
    prepare(plan, directory)
    os.chdir(directory)
    received: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, lambda number, _: received.append(number))
    started = time.monotonic()
    seeder = Seeder(plan)
    seeder.seed()
    statuses = json.dumps(seeder.statuses())
    (Path(plan_file).resolve().parent / 'statuses.json').write_text(statuses)
    print(f'seeded {len(plan["jobs"])} jobs in {time.monotonic() - started:.1f} s', flush=True)
    locks = seeder.hold_locks()
    try:
        server, url = start(directory)
        try:
            warm_up(url)
            print(f'READY {url} after {time.monotonic() - started:.1f} s', flush=True)
            serve(seeder, received)
        finally:
            stop(server, directory)
    finally:
        for lock in locks:
            lock.release()


if __name__ == '__main__':
    main(*sys.argv[1:])
