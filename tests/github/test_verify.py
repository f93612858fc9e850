"""PyGithub's figures compared with the truth and with the check's."""

from __future__ import annotations

import pytest
from github import BadCredentialsException, GithubException, RateLimitExceededException

from metta_checks import verify
from metta_checks.core import catalog
from metta_checks.testing import Driver, as_truth, compare
from metta_checks.verify.coverage import coverage
from sandbox.every_option import EVERY_OPTION
from tests.seed_names import GITHUB

pytestmark = pytest.mark.integration

SMALL = {'scale': 0.05, 'prs': 40, 'commits': 60, 'past_prs': 20}


def recompute(service, **overrides):
    return verify.recompute('github', {**service.instance(), **overrides}, service.clock.now())


def wrong(recomputed, service) -> dict:
    """Return the recomputed figures that differ from the truth; not every figure is recomputed."""
    comparison = compare(as_truth(recomputed.figures), as_truth(service.truth(service.clock.now())))
    return {key: one for key, one in comparison.different.items() if one.ours is not None}


def test_it_agrees_with_the_truth_and_counts_its_requests(serve):
    service = serve('github', **SMALL)
    recomputed = recompute(service)
    assert wrong(recomputed, service) == {}
    assert recomputed.requests == len(service.log)
    for repository in ('metta', 'infra'):
        tags = ('org:metta-ai', f'repo:metta-ai/{repository}')
        assert set(GITHUB) <= {figure.name for figure in recomputed.figures if figure.tags == tags}


def test_it_agrees_with_the_check(serve):
    service = serve('github', **SMALL)
    driver = Driver.of(service)
    run = driver.run()
    # Lists of files are read over several refreshes.
    for _ in range(3):
        service.pass_time(900)
        run = driver.run()
    assert run.warnings == []
    ours = [verify.Figure(name, value, tags) for (name, tags), value in run.values.items()]
    compared = list(verify.compare(ours, recompute(service).figures))
    assert len(compared) > 2 * len(GITHUB)
    assert [one for one in compared if not one.agrees] == []


def test_options_change_its_figures_like_those_of_the_check(serve):
    service = serve('github', **SMALL, required_workflows=[])
    options = {
        'hotfix_patterns': [r'^tune\b'],
        'workflow_timeouts': {'*': 3},
        'benchmark_workflows': ['docs'],
        'bots': [service.people.developers[0].login],
    }
    # From the checks of the newest commits, because no workflow is required.
    assert service.metta.commits[3].rollup == 'SUCCESS'
    plain = as_truth(recompute(service).figures)
    changed = as_truth(recompute(service, **options).figures)
    tags = ('org:metta-ai', 'repo:metta-ai/metta')
    for name in ('commits.hotfix', 'ci.timeout_cancellations_7d', 'developers.active_7d'):
        assert plain[f'metta.github.{name}', tags] != changed[f'metta.github.{name}', tags], name
    assert plain['metta.github.ci.tests_passing_on_main', tags] == 1
    assert changed['metta.github.ci.benchmarks_passing', tags] == 0
    run = Driver.of(service, **options).run()
    names = {name for name, _ in changed} - {'metta.github.code.files_changed_7d'}
    assert not [key for key, one in compare(run.figures(), changed, names).different.items() if one.truth is not None]


SOURCES_OF_DELIVERIES = (
    {'source': 'deployments', 'environments': ['*']},
    {'source': 'workflow', 'workflows': ['release', 'build*']},
    {'source': 'release'},
)


@pytest.mark.parametrize('dora', SOURCES_OF_DELIVERIES, ids=lambda dora: dora['source'])
def test_deliveries_of_every_source_agree_with_the_truth(serve, dora):
    service = serve('github', **SMALL)
    found = as_truth(recompute(service, dora=dora).figures)
    expected = as_truth(service.optional_truth(service.clock.now(), dora=dora))
    assert {name for name, _ in expected} >= {'metta.github.dora.lead_time_hours.p50'}
    names = {name for name, _ in found if '.dora.' in name}
    assert compare(found, expected, names).lines == []


def test_every_option_agrees_with_the_check_and_the_truth(serve):
    options = EVERY_OPTION['github']
    service = serve('github', scale=0.1)
    driver = Driver.of(service, **options)
    # Lists are read over several refreshes.
    for _ in range(8):
        run = driver.run()
        service.clock.advance(900)
    run = driver.run()
    recomputed = recompute(service, **options)
    ours = [verify.Figure(name, value, tags) for (name, tags), value in run.values.items()]
    assert [one for one in verify.compare(ours, recomputed.figures) if not one.agrees] == []
    expected = as_truth(service.optional_truth(service.clock.now(), **options))
    assert compare(as_truth(recomputed.figures), expected, {name for name, _ in expected}).lines == []
    github = catalog.load('github')
    covered = coverage(github, run.names, recomputed, verify.left_out('github'))
    assert covered.percent >= 94, covered.left_out
    assert 'metta.github.merge_queue.entries' in covered.without_series
    assert recomputed.without_series.isdisjoint(run.names)


def test_benchmarks_that_ran_before_the_week_agree_with_the_check(serve):
    service = serve('github', **SMALL)
    # With the default events, the nightly runs decide; without them, the last run for a push.
    options = {'benchmark_workflows': ['*benchmark*', 'tests'], 'required_events': ['push']}
    ours = Driver.of(service, **options).run().figures()
    theirs = as_truth(recompute(service, **options).figures)
    found = compare(ours, theirs, {'metta.github.ci.benchmarks_passing'})
    assert (found.lines, len(found.equal)) == ([], 2)


def test_runs_that_were_run_again_without_need_agree_with_the_truth(serve):
    service = serve('github', **SMALL, needless_reruns=9)
    recomputed = recompute(service, repositories=['metta-ai/metta'])
    assert wrong(recomputed, service) == {}
    flaky = as_truth(recomputed.figures)['metta.github.ci.flaky_checks_7d', ('org:metta-ai', 'repo:metta-ai/metta')]
    assert flaky == sum(
        run.conclusion == 'success' and run.earlier[0].conclusion == 'failure'
        for run in service.metta.runs.recent
        if run.run_attempt == 2
    )


def test_only_people_count_with_that_option(serve):
    service = serve('github', **SMALL)
    plain, people = (as_truth(recompute(service, exclude_bots=one).figures) for one in (False, True))
    tags = ('org:metta-ai', 'repo:metta-ai/metta')
    pulls = [pull for pull in service.metta.pulls.values() if pull.state == 'OPEN']
    by_bots = sum(pull.author is not None and pull.author.machine for pull in pulls)
    assert plain['metta.github.prs.open', tags] - people['metta.github.prs.open', tags] == by_bots
    merged = {
        kind: ('metta.github.prs.merged_by_author_7d', (f'author_type:{kind}', *tags)) for kind in ('human', 'bot')
    }
    assert people['metta.github.prs.merged_7d', tags] == plain[merged['human']]
    assert merged['bot'] not in people
    assert plain['metta.github.code.files_changed_7d', tags] == people['metta.github.code.files_changed_7d', tags]


def test_an_app_reads_the_same(serve):
    service = serve('github', **SMALL)
    instance = {**service.app_instance(), 'repositories': ['metta-ai/infra']}
    recomputed = verify.recompute('github', instance, service.clock.now())
    assert wrong(recomputed, service) == {}
    assert [entry.path for entry in service.log if entry.method == 'POST' and entry.path != '/graphql'] == [
        f'/app/installations/{instance["app_installation_id"]}/access_tokens'
    ]
    assert recomputed.requests == len(service.log)


def test_an_organization_is_read_without_archives_and_forks(serve):
    service = serve('github', **SMALL, more_repositories=2)
    instance = {**service.instance(), 'repositories': None, 'organization': 'metta-ai'}
    options = {'include': ['service-*', 'metta-ai/e*', 'infra'], 'exclude': ['inf*']}
    recomputed = verify.recompute('github', {**instance, **options}, service.clock.now())
    assert {tag for figure in recomputed.figures for tag in figure.tags if tag.startswith('repo:')} == {
        'repo:metta-ai/service-000',
        'repo:metta-ai/service-001',
        'repo:metta-ai/empty',
    }
    # Without a single commit.
    empty = {figure.name: figure.value for figure in recomputed.figures if 'repo:metta-ai/empty' in figure.tags}
    assert empty['metta.github.commits.total_7d'] == empty['metta.github.branches.active'] == 0
    assert 'metta.github.commits.per_developer_7d' not in empty


def test_more_runs_than_a_list_holds(serve):
    sizes = {'scale': 0.01, 'prs': 5, 'commits': 5, 'past_prs': 2}
    service = serve('github', **sizes, runs_in_window=100, burst=1_100, capped_totals=True)
    found = as_truth(recompute(service, repositories=['metta-ai/metta']).figures)
    tags = ('org:metta-ai', 'repo:metta-ai/metta')
    assert found['metta.github.ci.workflow_runs_7d', tags] == 1_200


def test_an_enterprise_server(serve):
    service = serve('github', **SMALL, ghes=True)
    assert wrong(recompute(service, repositories=['metta-ai/infra']), service) == {}


def test_nothing_is_repeated_and_nothing_waits(serve):
    service = serve('github', scale=0.02)
    with pytest.raises(BadCredentialsException):
        recompute(service, token='wrong')
    service.exhaust('core')
    with pytest.raises(RateLimitExceededException):
        recompute(service)
    service.pass_time(3600)
    service.faults.add('status', status=502, path='*/activity')
    with pytest.raises(GithubException):
        recompute(service)
    assert sum(entry.status == 502 for entry in service.log) == 1
