"""Lists that change while their pages are read, and cursors that lead nowhere."""

from __future__ import annotations

import pytest

from metta_checks.testing import Driver
from sandbox.ec2 import ec2_protocol
from sandbox.ec2.estate import Capacity

from ..case import case

# One region: a list of the other one would have pages of its own.
OPTIONS = {'idle': {'source': 'off'}, 'regions': ['us-east-1']}
INSTANCES, VOLUMES = 'metta.ec2.instances.total', 'metta.ec2.ebs.volumes.total'
SNAPSHOTS = 'metta.ec2.ebs.snapshots.total'
HOURLY = 'metta.ec2.cost.running_hourly_estimate'


def change_answers(service, operation, change):
    """Let a function change the answers of an operation; it gets the region, the parameters and the real answer."""
    real = service.inventory.operations[operation]
    service.inventory.operations[operation] = lambda region, asked, now: change(asked, real(region, asked, now))


def after_the_first_page(service, operation, happens):
    """Let something happen once, between the first page of a list and the second one."""
    events = [happens]

    def change(_, answer):
        if events:
            events.pop()()
        return answer

    change_answers(service, operation, change)


@case('D', 'https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html')
def test_instances_that_start_while_their_list_is_read(account):
    """Instances that start while their list is read.

    A region has 1,001 instances, on two pages. Between the two requests another one starts, and AWS lists it first: the
    last instance of the first page is on the second page again.

    Right: `instances.total` is 1,001: each instance counts once, by its id. The new one counts at the next refresh.

    Unchanged: Each instance is priced once: 96.10 USD per hour.
    """
    for _ in range(1001):
        account.machine()
    machines = account.estate.machines

    def start():
        account.machine()
        machines.insert(0, machines.pop())

    after_the_first_page(account.service, 'DescribeInstances', start)
    driver = Driver.of(account.service, **OPTIONS)
    run = driver.run()
    assert run.value(INSTANCES) == 1001
    assert run.value(HOURLY) == pytest.approx(1001 * 0.096)
    account.service.pass_time(900)
    assert driver.run().value(INSTANCES) == 1002


@case('D', 'https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVolumes.html')
def test_volumes_that_appear_while_their_list_is_read(account):
    """Volumes that appear while their list is read.

    A region has 501 volumes of 100 GiB, on two pages. One more is created between the two requests, so that the second
    page repeats the last volume of the first one.

    Right: `ebs.volumes.total` is 501, and `cost.ebs_monthly_usd` is the price of 50,100 GiB.

    Unchanged: `ebs.volumes.size_gb` is 50,100.
    """
    for _ in range(501):
        account.disk()
    disks = account.estate.disks

    def create():
        account.disk()
        disks.insert(0, disks.pop())

    after_the_first_page(account.service, 'DescribeVolumes', create)
    run = Driver.of(account.service, **OPTIONS).run()
    assert run.value(VOLUMES) == 501
    assert run.value('metta.ec2.ebs.volumes.size_gb') == 50_100
    assert run.value('metta.ec2.cost.ebs_monthly_usd') == pytest.approx(50_100 * 0.08)


@case('D', 'https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSnapshots.html')
def test_snapshots_that_appear_while_their_list_is_read(account):
    """Snapshots that appear while their list is read.

    The account has 2,001 snapshots, on three pages. After the first page AWS answers 500, and the check goes on a
    minute later. Meanwhile a backup creates two snapshots, which AWS lists first: the second page begins with the last
    two snapshots of the first one.

    Right: `ebs.snapshots.total` is 2,001: those that the second page repeats count once, although a refresh lies
    between the two.

    Unchanged: `ebs.snapshots.size_gb` is 200,100.
    """
    disk = account.disk().id
    for _ in range(2001):
        account.copy(disk)
    account.service.fail('ec2:DescribeSnapshots', 'InternalError', 500, after=1)
    driver = Driver.of(account.service, **OPTIONS)
    driver.run()
    account.service.failures.clear()
    copies = account.estate.copies
    for _ in range(2):
        account.copy(disk)
        copies.insert(0, copies.pop())
    account.service.pass_time(60)
    run = driver.run()
    assert run.value(SNAPSHOTS) == 2001
    assert run.value('metta.ec2.ebs.snapshots.size_gb') == 200_100


@case('D', 'https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeCapacityReservations.html')
def test_reservations_that_are_made_while_their_list_is_read(account):
    """Reservations that are made while their list is read.

    The account has 1,001 capacity reservations of one g6.xlarge each, on two pages. One more is made between the two
    requests, so that the second page repeats the last reservation of the first one.

    Right: `capacity.reserved_instances` is 1,001: each reservation counts once.

    Unchanged: None of them is unused.
    """
    capacities = account.estate.capacities
    capacities[:] = [Capacity(f'cr-{number}', 'us-east-1', 'g6.xlarge', 1, 0) for number in range(1001)]
    late = Capacity('cr-late', 'us-east-1', 'g6.xlarge', 1, 0)
    after_the_first_page(account.service, 'DescribeCapacityReservations', lambda: capacities.insert(0, late))
    run = Driver.of(account.service, capacity_reservations=True, **OPTIONS).run()
    assert run.value('metta.ec2.capacity.reserved_instances', 'instance_type:g6.xlarge') == 1001
    assert run.value('metta.ec2.capacity.unused_instances', 'instance_type:g6.xlarge') == 0


@case('D', 'https://github.com/boto/boto3/issues/2358')
@pytest.mark.parametrize(
    ('operation', 'name'),
    [('DescribeInstances', INSTANCES), ('DescribeVolumes', VOLUMES)],
    ids=['instances', 'volumes'],
)
def test_a_cursor_that_is_refused_once(account, operation, name):
    """A cursor that is refused once.

    After the first page of a list, AWS refuses its own token with InvalidNextToken, as it does now and then.

    Right: The list begins again, and all 1,001 resources are there, each once. The head of the list is not the list.

    Unchanged: There is no warning.
    """
    for _ in range(1001):
        account.machine()
        account.disk()
    account.service.fail(f'ec2:{operation}', 'InvalidNextToken', after=1, times=1)
    run = Driver.of(account.service, **OPTIONS).run()
    assert run.errors() == {}
    assert run.value(name) == 1001


@case('D', 'https://github.com/getmoto/moto/issues/9559', guard=True)
def test_a_cursor_after_the_last_page(account):
    """A cursor after the last page.

    An emulator of AWS sends a NextToken of nonsense with the last page, and refuses it.

    Right: `instances.total` is absent, and the warning names InvalidNextToken: nothing tells whether the list is
    complete. The list is read twice at most.

    Unchanged: `ebs.volumes.total` is 1.
    """
    account.machine()
    account.disk()
    change_answers(
        account.service,
        'DescribeInstances',
        lambda _, answer: answer.replace('</DescribeI', '<nextToken>string</nextToken></DescribeI'),
    )
    run = Driver.of(account.service, **OPTIONS).run()
    assert run.value(INSTANCES) is None
    assert run.errors()['instances', 'rejected'] == 1
    assert 'InvalidNextToken' in run.warnings[0]
    assert account.service.asked.count('ec2:DescribeInstances us-east-1') <= 4
    assert run.value(VOLUMES) == 1


@case('D', 'https://github.com/amazon-archives/aws-sdk-core-ruby/issues/196', guard=True)
def test_an_empty_page_with_a_cursor(account):
    """An empty page with a cursor.

    AWS applies filters after it has cut a list into pages. The first page has no instance and a NextToken, the second
    one has three instances.

    Right: `instances.total` is 3. An empty page is not the end of a list.

    Unchanged: There is no warning.
    """
    for _ in range(3):
        account.machine()
    real = account.service.inventory.operations['DescribeInstances']

    def answer(region, asked, now):
        if 'NextToken' not in asked:
            return ec2_protocol.answer('DescribeInstances', '<reservationSet/>', 'second')
        return real(region, {name: value for name, value in asked.items() if name != 'NextToken'}, now)

    account.service.inventory.operations['DescribeInstances'] = answer
    run = Driver.of(account.service, **OPTIONS).run()
    assert run.value(INSTANCES) == 3
    assert run.errors() == {}


@case('D', 'https://github.com/boto/botocore/issues/533', guard=True)
def test_an_empty_cursor(account):
    """An empty cursor.

    After the last page of DescribeSpotPriceHistory, AWS sends a NextToken that is an empty text.

    Right: The list ends there. `cost.running_hourly_estimate` is the spot price.

    Unchanged: One request for the prices of the region.
    """
    account.machine(lifecycle='spot')
    change_answers(
        account.service,
        'DescribeSpotPriceHistory',
        lambda _, answer: answer.replace('</DescribeSpot', '<nextToken></nextToken></DescribeSpot'),
    )
    run = Driver.of(account.service, **OPTIONS).run()
    assert 0 < run.require(HOURLY) < 0.096
    assert run.errors() == {}
    assert account.service.asked.count('ec2:DescribeSpotPriceHistory us-east-1') == 1
