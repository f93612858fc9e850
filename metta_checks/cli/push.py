"""Send collected data directly to Datadog, for runs without an Agent."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from datadog_api_client import ApiClient
from datadog_api_client.exceptions import ApiException, NotFoundException
from datadog_api_client.v1.api.authentication_api import AuthenticationApi
from datadog_api_client.v1.api.events_api import EventsApi
from datadog_api_client.v1.api.service_checks_api import ServiceChecksApi
from datadog_api_client.v1.model.event_alert_type import EventAlertType
from datadog_api_client.v1.model.event_create_request import EventCreateRequest
from datadog_api_client.v1.model.service_check import ServiceCheck
from datadog_api_client.v1.model.service_check_status import ServiceCheckStatus
from datadog_api_client.v1.model.service_checks import ServiceChecks
from datadog_api_client.v2.api.metrics_api import MetricsApi
from datadog_api_client.v2.model.metric_intake_type import MetricIntakeType
from datadog_api_client.v2.model.metric_payload import MetricPayload
from datadog_api_client.v2.model.metric_point import MetricPoint
from datadog_api_client.v2.model.metric_series import MetricSeries
from urllib3.exceptions import HTTPError

from metta_checks.as_code.connection import UnusableSetting, configure, is_redirect
from metta_checks.core.points import agent_series

from .collecting import Collected
from .vault import UnknownSecret, resolve_secret

BATCH = 500
STATUS_CODES = {'ok': 0, 'warning': 1, 'critical': 2}


class PushError(Exception):
    """Datadog rejected the data or was not reached; one line."""


class Sender:
    """A connection to Datadog.

    Credentials and host: `DD_API_KEY` (or `ENC[...]` there), `DD_SITE` (datadoghq.com) or `DD_URL`. Raises PushError
    when they cannot be used.
    """

    def __init__(self) -> None:
        values = {name: os.environ.get(name, '').strip() for name in ('DD_API_KEY', 'DD_SITE', 'DD_URL')}
        if not values['DD_API_KEY']:
            raise PushError('set DD_API_KEY (and DD_SITE, unless it is datadoghq.com)')
        try:
            key = resolve_secret(values['DD_API_KEY'], 'DD_API_KEY')
            self._configuration = configure({'DD_API_KEY': key}, site=values['DD_SITE'], url=values['DD_URL'])
        except (UnknownSecret, UnusableSetting) as error:
            raise PushError(str(error)) from error
        self._configuration.api_key['apiKeyAuth'] = key

    def check_key(self) -> None:
        """Ask Datadog whether the key is valid. Raises PushError if it is not."""
        with self._connected() as client:
            try:
                AuthenticationApi(client).validate()
            except NotFoundException:
                # A proxy in front of the intake (DD_URL) need not have this endpoint.
                return

    def push(self, collected: Iterable[Collected]) -> int:
        """Submit metrics, service checks and events. Returns the number of series.

        Data that Datadog may have accepted is not sent again. Raises PushError.
        """
        sent = list(collected)
        with self._connected() as client:
            number = _push_metrics(client, sent)
            _push_service_checks(client, sent)
            _push_events(client, sent)
        return number

    @contextmanager
    def _connected(self) -> Iterator[ApiClient]:
        """Yield a client. Raises PushError for the errors of its calls."""
        host = self._configuration.host
        try:
            with ApiClient(self._configuration) as client:
                yield client
        except ApiException as error:
            advice = ''
            if error.status in (401, 403):
                advice = '; check DD_API_KEY and DD_SITE'
            elif is_redirect(error.status):
                advice = f': {host} redirects, and the key goes nowhere else; check DD_SITE or DD_URL'
            raise PushError(f'Datadog answered HTTP {error.status}{advice}') from error
        except HTTPError as error:
            raise PushError(f'no connection to {host} ({type(error).__name__}); check DD_SITE') from error


def _push_metrics(client: ApiClient, collected: list[Collected]) -> int:
    timestamp = int(time.time())
    points = [point for one in collected for point in agent_series(one.points)]
    series = [
        MetricSeries(
            metric=point.name,
            type=MetricIntakeType.COUNT if point.type == 'count' else MetricIntakeType.GAUGE,
            points=[MetricPoint(timestamp=timestamp, value=point.value)],
            tags=list(point.tags),
        )
        for point in points
    ]
    metrics = MetricsApi(client)
    for start in range(0, len(series), BATCH):
        metrics.submit_metrics(body=MetricPayload(series=series[start : start + BATCH]))
    return len(series)


def _push_service_checks(client: ApiClient, collected: list[Collected]) -> None:
    checks = [
        ServiceCheck(
            check='metta.can_connect',
            host_name='',
            status=ServiceCheckStatus(STATUS_CODES[one.status]),
            message=one.message,
            tags=[f'source:{one.source}'],
        )
        for one in collected
        if one.status is not None
    ]
    if checks:
        ServiceChecksApi(client).submit_service_check(body=ServiceChecks(value=checks))


def _push_events(client: ApiClient, collected: list[Collected]) -> None:
    events = EventsApi(client)
    for one in collected:
        for event in one.events:
            events.create_event(
                body=EventCreateRequest(
                    title=event['msg_title'],
                    text=event['msg_text'],
                    alert_type=EventAlertType(event['alert_type']),
                    aggregation_key=event['aggregation_key'],
                    date_happened=event['timestamp'],
                    source_type_name=event['source_type_name'],
                    tags=list(event['tags']),
                )
            )
