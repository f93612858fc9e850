"""Asana: a workspace, and the project whose tasks are bugs."""

from __future__ import annotations

from metta_checks.asana.client import REMEDIES
from metta_checks.core.http import BearerAuth

from .asking import Service, rows, unconfigured
from .form import Choice, Form

API = 'https://app.asana.com/api/1.0'
LIMIT = '100'


def fill(form: Form) -> None:
    """Ask for token, workspace and Bugs project."""
    form.secret('access_token', 'Access token')
    form.choose('workspace_gid', 'Workspace', lambda: _workspaces(form))
    form.choose('bugs_project_gid', 'Project whose tasks are bugs', lambda: _projects(form), optional=True)


def _service(form: Form) -> Service:
    url = str(form.values.get('api_url') or API)
    token = form.resolved('access_token')
    return Service(unconfigured('asana', form), url, 'Asana', lambda _: BearerAuth(token), REMEDIES)


def _workspaces(form: Form) -> list[Choice]:
    answer = _service(form).get('users/me', opt_fields='workspaces.name')
    return rows(lambda: (Choice(str(row['gid']), str(row['name'])) for row in answer['data']['workspaces']))


def _projects(form: Form) -> list[Choice]:
    """Return the projects of the workspace, those with "bug" in their name first."""
    answer = _service(form).get(
        'projects', workspace=form.values['workspace_gid'], archived='false', opt_fields='name', limit=LIMIT
    )
    found = rows(lambda: (Choice(str(row['gid']), str(row['name'])) for row in answer['data']))
    return sorted(found, key=lambda one: ('bug' not in one.name.lower(), one.name))
