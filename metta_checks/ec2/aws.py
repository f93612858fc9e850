"""The AWS SDK for this house: one session per instance, requests counted, failures turned into typed errors.

The SDK sends its requests itself; proxies, certificates and timeouts come from the instance's options through the
Agent's HTTP wrapper. Its retries sleep, so they are few: what fails longer waits for the next run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from botocore import exceptions as sdk
from botocore.client import BaseClient
from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    CredentialResolver,
    Credentials,
    DeferredRefreshableCredentials,
)
from botocore.parsers import ResponseParserError
from botocore.session import Session
from datadog_checks.base import ConfigurationError
from datadog_checks.base.utils.http import should_bypass_proxy

from ..core import watch
from ..core.budget import Budget
from ..core.errors import (
    SHAPE_ERRORS,
    BadPayload,
    Forbidden,
    RateLimited,
    Rejected,
    SourceError,
    TimedOut,
    Unauthorized,
    Unavailable,
)
from ..core.http import USER_AGENT
from ..core.paging import Page, pages
from .bounded import bound
from .model import loader
from .settings import Access

SESSION_NAME = 'metta-checks'
ATTEMPTS = 3
# Until when a throttled block is left alone: the next run.
THROTTLED_SECONDS = 60
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
        'OptInRequired',
    }
)
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
Call = tuple[str, str, str]


class Aws:
    """The services of AWS, by name and region.

    Parameters:
        access: credentials, role and address
        http: the check's `self.http`, for proxies and certificates
        budget: the instance's; a request is one HTTP request, repeats included
        clock: gives the current time
        regions: the configured ones; services that are not regional are asked in the region of the environment or
            profile, else in the first of these
    """

    def __init__(
        self, access: Access, http: Any, budget: Budget, clock: Callable[[], datetime], regions: Sequence[str]
    ) -> None:
        self._access = access
        self._http = http
        self._budget = budget
        self._clock = clock
        self._clients: dict[tuple[str, str], BaseClient] = {}
        self._watch = watch.Watch()
        self._base = self._session()
        self.home: str = self._base.get_config_variable('region') or next(iter(regions), 'us-east-1')
        if access.access_key_id and access.secret_access_key:
            self._base.set_credentials(access.access_key_id, access.secret_access_key)
        # Reading the description of the largest service now keeps the first refresh short. Sends nothing.
        self._base.get_service_model('ec2')
        self._session_in_use = self._base if access.role_arn is None else self._in_role(access.role_arn)

    def call(self, service: str, region: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """One request. `operation` in the SDK's form (`get_caller_identity`). Raises a SourceError."""
        with self._translated((service, region, operation)):
            answer: dict[str, Any] = getattr(self._client(service, region), operation)(**parameters)
            return answer

    def pages(
        self, service: str, region: str, operation: str, *, token: str = 'NextToken', **parameters: Any
    ) -> Iterator[dict[str, Any]]:
        """Page after page, to the end. `token` is the operation's name for a cursor. Raises a SourceError."""
        call = (service, region, operation)

        def fetch(cursor: str | None) -> Page[dict[str, Any]]:
            start = {} if cursor is None else {token: cursor}
            answer = self.call(service, region, operation, **parameters, **start)
            following = answer.get(token) or None
            if not isinstance(following, str | None):
                raise _failure(ResponseParserError(), call)
            return Page((answer,), cursor=following)

        for page in pages(fetch, repeated=f'{_where(call)}: AWS sent the same page twice; the answer is left aside'):
            yield from page.rows

    def dry_run(self, region: str, operation: str) -> None:
        """Ask EC2 whether an operation would be allowed. Raises a SourceError when not."""
        with self._translated(('ec2', region, operation)):
            try:
                getattr(self._client('ec2', region), operation)(DryRun=True)
            except sdk.ClientError as error:
                if error.response.get('Error', {}).get('Code') != 'DryRunOperation':
                    raise

    def key(self) -> str:
        """The access key in use, to notice that credentials changed. Raises Unauthorized without any."""
        with self._translated(('sts', self.home, 'get_caller_identity')):
            credentials = self._session_in_use.get_credentials()
            key = None if credentials is None else credentials.get_frozen_credentials().access_key
            if key is None:
                raise sdk.NoCredentialsError
            return key

    def partition(self, region: str) -> str:
        """`aws`, `aws-cn`, `aws-us-gov`, ... of a region."""
        try:
            return self._base.get_partition_for_region(region)
        except sdk.UnknownRegionError:
            return 'aws'

    # Sessions and clients.

    def _session(self) -> Session:
        session = Session(profile=self._access.profile)
        try:
            session.get_scoped_config()
        except sdk.ProfileNotFound:
            raise ConfigurationError(
                f'the AWS configuration files have no profile `{session.profile}`; see option `profile` and AWS_PROFILE'
            ) from None
        except (sdk.ConfigParseError, sdk.ConfigNotFound) as error:
            raise ConfigurationError(f'the AWS configuration files cannot be read ({type(error).__name__})') from None
        session.register_component('data_loader', loader())
        session.user_agent_extra = USER_AGENT.split()[0]
        # At level DEBUG the SDK logs whole requests, with the session tokens in them.
        logging.getLogger('botocore').setLevel(logging.INFO)
        session.register('before-send', self._before_send)
        session.register('response-received', self._received)
        return session

    def _in_role(self, role_arn: str) -> Session:
        def sts(service: str, **credentials: Any) -> BaseClient:
            client = self._base.create_client(service, **credentials, **self._options(service, self.home))
            watch.watch_client(client)
            bound(client)
            return client

        session = self._session()
        role = _Role(self._base.get_credentials, sts, role_arn, self._access.external_id)
        session.register_component('credential_provider', CredentialResolver([role]))
        return session

    def _client(self, service: str, region: str) -> BaseClient:
        if (service, region) not in self._clients:
            client = self._session_in_use.create_client(service, **self._options(service, region))
            watch.watch_client(client)
            bound(client)
            self._clients[service, region] = client
        return self._clients[service, region]

    def _options(self, service: str, region: str) -> dict[str, Any]:
        """Arguments of a client: the instance's address, timeouts, proxies and certificates."""
        wrapper = self._http.options
        address = self._access.endpoint_url or f'https://{service}.{region}.amazonaws.com'
        proxies = wrapper['proxies']
        if proxies is not None:
            # The wrapper says "no proxy at all" with empty addresses.
            bypass = self._http.no_proxy_uris and should_bypass_proxy(address, self._http.no_proxy_uris)
            proxies = {} if bypass else {scheme: proxy for scheme, proxy in proxies.items() if proxy}
        verify = wrapper['verify']
        return {
            'region_name': region,
            'endpoint_url': self._access.endpoint_url,
            # True leaves the SDK's own look at the environment in force.
            'verify': None if verify is True else verify,
            'config': Config(
                connect_timeout=self._access.connect_timeout,
                read_timeout=self._access.read_timeout,
                retries={'mode': 'standard', 'total_max_attempts': ATTEMPTS},
                proxies=proxies,
                client_cert=wrapper['cert'],
            ),
        }

    def _before_send(self, **_: Any) -> None:
        self._budget.spend()
        # To connect, to wait for an answer and to read it may take their time each, but no more.
        seconds = self._access.connect_timeout + 2 * self._access.read_timeout
        self._watch.stop()
        self._watch = watch.begin(min(seconds, self._budget.seconds_left()), self._budget.clock)

    def _received(self, response_dict: Mapping[str, Any] | None = None, **_: Any) -> None:
        self._watch.stop()
        answer = response_dict or {}
        body = answer.get('body')
        self._budget.receive(len(body) if isinstance(body, bytes) else 0, answer.get('headers', {}).get('Date'))

    # Errors.

    @contextmanager
    def _translated(self, call: Call) -> Iterator[None]:
        """Turns what the SDK raises into the house's errors: the only place that knows the SDK's."""
        try:
            yield
        except sdk.ClientError as error:
            raise self._refusal(error, call) from error
        except (sdk.BotoCoreError, ResponseParserError) as error:
            raise _failure(sdk.ReadTimeoutError(endpoint_url='') if self._watch.expired else error, call) from error
        except SHAPE_ERRORS as error:
            # The SDK's parsers take for granted that numbers are numbers and lists are lists.
            raise _failure(ResponseParserError(), call) from error
        finally:
            self._watch.stop()

    def _refusal(self, error: sdk.ClientError, call: Call) -> SourceError:
        service, region, _ = call
        code = str(error.response.get('Error', {}).get('Code', '')).rpartition('.')[2] or 'no error code'
        status = error.response.get('ResponseMetadata', {}).get('HTTPStatusCode', 0)
        operation = error.operation_name
        if operation == 'AssumeRole':
            service = 'sts'
        action = f'{service}:{operation}'
        where = f'{action} in {region}'
        if operation == 'AssumeRole' and code in DENIED:
            return Unauthorized(
                f'{where} was refused ({code}); check options `role_arn` and `external_id`, the trust policy of the '
                'role, and that the credentials may assume it'
            )
        if code in DENIED:
            return Forbidden(f'{where} is not allowed ({code}); add {action} to the IAM policy of the credentials')
        if code in EXPIRED:
            return Unauthorized(
                f'{where}: the credentials have expired ({code}); renew them, and check the clock of this machine'
            )
        if code in REFUSED:
            return Unauthorized(
                f'{where}: the credentials were not accepted ({code}); check the options `access_key_id`, '
                '`secret_access_key` and `profile` or the role of this machine'
            )
        if code == 'OptInRequiredException':
            return Forbidden(f'{where}: the account has not opted in ({code}); opt in, or choose another `idle.source`')
        if code in THROTTLED or status == 429:
            until = self._clock().timestamp() + THROTTLED_SECONDS
            return RateLimited(f'{where}: AWS throttles ({code}); the block waits for the next run', until=until)
        if status >= 500:
            return Unavailable(f'{where} answered HTTP {status} ({code})', reason='http_5xx')
        if 0 < status < 400:
            return BadPayload(f'{where} answered HTTP {status}, which AWS never does: is there a proxy in between?')
        return Rejected(f'{where} was rejected ({code}, HTTP {status})')


class _Role(CredentialProvider):
    """Credentials of a role, assumed on first use and renewed by the SDK before they end."""

    METHOD = 'assume-role'

    def __init__(
        self,
        source: Callable[[], Credentials | None],
        sts: Callable[..., BaseClient],
        role_arn: str,
        external_id: str | None,
    ) -> None:
        super().__init__()
        self._source = source
        self._sts = sts
        self._role_arn = role_arn
        self._external_id = external_id

    def load(self) -> DeferredRefreshableCredentials:
        """Return the credentials that the SDK asks for. Sends nothing yet."""
        source = self._source()
        if source is None:
            raise sdk.NoCredentialsError
        arguments = {'RoleSessionName': SESSION_NAME}
        if self._external_id:
            arguments['ExternalId'] = self._external_id
        fetcher = AssumeRoleCredentialFetcher(self._sts, source, self._role_arn, extra_args=arguments)
        return DeferredRefreshableCredentials(fetcher.fetch_credentials, self.METHOD)


def _unauthorized(where: str) -> SourceError:
    return Unauthorized(
        f'{where}: no usable credentials; set `role_arn`, `profile` or `access_key_id`, or give this machine a role'
    )


def _unreachable(where: str) -> SourceError:
    return Unavailable(
        f'{where}: no connection; is there such a region? check `regions`, `endpoint_url`, DNS and the proxy options',
        reason='unreachable',
    )


def _where(call: Call) -> str:
    service, region, operation = call
    return f'{service}:{"".join(word.capitalize() for word in operation.split("_"))} in {region}'


def _failure(error: Exception, call: Call) -> SourceError:
    where = _where(call)
    for kinds, make in FAILURES:
        if isinstance(error, kinds):
            return make(where)
    return Rejected(f'{where} failed in the AWS SDK ({type(error).__name__})')


# The first that fits counts: some are kinds of others.
FAILURES: tuple[tuple[type[Exception] | tuple[type[Exception], ...], Callable[[str], SourceError]], ...] = (
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
    (
        (sdk.ConnectTimeoutError, sdk.ReadTimeoutError),
        lambda where: TimedOut(f'{where} gave no answer in time; see options `connect_timeout` and `read_timeout`'),
    ),
    (
        sdk.ProxyConnectionError,
        lambda where: Unavailable(f'{where}: the proxy did not connect; check option `proxy`', reason='proxy'),
    ),
    (
        sdk.SSLError,
        lambda where: Unavailable(
            f'{where}: the TLS certificate was not accepted; check options `tls_ca_cert` and `tls_verify`', reason='tls'
        ),
    ),
    (
        sdk.EndpointConnectionError,
        _unreachable,
    ),
    (
        (sdk.ConnectionClosedError, sdk.IncompleteReadError, sdk.ResponseStreamingError),
        lambda where: Unavailable(
            f'{where}: the connection broke off before the answer was complete', reason='cut_off'
        ),
    ),
    (sdk.HTTPClientError, _unreachable),
    (
        ResponseParserError,
        lambda where: BadPayload(
            f'{where}: the answer is cut off or not from AWS; is there a proxy or a login page in between?'
        ),
    ),
)
