"""Pure functions from records to samples, by block."""

from . import ci, commits, default_branch, deployments, issues, pull_requests, repository, runners

__all__ = ['ci', 'commits', 'default_branch', 'deployments', 'issues', 'pull_requests', 'repository', 'runners']
