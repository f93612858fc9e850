"""Typed errors of reading a source, each with a message of one line for the user.

`reason` is the value of the tag `reason` of `metta.collector.errors`; there are few. The message says what happened and
what to do. It never contains a secret, a query string or a response body.
"""

from __future__ import annotations


class SourceError(Exception):
    """Reading a source failed. Clients raise it; the core handles it for each block (see refresh.py)."""

    reason = 'error'
    # True: the remaining blocks of the refresh would fail, too, and are not tried.
    fatal = False

    def __init__(self, message: str, *, reason: str | None = None, remedy: str = '') -> None:
        super().__init__(f'{message}; {remedy}' if remedy else message)
        # The message without the advice, and the advice.
        self.fact = message
        self.remedy = remedy
        if reason is not None:
            self.reason = reason


class Unauthorized(SourceError):
    """The service refused the credentials."""

    reason = 'auth'
    fatal = True


class Forbidden(SourceError):
    """The credentials are good but lack a permission."""

    reason = 'permission'


class NotFound(SourceError):
    """The object does not exist, or these credentials may not see it."""

    reason = 'not_found'


class Rejected(SourceError):
    """The service rejected the request (other 4xx, or an error in the response)."""

    reason = 'rejected'


class Unavailable(SourceError):
    """The service cannot be reached or answers 5xx. A later run may succeed."""

    reason = 'unavailable'


class TimedOut(Unavailable):
    """The service did not answer in time."""

    reason = 'timeout'


class BadPayload(SourceError):
    """The response breaks the contract of the service: not JSON, cut off, or of wrong types."""

    reason = 'bad_payload'


class RateLimited(SourceError):
    """The service asked the client to wait until `until` (seconds since the epoch)."""

    reason = 'rate_limit'

    def __init__(self, message: str, *, until: float, reason: str | None = None) -> None:
        super().__init__(message, reason=reason)
        self.until = until


class OutOfBudget(SourceError):
    """The refresh has used up its time or its requests. Complete blocks are submitted; the others wait."""

    reason = 'budget'


class DependencyFailed(SourceError):
    """A block needs the result of another one that failed in the same refresh."""

    reason = 'dependency'


# Exceptions raised while a response of unexpected shape is read; clients turn them into BadPayload.
SHAPE_ERRORS = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)


# The package to install for a module, where the names differ. (`jwt` is the name of another package on the index.)
PACKAGES = {'botocore': 'boto3', 'jwt': 'pyjwt[crypto]', 'yaml': 'pyyaml'}


def missing_library(error: ModuleNotFoundError) -> str:
    """Return one line that names the library that cannot be imported and the command that installs it.

    Raises `error` again if the module belongs to this package, because that is a defect of the package.
    """
    module = (error.name or '').partition('.')[0]
    if module in ('', 'metta_checks', 'datadog_checks'):
        raise error
    package = PACKAGES.get(module, module)
    return (
        f'the Python package `{package}`, which the Agent normally bundles, is missing; install it with '
        f"`agent pip install '{package}'` (outside an Agent: `pip install '{package}'`)"
    )
