"""GitHub: an organization, or single repositories."""

from __future__ import annotations

from .asking import Service, rows
from .form import Choice, Form

API = 'https://api.github.com'
PER_PAGE = '100'


def fill(form: Form) -> None:
    """Ask for server, token, and the organization or the repositories."""
    form.text('api_url', 'Address of the API', API)
    if not form.has('app_id'):
        form.secret('token', 'Token')
    if form.has('repositories'):
        return
    form.choose('organization', 'Organization', lambda: _listed(form, 'orgs', 'login'), optional=True)
    if not form.has('organization'):
        form.choose('repositories', 'Repositories', lambda: _listed(form, 'repos', 'full_name'), several=True)


def _listed(form: Form, kind: str, field: str) -> list[Choice]:
    """Return the newest objects of a kind that the token sees."""
    if not form.has('token'):
        # An App has no list of its own without a signed token.
        return []
    headers = {'Authorization': f'Bearer {form.resolved("token")}', 'Accept': 'application/vnd.github+json'}
    service = Service(form.values['api_url'], form.values, headers)
    answer = service.get(f'/user/{kind}', per_page=PER_PAGE, **({'sort': 'pushed'} if kind == 'repos' else {}))
    return rows(lambda: (Choice(str(row[field])) for row in answer))
