"""Findings of the lint, and the declaration of rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from .view import View

Level = Literal['error', 'warning', 'info']


@dataclass(frozen=True, slots=True)
class LintFinding:
    """A violation of a rule. `path` is within the asset's file; `title` is that of the widget there."""

    level: Level
    rule: str
    asset: str
    file: str
    path: str
    message: str
    title: str = ''

    @property
    def text(self) -> str:
        """Return the finding in one line: `dashboards/x.json: widgets[3].definition: MC03 ...`."""
        return ': '.join(part for part in (self.file, self.path, f'{self.rule} {self.message}') if part)


@dataclass(frozen=True, slots=True)
class Problem:
    """A violation as a rule reports it; `level` is set where it differs from the rule's level."""

    path: str
    message: str
    level: Level | None = None


Check: TypeAlias = 'Callable[[View], Iterable[Problem]]'


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule for assets of some kinds."""

    id: str
    level: Level
    kinds: tuple[str, ...]
    check: Check
    # True for a convention of this project or of Datadog's integrations, which other dashboards need not follow.
    own: bool = False

    @property
    def description(self) -> str:
        """First line of the function's docstring."""
        return (self.check.__doc__ or '').strip().splitlines()[0]


RULES: list[Rule] = []


def rule(
    id_: str, level: Level = 'error', kinds: tuple[str, ...] = ('dashboard',), *, own: bool = False
) -> Callable[[Check], Check]:
    """Declare a function from a view of an asset to problems as a rule."""

    def declare(check: Check) -> Check:
        RULES.append(Rule(id_, level, kinds, check, own))
        return check

    return declare
