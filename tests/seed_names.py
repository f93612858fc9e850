"""The names of the first system, and those its plan had announced, as this project owes them to its users' dashboards.

Written by hand from the inventory, not derived from metrics.yaml: the catalog is what is being tested.
"""

from __future__ import annotations


def _under(prefix: str, text: str) -> tuple[str, ...]:
    return tuple(f'metta.{prefix}.{name}' for name in text.split())


GITHUB = _under(
    'github',
    """
    prs.open prs.merged_7d prs.closed_without_merge_7d prs.avg_time_to_merge_hours prs.cycle_time_hours
    prs.stale_count_14d prs.with_review_comments_pct prs.avg_comments_per_pr branches.active commits.total_7d
    commits.hotfix commits.reverts commits.force_merge_7d commits.per_developer_7d code.lines_added_7d
    code.lines_deleted_7d code.files_changed_7d ci.workflow_runs_7d ci.failed_workflows_7d
    ci.timeout_cancellations_7d ci.flaky_checks_7d ci.tests_passing_on_main ci.benchmarks_passing
    ci.avg_workflow_duration_minutes ci.duration_p50_minutes ci.duration_p90_minutes ci.duration_p99_minutes
    developers.active_7d
    """,
)
SKYPILOT = _under(
    'skypilot',
    """
    jobs.queued jobs.running jobs.failed jobs.failed_7d jobs.succeeded jobs.cancelled jobs.runtime_seconds.min
    jobs.runtime_seconds.max jobs.runtime_seconds.avg jobs.runtime_seconds.p50 jobs.runtime_seconds.p90
    jobs.runtime_seconds.p99 jobs.runtime_buckets.0_1h jobs.runtime_buckets.1_4h jobs.runtime_buckets.4_24h
    jobs.runtime_buckets.over_24h resources.gpus.l4_count resources.gpus.a10g_count resources.gpus.h100_count
    resources.gpus.total_count resources.spot_jobs resources.ondemand_jobs jobs.with_recoveries
    jobs.recovery_count.avg jobs.recovery_count.max regions.us_east_1 regions.us_west_2 regions.other
    users.active_count clusters.active
    """,
)
ASANA = _under(
    'asana',
    """
    tasks.total tasks.open tasks.completed_7d tasks.completed_30d tasks.overdue tasks.due_today
    tasks.due_this_week tasks.no_due_date tasks.unassigned tasks.assigned velocity.completed_per_day_7d
    velocity.completion_rate_pct cycle_time.avg_hours cycle_time.p50_hours cycle_time.p90_hours users.active_7d
    projects.active projects.on_track projects.at_risk projects.off_track projects.bugs.triage_count
    projects.bugs.active_count projects.bugs.backlog_count projects.bugs.other_count projects.bugs.total_open
    projects.bugs.completed_7d projects.bugs.completed_30d projects.bugs.created_7d projects.bugs.avg_age_days
    projects.bugs.oldest_bug_days
    """,
)
EC2 = _under(
    'ec2',
    """
    instances.total instances.running instances.stopped instances.spot instances.ondemand instances.gpu_count
    instances.cpu_count instances.idle instances.avg_age_days instances.oldest_age_days ebs.volumes.total
    ebs.volumes.attached ebs.volumes.unattached ebs.volumes.size_gb ebs.snapshots.total ebs.snapshots.size_gb
    cost.running_hourly_estimate cost.monthly_estimate cost.spot_savings_pct
    """,
)
WANDB = _under(
    'wandb',
    """
    runs.active runs.total runs.completed_7d runs.failed_7d training.avg_duration_hours
    training.gpu_utilization_avg training.total_gpu_hours_7d metrics.best_accuracy metrics.avg_accuracy_7d
    metrics.latest_loss training.gpu_utilization_pct training.duration_hours training.cost_estimate_usd
    """,
)
KUBERNETES = _under(
    'kubernetes',
    """
    resources.cpu_waste_cores resources.memory_waste_gb resources.cpu_efficiency_pct
    resources.memory_efficiency_pct resources.overallocated_pods pods.crash_looping pods.failed pods.pending
    pods.oomkilled_24h pods.high_restarts pods.image_pull_errors pods.idle_count pods.low_cpu_usage
    pods.low_memory_usage deployments.zero_replicas
    """,
)
BY_SOURCE = {
    'github': GITHUB,
    'skypilot': SKYPILOT,
    'asana': ASANA,
    'ec2': EC2,
    'wandb': WANDB,
    'kubernetes': KUBERNETES,
}
