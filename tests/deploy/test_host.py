"""The installer for hosts, run with a stand-in for `datadog-agent` and for systemd."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from metta_checks.check import SOURCES

from .documents import DEPLOY, ROOT, text

SCRIPT = DEPLOY / 'host' / 'install.sh'
STANDIN = Path(__file__).with_name('standin_agent.sh')
SERVICE = 'datadog-metta-checks.conf'
# All that the script may use of a host, besides the Agent and systemd.
TOOLS = ('basename', 'cat', 'cksum', 'cmp', 'cut', 'head', 'install', 'mkdir', 'rm', 'rmdir', 'sed', 'sort')


class Host:
    """A host with an Agent: what was called on it, and what lies on its disk."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bin = root / 'bin'
        self.bin.mkdir()
        for name in TOOLS:
            tool = shutil.which(name)
            assert tool is not None, name
            (self.bin / name).symlink_to(tool)
        shutil.copy(STANDIN, self.bin / 'datadog-agent')
        self.program('systemctl', f'echo "systemctl $*" >> {shlex.quote(str(root))}/calls')
        # Not this machine's users: nobody by default is called dd-agent.
        self.program('id', '[ "$1" = -u ] && echo 1000 || exit 1')
        self.wheel = self.made('0.1.0')
        self.environment: dict[str, str] = {}

    def program(self, name: str, body: str) -> None:
        path = self.bin / name
        path.write_text(f'#!/bin/sh\n{body}\n')
        path.chmod(0o755)

    def made(self, version: str) -> Path:
        path = self.root / f'datadog_metta_checks-{version}-py3-none-any.whl'
        path.write_text(f'wheel {version}')
        return path

    def run(self, *arguments: str | Path, script: Path = SCRIPT, directories: bool = True):
        """Run the installer; returns what it said."""
        environment = {
            'PATH': str(self.bin),
            'STANDIN': str(self.root),
            **self.environment,
        }
        own: list[str | Path] = ['--conf-dir', self.root / 'conf.d', '--unit-dir', self.root / 'unit']
        own += ['--state-dir', self.state]
        return subprocess.run(
            ['/bin/sh', script, *arguments, *(own if directories else [])],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def state(self) -> Path:
        return self.root / 'state'

    @property
    def package(self) -> str:
        """The content of the installed wheel."""
        return (self.root / 'package').read_text()

    @property
    def installed(self) -> str:
        path = self.root / 'installed'
        return path.read_text().strip() if path.exists() else ''

    def calls(self) -> list[str]:
        """Return the changing calls since the last look."""
        path = self.root / 'calls'
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [line for line in lines if not line.endswith(' version') and ' show ' not in line]

    def files(self) -> dict[str, bytes]:
        """Everything on the disk but the record of the calls."""
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in self.root.rglob('*')
            if path.is_file() and path.name != 'calls'
        }


# Each test runs on a host with plain paths and on one whose paths have to be quoted.
@pytest.fixture(params=['plain', 'two words'])
def host(tmp_path, request):
    root = tmp_path / request.param
    root.mkdir()
    return Host(root)


def test_a_first_installation(host):
    done = host.run('--wheel', host.wheel, '--source', 'github', '--source', 'ec2')
    assert (done.returncode, done.stderr) == (0, '')
    assert host.installed == '0.1.0'
    kept = host.state / host.wheel.name
    assert host.calls() == [f'datadog-agent integration install -w {kept}', 'systemctl daemon-reload']
    configured = host.root / 'conf.d' / 'metta_checks.d'
    assert {path.name for path in configured.iterdir() if path.suffix == '.yaml'} == {'github.yaml', 'ec2.yaml'}
    for name in ('github', 'ec2'):
        file = configured / f'{name}.yaml'
        assert file.read_text() == (configured / f'{name}.yaml.example').read_text()
        # A secret may be written into it.
        assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert kept.read_text() == 'wheel 0.1.0'
    # The examples are full of placeholders: the Agent is not restarted before somebody edited them.
    assert 'edit before the Agent reads them:' in done.stdout


def test_a_second_run_changes_nothing(host):
    host.run('--wheel', host.wheel, '--source', 'github')
    edited = host.root / 'conf.d' / 'metta_checks.d' / 'github.yaml'
    edited.write_text('instances: [{source: github, token: mine}]')
    host.calls()
    before = host.files()
    done = host.run('--wheel', host.wheel, '--source', 'github')
    assert (done.returncode, done.stderr) == (0, '')
    assert host.calls() == []
    assert host.files() == before
    assert 'stays as it is' in done.stdout


def test_the_trap_an_upgrade_of_the_agent_removes_the_check(host):
    """The unit's drop-in, as systemd runs it, brings it back from what was kept."""
    host.run('--wheel', host.wheel)
    host.wheel.unlink()
    (host.root / 'installed').unlink()
    host.environment['STANDIN_VERSION'] = '7.82.0'
    host.calls()
    [line] = [
        line for line in (host.root / 'unit' / SERVICE).read_text().splitlines() if line.startswith('ExecStartPre=')
    ]
    # `-`: the Agent starts even if it fails; `+`: with the rights of root.
    command = shlex.split(line.removeprefix('ExecStartPre=-+'))
    assert command == [f'{host.state}/install.sh', '--ensure', '--no-restart', '--state-dir', str(host.state)]
    assert os.access(command[0], os.X_OK)
    done = host.run(*command[1:], script=Path(command[0]), directories=False)
    assert (done.returncode, done.stderr) == (0, '')
    assert host.installed == '0.1.0'
    assert host.calls() == [f'datadog-agent integration install -w {host.state / host.wheel.name}']
    # And when nothing is missing, nothing is done.
    host.run(*command[1:], script=Path(command[0]), directories=False)
    assert host.calls() == []


def test_the_default_directories_need_no_options_in_the_unit(host):
    done = host.run('--wheel', host.wheel, '--dry-run', directories=False)
    assert (done.returncode, done.stderr) == (0, '')
    assert 'would write: /etc/systemd/system/datadog-agent.service.d/datadog-metta-checks.conf' in done.stdout


def test_a_newer_wheel_replaces_the_older_one(host):
    host.run('--wheel', host.wheel)
    newer = host.made('0.2.0')
    host.calls()
    done = host.run('--wheel', newer)
    assert (done.returncode, done.stderr) == (0, '')
    assert host.installed == '0.2.0'
    assert [path.name for path in host.state.glob('*.whl')] == [newer.name]
    assert host.calls()[-1] == 'systemctl restart datadog-agent'


def test_a_wheel_that_was_built_again_replaces_the_installed_one_of_its_version(host):
    host.run('--wheel', host.wheel)
    host.wheel.write_text('wheel 0.1.0, built again')
    host.calls()
    done = host.run('--wheel', host.wheel)
    assert (done.returncode, done.stderr) == (0, '')
    assert host.package == 'wheel 0.1.0, built again'
    assert host.calls() == [
        'datadog-agent integration remove datadog-metta-checks',
        f'datadog-agent integration install -w {host.state / host.wheel.name}',
        'systemctl restart datadog-agent',
    ]
    host.run('--wheel', host.wheel)
    assert host.calls() == []


def test_a_rebuilt_wheel_is_installed_after_a_failure(host):
    host.run('--wheel', host.wheel)
    host.wheel.write_text('wheel 0.1.0, built again')
    host.environment['STANDIN_FAIL'] = 'yes'
    assert host.run('--wheel', host.wheel).returncode == 1
    del host.environment['STANDIN_FAIL']
    assert host.run('--wheel', host.wheel).returncode == 0
    assert host.package == 'wheel 0.1.0, built again'


def test_dry_run_changes_nothing_and_says_everything(host):
    before = host.files()
    done = host.run('--wheel', host.wheel, '--source', 'github', '--dry-run')
    assert (done.returncode, done.stderr) == (0, '')
    assert host.files() == before
    assert host.calls() == []
    for part in ('would run: install -m 644', 'would run: agent integration install -w', 'would make', 'would write'):
        assert part in done.stdout


def test_uninstalling_leaves_the_configuration(host):
    host.run('--wheel', host.wheel, '--source', 'github')
    host.calls()
    done = host.run('--uninstall')
    assert (done.returncode, done.stderr) == (0, '')
    assert host.installed == ''
    assert not host.state.exists()
    assert not (host.root / 'unit' / SERVICE).exists()
    assert (host.root / 'conf.d' / 'metta_checks.d' / 'github.yaml').exists()
    assert host.calls() == [
        'datadog-agent integration remove datadog-metta-checks',
        'systemctl daemon-reload',
        'systemctl restart datadog-agent',
    ]
    assert host.run('--uninstall').returncode == 0
    assert host.calls() == []


def test_uninstalling_with_a_foreign_file_still_restarts_the_agent(host):
    host.run('--wheel', host.wheel)
    (host.state / 'notes.txt').write_text('not ours')
    host.calls()
    done = host.run('--uninstall')
    assert (done.returncode, done.stderr) == (0, '')
    assert f'{host.state} stays: it holds other files' in done.stdout
    assert host.calls()[-1] == 'systemctl restart datadog-agent'
    assert [path.name for path in host.state.iterdir()] == ['notes.txt']


def test_as_root_the_agents_user_does_the_work(host):
    host.program('id', '[ "$1" = -u ] && echo 0 || [ "$1" = dd-agent ]')
    host.program('runuser', f'echo "as $2" >> {shlex.quote(str(host.root))}/calls; shift 3; exec "$@"')
    host.program('chown', f'echo "chown $*" >> {shlex.quote(str(host.root))}/calls')
    assert host.run('--wheel', host.wheel, '--source', 'github').returncode == 0
    calls = host.calls()
    assert calls[calls.index(f'datadog-agent integration install -w {host.state / host.wheel.name}') - 1] == (
        'as dd-agent'
    )
    assert f'chown dd-agent:dd-agent {host.root}/conf.d/metta_checks.d/github.yaml' in calls


def test_without_systemd_it_says_what_to_do(host):
    (host.bin / 'systemctl').unlink()
    done = host.run('--wheel', host.wheel)
    assert done.returncode == 0
    assert f'run "{host.state}/install.sh" --ensure after every upgrade of the Agent' in done.stdout
    assert 'restart the Agent' in done.stdout


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        ([], '--wheel is missing'),
        (['--wheel'], '--wheel needs a value'),
        (['--state-dir', '/opt/100%'], '--state-dir may not contain a quote, a backslash, a dollar or a percent sign'),
        (['--state-dir', '/opt/$HOME'], '--state-dir may not contain a quote, a backslash, a dollar or a percent sign'),
        (['--state-dir', 'kept'], '--state-dir must be an absolute path'),
        (['--wheel', 'no-such.whl'], 'no such file'),
        (['--wheel', 'LICENSE'], 'is not a wheel of datadog-metta-checks'),
        (['--source', 'gitlab'], "there is no source 'gitlab'"),
        (['--everything'], 'unknown option --everything'),
        (['--ensure'], 'no wheel in'),
    ],
)
def test_mistakes_are_told_in_one_line(host, arguments, said):
    (host.root / 'LICENSE').touch()
    arguments = [host.root / argument if argument == 'LICENSE' else argument for argument in arguments]
    own = arguments != ['--wheel'] and '--state-dir' not in arguments
    done = host.run(*arguments, directories=own)
    assert done.returncode == 1
    assert said in done.stderr.splitlines()[-1]
    assert host.calls() == []


def test_an_agent_that_is_too_old(host):
    host.environment['STANDIN_VERSION'] = '7.70.2'
    done = host.run('--wheel', host.wheel)
    assert done.returncode == 1
    assert 'this is Agent 7.70.2; 7.72 is the oldest that the check supports' in done.stderr
    assert host.calls() == []


def test_no_agent(host):
    (host.bin / 'datadog-agent').unlink()
    done = host.run('--wheel', host.wheel)
    assert done.returncode == 1
    assert 'install the Datadog Agent first' in done.stderr


def test_an_installation_that_fails_is_not_passed_over(host):
    host.environment['STANDIN_FAIL'] = 'yes'
    done = host.run('--wheel', host.wheel, '--source', 'github')
    assert done.returncode == 1
    assert 'error when validating the wheel' in done.stderr
    assert not (host.root / 'conf.d').exists()


def test_the_script_knows_all_sources_and_the_oldest_agent():
    assert f'SOURCES="{" ".join(SOURCES)}"' in text('host/install.sh')
    [oldest] = [path.stem.removeprefix('agent-') for path in (ROOT / 'constraints').glob('agent-[0-9]*.txt')]
    assert f'MINIMUM={oldest}\n' in text('host/install.sh')


def test_shellcheck_has_nothing_to_say():
    if not shutil.which('shellcheck'):
        pytest.skip('shellcheck is not installed (Debian package shellcheck)')
    done = subprocess.run(['shellcheck', SCRIPT, STANDIN], capture_output=True, text=True, check=False)
    assert done.stdout == ''
