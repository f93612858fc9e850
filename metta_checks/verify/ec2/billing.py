"""Cost Explorer: the amounts of the last full day. AWS bills USD 0.01 per request."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, timedelta
from typing import Any

from .account import Account
from .rows import Row, row

EC2 = ('Amazon Elastic Compute Cloud - Compute', 'EC2 - Other')
# Requests that AWS bills, by the option that sends them, and USD per request.
OPTIONS = {'cost_explorer': 1}
PER_REQUEST = 0.01
REGION = 'us-east-1'


def rows(account: Account) -> Iterator[Row]:
    """Yield the amounts of yesterday; nothing without option `cost_explorer`."""
    if not account.option('cost_explorer', False):
        return
    end = account.now.astimezone(UTC).date()
    asked: dict[str, Any] = {
        'TimePeriod': {'Start': str(end - timedelta(days=1)), 'End': str(end)},
        'Granularity': 'DAILY',
        'Metrics': ['UnblendedCost'],
        'Filter': {'Dimensions': {'Key': 'SERVICE', 'Values': list(EC2)}},
    }
    answer = account.client('ce', REGION).get_cost_and_usage(**asked)
    amounts = [float(day['Total']['UnblendedCost']['Amount']) for day in answer['ResultsByTime']]
    yield row('cost.billed_yesterday_usd', sum(amounts))


def requests(account: Account) -> int:
    """Return the number of requests that AWS bills."""
    return sum(number for option, number in OPTIONS.items() if account.option(option, False))
