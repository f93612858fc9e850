"""Errors of the AWS SDK as typed errors of the check, each one line for the user."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from botocore import exceptions as sdk
from requests.structures import CaseInsensitiveDict

from ..core.errors import (
    BadPayload,
    Forbidden,
    RateLimited,
    Rejected,
    SourceError,
    TimedOut,
    Unauthorized,
    Unavailable,
)
from ..core.fields import integer, mapping, text
from ..core.http import retry_after
from ..core.text import one_line
from ..core.times import parse_http_date, utc_time

# A throttled block waits for the next run.
THROTTLED_SECONDS = 60
MAX_REASON = 300
# AWS refuses requests whose time differs more from its own.
MAX_SKEW_SECONDS = 300
# Operations of STS with which the SDK gets credentials.
ASSUME_ROLE = 'AssumeRole'
WEB_IDENTITY = 'AssumeRoleWithWebIdentity'
# In place of the error code that AWS states in every refusal.
NOT_IN_FORM = 'not in the form of AWS: is there a load balancer or a proxy in between?'
ENCODED_REASON = 'Encoded authorization failure message'
DENIED = frozenset({'UnauthorizedOperation', 'AccessDenied', 'AccessDeniedException'})
EXPIRED = frozenset({'ExpiredToken', 'ExpiredTokenException', 'RequestExpired', 'TokenRefreshRequired'})
REFUSED = frozenset(
    {
        'AuthFailure',
        'InvalidClientTokenId',
        'UnrecognizedClientException',
        'SignatureDoesNotMatch',
        'InvalidSignatureException',
        'IncompleteSignature',
        'MissingAuthenticationToken',
        'MissingAuthenticationTokenException',
        'InvalidAccessKeyId',
    }
)
# Of the identity token of a machine, such as that of a Kubernetes service account.
IDENTITY_REFUSED = frozenset({'InvalidIdentityToken', 'IDPRejectedClaim', 'IDPCommunicationError'})
NOT_SUBSCRIBED = frozenset({'OptInRequired', 'SubscriptionRequiredException', 'PendingVerification'})
NOT_OPTED_IN = frozenset({'OptInRequiredException'})
# Of Cost Explorer.
NO_DATA = frozenset({'DataUnavailableException', 'BillExpirationException'})
THROTTLED = frozenset(
    {
        'RequestLimitExceeded',
        'Throttling',
        'ThrottlingException',
        'ThrottledException',
        'RequestThrottled',
        'RequestThrottledException',
        'TooManyRequestsException',
        'EC2ThrottledException',
        'BandwidthLimitExceeded',
        'SlowDown',
        'LimitExceeded',
        'LimitExceededException',
        'PriorRequestNotComplete',
    }
)


class NoData(SourceError):
    """AWS has no data for what was asked."""

    reason = 'no_data'


class Call(NamedTuple):
    """A call of the SDK. `operation` is in the form of its methods, such as `get_caller_identity`."""

    service: str
    region: str
    operation: str

    @property
    def action(self) -> str:
        """The action as IAM policies write it, such as `sts:GetCallerIdentity`."""
        return f'{self.service}:{"".join(word.capitalize() for word in self.operation.split("_"))}'

    def __str__(self) -> str:
        """Return action and region, for messages."""
        return f'{self.action} in {self.region}'


class Answered(NamedTuple):
    """The status and the headers of an answer."""

    status: int
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer of AWS that is an error.

    Attributes:
        action: the action that was refused, such as `sts:AssumeRole`
        region: the region
        code: the error code of AWS
        reason: the reason that AWS states, as one line; it may be empty
        status: the HTTP status, 0 when it is not known
        now: the time
        wait: seconds that AWS asks to wait, 0 when it names none
        skew: seconds that the clock of this machine is ahead of that of AWS; None when it is not known
    """

    action: str
    region: str
    code: str
    reason: str
    status: int
    now: datetime
    wait: float = 0
    skew: float | None = None

    @property
    def where(self) -> str:
        """Action and region, for messages."""
        return f'{self.action} in {self.region}'

    @property
    def detail(self) -> str:
        """Code and reason, for messages."""
        return f'{self.code}: {self.reason}' if self.reason else self.code

    @property
    def wrong_clock(self) -> str:
        """The difference of the clocks, for messages; empty when AWS accepts requests of this time."""
        if self.skew is None or abs(self.skew) <= MAX_SKEW_SECONDS:
            return ''
        direction = 'ahead of' if self.skew > 0 else 'behind'
        return f'the clock of this machine is {abs(self.skew) / 60:.0f} minutes {direction} that of AWS'


def of_refusal(error: sdk.ClientError, call: Call, now: datetime) -> SourceError:
    """Return the error for a call that AWS refused."""
    # The SDK assumes a role before the first call that needs it.
    service = 'sts' if error.operation_name in (ASSUME_ROLE, WEB_IDENTITY) else call.service
    stated = mapping(error.response.get('Error')) or {}
    metadata = mapping(error.response.get('ResponseMetadata')) or {}
    headers = CaseInsensitiveDict(mapping(metadata.get('HTTPHeaders')) or {})
    sent_at = parse_http_date(text(headers.get('Date')))
    refusal = Refusal(
        action=f'{service}:{error.operation_name}',
        region=call.region,
        # Some codes have a prefix, such as `Client.`.
        code=(text(stated.get('Code')) or '').rpartition('.')[2] or 'no error code',
        reason=_reason(text(stated.get('Message')) or ''),
        status=integer(metadata.get('HTTPStatusCode')) or 0,
        now=now,
        wait=retry_after(headers, now) or 0,
        skew=None if sent_at is None else (now - sent_at).total_seconds(),
    )
    for codes, make in BY_CODE:
        if refusal.code in codes:
            return make(refusal)
    return _by_status(refusal)


def of_failure(error: Exception, call: Call) -> SourceError:
    """Return the error for a call that AWS did not answer, or not in its form."""
    for kinds, make in BY_KIND:
        if isinstance(error, kinds):
            return make(str(call))
    return Rejected(f'{call} failed in the AWS SDK ({type(error).__name__})')


def of_unreadable(answer: Answered, call: Call, now: datetime) -> SourceError:
    """Return the error for an answer that the SDK cannot read.

    A load balancer or a proxy in front of AWS answers with a page of its own. Its status says what it means.
    """
    if answer.status != 429 and answer.status < 500:
        return _not_from_aws(str(call))
    wait = retry_after(answer.headers, now) or 0
    return _by_status(Refusal(call.action, call.region, NOT_IN_FORM, '', answer.status, now, wait))


def _reason(message: str) -> str:
    # Only AWS can decode the rest of such a message.
    return one_line(message.partition(ENCODED_REASON)[0], MAX_REASON).rstrip(' .')


def _denied(refusal: Refusal) -> SourceError:
    if refusal.action == f'sts:{WEB_IDENTITY}':
        return Unauthorized(
            f'{refusal.where} was refused ({refusal.detail})',
            remedy='check the trust policy of the role in AWS_ROLE_ARN: it must allow this identity, such as namespace '
            'and name of the Kubernetes service account',
        )
    if refusal.action == f'sts:{ASSUME_ROLE}':
        return Unauthorized(
            f'{refusal.where} was refused ({refusal.detail})',
            remedy='check the options `role_arn` and `external_id`, the trust policy of the role, and that the '
            'credentials may assume it',
        )
    # AWS uses the same code where Cost Explorer is not enabled.
    enabled = ', and check that Cost Explorer is enabled' if refusal.action.startswith('ce:') else ''
    return Forbidden(
        f'{refusal.where} is not allowed ({refusal.detail})',
        remedy=f'add {refusal.action} to the IAM policy of the credentials{enabled}',
    )


def _expired(refusal: Refusal) -> SourceError:
    if refusal.wrong_clock:
        return _outside_of_time(refusal)
    return Unauthorized(
        f'{refusal.where}: the credentials have expired ({refusal.detail})',
        remedy='renew them, and check the clock of this machine',
    )


def _outside_of_time(refusal: Refusal) -> SourceError:
    return Unauthorized(
        f'{refusal.where}: the request was refused ({refusal.code}); {refusal.wrong_clock}, which accepts a difference '
        f'of {MAX_SKEW_SECONDS // 60} minutes: set it from the network (NTP)'
    )


def _refused(refusal: Refusal) -> SourceError:
    if refusal.wrong_clock:
        return _outside_of_time(refusal)
    # Without the reason: it may quote the signed request, and with it a session token.
    return Unauthorized(
        f'{refusal.where}: the credentials were not accepted ({refusal.code})',
        remedy='check the options `access_key_id`, `secret_access_key` and `profile` or the role of this machine',
    )


def _identity_refused(refusal: Refusal) -> SourceError:
    return Unauthorized(
        f'{refusal.where}: the identity token of this machine was not accepted ({refusal.detail})',
        remedy='check the identity provider of the cluster in IAM, and the role in AWS_ROLE_ARN',
    )


def _not_subscribed(refusal: Refusal) -> SourceError:
    return Forbidden(
        f'{refusal.where}: the account may not use this service yet ({refusal.detail})',
        remedy='a new account is verified first, see its AWS console',
    )


def _not_opted_in(refusal: Refusal) -> SourceError:
    return Forbidden(
        f'{refusal.where}: the account has not opted in ({refusal.detail})',
        remedy='opt in, or choose another `idle.source`',
    )


def _no_data(refusal: Refusal) -> SourceError:
    return NoData(
        f'{refusal.where}: AWS has no data for the day ({refusal.detail}); Cost Explorer shows a day within two days, '
        'and its first data a day after it was enabled'
    )


def _throttled(refusal: Refusal) -> SourceError:
    until = refusal.now.timestamp() + (refusal.wait or THROTTLED_SECONDS)
    end = f'until {utc_time(until)}' if refusal.wait else 'for the next run'
    return RateLimited(
        f'{refusal.where}: AWS throttles requests ({refusal.detail}); the block waits {end}', until=until
    )


def _by_status(refusal: Refusal) -> SourceError:
    where, detail, status = refusal.where, refusal.detail, refusal.status
    if status == 429:
        return _throttled(refusal)
    if status >= 500:
        return Unavailable(f'{where} answered HTTP {status} ({detail})', reason='http_5xx')
    if 0 < status < 400:
        return BadPayload(f'{where} answered HTTP {status}, which AWS never does; is there a proxy in between?')
    return Rejected(f'{where} was rejected with HTTP {status} ({detail})')


BY_CODE: tuple[tuple[frozenset[str], Callable[[Refusal], SourceError]], ...] = (
    (DENIED, _denied),
    (EXPIRED, _expired),
    (REFUSED, _refused),
    (IDENTITY_REFUSED, _identity_refused),
    (NOT_SUBSCRIBED, _not_subscribed),
    (NOT_OPTED_IN, _not_opted_in),
    (NO_DATA, _no_data),
    (THROTTLED, _throttled),
)


def _unauthorized(where: str) -> SourceError:
    return Unauthorized(
        f'{where}: no usable credentials',
        remedy='set `role_arn`, `profile` or `access_key_id`, or give this machine a role',
    )


def _timed_out(where: str) -> SourceError:
    return TimedOut(
        f'{where} gave no answer in time',
        remedy='check the network, or raise the options `connect_timeout` and `read_timeout`',
    )


def _proxy(where: str) -> SourceError:
    return Unavailable(f'{where}: the proxy did not connect', reason='proxy', remedy='check the option `proxy`')


def _tls(where: str) -> SourceError:
    return Unavailable(
        f'{where}: the TLS certificate was not accepted',
        reason='tls',
        remedy='check the options `tls_ca_cert` and `tls_verify`',
    )


def _unreachable(where: str) -> SourceError:
    return Unavailable(
        f'{where}: no connection',
        reason='unreachable',
        remedy='is there such a region? check `regions`, `endpoint_url`, DNS and the proxy options',
    )


def _cut_off(where: str) -> SourceError:
    return Unavailable(f'{where}: the connection broke off before the answer was complete', reason='cut_off')


def _not_from_aws(where: str) -> SourceError:
    return BadPayload(f'{where}: the answer is cut off or not from AWS; is there a proxy or a login page in between?')


# The first entry that fits counts: some classes derive from others.
BY_KIND: tuple[tuple[tuple[type[Exception], ...], Callable[[str], SourceError]], ...] = (
    (
        (
            sdk.NoCredentialsError,
            sdk.PartialCredentialsError,
            sdk.CredentialRetrievalError,
            sdk.NoAuthTokenError,
            sdk.TokenRetrievalError,
            sdk.SSOError,
            sdk.ConfigNotFound,
            sdk.UnauthorizedSSOTokenError,
        ),
        _unauthorized,
    ),
    ((sdk.ConnectTimeoutError, sdk.ReadTimeoutError), _timed_out),
    ((sdk.ProxyConnectionError,), _proxy),
    ((sdk.SSLError,), _tls),
    ((sdk.EndpointConnectionError,), _unreachable),
    ((sdk.ConnectionClosedError, sdk.IncompleteReadError, sdk.ResponseStreamingError), _cut_off),
    ((sdk.HTTPClientError,), _unreachable),
)
