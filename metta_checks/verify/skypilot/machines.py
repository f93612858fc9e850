"""Descriptions of machines in the answers: accelerators, markets, names of clusters."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ...core.accelerators import accelerator_type
from .reading import Row

# Versions of TPUs with two cores per chip whose slices are named for their cores; others are named for their chips.
CORES = ('v2', 'v3', 'v4', 'v5p')
CONTROLLERS = ('sky-jobs-controller-', 'sky-serve-controller-')
# Events of a cluster for which the cloud has not given a machine.
WITHOUT_MACHINE = ('Provision failed', 'Retrying provisioning', 'Provisioning on ')
# Longest part of a job's cluster name before the id of the job, and the length of the hash at its end.
LONGEST_NAME, HASH = 25, 2
DIGITS = '0123456789abcdefghijklmnopqrstuvwxyz'


def named(accelerators: Any) -> dict[str, float]:
    """Return accelerators per node by their names in the catalog, in lower case."""
    if isinstance(accelerators, str):
        accelerators = {name: float(count) for name, count in re.findall(r"'([^']+)': ([\d.]+)", accelerators)}
    return {name.lower(): float(count) for name, count in (accelerators or {}).items()}


def chips(accelerators: Mapping[str, float]) -> dict[str, float]:
    """Return GPUs by type. Slices of TPUs of one version are one type, which is counted in chips."""
    counts: dict[str, float] = {}
    for name, count in accelerators.items():
        of_tpus = re.fullmatch(r'(tpu-(v\w+))-(\d+)', name)
        if of_tpus:
            per_slice = int(of_tpus[3]) // (2 if of_tpus[2] in CORES else 1)
            name, count = of_tpus[1], count * per_slice
        gpu_type = accelerator_type(name)
        counts[gpu_type] = counts.get(gpu_type, 0.0) + count
    return counts


def requested(resources: str | None) -> tuple[str, float] | None:
    """Return (type, number over all nodes) of a request such as `2x[L4:4]`; None for a request without GPUs.

    The type is `any` where the request lists several; the number is then the largest.
    """
    request = re.match(r'(\d+)x\[([^\]]*)\]', resources or '')
    if not request:
        return None
    listed = re.findall(r'([\w.-]+):([\d.]+)(?!\+)', request[2])
    choices = [next(iter(chips({name.lower(): float(count)}).items())) for name, count in listed if name != 'CPU']
    if not choices:
        return None
    gpu_type = choices[0][0] if len(choices) == 1 else 'any'
    return gpu_type, int(request[1]) * max(count for _, count in choices)


def market(text: str | None) -> str:
    """Return the market in a description of machines or of a request."""
    text = (text or '').lower()
    if '|spot]' in text:
        return 'unknown'
    return 'spot' if '[spot]' in text else 'ondemand'


def described(row: Row) -> str | None:
    """Return the description of the machines of a task; None when the server has no record of them."""
    text = row.get('cluster_resources_full') or row.get('cluster_resources')
    return text if isinstance(text, str) and 'accelerators' in row and re.match(r'\d+x', text) else None


def row_market(row: Row) -> str:
    """Return the market of a task: that of its machines, else that of its request."""
    text = row.get('cluster_resources')
    return market(row.get('resources') if text in (None, '-') else text)


def has_machines(row: Row) -> bool:
    """Return True for a task at work. A running task has machines, even if the server has no record of them."""
    if row['status'] in ('RUNNING', 'WINDING_DOWN'):
        return True
    return row['status'] in ('CANCELLING', 'RECOVERING') and described(row) is not None


def gpus(row: Row) -> dict[str, float]:
    """Return the GPUs that a task has over all its nodes, by type."""
    if not has_machines(row):
        return {}
    text = described(row)
    if text is None:
        wanted = requested(row.get('resources'))
        return dict([wanted]) if wanted else {}
    nodes = int(text.partition('x')[0])
    return {name: count * nodes for name, count in chips(named(row['accelerators'])).items()}


def cluster_gpus(record: Row, nodes: str) -> dict[str, float]:
    """Return the GPUs of a cluster over all its nodes, by type."""
    return {name: count * record[nodes] for name, count in chips(named(record.get('accelerators'))).items()}


def never_got_machines(record: Row) -> bool:
    """Return True for a cluster whose last event says that the cloud has not given it a machine."""
    return record.get('status') in ('INIT', None) and str(record.get('last_event') or '').startswith(WITHOUT_MACHINE)


def cluster_name(row: Row) -> str:
    """Return the name of the cluster of a task: the worker of a pool that it is on, else a name made from its own."""
    if row.get('current_cluster_name'):
        return str(row['current_cluster_name'])
    name = str(row.get('task_name') or row.get('job_name') or '')
    kept = re.sub(r'[._]', '-', name).lower()
    if len(kept) > LONGEST_NAME:
        number, digest = int(hashlib.md5(name.encode(), usedforsecurity=False).hexdigest(), 16), ''
        while number:
            number, digit = divmod(number, len(DIGITS))
            digest = DIGITS[digit] + digest
        kept = f'{kept[: LONGEST_NAME - HASH - 1].rstrip("-")}-{digest[:HASH]}'
    return f'{kept}-{row["job_id"]}'


def kinds(bills: Iterable[Row], clusters: Iterable[Row], rows: Iterable[Row]) -> dict[str, str]:
    """Return what each cluster of the cost report is for, by its hash."""
    listed = {cluster['cluster_hash'] for cluster in clusters}
    rows = list(rows)
    of_jobs = {cluster_name(row) for row in rows if not row.get('pool')}
    workers = {row['current_cluster_name'] for row in rows if row.get('current_cluster_name')}
    pools = {row['pool'] for row in rows if row.get('pool')}
    found: dict[str, str] = {}
    for bill in bills:
        name = bill['name']
        if bill['cluster_hash'] in listed:
            kind = 'controller' if name.startswith(CONTROLLERS) else 'cluster'
        elif name in workers or re.sub(r'-\d+$', '', name) in pools:
            kind = 'worker'
        else:
            kind = 'job' if name in of_jobs else 'replica'
        found[bill['cluster_hash']] = kind
    return found
