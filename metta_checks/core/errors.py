"""What can go wrong while reading a source: typed errors, each one line for the user.

`reason` is the bounded value of the tag `reason` of `metta.collector.errors`. The text of an error says what happened
and what to do; it never contains a secret, a query string or a response body.
"""

from __future__ import annotations


class SourceError(Exception):
    """Reading a source failed. Raised by clients, handled at the border of a block (see refresh.py)."""

    reason = 'error'
    # The refresh as a whole makes no sense any more: remaining blocks are not tried.
    fatal = False

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
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
    """The thing does not exist, or is hidden from these credentials."""

    reason = 'not_found'


class Rejected(SourceError):
    """The service did not accept the request (other 4xx, or an error in the answer)."""

    reason = 'rejected'


class Unavailable(SourceError):
    """The service cannot be reached or answers 5xx; worth another try in a later run."""

    reason = 'unavailable'


class TimedOut(Unavailable):
    """No answer in time."""

    reason = 'timeout'


class BadPayload(SourceError):
    """An answer that is not what the service promises: not JSON, cut off, wrong types."""

    reason = 'bad_payload'


class RateLimited(SourceError):
    """The service asked to wait until `until` (seconds since the epoch)."""

    reason = 'rate_limit'

    def __init__(self, message: str, *, until: float, reason: str | None = None) -> None:
        super().__init__(message, reason=reason)
        self.until = until


class OutOfBudget(SourceError):
    """The refresh has used up its time or its requests: what is complete is submitted, the rest waits."""

    reason = 'budget'


class DependencyFailed(SourceError):
    """A block needs the result of another one that failed in the same refresh."""

    reason = 'dependency'


# What reading an answer of an unexpected shape raises; clients turn these into BadPayload.
SHAPE_ERRORS = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)


# What to install for a module, where the names differ. (`jwt` is the name of another package on the index.)
PACKAGES = {'botocore': 'boto3', 'jwt': 'pyjwt[crypto]', 'yaml': 'pyyaml'}


def missing_library(error: ModuleNotFoundError) -> str:
    """One line about a library that cannot be imported: what is missing and which command installs it.

    Raises the error itself when the module is none of a library's but one of ours: that is a defect of this package.
    """
    module = (error.name or '').partition('.')[0]
    if module in ('', 'metta_checks', 'datadog_checks'):
        raise error
    package = PACKAGES.get(module, module)
    return (
        f'the Python package `{package}`, which the Agent normally bundles, is missing; install it with '
        f"`agent pip install '{package}'` (outside an Agent: `pip install '{package}'`)"
    )
