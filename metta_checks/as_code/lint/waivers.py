"""Waivers: findings that are accepted, each with its reason, in a committed file.

- rule: DG05
  asset: dashboard/system_health        # key, kind/key or glob
  title: Cycle time                     # the widget's title, or `path:`; neither: the whole asset
  reason: Six small curves side by side are the point of this page.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from .findings import LintFinding

KEYS = ('rule', 'asset', 'path', 'title', 'reason')
REQUIRED = ('rule', 'asset', 'reason')


class WaiverError(Exception):
    """A file of waivers is invalid; one line with the location."""


@dataclass(frozen=True, slots=True)
class Waiver:
    """An accepted kind of finding. Empty `path` and `title` match everywhere in the asset."""

    rule: str
    asset: str
    reason: str
    path: str = ''
    title: str = ''
    # Location of the waiver, for the finding that it is not needed.
    place: str = ''
    file: str = ''

    def covers(self, finding: LintFinding) -> bool:
        """Return whether the waiver accepts a finding."""
        names = (finding.asset, finding.asset.partition('/')[2])
        return (
            self.rule == finding.rule
            and any(fnmatch.fnmatchcase(name, self.asset) for name in names)
            and (not self.title or self.title == finding.title)
            and (
                not self.path
                or finding.path == self.path
                or finding.path.startswith((f'{self.path}.', f'{self.path}['))
            )
        )


def load_waivers(path: Path) -> list[Waiver]:
    """Return the waivers of a file. Raises WaiverError."""
    try:
        entries = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise WaiverError(f'{path}: {" ".join(str(error).split())}') from error
    if entries is None:
        return []
    if not isinstance(entries, list):
        raise WaiverError(f'{path}: expected a list of waivers')
    return [_waiver(entry, f'waivers[{index}]', path) for index, entry in enumerate(entries)]


def _waiver(entry: object, place: str, path: Path) -> Waiver:
    if not isinstance(entry, dict):
        raise WaiverError(f'{path}: {place}: expected an object')
    for key, value in entry.items():
        if key not in KEYS:
            raise WaiverError(f'{path}: {place}.{key}: unknown key; known are {", ".join(KEYS)}')
        if not isinstance(value, str) or not value.strip():
            raise WaiverError(f'{path}: {place}.{key}: expected a string')
    for key in REQUIRED:
        if key not in entry:
            raise WaiverError(f'{path}: {place}.{key}: missing')
    return Waiver(**entry, place=place, file=str(path))


def waive(
    findings: Iterable[LintFinding], waivers: Sequence[Waiver], partial: Collection[str] = ()
) -> list[LintFinding]:
    """Return the findings that no waiver accepts, and a finding for each unused waiver.

    Waivers of the rules `partial`, of which only a part was applied, may be unused.
    """
    found = list(findings)
    kept = [one for one in found if not any(waiver.covers(one) for waiver in waivers)]
    judged = [waiver for waiver in waivers if waiver.rule not in partial]
    unused = [waiver for waiver in judged if not any(waiver.covers(one) for one in found)]
    return kept + [
        LintFinding(
            'error', 'WAIVER', one.asset, one.file, one.place, f'unused waiver: {one.rule} of {one.asset}; remove it'
        )
        for one in unused
    ]
