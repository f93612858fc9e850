"""Questions to a service about its choices, asked as the check asks: through its client and with its bounds.

The bytes of an answer, the values of its JSON, and the time are limited, and redirects are not followed. Options of
proxies and TLS are those of the instance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from datadog_checks.base import ConfigurationError

from metta_checks.check import source_class
from metta_checks.core.errors import SHAPE_ERRORS, SourceError
from metta_checks.core.http import Api, Auth, Endpoint
from metta_checks.core.source import Source
from metta_checks.testing import Driver

from .form import Form, NoAnswer

# For all questions of one list, and for each wait for the service.
SECONDS = 20
WAIT_SECONDS = 10
# Options that must not replace the credentials of the question.
BASIC = ('username', 'password')


def unconfigured(source: str, form: Form) -> Source[Any, Any]:
    """Return the check of a source with the options so far; it need not be able to run. Raises NoAnswer."""
    secrets = {option: form.resolved(option) for option in source_class(source).SECRET_OPTIONS if form.has(option)}
    options = {'timeout': WAIT_SECONDS, **form.values, **secrets, 'source': source}
    kept = {option: value for option, value in options.items() if option not in BASIC}
    check = Driver(kept).check
    check.budget.start(SECONDS)
    return check


class Service:
    """The HTTP interface of a source.

    Parameters:
        check: supplies the client
        url: its address
        name: of the service, in messages
        auth: makes the credentials; it gets an interface without credentials, to ask for some
        remedies: advice by kind of error
    """

    def __init__(
        self,
        check: Source[Any, Any],
        url: str,
        name: str,
        auth: Callable[[Api], Auth],
        remedies: Mapping[str, str],
    ) -> None:
        self._check = check
        with answered(check):
            anonymous = check.api(Endpoint(url, name, remedies=remedies))
            self._api = check.api(Endpoint(url, name, auth(anonymous), remedies=remedies))

    def get(self, path: str, **parameters: str) -> Any:
        """Return the answer to a GET request. Raises NoAnswer."""
        with answered(self._check):
            return self._api.get(path, parameters).json()

    def post(self, path: str, body: Any) -> Any:
        """Return the answer to a POST request. Raises NoAnswer."""
        with answered(self._check):
            return self._api.post(path, body).json()


@contextmanager
def answered(check: Source[Any, Any]) -> Iterator[None]:
    """Raise NoAnswer, without secrets, for the errors of a question."""
    try:
        yield
    except (SourceError, ConfigurationError) as error:
        raise NoAnswer(f'the choices are not known: {check.sanitize(str(error))}') from error


def rows(read: Callable[[], Any]) -> list[Any]:
    """Return the rows that a function finds in an answer. Raises NoAnswer for an answer of another shape."""
    try:
        return list(read())
    except SHAPE_ERRORS as error:
        raise NoAnswer('the service answers in another shape than documented') from error
