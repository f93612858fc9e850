"""Cost Explorer: the bill, and the use of savings plans and reserved instances. AWS bills $0.01 per request.

All figures are those of one account: a management account could see the costs of the whole organization.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from ..core.errors import BadPayload, Forbidden, Rejected, SourceError
from ..core.fields import decimal, text
from .aws import Aws
from .endpoints import COST_EXPLORER_REGIONS
from .records import AWS
from .sdk_errors import Call, NoData

DAY = timedelta(days=1)
# Cost Explorer goes on adding costs to a day after its end: AWS updates it at least once every 24 hours, from billing
# data that can be late.
SETTLING = timedelta(hours=36)
COMPUTE = 'Amazon Elastic Compute Cloud - Compute'
SERVICES = (COMPUTE, 'EC2 - Other')
# Lines of the bill that are not costs of the day.
CREDITS = ('Credit', 'Refund')
SAVINGS_PLAN, RESERVATION = 'savings_plan', 'reservation'


@dataclass(frozen=True, slots=True)
class Bill:
    """The bill of a day, in USD.

    Attributes:
        unblended: as billed on the day
        amortized: with fees of savings plans and reservations spread over their term
    """

    unblended: float
    amortized: float

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Bill:
        """Return the bill from an answer of GetCostAndUsage about one day. Raises BadPayload."""
        days = AWS.parts(raw, 'ResultsByTime')
        if not days:
            raise BadPayload('ce:GetCostAndUsage sent no total for the day')
        total = AWS.part(days[0], 'Total')
        return cls(_usd(total, 'UnblendedCost'), _usd(total, 'AmortizedCost'))


@dataclass(frozen=True, slots=True)
class Cover:
    """The part of the usage that commitments of one type cover; None where AWS does not report it.

    Attributes:
        type: SAVINGS_PLAN or RESERVATION
        covered: usage that they covered: USD for savings plans, hours for reservations
        total: all usage that they could cover, in the same unit
    """

    type: str
    covered: float | None
    total: float | None


@dataclass(frozen=True, slots=True)
class Use:
    """The part of the commitments of one type that was used; None where AWS does not report it.

    Attributes:
        type: SAVINGS_PLAN or RESERVATION
        used: USD for savings plans, hours for reservations
        committed: all that was committed, in the same unit
        unused_usd: the price of the rest, in USD
    """

    type: str
    used: float | None
    committed: float | None
    unused_usd: float | None


class CostExplorer:
    """The requests to Cost Explorer. Every method raises a SourceError, NoData where AWS has no data for the day."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def bill(self, account: str, day: date) -> Bill:
        """Return the bill for EC2 of a day (UTC) in all regions, without credits and refunds."""
        without_credits = {'Not': {'Dimensions': {'Key': 'RECORD_TYPE', 'Values': list(CREDITS)}}}
        answer = self._aws.call(
            *self._call('get_cost_and_usage'),
            **_day(day),
            Metrics=['UnblendedCost', 'AmortizedCost'],
            Filter={'And': [_services(SERVICES), _account(account), without_credits]},
        )
        return Bill.parse(answer)

    def commitments(self, account: str, day: date, problems: list[SourceError]) -> Iterator[Cover | Use]:
        """Yield coverage and use of savings plans and reservations on a day, with one request each.

        Leaves out those that AWS has no data for, as for an account without savings plans, and those that it refuses.
        The refusals are added to `problems`.
        """
        reads: tuple[Callable[[str, date], Cover | Use], ...] = (
            self._savings_plans_coverage,
            self._reservation_coverage,
            self._savings_plans_use,
            self._reservation_use,
        )
        for read in reads:
            try:
                yield read(account, day)
            except NoData:
                continue
            except (Forbidden, Rejected, BadPayload) as error:
                problems.append(error)

    def _savings_plans_coverage(self, account: str, day: date) -> Cover:
        call = self._call('get_savings_plans_coverage')
        filters = {'And': [_account(account), _services((COMPUTE,))]}
        covered = total = 0.0
        for page in self._aws.pages(call, **_day(day), Filter=filters):
            for row in AWS.parts(page, 'SavingsPlansCoverages'):
                coverage = AWS.part(row, 'Coverage')
                part = AWS.required(decimal, coverage, 'SpendCoveredBySavingsPlans', 'coverage')
                covered += part
                total += part + AWS.required(decimal, coverage, 'OnDemandCost', 'coverage')
        return Cover(SAVINGS_PLAN, covered, total)

    def _reservation_coverage(self, account: str, day: date) -> Cover:
        # Without a service, Cost Explorer takes EC2.
        answer = self._aws.call(*self._call('get_reservation_coverage'), **_day(day), Filter=_account(account))
        hours = AWS.part(AWS.part(answer, 'Total'), 'CoverageHours')
        return Cover(RESERVATION, _number(hours, 'ReservedHours'), _number(hours, 'TotalRunningHours'))

    def _savings_plans_use(self, account: str, day: date) -> Use:
        answer = self._aws.call(*self._call('get_savings_plans_utilization'), **_day(day), Filter=_account(account))
        found = AWS.part(AWS.part(answer, 'Total'), 'Utilization')
        numbers = (_number(found, name) for name in ('UsedCommitment', 'TotalCommitment', 'UnusedCommitment'))
        return Use(SAVINGS_PLAN, *numbers)

    def _reservation_use(self, account: str, day: date) -> Use:
        answer = self._aws.call(*self._call('get_reservation_utilization'), **_day(day), Filter=_account(account))
        found = AWS.part(answer, 'Total')
        numbers = (_number(found, name) for name in ('TotalActualHours', 'PurchasedHours', 'RICostForUnusedHours'))
        return Use(RESERVATION, *numbers)

    def _call(self, operation: str) -> Call:
        partition = self._aws.partition(self._aws.home)
        if partition not in COST_EXPLORER_REGIONS:
            raise Rejected(
                f'AWS has no Cost Explorer in partition {partition}; its costs are in the bill of the account that it '
                'belongs to in the standard partition',
                reason='no_cost_explorer',
            )
        return Call('ce', COST_EXPLORER_REGIONS[partition], operation)


def settled_day(now: datetime) -> date:
    """Return the last day (UTC) that ended at least 36 hours ago. Later ones lack a part of their costs."""
    return (now - SETTLING).date() - DAY


def _day(day: date) -> dict[str, Any]:
    period = {'Start': day.isoformat(), 'End': (day + DAY).isoformat()}
    return {'TimePeriod': period, 'Granularity': 'DAILY'}


def _account(account: str) -> dict[str, Any]:
    return {'Dimensions': {'Key': 'LINKED_ACCOUNT', 'Values': [account]}}


def _services(names: tuple[str, ...]) -> dict[str, Any]:
    return {'Dimensions': {'Key': 'SERVICE', 'Values': list(names)}}


def _usd(total: Mapping[str, Any], name: str) -> float:
    cost = AWS.part(total, name)
    unit = AWS.required(text, cost, 'Unit', 'bill')
    if unit != 'USD':
        raise BadPayload(f'ce:GetCostAndUsage sent an amount in {unit[:20]}, not in USD')
    return AWS.required(decimal, cost, 'Amount', 'bill')


def _number(fields: Mapping[str, Any], name: str) -> float | None:
    """Return a number, None when AWS leaves it out, as it does for an account without commitments."""
    return AWS.optional(decimal, fields, name)
