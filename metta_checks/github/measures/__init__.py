"""Pure functions from records to samples, by block."""

from . import ci, commits, default_branch, deployments, dora, issues, jobs, pull_requests, repository, runners

__all__ = [
    'ci', 'commits', 'default_branch', 'deployments', 'dora', 'issues', 'jobs', 'pull_requests', 'repository',
    'runners',
]  # fmt: skip
