"""The state of the default branch: the ends of the attempts of its runs, in their order.

A run decides by the newest of its attempts that passed or failed. Of several runs of a workflow, the one that was
created last decides. Before the first run of the week, the newest runs before it do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from github import GithubException
from github.WorkflowRun import WorkflowRun

from .reading import Reading, Row, hours, matches, spread

PASSED = ('success', 'neutral')
FAILED = ('failure', 'timed_out', 'startup_failure')
EVENTS = ('push', 'merge_group', 'schedule', 'workflow_dispatch')
WORKFLOW_FOLDER = '.github/workflows'
ROLLUPS = """
query($owner: String!, $name: String!) {
  repository(owner: $owner, name: $name) {
    defaultBranchRef { target { ... on Commit { history(first: 20) { nodes { statusCheckRollup { state } } } } } }
  }
}
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of an attempt that passed or failed, with the workflow and the place of its run among all runs."""

    moment: datetime
    run: tuple[datetime, int]
    workflow: int
    passed: bool


def is_of_default_branch(reading: Reading, run: WorkflowRun) -> bool:
    """Return whether a run is about the default branch of the repository itself, not of a fork."""
    named = run.head_branch == reading.repository.default_branch and not run.event.startswith('pull_request')
    # None: the fork was deleted.
    head = run.head_repository if named else None
    return head is not None and head.id == reading.repository.id


class DefaultBranch:
    """The verdicts about the default branch.

    Args:
        reading: the repository
        runs: the runs of the week
        attempts: returns all attempts of a run
        names: names of the workflows by their number
        followed: patterns of the workflows whose runs before the week are read, too
    """

    def __init__(
        self,
        reading: Reading,
        runs: Iterable[WorkflowRun],
        attempts: Callable[[WorkflowRun], list[WorkflowRun]],
        names: Mapping[int, str],
        followed: list[str],
    ) -> None:
        self.reading = reading
        self.names = dict(names)
        self.events = tuple(reading.option('required_events', EVENTS))
        self._running = {run.workflow_id for run in runs}
        files = self._files() if followed else None
        self._gone = set() if files is None else {run.workflow_id for run in runs if run.path not in files}
        verdicts = [verdict for run in runs for verdict in self._verdicts(run, attempts(run))]
        if followed:
            verdicts += self._before_the_week(followed)
        self.verdicts = sorted(verdicts, key=lambda verdict: verdict.moment)

    def _files(self) -> set[str] | None:
        """Return the paths of the files of workflows; None when GitHub does not show them."""
        try:
            found = self.reading.repository.get_contents(WORKFLOW_FOLDER)
        except GithubException as error:
            if error.status in (403, 404):
                return None
            raise
        return {file.path for file in (found if isinstance(found, list) else [found])}

    def _before_the_week(self, followed: list[str]) -> Iterator[Verdict]:
        """Yield verdicts of the newest hundred runs before the week, by workflow."""
        before = f'<{self.reading.start:%Y-%m-%dT%H:%M:%SZ}'
        for workflow in self.reading.repository.get_workflows():
            name = self.names.setdefault(workflow.id, workflow.name)
            if matches(name, followed):
                branch = self.reading.repository.default_branch
                page = workflow.get_runs(branch=branch, created=before, exclude_pull_requests=True).get_page(0)
                for run in page:
                    yield from self._verdicts(run, [run])

    def _verdicts(self, run: WorkflowRun, attempts: list[WorkflowRun]) -> Iterator[Verdict]:
        if run.workflow_id in self._gone or run.event not in self.events:
            return
        queue = f'gh-readonly-queue/{self.reading.repository.default_branch}/'
        queued = run.event == 'merge_group' and (run.head_branch or '').startswith(queue)
        if not queued and not is_of_default_branch(self.reading, run):
            return
        for attempt in attempts:
            # A failure in the merge queue keeps its commits out of the branch.
            decides = attempt.conclusion in PASSED or (attempt.conclusion in FAILED and not queued)
            if decides and attempt.updated_at <= self.reading.now:
                passed = attempt.conclusion in PASSED
                yield Verdict(attempt.updated_at, (run.created_at, run.id), run.workflow_id, passed)

    def _states(self, patterns: list[str]) -> list[tuple[datetime, bool]]:
        """Return the time of each verdict and whether the branch was green then."""
        deciding: dict[int, Verdict] = {}
        states = []
        for verdict in self.verdicts:
            if matches(self.names[verdict.workflow], patterns):
                last = deciding.get(verdict.workflow, verdict)
                deciding[verdict.workflow] = max(last, verdict, key=lambda one: (one.run, one.moment))
                states.append((verdict.moment, all(one.passed for one in deciding.values())))
        return states

    def passing(self, patterns: list[str]) -> float | None:
        """Return 1 if every matching workflow passes on the default branch, 0 if one fails; None: it is not known."""
        states = self._states(patterns)
        if states and not states[-1][1]:
            return 0.0
        return 1.0 if states and self._all_decided(patterns) else None

    def _all_decided(self, patterns: list[str]) -> bool:
        """Return whether every pattern has a workflow that passed or failed, and none that never ran.

        A workflow that runs for other events only, such as pull requests, is not waited for.
        """
        decided = {verdict.workflow for verdict in self.verdicts}
        for pattern in patterns:
            found = {key for key, name in self.names.items() if matches(name, [pattern])} - self._gone
            if found.isdisjoint(decided) or found - decided - self._running:
                return False
        return True

    def rollup(self) -> float | None:
        """Return whether the newest commit whose checks have ended passed them; None without such a commit."""
        reference = self.reading.graphql(ROLLUPS)['defaultBranchRef'] or {}
        for node in (reference.get('target') or {'history': {'nodes': []}})['history']['nodes']:
            state = (node['statusCheckRollup'] or {}).get('state')
            if state in ('SUCCESS', 'FAILURE', 'ERROR'):
                return float(state == 'SUCCESS')
        return None

    def red_and_green(self, patterns: list[str]) -> Iterator[Row]:
        """Yield the red hours of the week, the time since green, and the times to green again."""
        start, now = self.reading.start, self.reading.now
        states = self._states(patterns)
        if not states:
            return
        # The first state, and those that differ from the one before.
        changes = [states[0], *(new for old, new in pairwise(states) if old[1] != new[1])]
        spells = [
            (moment, end)
            for (moment, green), (end, _) in zip(changes, [*changes[1:], (now, True)], strict=True)
            if not green
        ]
        yield 'main.red_hours_7d', sum(hours(max(begin, start), end) for begin, end in spells), {}
        last_change, green = changes[-1]
        known = len(changes) > 1 and last_change >= start
        yield 'main.last_green_age_hours', 0.0 if green else hours(last_change, now) if known else None, {}
        ended = spells if green else spells[:-1]
        lengths = [hours(begin, end) for begin, end in ended if end >= start]
        yield from spread('main.time_to_green_hours', lengths, ('p50', 'max'))
