"""The sandbox's data: the scenario is as described, both APIs agree, and every careless way of counting fails.

The numbers of mistakes are those of the first system, which this data must catch.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta
from statistics import mean

import pytest
import requests

from metta_checks.testing import Driver, as_truth, compare
from sandbox import Clock, Organization
from sandbox.github.model import Pull, Run
from sandbox.github.service import GitHubService
from tests.seed_names import GITHUB

from .served import github_service

pytestmark = pytest.mark.integration

WEEK = timedelta(days=7)
PREFIX = 'metta.github.'


def plain(service: GitHubService, repository: str) -> dict[str, float]:
    """Return the true figures of a repository without tags of their own, by full name."""
    return {name: value for (name, tags), value in service.truth_of(repository).items() if not tags}


@pytest.fixture(scope='module')
def service() -> GitHubService:
    """Return the standard scenario, unchanged and not served."""
    return github_service()


@pytest.fixture(scope='module')
def truth(service) -> dict[str, float]:
    """Return the figures of the large repository without tags of their own."""
    return {name.removeprefix(PREFIX): value for name, value in plain(service, 'metta').items()}


@pytest.fixture(scope='module')
def week(service) -> list[Run]:
    """Return the runs of the large repository in the last week."""
    start = service.clock.now() - WEEK
    return [run for run in service.metta.runs.recent if run.created_at >= start]


@pytest.fixture(scope='module')
def touched(service) -> list[Pull]:
    """Return its merged and closed pull requests that were updated in the last week."""
    start = service.clock.now() - WEEK
    return [pull for pull in service.metta.pulls.values() if pull.state != 'OPEN' and pull.updated_at >= start]


# The scenario.


def test_the_scenario(service, truth, touched):
    assert truth['prs.open'] == 46
    assert len(touched) == 150
    assert truth['prs.merged_7d'] == 92
    assert truth['prs.closed_without_merge_7d'] == 18
    assert truth['prs.stale_count_14d'] == 5
    assert truth['commits.total_7d'] == 300
    assert truth['commits.hotfix'] == 8
    assert truth['commits.reverts'] == 10
    assert truth['developers.active_7d'] == 18
    assert truth['ci.workflow_runs_7d'] == 2_000
    assert truth['ci.timeout_cancellations_7d'] == 40
    assert truth['ci.flaky_checks_7d'] == 11
    assert truth['ci.tests_passing_on_main'] == truth['ci.benchmarks_passing'] == 1
    assert truth['branches.count'] == 1_158
    assert truth['commits.force_merge_7d'] == 2
    assert len(service.metta.runs) == 60_000
    assert service.infra.default_branch == 'master'


def test_all_28_names_are_true_in_both_repositories(service):
    for repository in ('metta', 'infra'):
        assert set(GITHUB) <= set(plain(service, repository))


def test_the_same_seed_gives_the_same_numbers():
    clock = Clock()
    first, again, other = (
        list(github_service(Organization(seed), Clock(clock.start), scale=0.05).truth(clock.start))
        for seed in (7, 7, 8)
    )
    assert first == again
    assert first != other


def test_sizes_can_be_asked_for():
    sized = github_service(
        scale=0.05, prs=60, open_prs=31, runs_in_window=300, history=1_000_000, burst=70, burst_second=5,
        commits=80, branches=12, workflow_names=40, more_repositories=3, largest_pr=120,
    )  # fmt: skip
    truth = plain(sized, 'metta')
    assert truth['metta.github.prs.open'] == 31
    assert truth['metta.github.ci.workflow_runs_7d'] == 300 + 70 + 5 + 40
    assert truth['metta.github.commits.total_7d'] == 80
    assert truth['metta.github.branches.count'] == 12
    assert len(sized.repositories) == 9
    assert max(len(pull.files) for pull in sized.metta.pulls.values()) == 120
    # Rows of a long past are made when they are read.
    assert len(sized.metta.runs) == 1_000_000 + 70 + 5 + 40
    assert len(sized.metta.runs.recent) == 300 + 70 + 5 + 40
    assert sized.metta.runs[999_999].created_at < sized.metta.runs[999_998].created_at
    start = sized.clock.now() - WEEK
    assert sum(pull.state != 'OPEN' and pull.updated_at >= start for pull in sized.metta.pulls.values()) == 60
    labels = {tag for name, tags in sized.truth_of('metta') for tag in tags if name.endswith('ci.runs_7d')}
    assert 'workflow:other' in labels
    assert sum(label.startswith('workflow:') for label in labels) == 31


# Both APIs agree.


def test_rest_and_graphql_agree_on_pull_requests_and_commits(serve):
    served = serve('github', scale=0.1)
    headers = {'Authorization': f'Bearer {served.token}'}
    query = """{ repository(owner: "metta-ai", name: "metta") {
      pullRequests(last: 8, states: [MERGED]) { nodes {
        number databaseId additions deletions changedFiles totalCommentsCount baseRefName createdAt mergedAt
        reviews(first: 50) { nodes { state submittedAt } } files(first: 100) { nodes { path } }
        commits(first: 50) { nodes { commit { oid } } } } }
      defaultBranchRef { target { ... on Commit { history(first: 12) { nodes {
        oid additions deletions changedFilesIfAvailable committedDate messageHeadline parents(first: 5) { totalCount }
      } } } } } } }"""
    answer = requests.post(f'{served.url}/graphql', headers=headers, json={'query': query}, timeout=30)
    repository = answer.json()['data']['repository']

    def get(path: str):
        return requests.get(f'{served.url}/repos/metta-ai/metta{path}', headers=headers, timeout=30).json()

    for node in repository['pullRequests']['nodes']:
        path = f'/pulls/{node["number"]}'
        row = get(path)
        assert [row[key] for key in ('id', 'additions', 'deletions', 'changed_files')] == [
            node[key] for key in ('databaseId', 'additions', 'deletions', 'changedFiles')
        ]
        assert row['comments'] + row['review_comments'] == node['totalCommentsCount']
        assert (row['created_at'], row['merged_at']) == (node['createdAt'], node['mergedAt'])
        assert row['base']['ref'] == node['baseRefName']
        reviews = [(one['state'], one.get('submitted_at')) for one in get(f'{path}/reviews?per_page=100')]
        assert reviews == [(one['state'], one['submittedAt']) for one in node['reviews']['nodes']]
        files = get(f'{path}/files?per_page=100')
        assert [one['filename'] for one in files] == [one['path'] for one in node['files']['nodes']]
        assert sum(one['additions'] for one in files) == node['additions']
        commits = [one['sha'] for one in get(f'{path}/commits')]
        assert commits == [one['commit']['oid'] for one in node['commits']['nodes']]
    for node in repository['defaultBranchRef']['target']['history']['nodes']:
        row = get(f'/commits/{node["oid"]}')
        assert row['stats']['additions'] == node['additions'] == sum(one['additions'] for one in row['files'])
        assert row['stats']['deletions'] == node['deletions']
        assert node['changedFilesIfAvailable'] in (None, len(row['files']))
        assert row['commit']['committer']['date'] == node['committedDate']
        assert row['commit']['message'].split('\n')[0] == node['messageHeadline']
        assert len(row['parents']) == node['parents']['totalCount']


# Every mistake gives a wrong figure.


def test_mistake_4_merged_and_closed_by_update(touched, truth):
    assert sum(pull.merged for pull in touched) == 122 != truth['prs.merged_7d']
    assert sum(not pull.merged for pull in touched) == 28 != truth['prs.closed_without_merge_7d']


def test_mistake_8_nulls(week):
    assert any(run.name is None for run in week)
    assert any(run.name is None and not run.path for run in week)
    assert any(run.head_branch is None for run in week)
    assert any(run.head is None for run in week)


def test_mistake_9_duration_since_creation(week, truth):
    ended = [(run.updated_at - run.created_at).total_seconds() / 60 for run in week if run.status == 'completed']
    assert mean(ended) > 1.5 * truth['ci.avg_workflow_duration_minutes']
    assert sorted(ended)[len(ended) // 2] < 0.9 * truth['ci.duration_p50_minutes']
    assert sorted(ended)[int(len(ended) * 0.99)] > 3 * truth['ci.duration_p99_minutes']


def test_mistakes_11_to_13_conclusions(week, truth):
    conclusions = Counter(run.conclusion for run in week)
    assert conclusions['cancelled'] > 180 > truth['ci.timeout_cancellations_7d'] > conclusions['timed_out']
    assert conclusions['failure'] < truth['ci.failed_workflows_7d']
    again = [run for run in week if run.run_attempt > 1]
    assert len(again) == 31 != truth['ci.flaky_checks_7d']
    assert set(conclusions) == {
        'success', 'failure', 'timed_out', 'startup_failure', 'cancelled', 'skipped', 'neutral', 'stale',
        'action_required', None,
    }  # fmt: skip


def test_mistake_14_newest_run_of_main(service, week, truth):
    on_main = [run for run in week if run.head_branch == 'main']
    assert on_main[0].conclusion != 'success'
    newest = [run for run in on_main if run.name == 'tests' and run.status == 'completed']
    assert newest[0].head == 'fork'
    own = [run for run in newest if run.head == 'own' and not run.event.startswith('pull_request')]
    assert [run.conclusion for run in own[:2]] == ['cancelled', 'success']
    assert truth['ci.tests_passing_on_main'] == 1


def test_mistake_17_lines_of_merge_commits(service, truth):
    start = service.clock.now() - WEEK
    commits = [commit for commit in service.metta.commits.recent if commit.committed_date >= start]
    merges = [commit for commit in commits if len(commit.parents) > 1]
    assert merges
    assert sum(commit.additions for commit in commits) > truth['code.lines_added_7d']
    pulls = {pull.merged_at: pull for pull in service.metta.pulls.values() if pull.merged}
    for merge in merges:
        # The merge commit has the lines of its branch again.
        assert merge.additions == pulls[merge.committed_date].additions
        assert merge.additions == sum(commit.additions for commit in pulls[merge.committed_date].commits)


def test_mistake_18_words_in_messages(service, truth):
    start = service.clock.now() - WEEK
    messages = [commit.message.lower() for commit in service.metta.commits.recent if commit.committed_date >= start]
    assert sum('revert' in message for message in messages) == 20 != truth['commits.reverts']
    assert sum('hotfix' in message for message in messages) == 12 != truth['commits.hotfix']
    mentions = sum(bool(re.search('force.push', message)) for message in messages)
    assert mentions > 0
    pushes = [push for push in service.metta.activity if push.timestamp >= start]
    assert sum(push.activity_type == 'force_push' for push in pushes) > truth['commits.force_merge_7d']


def test_mistake_19_stale_by_age(service, truth):
    old = service.clock.now() - timedelta(days=14)
    opened = [pull for pull in service.metta.pulls.values() if pull.state == 'OPEN']
    assert sum(pull.created_at < old for pull in opened) == 24 != truth['prs.stale_count_14d']
    assert sum(pull.updated_at < old for pull in opened) == 12 != truth['prs.stale_count_14d']


def test_mistake_20_people_by_address(service, truth):
    start = service.clock.now() - WEEK
    commits = [commit for commit in service.metta.commits.recent if commit.committed_date >= start]
    addresses = {commit.signatures[0].email for commit in commits}
    assert len(addresses) > 1.5 * truth['developers.active_7d']
    single = [commit for commit in commits if len(commit.parents) < 2]
    authors = {commit.signatures[0].who for commit in single} - {None}
    # A co-author without a commit as author, and a maintainer who only merges.
    assert len(authors) == truth['developers.active_7d'] - 1
    assert len({commit.signatures[0].who for commit in commits} - {None}) == len(authors) + 1
    signatures = [signature for commit in single for signature in commit.signatures]
    assert any(signature.user is None and signature.who for signature in signatures)
    assert any(signature.user is not None and signature.who is None for signature in signatures)
    assert any(signature.user is None and signature.who is None for signature in signatures)


def test_mistake_26_drafts_bots_and_own_comments(service, touched, truth):
    start = service.clock.now() - WEEK
    merged = [pull for pull in touched if pull.merged and pull.merged_at >= start]
    ages = sorted((pull.merged_at - pull.created_at).total_seconds() / 3600 for pull in merged)
    median = (ages[45] + ages[46]) / 2
    assert truth['prs.cycle_time_hours'] < median
    assert sum(bool(pull.reviews) for pull in merged) > truth['prs.with_review_comments_pct'] * 0.92
    reviewed_by_machines = [
        pull for pull in merged if pull.reviews and all(one.author and one.author.machine for one in pull.reviews)
    ]
    assert reviewed_by_machines
    assert any(pull.author is None for pull in merged)
    assert any(review.author is None for pull in service.metta.pulls.values() for review in pull.reviews)
    later = [
        event
        for pull in merged
        for event in pull.timeline
        if event.kind == 'READY_FOR_REVIEW_EVENT'
        and any(one.submitted_at < event.created_at for one in pull.reviews if one.author and not one.author.machine)
    ]
    assert later


def test_mistakes_3_16_24_and_27(service, week):
    # More than one page of open pull requests, runs and files; a run in progress on main; two repositories.
    assert sum(pull.state == 'OPEN' for pull in service.metta.pulls.values()) > 30
    assert len(week) > 1_000
    assert max(len(pull.files) for pull in service.infra.pulls.values()) > 200
    assert week[0].status != 'completed' or week[1].status != 'completed'
    assert any(run.head_branch == 'main' and run.status == 'in_progress' for run in week[:10])
    tags = {tag for figure in service.truth(service.clock.now()) for tag in figure.tags}
    assert {tag for tag in tags if tag.startswith('repo:')} == {
        'repo:metta-ai/metta',
        'repo:metta-ai/infra',
    }


# Time.


def test_a_quarter_of_an_hour(serve):
    served = serve('github', scale=0.1)
    before = plain(served, 'infra')
    runs = {run.id: (run.status, run.run_attempt) for run in served.metta.runs.recent}
    pulls = {number: pull.state for number, pull in served.metta.pulls.items()}
    commits = {commit.oid for commit in served.metta.commits.recent}
    served.pass_time(900)
    after = {run.id: (run.status, run.run_attempt) for run in served.metta.runs.recent}
    assert len(after.keys() - runs.keys()) == 3
    assert min(after.keys() - runs.keys()) > max(runs)
    changed = [key for key in runs if after[key] != runs[key]]
    assert len(changed) == 2
    assert sum(after[key][1] > runs[key][1] for key in changed) == 1
    states = {number: pull.state for number, pull in served.metta.pulls.items()}
    assert sum(states[number] == 'MERGED' != pulls[number] for number in pulls) == 2
    assert len(states) - len(pulls) == 2
    assert len({commit.oid for commit in served.metta.commits.recent} - commits) == 4
    # Only time passes in the other repository.
    now = plain(served, 'infra')
    assert now['metta.github.prs.age_hours.max'] == pytest.approx(before['metta.github.prs.age_hours.max'] + 0.25)


def test_time_passes_in_any_steps(serve):
    """The events of an hour do not depend on the number of reads."""
    start = Clock().start
    services = [serve('github', Clock(start), scale=0.05) for _ in range(2)]
    services[0].pass_time(3600)
    for _ in range(60):
        services[1].pass_time(60)
    counts = []
    for metta in (one.metta for one in services):
        attempts = sum(run.run_attempt for run in metta.runs.recent)
        counts.append([len(metta.runs), len(metta.commits), len(metta.pulls), attempts])
    assert counts[0] == counts[1]


def test_an_old_run_is_run_again(serve):
    served = serve('github', scale=0.1)
    before = served.truth_of('metta')['metta.github.ci.failed_workflows_7d', ()]
    run = served.rerun(72)
    assert run.created_at < served.clock.now() - timedelta(hours=72)
    assert run.conclusion == 'success'
    assert run.run_attempt > 1
    assert served.truth_of('metta')['metta.github.ci.failed_workflows_7d', ()] == before - 1


def test_rows_of_the_past_do_not_change_with_time(service):
    """Rows of the past are the same at every read."""
    first = [(run.id, run.created_at) for run in (service.metta.runs[place] for place in (2_000, 30_000, 59_999))]
    again = [(run.id, run.created_at) for run in (service.metta.runs[place] for place in (2_000, 30_000, 59_999))]
    assert first == again
    low = first[1][1]
    places = service.metta.runs.between(low, low)
    assert list(places) == [30_000]


def test_figures_of_options_are_true(serve):
    served = serve('github', scale=0.1)
    options = {'deployments': True, 'runners': True, 'hotfix_labels': ['hotfix']}
    run = Driver.of(served, **options).run()
    assert run.warnings == []
    expected = as_truth(served.optional_truth(served.clock.now(), **options))
    names = {name for name, _ in expected}
    assert names == {
        f'{PREFIX}{name}'
        for name in (
            'deployments.created_7d', 'deployments.duration_minutes.p50', 'deployments.duration_minutes.p90',
            'runners.online', 'runners.busy', 'runners.count', 'runners.by_label', 'prs.hotfix_merged_7d',
        )
    }  # fmt: skip
    assert compare(run.figures(), expected, names).lines == []
    states = {tag for _, tags in expected for tag in tags if tag.startswith('state:')}
    assert states == {'state:active', 'state:inactive', 'state:failure', 'state:in_progress'}
