"""The bill: the account that it is of, and the lines that it has."""

from __future__ import annotations

from datetime import timedelta

import pytest

from metta_checks.testing import Driver

from ..case import case

OFF = {'idle': {'source': 'off'}}
BILLED, AMORTIZED = 'metta.ec2.cost.billed_yesterday_usd', 'metta.ec2.cost.amortized_yesterday_usd'
COMPUTE_AND_OTHER = 1000.5 + 234.0678901


def wait_until(service, hour):
    """Let time pass until the next time at which a day is this old, in hours, and return the date of the day."""
    now = service.clock.now()
    passed = (now - now.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()
    service.pass_time((hour * 3600 - passed) % 86400)
    return service.clock.now().date()


@case('A', 'https://github.com/reply-fr/sustainable-personal-accounts/issues/85')
def test_the_bill_of_an_organization(serve):
    """The bill of an organization.

    The credentials belong to the management account. Cost Explorer shows it 1,234.57 USD for EC2 of its own, 4,000 USD
    of a member account, and credits and refunds of both.

    Right: The figure has the tag of the management account, so it is the bill of this account alone, without credits
    and refunds: 1,234.57 USD, and 1,194.32 USD amortized.

    Unchanged: One request a day.
    """
    service = serve('ec2', situations=['organization'])
    driver = Driver.of(service, cost_explorer=True, **OFF)
    run = driver.run()
    assert run.value(BILLED) == pytest.approx(1000.5 + 234.0678901)
    assert run.value(AMORTIZED) == pytest.approx(900.25 + 234.0678901 + 60)
    service.pass_time(900)
    driver.run()
    assert service.asked.count('ce:GetCostAndUsage us-east-1') == 1


@case('C', 'https://github.com/reply-fr/sustainable-personal-accounts/issues/130')
@pytest.mark.parametrize(('hour', 'days'), [(1, 3), (11.5, 3), (12, 2), (20, 2)])
def test_the_costs_of_a_day_arrive_late(serve, hour, days):
    """The costs of a day arrive late.

    Cost Explorer is read at 1:00, 11:30, 12:00 and 20:00 UTC. Until 36 hours after its end, a day lacks a part of its
    costs and of the usage that Savings Plans cover. One day, two or three days ago, had 500 USD more than the others.

    Right: `cost.billed_yesterday_usd` is 1,734.57 USD, the whole amount of the last day that ended at least 36 hours
    ago: before noon the third day before today, and after noon the second one. The amount of the day before would be
    too low at each of the times.

    Unchanged: Savings Plans cover 27.6 % of the spending; one request for the bill.
    """
    service = serve('ec2', situations=['commitments', 'late_costs'])
    today = wait_until(service, hour)
    service.cost_explorer.extra[today - timedelta(days=days)] = 500
    run = Driver.of(service, cost_explorer=True, commitments=True, **OFF).run()
    assert run.value(BILLED) == pytest.approx(COMPUTE_AND_OTHER + 500)
    assert run.value(AMORTIZED) == pytest.approx(900.25 + 234.0678901 + 500)
    coverage = run.value('metta.ec2.commitments.coverage_pct', 'type:savings_plan')
    assert coverage == pytest.approx(100 * 310.25 / (310.25 + 812.75))
    assert run.value('metta.ec2.commitments.utilization_pct', 'type:savings_plan') == pytest.approx(100 * 228.5 / 240)
    assert service.asked.count('ce:GetCostAndUsage us-east-1') == 1


@case('H', 'https://github.com/electrolux-oss/aws-cost-exporter/issues/36')
def test_each_day_has_its_bill(account):
    """Each day has its bill.

    The check refreshes every three hours, a minute late each time, for four days. The first reading of Cost Explorer is
    at 11:58 UTC. Every day costs 100 USD more than the one before. A finance partner adds up one value per day.

    Right: `cost.billed_yesterday_usd` has the whole amounts of five days one after the other, and leaves none out: the
    readings are less than a day apart, so that no day ends between two of them.

    Unchanged: Five requests.
    """
    explorer = account.service.cost_explorer
    explorer.is_late = True
    first = wait_until(account.service, 12 - 2 / 60) - timedelta(days=3)
    for number in range(8):
        explorer.extra[first + timedelta(days=number)] = 100 * number
    driver = Driver.of(account.service, cost_explorer=True, refresh_interval=3 * 3600, **OFF)
    seen = set()
    for _ in range(4 * 8):
        seen.add(round(driver.run().require(BILLED) - COMPUTE_AND_OTHER))
        account.service.pass_time(3 * 3600 + 60)
    assert seen == {0, 100, 200, 300, 400}
    assert account.service.asked.count('ce:GetCostAndUsage us-east-1') == 5


@case('H', 'https://github.com/electrolux-oss/aws-cost-exporter/issues/46')
def test_the_amortized_bill_and_the_unused_rest(account):
    """The amortized bill and the unused rest.

    At 11:50 UTC Cost Explorer answers the question about the bill, and 500 to that about commitments, until 12:20. At
    noon, the next day is 36 hours old.

    Right: Both are about one day, also after the outage: `cost.amortized_yesterday_usd` has the part of the fees that
    was used, and `commitments.unused_yesterday_usd` the rest. A finance partner adds up the two. 23 hours later, both
    are about the next day.

    Unchanged: The bill is not asked for again.
    """
    service = account.service
    days: list[tuple[str, str]] = []

    def watch(name: str) -> None:
        real = service.json_services.operations[f'ce:{name}']

        def answer(region, body, now):
            days.append((name, body['TimePeriod']['Start']))
            return real(region, body, now)

        service.json_services.operations[f'ce:{name}'] = answer

    watch('GetCostAndUsage')
    watch('GetReservationUtilization')
    first = wait_until(service, 12 - 1 / 6) - timedelta(days=3)
    service.fail('ce:GetSavingsPlansCoverage', 'InternalServerException', 500)
    driver = Driver.of(service, cost_explorer=True, commitments=True, **OFF)
    driver.run()
    service.failures.clear()
    service.pass_time(1800)
    driver.run()
    assert days == [('GetCostAndUsage', str(first)), ('GetReservationUtilization', str(first))]
    service.pass_time(23 * 3600)
    driver.run()
    assert {day for _, day in days[2:]} == {str(first + timedelta(days=1))}
    assert len(days) == 4


@case('G', 'https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_GetCostAndUsage.html')
def test_a_day_without_data(serve):
    """A day without data.

    Cost Explorer was enabled an hour ago and answers DataUnavailableException.

    Right: The figures are absent, with the reason `no_data`. It is asked again a day later, since each request costs.

    Unchanged: The other figures are there.
    """
    service = serve('ec2', without_data=['GetCostAndUsage'])
    driver = Driver.of(service, cost_explorer=True, **OFF)
    run = driver.run()
    assert run.errors() == {('billing', 'no_data'): 1}
    assert 'AWS has no data for the day (DataUnavailableException' in run.warnings[0]
    assert run.series(BILLED) == {}
    service.pass_time(900)
    driver.run()
    assert service.asked.count('ce:GetCostAndUsage us-east-1') == 1
    assert run.require('metta.ec2.instances.total') > 0


@case('G', 'https://docs.aws.amazon.com/cost-management/latest/userguide/ce-access.html')
def test_cost_explorer_that_is_not_enabled(serve):
    """Cost Explorer that is not enabled.

    Cost Explorer refuses with AccessDeniedException, as for a missing permission.

    Right: The message names the action, and says to check whether Cost Explorer is enabled.

    Unchanged: The reason is `permission`.
    """
    service = serve('ec2', denied_actions=['ce:GetCostAndUsage'])
    run = Driver.of(service, cost_explorer=True, **OFF).run()
    assert run.errors() == {('billing', 'permission'): 1}
    assert 'add ce:GetCostAndUsage to the IAM policy' in run.warnings[0]
    assert 'check that Cost Explorer is enabled' in run.warnings[0]


@case('A', 'https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_GetSavingsPlansUtilization.html')
def test_commitments_of_an_organization(serve):
    """Commitments of an organization.

    The account has Savings Plans of 240 USD a day, of which 228.50 USD were used, and reservations of 528 hours, of
    which 480 were used. Another account of the organization has more of both.

    Right: 95.2 % and 90.9 % utilization, 11.50 and 3.60 USD unused; Savings Plans cover 27.6 % of the spending and
    reservations 19.6 % of the hours. The other account does not count.

    Unchanged: Four requests a day.
    """
    service = serve('ec2', situations=['organization', 'commitments'])
    run = Driver.of(service, commitments=True, **OFF).run()

    def figure(name: str, kind: str) -> float | None:
        return run.value(f'metta.ec2.commitments.{name}', f'type:{kind}')

    assert run.errors() == {}
    assert figure('utilization_pct', 'savings_plan') == pytest.approx(100 * 228.5 / 240)
    assert figure('utilization_pct', 'reservation') == pytest.approx(100 * 480 / 528)
    assert figure('unused_yesterday_usd', 'savings_plan') == pytest.approx(11.5)
    assert figure('unused_yesterday_usd', 'reservation') == pytest.approx(3.6)
    assert figure('coverage_pct', 'savings_plan') == pytest.approx(100 * 310.25 / (310.25 + 812.75))
    assert figure('coverage_pct', 'reservation') == pytest.approx(100 * 480 / 2448)
    assert sum(call.startswith('ce:') for call in service.asked) == 4


@case('C', 'https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_GetSavingsPlansCoverage.html')
def test_an_account_without_commitments(serve):
    """An account without commitments.

    Cost Explorer has no data about Savings Plans, and 0 purchased hours of reserved instances.

    Right: No utilization and nothing unused: 0 % of nothing is not known. That is the normal state of an account, so
    there is no warning.

    Unchanged: Reservations cover 0 % of the running hours, which is a fact.
    """
    service = serve('ec2')
    run = Driver.of(service, commitments=True, **OFF).run()
    assert run.errors() == {}
    assert run.series('metta.ec2.commitments.utilization_pct') == {}
    assert run.series('metta.ec2.commitments.unused_yesterday_usd') == {}
    assert run.value('metta.ec2.commitments.coverage_pct', 'type:reservation') == 0
    assert run.value('metta.ec2.commitments.coverage_pct', 'type:savings_plan') is None
