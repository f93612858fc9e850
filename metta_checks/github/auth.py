"""Credentials of requests: a personal access token, or the installation of a GitHub App."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Protocol

from datadog_checks.base import ConfigurationError

from ..core import http
from ..core.errors import BadPayload, Forbidden, NotFound, Unauthorized
from ..core.fields import moment, text

# GitHub accepts at most ten minutes. The minute back allows for clocks that differ.
JWT_LIFE_SECONDS = 9 * 60
JWT_BACKDATE_SECONDS = 60
RENEW_BEFORE = timedelta(minutes=5)


class Auth(http.Auth, Protocol):
    """Credentials that may be renewed."""

    def renew(self) -> bool:
        """Drop credentials that the service has refused. Return True if the next request has others."""


class TokenAuth:
    """A personal access token, as configured."""

    def __init__(self, token: str) -> None:
        self._headers = {'Authorization': f'Bearer {token}'}

    def headers(self) -> Mapping[str, str]:
        """Return the Authorization header."""
        return self._headers

    def renew(self) -> bool:
        """Return False: there is no other token."""
        return False


class AppAuth:
    """An installation token of a GitHub App, renewed five minutes before it expires (after an hour).

    `api` sends the token request; it must not use this object for its headers. Raises ConfigurationError when the
    private key is not valid.
    """

    def __init__(
        self, api: http.Api, app_id: str, installation_id: str, private_key: str, clock: Callable[[], datetime]
    ) -> None:
        # Bundled with the Agent; imported here because a token needs neither.
        import jwt

        self._jwt = jwt
        self._api = api
        self._app_id = app_id
        self._installation_id = installation_id
        self._private_key = private_key
        self._clock = clock
        self._token = ''
        self._expires: datetime | None = None
        self.register_secret: Callable[[str], None] = lambda _: None
        try:
            self.app_token()
        except (ValueError, TypeError, jwt.PyJWTError) as error:
            raise ConfigurationError(
                'option `app_private_key` is not an RSA private key in PEM form (check line breaks and quotes)'
            ) from error

    def app_token(self) -> str:
        """Return a JWT for the App itself (RS256; see GitHub's documentation of App authentication)."""
        # The real time, because GitHub compares it with its own clock.
        now = int(time.time())
        claims = {'iat': now - JWT_BACKDATE_SECONDS, 'exp': now + JWT_LIFE_SECONDS, 'iss': self._app_id}
        return self._jwt.encode(claims, self._private_key, algorithm='RS256')

    def headers(self) -> Mapping[str, str]:
        """Return the Authorization header, with a new token when the last one is about to expire."""
        if self._expires is None or self._clock() > self._expires - RENEW_BEFORE:
            self._fetch()
        return {'Authorization': f'Bearer {self._token}'}

    def renew(self) -> bool:
        """Ask for a new token with the next request, as one can be revoked before it expires."""
        had_token = self._expires is not None
        self._expires = None
        # Without a token, it was the App that GitHub refused.
        return had_token

    def _fetch(self) -> None:
        self._expires = None
        try:
            response = self._api.post(
                f'app/installations/{self._installation_id}/access_tokens',
                {},
                headers={'Authorization': f'Bearer {self.app_token()}'},
                resource='app',
            )
        except NotFound as error:
            raise Unauthorized(
                f'GitHub has no installation {self._installation_id} of App {self._app_id}: '
                'check options `app_installation_id` and `app_id`'
            ) from error
        except Forbidden as error:
            # Among others, the installation is suspended: no request of any block can be sent.
            raise Unauthorized(
                f'GitHub gives no token for installation {self._installation_id} of App {self._app_id}: {error}'
            ) from error
        body = response.json_object()
        token, expires = text(body.get('token')), moment(body.get('expires_at'))
        if token is None or expires is None:
            raise BadPayload(f'{response.request} answered without a token')
        self._token, self._expires = token, expires
        self.register_secret(token)
