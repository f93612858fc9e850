"""The check against the sandbox: right figures, few requests, no count twice, no state lost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from datetime import timedelta

import pytest

from metta_checks.core import catalog
from metta_checks.core.http import Endpoint
from metta_checks.github import queries
from metta_checks.testing import AGENT, Comparison, Driver, Run, as_truth, compare
from sandbox.github.model import DeploymentStatus
from tests.seed_names import GITHUB

from .scripted import OPERATION

pytestmark = pytest.mark.integration

M = 'metta.github.'
ONE = {'repositories': ['metta-ai/metta']}
COUNTS = {M + metric.name for metric in catalog.load('github').metrics if metric.type == 'count'}


@pytest.fixture
def github(serve):
    """Serve a small organization of two repositories, one of them with the default branch master."""
    return serve('github', scale=0.1, runs_in_window=500)


def asked(service) -> Counter:
    """Return the number of requests since the last call, by GraphQL operation or last part of the REST path."""
    result = Counter(
        match[1] if (match := OPERATION.search(entry.body)) else entry.path.rsplit('/', 1)[-1] for entry in service.log
    )
    service.log.clear()
    return result


def gauges(run: Run) -> dict:
    """Return the figures that are sent in every run."""
    return {key: value for key, value in run.figures().items() if key[0] not in COUNTS}


def compared(run: Run, service) -> Comparison:
    """Compare the gauges with the truth."""
    return compare(gauges(run), as_truth(service.truth(service.clock.now())))


def differences(run: Run, service) -> dict:
    """Return every series on which the check and the truth disagree."""
    return compared(run, service).different


def of_metta(series: dict) -> dict:
    """Return the series of the repository that instance ONE reads."""
    return {key: value for key, value in series.items() if 'repo:metta-ai/metta' in key[1]}


def settled(driver, service, refreshes: int = 3):
    """Return the last of several runs, in which all lists of files have been read."""
    run = driver.run()
    for _ in range(refreshes - 1):
        service.pass_time(900)
        run = driver.run()
    return run


# Numbers.


def test_every_series_equals_the_truth(github):
    driver = Driver.of(github)
    run = driver.run()
    assert run.error == ''
    assert run.warnings == []
    assert run.status == 0
    assert {name for name, _ in differences(run, github)} <= {M + 'code.files_changed_7d'}
    for _ in range(6):
        github.pass_time(900)
        run = driver.run()
    assert differences(run, github) == {}


def test_every_seed_name_has_one_series_per_repository(github):
    run = settled(Driver.of(github), github)
    for name in GITHUB:
        # The small repository has no benchmarks.
        assert set(run.series(name)) <= {('org:metta-ai', f'repo:metta-ai/{repo}') for repo in ('metta', 'infra')}, name
        assert run.value(name, 'repo:metta-ai/metta') is not None, name


DELIVERY = {'deployments': True, 'dora': {'source': 'deployments'}, 'runners': True}


def test_every_metric_is_emitted(github):
    driver = Driver.of(github, hotfix_labels=['Hotfix'], issues=True, jobs=True, **DELIVERY)
    seen = set(driver.run().names)
    # The deployment in progress ends.
    ended = github.clock.now() + timedelta(seconds=1)
    github.metta.deployments[0].statuses.append(DeploymentStatus('SUCCESS', ended))
    for _ in range(4):
        github.pass_time(900)
        seen |= driver.run().names
    assert {M + metric.name for metric in catalog.load('github').metrics} - seen == set()


def test_no_tag_names_a_pull_request_a_run_a_commit_or_a_person(github):
    run = settled(Driver.of(github), github)
    keys = {tag.split(':')[0] for name, tags in run.values if name.startswith(M) for tag in tags}
    assert keys <= {
        'org',
        'repo',
        'workflow',
        'conclusion',
        'branch_type',
        'draft',
        'review',
        'size',
        'state',
        'author_type',
    }
    per_repository = Counter(
        tag for name, tags in run.values if name.startswith(M) for tag in tags if tag.startswith('repo:')
    )
    assert max(per_repository.values()) <= 400


def test_counts_add_up_to_what_happened(github):
    driver = Driver.of(github, **ONE)
    first = driver.run()
    assert first.names & COUNTS == {M + 'api.points', M + 'api.shared_points'}
    merged = finished = 0.0
    for _ in range(4):
        github.pass_time(900)
        run = driver.run()
        merged += run.value(M + 'prs.merged') or 0
        finished += sum(run.series(M + 'ci.runs').values())
    # In a quarter of an hour, two pull requests are merged; two runs begin and end, one ends, one is run again.
    assert merged == 8
    assert finished >= 4 * 3


@pytest.mark.parametrize('size', [1, 7, 100])
def test_figures_do_not_depend_on_page_sizes(serve, monkeypatch, size):
    github = serve('github', scale=0.02)
    monkeypatch.setattr(queries, 'PAGES', dict.fromkeys(queries.PAGES, (size,)))
    run = settled(Driver.of(github, **ONE), github, 2)
    wrong = of_metta(differences(run, github))
    assert {name for name, _ in wrong} <= ({M + 'code.files_changed_7d'} if size == 1 else set())


# Cost.


def test_standard_scenario_keeps_its_budget(serve):
    github = serve('github')
    driver = Driver.of(github, **ONE)
    driver.run()
    cold = asked(github)
    assert sum(number for what, number in cold.items() if what[0].isupper()) <= 9
    assert cold['runs'] + cold['activity'] <= 22
    for _ in range(4):
        github.pass_time(900)
        run = driver.run()
        warm = asked(github)
        assert sum(number for what, number in warm.items() if what[0].isupper()) <= 3
        assert warm['runs'] + warm['activity'] <= 3
        assert run.require(M + 'api.points') <= 3
    assert github.connections == 5, 'one per refresh'
    assert run.value(M + 'code.files_changed_7d') is not None
    github.pass_time(60)
    driver.run()
    assert asked(github) == Counter(), 'a run between refreshes sends nothing'


def test_cost_follows_the_window_not_the_history(serve):
    requests = []
    for history in (400, 4_000):
        github = serve('github', scale=0.1, history=history, past_prs=history // 2)
        Driver.of(github, **ONE).run()
        requests.append(asked(github))
    assert requests[0] == requests[1]


def test_runs_are_asked_for_by_range_and_never_past_the_cap(serve):
    github = serve('github', scale=0.02, runs_in_window=1200, burst=1100, capped_totals=True)
    run = Driver.of(github, **ONE).run()
    newest, *ranges = [
        dict(part.split('=') for part in entry.query.split('&'))
        for entry in github.log
        if entry.path.endswith('/actions/runs')
    ]
    # The address of the newest ones has no time in it: it has the same ETag while no run changes.
    assert newest == {'per_page': '100', 'exclude_pull_requests': 'true'}
    assert ranges
    for query in ranges:
        assert '..' in query['created']
        assert int(query['page']) <= 10
    assert run.value(M + 'ci.workflow_runs_7d') == github.truth_of('metta')[M + 'ci.workflow_runs_7d', ()]


def test_order_of_runs_does_not_matter(serve):
    github = serve('github', scale=0.02, runs_in_window=1200)
    github.swapped_runs = True
    run = Driver.of(github, **ONE).run()
    assert run.value(M + 'ci.workflow_runs_7d') == github.truth_of('metta')[M + 'ci.workflow_runs_7d', ()]


def test_a_thousand_runs_within_a_second_give_no_number(serve):
    github = serve('github', scale=0.02, runs_in_window=100, burst_second=1100)
    run = Driver.of(github, **ONE).run()
    assert run.value('metta.collector.truncated', 'block:ci') == 1
    assert run.value(M + 'ci.workflow_runs_7d') is None
    assert run.value(M + 'prs.open') is not None


def test_a_run_that_is_run_again_after_days_is_noticed(serve):
    github = serve('github', scale=0.05, runs_in_window=400)
    driver = Driver.of(github, **ONE)
    driver.run()
    github.rerun(72)
    for _ in range(8):
        github.pass_time(900)
        run = driver.run()
    assert of_metta(differences(run, github)) == {}


# Persistence.


def test_a_restart_is_warm(github):
    settled(Driver.of(github, **ONE), github)
    asked(github)
    github.pass_time(900)
    run = Driver.of(github, **ONE).run()
    warm = asked(github)
    assert sum(warm.values()) <= 6
    assert run.value(M + 'prs.merged') == 2
    assert run.value(M + 'code.files_changed_7d') is not None


def test_lost_state_is_one_cold_refresh(github):
    settled(Driver.of(github, **ONE), github)
    AGENT.reset()
    run = Driver.of(github, **ONE).run()
    assert run.error == ''
    assert run.value(M + 'prs.merged') is None
    assert run.value(M + 'prs.open') == github.truth_of('metta')[M + 'prs.open', ()]


def test_a_wait_survives_a_restart(github):
    driver = Driver.of(github, **ONE)
    driver.run()
    github.exhaust('graphql')
    github.pass_time(900)
    driver.run()
    asked(github)
    github.pass_time(900)
    run = Driver.of(github, **ONE).run()
    assert set(asked(github)) == {'runs', 'activity'}
    assert run.value(M + 'prs.open') is not None, 'the last samples are kept'


def test_state_of_a_thousand_runs_is_small(serve):
    github = serve('github', scale=0.5)
    driver = Driver.of(github, **ONE)
    settled(driver, github)
    assert len(driver.check.snapshot.dump(0)) < 400_000


# Several repositories.


def test_the_one_that_waited_longest_comes_first(github):
    driver = Driver.of(github)
    driver.run()
    first = [entry.path for entry in github.log if entry.path.endswith('/actions/runs')]
    assert len(set(first)) == 2
    waited = driver.check.snapshot.block('metta-ai/infra', 'repository')
    assert waited.refreshed_at is not None
    waited.refreshed_at -= 100
    github.log.clear()
    github.pass_time(900)
    driver.run()
    assert next(entry.path for entry in github.log if entry.path.endswith('/actions/runs')).startswith(
        '/repos/metta-ai/infra/'
    )


def test_an_organization_without_its_archives_and_forks(serve):
    github = serve('github', scale=0.05, more_repositories=3)
    driver = Driver.of(github, repositories=None, organization='metta-ai', exclude=['service-002'])
    run = driver.run()
    repositories = {tag for _, tags in run.values for tag in tags if tag.startswith('repo:')}
    assert repositories == {
        f'repo:metta-ai/{name}' for name in ('metta', 'infra', 'empty', 'service-000', 'service-001')
    }
    assert asked(github)['Repositories'] == 1
    github.pass_time(900)
    driver.run()
    assert 'Repositories' not in asked(github), 'read once an hour'
    github.pass_time(3600)
    driver.run()
    assert asked(github)['Repositories'] == 1


def test_more_repositories_than_allowed_are_reported(serve):
    github = serve('github', scale=0.05, more_repositories=3)
    run = Driver.of(github, repositories=None, organization='metta-ai', max_repositories=2).run()
    assert any('max_repositories' in line for line in run.warnings)
    assert len({tag for _, tags in run.values for tag in tags if tag.startswith('repo:')}) == 2


def test_a_former_name_is_followed(github):
    run = Driver.of(github, repositories=['metta-ai/metta-legacy']).run()
    assert run.error == ''
    assert set(run.series(M + 'ci.workflow_runs_7d')) == {('org:metta-ai', 'repo:metta-ai/metta')}


# Kinds of servers.


def test_an_enterprise_server(serve):
    github = serve('github', scale=0.1, ghes=True)
    driver = Driver.of(github)
    run = settled(driver, github)
    assert run.error == ''
    assert run.warnings == []
    assert differences(run, github) == {}
    assert run.series('metta.collector.rate_limit.remaining') == {}


def test_an_old_server(serve):
    missing = ('Repository.mergeQueue', 'PullRequest.totalCommentsCount', 'Commit.statusCheckRollup')
    github = serve('github', scale=0.1, ghes=True, api_version=False, missing_fields=missing)
    run = settled(Driver.of(github), github)
    assert run.error == ''
    assert run.warnings == []
    absent = ('merge_queue.entries', 'prs.avg_comments_per_pr', 'prs.merged_red_7d')
    assert [name for name in absent if run.series(M + name)] == []
    unequal = {name.removeprefix(M) for name, _ in differences(run, github)}
    assert unequal <= {*absent, 'merge_queue.oldest_minutes', 'merge_queue.eta_minutes'}


def test_an_app(github):
    driver = Driver(github.app_instance(), github.clock)
    run = driver.run()
    assert run.error == ''
    assert run.value(M + 'prs.open', 'repo:metta-ai/metta') is not None
    assert asked(github)['access_tokens'] == 1
    github.pass_time(900)
    driver.run()
    assert 'access_tokens' not in asked(github)
    # The token is renewed five minutes before it expires.
    for _ in range(3):
        github.pass_time(900)
        run = driver.run()
    assert asked(github)['access_tokens'] == 1
    github.app.revoke()
    github.pass_time(900)
    run = driver.run()
    assert run.error == ''
    assert asked(github)['access_tokens'] == 1


def test_our_app_token_has_the_claims_of_pygithubs(github):
    import jwt
    from github import Auth

    from metta_checks.github.auth import AppAuth

    instance = github.app_instance()
    key = instance['app_private_key']
    api = Driver(instance, github.clock).check.api(Endpoint(github.api_url, 'GitHub'))
    ours = AppAuth(api, str(instance['app_id']), '1', key, github.clock.now).app_token()
    theirs = Auth.AppAuth(instance['app_id'], key).create_jwt()
    claims = [jwt.decode(token, options={'verify_signature': False}) for token in (ours, theirs)]
    assert claims[0].keys() == claims[1].keys()
    assert str(claims[0]['iss']) == str(claims[1]['iss'])
    assert claims[0]['exp'] - claims[0]['iat'] <= 600
    assert jwt.get_unverified_header(ours)['alg'] == jwt.get_unverified_header(theirs)['alg'] == 'RS256'


# Configuration.


@pytest.mark.parametrize(
    ('overrides', 'words'),
    [
        ({'token': None}, 'set option `token`'),
        ({'token': None, 'app_id': '1'}, 'or all of `app_id`'),
        ({'app_id': '1'}, 'not both'),
        (
            {'token': None, 'app_id': '1', 'app_installation_id': '2', 'app_private_key': 'no key'},
            'not an RSA private key',
        ),
        ({'repositories': None}, 'set option `repositories`'),
        ({'repositories': []}, 'set option `repositories`'),
        ({'repositories': ['metta']}, "'metta' is not of the form owner/name"),
        ({'repositories': ['https://github.com/a/b']}, 'is not of the form owner/name'),
        ({'hotfix_patterns': ['[']}, 'is not a regular expression'),
        ({'max_requests': 0}, 'max_requests'),
    ],
)
def test_bad_configuration_is_one_clear_line(github, overrides, words):
    run = Driver.of(github, **overrides).run()
    assert words in run.error
    assert '\n' not in run.error
    assert run.status == 2
    assert github.log == []
    if 'app_private_key' in overrides:
        assert 'no key' not in run.error


def test_numbers_of_an_app_need_no_quotes(github):
    instance = github.app_instance()
    for quoted in (str, int):
        options = {key: quoted(instance[key]) for key in ('app_id', 'app_installation_id')}
        assert Driver({**instance, **options}, github.clock).run().error == ''


def test_diagnosis_says_what_is_readable(github):
    github.denied = {'actions'}
    findings = {finding.name: finding for finding in Driver.of(github, **ONE).findings()}
    assert findings['credentials'].status == 'ok'
    assert findings['rate limit graphql'].status == 'ok'
    assert findings['metta-ai/metta contents and pull requests'].status == 'ok'
    assert findings['metta-ai/metta actions'].status == 'fail'
    refused = Driver.of(github, token='wrong').findings()
    assert [finding.status for finding in refused] == ['fail']


def test_without_pyjwt_a_token_still_works():
    code = (
        'import sys; sys.modules["jwt"] = None; sys.modules["github"] = None\n'
        'from datadog_checks.metta_checks import MettaChecks\n'
        'MettaChecks("metta_checks", {}, [{"source": "github", "token": "t", "repositories": ["a/b"]}])\n'
        'print(json.dumps("fine"))'
    )
    done = subprocess.run(
        [sys.executable, '-c', 'import json;' + code], capture_output=True, text=True, check=False, timeout=60
    )
    assert json.loads(done.stdout) == 'fine', done.stderr


def test_a_pull_request_of_many_files_is_read_to_its_end_though_others_are_merged_meanwhile(serve):
    github = serve('github', scale=0.05, largest_pr=450)
    driver = Driver.of(github, **ONE)
    name = f'{M}code.files_changed_7d'
    for _ in range(8):
        run = driver.run()
        if run.value(name) is not None:
            break
        github.pass_time(900)
    [truth] = [
        figure
        for figure in github.truth(github.clock.now())
        if figure.name == name and f'repo:{ONE["repositories"][0]}' in figure.tags
    ]
    assert run.value(name) == truth.value
