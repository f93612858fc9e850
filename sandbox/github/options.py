"""Options of the GitHub service, grouped by idea."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..options import ServiceOptions

TOKEN = 'github_pat_sandbox'
REQUIRED_WORKFLOWS = ('tests', 'lint')


@dataclass(frozen=True)
class Amounts:
    """Amounts in the large repository. None: in proportion to `scale`.

    Attributes:
        history: runs since the repository was created
        runs_in_window: runs of the last seven days
        prs: merged and closed pull requests that were updated in the last seven days
        past_prs: merged and closed pull requests that were not
        open_prs: open pull requests
        commits: commits of the last seven days
        branches: branches
        burst: further runs within one hour
        burst_second: further runs within one second
        workflow_names: further names of workflows, one run each
        largest_pr: files of one pull request merged in the last seven days, 0 for no such pull request
    """

    history: int | None = None
    runs_in_window: int | None = None
    prs: int | None = None
    past_prs: int | None = None
    open_prs: int | None = None
    commits: int | None = None
    branches: int | None = None
    burst: int = 0
    burst_second: int = 0
    workflow_names: int = 0
    largest_pr: int = 0


@dataclass(frozen=True)
class Behavior:
    """Behavior of the server.

    Attributes:
        ghes: as an Enterprise Server does, at other paths and without rate limits
        api_version: the server knows the header X-GitHub-Api-Version
        missing_fields: `Type.field` and `Type.field.argument` that the GraphQL schema lacks
        capped_totals: total counts of filtered runs stop at 1,000
        limit: requests per hour, and GraphQL points per hour
    """

    ghes: bool = False
    api_version: bool = True
    missing_fields: Sequence[str] = ()
    capped_totals: bool = False
    limit: int = 5_000


@dataclass(frozen=True)
class GitHubOptions(Amounts, Behavior, ServiceOptions):
    """Options of the GitHub service.

    Attributes:
        more_repositories: number of further, tiny repositories
        token: the token that the server accepts
        required_workflows: patterns of the workflows that decide about the default branch
    """

    more_repositories: int = 0
    token: str = TOKEN
    required_workflows: Sequence[str] = REQUIRED_WORKFLOWS
