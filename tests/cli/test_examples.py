"""Every example in the help works as it stands there."""

from __future__ import annotations

import gzip
import json
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import sandbox
from metta_checks.cli.examples import EXAMPLES, Example
from metta_checks.cli.exit_codes import EXIT_DIFFERENT
from metta_checks.cli.main import app
from sandbox import Running, Service
from sandbox.__main__ import write_configuration
from tests.as_code.fake_datadog import API_KEY, APP_KEY, FakeDatadog

from .commands import every

ROOT = Path(__file__).resolve().parent.parent.parent
# Small ones; the size does not matter.
SERVICES: dict[str, dict[str, Any]] = {'ec2': {'scale': 0.02}, 'github': {'history': 10}, 'skypilot': {'scale': 0.1}}
# Stands in the examples for a server of the user.
ADDRESS = 'https://sky.example.com'
POINT = {'time': 1767225600, 'name': 'metta.github.prs.open', 'type': 'gauge', 'value': 12, 'tags': ['env:production']}


def test_every_command_has_one_to_three_examples():
    assert [words for words, _ in every()] == list(EXAMPLES)
    assert all(1 <= len(examples) <= 3 for examples in EXAMPLES.values())


@pytest.mark.parametrize('words', EXAMPLES)
def test_the_help_ends_with_the_examples(words):
    answer = CliRunner().invoke(app, [*words.split(), '--help'])
    assert answer.exit_code == 0
    shown = [line.strip() for line in answer.output.splitlines()]
    expected = [line for one in EXAMPLES[words] for line in (f'# {one.effect}', one.line)]
    assert shown[shown.index('Examples:') + 1 :] == expected
    # An example of a group shows one of its commands.
    assert all(one.words.startswith(words) for one in EXAMPLES[words])


@pytest.fixture(scope='module')
def services() -> Iterator[Mapping[str, Service]]:
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(Running(sandbox.service(name, **options))) for name, options in SERVICES.items()
        }


@pytest.fixture
def conf_d(services, tmp_path, monkeypatch) -> Path:
    """A configuration in the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('METTA_CHECKS_CONF', raising=False)
    monkeypatch.setenv('SKY_TOKEN', services['skypilot'].instance()['token'])
    return write_configuration(tmp_path / 'conf.d', {name: service.instance() for name, service in services.items()})


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Iterator[Path]:
    """Assets and their sources, some of them in Datadog, and a recording."""
    monkeypatch.chdir(tmp_path)
    for name in ('assets', 'my-dashboards'):
        shutil.copytree(ROOT / 'assets', name, ignore=shutil.ignore_patterns('configuration'))
    (tmp_path / 'dashboards').symlink_to(ROOT / 'dashboards')
    (tmp_path / 'week.jsonl.gz').write_bytes(gzip.compress(json.dumps(POINT).encode()))
    monkeypatch.delenv('DD_SITE', raising=False)
    datadog = FakeDatadog()
    with Running(datadog):
        for name, value in (('DD_API_KEY', API_KEY), ('DD_APP_KEY', APP_KEY), ('DD_URL', datadog.url)):
            monkeypatch.setenv(name, value)
        push = CliRunner().invoke(app, ['assets', 'push', 'system_health', '--yes'])
        assert push.exit_code == 0, push.output
        yield tmp_path


def examples(*, of_assets: bool) -> list[Any]:
    every = {one.words: one for examples in EXAMPLES.values() for one in examples}.values()
    return [pytest.param(one, id=one.words) for one in every if one.words.startswith('assets ') == of_assets]


@pytest.mark.integration
@pytest.mark.parametrize('example', examples(of_assets=False))
def test_an_example_of_sources_works(example: Example, conf_d: Path, services: Mapping[str, Service]):
    answers = ''
    words = shlex.split(example.words.replace(ADDRESS, services['skypilot'].url))
    if words[0] == 'init':
        shutil.rmtree(conf_d)
        github = services['github']
        answers = '\n'.join([github.url, github.instance()['token'], '1', ''])
    answer = CliRunner().invoke(app, words, input=answers)
    assert answer.exit_code == 0, answer.output


@pytest.mark.integration
@pytest.mark.parametrize('example', examples(of_assets=True))
def test_an_example_of_assets_works(example: Example, checkout: Path):
    answer = CliRunner().invoke(app, shlex.split(example.words))
    # Without a terminal, a command that would ask shows the changes, and says that they are not applied.
    assert answer.exit_code in (0, EXIT_DIFFERENT), answer.output
