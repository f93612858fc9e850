"""A GitHub whose workflow runs have attempts, and whose workflows have ids, files and registrations."""

from __future__ import annotations

from typing import Any

from werkzeug.wrappers import Request, Response

from tests.github.scripted import ScriptedGitHub, ago, workflow_run

PATHS = {1: '.github/workflows/tests.yml', 2: '.github/workflows/lint.yml'}


class ActionsGitHub(ScriptedGitHub):
    """Serves metta/one without any run. `log` holds the requests.

    Attributes:
        attempts: the rows of earlier attempts, by run and number
        registered: name and path of the workflows that GitHub lists, by id
        files: the paths of the files in .github/workflows on the default branch
    """

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[dict[str, Any]] = []
        self.attempts: dict[tuple[int, int], dict[str, Any]] = {}
        self.registered: dict[int, tuple[str, str]] = {}
        self.files: set[str] = set()

    def register(self, workflow: int, name: str) -> None:
        """Add a workflow that has a file on the default branch."""
        path = PATHS.get(workflow, f'.github/workflows/{workflow}.yml')
        self.registered[workflow] = name, path
        self.files.add(path)

    def add(
        self,
        number: int,
        conclusion: str | None,
        *,
        hours: float,
        workflow: int = 1,
        name: str = 'tests',
        **fields: Any,
    ) -> dict[str, Any]:
        """Add a run of ten minutes on main, created `hours` ago. `conclusion` None: in progress."""
        if workflow not in self.registered:
            self.register(workflow, name)
        path = self.registered[workflow][1]
        row = workflow_run(number, name, conclusion, hours=hours, workflow_id=workflow, path=path)
        self.runs.append({**row, **fields})
        return self.runs[-1]

    def run_again(self, row: dict[str, Any], conclusion: str | None, *, hours: float, minutes: float = 10) -> None:
        """Begin another attempt of a run `hours` ago, which took `minutes`. `conclusion` None: in progress."""
        self.attempts[row['id'], row['run_attempt']] = dict(row)
        row.update(
            run_attempt=row['run_attempt'] + 1,
            status='completed' if conclusion else 'in_progress',
            conclusion=conclusion,
            run_started_at=ago(hours=hours),
            updated_at=ago(hours=hours, minutes=-minutes) if conclusion else ago(hours=hours),
        )

    def end(self, row: dict[str, Any], conclusion: str, *, hours: float) -> None:
        """End the last attempt of a run, `hours` ago."""
        row.update(status='completed', conclusion=conclusion, updated_at=ago(hours=hours))

    def rest(self, request: Request, what: str) -> Response:
        """Answer a request to REST."""
        _, _, place = request.path.partition('/metta/one/')
        match place.split('/'):
            case ['actions', 'runs', number, 'attempts', attempt]:
                row = self.attempts.get((int(number), int(attempt)))
                return self.json({'message': 'Not Found'}, 404) if row is None else self.json(row)
            case ['actions', 'workflows']:
                rows = [
                    {'id': key, 'name': name, 'path': path, 'state': 'active'}
                    for key, (name, path) in self.registered.items()
                ]
                return self.json({'total_count': len(rows), 'workflows': rows})
            case ['actions', 'workflows', key, 'runs']:
                earliest, latest = request.args['created'].split('..')
                found = [
                    run
                    for run in self.runs
                    if run['workflow_id'] == int(key)
                    and earliest <= run['created_at'] <= latest
                    and run['head_branch'] == request.args.get('branch', run['head_branch'])
                ]
                found.sort(key=lambda run: run['created_at'], reverse=True)
                page = found[: int(request.args['per_page'])]
                return self.json({'total_count': len(found), 'workflow_runs': page})
            case ['contents', '.github', 'workflows']:
                return self.json([{'path': path, 'type': 'file'} for path in sorted(self.files)])
        return self._tagged(request, super().rest(request, what))

    def _tagged(self, request: Request, response: Response) -> Response:
        """Return the answer with an ETag, which belongs to the token, or 304 if the request names it."""
        response.set_etag(f'{hash((response.get_data(), request.headers["Authorization"])):x}')
        return response.make_conditional(request)
