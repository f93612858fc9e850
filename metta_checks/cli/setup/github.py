"""GitHub: an organization, or single repositories."""

from __future__ import annotations

from typing import Any

from metta_checks.core.http import Api, Auth
from metta_checks.github.auth import AppAuth, TokenAuth
from metta_checks.github.check import REMEDIES

from .asking import Service, rows, unconfigured
from .form import Choice, Form

API = 'https://api.github.com'
PER_PAGE = '100'


def fill(form: Form) -> None:
    """Ask for server, token or App, and the organization or the repositories."""
    form.text('api_url', 'Address of the API', API)
    if form.has('app_id'):
        form.text('app_installation_id', 'Id of the installation of the App')
        form.secret('app_private_key', 'Private key of the App')
    else:
        form.secret('token', 'Token')
    if form.has('repositories'):
        return
    form.choose('organization', 'Organization', lambda: _organizations(form), optional=True)
    if not form.has('organization'):
        form.choose('repositories', 'Repositories', lambda: _repositories(form), several=True)


def _organizations(form: Form) -> list[Choice]:
    """Return the organizations that the token sees, or those with repositories of the installation."""
    if form.has('token'):
        answer = _service(form).get('user/orgs', per_page=PER_PAGE)
        return rows(lambda: (Choice(str(row['login'])) for row in answer))
    owners = rows(lambda: (row['owner'] for row in _installed(form)))
    names = rows(lambda: (str(owner['login']) for owner in owners if owner['type'] == 'Organization'))
    return [Choice(name) for name in dict.fromkeys(names)]


def _repositories(form: Form) -> list[Choice]:
    """Return the repositories that were pushed to last, or those of the installation."""
    if form.has('token'):
        found = _service(form).get('user/repos', per_page=PER_PAGE, sort='pushed')
    else:
        found = _installed(form)
    return rows(lambda: (Choice(str(row['full_name'])) for row in found))


def _installed(form: Form) -> Any:
    answer = _service(form).get('installation/repositories', per_page=PER_PAGE)
    return rows(lambda: answer['repositories'])


def _service(form: Form) -> Service:
    check = unconfigured('github', form)

    def auth(api: Api) -> Auth:
        if form.has('token'):
            return TokenAuth(form.resolved('token'))
        ids = (str(form.values['app_id']), str(form.values['app_installation_id']))
        found = AppAuth(api, *ids, form.resolved('app_private_key'), check.now)
        found.register_secret = check.register_secret
        return found

    return Service(check, str(form.values['api_url']), 'GitHub', auth, REMEDIES)
