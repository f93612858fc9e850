"""Cost Explorer: rows of the bill that filters select, and the utilization of commitments.

Every day costs the same, apart from days in `extra`. Situation `organization`: the account is one of several, with
credits and refunds; situation `commitments`: it has Savings Plans and reserved instances; situation `late_costs`: the
costs and the usage of a day arrive hour by hour, until 36 hours after its end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from .ec2_protocol import AwsError

COMPUTE, OTHER, STORAGE = 'Amazon Elastic Compute Cloud - Compute', 'EC2 - Other', 'Amazon Simple Storage Service'
EC2 = (COMPUTE, OTHER)
CREDITS = ('Credit', 'Refund')
DATA_UNAVAILABLE = 'DataUnavailableException'


class BillRow(NamedTuple):
    """An amount of one day, by the dimensions that a filter can name, in USD."""

    account: str
    service: str
    record_type: str
    unblended: float
    amortized: float

    def dimension(self, key: str) -> str:
        """Return the value of a dimension. Raises AwsError for one that the sandbox does not have."""
        values = {'LINKED_ACCOUNT': self.account, 'SERVICE': self.service, 'RECORD_TYPE': self.record_type}
        if key not in values:
            raise AwsError('ValidationException', f'dimension {key}')
        return values[key]


class Commitment(NamedTuple):
    """Commitments of one account on one day: USD of Savings Plans and hours of reserved instances."""

    covered: float
    on_demand: float
    committed: float
    used: float
    reserved_hours: float
    running_hours: float
    purchased_hours: float
    unused_cost: float

    def part(self, arrived: float) -> Commitment:
        """Return the commitments with the part of the usage that has arrived; purchases are known before."""
        return self._replace(
            covered=self.covered * arrived,
            used=self.used * arrived,
            reserved_hours=self.reserved_hours * arrived,
        )


NOTHING = Commitment(0, 0, 0, 0, 0, 2448, 0, 0)
# Hours from the beginning of a day until all of its costs are there.
COMPLETE_HOURS = 24 + 36


class CostExplorer:
    """The operations of Cost Explorer for one account."""

    def __init__(self, account: str, other_account: str, situations: Sequence[str]) -> None:
        self.account = account
        self.rows = [
            BillRow(account, COMPUTE, 'Usage', 1000.5, 900.25),
            BillRow(account, OTHER, 'Usage', 234.0678901, 234.0678901),
            BillRow(account, STORAGE, 'Usage', 80.0, 80.0),
        ]
        self.commitments: dict[str, Commitment] = {}
        if 'organization' in situations:
            self.rows += [
                BillRow(account, COMPUTE, 'Credit', -150.0, -150.0),
                BillRow(account, OTHER, 'Refund', -20.0, -20.0),
                BillRow(account, COMPUTE, 'DiscountedUsage', 0.0, 60.0),
                BillRow(other_account, COMPUTE, 'Usage', 4000.0, 3900.0),
                BillRow(other_account, COMPUTE, 'Credit', -400.0, -400.0),
            ]
            self.commitments[other_account] = Commitment(100, 100, 900, 10, 24, 4800, 2400, 99)
        if 'commitments' in situations:
            self.commitments[account] = Commitment(310.25, 812.75, 240.0, 228.5, 480, 2448, 528, 3.6)
        self.is_late = 'late_costs' in situations
        # USD that the account pays for compute on a day beside those of every day.
        self.extra: dict[date, float] = {}
        # Operations without data, by their name.
        self.without_data: set[str] = set()
        self.operations = {
            'ce:GetCostAndUsage': self.cost,
            'ce:GetSavingsPlansCoverage': self.plans_coverage,
            'ce:GetSavingsPlansUtilization': self.plans_utilization,
            'ce:GetReservationCoverage': self.reservation_coverage,
            'ce:GetReservationUtilization': self.reservation_utilization,
        }

    def billed(self, day: date) -> float:
        """Return the complete unblended amount of the account for EC2 on a day."""
        return sum(row.unblended for row in self._own()) + self.extra.get(day, 0)

    def amortized(self, day: date) -> float:
        """Return the complete amortized amount of the account for EC2 on a day."""
        return sum(row.amortized for row in self._own()) + self.extra.get(day, 0)

    def _own(self) -> list[BillRow]:
        """Return the account's own rows of EC2, without credits and refunds."""
        return [
            row
            for row in self.rows
            if row.account == self.account and row.service in EC2 and row.record_type not in CREDITS
        ]

    def cost(self, _: str, body: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """Return one total for one day, over the rows that the filter selects."""
        self._refuse('GetCostAndUsage', body, now)
        extra = self.extra.get(date.fromisoformat(body['TimePeriod']['Start']), 0)
        rows = [*self.rows, BillRow(self.account, COMPUTE, 'Usage', extra, extra)]
        chosen = [row for row in rows if _selects(body.get('Filter', {}), row)]
        arrived = self._arrived(body, now)
        amounts = {
            'UnblendedCost': arrived * sum(row.unblended for row in chosen),
            'AmortizedCost': arrived * sum(row.amortized for row in chosen),
        }
        total = {name: {'Amount': f'{amounts[name]:.10f}', 'Unit': 'USD'} for name in body['Metrics']}
        return {'ResultsByTime': [{'TimePeriod': body['TimePeriod'], 'Total': total, 'Groups': [], 'Estimated': True}]}

    def plans_coverage(self, _: str, body: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """Return the coverage by Savings Plans; no data for accounts without them."""
        found = self._committed('GetSavingsPlansCoverage', body, now, plans=True)
        covered, on_demand = sum(one.covered for one in found), sum(one.on_demand for one in found)
        coverage = {
            'SpendCoveredBySavingsPlans': str(covered),
            'OnDemandCost': str(on_demand),
            'TotalCost': str(covered + on_demand),
            'CoveragePercentage': str(100 * covered / (covered + on_demand)),
        }
        rows = [{'Attributes': {}, 'Coverage': coverage, 'TimePeriod': body['TimePeriod']}]
        return {'SavingsPlansCoverages': rows}

    def plans_utilization(self, _: str, body: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """Return the utilization of Savings Plans; no data for accounts without them."""
        found = self._committed('GetSavingsPlansUtilization', body, now, plans=True)
        committed, used = sum(one.committed for one in found), sum(one.used for one in found)
        utilization = {
            'TotalCommitment': str(committed),
            'UsedCommitment': str(used),
            'UnusedCommitment': str(committed - used),
            'UtilizationPercentage': str(100 * used / committed),
        }
        return {
            'SavingsPlansUtilizationsByTime': [{'TimePeriod': body['TimePeriod'], 'Utilization': utilization}],
            'Total': {'Utilization': utilization},
        }

    def reservation_coverage(self, _: str, body: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """Return the coverage by reserved instances; without them 0 of the running hours."""
        found = self._committed('GetReservationCoverage', body, now, plans=False)
        reserved, running = sum(one.reserved_hours for one in found), sum(one.running_hours for one in found)
        hours = {
            'OnDemandHours': str(running - reserved),
            'ReservedHours': str(reserved),
            'TotalRunningHours': str(running),
            'CoverageHoursPercentage': str(100 * reserved / running),
        }
        total = {'CoverageHours': hours}
        return {'CoveragesByTime': [{'TimePeriod': body['TimePeriod'], 'Total': total}], 'Total': total}

    def reservation_utilization(self, _: str, body: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """Return the utilization of reserved instances; without them zeros."""
        found = self._committed('GetReservationUtilization', body, now, plans=False)
        purchased, used = sum(one.purchased_hours for one in found), sum(one.reserved_hours for one in found)
        total = {
            'PurchasedHours': str(purchased),
            'TotalActualHours': str(used),
            'UnusedHours': str(purchased - used),
            'UtilizationPercentage': str(100 * used / purchased if purchased else 0),
            'RICostForUnusedHours': str(sum(one.unused_cost for one in found)),
        }
        return {'UtilizationsByTime': [{'TimePeriod': body['TimePeriod'], 'Total': total}], 'Total': total}

    def _committed(self, name: str, body: Mapping[str, Any], now: datetime, *, plans: bool) -> list[Commitment]:
        """Return the commitments of the accounts that the filter selects."""
        self._refuse(name, body, now)
        accounts = {self.account, *self.commitments}
        chosen = [one for one in accounts if _selects(body.get('Filter', {}), BillRow(one, COMPUTE, 'Usage', 0, 0))]
        arrived = self._arrived(body, now)
        found = [self.commitments.get(account, NOTHING).part(arrived) for account in chosen]
        if not chosen or (plans and not any(one.committed for one in found)):
            raise AwsError(DATA_UNAVAILABLE, 'no data for this account')
        return found

    def _arrived(self, body: Mapping[str, Any], now: datetime) -> float:
        """Return the part of the costs of a day that Cost Explorer has, from 0 to 1."""
        if not self.is_late:
            return 1
        begin = datetime.fromisoformat(body['TimePeriod']['Start']).replace(tzinfo=UTC)
        return min(1, (now - begin) / timedelta(hours=COMPLETE_HOURS))

    def _refuse(self, name: str, body: Mapping[str, Any], now: datetime) -> None:
        if name in self.without_data:
            raise AwsError(DATA_UNAVAILABLE, 'the requested data is unavailable')
        period = body['TimePeriod']
        if period['Start'] >= period['End'] or period['End'] > str(now.date()):
            raise AwsError('ValidationException', 'the end must be after the start, and not in the future')


def _selects(rule: Mapping[str, Any], row: BillRow) -> bool:
    """Return whether an Expression of Cost Explorer selects a row: And, Or, Not, Dimensions."""
    if 'And' in rule:
        return all(_selects(one, row) for one in rule['And'])
    if 'Or' in rule:
        return any(_selects(one, row) for one in rule['Or'])
    if 'Not' in rule:
        return not _selects(rule['Not'], row)
    if 'Dimensions' in rule:
        return row.dimension(rule['Dimensions']['Key']) in rule['Dimensions']['Values']
    if rule:
        raise AwsError('ValidationException', f'expression {", ".join(rule)}')
    return True
