"""Machines and their prices, which are examples and not the present prices of the clouds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Machine:
    """A kind of machine; USD per hour in the first region of its cloud, None where it offers no such market."""

    instance_type: str
    gpu: str
    gpus: float
    cpus: int
    memory: int
    ondemand: float
    spot: float | None
    cloud: str = 'aws'


MACHINES = (
    Machine('m6i.xlarge', '', 0, 4, 16, 0.192, 0.074),
    Machine('g6.xlarge', 'L4', 1, 4, 16, 0.805, 0.322),
    Machine('g6.12xlarge', 'L4', 4, 48, 192, 4.602, 1.841),
    Machine('g6.48xlarge', 'L4', 8, 192, 768, 13.35, 5.34),
    Machine('g5.xlarge', 'A10G', 1, 4, 16, 1.006, 0.423),
    # Without a spot price in the bill and in the price list.
    Machine('g6e.12xlarge', 'L40S', 4, 48, 384, 10.493, None),
    Machine('p5.48xlarge', 'H100', 8, 192, 2048, 55.04, 19.81),
    Machine('p4d.24xlarge', 'A100', 8, 96, 1152, 32.77, 11.57),
    # Google Cloud attaches GPUs to machines of one type, and sells TPUs with machines that have one type, too.
    Machine('n1-highmem-8', '', 0.5, 8, 52, 0.47, 0.1, 'gcp'),
    Machine('n1-highmem-8', 'T4', 2, 8, 52, 1.17, 0.35, 'gcp'),
    Machine('n1-highmem-8', 'V100', 1, 8, 52, 2.95, 0.84, 'gcp'),
    Machine('TPU-VM', 'tpu-v5litepod-16', 1, 112, 192, 19.2, 9.6, 'gcp'),
    Machine('TPU-VM', 'tpu-v4-16', 1, 240, 400, 25.76, 12.88, 'gcp'),
    # A type that SkyPilot cuts off in its short form.
    Machine('Standard_NC24ads_A100_v4', 'A100-80GB', 1, 24, 220, 3.67, 1.1, 'azure'),
)
BY_SHAPE = {(machine.gpu, machine.gpus): machine for machine in MACHINES}
REGION_FACTORS = {'us-east-1': 1.0, 'us-west-2': 1.0, 'eu-west-1': 1.11, 'us-central1': 1.0, 'eastus': 1.0}
REGIONS = {
    'aws': ('us-east-1', 'us-west-2', 'eu-west-1'),
    'gcp': ('us-central1',),
    'azure': ('eastus',),
}
NAMES = {'aws': 'AWS', 'gcp': 'GCP', 'azure': 'Azure', 'kubernetes': 'Kubernetes'}
# Machines with a price in the price list but not in the bill.
NOT_BILLED = {('g5.xlarge', 'eu-west-1')}


def price(machine: Machine, region: str, *, spot: bool) -> float | None:
    """Return the price of one machine per hour, in USD."""
    base = machine.spot if spot else machine.ondemand
    factor = REGION_FACTORS.get(region)
    return None if base is None or factor is None else round(base * factor, 4)


def billed(machine: Machine, region: str, *, spot: bool) -> float | None:
    """Return the price that the server's bill uses."""
    return None if (machine.instance_type, region) in NOT_BILLED else price(machine, region, spot=spot)


def catalog(clouds: set[str]) -> dict[str, list[list[object]]]:
    """Return the answer of /list_accelerators: machines with GPUs, by accelerator."""
    found: dict[str, list[list[object]]] = {}
    for machine in MACHINES:
        for region in REGIONS[machine.cloud] if machine.gpu and machine.cloud in clouds else ():
            row = [
                NAMES[machine.cloud], machine.instance_type, machine.gpu, float(machine.gpus), float(machine.cpus),
                24.0, float(machine.memory), price(machine, region, spot=False), price(machine, region, spot=True),
                region,
            ]  # fmt: skip
            found.setdefault(machine.gpu, []).append(row)
    return found
