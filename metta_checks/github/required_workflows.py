"""Finds the workflows that decide about the default branch, and their newest verdicts.

The options name workflows by patterns. The runs of the window tell most of what is needed. GitHub's list of workflows
tells which ones were deleted and which never ran; the runs of a single workflow tell how it stood before the window.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from ..core.errors import NotFound, SourceError
from ..core.times import Window
from .branch_history import BranchHistory, DefaultBranch, Selection
from .client import Client
from .measures.ci import DEFAULT_BENCHMARKS, CiSettings, matches
from .repository import Repository
from .run_records import Run, WorkflowKey
from .verdicts import MainRuns
from .workflow_list import WorkflowList, is_stale

# Requests for lists of workflows and for runs before the window in one refresh.
MAX_REQUESTS = 12
# After a first crawl through more runs than this, these requests are left to the next refreshes, one each.
LARGE = 1000
# Characters of a shell pattern that can match workflows without any run.
WILDCARDS = frozenset('*?[')

Names = Mapping[WorkflowKey, Collection[str]]


def select(
    patterns: Iterable[str], names: Names, history: BranchHistory, running: Collection[WorkflowKey]
) -> Selection:
    """Return the workflows that patterns select; `running` are those with runs of any kind.

    A workflow of which no run decides, but which has other runs, for example for pull requests only, is left out when
    another workflow decides for the same pattern.
    """
    decided = {one.workflow for one in history.verdicts}
    removed = {one.workflow for one in history.removals}
    chosen: set[WorkflowKey] = set()
    deleted: set[WorkflowKey] = set()
    unmatched, undecided = [], []
    for pattern in patterns:
        every = _fitting(names, (pattern,))
        found = every - removed
        chosen |= found
        deleted |= every & removed
        if not found:
            unmatched.append(pattern)
        lacking = found - decided
        undecided += [min(names[key]) for key in lacking if lacking == found or key not in running]
    return Selection(
        tuple(sorted(chosen, key=str)),
        tuple(sorted(deleted, key=str)),
        tuple(unmatched),
        tuple(sorted(set(undecided))),
    )


def _fitting(names: Names, patterns: Collection[str]) -> set[WorkflowKey]:
    """Return the workflows of which a name fits one of the patterns."""
    return {key for key, some in names.items() if any(matches(name, patterns) for name in some)}


class BranchReader:
    """Brings what is known of the default branch of a repository up to date.

    `report` is called with the errors of requests that did not succeed.
    """

    def __init__(
        self, client: Client, repo: Repository, settings: CiSettings, report: Callable[[SourceError], None]
    ) -> None:
        self._client = client
        self._repo = repo
        self._settings = settings
        self._report = report
        self._left = 0
        # The default pattern of the benchmarks may match nothing: most repositories have none.
        self._benchmarks = () if settings.benchmarks == DEFAULT_BENCHMARKS else settings.benchmarks

    def is_due(self, known: DefaultBranch, window: Window) -> bool:
        """Return whether requests are outstanding that the next refresh sends."""
        lists = (known.listed.workflows, known.listed.files)
        return bool(self._unexplored(known.history, self._followed(known), window.start)) or (
            known.needs_lists and any(is_stale(one, window.end) for one in lists)
        )

    def read(
        self,
        before: DefaultBranch | None,
        runs: Collection[Run],
        main: MainRuns,
        window: Window,
        *,
        is_whole: bool,
    ) -> DefaultBranch:
        """Return the default branch with the verdicts of these runs, which are all of the repository if `is_whole`."""
        history = before.history if before is not None else BranchHistory()
        listed = before.listed if before is not None else WorkflowList()
        names = _names(runs, history, listed)
        followed = _fitting(names, (*self._settings.required, *self._settings.benchmarks))
        history = history.extended(main.all_verdicts(run for run in runs if run.workflow_key in followed))
        if is_whole:
            history = replace(history, explored=tuple(followed))
        running = {run.workflow_key for run in runs if run.created >= window.start}
        known = self._selected(history, names, running, listed)
        self._left = self._budget(cold=before is None, large=len(runs) > LARGE)
        listed = self._listed(known, window.end)
        names = _names(runs, history, listed)
        deleted = [key for key in names if listed.is_deleted(key)]
        history = history.with_removals(deleted, window.start if before is None else window.end)
        known = self._selected(history, names, running, listed)
        history = self._explored(known, main, window.start).shortened(window.start)
        return self._selected(history, names, running, listed)

    def _budget(self, *, cold: bool, large: bool) -> int:
        """Return the number of requests that can wait for a later refresh."""
        if cold:
            return 0 if large else MAX_REQUESTS
        return 1

    def _is_in_order(self, known: DefaultBranch) -> bool:
        selected = (known.required, known.benchmarks) if self._benchmarks else (known.required,)
        return all(one.is_complete and not known.history.failing(one.workflows) for one in selected)

    def _needs_lists(self, selected: Iterable[Selection], running: Collection[WorkflowKey]) -> bool:
        """Return whether the runs of the window do not tell everything: of a pattern, or of a quiet workflow."""
        patterns = (*self._settings.required, *self._benchmarks)
        quiet = any(key not in running for one in selected for key in one.workflows)
        return bool(patterns) and (quiet or any(not WILDCARDS.isdisjoint(one) for one in patterns))

    def _selected(
        self, history: BranchHistory, names: Names, running: Collection[WorkflowKey], listed: WorkflowList
    ) -> DefaultBranch:
        required = select(self._settings.required, names, history, running)
        benchmarks = select(self._settings.benchmarks, names, history, running)
        needs_lists = self._needs_lists((required, benchmarks) if self._benchmarks else (required,), running)
        return DefaultBranch(history, required, benchmarks, listed, needs_lists)

    def gaps(self, branch: DefaultBranch) -> list[str]:
        """Return messages about patterns and workflows that decide nothing."""
        found = branch.required.gaps('required_workflows', self._repo.full_name)
        if self._benchmarks:
            found += branch.benchmarks.gaps('benchmark_workflows', self._repo.full_name)
        return found

    def _listed(self, branch: DefaultBranch, now: datetime) -> WorkflowList:
        """Return GitHub's lists: read again in every refresh while something is wrong, else once a day if needed."""
        known = branch.listed
        workflows, files = known.workflows, known.files
        is_wrong = bool(self._settings.required or self._benchmarks) and not self._is_in_order(branch)
        owner, name = self._repo.owner, self._repo.name
        try:
            if is_wrong or (branch.needs_lists and is_stale(workflows, now) and self._spend()):
                workflows = self._client.workflows(owner, name, workflows, now)
            if is_wrong or (branch.needs_lists and is_stale(files, now) and self._spend()):
                files = self._client.workflow_files(owner, name, files, now)
        except SourceError as error:
            self._fail(error)
        return WorkflowList(workflows, files)

    def _spend(self) -> bool:
        """Return whether one more request may be sent, which counts it."""
        self._left -= 1
        return self._left >= 0

    def _followed(self, known: DefaultBranch) -> list[WorkflowKey]:
        keys = (*known.required.workflows, *(known.benchmarks.workflows if self._benchmarks else ()))
        return list(dict.fromkeys(keys))

    def _unexplored(
        self, history: BranchHistory, workflows: Iterable[WorkflowKey], start: datetime
    ) -> list[WorkflowKey]:
        return [key for key in workflows if not history.knows_state_at(start, (key,))]

    def _explored(self, known: DefaultBranch, main: MainRuns, start: datetime) -> BranchHistory:
        """Return the history with the state of each workflow before the window."""
        history = known.history
        branch = self._repo.branch
        if branch is None:
            return history
        for key in self._unexplored(history, self._followed(known), start):
            found: Iterable[Run] = ()
            try:
                if isinstance(key, int):
                    if not self._spend():
                        break
                    found = self._client.runs_before(self._repo.owner, self._repo.name, key, branch, start)
            except NotFound:
                pass
            except SourceError as error:
                self._fail(error)
                break
            history = history.extended(main.all_verdicts(found))
            history = replace(history, explored=(*history.explored, key))
        return history

    def _fail(self, error: SourceError) -> None:
        if error.fatal:
            raise error
        self._report(error)


def _names(runs: Iterable[Run], history: BranchHistory, listed: WorkflowList) -> Names:
    """Return all known names of each workflow."""
    names: dict[WorkflowKey, set[str]] = defaultdict(set)
    for run in runs:
        names[run.workflow_key].add(run.workflow)
    for verdict in history.verdicts:
        names[verdict.workflow].add(verdict.name)
    for one in listed.registered:
        names[one.key].add(one.name)
    return names
