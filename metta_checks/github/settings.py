"""The options of an instance, as the rest of the source uses them."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from datadog_checks.base import ConfigurationError

from .client import web_url
from .measures.ci import CiSettings
from .records import BOTS

if TYPE_CHECKING:
    from .config_models.instance import InstanceConfig

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
    bots: frozenset[str]
    # Patterns for the headlines of commits.
    hotfix: tuple[re.Pattern[str], ...]
    hotfix_labels: frozenset[str]
    ci: CiSettings
    # The address of the pages that people see.
    web_url: str

    @classmethod
    def of(cls, config: InstanceConfig) -> Settings:
        """From the typed instance. Raises ConfigurationError naming the option."""
        listed = config.repositories or ()
        for slug in listed:
            if not SLUG.fullmatch(slug):
                raise ConfigurationError(f'option `repositories`: {slug!r} is not of the form owner/name')
        if not listed and not config.organization:
            raise ConfigurationError('set option `repositories` (a list of owner/name) or `organization`')
        try:
            hotfix = tuple(re.compile(pattern, re.IGNORECASE) for pattern in config.hotfix_patterns)
        except re.error as error:
            raise ConfigurationError(f'option `hotfix_patterns`: {error.pattern!r} is no regular expression') from error
        return cls(
            repositories=tuple(dict.fromkeys(map(str.lower, listed))),
            organization=config.organization or '',
            include=config.include or ('*',),
            exclude=config.exclude or (),
            bots=BOTS.union(map(str.lower, config.bots or ())),
            hotfix=hotfix,
            hotfix_labels=frozenset(map(str.lower, config.hotfix_labels or ())),
            ci=CiSettings(
                required=config.required_workflows or (),
                benchmarks=config.benchmark_workflows,
                timeouts=dict(config.workflow_timeouts or {}),
                max_workflows=config.max_workflows,
            ),
            web_url=web_url(config.api_url),
        )

    def select(self, of_organization: Iterable[str]) -> list[str]:
        """Return the repositories to read: the listed ones, then those of the organization that fit the patterns."""
        fitting = (slug for slug in of_organization if _fits(slug, self.include) and not _fits(slug, self.exclude))
        return list(dict.fromkeys((*self.repositories, *fitting)))


def _fits(slug: str, patterns: tuple[str, ...]) -> bool:
    """Patterns with a slash are for owner/name, others for the name alone."""
    name = slug.split('/')[1]
    return any(fnmatch.fnmatchcase(slug if '/' in pattern else name, pattern.lower()) for pattern in patterns)
