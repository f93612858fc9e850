"""The rules that apply: those of a profile, narrowed by options."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from .findings import Rule


class Profile(StrEnum):
    """A set of rules."""

    # All rules, for the assets of this project and for those of a Datadog integration.
    PROJECT = 'project'
    # Rules that hold for every dashboard, monitor and SLO.
    DATADOG = 'datadog'


@dataclass(frozen=True, slots=True)
class Selection:
    """The rules of a profile, of these only the selected ones, without the ignored ones.

    `select` and `ignore` hold ids or the beginning of ids (`DG`, `MC10`); without `select`, every rule is selected.
    """

    profile: Profile = Profile.PROJECT
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()

    def takes(self, rule: Rule) -> bool:
        """Return whether a rule applies."""
        return self.takes_id(rule.id) and not (rule.own and self.profile is Profile.DATADOG)

    def takes_id(self, id_: str) -> bool:
        """Return whether rules of this id may apply."""
        return (not self.select or id_.startswith(self.select)) and not (self.ignore and id_.startswith(self.ignore))


def unknown(names: Iterable[str], ids: Iterable[str]) -> list[str]:
    """Return the names that no id begins with."""
    known = list(ids)
    return [name for name in names if not name or not any(id_.startswith(name) for id_ in known)]
