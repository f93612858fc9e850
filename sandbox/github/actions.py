"""REST routes below `/actions`: workflow runs, their attempts and jobs, workflows, self-hosted runners."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.wrappers import Request, Response

from .access import Refused
from .connections import Places, Rows
from .jobs import jobs_of
from .model import Repository, Run, Runner
from .paging import Page, parse_created
from .shapes import Shapes
from .site import Site

# GitHub lists at most this many runs of any filter ...
FILTERED_RUNS = 1_000
# ... and this many without a filter.
UNFILTERED_RUNS = 40_000
RUN_FILTERS = ('actor', 'branch', 'event', 'status', 'created', 'head_sha', 'check_suite_id')
PATHS = {
    '/actions/runs': 'runs',
    '/actions/runs/<int:number>': 'run',
    '/actions/runs/<int:number>/jobs': 'jobs',
    '/actions/runs/<int:number>/approvals': 'approvals',
    '/actions/runs/<int:number>/attempts/<int:attempt>': 'attempt',
    '/actions/runs/<int:number>/attempts/<int:attempt>/jobs': 'attempt_jobs',
    '/actions/workflows': 'workflows',
    '/actions/workflows/<workflow>': 'workflow',
    '/actions/workflows/<workflow>/runs': 'workflow_runs',
    '/actions/runners': 'runners',
}


class Actions:
    """Answers the GET requests about the workflow runs of a repository."""

    def __init__(self, site: Site, shapes: Callable[[], Shapes]) -> None:
        self.site = site
        self._shapes = shapes

    # Workflow runs.

    def runs(self, request: Request, repository: Repository) -> Response:
        """List workflow runs, the newest first. Any filter makes rows after the 1,000th unreachable."""
        return self._runs(request, repository, _run_tests(request.args))

    def workflow_runs(self, request: Request, repository: Repository, workflow: str) -> Response:
        """List the runs of one workflow, by its number or the name of its file."""
        wanted = self._find_workflow(repository, workflow).workflow_id
        tests = [*_run_tests(request.args), lambda run: run.workflow_id == wanted]
        return self._runs(request, repository, tests)

    def _runs(self, request: Request, repository: Repository, tests: list[Callable[[Run], bool]]) -> Response:
        arguments = request.args
        history = repository.runs
        filtered = any(arguments.get(name) for name in RUN_FILTERS)
        low, high = parse_created(arguments['created']) if arguments.get('created') else (None, None)
        rows: Rows[Run] = Places(history, history.between(low, high))
        if tests:
            rows = [run for run in (rows[index] for index in range(len(rows))) if all(test(run) for test in tests)]
        if filtered and (late := self.site.late_index) is not None and late.strikes():
            rows = [] if late.rows is None else [rows[index] for index in range(late.rows, len(rows))]
        total = len(rows)
        reachable = min(total, FILTERED_RUNS if filtered else total)
        page = Page(request, reachable)
        if not filtered and page.number * page.size > UNFILTERED_RUNS:
            raise Refused(422, 'In order to keep the API fast for everyone, pagination is limited for this resource.')
        told = min(total, FILTERED_RUNS) if filtered and self.site.capped_totals else total
        places = list(page.places)
        if self.site.swapped_runs and len(places) > 1:
            # GitHub sorts by creation but does not promise it.
            places[0], places[-1] = places[-1], places[0]
        texts = [self._shapes().run_text(repository, rows[index]) for index in places]
        body = f'{{"total_count": {told}, "workflow_runs": [{", ".join(texts)}]}}'
        return Response(body, 200, page.headers(), content_type='application/json')

    def _find_run(self, repository: Repository, number: int) -> Run:
        for run in repository.runs.recent:
            if run.id == number:
                return run
        raise Refused(404, 'Not Found')

    def run(self, _: Request, repository: Repository, number: int) -> Response:
        """Return a workflow run: its last attempt."""
        return self._run_answer(repository, self._find_run(repository, number))

    def _find_attempt(self, repository: Repository, number: int, attempt: int) -> Run:
        if (found := self._find_run(repository, number).attempt(attempt)) is None:
            raise Refused(404, 'Not Found')
        return found

    def attempt(self, _: Request, repository: Repository, number: int, attempt: int) -> Response:
        """Return a workflow run as it was in one attempt."""
        return self._run_answer(repository, self._find_attempt(repository, number, attempt))

    def _run_answer(self, repository: Repository, run: Run) -> Response:
        return Response(self._shapes().run_text(repository, run), 200, content_type='application/json')

    # Jobs.

    def jobs(self, request: Request, repository: Repository, number: int) -> Response:
        """List the jobs of the last attempt, or with `filter=all` those of every attempt."""
        run = self._find_run(repository, number)
        attempts = run.attempts() if request.args.get('filter') == 'all' else [run]
        return self._jobs(request, repository, attempts)

    def attempt_jobs(self, request: Request, repository: Repository, number: int, attempt: int) -> Response:
        """List the jobs of one attempt."""
        return self._jobs(request, repository, [self._find_attempt(repository, number, attempt)])

    def _jobs(self, request: Request, repository: Repository, attempts: Iterable[Run]) -> Response:
        rows = [(run, job) for run in attempts for job in jobs_of(run)]
        page = Page(request, len(rows))
        found = [self._shapes().job(repository, *rows[index]) for index in page.places]
        return self.site.json({'total_count': page.total, 'jobs': found}, 200, page.headers())

    def approvals(self, _: Request, repository: Repository, number: int) -> Response:
        """List the reviews of the deployments of a run."""
        run = self._find_run(repository, number)
        return self.site.json([self._shapes().approval(repository, run)] if run.is_reviewed else [])

    # Workflows.

    def _workflows(self, repository: Repository) -> list[Run]:
        """Return the newest run of each workflow, which says what the workflow is called."""
        newest: dict[int, Run] = {}
        for run in repository.runs.recent:
            if run.path:
                newest.setdefault(run.workflow_id, run)
        return sorted(newest.values(), key=lambda run: run.workflow_id)

    def _find_workflow(self, repository: Repository, wanted: str) -> Run:
        for run in self._workflows(repository):
            if wanted in (str(run.workflow_id), run.path.rpartition('/')[2]):
                return run
        raise Refused(404, 'Not Found')

    def workflows(self, request: Request, repository: Repository) -> Response:
        """List the workflows that have run."""
        rows = self._workflows(repository)
        page = Page(request, len(rows))
        found = [self._shapes().workflow(repository, rows[index]) for index in page.places]
        return self.site.json({'total_count': page.total, 'workflows': found}, 200, page.headers())

    def workflow(self, _: Request, repository: Repository, workflow: str) -> Response:
        """Return a workflow, by its number or the name of its file."""
        return self.site.json(self._shapes().workflow(repository, self._find_workflow(repository, workflow)))

    # Self-hosted runners.

    def runners(self, request: Request, repository: Repository) -> Response:
        """List the self-hosted runners of a repository."""
        return self.runner_list(request, repository.runners)

    def runner_list(self, request: Request, runners: list[Runner]) -> Response:
        """Return a page of runners."""
        page = Page(request, len(runners))
        rows = [self._shapes().runner(number, runners[number]) for number in page.places]
        return self.site.json({'total_count': page.total, 'runners': rows}, 200, page.headers())


def _run_tests(arguments: Any) -> list[Callable[[Run], bool]]:
    """Return the conditions of the filters other than `created`."""
    tests: list[Callable[[Run], bool]] = []
    if branch := arguments.get('branch'):
        tests.append(lambda run: run.head_branch == branch)
    if event := arguments.get('event'):
        tests.append(lambda run: run.event == event)
    if status := arguments.get('status'):
        tests.append(lambda run: status in (run.status, run.conclusion))
    if head_sha := arguments.get('head_sha'):
        tests.append(lambda run: run.head_sha == head_sha)
    if actor := arguments.get('actor'):
        tests.append(lambda run: run.actor is not None and run.actor.login == actor)
    return tests
