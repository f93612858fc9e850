"""Recipients of monitors: by option and file, and those that people added in Datadog, which survive a push."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from metta_checks.as_code import apply
from metta_checks.as_code.asset import Asset, AssetError, load
from metta_checks.as_code.build import build
from metta_checks.as_code.marker import find
from metta_checks.as_code.message import HANDLE, text_of
from metta_checks.as_code.plan import SAME, UPDATE, make
from metta_checks.as_code.recipients import parse, told
from metta_checks.as_code.remote import Datadog
from metta_checks.cli.assets import app

from .documents import monitor, write
from .fake_datadog import API_KEY, APP_KEY, FakeDatadog

ROOT = Path(__file__).parents[2]


def asset(**more) -> Asset:
    return Asset('monitor', 'stale_prs_high', monitor(**more))


def push(remote: Datadog, *assets: Asset) -> list[apply.Result]:
    return list(apply.push(remote, make(remote, assets, assets)))


def edit(datadog: FakeDatadog, message: str) -> None:
    """Change the message in the browser."""
    (stored,) = datadog.monitors.values()
    stored['message'] = message


def stored_message(datadog: FakeDatadog) -> str:
    (stored,) = datadog.monitors.values()
    return str(stored['message'])


@pytest.mark.parametrize(
    ('text', 'handles'),
    [
        ('Tell @slack-ops, @team-web. And (@me@example.com)!', ['@slack-ops', '@team-web', '@me@example.com']),
        (
            '@slack-{{owner.name}} @workflow-Restart-it @webhook-a/b',
            ['@slack-{{owner.name}}', '@workflow-Restart-it', '@webhook-a/b'],
        ),
        ('{{#is_alert}}@pagerduty-Web{{/is_alert}}', ['@pagerduty-Web']),
        ('Write to me@example.com, or use logs("@http.status:500").', ['@http.status']),
        ('nobody @ all', []),
    ],
)
def test_recipients_in_a_text(text, handles):
    assert HANDLE.findall(text) == handles


def test_options_name_recipients_by_priority():
    found = parse(['@slack-ops', '2=@pagerduty-web', '2=@team-web'])
    message = told(asset(priority=2), found).body['message']
    assert message.endswith('\n\nNotifies: @slack-ops @pagerduty-web @team-web')
    assert told(asset(priority=3), found).body['message'].endswith('\n\nNotifies: @slack-ops')
    assert told(asset(priority=None), parse(['2=@a-b'])) == asset(priority=None)
    # One that the message names already is not repeated.
    assert told(asset(message='Ask @slack-ops.'), parse(['@slack-ops'])) == asset(message='Ask @slack-ops.')


@pytest.mark.parametrize('option', ['slack-ops', '6=@slack-ops', 'high=@slack-ops', '2=', '@a b'])
def test_an_option_that_names_nobody(option):
    with pytest.raises(AssetError, match='--notify'):
        parse([option])


@pytest.mark.integration
@pytest.mark.parametrize(
    ('message', 'kept'),
    [
        # Datadog appends the recipient that is chosen in the browser to the last line, which is the marker.
        ('{own}\n\n{marker} @slack-people', '@slack-people'),
        ('{own} @slack-people\n\n{marker}', '@slack-people'),
        ('{own}\n\n{marker}\n@slack-people\n@team-web', '@slack-people @team-web'),
        (
            '{own}\n\n{{{{#is_alert}}}}@pagerduty-web{{{{/is_alert}}}}\n\n{marker}',
            '{{#is_alert}}@pagerduty-web{{/is_alert}}',
        ),
        (
            '{{{{#is_match "repo.name" "web"}}}}@slack-web{{{{/is_match}}}}\n{own}\n{marker}',
            '{{#is_match "repo.name" "web"}}@slack-web{{/is_match}}',
        ),
    ],
)
def test_people_who_were_added_in_datadog_stay(message, kept, remote, datadog):
    push(remote, asset())
    own, marker = stored_message(datadog).rsplit('\n\n', 1)
    edit(datadog, message.format(own=own, marker=marker))
    # As long as nothing else differs there is nothing to do, wherever they stand.
    (step,) = make(remote, [asset()], [asset()]).steps
    assert step.action == SAME
    changed = asset(priority=1)
    (step,) = make(remote, [changed], [changed]).steps
    assert step.action == UPDATE
    assert [change.path for change in step.changes] == ['priority']
    assert step.notes[0].startswith('keeps recipients that were added in Datadog: @')
    (result,) = push(remote, changed)
    assert (result.error, result.unlike) == ('', ())
    assert stored_message(datadog) == f'{own}\n\n{kept}\n\n{marker}'
    assert make(remote, [changed], [changed]).steps[0].action == SAME


@pytest.mark.integration
def test_a_recipient_inside_a_text_keeps_its_state(remote, datadog):
    push(remote, asset())
    edit(datadog, stored_message(datadog).replace('{{/is_alert}}', ' @pagerduty-web{{/is_alert}}'))
    push(remote, asset(priority=1))
    assert '{{#is_alert}}@pagerduty-web{{/is_alert}}' in stored_message(datadog)


@pytest.mark.integration
def test_recipients_of_the_files_go_with_them(remote, datadog):
    first = told(asset(), parse(['@slack-ops', '@slack-old']))
    push(remote, first)
    edit(datadog, stored_message(datadog) + ' @slack-people')
    second = told(asset(), parse(['@slack-ops']))
    (step,) = make(remote, [second], [second]).steps
    (change,) = step.changes
    assert '@slack-old' in change.old
    assert '@slack-old' not in change.new
    push(remote, second)
    assert set(HANDLE.findall(stored_message(datadog))) == {'@slack-ops', '@slack-people'}
    assert find(stored_message(datadog)) is not None


@pytest.mark.integration
def test_the_option_of_the_commands(datadog, tmp_path):
    folder = write(tmp_path, [asset(priority=2)])
    env = {'DD_API_KEY': API_KEY, 'DD_APP_KEY': APP_KEY, 'DD_URL': datadog.url}

    def run(*arguments: str):
        return CliRunner().invoke(app, [*arguments, '--assets', str(folder)], env=env)

    result = run('push', '--yes', '--notify', '2=@pagerduty-web', '--notify', '3=@nobody')
    assert result.exit_code == 0, result.output
    assert 'Notifies: @pagerduty-web\n\nmanaged by' in stored_message(datadog)
    assert run('plan', '--notify', '2=@pagerduty-web').exit_code == 0
    lost = run('plan')
    assert lost.exit_code == 3
    assert '@pagerduty-web' in lost.output
    assert run('plan', '--notify', 'ops').exit_code == 2


# The shipped monitors.


def sources(tmp_path: Path, thresholds: str) -> Path:
    """The sources with other thresholds."""
    folder = tmp_path / 'dashboards'
    (folder / 'lib').mkdir(parents=True)
    for path in (ROOT / 'dashboards' / 'lib').glob('*.libsonnet'):
        (folder / 'lib' / path.name).write_text(path.read_text())
    (folder / 'monitors.jsonnet').write_text((ROOT / 'dashboards' / 'monitors.jsonnet').read_text())
    (folder / 'lib' / 'thresholds.libsonnet').write_text(thresholds)
    return folder


@pytest.fixture
def named(tmp_path) -> Path:
    text = (ROOT / 'dashboards' / 'lib' / 'thresholds.libsonnet').read_text()
    text = text.replace("'2': []", "'2': ['@pagerduty-web', '@slack-ops']").replace(
        "'5': []", "'5': ['@slack-staging']"
    )
    return sources(tmp_path, text.replace("team: 'devops'", "team: 'ml'"))


def messages(folder: Path, env: str = '') -> dict[str, str]:
    built = build(folder, env)
    assert built.failures == ()
    return {one.key: one.body['message'] for one in built.assets if one.kind == 'monitor'}


def test_recipients_of_the_thresholds_by_environment(named):
    assert messages(named, 'production')['ci_failing_on_main'].endswith('\n\nNotifies: @pagerduty-web @slack-ops')
    assert 'Notifies' not in messages(named, 'production')['stale_prs_high']
    assert all(message.endswith('\n\nNotifies: @slack-staging') for message in messages(named, 'staging').values())
    both = messages(named)['ci_failing_on_main']
    assert both.endswith(
        'Notifies: {{#is_exact_match "env.name" "production"}}@pagerduty-web @slack-ops{{/is_exact_match}} '
        '{{#is_exact_match "env.name" "staging"}}@slack-staging{{/is_exact_match}}'
    )
    tags = {one.key: one.body['tags'] for one in build(named, 'staging').assets}
    assert set(map(tuple, tags.values())) == {('integration:metta-checks', 'team:ml', 'env:staging')}


def test_the_shipped_monitors_name_nobody():
    # A recipient that an organization does not have is a notification that nobody gets.
    shipped = [one for one in load(ROOT / 'assets') if one.kind == 'monitor']
    assert not any(HANDLE.search(one.body['message']) for one in shipped)
    assert all('team:devops' in one.body['tags'] for one in shipped)


@pytest.mark.parametrize(
    'one', [one for one in load(ROOT / 'assets') if one.kind == 'monitor'], ids=lambda one: one.key
)
def test_the_advice_of_a_message_works_as_it_is_typed(one, tmp_path):
    """The commands of a message, with the variables filled in, are accepted by the command line."""
    from metta_checks.cli.main import app as command

    commands = re.findall(r'`([^`]+)`', one.body['message'])
    found = [command.removeprefix('metta-checks ') for command in commands if command.startswith('metta-checks ')]
    assert found
    # Commands of the Agent and of the cluster are those of the documentation, which its tests look at.
    pages = ''.join(
        (ROOT / 'docs' / f'{page}.md').read_text(encoding='utf-8') for page in ('troubleshooting', 'deployment')
    )
    assert all(f'{command}\n' in pages for command in commands if not command.startswith('metta-checks '))
    for words in {re.sub(r'\{\{[^}]*\}\}', 'github', text) for text in found}:
        arguments = [str(tmp_path) if word == 'conf.d' else word for word in words.split()]
        result = CliRunner().invoke(command, arguments)
        # The folder is empty: the command line is right, and says so.
        assert 'Usage' not in result.output
        assert str(tmp_path) in result.output.replace('\n', '')


@pytest.mark.parametrize(
    ('message', 'texts'),
    [
        ('plain', ('plain', 'plain', 'plain', 'plain')),
        ('{{#is_alert}}a{{/is_alert}}{{^is_alert}}b{{/is_alert}}', ('a', 'b', 'b', 'b')),
        ('{{#is_no_data}}n {{#is_match "repo.name" "x"}}x{{/is_match}}{{/is_no_data}}', ('', '', 'n x', '')),
        # A part of the recoveries is not all of them.
        ('{{#is_alert_recovery}}r{{/is_alert_recovery}}{{^is_renotify}}t{{/is_renotify}}', ('t', 't', 't', 't')),
        ('{{#is_warning}}@slack-ops{{/is_warning}}\n\nNotifies: @team-web', ('', '', '', '')),
    ],
)
def test_the_text_of_each_state(message, texts):
    assert tuple(text_of(message, state) for state in ('alert', 'warning', 'no data', 'recovery')) == texts
