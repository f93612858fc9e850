"""The sources of prices, against the sandbox."""

from __future__ import annotations

import pytest

from metta_checks.testing import Driver

OFF = {'source': 'off'}
HEADER = 'InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,Price,SpotPrice,Region,AvailabilityZone\n'


@pytest.fixture
def service(serve):
    return serve('ec2')


@pytest.fixture
def catalog(tmp_path):
    path = tmp_path / 'vms.csv'
    path.write_text(
        HEADER
        + 'g5.xlarge,A10G,1,4,16,2.0,0.5,us-east-1,us-east-1a\n'
        + 'g6.xlarge,L4,1,4,16,3.0,0.7,us-west-2,us-west-2a\n'
        + 'm5.large,,,2,8,0.5,0.1,us-east-1,us-east-1a\n'
    )
    return str(path)


def hourly(run, region=''):
    if region:
        return run.value('metta.ec2.region.hourly_usd', f'region:{region}')
    return run.value('metta.ec2.cost.running_hourly_estimate')


def test_a_table(service):
    run = Driver.of(
        service, idle=OFF, prices={'source': 'table', 'table': {'p4d.24xlarge': 10, 'g6.12xlarge': 2}}
    ).run()
    assert not any('GetProducts' in call for call in service.asked)
    assert run.errors() == {}
    # The spot instances have spot prices; of the others, the two p4d have prices in the table.
    assert run.value('metta.ec2.cost.price_coverage_pct') == pytest.approx(100 * (38 + 2) / 95)
    assert run.value('metta.ec2.cost.ondemand_equivalent_hourly_usd') == 2 * 10 + 24 * 2
    assert run.series('metta.ec2.cost.ebs_monthly_usd') == {}
    assert run.value('metta.ec2.cost.ebs_price_coverage_pct') == 0


def test_a_table_has_no_spot_prices(service):
    prices = {'source': 'table', 'table': {'g6.12xlarge': 2.0}, 'spot': False}
    run = Driver.of(service, idle=OFF, prices=prices).run()
    assert hourly(run) is None
    assert run.value('metta.ec2.cost.price_coverage_pct') == 0
    assert run.value('metta.ec2.cost.ondemand_equivalent_hourly_usd') == 48
    assert not any('Spot' in call for call in service.asked)


def test_a_file(service, catalog):
    run = Driver.of(service, idle=OFF, prices={'source': 'file', 'file': catalog, 'spot': False}).run()
    assert service.asked.count('pricing:GetProducts us-east-1') == 0
    # Linux in shared tenancy: 20 g5.xlarge and 25 of 30 m5.large. The file has one zone with a spot price.
    assert hourly(run, 'us-east-1') == pytest.approx(20 * 2.0 + 25 * 0.5)
    assert hourly(run, 'us-west-2') == pytest.approx(4 * 0.7)
    assert run.value('metta.ec2.cost.spot_savings_pct') == pytest.approx(100 * (1 - 0.7 / 3.0))
    # The age of the prices is the age of the file.
    assert run.require('metta.ec2.cost.price_age_hours') < 1


def test_the_file_is_used_when_the_price_list_is_forbidden(service, catalog):
    service.denied = {'pricing:GetProducts'}
    run = Driver.of(service, idle=OFF, prices={'file': catalog}).run()
    assert run.errors() == {('region_prices', 'permission'): 1}
    assert hourly(run, 'us-east-1') > 20 * 2.0


def test_a_missing_file(service):
    run = Driver.of(service, idle=OFF, prices={'source': 'file', 'file': '/nowhere/vms.csv'}).run()
    assert run.errors() == {('region_prices', 'not_found'): 1, ('prices', 'dependency'): 1}
    assert (
        'block region_prices: `prices.file` /nowhere/vms.csv cannot be read (No such file or directory)'
        in run.warnings[0]
    )


def test_there_are_no_default_prices(service):
    service.json_services.products.clear()
    run = Driver.of(service, idle=OFF).run()
    assert run.errors() == {}
    assert run.value('metta.ec2.cost.price_coverage_pct') == pytest.approx(40)
    assert run.value('metta.ec2.cost.ebs_price_coverage_pct') == 0
    assert run.series('metta.ec2.cost.ebs_monthly_usd') == {}


def test_stored_list_prices_are_not_used_without_the_list(service):
    Driver.of(service, idle=OFF).run()
    service.pass_time(900)
    run = Driver.of(service, idle=OFF, prices={'source': 'table', 'table': {'p4d.24xlarge': 10}}).run()
    assert run.value('metta.ec2.cost.ondemand_equivalent_hourly_usd') == 20
    assert run.series('metta.ec2.cost.ebs_monthly_usd') == {}


def test_the_price_depends_on_the_license(service):
    # Only the two Windows machines.
    service.estate.machines[:] = [m for m in service.estate.machines if m.operation == 'RunInstances:0002']
    run = Driver.of(service, idle=OFF).run()
    assert hourly(run) == pytest.approx(2 * (0.096 + 2 * 0.046))


def test_a_partition_without_a_price_list(serve):
    service = serve('ec2')
    run = Driver.of(service, idle=OFF, regions=['us-gov-west-1']).run()
    assert run.errors() == {}
    assert hourly(run) == 0
    for machine in service.estate.machines:
        machine.region, machine.zone = 'us-gov-west-1', 'us-gov-west-1a'
    service.pass_time(900)
    run = Driver.of(service, idle=OFF, regions=['us-gov-west-1'], prices={'spot': False}).run()
    assert run.errors() == {('region_prices', 'no_price_list'): 1}
    assert 'AWS has no price list API for us-gov-west-1' in run.warnings[0]
    assert 'set `prices.file` or `prices.table`, and `prices.source`' in run.warnings[0]
    assert hourly(run) is None
