"""The options of an instance, with defaults filled in and patterns compiled."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from datadog_checks.base import ConfigurationError

from ..core.address import place
from .measures.ci import CiSettings
from .measures.dora import DEPLOYMENTS, WORKFLOW, DoraSettings
from .people import Bots
from .shard import Shard

if TYPE_CHECKING:
    from .config_models.instance import Dora, InstanceConfig
    from .config_models.instance import Shard as ShardOption

SLUG = re.compile(r'[\w.-]+/[\w.-]+')


@dataclass(frozen=True, slots=True)
class Settings:
    """The options with their defaults. Names of repositories, labels and accounts are in lower case."""

    # owner/name of the listed repositories, each once.
    repositories: tuple[str, ...]
    # The owner of further repositories, empty without one, and patterns for their names.
    organization: str
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    # The part of all these that the instance reads.
    shard: Shard
    bots: Bots
    # The figures of pull requests leave out those of bots.
    exclude_bots: bool
    # Patterns for the headlines of commits.
    hotfix: tuple[re.Pattern[str], ...]
    # Patterns for the messages of commits that merge a pull request, whose number is the first group.
    merges: tuple[re.Pattern[str], ...]
    hotfix_labels: frozenset[str]
    ci: CiSettings
    # None: the option is not set.
    dora: DoraSettings | None
    # The address of the pages that people see.
    web_url: str

    @classmethod
    def of(cls, config: InstanceConfig) -> Settings:
        """Return the settings of an instance. Raises ConfigurationError naming the option."""
        listed = _slugs(config.repositories or ())
        if not listed and not config.organization:
            raise ConfigurationError('set option `repositories` (a list of owner/name) or `organization`')
        return cls(
            repositories=listed,
            organization=config.organization or '',
            include=config.include or ('*',),
            exclude=config.exclude or (),
            shard=_shard(config.shard),
            bots=Bots.of(config.bots or ()),
            exclude_bots=config.exclude_bots,
            hotfix=_expressions('hotfix_patterns', config.hotfix_patterns),
            merges=_with_group('merge_commit_patterns', config.merge_commit_patterns or ()),
            hotfix_labels=_lower(config.hotfix_labels),
            ci=CiSettings(
                required=config.required_workflows or (),
                required_events=config.required_events,
                benchmarks=config.benchmark_workflows,
                timeouts=dict(config.workflow_timeouts or {}),
                max_workflows=config.max_workflows,
            ),
            dora=_dora(config.dora),
            web_url=web_url(config.api_url),
        )

    @property
    def owners(self) -> list[str]:
        """The logins of the owners of the repositories; none except in the first shard: one instance reads them."""
        if self.shard.index:
            return []
        listed = (slug.split('/')[0] for slug in self.repositories)
        return list(dict.fromkeys(filter(None, (self.organization.lower(), *listed))))

    def unused_fields(self) -> frozenset[str]:
        """Return the fields of GraphQL queries that only options need that are not set."""
        unused = {'message': self.merges, 'labels': self.hotfix_labels}
        return frozenset(field for field, needed in unused.items() if not needed)

    def select(self, of_organization: Iterable[str]) -> list[str]:
        """Return the repositories to read: the listed ones, then those of the organization that fit the patterns.

        Repositories of other shards are left out.
        """
        fitting = (slug for slug in of_organization if fits(slug, self.include) and not fits(slug, self.exclude))
        return [slug for slug in dict.fromkeys((*self.repositories, *fitting)) if self.shard.has(slug)]


def web_url(api_url: str) -> str:
    """Return the address of the web pages of the server with this API.

    >>> web_url('https://api.github.com'), web_url('https://github.example/api/v3')
    ('https://github.com', 'https://github.example')
    """
    return f'{api_url.partition("://")[0]}://{place(api_url).removeprefix("api.")}'


def _shard(option: ShardOption | None) -> Shard:
    """Return the option `shard`. Raises ConfigurationError for a number that is none of the shards."""
    if option is None:
        return Shard()
    if option.index >= option.count:
        raise ConfigurationError(
            f'option `shard`: `index` is {option.index}, but {option.count} shards have the numbers 0 to '
            f'{option.count - 1}'
        )
    return Shard(option.index, option.count)


def _dora(option: Dora | None) -> DoraSettings | None:
    """Return the option `dora`. Raises ConfigurationError for parts that do not belong together."""
    if option is None:
        return None
    settings = DoraSettings(**{key: value for key, value in option.model_dump().items() if value is not None})
    if option.environments is not None and settings.source != DEPLOYMENTS:
        raise ConfigurationError(f'option `dora`: `environments` does not go with `source: {settings.source}`')
    if bool(option.workflows) != (settings.source == WORKFLOW):
        raise ConfigurationError('option `dora`: `workflows` and `source: workflow` go together')
    return settings


def _lower(names: Iterable[str] | None) -> frozenset[str]:
    return frozenset(map(str.lower, names or ()))


def _slugs(listed: Iterable[str]) -> tuple[str, ...]:
    """Return owner/name of repositories, each once. Raises ConfigurationError."""
    slugs = list(listed)
    for slug in slugs:
        if not SLUG.fullmatch(slug):
            raise ConfigurationError(f'option `repositories`: {slug!r} is not of the form owner/name')
    return tuple(dict.fromkeys(map(str.lower, slugs)))


def _expressions(option: str, patterns: Iterable[str]) -> tuple[re.Pattern[str], ...]:
    try:
        return tuple(re.compile(pattern, re.IGNORECASE | re.MULTILINE) for pattern in patterns)
    except re.error as error:
        raise ConfigurationError(f'option `{option}`: {error.pattern!r} is not a regular expression') from error


def _with_group(option: str, patterns: Iterable[str]) -> tuple[re.Pattern[str], ...]:
    """Return compiled patterns. Raises ConfigurationError for one without a group, which would find no number."""
    compiled = _expressions(option, patterns)
    for pattern in compiled:
        if not pattern.groups:
            raise ConfigurationError(
                f'option `{option}`: {pattern.pattern!r} has no group for the number of the pull request, as in #(\\d+)'
            )
    return compiled


def fits(slug: str, patterns: tuple[str, ...]) -> bool:
    """Return whether a repository fits a pattern: one with a slash for owner/name, any other for the name alone."""
    name = slug.split('/')[1]
    return any(fnmatch.fnmatchcase(slug if '/' in pattern else name, pattern.lower()) for pattern in patterns)
