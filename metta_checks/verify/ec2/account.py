"""One AWS account through boto3: credentials, clients, regions, and everything that is read once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

import boto3
from botocore.exceptions import ClientError

Service = Literal['ce', 'cloudwatch', 'compute-optimizer', 'ec2', 'pricing', 'sts']
ALIVE = ('pending', 'running', 'stopping', 'stopped')
# A policy, an account that is not verified, or a region that is not enabled.
REFUSALS = ('UnauthorizedOperation', 'AccessDenied', 'OptInRequired', 'AuthFailure')
# A region and an object of boto3 in it.
Placed = tuple[str, Any]


class Account:
    """The account of an instance at one time. Lists are read on first use, whole, and then kept."""

    def __init__(self, instance: Mapping[str, Any], now: datetime) -> None:
        self.instance = instance
        self.now = now
        self.requests = 0
        self._clients: dict[tuple[str, str], Any] = {}
        self._resources: dict[str, Any] = {}
        self._session = self._sign_in()
        self._session.events.register('before-send', self._count)

    def _count(self, **_: Any) -> None:
        self.requests += 1

    def option(self, name: str, default: Any) -> Any:
        """Return an option of the instance; the default when it is not set."""
        value = self.instance.get(name)
        return default if value is None else value

    @property
    def home(self) -> str:
        """The region for requests that concern the account."""
        own: str | None = self._session.region_name
        return own or next(iter(self.option('regions', ())), 'us-east-1')

    def _sign_in(self) -> boto3.Session:
        own = boto3.Session(
            aws_access_key_id=self.instance.get('access_key_id'),
            aws_secret_access_key=self.instance.get('secret_access_key'),
            profile_name=self.instance.get('profile'),
        )
        if not self.instance.get('role_arn'):
            return own
        own.events.register('before-send', self._count)
        region = own.region_name or next(iter(self.option('regions', ())), 'us-east-1')
        sts = own.client('sts', region_name=region, endpoint_url=self.instance.get('endpoint_url'))
        condition = {'ExternalId': self.instance['external_id']} if self.instance.get('external_id') else {}
        role = sts.assume_role(RoleArn=self.instance['role_arn'], RoleSessionName='metta-checks-verify', **condition)
        keys = role['Credentials']
        return boto3.Session(keys['AccessKeyId'], keys['SecretAccessKey'], keys['SessionToken'])

    def client(self, service: Service, region: str) -> Any:
        """Return the client of a service in a region."""
        if service == 'ec2':
            return self._ec2(region).meta.client
        if (service, region) not in self._clients:
            self._clients[service, region] = self._session.client(
                service, region_name=region, endpoint_url=self.instance.get('endpoint_url')
            )
        return self._clients[service, region]

    def _ec2(self, region: str) -> Any:
        """Return EC2 in a region as boto3's resource object."""
        if region not in self._resources:
            self._resources[region] = self._session.resource(
                'ec2', region_name=region, endpoint_url=self.instance.get('endpoint_url')
            )
        return self._resources[region]

    @cached_property
    def number(self) -> str:
        """The number of the account, empty when AWS does not tell it."""
        try:
            return str(self.client('sts', self.home).get_caller_identity()['Account'])
        except ClientError:
            return ''

    @cached_property
    def regions(self) -> list[str]:
        """The regions of option `regions`, else those that are enabled for the account."""
        if listed := list(self.option('regions', ())):
            return listed
        answer = self.client('ec2', self.home).describe_regions()
        enabled = [region['RegionName'] for region in answer['Regions'] if region['OptInStatus'] != 'not-opted-in']
        return [region for region in enabled if self._may_read(region)]

    def _may_read(self, region: str) -> bool:
        """Return False for a region that AWS lists and a policy denies."""
        try:
            self.client('ec2', region).describe_instances(MaxResults=5)
        except ClientError as error:
            if error.response['Error']['Code'] in REFUSALS:
                return False
            raise
        return True

    @cached_property
    def resources(self) -> dict[str, Any]:
        """EC2 as boto3's resource objects, by region."""
        return {region: self._ec2(region) for region in self.regions}

    @cached_property
    def machines(self) -> list[Placed]:
        """Instances that are neither terminated nor shutting down, each once, as AWS may list it on two pages."""
        return [
            (region, machine)
            for region, ec2 in self.resources.items()
            for machine in set(ec2.instances.all())
            if machine.state['Name'] in ALIVE
        ]

    @property
    def running(self) -> list[Placed]:
        """Instances in state running."""
        return [(region, machine) for region, machine in self.machines if machine.state['Name'] == 'running']

    @cached_property
    def volumes(self) -> list[Placed]:
        """Volumes that are neither deleted nor being deleted, each once."""
        return [
            (region, volume)
            for region, ec2 in self.resources.items()
            for volume in set(ec2.volumes.all())
            if volume.state not in ('deleting', 'deleted')
        ]

    @cached_property
    def snapshots(self) -> list[Placed]:
        """Completed snapshots of the account, each once."""
        return [
            (region, copy)
            for region, ec2 in self.resources.items()
            for copy in set(ec2.snapshots.filter(OwnerIds=['self']))
            if copy.state == 'completed'
        ]

    @cached_property
    def types(self) -> dict[str, Mapping[str, Any]]:
        """Descriptions of the running instances' types that AWS describes, by type: one request per type."""
        found: dict[str, Mapping[str, Any]] = {}
        asked: set[str] = set()
        for region, machine in self.running:
            kind = machine.instance_type
            if kind in asked:
                continue
            asked.add(kind)
            try:
                answer = self.client('ec2', region).describe_instance_types(InstanceTypes=[kind])
            except ClientError as error:
                if error.response['Error']['Code'] == 'InvalidInstanceType':
                    continue
                raise
            found |= {described['InstanceType']: described for described in answer['InstanceTypes']}
        return found

    @cached_property
    def _zones(self) -> dict[str, str]:
        """The place of every zone of the regions, as the price list names it."""
        found = {}
        for region in self.regions:
            try:
                answer = self.client('ec2', region).describe_availability_zones(AllAvailabilityZones=True)
            except ClientError:
                continue
            for zone in answer['AvailabilityZones']:
                edge = zone.get('NetworkBorderGroup') or zone.get('GroupName')
                ordinary = zone.get('ZoneType', 'availability-zone') == 'availability-zone'
                found[zone['ZoneName']] = region if ordinary or not edge else edge
        return found

    def place(self, region: str, zone: str | None) -> str | None:
        """Return the region code of the price list for a zone: the region, a Local Zone's or Wavelength Zone's own."""
        if not zone or re.fullmatch(f'{re.escape(region)}[a-z]', zone):
            return region
        return self._zones.get(zone)
