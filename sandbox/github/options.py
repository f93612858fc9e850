"""Options of the GitHub service, grouped by idea."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
        workflow_names: further workflows, one run each
        needless_reruns: further runs that were run again and are not flaky
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
    needless_reruns: int = 0
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
        late_index_every: every n-th filtered list of runs is answered without a row, as by an index that lags; 0: none
        errors_name_paths: errors beside the data of GraphQL name the path of the part that is null
        rate_limit_error: error of GraphQL when its points are used up: the `type` RATE_LIMITED, or RATE_LIMIT, which
            comes with the code graphql_rate_limit
        rate_limit_status: HTTP status when a limit of an hour is used up; None: 403 for REST, 200 for GraphQL
        rate_limit_retry_after: seconds of the header Retry-After beside such an answer
        secondary: the secondary limit, as {'status': 200 | 403 | 429, 'retry_after': seconds | None, 'times': number};
            status 200 is for GraphQL only, and 'times' limits the number of answers
        sso: single sign-on of the organization: `required` refuses the token and names a URL that authorizes it;
            `partial-results` leaves private repositories out of lists and names the organization
    """

    ghes: bool = False
    api_version: bool = True
    missing_fields: Sequence[str] = ()
    capped_totals: bool = False
    limit: int = 5_000
    late_index_every: int = 0
    errors_name_paths: bool = True
    rate_limit_error: str = 'RATE_LIMITED'
    rate_limit_status: int | None = None
    rate_limit_retry_after: int | None = None
    secondary: Mapping[str, Any] | None = None
    sso: str = ''


@dataclass(frozen=True)
class GitHubOptions(Amounts, Behavior, ServiceOptions):
    """Options of the GitHub service.

    Attributes:
        more_repositories: number of further, tiny repositories
        token: the token that the server accepts
        required_workflows: patterns of the workflows that decide about the default branch
        as_app: the instance reads the service as a GitHub App, not with the token
    """

    more_repositories: int = 0
    token: str = TOKEN
    required_workflows: Sequence[str] = REQUIRED_WORKFLOWS
    as_app: bool = False
