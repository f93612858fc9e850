"""AWS at one address: signatures, permissions, EC2, the JSON services, and moto for other operations."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from xml.etree import ElementTree

from werkzeug.wrappers import Request, Response

from metta_checks.testing import Clock

from ..organization import Organization
from ..server import Figure, Service
from . import cloudwatch_protocol, ec2_protocol, signing
from .cost_explorer import CostExplorer
from .ec2_protocol import AwsError
from .estate import Builder
from .inventory import Inventory
from .json_services import JsonServices
from .moto_peer import Moto
from .options import Ec2Options
from .signing import Secret, Signed
from .situations import OTHER_ACCOUNT, SITUATIONS, chosen
from .truth import Truth

ACCOUNT, ROLE_ACCOUNT = '123456789012', '210987654321'
ROLE = f'arn:aws:iam::{ROLE_ACCOUNT}:role/metta-checks'
EXTERNAL_ID = 'metta-7'
ACCESS_KEY, SECRET_KEY = 'SANDBOXACCESSKEY0001', 'sandbox-secret-access-key'
DENIED = {'ec2': 'UnauthorizedOperation', 'sts': 'AccessDenied', 'cloudwatch': 'AccessDeniedException'}
JSON_SERVICES = {'monitoring': 'cloudwatch'}
# Services that refuse a request in the query protocol in the form of STS. The SDK of Agent 7.72 uses it for CloudWatch.
QUERY_SERVICES = {'cloudwatch': 'sts'}


@dataclass(slots=True)
class Failure:
    """An error that an operation (`ec2:DescribeVolumes`) answers with."""

    action: str
    code: str
    status: int = 400
    region: str = ''
    # Number of requests that succeed first, and number of requests that fail afterwards; None: all.
    after: int = 0
    times: int | None = None


class Ec2Service(Service):
    """One account over two regions."""

    name: ClassVar[str] = 'ec2'
    options_type = Ec2Options

    def __init__(self, organization: Organization, clock: Clock, options: Ec2Options) -> None:
        super().__init__(organization, clock)
        self.regions = tuple(options.regions)
        situations = chosen(options.situations)
        builder = Builder(clock.now(), organization.random('ec2'), options)
        for name in situations:
            if name in SITUATIONS:
                SITUATIONS[name](builder)
        self.estate = builder.estate
        self.inventory = Inventory(self.estate)
        self.cost_explorer = CostExplorer(ACCOUNT, OTHER_ACCOUNT, situations)
        self.cost_explorer.without_data.update(options.without_data)
        self.json_services = JsonServices(self.estate, self.regions, options.ambiguous, self.cost_explorer)
        self.secrets = {ACCESS_KEY: Secret(SECRET_KEY)}
        # Regions where AWS refuses the account, and actions that the policy does not allow.
        self.disabled_regions: set[str] = set()
        self.denied: set[str] = set(options.denied_actions)
        # Regions in which a service control policy of the organization denies everything.
        self.denied_regions: set[str] = set(options.denied_regions)
        # Services that do not serve the account yet.
        self.not_opted_in: set[str] = set(options.not_opted_in)
        self.failures: list[Failure] = []
        # Log of the operations, as `service:Operation region`.
        self.asked: list[str] = []
        self.moto = Moto()

    def instance(self) -> dict[str, Any]:
        """Return an instance that reads all regions of the sandbox."""
        return {
            'source': 'ec2',
            'endpoint_url': self.url,
            'access_key_id': ACCESS_KEY,
            'secret_access_key': SECRET_KEY,
            'regions': list(self.regions),
        }

    def truth(self, now: datetime, options: Mapping[str, Any] | None = None) -> Iterable[Figure]:
        """Compute all figures, with the tag `account`; with the options of an instance, those of these options."""
        for figure in Truth(self.estate, self.regions, now, self.cost_explorer, options).figures():
            yield Figure(figure.name, figure.value, (f'account:{ACCOUNT}', *figure.tags))

    def fail(self, action: str, code: str, status: int = 400, **how: Any) -> None:
        """Let an operation fail; see Failure."""
        self.failures.append(Failure(action, code, status, **how))

    def answer(self, request: Request) -> Response:
        """Answer as AWS does."""
        signed = signing.verify(request, self.secrets)
        target = request.headers.get('X-Amz-Target', '')
        parameters = request.form.to_dict()
        operation = target.rpartition('.')[2] or parameters.get('Action', '')
        service = 'ec2'
        try:
            if isinstance(signed, str):
                service = 'json' if target else 'sts' if operation in ('GetCallerIdentity', 'AssumeRole') else 'ec2'
                code = (
                    'AuthFailure' if service == 'ec2' else signed if service == 'sts' else 'UnrecognizedClientException'
                )
                raise AwsError(code, 'AWS was not able to validate the provided access credentials', 401)
            service = JSON_SERVICES.get(signed.service, signed.service)
            action = f'{service}:{operation}'
            self.asked.append(f'{action} {signed.region}')
            self._guard(signed, service, action)
            if parameters.get('DryRun') == 'true':
                raise AwsError('DryRunOperation', 'Request would have succeeded, but DryRun flag is set.', 412)
            return self._dispatch(request, signed, action, operation, parameters)
        except AwsError as error:
            return self._refusal(service if target else QUERY_SERVICES.get(service, service), error)

    def _guard(self, signed: Signed, service: str, action: str) -> None:
        if service == 'ec2' and signed.region in self.disabled_regions:
            raise AwsError('AuthFailure', 'AWS was not able to validate the provided access credentials', 401)
        if service in self.not_opted_in:
            raise AwsError('OptInRequired', 'You are not subscribed to this service.', 401)
        if service == 'ec2' and signed.region in self.denied_regions:
            reason = f'not authorized to perform: {action} with an explicit deny in a service control policy'
            raise AwsError(DENIED['ec2'], reason, 403)
        if action in self.denied:
            raise AwsError(DENIED.get(service, 'AccessDeniedException'), 'not authorized', 403)
        for failure in self.failures:
            if failure.action != action or failure.region not in ('', signed.region) or failure.times == 0:
                continue
            if failure.after > 0:
                failure.after -= 1
                continue
            if failure.times is not None:
                failure.times -= 1
            raise AwsError(failure.code, 'as told', failure.status)

    def _dispatch(
        self, request: Request, signed: Signed, action: str, operation: str, parameters: Mapping[str, str]
    ) -> Response:
        now = self.clock.now()
        if action in self.json_services.operations:
            if parameters:
                body = self.json_services.operations[action](signed.region, cloudwatch_protocol.body(parameters), now)
                return _xml(cloudwatch_protocol.answer(operation, body))
            body = self.json_services.operations[action](signed.region, json.loads(request.get_data() or b'{}'), now)
            return Response(json.dumps(body), content_type='application/x-amz-json-1.1')
        if operation in self.inventory.operations:
            return _xml(self.inventory.operations[operation](signed.region, parameters, now))
        if action == 'sts:AssumeRole':
            return self._assume_role(request, parameters)
        return self.moto.answer(request)

    def _assume_role(self, request: Request, parameters: Mapping[str, str]) -> Response:
        """Check the trust policy. Moto makes the credentials."""
        if parameters.get('RoleArn') != ROLE or parameters.get('ExternalId') != EXTERNAL_ID:
            raise AwsError('AccessDenied', 'not authorized to perform sts:AssumeRole', 403)
        response = self.moto.answer(request)
        texts = {
            element.tag.rpartition('}')[2]: element.text or ''
            for element in ElementTree.fromstring(response.get_data()).iter()
        }
        self.secrets[texts['AccessKeyId']] = Secret(texts['SecretAccessKey'], texts['SessionToken'])
        return response

    @staticmethod
    def _refusal(service: str, error: AwsError) -> Response:
        if service == 'ec2':
            return _xml(ec2_protocol.error(error.code, str(error)), error.status)
        if service == 'sts':
            return _xml(ec2_protocol.query_error(error.code, str(error)), error.status)
        body = json.dumps({'__type': error.code, 'message': str(error)})
        return Response(body, error.status, content_type='application/x-amz-json-1.1')


def _xml(text: str, status: int = 200) -> Response:
    return Response(text, status, content_type='text/xml;charset=UTF-8')
