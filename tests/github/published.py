"""GitHub's published descriptions of its APIs, from npm, kept outside of the project.

`METTA_CHECKS_CACHE` names the directory (default: ~/.cache/metta-checks). No published file is part of the project.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

GRAPHQL_PACKAGE = '@octokit/graphql-schema@15.26.1'
OPENAPI_PACKAGE = '@octokit/openapi@23.0.2'
SECONDS = 180


def cache() -> Path:
    """Return the directory of the fetched files."""
    return Path(os.environ.get('METTA_CHECKS_CACHE') or Path.home() / '.cache' / 'metta-checks')


def published(package: str, member: str) -> Path:
    """Return a file of an npm package, fetched once. Without npm or network, skips the test with the reason."""
    place = cache() / package.lstrip('@').replace('/', '-')
    path = place / Path(member).name
    if path.exists():
        return path
    npm = shutil.which('npm')
    if npm is None:
        pytest.skip(f'npm is not installed: {package} cannot be fetched to compare with')
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        pytest.skip(f'no place to keep {package} ({error}); set METTA_CHECKS_CACHE')
    with (place / 'lock').open('w') as lock:
        # Tests may run in several processes.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            _fetch(npm, package, member, place)
    return path


def _fetch(npm: str, package: str, member: str, place: Path) -> None:
    archive = next(place.glob('*.tgz'), None)
    if archive is None:
        try:
            packed = subprocess.run(
                [npm, 'pack', package, '--loglevel=error', '--fetch-retries=0', '--pack-destination', str(place)],
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f'npm pack {package} gave no answer within {SECONDS} s: no network to compare with GitHub')
        if packed.returncode:
            reason = '; '.join(line.removeprefix('npm error ') for line in packed.stderr.strip().splitlines()[:2])
            pytest.skip(f'npm pack {package} failed, so there is nothing to compare with: {reason}')
        archive = place / packed.stdout.strip().splitlines()[-1]
    partial = place / 'partial'
    with tarfile.open(archive) as tar:
        content = tar.extractfile(f'package/{member}')
        assert content is not None, f'{member} of {package} is not a file'
        partial.write_bytes(content.read())
    partial.rename(place / Path(member).name)


def graphql_sdl() -> str:
    """Return GitHub's public GraphQL schema."""
    return published(GRAPHQL_PACKAGE, 'schema.graphql').read_text(encoding='utf-8')


def openapi(name: str) -> dict[str, Any]:
    """Return GitHub's description of its REST API: `api.github.com` or `ghes-3.17`."""
    return json.loads(published(OPENAPI_PACKAGE, f'generated/{name}.json').read_text(encoding='utf-8'))
