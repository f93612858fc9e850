"""The AWS SDK as the check uses it: one session per instance, requests counted, failures as typed errors.

The SDK sends its requests itself; proxies, certificates and timeouts come from the instance's options through the
Agent's HTTP wrapper. The SDK sleeps between its attempts, so it makes few; after a longer outage, a later run
tries again.
"""

from __future__ import annotations

import logging
import os
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
from requests.structures import CaseInsensitiveDict

from ..core import deadline
from ..core.address import configured
from ..core.budget import Budget
from ..core.errors import SHAPE_ERRORS, SourceError
from ..core.fields import Contract, text
from ..core.http import USER_AGENT
from ..core.paging import Page, pages
from . import endpoints, sdk_errors
from .records import HINT
from .response_limit import limit_responses
from .sdk_errors import Answered, Call
from .service_models import loader
from .settings import Access

SESSION_NAME = 'metta-checks'
ATTEMPTS = 3


class Aws:
    """The services of AWS, by name and region.

    Parameters:
        access: credentials and endpoint
        http: the check's `self.http`, for proxies and certificates
        budget: the budget of the instance; each HTTP request counts, including repeated ones
        clock: returns the current time
        regions: the configured regions; services that are not regional are called in the region of the environment or
            profile, else in the first of these
    """

    def __init__(
        self, access: Access, http: Any, budget: Budget, clock: Callable[[], datetime], regions: Sequence[str]
    ) -> None:
        if access.endpoint_url is not None:
            configured(access.endpoint_url, 'AWS')
        self._access = access
        self._http = http
        self._budget = budget
        self._clock = clock
        self._clients: dict[tuple[str, str], BaseClient] = {}
        self._deadline = deadline.Deadline()
        self._answered = Answered(0, {})
        self._base = self._session()
        # The region for services that are not regional.
        self.home: str = self._configured_region() or next(iter(regions), endpoints.DEFAULT_REGION)
        if access.access_key_id and access.secret_access_key:
            self._base.set_credentials(access.access_key_id, access.secret_access_key)
        # Loading the model of the largest service now keeps the first refresh short. Sends nothing.
        self._base.get_service_model('ec2')
        # The session with the role; `_base` has the credentials that assume it.
        self._session_in_use = self._base if access.role_arn is None else self._in_role(access.role_arn)

    def call(self, service: str, region: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """Return the answer of an operation, named as in the SDK (`get_caller_identity`). Raises a SourceError."""
        with self._translated(Call(service, region, operation)):
            answer: dict[str, Any] = getattr(self._client(service, region), operation)(**parameters)
            return answer

    def pages(
        self,
        call: Call,
        *,
        start: str | None = None,
        token: str = 'NextToken',
        **parameters: Any,
    ) -> Iterator[dict[str, Any]]:
        """Yield all pages of a list, from a cursor on. Raises a SourceError.

        `token` is the operation's name for the cursor, in requests and answers.
        """
        contract = Contract(str(call), HINT)

        def fetch(cursor: str | None) -> Page[dict[str, Any]]:
            begin = {} if cursor is None else {token: cursor}
            answer = self.call(call.service, call.region, call.operation, **parameters, **begin)
            return Page((answer,), cursor=contract.optional(text, answer, token))

        for page in pages(fetch, start, repeated=f'{call}: AWS sent the same page twice; the list is not used'):
            yield from page.rows

    def dry_run(self, region: str, operation: str) -> None:
        """Check whether an operation of EC2 is allowed. Raises a SourceError when it is not. Reads no data."""
        with self._translated(Call('ec2', region, operation)):
            try:
                getattr(self._client('ec2', region), operation)(DryRun=True)
            except sdk.ClientError as error:
                if error.response.get('Error', {}).get('Code') != 'DryRunOperation':
                    raise

    def key(self) -> str:
        """Return the access key in use, which changes with the credentials. Raises Unauthorized without credentials."""
        with self._translated(Call('sts', self.home, 'get_caller_identity')):
            credentials = self._session_in_use.get_credentials()
            key = None if credentials is None else credentials.get_frozen_credentials().access_key
            if key is None:
                raise sdk.NoCredentialsError
            return key

    def close(self) -> None:
        """Close the connections."""
        for client in list(self._clients.values()):
            client.close()

    def partition(self, region: str) -> str:
        """Return the partition of a region: `aws`, `aws-cn`, `aws-us-gov`, ..."""
        try:
            return self._base.get_partition_for_region(region)
        except sdk.UnknownRegionError:
            return 'aws'

    def address(self, service: str, region: str) -> str:
        """Return the address of a service in a region."""
        return self._access.endpoint_url or f'https://{service}.{region}.amazonaws.com'

    # Sessions and clients.

    def _configured_region(self) -> str | None:
        """Return the region of the environment or the profile. The SDK of Python does not know AWS_REGION."""
        region: str | None = os.environ.get('AWS_REGION') or self._base.get_config_variable('region')
        return region

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
        session.register('before-parse', self._before_parse)
        session.register('response-received', self._received)
        return session

    def _in_role(self, role_arn: str) -> Session:
        def sts(service: str, **credentials: Any) -> BaseClient:
            client = self._base.create_client(service, **credentials, **self._options(service, self.home))
            limit_responses(client, self._budget)
            return client

        session = self._session()
        role = _Role(self._base.get_credentials, sts, role_arn, self._access.external_id)
        session.register_component('credential_provider', CredentialResolver([role]))
        return session

    def _client(self, service: str, region: str) -> BaseClient:
        if (service, region) not in self._clients:
            client = self._session_in_use.create_client(service, **self._options(service, region))
            limit_responses(client, self._budget)
            self._clients[service, region] = client
        return self._clients[service, region]

    def _options(self, service: str, region: str) -> dict[str, Any]:
        """Return the arguments of a client: endpoint, timeouts, proxies and certificates."""
        wrapper = self._http.options
        address = self.address(service, region)
        proxies = wrapper['proxies']
        if proxies is not None:
            # Empty addresses in the wrapper mean "without a proxy".
            bypass = self._http.no_proxy_uris and should_bypass_proxy(address, self._http.no_proxy_uris)
            proxies = {} if bypass else {scheme: proxy for scheme, proxy in proxies.items() if proxy}
        verify = wrapper['verify']
        return {
            'region_name': region,
            'endpoint_url': self._access.endpoint_url,
            # With None, the SDK uses AWS_CA_BUNDLE where it is set.
            'verify': None if verify is True else verify,
            'config': Config(
                connect_timeout=self._access.connect_timeout,
                read_timeout=self._access.read_timeout,
                retries={'mode': 'standard', 'total_max_attempts': ATTEMPTS},
                proxies=proxies,
                client_cert=wrapper['cert'],
                use_fips_endpoint=self._uses_fips(service, region),
            ),
        }

    def _uses_fips(self, service: str, region: str) -> bool:
        """Return whether to use the FIPS endpoint: where the environment or the profile asks for it and it exists."""
        if self._access.endpoint_url is not None or not self._base.get_config_variable('use_fips_endpoint'):
            return False
        prefix = self._base.get_service_model(service).endpoint_prefix
        return endpoints.has_fips(self._base.get_data('endpoints'), prefix, region)

    def _before_send(self, **_: Any) -> None:
        self._budget.spend()
        # Connecting may take connect_timeout; waiting for the answer and reading it may take read_timeout each.
        seconds = self._access.connect_timeout + 2 * self._access.read_timeout
        self._deadline.stop()
        self._deadline = deadline.begin(min(seconds, self._budget.seconds_left()), self._budget.clock)
        self._budget.on_cancel(self._deadline.expire)

    def _before_parse(self, response_dict: Mapping[str, Any] | None = None, **_: Any) -> None:
        # Nothing else tells the status of an answer that the SDK cannot parse.
        answer = response_dict or {}
        self._answered = Answered(answer.get('status_code', 0), CaseInsensitiveDict(answer.get('headers', {})))

    def _received(self, response_dict: Mapping[str, Any] | None = None, **_: Any) -> None:
        self._deadline.stop()
        answer = response_dict or {}
        body = answer.get('body')
        self._budget.receive(
            len(body) if isinstance(body, bytes) else 0, CaseInsensitiveDict(answer.get('headers', {}))
        )

    # Errors.

    @contextmanager
    def _translated(self, call: Call) -> Iterator[None]:
        """Raise the errors of the SDK as SourceErrors."""
        self._answered = Answered(0, {})
        try:
            yield
        except sdk.ClientError as error:
            raise sdk_errors.of_refusal(error, call, self._clock()) from error
        except (sdk.BotoCoreError, ResponseParserError, *SHAPE_ERRORS) as error:
            # The SDK's parsers do not check that numbers are numbers and lists are lists.
            raise self._failure(error, call) from error
        finally:
            self._deadline.stop()

    def _failure(self, error: Exception, call: Call) -> SourceError:
        if self._deadline.expired:
            return sdk_errors.of_failure(sdk.ReadTimeoutError(endpoint_url=''), call)
        if isinstance(error, sdk.BotoCoreError):
            return sdk_errors.of_failure(error, call)
        return sdk_errors.of_unreadable(self._answered, call, self._clock())


class _Role(CredentialProvider):
    """Credentials of a role. The SDK assumes it on first use and renews the credentials before they expire."""

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
        """Return credentials that assume the role when they are first used."""
        source = self._source()
        if source is None:
            raise sdk.NoCredentialsError
        arguments = {'RoleSessionName': SESSION_NAME}
        if self._external_id:
            arguments['ExternalId'] = self._external_id
        fetcher = AssumeRoleCredentialFetcher(self._sts, source, self._role_arn, extra_args=arguments)
        return DeferredRefreshableCredentials(fetcher.fetch_credentials, self.METHOD)
