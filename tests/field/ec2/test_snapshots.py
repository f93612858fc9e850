"""Snapshots: tiers, images that need them, and lists that take longer than a refresh."""

from __future__ import annotations

from datetime import timedelta

import pytest

from metta_checks.testing import Driver

from ..case import case

# One region: the others have no snapshots.
OPTIONS = {'idle': {'source': 'off'}, 'regions': ['us-east-1']}
ORPHANED = 'metta.ec2.ebs.snapshots.orphaned'
TOTAL = 'metta.ec2.ebs.snapshots.total'
MONTHLY = 'metta.ec2.cost.snapshots_monthly_usd'


@case('A', 'https://docs.aws.amazon.com/ebs/latest/userguide/snapshot-archive.html')
def test_archived_snapshots(account):
    """Archived snapshots.

    Three snapshots of 20 GiB are in the standard tier, in the archive, and in the archive but restored for three days.
    The list price is 0.05 USD in the standard tier and 0.0125 USD in the archive.

    Right: 1 + 0.25 + 1.25 USD. A restored snapshot is billed in both tiers.

    Unchanged: All three count.
    """
    disk = account.disk().id
    now = account.service.clock.now()
    account.copy(disk)
    account.copy(disk, archived=True)
    account.copy(disk, archived=True, restored_until=now + timedelta(days=3))
    run = Driver.of(account.service, price_snapshots=True, **OPTIONS).run()
    assert run.value(MONTHLY) == pytest.approx(20 * (0.05 + 0.0125 + 0.0125 + 0.05))
    assert run.value(TOTAL) == 3


@case('C', 'https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Snapshot.html')
def test_a_snapshot_without_its_full_size(account):
    """A snapshot without its full size.

    AWS reports FullSnapshotSizeInBytes for one of two snapshots of a volume of 100 GiB: 20 GiB.

    Right: The upper bound of the price counts the other one with the 100 GiB of its volume: 1 + 5 USD. Counted as 0, it
    would not be an upper bound.

    Unchanged: The full size is that of the first one.
    """
    disk = account.disk().id
    account.copy(disk)
    account.copy(disk, gib=None)
    run = Driver.of(account.service, price_snapshots=True, **OPTIONS).run()
    assert run.value(MONTHLY) == pytest.approx(1 + 5)
    assert run.value('metta.ec2.ebs.snapshots.full_size_gb') == 20


@case('A', 'https://github.com/cloud-custodian/cloud-custodian/issues/3639')
def test_snapshots_of_images(account):
    """Snapshots of images.

    The volumes of four snapshots are gone. One snapshot belongs to a registered image, one to an image that was
    deregistered and that AWS still lists, one to none. The fourth one is of an existing volume.

    Right: Two are orphaned: that without an image and that of the deregistered image.

    Unchanged: The images are asked for once per refresh, only where a volume is gone.
    """
    needed, left, _ = (account.copy(f'vol-gone-{name}') for name in ('a', 'b', 'c'))
    account.copy(account.disk().id)
    account.image(needed.id)
    account.image(left.id, state='deregistered')
    run = Driver.of(account.service, **OPTIONS).run()
    assert run.value(ORPHANED) == 2
    assert account.service.asked.count('ec2:DescribeImages us-east-1') == 1


@case('A', 'https://github.com/cloud-custodian/cloud-custodian/issues/9138')
def test_a_snapshot_of_a_disabled_image(account):
    """A snapshot of a disabled image.

    DescribeImages leaves disabled images out unless asked for them. AWS does not delete their snapshots.

    Right: The snapshot is not orphaned.

    Unchanged: The snapshot counts.
    """
    copy = account.copy('vol-gone')
    account.image(copy.id, state='disabled')
    run = Driver.of(account.service, **OPTIONS).run()
    assert (run.value(ORPHANED), run.value(TOTAL)) == (0, 1)


@case('C', 'https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html')
def test_images_that_may_not_be_read(account):
    """Images that may not be read.

    The policy is that of an earlier version, without ec2:DescribeImages.

    Right: `ebs.snapshots.orphaned` is absent, and a warning names the action. With `read_images: false` it is absent
    without a warning.

    Unchanged: The other figures of snapshots.
    """
    account.service.denied = {'ec2:DescribeImages'}
    account.copy('vol-gone')
    run = Driver.of(account.service, **OPTIONS).run()
    assert run.errors() == {('snapshots', 'permission'): 1}
    assert 'add ec2:DescribeImages to the IAM policy' in run.warnings[0]
    assert run.series(ORPHANED) == {}
    assert run.value(TOTAL) == 1
    account.service.pass_time(900)
    run = Driver.of(account.service, read_images=False, **OPTIONS).run()
    assert run.errors() == {}
    assert run.series(ORPHANED) == {}


@case('E', 'https://github.com/boto/boto3/issues/2552')
def test_a_list_that_takes_longer_than_a_refresh(account):
    """A list that takes longer than a refresh.

    The account has 2,500 snapshots in three pages. The second page cannot be read in the first refresh.

    Right: The next refresh goes on with the second page, and the figures cover all pages.

    Unchanged: The figures of the other blocks are there in the first refresh, since snapshots are read last.
    """
    disk = account.disk().id
    for _ in range(2500):
        account.copy(disk)
    account.service.fail('ec2:DescribeSnapshots', 'InternalError', 500, after=1)
    driver = Driver.of(account.service, price_snapshots=True, **OPTIONS)
    run = driver.run()
    assert run.errors() == {('snapshots', 'http_5xx'): 1, ('snapshot_prices', 'dependency'): 1}
    assert run.series(TOTAL) == {}
    assert run.value('metta.ec2.cost.ebs_monthly_usd') == pytest.approx(8)
    account.service.failures.clear()
    account.service.asked.clear()
    account.service.pass_time(60)
    run = driver.run()
    assert run.errors() == {}
    assert account.service.asked.count('ec2:DescribeSnapshots us-east-1') == 2
    assert run.value(TOTAL) == 2500
    assert run.value(MONTHLY) == pytest.approx(2500 * 20 * 0.05)


@case('E', 'https://docs.aws.amazon.com/AWSEC2/latest/APIReference/Query-Requests.html')
def test_a_cursor_that_aws_no_longer_takes(account):
    """A cursor that AWS no longer takes.

    A list of snapshots was interrupted. When the check goes on, AWS refuses the cursor with InvalidNextToken.

    Right: The list is read from its beginning, in the same refresh.

    Unchanged: No snapshot counts twice.
    """
    disk = account.disk().id
    for _ in range(1500):
        account.copy(disk)
    account.service.fail('ec2:DescribeSnapshots', 'InternalError', 500, after=1)
    driver = Driver.of(account.service, **OPTIONS)
    driver.run()
    account.service.failures.clear()
    account.service.fail('ec2:DescribeSnapshots', 'InvalidNextToken', 400, times=1)
    account.service.pass_time(60)
    run = driver.run()
    assert run.errors() == {}
    assert run.value(TOTAL) == 1500


@case('E', 'https://github.com/turbot/steampipe-mod-aws-thrifty/issues/193')
def test_snapshots_that_are_not_read(account):
    """Snapshots that are not read.

    Option `read_snapshots` is false, since the account has hundreds of thousands of them.

    Right: Neither snapshots nor images are asked for, and their figures are absent.

    Unchanged: All other figures.
    """
    account.copy('vol-gone')
    run = Driver.of(account.service, read_snapshots=False, price_snapshots=True, **OPTIONS).run()
    assert run.errors() == {}
    assert not any(call.startswith(('ec2:DescribeSnapshots', 'ec2:DescribeImages')) for call in account.service.asked)
    assert run.series(TOTAL) == run.series(MONTHLY) == {}
    assert run.value('metta.ec2.instances.total') == 0
