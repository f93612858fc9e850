"""GPUs and other accelerators of the running instances.

The figures leave out instances whose type AWS does not describe, as long as these are few. `instances.unknown_type`
counts them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from ...core import stats
from ...core.refresh import Sample
from ...core.tag_values import MAX_GPU_TYPES, MAX_VALUES, added_up, labels
from ..records import Fleet, Instance, InstanceType
from ..tag_keys import TagKey, tag_value

# A figure is absent when more of the running instances are not known.
MAX_UNKNOWN_SHARE = 0.1
# A pair of GPU model and lifecycle as one text, as `Sightings` keeps it.
SEPARATOR = '|'


def is_known(described: int, running: int) -> bool:
    """Return True if enough of the running instances are described to show a figure about them."""
    return running - described <= MAX_UNKNOWN_SHARE * running


def is_fleet_known(fleet: Fleet) -> bool:
    """Return True if enough types are described to show figures about accelerators."""
    return not _has_unread(fleet) and is_known(len(fleet.described), len(fleet.running))


def measure(fleet: Fleet, seen_gpus: Iterable[str] = ()) -> Iterator[Sample]:
    """Yield the samples of block instances about accelerators. Models in `seen_gpus` are shown even at 0."""
    types = [instance_type for _, instance_type in fleet.described]
    if not _has_unread(fleet):
        yield Sample('instances.unknown_type', len(fleet.running) - len(types))
    if not is_fleet_known(fleet):
        return
    accelerated = sum(instance_type.accelerated for instance_type in types)
    yield Sample('instances.gpu_count', accelerated)
    yield Sample('instances.cpu_count', len(types) - accelerated)
    devices = (count for instance_type in types for count in instance_type.accelerators.values())
    yield Sample('instances.accelerators', math.fsum(devices))
    counts = dict.fromkeys(seen_gpus, 0.0) | gpus(fleet)
    for model, count in sorted(added_up(counts, labels(counts, MAX_GPU_TYPES)).items()):
        yield Sample('instances.gpus', count, {'gpu_type': model})


def by_lifecycle(fleet: Fleet, seen: Iterable[str] = ()) -> Iterator[Sample]:
    """Yield the number of GPUs by model and lifecycle. Pairs in `seen` (see `pairs`) are shown even at 0."""
    if not is_fleet_known(fleet):
        return
    counts = dict.fromkeys(seen, 0.0) | pairs(fleet)
    models: defaultdict[str, float] = defaultdict(float)
    for pair, count in counts.items():
        models[pair.partition(SEPARATOR)[0]] += count
    shown = labels(models, MAX_GPU_TYPES)
    split = {pair: tuple(pair.split(SEPARATOR)) for pair in counts}
    labelled = {pair: (shown[model], lifecycle) for pair, (model, lifecycle) in split.items()}
    for (model, lifecycle), count in sorted(added_up(counts, labelled).items()):
        yield Sample('gpus.running', count, {'gpu_type': model, 'lifecycle': lifecycle})


def by_tag(fleet: Fleet, key: TagKey) -> Iterator[Sample]:
    """Yield the number of GPUs by the value of an EC2 tag."""
    if not is_fleet_known(fleet):
        return
    counts = _sums((tag_value(one.tags.get(key.key)), count) for one, _, count in _gpus(fleet))
    for value, count in stats.top(counts, MAX_VALUES).items():
        yield Sample(f'gpus.by_tag.{key.name}', count, {key.tag: value})


def gpus(fleet: Fleet) -> dict[str, float]:
    """Return the number of GPUs of the running instances by model."""
    return _sums((model, count) for _, model, count in _gpus(fleet))


def pairs(fleet: Fleet) -> dict[str, float]:
    """Return the number of GPUs of the running instances by model and lifecycle, as `model|lifecycle`."""
    return _sums((f'{model}{SEPARATOR}{one.lifecycle}', count) for one, model, count in _gpus(fleet))


def shares(instance_type: InstanceType) -> dict[str, float]:
    """Return the share of each model of GPU or other accelerator in the accelerators of a type. They add up to 1."""
    counts: Mapping[str, float] = {**instance_type.accelerators, **instance_type.gpus}
    whole = math.fsum(counts.values())
    return (
        {model: count / whole for model, count in counts.items()} if whole else dict.fromkeys(counts, 1 / len(counts))
    )


def _has_unread(fleet: Fleet) -> bool:
    """Return True if an instance runs whose type could not be read."""
    return any(instance.instance_type in fleet.unread_types for instance in fleet.running)


def _gpus(fleet: Fleet) -> Iterator[tuple[Instance, str, float]]:
    for instance, instance_type in fleet.described:
        for model, count in instance_type.gpus.items():
            yield instance, model, count


def _sums(parts: Iterable[tuple[str, float]]) -> dict[str, float]:
    found: defaultdict[str, list[float]] = defaultdict(list)
    for name, part in parts:
        found[name].append(part)
    return {name: math.fsum(some) for name, some in found.items()}
