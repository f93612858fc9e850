"""The script that pins image and chart by digest, run with stand-ins for `docker` and `helm`."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from .documents import DEPLOY, text, versions

DIGEST = f'sha256:{"a" * 64}'
CHART = b'the archive of a chart'
CHART_DIGEST = f'sha256:{hashlib.sha256(CHART).hexdigest()}'


class Workplace:
    """A copy of the script with its versions, and the programs that it calls."""

    def __init__(self, root: Path) -> None:
        self.root = root
        shutil.copy(DEPLOY / 'pin.sh', root)
        shutil.copy(DEPLOY / 'versions.env', root)
        self.bin = root / 'bin'
        self.bin.mkdir()
        self.program('docker', f'echo {DIGEST}')
        archive = root / 'archive'
        archive.write_bytes(CHART)
        # helm pull datadog --repo URL --version VERSION --destination DIRECTORY
        self.program('helm', f'[ "$1 $2 $3 $5" = "pull datadog --repo --version" ]; cp {archive} "$8/datadog-$6.tgz"')

    def program(self, name: str, body: str) -> None:
        path = self.bin / name
        path.write_text(f'#!/bin/sh\nset -eu\n{body}\n')
        path.chmod(0o755)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the script from another directory."""
        environment = {'PATH': f'{self.bin}{os.pathsep}{os.environ["PATH"]}'}
        command = ['/bin/sh', str(self.root / 'pin.sh'), *arguments]
        return subprocess.run(command, cwd='/', env=environment, capture_output=True, text=True, check=False)

    @property
    def pinned(self) -> dict[str, str]:
        """The digests in the copy of versions.env."""
        return dict(re.findall(r'^(\w+_DIGEST)=(.*)$', (self.root / 'versions.env').read_text(), re.MULTILINE))


@pytest.fixture
def workplace(tmp_path):
    return Workplace(tmp_path)


def test_both_digests_are_looked_up_and_written(workplace):
    done = workplace.run()
    assert (done.returncode, done.stderr) == (0, '')
    assert workplace.pinned == {'AGENT_DIGEST': DIGEST, 'CHART_DIGEST': CHART_DIGEST}
    lines = (workplace.root / 'versions.env').read_text().splitlines()
    assert [line for line in lines if '_DIGEST=' not in line] == [
        line for line in text('versions.env').splitlines() if '_DIGEST=' not in line
    ]


def test_what_is_pinned_is_handed_out(workplace):
    workplace.run()
    assert workplace.run('--image').stdout == f'{DIGEST}\n'
    done = workplace.run('--chart', str(workplace.root / 'build'))
    archive = workplace.root / 'build' / f'datadog-{versions()["CHART_VERSION"]}.tgz'
    assert (done.returncode, done.stdout) == (0, f'{archive}\n')
    assert archive.read_bytes() == CHART


def test_another_chart_under_the_same_version_is_refused(workplace):
    workplace.run()
    (workplace.root / 'archive').write_bytes(b'another archive')
    done = workplace.run('--chart', str(workplace.root / 'build'))
    assert done.returncode == 1
    assert f'pinned is {CHART_DIGEST}' in done.stderr
    assert list((workplace.root / 'build').iterdir()) == []


@pytest.mark.parametrize('arguments', [['--image'], ['--chart', 'build']])
@pytest.mark.parametrize('pinned', ['', 'sha256:', 'sha256:abc', f'md5:{"a" * 64}', f'sha256:{"g" * 64}'])
def test_nothing_is_handed_out_unpinned(workplace, arguments, pinned):
    path = workplace.root / 'versions.env'
    path.write_text(re.sub(r'_DIGEST=.*', f'_DIGEST={pinned}', path.read_text()))
    done = workplace.run(*arguments)
    assert (done.returncode, done.stdout) == (1, '')
    assert 'is not a digest; run deploy/pin.sh and commit the file' in done.stderr


def test_an_answer_without_a_digest_changes_nothing(workplace):
    workplace.program('docker', 'echo "ERROR: not found"')
    before = workplace.pinned
    done = workplace.run()
    assert done.returncode == 1
    assert 'docker names no digest' in done.stderr
    assert workplace.pinned == before


def test_the_committed_digests_are_digests_or_missing():
    for name in ('AGENT_DIGEST', 'CHART_DIGEST'):
        assert re.search(rf'^{name}=(sha256:[0-9a-f]{{64}})?$', text('versions.env'), re.MULTILINE)
