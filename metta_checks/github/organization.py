"""The repositories of an organization, as far as GitHub shows them to the credentials."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from ..core.diagnosis import Finding
from ..core.stored import stored
from .records import Listed
from .settings import Settings, fits

# Organizations whose ids are spelled out.
SHOWN_IDS = 10


@stored
class Listing:
    """The list of an organization's repositories.

    Attributes:
        names: owner/name in lower case, by GitHub's id, of the repositories that can be read
        missing: those of them, by id, that the last list did not show. They are read until the next list confirms it
        inactive: the number of archived and disabled repositories and forks, which are not read
        left_out: the ids of organizations of which GitHub shows nothing, until the token is authorized for their single
            sign-on
    """

    names: dict[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    inactive: int = 0
    left_out: tuple[str, ...] = ()

    @property
    def shown(self) -> int:
        """The number of repositories in the last list that can be read."""
        return len(self.names) - len(self.missing)

    def followed_by(self, rows: Collection[Listed], left_out: tuple[str, ...]) -> Listing:
        """Return the list after a further reading.

        A repository that is missing once is kept. One that is missing twice is gone, unless GitHub said that the list
        is not complete. An archived one is gone at once, and a renamed one has its new name.
        """
        listed = {row.id for row in rows}
        missing = {
            identity: name
            for identity, name in self.names.items()
            if identity not in listed and (left_out or identity not in self.missing)
        }
        active = {row.id: row.name_with_owner.lower() for row in rows if not row.inactive}
        return Listing(active | missing, tuple(missing), len(rows) - len(active), left_out)


@dataclass(frozen=True, slots=True)
class Gap:
    """A part of the repositories that an instance is meant to read, and does not see."""

    reason: str
    message: str


def gaps(settings: Settings, listing: Listing) -> Iterator[Gap]:
    """Yield the reasons for which fewer repositories are read than the options may be meant to select."""
    if listing.left_out:
        yield Gap('partial', sign_on_needed(listing.left_out))
    of = f'of organization {settings.organization}'
    if not listing.shown:
        yield Gap('not_found', _nothing(of, listing.inactive))
        return
    names = listing.names.values()
    for pattern in settings.include:
        if not any(fits(name, (pattern,)) for name in names):
            yield Gap('not_found', f'option `include`: `{pattern}` fits none of the {len(names)} repositories {of}')
    included = [name for name in names if fits(name, settings.include)]
    if included and all(fits(name, settings.exclude) for name in included):
        yield Gap('not_found', f'option `exclude` leaves none of the {len(included)} repositories {of}')


def _nothing(of: str, inactive: int) -> str:
    if inactive:
        return (
            f'all {inactive} repositories {of} that GitHub shows are archived, disabled or forks, which are not read; '
            'list those that you need in option `repositories`'
        )
    return (
        f'GitHub shows no repository {of} to these credentials; give the token access to its repositories, or install '
        'the App on them'
    )


def sign_on_needed(organizations: Iterable[str]) -> str:
    """Return the message about organizations, by id, of which GitHub shows nothing to this token."""
    ids = list(organizations)
    more = f' and {len(ids) - SHOWN_IDS} more' if len(ids) > SHOWN_IDS else ''
    return (
        f'GitHub leaves out what belongs to the organizations with the ids {", ".join(ids[:SHOWN_IDS])}{more}; '
        'authorize the token for their single sign-on (in its settings, Configure SSO)'
    )


def findings(settings: Settings, listing: Listing, selected: int) -> Iterator[Finding]:
    """Yield a finding for each gap, or the number of selected repositories."""
    name = f'organization {settings.organization}'
    found = [Finding(name, 'warning', gap.message) for gap in gaps(settings, listing)]
    yield from found or [Finding(name, 'ok', f'{selected} repositories are read')]
