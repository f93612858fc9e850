"""Building from Jsonnet: what is written, what is refused, and in which words."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from metta_checks.as_code import build
from metta_checks.as_code.asset import AssetError
from metta_checks.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / 'dashboards'
DASHBOARD = "{ title: 'Metta one', layout_type: 'ordered', widgets: [] }"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / 'dashboards'
    folder.mkdir()
    (folder / 'one.jsonnet').write_text(DASHBOARD)
    (folder / 'monitors.jsonnet').write_text("function(env='') { m: { title: env, definition: {} } }")
    return folder


def run(*arguments: str | Path):
    return CliRunner().invoke(app, ['assets', 'build', *map(str, arguments)])


@pytest.fixture(scope='module')
def built() -> build.Built:
    """Build the shipped sources for production."""
    return build.build(SOURCE)


def test_the_committed_files_are_what_is_built(built):
    assert built.failures == ()
    assert build.drift(built, ROOT / 'assets') == []
    counts = {kind: sum(asset.kind == kind for asset in built.assets) for kind in ('dashboard', 'monitor', 'slo')}
    assert counts == {'dashboard': 12, 'monitor': 9, 'slo': 4}


def test_building_twice_gives_the_same(built):
    assert build.build(SOURCE) == built


def test_the_manifest_lists_every_dashboard_and_monitor(built):
    listed = json.loads((ROOT / 'manifest.json').read_text())['assets']
    assert {key: listed[key] for key in ('dashboards', 'monitors')} == build.manifest_assets(built.assets)


def test_written_compared_and_tidied(source, tmp_path):
    out = tmp_path / 'assets'
    result = run('--source', source, '--out', out)
    assert result.exit_code == 0, result.output
    assert (out / 'dashboards' / 'one.json').read_text() == json.dumps(
        {'layout_type': 'ordered', 'title': 'Metta one', 'widgets': []}, indent=2
    ) + '\n'
    assert run('--source', source, '--out', out, '--check').exit_code == 0
    (out / 'dashboards' / 'one.json').write_text('{}')
    (out / 'dashboards' / 'old.json').write_text('{}')
    (out / 'monitors' / 'm.json').unlink()
    result = run('--source', source, '--out', out, '--check', '--json')
    assert result.exit_code == 3
    found = {Path(one['file']).name: one['state'] for one in json.loads(result.stdout)['results']}
    assert found == {'one.json': 'differs', 'm.json': 'missing', 'old.json': 'left over'}
    assert (out / 'dashboards' / 'one.json').read_text() == '{}', '--check writes nothing'
    assert run('--source', source, '--out', out).exit_code == 0
    assert not (out / 'dashboards' / 'old.json').exists()


def test_a_file_that_fails_is_named_with_its_place_and_the_others_are_built(source, tmp_path):
    (source / 'broken.jsonnet').write_text('local m = { a: 1 };\n{ title: m.b }')
    out = tmp_path / 'assets'
    (out / 'dashboards').mkdir(parents=True)
    (out / 'dashboards' / 'broken.json').write_text('{}')
    result = run('--source', source, '--out', out)
    assert result.exit_code == 1
    assert 'broken.jsonnet' in result.output
    assert 'Field does not exist: b' in result.output
    assert 'broken.jsonnet:2:10-13' in result.output
    assert (out / 'dashboards' / 'one.json').exists()
    assert (out / 'dashboards' / 'broken.json').exists(), 'what failed is not removed'


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('[1]', 'returns list, expected an object'),
        ("error 'no such thing'", 'no such thing'),
        ("import 'missing.libsonnet'", "couldn't open import"),
        ('{', 'end of file while parsing field definition (at one.jsonnet:1:2)'),
    ],
)
def test_reasons(source, text, reason):
    (source / 'one.jsonnet').write_text(text)
    (failure,) = build.build(source).failures
    assert failure.path.name == 'one.jsonnet'
    assert reason in failure.reason
    assert '\n' not in failure.reason


def test_a_directory_without_sources(tmp_path):
    with pytest.raises(AssetError, match=r'no \*\.jsonnet file'):
        build.build(tmp_path)
    assert run('--source', tmp_path).exit_code == 2
    assert run('--env', 'moon').exit_code == 2


def test_rows_that_do_not_fill_the_width_are_refused(source):
    shutil.copytree(SOURCE / 'lib', source / 'lib')
    (source / 'one.jsonnet').write_text(
        "local g = import 'lib/grid.libsonnet';\n"
        "{ widgets: g.groups([g.group('Numbers', 'blue', [g.row(2, [[5, {}], [6, {}]])])]) }"
    )
    (failure,) = build.build(source).failures
    assert 'group "Numbers", row 1: 11 of 12 columns are filled' in failure.reason


def test_five_widgets_in_a_row_give_no_fractions(source):
    shutil.copytree(SOURCE / 'lib', source / 'lib')
    (source / 'one.jsonnet').write_text(
        "local g = import 'lib/grid.libsonnet';\n"
        "{ widgets: g.groups([g.group('Five', 'blue', [g.even(2, [{}, {}, {}, {}, {}])])]) }"
    )
    (failure,) = build.build(source).failures
    assert '5 widgets do not share 12 columns evenly' in failure.reason


def test_a_misspelt_metric_fails_the_build(source):
    shutil.copytree(SOURCE / 'lib', source / 'lib')
    (source / 'one.jsonnet').write_text("(import 'lib/catalog.libsonnet').github.prs.opne")
    (failure,) = build.build(source).failures
    assert 'Field does not exist: opne' in failure.reason


def test_staging_has_its_own_thresholds_and_filter(built):
    production, staging = ({a.name: a for a in one.assets} for one in (built, build.build(SOURCE, 'staging')))
    for asset in staging.values():
        if asset.kind == 'monitor':
            assert asset.body['priority'] == 5
            assert 'env:staging' in asset.body['query']
        if asset.kind == 'slo':
            assert 'env:staging' in json.dumps(asset.body)
            assert 'env:production' not in json.dumps(asset.body)
        assert asset.kind != 'dashboard', 'dashboards are the same everywhere'
    for key in ('stale_prs_high', 'pr_cycle_time_high', 'hotfix_revert_spike'):
        critical = [one[f'monitor/{key}'].body['options']['thresholds']['critical'] for one in (production, staging)]
        assert critical[1] == 2 * critical[0]
    assert '> 100' in staging['monitor/stale_prs_high'].body['query']
    assert staging['monitor/stale_prs_high'].title == 'Stale PR count is above 100'


@pytest.mark.parametrize('address', ['https://docs.example.org/metta', 'https://docs.example.org/metta/'])
def test_dashboards_link_to_the_documentation_at_the_address_of_the_build(address):
    (page,) = [one for one in build.build(SOURCE, docs=address).assets if one.key == 'ec2_cost']
    assert '(https://docs.example.org/metta/sources/ec2)' in json.dumps(page.document)
