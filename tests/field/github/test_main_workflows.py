"""The workflows and the runs that decide about the default branch."""

from __future__ import annotations

import pytest
from datadog_checks.base import AgentCheck

from metta_checks.testing import Driver

from ..case import case

M = 'metta.github.'
PASSING = f'{M}ci.tests_passing_on_main'


@case('A', 'https://github.com/badges/shields/issues/8146')
def test_two_workflows_with_one_name(actions):
    """Two files declare the same `name:`.

    Both workflows are called `tests`. The older run of one failed, the newer run of the other passed.

    Right: `ci.tests_passing_on_main` is 0, because one of the two fails. `ci.runs_7d` adds the runs of both up under
    one tag value.

    Unchanged: `ci.workflow_runs_7d` is 2.
    """
    actions.add(1, 'failure', hours=3, workflow=1)
    actions.add(2, 'success', hours=2, workflow=2)
    run = Driver.of(actions, required_workflows=['tests']).run()
    assert run.value(PASSING) == 0
    found = {tags: value for tags, value in run.series(f'{M}ci.runs_7d').items() if 'workflow:tests' in tags}
    assert sorted(found.values()) == [1, 1]
    assert run.value(f'{M}ci.workflow_runs_7d') == 2


@case('A', 'https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#name')
def test_a_renamed_workflow(actions):
    """Somebody changes the `name:` of a required workflow.

    It failed under its old name, and passed under its new one. The id is the same.

    Right: `ci.tests_passing_on_main` is 1, whichever of the two names the option has. All runs have the new name in
    the tag `workflow`.

    Unchanged: `ci.failed_workflows_7d` is 1.
    """
    actions.add(1, 'failure', hours=9, name='tests')
    actions.add(2, 'success', hours=1, name='unit tests')
    for name in ('tests', 'unit tests'):
        run = Driver.of(actions, required_workflows=[name]).run()
        assert run.value(PASSING) == 1
        assert {tag for tags in run.series(f'{M}ci.runs_7d') for tag in tags if tag.startswith('workflow:')} == {
            'workflow:unit_tests'
        }
        assert run.value(f'{M}ci.failed_workflows_7d') == 1


@case('A', 'https://github.com/jsboige/CoursIA/issues/11857')
def test_a_broken_workflow_file(actions):
    """A push breaks the file of a required workflow.

    The next run ends in startup_failure, and its name is the path of the file.

    Right: `ci.tests_passing_on_main` is 0, with one event, and the run counts under the name of the workflow.

    Unchanged: There is no warning.
    """
    actions.add(1, 'success', hours=9)
    driver = Driver.of(actions, required_workflows=['tests'])
    driver.run()
    actions.add(2, 'startup_failure', hours=0, name='.github/workflows/tests.yml')
    actions.pass_time(900)
    run = driver.run()
    assert (run.value(PASSING), len(run.events), run.warnings) == (0, 1, [])
    assert run.value(f'{M}ci.runs_7d', 'workflow:tests', 'conclusion:startup_failure') == 1


@case('A', 'https://github.com/refined-github/refined-github/pull/6543')
def test_a_deleted_workflow(actions):
    """The file of a failing workflow is deleted.

    Two workflows are required. One fails, and its file is deleted from the default branch. GitHub still lists the
    workflow as active.

    Right: `ci.tests_passing_on_main` becomes 1 with the next refresh, with one event, and the time until then stays in
    `main.red_hours_7d`.

    Unchanged: `ci.failed_workflows_7d` is 1.
    """
    actions.add(1, 'success', hours=3, workflow=1, name='tests')
    actions.add(2, 'failure', hours=2 + 1 / 6, workflow=2, name='lint')
    driver = Driver.of(actions, required_workflows=['*'])
    assert driver.run().value(PASSING) == 0
    actions.files.remove('.github/workflows/lint.yml')
    actions.pass_time(3600)
    run = driver.run()
    assert run.value(PASSING) == 1
    assert [event['msg_title'] for event in run.events] == ['metta/one: main is green again']
    assert run.value(f'{M}main.red_hours_7d') == pytest.approx(3)
    assert run.value(f'{M}ci.failed_workflows_7d') == 1


@case('C')
def test_a_pattern_that_matches_nothing(actions):
    """One of two required workflows does not exist.

    The option names `tests`, which passes, and `e2e`, which is not the name of any workflow.

    Right: `ci.tests_passing_on_main` is absent, and the service check is WARNING and names `e2e`.

    Unchanged: The benchmarks, of which there are none either, need no warning: nobody set their option.
    """
    actions.add(1, 'success', hours=3)
    run = Driver.of(actions, required_workflows=['tests', 'e2e']).run()
    assert run.value(PASSING) is None
    assert run.status == AgentCheck.WARNING
    assert "no workflow of metta/one matches 'e2e'" in run.message
    assert 'benchmark' not in ' '.join(run.warnings)


@case('C')
def test_a_required_workflow_that_never_ran(actions):
    """A required workflow has a file, but no run.

    Both workflows fit the pattern. One passes, the other one is only registered.

    Right: `ci.tests_passing_on_main` is absent, and the service check is WARNING and names the workflow.

    Unchanged: `main.red_hours_7d` is 0: no required workflow failed.
    """
    actions.add(1, 'success', hours=3, name='tests linux')
    actions.register(9, 'tests windows')
    run = Driver.of(actions, required_workflows=['tests *']).run()
    assert run.value(PASSING) is None
    assert "workflow 'tests windows' of metta/one has no run on the default branch" in run.message
    assert run.value(f'{M}main.red_hours_7d') == 0


@case('C')
def test_a_failure_is_known_although_another_workflow_is_not(actions):
    """One required workflow fails, another pattern matches nothing.

    The option names `tests`, which fails, and `e2e`, which is not the name of any workflow.

    Right: `ci.tests_passing_on_main` is 0: whatever the other one is, the branch does not pass.

    Unchanged: The service check is WARNING.
    """
    actions.add(1, 'failure', hours=3)
    run = Driver.of(actions, required_workflows=['tests', 'e2e']).run()
    assert (run.value(PASSING), run.status) == (0, AgentCheck.WARNING)


@case('C', 'https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#name')
def test_brackets_in_a_name(actions):
    """Brackets in the name of a required workflow.

    The workflow is called `Tests [linux]`, and the option says so. In a shell pattern, brackets are a set of
    characters.

    Right: `Tests [linux]` matches the workflow of this name, so `ci.tests_passing_on_main` is 1.

    Unchanged: There is no warning.
    """
    actions.add(1, 'success', hours=3, name='Tests [linux]')
    run = Driver.of(actions, required_workflows=['Tests [linux]']).run()
    assert (run.value(PASSING), run.warnings) == (1, [])


@case(
    'D',
    'https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows#issue_comment',
)
def test_a_failed_run_for_a_comment(actions):
    """A workflow that also runs for comments on issues.

    GitHub runs it on the default branch for each comment. The run for the last push passed, the one for a later
    comment failed.

    Right: `ci.tests_passing_on_main` is 1. With issue_comment in option `required_events` it is 0.

    Unchanged: `ci.failed_workflows_7d` is 1.
    """
    actions.add(1, 'success', hours=3)
    actions.add(2, 'failure', hours=2, event='issue_comment')
    run = Driver.of(actions, required_workflows=['tests']).run()
    assert (run.value(PASSING), run.value(f'{M}ci.failed_workflows_7d')) == (1, 1)
    both = Driver.of(actions, required_workflows=['tests'], required_events=['push', 'issue_comment']).run()
    assert both.value(PASSING) == 0


@case(
    'D',
    'https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows#schedule',
    guard=True,
)
@pytest.mark.parametrize('event', ['schedule', 'workflow_dispatch'])
def test_a_failed_nightly_run(actions, event):
    """A nightly run of the default branch, or one that somebody started, fails.

    The run for the last push passed. A later run for schedule or workflow_dispatch failed.

    Right: `ci.tests_passing_on_main` is 0.

    Unchanged: `ci.workflow_runs_7d` is 2.
    """
    actions.add(1, 'success', hours=3)
    actions.add(2, 'failure', hours=2, event=event)
    run = Driver.of(actions, required_workflows=['tests']).run()
    assert (run.value(PASSING), run.value(f'{M}ci.workflow_runs_7d')) == (0, 2)


@case(
    'D',
    'https://docs.github.com/en/repositories/configuring-branches-and-merges-in-your-repository/configuring-pull-request-merges/managing-a-merge-queue',
)
def test_checks_that_run_in_the_merge_queue_only(actions):
    """The required workflow runs for merge_group only, never for a push.

    Its runs are on branches of the queue, gh-readonly-queue/main/pr-8-<commit>. The last one passed.

    Right: `ci.tests_passing_on_main` is 1.

    Unchanged: A run of the queue of another branch does not decide.
    """
    queue = {'event': 'merge_group', 'head_sha': 'c' * 40}
    actions.add(1, 'success', hours=3, head_branch='gh-readonly-queue/main/pr-8-c0ffee', **queue)
    actions.add(2, 'failure', hours=2, head_branch='gh-readonly-queue/release/pr-9-c0ffee', **queue)
    run = Driver.of(actions, required_workflows=['tests']).run()
    assert (run.value(PASSING), run.warnings) == (1, [])


@case(
    'D',
    'https://docs.github.com/en/repositories/configuring-branches-and-merges-in-your-repository/configuring-pull-request-merges/managing-a-merge-queue',
)
def test_a_failure_in_the_merge_queue(actions):
    """A run of the merge queue fails.

    GitHub takes the pull request out of the queue, so that its commit never lands on the default branch. In a second
    repository, the queue does not need the checks: the commit lands.

    Right: `ci.tests_passing_on_main` stays 1 in the first, and is 0 in the second.

    Unchanged: `ci.failed_workflows_7d` is 1.
    """
    branch = 'gh-readonly-queue/main/pr-8-c0ffee'
    actions.add(1, 'success', hours=3)
    failed = actions.add(2, 'failure', hours=2, event='merge_group', head_branch=branch, head_sha='d' * 40)
    driver = Driver.of(actions, required_workflows=['tests'])
    run = driver.run()
    assert (run.value(PASSING), run.value(f'{M}ci.failed_workflows_7d')) == (1, 1)
    failed['head_sha'] = actions.commits[0]['oid']
    landed = Driver.of(actions, required_workflows=['tests'], max_workflows=29).run()
    assert landed.value(PASSING) == 0


@case(
    'A',
    'https://docs.github.com/en/repositories/configuring-branches-and-merges-in-your-repository/managing-branches-in-your-repository/renaming-a-branch',
)
def test_a_renamed_default_branch(actions):
    """The default branch is renamed while it is red.

    The runs so far keep the old name of the branch.

    Right: `ci.tests_passing_on_main` stays 0, without an event, until a run under the new name passes.

    Unchanged: `main.red_hours_7d` goes on.
    """
    actions.add(1, 'failure', hours=2 + 1 / 6)
    driver = Driver.of(actions, required_workflows=['tests'])
    driver.run()
    overview = actions.overview
    actions.overview = lambda: {
        **(found := overview()),
        'defaultBranchRef': {**found['defaultBranchRef'], 'name': 'trunk'},
    }
    actions.pass_time(3600)
    run = driver.run()
    assert (run.value(PASSING), run.events) == (0, [])
    assert run.value(f'{M}main.red_hours_7d') == pytest.approx(3)
    actions.add(2, 'success', hours=-1, head_branch='trunk')
    actions.pass_time(3600)
    run = driver.run()
    assert (run.value(PASSING), len(run.events)) == (1, 1)
