"""Every dependency has a reason, and an exact version where things are installed. `make audit` asks for known holes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parent.parent.parent
TEXT = (ROOT / 'pyproject.toml').read_text(encoding='utf-8')
PROJECT = tomllib.loads(TEXT)['project']
OWN = canonicalize_name(PROJECT['name'])
ENTRY = re.compile(r'^  "(?P<requirement>[^"]+)",(?P<comment>\s*#\s*\S.*)?$')
PIN = re.compile(r'^([A-Za-z0-9][\w.-]*)(?:\[[\w,-]+\])?==([\w.!+-]+)( *;.*)?$')


def extras() -> dict[str, list[tuple[str, str]]]:
    """Requirement and comment of every line of the optional dependencies, by extra."""
    found: dict[str, list[tuple[str, str]]] = {}
    extra = ''
    inside = False
    for line in TEXT.splitlines():
        if line.startswith('['):
            inside = line == '[project.optional-dependencies]'
        elif inside and (start := re.match(r'^(\w[\w-]*) = \[', line)):
            extra = start[1]
        elif inside and (entry := ENTRY.match(line)):
            found.setdefault(extra, []).append((entry['requirement'], (entry['comment'] or '').strip()))
    return found


def pins(path: Path) -> dict[str, str]:
    """Name and version of every line of a constraints file. Raises AssertionError for a line that pins nothing."""
    found: dict[str, str] = {}
    for line in path.read_text(encoding='utf-8').splitlines():
        if line and not line.startswith('#'):
            match = PIN.match(line)
            assert match, f'{path.name}: {line!r} is not an exact version'
            found[canonicalize_name(match[1])] = match[2]
    return found


def test_all_lines_are_seen():
    seen = {Requirement(text).name for lines in extras().values() for text, _ in lines}
    assert seen == {Requirement(text).name for texts in PROJECT['optional-dependencies'].values() for text in texts}


@pytest.mark.parametrize(
    ('extra', 'requirement', 'comment'),
    [(extra, *line) for extra, lines in extras().items() for line in lines],
    ids=lambda value: value[:30],
)
def test_a_dependency_has_a_reason(extra, requirement, comment):
    name = canonicalize_name(Requirement(requirement).name)
    # Its own extras, and what the comment of the extra, above it, is about.
    above = re.search(rf'(?:#[^\n]*\n)+{extra} = \[', TEXT)
    assert comment or name in EVIDENT or (above and name in REASON_ABOVE), f'{requirement} in extra {extra}'


# The comment above their extra is their reason: the extra consists of them.
REASON_ABOVE = {'pygithub', 'asana', 'wandb', 'datadog-checks-base', 'jsonschema'}
EVIDENT = {'pytest', OWN}


def test_what_runs_in_the_agent_is_what_the_agent_brings():
    assert [Requirement(text).name for text in PROJECT['dependencies']] == ['datadog-checks-base']


@pytest.mark.parametrize('path', sorted((ROOT / 'constraints').glob('*.txt')), ids=lambda path: path.stem)
def test_constraints_are_exact(path):
    assert len(pins(path)) > 10


def test_every_direct_dependency_is_pinned_for_development():
    known = pins(ROOT / 'constraints' / 'development.txt')
    # `audit` and `fuzz` are for machines of their own.
    wanted = {
        canonicalize_name(Requirement(text).name)
        for extra, texts in PROJECT['optional-dependencies'].items()
        if extra not in ('audit', 'fuzz')
        for text in texts
    }
    assert wanted - {OWN} <= set(known)
    for extra, texts in PROJECT['optional-dependencies'].items():
        for requirement in map(Requirement, texts):
            version = known.get(canonicalize_name(requirement.name))
            if version is not None and extra not in ('audit', 'fuzz'):
                assert requirement.specifier.contains(version, prereleases=True), f'{requirement} but {version}'
