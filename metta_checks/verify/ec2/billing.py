"""Cost Explorer: bill and commitments of the last day that is complete. AWS bills USD 0.01 per request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, timedelta
from typing import Any

from botocore.exceptions import ClientError

from .account import Account
from .rows import Row, row

EC2 = ('Amazon Elastic Compute Cloud - Compute', 'EC2 - Other')
# Requests that AWS bills, by the option that sends them, and USD per request.
OPTIONS = {'cost_explorer': 1, 'commitments': 4}
PER_REQUEST = 0.01
# AWS adds costs to a day for 24 hours and more after it has ended.
COMPLETE_AFTER = timedelta(hours=36)
REGION = 'us-east-1'
PLANS, RESERVATION = 'savings_plan', 'reservation'


def rows(account: Account) -> Iterator[Row]:
    """Yield the figures of options `cost_explorer` and `commitments`; nothing while the account is not known."""
    if not account.number:
        return
    if account.option('cost_explorer', False):
        yield from _bill(account)
    if account.option('commitments', False):
        yield from _plans(account)
        yield from _reservations(account)


def requests(account: Account) -> int:
    """Return the number of requests that AWS bills."""
    return sum(number for option, number in OPTIONS.items() if account.option(option, False))


def _complete_day(account: Account) -> dict[str, str]:
    """Return the last day that is complete, as the period from its midnight to the next one."""
    end = (account.now.astimezone(UTC) - COMPLETE_AFTER).date()
    return {'Start': str(end - timedelta(days=1)), 'End': str(end)}


def _of_account(account: Account) -> dict[str, Any]:
    return _one_of('LINKED_ACCOUNT', account.number)


def _one_of(dimension: str, *values: str) -> dict[str, Any]:
    return {'Dimensions': {'Key': dimension, 'Values': list(values)}}


def _ask(account: Account, operation: str, **asked: Any) -> Mapping[str, Any] | None:
    """Return the answer for the last complete day; None when Cost Explorer has no data for it."""
    call = getattr(account.client('ce', REGION), operation)
    try:
        answer: Mapping[str, Any] = call(TimePeriod=_complete_day(account), Granularity='DAILY', **asked)
    except ClientError as error:
        if error.response['Error']['Code'] == 'DataUnavailableException':
            return None
        raise
    return answer


def _bill(account: Account) -> Iterator[Row]:
    """Yield what the account itself pays, without credits and refunds."""
    credit = {'Not': _one_of('RECORD_TYPE', 'Credit', 'Refund')}
    answer = _ask(
        account,
        'get_cost_and_usage',
        Metrics=['UnblendedCost', 'AmortizedCost'],
        Filter={'And': [_one_of('SERVICE', *EC2), _of_account(account), credit]},
    )
    for name, key in (('billed', 'UnblendedCost'), ('amortized', 'AmortizedCost')):
        totals = [day['Total'][key] for day in (answer or {}).get('ResultsByTime', ())]
        if totals and all(total['Unit'] == 'USD' for total in totals):
            yield row(f'cost.{name}_yesterday_usd', sum(float(total['Amount']) for total in totals))


def _plans(account: Account) -> Iterator[Row]:
    """Yield the coverage of EC2 compute by Savings Plans, and how far the account uses its own."""
    compute = {'And': [_of_account(account), _one_of('SERVICE', EC2[0])]}
    answer = _ask(account, 'get_savings_plans_coverage', Filter=compute)
    coverages = [one['Coverage'] for one in (answer or {}).get('SavingsPlansCoverages', ())]
    covered = sum(float(one['SpendCoveredBySavingsPlans']) for one in coverages)
    on_demand = sum(float(one['OnDemandCost']) for one in coverages)
    yield row('commitments.coverage_pct', _percent(covered, covered + on_demand), type=PLANS)
    answer = _ask(account, 'get_savings_plans_utilization', Filter=_of_account(account))
    used = (answer or {}).get('Total', {}).get('Utilization', {})
    committed = _number(used, 'TotalCommitment')
    yield row('commitments.utilization_pct', _percent(_number(used, 'UsedCommitment'), committed), type=PLANS)
    unused = _number(used, 'UnusedCommitment') if committed else None
    yield row('commitments.unused_yesterday_usd', unused, type=PLANS)


def _reservations(account: Account) -> Iterator[Row]:
    """Yield the coverage of running hours by reserved instances, and how far the account uses its own."""
    answer = _ask(account, 'get_reservation_coverage', Filter=_of_account(account))
    hours = (answer or {}).get('Total', {}).get('CoverageHours', {})
    coverage = _percent(_number(hours, 'ReservedHours'), _number(hours, 'TotalRunningHours'))
    yield row('commitments.coverage_pct', coverage, type=RESERVATION)
    answer = _ask(account, 'get_reservation_utilization', Filter=_of_account(account))
    total = (answer or {}).get('Total', {})
    purchased = _number(total, 'PurchasedHours')
    utilization = _percent(_number(total, 'TotalActualHours'), purchased)
    yield row('commitments.utilization_pct', utilization, type=RESERVATION)
    unused = _number(total, 'RICostForUnusedHours') if purchased else None
    yield row('commitments.unused_yesterday_usd', unused, type=RESERVATION)


def _number(values: Mapping[str, str], name: str) -> float:
    return float(values.get(name) or 0)


def _percent(part: float, whole: float) -> float | None:
    return 100 * part / whole if whole else None
