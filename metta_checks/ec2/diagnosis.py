"""The findings of `metta-checks doctor`: the account, the permissions in each region, and the price list."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.diagnosis import Finding, of_error
from ..core.errors import OutOfBudget, SourceError, Unauthorized
from .client import Client
from .prices import OnDemandKey
from .records import LINUX_OPERATION, SHARED_TENANCY
from .settings import Settings

# A type with a price everywhere, to probe the price list with.
COMMON_TYPE = 't3.micro'


def findings(client: Client, settings: Settings) -> Iterator[Finding]:
    """Yield the findings. Reads no data. Raises SourceError when nothing can be found out."""
    yield Finding('account', 'ok', f'the credentials belong to account {client.account()}')
    regions = settings.regions or tuple(client.regions())
    for region in regions:
        yield from _of_region(client, settings, region)
    if 'api' in settings.prices.sources:
        yield _of_price_list(client, regions[0])


def _of_region(client: Client, settings: Settings, region: str) -> Iterator[Finding]:
    found = (_permission_error(client, region, operation) for operation in settings.operations)
    errors = [error for error in found if error is not None]
    for error in errors:
        yield of_error(f'region {region}', error)
    if not errors:
        yield Finding(f'region {region}', 'ok', 'instances, volumes, snapshots and addresses can be read')


def _permission_error(client: Client, region: str, operation: str) -> SourceError | None:
    try:
        client.check_permission(region, operation)
    except (Unauthorized, OutOfBudget):
        raise
    except SourceError as error:
        return error
    return None


def _of_price_list(client: Client, region: str) -> Finding:
    key = OnDemandKey(region, region, COMMON_TYPE, LINUX_OPERATION, SHARED_TENANCY)
    if any(True for _ in client.ondemand_products(key)):
        return Finding('prices', 'ok', 'the price list answers')
    message = f'the price list has no price of {COMMON_TYPE} in {region}'
    return Finding('prices', 'warning', message, 'give prices in a file, see option `prices`')
