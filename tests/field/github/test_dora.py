"""DORA: what a deployment is, which ones failed, and how long commits and repairs take."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from datadog_checks.base import AgentCheck

from metta_checks.testing import Driver, Run
from sandbox import Running

from ..case import case
from .actions import ActionsGitHub
from .delivery import DeliveringGitHub

DORA = 'metta.github.dora.'
PRODUCTION = 'environment:production'
DEPLOYMENTS = 'deployments_30d'
FAILED = 'failed_changes_30d'
RATE = 'change_failure_rate_pct_30d'
UNKNOWN = 'unknown_deployments_30d'


@pytest.fixture
def github() -> Iterator[DeliveringGitHub]:
    """Return a repository without deployments and releases."""
    service = DeliveringGitHub()
    with Running(service):
        yield service


class DeployingGitHub(DeliveringGitHub, ActionsGitHub):
    """Serves metta/one with workflows that deploy, and a history of commits."""

    def instance(self):
        return {**super().instance(), 'dora': {'source': 'workflow', 'workflows': ['deploy*']}}

    def rest(self, request, what):
        match request.path.partition('/metta/one/')[2].split('/'):
            case ['actions', 'workflows', key, 'runs'] if '..' in request.args['created']:
                low, high = request.args['created'].split('..')
                rows = [
                    run
                    for run in self.runs
                    if run['workflow_id'] == int(key)
                    and low <= run['created_at'] <= high
                    and run['head_branch'] == request.args['branch']
                ]
                start = 100 * (int(request.args['page']) - 1)
                return self.json({'total_count': len(rows), 'workflow_runs': rows[start : start + 100]})
        return super().rest(request, what)


@pytest.fixture
def deploying() -> Iterator[DeployingGitHub]:
    """Return a repository without runs."""
    service = DeployingGitHub()
    with Running(service):
        yield service


def figures(run: Run, environment: str = PRODUCTION) -> dict[str, float]:
    """Return the DORA figures of an environment by their short names."""
    return {
        name.removeprefix(DORA): value
        for name in run.names
        if name.startswith(DORA) and (value := run.value(name, environment)) is not None
    }


@case('B', 'https://docs.github.com/en/rest/deployments/statuses')
def test_replaced_deployments_were_successes(github):
    """Deployments that later ones replaced.

    Production was deployed to on three days. GitHub gives every deployment but the newest the status `inactive`, so
    the last status of two of them is not `success`.

    Right: `deployments_30d` is 3, and `deployments_per_day_30d` is 0.1: all of them went live.

    Unchanged: `failed_deployments_30d` is 0 and `change_failure_rate_pct_30d` is 0.
    """
    github.chain('a', 'b', 'c')
    for hours, sha in ((70, 'a'), (46, 'b'), (22, 'c')):
        github.deploy(sha, 'IN_PROGRESS', 'SUCCESS', *(['INACTIVE'] if sha != 'c' else []), hours=hours)
    found = figures(Driver.of(github).run())
    assert found[DEPLOYMENTS] == 3
    assert found['deployments_per_day_30d'] == pytest.approx(0.1)
    assert (found['failed_deployments_30d'], found[FAILED], found[RATE]) == (0, 0, 0)


@case('F', 'https://github.com/apache/devlake-website/issues/438')
def test_a_deployment_that_never_went_live_is_no_failed_change(github):
    """A deployment that fails before it is live.

    One deployment succeeds. The next one ends in `failure`, and the one after it in `error`: users never saw them.

    Right: `failed_deployments_30d` is 2, and `change_failure_rate_pct_30d` is 0: DORA's rate is about changes that
    reached production and had to be repaired.

    Unchanged: `deployments_30d` is 1.
    """
    github.chain('a', 'b', 'c')
    github.deploy('a', 'IN_PROGRESS', 'SUCCESS', hours=30)
    github.deploy('b', 'IN_PROGRESS', 'FAILURE', hours=20)
    github.deploy('c', 'ERROR', hours=10)
    found = figures(Driver.of(github).run())
    assert (found[DEPLOYMENTS], found['failed_deployments_30d'], found[RATE]) == (1, 2, 0)


@case('B', 'https://docs.github.com/en/rest/deployments/deployments')
def test_a_rollback(github):
    """An older commit is deployed again.

    Commit `b` goes to production at 10:00. At 12:00, `a`, its parent, is deployed again. At 15:00, the corrected `c`
    follows.

    Right: one failed change among 4 deployments, so `change_failure_rate_pct_30d` is 25. `recovery_hours` is 2, until
    the rollback, not 5, until the correction.

    Unchanged: `failed_deployments_30d` is 0. `lead_time_commits_30d` is 2: the rollback brings nothing, and `b` counts
    once although `c` contains it, too.
    """
    github.chain('a', 'b', 'c')
    for sha, hours in (('a', 50), ('b', 10), ('a', 8), ('c', 5)):
        github.deploy(sha, 'SUCCESS', hours=hours)
    found = figures(Driver.of(github).run())
    assert (found[DEPLOYMENTS], found[FAILED], found[RATE]) == (4, 1, 25)
    assert (found['recovery_hours.p50'], found['recovery_hours.max']) == (2, 2)
    assert (found['failed_deployments_30d'], found['lead_time_commits_30d']) == (0, 2)


@case('B', 'https://dora.dev/guides/dora-metrics/')
@pytest.mark.parametrize(('hours', 'failed'), [(23, 1), (25, 0)])
def test_a_hotfix_within_a_day(github, hours, failed):
    """A hotfix is deployed a day later.

    Commit `b` is deployed. The next deployment brings a commit whose headline begins with "hotfix".

    Right: `b` is a failed change when the hotfix is live 23 hours later, and `recovery_hours` is 23. After 25 hours it
    is none: so late, a hotfix more likely repairs something else.

    Unchanged: `deployments_30d` is 3.
    """
    github.chain('a', 'b', hours=200)
    github.commit('c', 'b', hours=42, message='hotfix: close the pool')
    github.deploy('a', 'SUCCESS', hours=100)
    github.deploy('b', 'SUCCESS', hours=40 + hours)
    github.deploy('c', 'SUCCESS', hours=40)
    found = figures(Driver.of(github).run())
    assert (found[DEPLOYMENTS], found[FAILED]) == (3, failed)
    assert found.get('recovery_hours.max') == (hours if failed else None)


@case(
    'B',
    'https://docs.github.com/en/pull-requests/collaborating-with-pull-requests/incorporating-changes-from-a-pull-request/reverting-a-pull-request',
)
def test_a_revert_of_a_commit_that_was_never_live(github):
    """A commit and its revert are deployed together.

    After `a` is deployed, somebody merges `b` and reverts it before the next deployment, which brings both. The
    deployment after that brings the revert of a commit that was live.

    Right: `failed_changes_30d` is 1. Nobody saw `b`, so the deployment before it did not fail because of it. The second
    revert repairs.

    Unchanged: `deployments_30d` is 3, `lead_time_commits_30d` is 3.
    """
    github.commit('a', hours=100)
    github.commit('b', 'a', hours=60, message='Add a cache (#7)')
    github.commit('c', 'b', hours=59, message='Revert "Add a cache (#7)" (#8)')
    github.commit('d', 'c', hours=53, message='Revert "Do something" (#9)')
    for sha, hours in (('a', 62), ('c', 56), ('d', 52)):
        github.deploy(sha, 'SUCCESS', hours=hours)
    found = figures(Driver.of(github).run())
    assert (found[DEPLOYMENTS], found[FAILED], found['recovery_hours.max']) == (3, 1, 4)
    assert found['lead_time_commits_30d'] == 3


@case('F', 'https://github.com/apache/devlake/issues/7193')
def test_redeployments_change_nothing(github):
    """The same commit is deployed again every night.

    `b` goes live, and a schedule deploys it again on two nights. Then a hotfix follows, 6 hours after the last
    redeployment and 54 hours after `b` went live.

    Right: `deployments_30d` is 5 and `failed_changes_30d` is 0: the redeployment changed nothing that a hotfix could
    repair, and `b` was live for more than a day.

    Unchanged: `lead_time_commits_30d` is 2, each commit at its first deployment.
    """
    github.chain('a', 'b', hours=200)
    github.commit('c', 'b', hours=12, message='Hotfix the parser')
    for sha, hours in (('a', 120), ('b', 64), ('b', 40), ('b', 16), ('c', 10)):
        github.deploy(sha, 'SUCCESS', hours=hours)
    found = figures(Driver.of(github).run())
    assert (found[DEPLOYMENTS], found[FAILED], found['lead_time_commits_30d']) == (5, 0, 2)


@case('F', 'https://github.com/DataDog/documentation/pull/22866')
def test_lead_time_of_each_commit(github):
    """A deployment brings a merge of two commits.

    The commits were committed 30 and 20 hours before the deployment ended, and merged 10 hours before.

    Right: `lead_time_hours.p50` is 25, the middle of 20 and 30. The merge commit is nobody's work.

    Unchanged: `lead_time_commits_30d` is 2: the first known deployment has nothing before it to be compared with.
    """
    github.commit('a', hours=200)
    github.commit('b', 'a', hours=35)
    github.commit('c', 'a', hours=25)
    github.commit('m', 'b', 'c', hours=15, message='Merge pull request #4')
    github.deploy('a', 'SUCCESS', hours=100)
    github.deploy('m', 'SUCCESS', hours=5)
    found = figures(Driver.of(github).run())
    assert found['lead_time_commits_30d'] == 2
    assert found['lead_time_hours.p50'] == pytest.approx(25)
    assert found['lead_time_hours.p90'] == pytest.approx(29)


@case('A', 'https://docs.github.com/en/actions/concepts/workflows-and-actions/deployment-environments')
def test_environments_of_one_name_in_two_spellings(github):
    """The name of an environment in two spellings.

    A tool deploys to `Production`, a workflow to `production`. GitHub does not distinguish them.

    Right: `deployments_30d` with the tag `environment:production` is 2, and the second one is a rollback of the first.

    Unchanged: There is no other environment.
    """
    github.chain('a', 'b')
    github.deploy('b', 'SUCCESS', hours=20, environment='Production')
    github.deploy('a', 'SUCCESS', hours=10, environment='production')
    run = Driver.of(github).run()
    assert (figures(run)[DEPLOYMENTS], figures(run)[FAILED]) == (2, 1)
    assert len(run.series(DORA + DEPLOYMENTS)) == 1


@case('D', 'https://github.com/Kaiwen0418/agent-benchmark/issues/100')
def test_production_behind_hundreds_of_previews(github):
    """Previews fill the list of deployments.

    A hosting service deploys every commit to `Preview`: 1,300 times since the last deployment to production.

    Right: `deployments_30d` is absent in the first refresh, which reads a thousand deployments, and 2 in the next one.

    Unchanged: The previews have no series, and cost no comparison.
    """
    github.chain('a', 'b', hours=650)
    github.deploy('a', 'SUCCESS', hours=620)
    github.deploy('b', 'SUCCESS', hours=600)
    for index in range(1300):
        github.deploy('b', 'SUCCESS', hours=1 + index / 3, environment='Preview')
    driver = Driver.of(github)
    assert figures(driver.run()) == {}
    github.pass_time(900)
    run = driver.run()
    assert figures(run)[DEPLOYMENTS] == 2
    assert len(run.series(DORA + DEPLOYMENTS)) == 1
    assert [name for name in github.asked() if '...' in name] == ['a...b']


@case('C', 'https://docs.github.com/en/rest/commits/commits#compare-two-commits')
def test_a_comparison_that_github_does_not_have(github):
    """GitHub has no common ancestor of two deployed commits.

    The history was rewritten between two deployments, so GitHub answers the comparison with 404.

    Right: `unknown_deployments_30d` is 1. Lead times and failed changes are absent, not 0, and the service check is
    WARNING with a message that names the commits. The pair is asked for once a day, not in every refresh.

    Unchanged: `deployments_30d` is 3, and the figures of `prod-eu` are there.
    """
    github.chain('a', 'b')
    for sha, hours in (('a', 30), ('lost', 20), ('b', 10)):
        github.deploy(sha, 'SUCCESS', hours=hours)
    for sha, hours in (('a', 30), ('b', 10)):
        github.deploy(sha, 'SUCCESS', hours=hours, environment='prod-eu')
    driver = Driver.of(github)
    run = driver.run()
    found = figures(run)
    assert (found[DEPLOYMENTS], found[UNKNOWN]) == (3, 2)
    assert not {FAILED, RATE, 'lead_time_commits_30d', 'lead_time_hours.p50'} & found.keys()
    assert figures(run, 'environment:prod-eu')['lead_time_commits_30d'] == 1
    assert run.status == AgentCheck.WARNING
    assert 'the deployed commits a and lost could not be compared' in run.message or 'lost and b' in run.message
    before = len(github.log)
    github.pass_time(900)
    run = driver.run()
    assert figures(run)[UNKNOWN] == 2
    assert not [entry for entry in github.log[before:] if '...' in entry.path]


@case('E', 'https://www.githubstatus.com/')
@pytest.mark.parametrize('is_down', [False, True])
def test_a_comparison_that_fails_once(github, is_down):
    """GitHub fails to compare two deployed commits.

    It answers 502 to one request and to its repetition. In a second variant, it keeps doing so for an hour. Another
    comparison succeeds.

    Right: In the run after, a minute later, `unknown_deployments_30d` is 0. In the variant, it is 1, with a message
    that has GitHub's status. The pair is asked for again after an hour, and is known then.

    Unchanged: The other pair is compared once.
    """
    github.chain('a', 'b', 'c')
    for sha, hours in (('a', 30), ('b', 20), ('c', 10)):
        github.deploy(sha, 'SUCCESS', hours=hours)
    github.faults.add('status', status=502, path='*/b...c', times=None if is_down else 2)
    driver = Driver.of(github)
    driver.run()
    github.pass_time(60)
    run = driver.run()
    assert figures(run)[UNKNOWN] == is_down
    assert ('b and c could not be compared: ' in run.message and 'HTTP 502' in run.message) == is_down
    github.faults.clear()
    before = len(github.log)
    github.pass_time(1800)
    assert figures(driver.run())[UNKNOWN] == is_down
    assert not [entry for entry in github.log[before:] if '...' in entry.path]
    github.pass_time(1800)
    assert figures(driver.run())[UNKNOWN] == 0
    assert github.asked().count('a...b') == 1


@case('B', 'https://docs.github.com/en/rest/deployments/statuses')
def test_a_deployment_in_progress(github):
    """A deployment waits for an approval over several refreshes.

    It is `waiting` at first and succeeds an hour later, when 150 newer previews stand before it in the list.

    Right: `deployments_30d` rises from 1 to 2 in the refresh after its success. The lead time ends with the success.

    Unchanged: A second refresh sends no comparison again.
    """
    github.chain('a', 'b', hours=40)
    github.deploy('a', 'SUCCESS', hours=30)
    waiting = github.deploy('b', 'WAITING', hours=1)
    driver = Driver.of(github)
    assert figures(driver.run())[DEPLOYMENTS] == 1
    for _ in range(150):
        github.deploy('b', 'SUCCESS', hours=0.1, environment='preview')
    github.pass_time(3600)
    waiting['statuses']['nodes'].insert(0, {'state': 'SUCCESS', 'createdAt': github.at(0)})
    run = driver.run()
    assert figures(run)[DEPLOYMENTS] == 2
    assert figures(run)['lead_time_hours.p50'] == pytest.approx(40)
    github.pass_time(900)
    assert figures(driver.run())[DEPLOYMENTS] == 2
    assert [name for name in github.asked() if '...' in name] == ['a...b']


@case('B', 'https://github.com/MinBZK/regelrecht/pull/75')
def test_deleted_deployments_happened(github):
    """Old deployments are deleted.

    A workflow cleans up: it deletes every deployment that a newer one has replaced.

    Right: `deployments_30d` stays at 2. The deployment was live, whatever became of its record.

    Unchanged: `lead_time_commits_30d` stays at 1.
    """
    github.chain('a', 'b')
    old = github.deploy('a', 'SUCCESS', hours=30)
    github.deploy('b', 'SUCCESS', hours=20)
    driver = Driver.of(github)
    before = figures(driver.run())
    github.gone.add(old['id'])
    github.pass_time(900)
    assert figures(driver.run()) == before
    assert (before[DEPLOYMENTS], before['lead_time_commits_30d']) == (2, 1)


@case('C', 'https://docs.github.com/en/rest/deployments/environments')
def test_a_pattern_that_matches_no_environment(github):
    """A misspelled environment.

    Option `environments` says `produktion`, and the repository deploys to `production`.

    Right: No figure is sent, not even 0, and the service check is WARNING with a message that names the pattern.

    Unchanged: The figures of pull requests are there.
    """
    github.chain('a')
    github.deploy('a', 'SUCCESS', hours=30)
    run = Driver.of(github, dora={'environments': ['produktion']}).run()
    assert not [name for name in run.names if name.startswith(DORA)]
    assert run.status == AgentCheck.WARNING
    assert 'produktion' in run.message
    assert run.value('metta.github.prs.open') == 1


@case('F', 'https://docs.github.com/en/repositories/releasing-projects-on-github/about-releases')
def test_releases_as_deployments(github):
    """Releases are the deployments of a library.

    In 30 days, there are two releases, a prerelease, and a draft.

    Right: `deployments_30d` is 2, and `lead_time_commits_30d` is 2: the commit of the prerelease counts at the
    release.

    Unchanged: `failed_deployments_30d` is absent: a release cannot fail.
    """
    github.chain('a', 'b', 'c', hours=100)
    github.release('v1', 'a', hours=90)
    github.release('v2-rc1', 'b', hours=50, isPrerelease=True)
    github.release('v2', 'c', hours=40)
    github.release('v3', 'c', hours=10, isDraft=True, publishedAt=None)
    found = figures(Driver.of(github, dora={'source': 'release'}).run(), 'environment:release')
    assert (found[DEPLOYMENTS], found['lead_time_commits_30d'], found[FAILED]) == (2, 2, 0)
    assert found['lead_time_hours.p90'] == pytest.approx(58.9)
    assert 'failed_deployments_30d' not in found


@case('B', 'https://docs.github.com/en/actions/how-tos/manage-workflow-runs/re-run-workflows-and-jobs')
def test_a_rollback_by_running_an_old_run_again(deploying):
    """Somebody rolls back by running the last good run again.

    The workflow `Deploy` deployed `a` 30 hours ago and `b` 10 hours ago. Four hours ago, somebody ran the run of `a`
    again: GitHub shows one run with two attempts, created 30 hours ago.

    Right: With `source: workflow`, `deployments_30d` of `environment:deploy` is 3, and `b` is a failed change that was
    repaired after 6 hours.

    Unchanged: `failed_deployments_30d` is 0, and `lead_time_commits_30d` is 1.
    """
    deploying.chain('a', 'b', hours=50)
    old = deploying.add(1, 'success', hours=30, workflow=5, name='Deploy', head_sha='a')
    deploying.add(2, 'success', hours=10, workflow=5, name='Deploy', head_sha='b')
    deploying.run_again(old, 'success', hours=4)
    found = figures(Driver.of(deploying).run(), 'environment:deploy')
    assert (found[DEPLOYMENTS], found[FAILED], found['recovery_hours.max']) == (3, 1, 6)
    assert (found['failed_deployments_30d'], found['lead_time_commits_30d']) == (0, 1)


@case('D', 'https://github.com/max-sixty/tend/pull/838')
def test_an_agent_that_was_off_for_forty_days(deploying):
    """The Agent stands still for 40 days, in which a workflow deploys.

    The workflow `Deploy` deployed `a` a day before the Agent was stopped, `b` 5 days after that, and `c` 35 days after
    that.

    Right: With `source: workflow`, `lead_time_commits_30d` is 1: `c` alone is new since the deployment of `b`, although
    that run is older than the 30 days in which a run can be run again.

    Unchanged: `deployments_30d` is 1, and `failed_deployments_30d` is 0.
    """
    deploying.chain('a', 'b', 'c')
    deploying.add(1, 'success', hours=24, workflow=5, name='Deploy', head_sha='a')
    driver = Driver.of(deploying)
    driver.run()
    deploying.add(2, 'success', hours=-5 * 24, workflow=5, name='Deploy', head_sha='b')
    deploying.add(3, 'success', hours=-35 * 24, workflow=5, name='Deploy', head_sha='c')
    deploying.pass_time(40 * 86400)
    found = figures(driver.run(), 'environment:deploy')
    assert (found[DEPLOYMENTS], found['failed_deployments_30d']) == (1, 0)
    assert found['lead_time_commits_30d'] == 1


@case('A', 'https://github.com/badges/shields/issues/8146')
def test_runs_that_do_not_deploy(deploying):
    """Runs that do not count as deployments.

    The workflow `deploy` ran on main, for a pull request from the branch main of a fork, and on a release branch. A run
    on main failed. Another workflow is called `tests`.

    Right: `deployments_30d` is 1, and `failed_deployments_30d` is 1.

    Unchanged: There is no `environment:tests`.
    """
    deploying.chain('a')
    fields = {'workflow': 5, 'name': 'deploy', 'head_sha': 'a'}
    deploying.add(1, 'success', hours=30, **fields)
    deploying.add(2, 'success', hours=20, **fields, event='pull_request', head_repository={'id': 9})
    deploying.add(3, 'success', hours=15, **fields, head_branch='release/2')
    deploying.add(4, 'failure', hours=10, **fields)
    deploying.add(5, 'success', hours=5, name='tests')
    run = Driver.of(deploying).run()
    found = figures(run, 'environment:deploy')
    assert (found[DEPLOYMENTS], found['failed_deployments_30d']) == (1, 1)
    assert len(run.series(DORA + DEPLOYMENTS)) == 1


@case('C', 'https://github.com/jsboige/CoursIA/issues/11857')
def test_a_pattern_that_matches_no_workflow(deploying):
    """A workflow was renamed.

    Option `workflows` says `deploy*`, and the workflow is called `Release` now.

    Right: No figure is sent, and the service check is WARNING with a message that names the pattern.

    Unchanged: `ci.workflow_runs_7d` is 1.
    """
    deploying.add(1, 'success', hours=3, workflow=5, name='Release')
    run = Driver.of(deploying).run()
    assert not [name for name in run.names if name.startswith(DORA)]
    assert run.status == AgentCheck.WARNING
    assert 'deploy*' in run.message
    assert run.value('metta.github.ci.workflow_runs_7d') == 1


@case('B', 'https://docs.github.com/en/actions/how-tos/manage-workflow-runs/re-run-workflows-and-jobs')
def test_a_run_of_two_weeks_ago_is_run_again(deploying):
    """A run of two weeks ago is run again.

    The workflow deployed `a` 15 days ago and `b` 10 days ago. While the check runs, somebody runs the run of `a` again.

    Right: `deployments_30d` rises to 3 within a day, and `failed_changes_30d` to 1.

    Unchanged: In the refreshes before, the check asks for the runs of the last week only.
    """
    deploying.chain('a', 'b', hours=500)
    old = deploying.add(1, 'success', hours=360, workflow=5, name='deploy', head_sha='a')
    deploying.add(2, 'success', hours=240, workflow=5, name='deploy', head_sha='b')
    driver = Driver.of(deploying)
    assert figures(driver.run(), 'environment:deploy')[DEPLOYMENTS] == 2
    deploying.run_again(old, 'success', hours=1)
    deploying.pass_time(900)
    assert figures(driver.run(), 'environment:deploy')[DEPLOYMENTS] == 2
    deploying.pass_time(24 * 3600)
    found = figures(driver.run(), 'environment:deploy')
    assert (found[DEPLOYMENTS], found[FAILED]) == (3, 1)
