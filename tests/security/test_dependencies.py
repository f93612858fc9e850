"""Every dependency has a reason, and an exact version where things are installed. `make audit` asks for known holes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.requirements import ENVIRONMENTS

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parent.parent.parent
TEXT = (ROOT / 'pyproject.toml').read_text(encoding='utf-8')
PROJECT = tomllib.loads(TEXT)['project']
BACKEND = tomllib.loads(TEXT)['build-system']['requires']
OWN = canonicalize_name(PROJECT['name'])
ENTRY = re.compile(r'^  "(?P<requirement>[^"]+)",(?P<comment>\s*#\s*\S.*)?$')
PIN = re.compile(r'^([A-Za-z0-9][\w.-]*)(?:\[[\w, -]+\])?==([\w.!+-]+)( *;.*)?$')


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


def hashed(path: Path) -> dict[str, str]:
    """Name and version of every package of a requirements file. Raises AssertionError for one without a hash."""
    found: dict[str, str] = {}
    for entry in re.sub(r'\\\n\s*', ' ', path.read_text(encoding='utf-8')).splitlines():
        if entry and not entry.startswith('#'):
            requirement, *hashes = entry.split(' --hash=')
            match = PIN.match(requirement.strip())
            assert match, f'{path.name}: {requirement!r} is not an exact version'
            assert hashes, f'{path.name}: {requirement} has no hash'
            assert all(re.fullmatch(r'sha256:[0-9a-f]{64}', one.strip()) for one in hashes)
            found[canonicalize_name(match[1])] = match[2]
    return found


@pytest.mark.parametrize(
    ('environment', 'packages'),
    [(environment, packages) for environment, packages in zip(ENVIRONMENTS, (100, 100, 1, 20), strict=True)],
    ids=lambda value: getattr(value, 'name', ''),
)
def test_every_package_of_an_environment_has_hashes(environment, packages):
    assert len(hashed(environment.path)) >= packages


def test_a_package_without_a_hash_is_found(tmp_path):
    path = tmp_path / 'development.txt'
    path.write_text('one==1.0 \\\n    --hash=sha256:' + 64 * '0' + '\ntwo==2.0\n')
    with pytest.raises(AssertionError, match=r'two==2\.0 has no hash'):
        hashed(path)


def test_every_requirements_file_belongs_to_an_environment():
    assert {environment.path for environment in ENVIRONMENTS} == set((ROOT / 'requirements').glob('*.txt'))


def test_every_direct_dependency_is_pinned_for_development():
    [development] = [environment for environment in ENVIRONMENTS if environment.name == 'development']
    known = hashed(development.path)
    # Atheris is for a machine of its own.
    direct = [
        Requirement(text)
        for extra, texts in PROJECT['optional-dependencies'].items()
        if extra != 'fuzz'
        for text in [*texts, *BACKEND]
    ]
    assert {canonicalize_name(requirement.name) for requirement in direct} - {OWN} <= set(known)
    for requirement in direct:
        version = known.get(canonicalize_name(requirement.name))
        assert version is None or requirement.specifier.contains(version, prereleases=True), f'{requirement} {version}'
