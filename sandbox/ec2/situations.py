"""Rare situations of an account. Each is a function that adds its resources to the estate; option `situations`.

Three situations are not about resources: `commitments`, `late_costs` and `organization` are in Cost Explorer, see
cost_explorer.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .estate import GIB, Builder, Capacity, Copy, Disk, Image, SpotRequest
from .options import EAST, WEST
from .places import LOCAL, UNPRICED, WAVELENGTH, Zone

OTHER_ACCOUNT = '555566667777'


def zones(builder: Builder) -> None:
    """Add instances and volumes in a Local Zone, a Wavelength Zone, a place without prices, and on an Outpost."""
    for zone, number, lifecycle in ((LOCAL, 2, ''), (LOCAL, 1, 'spot'), (WAVELENGTH, 1, ''), (UNPRICED, 1, '')):
        builder.add(number / builder.scale, zone.region, 'm5.large', zone=zone.name, lifecycle=lifecycle, team='edge')
        _disk(builder, zone.region, 300, zone=zone.name)
    builder.add(2 / builder.scale, EAST, 'm5.large', on_outpost=True, team='edge')
    builder.add(1 / builder.scale, EAST, 'g5.xlarge', on_outpost=True, team='edge')
    _disk(builder, EAST, 400, on_outpost=True)
    _copy(builder, EAST, builder.estate.disks[-1].id, 400, 40, on_outpost=True)
    stored: tuple[Zone, ...] = (LOCAL,)
    for zone in stored:
        _copy(builder, zone.region, builder.estate.disks[0].id, 300, 30, zone=zone.name)


def archive(builder: Builder) -> None:
    """Add archived snapshots: one of them without its size, one restored for three days, one restored in the past."""
    disk = builder.estate.disks[0].id
    _copy(builder, EAST, disk, 500, 300, archived=True)
    _copy(builder, EAST, disk, 500, None, archived=True)
    _copy(builder, EAST, disk, 800, 600, archived=True, restored_until=builder.ago(days=-3))
    _copy(builder, EAST, disk, 800, 600, archived=True, restored_until=builder.ago(days=2))


def images(builder: Builder) -> None:
    """Add snapshots of images, whose volumes are gone: of a registered, a disabled and a deregistered image."""
    for state in ('available', 'disabled', 'deregistered'):
        copies = [_copy(builder, EAST, f'vol-image{state}{index}', 30, 8) for index in range(2)]
        builder.estate.images.append(Image(builder.new_id('ami'), EAST, tuple(copy.id for copy in copies), state))
    # The image itself is gone; only the description of its snapshot tells about it.
    _copy(builder, EAST, 'vol-image-forgotten', 30, 8)
    builder.estate.images.append(Image(builder.new_id('ami'), WEST, ('snap-of-another-account',)))


def volume_states(builder: Builder) -> None:
    """Add volumes that are being created, and volumes with an error."""
    for state, number in (('creating', 2), ('error', 3)):
        for _ in range(number):
            _disk(builder, EAST, 50, state)


def accelerators(builder: Builder) -> None:
    """Add types with accelerators that are not GPUs: Trainium, FPGAs, media and inference accelerators."""
    for kind, number in (('trn1.2xlarge', 2), ('f2.12xlarge', 1), ('vt1.6xlarge', 1), ('dl2q.24xlarge', 1)):
        builder.add(number / builder.scale, EAST, kind, team='research')


def retired(builder: Builder) -> None:
    """Add an instance of a type that AWS no longer describes."""
    builder.add(1 / builder.scale, EAST, 'cg1.4xlarge', team='research')


def capacity(builder: Builder) -> None:
    """Add Capacity Reservations: unused ones, a block, expired ones, and one that another account shares."""
    for region, kind, total, available, more in (
        (EAST, 'p5.48xlarge', 4, 3, {}),
        (EAST, 'p5.48xlarge', 2, 0, {'block': True}),
        (EAST, 'm5.large', 10, 4, {}),
        (WEST, 'm5.large', 5, 0, {}),
        (EAST, 'm5.large', 7, 7, {'state': 'expired'}),
        (EAST, 'g6.12xlarge', 3, 3, {'state': 'pending'}),
        (EAST, 'g6.12xlarge', 6, 6, {'owner': OTHER_ACCOUNT}),
    ):
        builder.estate.capacities.append(Capacity(builder.new_id('cr'), region, kind, total, available, **more))


def interruptions(builder: Builder) -> None:
    """Add requests for spot instances that AWS has interrupted, and others with similar codes."""
    for kind, hours, state, code in (
        ('g6.12xlarge', 2, 'closed', 'instance-terminated-no-capacity'),
        ('g6.12xlarge', 3, 'closed', 'instance-terminated-by-price'),
        ('g6.12xlarge', 5, 'open', 'instance-stopped-no-capacity'),
        ('p5.48xlarge', 1, 'closed', 'instance-terminated-capacity-oversubscribed'),
        # Long ago, by a person, and not ended at all.
        ('p5.48xlarge', 30, 'open', 'instance-stopped-by-price'),
        ('g6.xlarge', 2, 'closed', 'instance-terminated-by-user'),
        ('g6.xlarge', 2, 'disabled', 'instance-stopped-by-user'),
        ('g6.xlarge', 1, 'active', 'marked-for-termination'),
        ('g6.xlarge', 90, 'active', 'fulfilled'),
    ):
        request = SpotRequest(
            builder.new_id('sir'), EAST, kind, state, code, builder.ago(hours=hours), 'stopped' in code
        )
        builder.estate.requests.append(request)


def sparse(builder: Builder) -> None:
    """Add idle instances for which CloudWatch lacks one hour, two hours, or the network."""
    for load, number in (('gap', 2), ('gaps', 3), ('deaf', 1)):
        builder.add(number / builder.scale, EAST, 'm5.large', load=load, team='platform')
    builder.add(1 / builder.scale, EAST, 'g5.xlarge', load='gaps', team='play')


def tags(builder: Builder) -> None:
    """Add EC2 tags whose keys or values look alike once Datadog has stored them, and keys beyond ASCII."""
    for value in ('Data Science', 'data_science', 'data/science', 'Équipe 7', '   ', '!!', 'x' * 150):
        builder.add(1 / builder.scale, EAST, 'm5.large', team=value, tags={'Kosten-Stelle': value, 'Équipe': value})
    # AWS distinguishes the case of a key; Datadog does not.
    builder.add(1 / builder.scale, EAST, 'g5.xlarge', tags={'Team': 'somebody', 'TEAM': 'somebody else'})
    for value in ('Data Science', 'data_science', ''):
        _disk(builder, EAST, 70, tags={'team': value})


def _disk(builder: Builder, region: str, size: int, state: str = 'available', **more: object) -> None:
    created = builder.ago(days=10)
    disk = Disk(builder.new_id('vol'), region, 'gp3', state, size, created, 3000, 125)
    for name, value in more.items():
        setattr(disk, name, value)
    builder.estate.disks.append(disk)


def _copy(builder: Builder, region: str, disk: str, size: int, full: int | None, **more: object) -> Copy:
    copy = Copy(builder.new_id('snap'), region, 'completed', disk, size, full and full * GIB, builder.ago(days=40))
    for name, value in more.items():
        setattr(copy, name, value)
    builder.estate.copies.append(copy)
    return copy


SITUATIONS: dict[str, Callable[[Builder], None]] = {
    function.__name__: function
    for function in (
        zones,
        archive,
        images,
        volume_states,
        accelerators,
        capacity,
        interruptions,
        sparse,
        tags,
        retired,
    )
}
# In Cost Explorer.
OF_THE_BILL = ('commitments', 'late_costs', 'organization')
ALL = (*SITUATIONS, *OF_THE_BILL)


def chosen(names: Iterable[str]) -> tuple[str, ...]:
    """Return the situations of an option. Raises ValueError for an unknown one."""
    listed = tuple(names)
    if listed == ('all',):
        return ALL
    if unknown := set(listed) - set(ALL):
        raise ValueError(f'situations {", ".join(sorted(unknown))}: not known; there are {", ".join(ALL)}')
    return listed
