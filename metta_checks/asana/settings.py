"""The options of an instance, checked and with their defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from datadog_checks.base import ConfigurationError

from .section_names import SectionNames

if TYPE_CHECKING:
    from .config_models.instance import InstanceConfig

# The kinds of sections of the Bugs project. The first one that matches wins.
SECTIONS = ('triage', 'active', 'backlog')
# Asana's published limits in requests per minute and token.
LIMIT_FREE = 150
LIMIT_PAID = 1500
# Share of these limits that the check uses. The rest is left to other programs with the same token, and to Asana's
# shorter accounting periods.
SHARE = 0.8
MINUTE_SECONDS = 60
MAX_PROJECTS = 50


class SectionMap:
    """Finds the kind of a section of the Bugs project, one of SECTIONS. `words` are the words of each kind."""

    def __init__(self, words: Mapping[str, tuple[str, ...]]) -> None:
        self._kinds = {kind: SectionNames(words[kind]) for kind in SECTIONS if words.get(kind)}

    def __bool__(self) -> bool:
        """Return True when any kind has words."""
        return bool(self._kinds)

    def __call__(self, section: str | None) -> str | None:
        """Return the kind of a section. None without a section, and for a section of another kind."""
        return (
            None if section is None else next((kind for kind, names in self._kinds.items() if section in names), None)
        )


@dataclass(frozen=True, slots=True)
class Settings:
    """The options that need more than their value in the configuration.

    Attributes:
        zone: the time zone of option `timezone`
        section_of: returns the kind of a section of the Bugs project, from option `section_map`
        severity_field: gid or name of the custom field with the severity of a bug, None without the option
        section_time: whether to observe the time that bugs spend in a section
        projects: gids of the projects that have figures of their own
        started_sections: recognizes the sections in which people work on a task
        use_stories: whether to read the start of work from the history of a task
        from_start: whether cycle time begins with the first entry into a started section, not with the creation
        milestones: whether to tell milestones from other tasks
        blocked: whether to read the tasks that a task depends on
    """

    zone: tzinfo
    section_of: SectionMap
    severity_field: str | None
    section_time: bool
    projects: tuple[str, ...]
    started_sections: SectionNames
    use_stories: bool
    from_start: bool
    milestones: bool
    blocked: bool

    @classmethod
    def of(cls, config: InstanceConfig) -> Settings:
        """Return the settings of an instance. Raises ConfigurationError with the name of the option."""
        started = SectionNames(config.started_sections)
        for option, value in (
            ('cycle_time_basis: started', config.cycle_time_basis == 'started'),
            ('use_stories', config.use_stories),
        ):
            if value and not started:
                raise ConfigurationError(
                    f'option `{option}` needs `started_sections`, the sections in which people work on a task'
                )
        projects = tuple(dict.fromkeys(config.projects))
        if len(projects) > MAX_PROJECTS:
            raise ConfigurationError(
                f'option `projects`: {len(projects)} projects, at most {MAX_PROJECTS} are possible'
            )
        return cls(
            zone=_zone(config.timezone),
            section_of=SectionMap(_section_words(config.section_map)),
            severity_field=config.bugs_severity_field or None,
            section_time=config.bugs_section_time,
            projects=projects,
            started_sections=started,
            use_stories=config.use_stories,
            from_start=config.cycle_time_basis == 'started',
            milestones=config.milestones,
            blocked=config.blocked_fields,
        )


def allowance(paid: bool, run_seconds: float) -> int:
    """Return the number of requests that a run may send, so that the runs of a minute stay within the plan's limit.

    `run_seconds` is the time from one run to the next.
    """
    return int(SHARE * (LIMIT_PAID if paid else LIMIT_FREE) * min(1.0, run_seconds / MINUTE_SECONDS))


def _zone(name: str) -> tzinfo:
    if name.upper() == 'UTC':
        # Needs no time zone database, which a container may lack.
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigurationError(
            f'option `timezone`: {name!r} is not a time zone that this system knows; '
            'use an IANA name such as Europe/Berlin'
        ) from error


def _section_words(option: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    unknown = set(option) - set(SECTIONS)
    if unknown:
        raise ConfigurationError(
            f'option `section_map`: {", ".join(sorted(unknown))}: only {", ".join(SECTIONS)} are possible'
        )
    for kind, words in option.items():
        if not all(word.strip() for word in words):
            raise ConfigurationError(f'option `section_map`: {kind} needs a list of words')
    return {kind: tuple(option.get(kind, (kind,))) for kind in SECTIONS}
