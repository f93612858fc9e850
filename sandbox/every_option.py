"""For each source, the options that make its check read and emit all that it can of the sandbox."""

from __future__ import annotations

from typing import Any

from .server import Service

EVERY_OPTION: dict[str, dict[str, Any]] = {
    'github': {
        'benchmark_workflows': ['*benchmark*', 'tests'],
        'workflow_timeouts': {'tests': 3},
        'max_workflows': 3,
        'hotfix_patterns': [r'^\[?hotfix\b', r'^fix\b'],
        'hotfix_labels': ['hotfix', 'bug'],
        'bots': ['a-release-account'],
        'deployments': True,
        'dora': {'source': 'deployments', 'environments': ['production', 'stag*']},
        'issues': True,
        'jobs': True,
        'organization_runners': True,
        'runners': True,
    },
    'skypilot': {
        'prices': {'l4': {'ondemand': 0.8, 'spot': 0.3}, 'h100': {'ondemand': 6.88}},
        'by_user': True,
        'by_workspace': True,
        'per_job': True,
        'max_jobs': 5,
        'api_timing': True,
        'pools': True,
        'idle_minutes': 60,
    },
    'asana': {
        'section_map': {'triage': ['triage', 'inbox'], 'active': ['active', 'in progress'], 'backlog': ['backlog']},
        'bugs_severity_field': 'Severity',
        'bugs_section_time': True,
        'milestones': True,
        'cycle_time_basis': 'started',
        'started_sections': ['In Progress'],
        'use_stories': True,
        'blocked_fields': True,
        'tasks_total': True,
        'projects': ['1204000000000007', '1204000000000014'],
    },
    'ec2': {
        'tag_by': ['team'],
        'gpu_breakdown': True,
        'price_snapshots': True,
        'capacity_reservations': True,
        'spot_interruptions': True,
        'cost_explorer': True,
        'commitments': True,
    },
    'wandb': {
        'gpu_count_config_key': 'num_gpus',
        'gpu_details': True,
        'all_time': True,
        'sweeps': True,
        'per_run': True,
        'max_runs': 5,
        'by_state': True,
        'by_user': True,
        'by_run_type': True,
        'by_group': True,
    },
    'kubernetes': {
        'collect_usage': True,
        'collect_nodes': True,
        'cluster_idle': True,
        'per_namespace': True,
        'prices': {'cpu_core_hour': 0.031611, 'memory_gib_hour': 0.004237, 'gpu_hour': {'h100': 3.0}},
        'accelerator_types': {'example.com/npu': 'npu'},
        'resource_claims': True,
        'per_deployment': 5,
        'per_workload': 5,
        'max_namespaces': 5,
        'image_pull_error_reasons': ['ImagePullBackOff', 'ErrImagePull'],
    },
}


def every_option(service: Service) -> dict[str, Any]:
    """Return the options for a service, with those that name its address."""
    return {**EVERY_OPTION[service.name], **service.companions()}
