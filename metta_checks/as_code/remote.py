"""Dashboards, monitors and SLOs in Datadog, through the official client.

Requests and answers are plain JSON, not the client's models: these lose the position of unknown fields, and Datadog
knows more fields than any release of the client.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from datadog_api_client import ApiClient
from datadog_api_client.exceptions import ApiException
from urllib3.exceptions import HTTPError, MaxRetryError

from . import marker
from .asset import AssetError
from .canonical import canonical
from .changes import same
from .connection import ATTEMPTS, TIMEOUT, UnusableSetting, configure, is_redirect
from .marker import Marker

PATHS = {'slo': '/api/v1/slo', 'monitor': '/api/v1/monitor', 'dashboard': '/api/v1/dashboard'}
# Objects per page: the maximum that each endpoint documents, or a number known to work.
PAGES = {'slo': 1000, 'monitor': 1000, 'dashboard': 100}
# Permissions of an application key, by kind, that a refusal may be about.
SCOPES = {'slo': 'slos', 'monitor': 'monitors', 'dashboard': 'dashboards'}


class RemoteError(Exception):
    """A request to Datadog failed; one line with the reason and the remedy. Never holds a key."""

    # True if a create request may have succeeded although no usable answer came.
    uncertain = False


class Refused(RemoteError):
    """The keys were rejected, or lack a permission (401, 403)."""


class Missing(RemoteError):
    """There is no such object (404)."""


class Rejected(RemoteError):
    """Datadog rejected the content (400, 409 and other 4xx)."""


class Changed(RemoteError):
    """The object has changed since it was compared."""


class Unavailable(RemoteError):
    """No answer, an unreadable answer, a throttled request or a server error; a retry may help."""


@dataclass(frozen=True, slots=True)
class Live:
    """An object of the organization. `body` is None for dashboards from a list, which omits it."""

    kind: str
    id: str
    title: str
    # ISO 8601; empty if Datadog omits it.
    modified: str
    marker: Marker | None
    body: dict[str, Any] | None = field(repr=False)
    # Layout of a dashboard; empty for other kinds.
    layout: str = ''

    @property
    def name(self) -> str:
        """Name of the object in messages."""
        return f'{self.kind} {self.id} ({self.title!r})'


class Datadog:
    """The organization that the keys belong to. A context manager."""

    def __init__(
        self,
        api_key: str,
        app_key: str,
        *,
        site: str = '',
        url: str = '',
        attempts: int = ATTEMPTS,
        backoff: float = 1.0,
    ) -> None:
        self._keys = {'DD-API-KEY': api_key, 'DD-APPLICATION-KEY': app_key}
        try:
            configuration = configure(
                {'DD_API_KEY': api_key, 'DD_APP_KEY': app_key}, site=site, url=url, attempts=attempts, backoff=backoff
            )
        except UnusableSetting as error:
            raise RemoteError(str(error)) from error
        self.host = configuration.host
        self._client = ApiClient(configuration)
        self._details: dict[tuple[str, str, str], dict[str, Any]] = {}

    def __enter__(self) -> Datadog:
        return self

    def __exit__(self, *_: Any) -> None:
        self._client.close()

    # Reading.

    def objects(self, kind: str) -> list[Live]:
        """Return all objects of a kind, of any namespace and of none. Raises RemoteError."""
        return [self._live(kind, item) for item in self._pages(kind)]

    def body(self, live: Live) -> dict[str, Any]:
        """Return the whole object, from memory unless the object was modified."""
        if live.body is not None:
            return live.body
        key = (live.kind, live.id, live.modified)
        if key not in self._details or not live.modified:
            self._details[key] = self.get(live.kind, live.id)
        return self._details[key]

    def get(self, kind: str, identifier: str) -> dict[str, Any]:
        """Return an object by kind and id as stored in Datadog. Raises Missing."""
        return self._object(kind, self._request('GET', f'{PATHS[kind]}/{{id}}', kind, {'id': identifier}))

    def find(self, kind: str, identifier: str) -> Live:
        """Return an object by its id alone. Raises Missing."""
        return self._live(kind, self.get(kind, identifier))

    def ensure_unchanged(self, live: Live) -> None:
        """Raise Changed if the object was changed after it was listed or its body was read."""
        fresh = self.get(live.kind, live.id)
        known = live.body if live.body is not None else self._details.get((live.kind, live.id, live.modified))
        try:
            same_body = known is None or same(canonical(live.kind, fresh), canonical(live.kind, known))
        except AssetError:
            same_body = fresh == known
        if marker.of(live.kind, fresh) != live.marker or not same_body:
            raise Changed(f'{live.kind} {live.id} was changed in Datadog after the comparison; compare again')

    # Writing.

    def create(self, kind: str, body: dict[str, Any]) -> Live:
        """Create an object, never twice: after an error with `uncertain` it may exist."""
        return self._live(kind, self._object(kind, self._request('POST', PATHS[kind], kind, body=body)))

    def update(self, kind: str, identifier: str, body: dict[str, Any]) -> Live:
        """Replace the content of an object."""
        answer = self._request('PUT', f'{PATHS[kind]}/{{id}}', kind, {'id': identifier}, body=body)
        return self._live(kind, self._object(kind, answer))

    def delete(self, kind: str, identifier: str) -> None:
        """Delete an object; an object that no longer exists counts as deleted."""
        try:
            self._request('DELETE', f'{PATHS[kind]}/{{id}}', kind, {'id': identifier})
        except Missing:
            return

    def validate_monitor(self, body: dict[str, Any], identifier: str = '') -> str:
        """Return Datadog's objection to a monitor, empty without one. Changes nothing."""
        path = f'{PATHS["monitor"]}/{{id}}/validate' if identifier else f'{PATHS["monitor"]}/validate'
        try:
            self._request('POST', path, 'monitor', {'id': identifier}, body=body)
        except Rejected as error:
            return str(error)
        return ''

    def describe_metric(self, name: str, metadata: dict[str, Any]) -> None:
        """Set the metadata of a metric: type, unit, per_unit, description, short_name."""
        self._request('PUT', '/api/v1/metrics/{name}', 'metric', {'name': name}, body=metadata)

    # HTTP.

    def _pages(self, kind: str) -> Iterator[dict[str, Any]]:
        size, seen, page = PAGES[kind], set[str](), 0
        while True:
            query = {
                'slo': [('limit', size), ('offset', page * size)],
                'monitor': [('page', page), ('page_size', size)],
                'dashboard': [('count', size), ('start', page * size)],
            }[kind]
            answer = self._request('GET', PATHS[kind], kind, query=query)
            items = answer.get({'slo': 'data', 'dashboard': 'dashboards'}[kind]) if isinstance(answer, dict) else answer
            if not isinstance(items, list) or not all(isinstance(item, dict) and 'id' in item for item in items):
                raise Unavailable(
                    f'{self.host}{PATHS[kind]}: the answer is not a list of {kind}s; check DD_SITE or DD_URL'
                )
            # A page without new objects ends the listing, also behind a proxy that ignores the offset.
            fresh = [item for item in items if str(item['id']) not in seen]
            yield from fresh
            seen.update(str(item['id']) for item in fresh)
            if len(items) < size or not fresh:
                return
            page += 1

    def _object(self, kind: str, answer: Any) -> dict[str, Any]:
        data = answer.get('data') if kind == 'slo' and isinstance(answer, dict) else answer
        if isinstance(data, list):
            # Create and update return a list of one; a read returns the object.
            data = data[0] if data else None
        if not isinstance(data, dict) or 'id' not in data:
            error = Unavailable(f'{self.host}{PATHS[kind]}: the answer is not a {kind}; check DD_SITE or DD_URL')
            error.uncertain = True
            raise error
        return data

    @staticmethod
    def _live(kind: str, item: dict[str, Any]) -> Live:
        modified = item.get('modified_at' if kind != 'monitor' else 'modified') or ''
        if isinstance(modified, int | float):
            try:
                modified = datetime.fromtimestamp(modified, UTC).isoformat()
            except (ValueError, OverflowError, OSError):
                modified = ''
        return Live(
            kind=kind,
            id=str(item['id']),
            title=str(item.get('title' if kind == 'dashboard' else 'name') or ''),
            modified=str(modified),
            marker=marker.of(kind, item),
            body=None if kind == 'dashboard' and 'widgets' not in item else item,
            layout=str(item.get('layout_type') or ''),
        )

    def _request(
        self,
        method: str,
        path: str,
        kind: str,
        parts: dict[str, str] | None = None,
        query: list[tuple[str, Any]] | None = None,
        body: dict[str, Any] | None = None,
    ) -> Any:
        headers = {'Accept': 'application/json', **self._keys}
        shown = path.format(**(parts or {}))
        try:
            response = self._client.call_api(
                path,
                method,
                path_params=parts,
                query_params=query,
                header_params=headers,
                body=body,
                preload_content=False,
                request_timeout=TIMEOUT,
            )
            content = response.data
        except ApiException as error:
            raise self._worded(error, method, shown, kind) from None
        except HTTPError as error:
            reason = error.reason if isinstance(error, MaxRetryError) and error.reason else error
            failure = Unavailable(
                f'{method} {shown}: no answer from {self.host} ({type(reason).__name__}); check DD_SITE and the network'
            )
            failure.uncertain = method == 'POST'
            raise failure from None
        if method == 'DELETE':
            # The change was made, whatever the answer says about it.
            return None
        try:
            return json.loads(content)
        except ValueError:
            failure = Unavailable(f'{method} {shown}: {self.host} did not answer with JSON; check DD_SITE or DD_URL')
            failure.uncertain = method == 'POST'
            raise failure from None

    def _worded(self, error: ApiException, method: str, path: str, kind: str) -> RemoteError:
        """Return the typed error for an answer."""
        status, said = error.status, self._said(error.body)
        where = f'{method} {path}: HTTP {status}' + (f': {said}' if said else '')
        if status == 0:
            return Unavailable(
                f'{method} {path}: no trusted TLS connection to {self.host}; check the certificates and DD_URL'
            )
        if is_redirect(status):
            return Unavailable(
                f'{method} {path}: HTTP {status}: {self.host} redirects, and the keys go nowhere else; '
                'check DD_SITE or DD_URL'
            )
        if status == 401:
            return Refused(
                f'{where}; check DD_API_KEY and DD_APP_KEY, and that DD_SITE is the site of the organization'
            )
        if status == 403:
            action = 'read' if method == 'GET' else 'write'
            scope = 'metrics_metadata_write' if kind == 'metric' else f'{SCOPES[kind]}_{action}'
            return Refused(
                f'{where}; check that DD_API_KEY and DD_APP_KEY belong to the organization at '
                f'{urlsplit(self.host).hostname} and that the application key has the scope {scope}'
            )
        if status == 404:
            return Missing(f'{where}; it may have been deleted')
        if status == 429 or status >= 500:
            advice = 'too many requests; try again later' if status == 429 else 'try again later'
            failure = Unavailable(f'{where}; {advice}')
            failure.uncertain = method == 'POST' and status != 429
            return failure
        return Rejected(where)

    def _said(self, body: Any) -> str:
        """Return the reason in an answer, in one line and without the keys."""
        while isinstance(body, dict):
            body = next((body[key] for key in ('errors', 'error', 'message', 'detail') if body.get(key)), '')
        said = body if isinstance(body, list) else [body] if body else []
        text = ' '.join('; '.join(item if isinstance(item, str) else json.dumps(item) for item in said).split())
        if text.startswith('<'):
            # An HTML page from a proxy or gateway in between.
            return ''
        for key in self._keys.values():
            text = text.replace(key, '***') if key else text
        return text[:500]
