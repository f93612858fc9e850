"""Questions to a service about its choices, with the proxy and TLS options of the instance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from datadog_checks.base.utils.http import RequestsWrapper
from requests import Response
from requests.exceptions import RequestException

from metta_checks.core.errors import SHAPE_ERRORS

from .form import NoAnswer

SECONDS = 20


class Service:
    """An HTTP interface with JSON answers."""

    def __init__(self, url: str, options: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        self._url = url.rstrip('/')
        settings = {'timeout': SECONDS, **options, 'extra_headers': dict(headers), 'allow_redirects': False}
        # Basic authentication of an option `username` would replace the header.
        for name in ('username', 'password'):
            settings.pop(name, None)
        self._http = RequestsWrapper(settings, {})

    def get(self, path: str, **parameters: str) -> Any:
        """Return the answer to a GET request. Raises NoAnswer."""
        return self._answer(lambda: self._http.get(f'{self._url}{path}', params=parameters))

    def post(self, path: str, body: Any) -> Any:
        """Return the answer to a POST request. Raises NoAnswer."""
        return self._answer(lambda: self._http.post(f'{self._url}{path}', json=body))

    def _answer(self, send: Callable[[], Response]) -> Any:
        host = urlsplit(self._url).netloc
        try:
            response = send()
        except (RequestException, OSError, ValueError) as error:
            raise NoAnswer(f'{host} cannot be asked for the choices ({type(error).__name__})') from error
        if response.status_code in (401, 403):
            raise NoAnswer(f'{host} refuses the credentials (HTTP {response.status_code})')
        if response.status_code != 200:
            raise NoAnswer(f'{host} does not tell the choices (HTTP {response.status_code})')
        try:
            return response.json()
        except ValueError as error:
            raise NoAnswer(f'{host} does not answer with JSON') from error


def rows(read: Callable[[], Any]) -> list[Any]:
    """Return the rows that a function finds in an answer. Raises NoAnswer for an answer of another shape."""
    try:
        return list(read())
    except SHAPE_ERRORS as error:
        raise NoAnswer('the service answers in another shape than documented') from error
