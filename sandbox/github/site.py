"""A GitHub site without its APIs: repositories, accounts and limits, and the switches of both APIs."""

from __future__ import annotations

from dataclasses import dataclass

from metta_checks.testing import Clock

from ..organization import Organization
from ..server import Service
from .access import Bucket
from .data import LARGE, ORGANIZATION_RUNNERS, SMALL, TINY, Outline, build, side_repositories
from .model import Pull, Repository
from .options import GitHubOptions
from .people import People

# Each has a limit of its own.
RESOURCES = ('core', 'graphql')
# The former name of the large repository.
FORMER_NAME = 'metta-legacy'


@dataclass(slots=True)
class LateIndex:
    """The index behind filtered lists of runs lags for some requests.

    Attributes:
        rows: the newest rows that it misses; None: it has none at all
        requests: the number of requests for which it lags; None: all
        every: it lags for every n-th request only
    """

    rows: int | None = None
    requests: int | None = 1
    every: int = 1
    _seen: int = 0

    def strikes(self) -> bool:
        """Return whether the index lags for the present request, and count the request."""
        self._seen += 1
        if self._seen % self.every or self.requests == 0:
            return False
        if self.requests is not None:
            self.requests -= 1
        return True


class Site(Service):
    """The data of one site and the state of its limits.

    Attributes:
        denied: permissions that the credentials lack: metadata, contents, pull_requests, actions, issues, ...
        capped_totals: whether total counts of filtered runs stop at 1,000
        swapped_runs: whether the first and the last run of a page change places
        late_index: how the index of filtered lists of runs lags; None: it does not
        organization_runners: self-hosted runners of the organization
        hidden: global ids of objects that are null in lists, with an error
        errors_name_paths: whether errors beside the data of GraphQL name the path of the part that is null
        sso: the state of single sign-on; see the option
        unlisted_files: numbers of pull requests whose list of files is null
    """

    def __init__(self, organization: Organization, clock: Clock, options: GitHubOptions) -> None:
        super().__init__(organization, clock)
        self.ghes = options.ghes
        self.denied: set[str] = set()
        self.capped_totals = options.capped_totals
        self.swapped_runs = False
        every = options.late_index_every
        self.late_index = LateIndex(requests=None, every=every) if every else None
        self.hidden: set[str] = set()
        self.errors_name_paths = options.errors_name_paths
        self.sso = options.sso
        self.organization_runners = list(ORGANIZATION_RUNNERS)
        self.unlisted_files: set[int] = set()
        self.people = People(organization)
        now = clock.now()
        large = LARGE.scaled(options.scale).with_amounts(options)
        small = SMALL.scaled(options.scale)
        self.metta, metta_makers = build(organization, self.people, Outline('metta', 1_001, 'main', large), now)
        self.infra, infra_makers = build(organization, self.people, Outline('infra', 1_002, 'master', small), now)
        # Makers of further pull requests, commits and runs, by the name of the repository.
        self.makers = {'metta': metta_makers, 'infra': infra_makers}
        more = [
            build(organization, self.people, Outline(f'service-{index:03d}', 2_000 + index, 'main', TINY), now)[0]
            for index in range(options.more_repositories)
        ]
        self.repositories = [self.metta, self.infra, *more, *side_repositories(organization, self.people, now)]
        self.renamed = {f'{organization.name}/{FORMER_NAME}'.lower(): self.metta}
        self._buckets = {resource: Bucket(resource, options.limit) for resource in RESOURCES}

    @property
    def api_url(self) -> str:
        """The base address of the REST API, as the option `api_url` of the check wants it."""
        return f'{self.url}/api/v3' if self.ghes else self.url

    # Lookups.

    def find(self, owner: str, name: str, *, follow: bool = True) -> Repository | None:
        """Find a repository by its name in any case, with `follow` also by a former name."""
        slug = f'{owner}/{name}'.lower()
        found = next((row for row in self.repositories if row.name_with_owner.lower() == slug), None)
        return found or (self.renamed.get(slug) if follow else None)

    def by_id(self, database_id: int) -> Repository | None:
        """Find a repository by its number."""
        return next((row for row in self.repositories if row.database_id == database_id), None)

    def node(self, identity: str) -> Pull | Repository | None:
        """Find a pull request or repository by its global id."""
        if identity.startswith('PR_kwDO') and identity[7:].isdigit():
            repository = self.by_id(int(identity[7:13]))
            return repository.pulls.get(int(identity[13:])) if repository else None
        return next((row for row in self.repositories if row.id == identity), None)

    # Limits.

    def bucket(self, resource: str) -> Bucket | None:
        """Return the limit of a resource in the present hour; None for an Enterprise Server."""
        return None if self.ghes else self._buckets[resource].open(self.clock.now())

    def exhaust(self, resource: str, remaining: int = 0) -> None:
        """Use up a limit until its reset."""
        if (bucket := self.bucket(resource)) is not None:
            bucket.exhaust(remaining)
