"""Requests to GitHub with the headers that it expects, which change when it refuses them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..core.errors import SourceError, Unauthorized
from ..core.http import Api, Response
from ..core.text import one_line
from .auth import Auth
from .enterprise import VERSION_HEADER, is_enterprise
from .rate_limits import API_VERSION, CORE, GRAPHQL, OLD_SERVER, RateLimitPolicy
from .refusals import left_out

MEDIA_TYPE = 'application/vnd.github+json'


class Headers:
    """Headers of every request: the credentials, the media type, and the version of the API if the server knows it."""

    def __init__(self, auth: Auth) -> None:
        self._auth = auth
        self._sends_version = True

    def headers(self) -> Mapping[str, str]:
        """Return the headers of the next request."""
        headers = {'Accept': MEDIA_TYPE, **self._auth.headers()}
        if self._sends_version:
            headers['X-GitHub-Api-Version'] = API_VERSION
        return headers

    def change_after(self, error: SourceError) -> bool:
        """Change the headers that caused a refusal; return False when the next request would have the same ones."""
        if isinstance(error, Unauthorized) and self._auth.renew():
            return True
        if error.reason == OLD_SERVER and self._sends_version:
            self._sends_version = False
            return True
        return False


class Session:
    """REST and GraphQL of one server, with one set of credentials."""

    def __init__(self, api: Api, headers: Headers, policy: RateLimitPolicy) -> None:
        self._api = api
        self._headers = headers
        self._policy = policy
        self.base_url = api.base_url
        # The ids of organizations that GitHub left out of answers, because of their single sign-on.
        self.left_out: tuple[str, ...] = ()
        # The version of a GitHub Enterprise Server, empty before it has named it; None for github.com.
        self.enterprise_version: str | None = '' if is_enterprise(self.base_url) else None

    def get(self, path: str, params: Mapping[str, Any] | None = None, **options: Any) -> Response:
        """Send a request to REST, see `Api.get`."""
        # A renamed repository redirects to its new address.
        return self._send(lambda: self._api.get(path, params, resource=CORE, allow_redirects=True, **options))

    def post(self, url: str, body: Mapping[str, Any]) -> Response:
        """Send an operation to GraphQL."""

        def ask() -> Response:
            # A 5xx is not repeated here, because the next request asks for a smaller page.
            response = self._api.post(url, body, resource=GRAPHQL, retry_statuses=())
            if (limit := self._policy.limit_inside(response)) is not None:
                raise limit
            return response

        return self._send(ask)

    def _send(self, request: Callable[[], Response]) -> Response:
        try:
            response = request()
        except SourceError as error:
            if not self._headers.change_after(error):
                raise
            response = request()
        self._policy.accepted()
        if version := response.headers.get(VERSION_HEADER):
            self.enterprise_version = one_line(version, 20)
        self.left_out = tuple(dict.fromkeys((*self.left_out, *left_out(response))))
        return response
