"""The versions are pinned in one file; every other mention agrees."""

from __future__ import annotations

import re

import pytest

from datadog_checks.metta_checks import __version__

from .documents import DEPLOY, ROOT, text, versions

MENTIONS = (ROOT / 'docs' / 'deployment.md', ROOT / 'docs' / 'secrets.md', *sorted(DEPLOY.rglob('*')))
# Where another Agent than the pinned one is meant: the oldest, and what some of them brought.
OTHER_AGENTS = {'7.69', '7.72', '7.75'}


def mentions():
    for path in MENTIONS:
        if path.is_file() and path.suffix != '.pyc' and path.name != 'chart-keys.txt':
            yield path, path.read_text(encoding='utf-8')


def test_two_versions_are_pinned():
    assert set(versions()) == {'AGENT_VERSION', 'CHART_VERSION'}
    assert all(re.fullmatch(r'\d+\.\d+\.\d+', version) for version in versions().values())


def test_every_mention_of_the_agents_version_is_the_pinned_one():
    found = [
        (path.name, version)
        for path, content in mentions()
        for version in re.findall(r'(?<![\d.])7\.\d{2}(?:\.\d+)?(?![\d.]*\d)', content)
        if version not in OTHER_AGENTS
    ]
    assert len(found) >= 4
    assert {version for _, version in found} == {versions()['AGENT_VERSION']}


def test_every_mention_of_the_chart_is_the_pinned_one():
    found = {
        version: path.name
        for path, content in mentions()
        for version in re.findall(r'(?<![\d.])3\.\d{3}\.\d+', content)
    }
    # The page tells which chart the list of keys was read from.
    assert set(found) == {versions()['CHART_VERSION'], keys_version()}
    assert found[keys_version()] == 'deployment.md'


def test_an_image_is_named_after_the_agent_and_the_check():
    wanted = f'{versions()["AGENT_VERSION"]}-{__version__}'
    found = {
        tag for _, content in mentions() for tag in re.findall(r'datadog-agent-metta(?::|\n\s+tag: )([\w.-]+)', content)
    }
    assert found == {wanted}


def test_the_list_of_keys_says_which_chart_it_is_from():
    """It may be older than the pinned chart: the workflow compares the values with the pinned chart itself."""
    listed, pinned = ([int(part) for part in one.split('.')] for one in (keys_version(), versions()['CHART_VERSION']))
    assert listed[0] == pinned[0]
    assert listed <= pinned


def keys_version() -> str:
    [version] = re.findall(r'^# chart (\d+\.\d+\.\d+)$', text('helm/chart-keys.txt'), re.MULTILINE)
    return version


@pytest.mark.parametrize('name', ['AGENT_VERSION', 'CHART_VERSION'])
def test_the_file_can_be_sourced_by_a_shell(name):
    assert re.search(rf'^{name}=[\d.]+$', text('versions.env'), re.MULTILINE)
