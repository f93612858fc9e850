"""The endpoints of services that exist in few regions, and FIPS endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEFAULT_REGION = 'us-east-1'
# The regions with an endpoint of the price list, by partition and by the first part of the name of the region to price.
PRICE_LIST_REGIONS = {
    'aws': {'eu': 'eu-central-1', 'me': 'eu-central-1', 'af': 'eu-central-1', 'il': 'eu-central-1', 'ap': 'ap-south-1'},
    'aws-cn': {'cn': 'cn-northwest-1'},
}
# Cost Explorer has one region per partition.
COST_EXPLORER_REGIONS = {'aws': DEFAULT_REGION, 'aws-cn': 'cn-northwest-1'}


def has_price_list(partition: str) -> bool:
    """Return whether a partition has a price list API."""
    return partition in PRICE_LIST_REGIONS


def price_list_region(partition: str, region: str) -> str:
    """Return the region whose endpoint has the price list of a region: the nearest one of the partition."""
    return PRICE_LIST_REGIONS.get(partition, {}).get(region.partition('-')[0], DEFAULT_REGION)


def has_fips(table: Mapping[str, Any], service: str, region: str) -> bool:
    """Return whether a service has a FIPS endpoint in a region.

    Parameters:
        table: the SDK's table of endpoints
        service: the prefix of the service's endpoints, such as `api.pricing`
    """
    services = (partition['services'].get(service, {}) for partition in table['partitions'])
    found = (one.get('endpoints', {}).get(region, {}) for one in services)
    variants = (variant for endpoint in found for variant in endpoint.get('variants', ()))
    # The SDK adds templates of names to the table, also for endpoints that do not exist.
    return any('fips' in variant['tags'] and '{' not in variant.get('hostname', '{') for variant in variants)
