"""Names of GPUs: the value of the tag for every spelling that a service has."""

from __future__ import annotations

import re

import pytest
from datadog_checks.base import ConfigurationError
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.core import accelerators
from metta_checks.core.accelerator_names import ALIASES, NAMES, SIZES
from metta_checks.core.accelerators import MAX_LENGTH, accelerator_type, by_accelerator_type
from metta_checks.core.text import slug

# Spellings by product: NVIDIA's driver (which W&B passes on), labels of Kubernetes (GPU Feature Discovery, GKE, AMD),
# SkyPilot's catalog, DescribeInstanceTypes.
SPELLINGS = {
    'k80': ('Tesla K80', 'nvidia-tesla-k80', 'K80'),
    'm60': ('Tesla M60', 'M60'),
    'p4': ('Tesla P4', 'nvidia-tesla-p4', 'P4'),
    'p100': ('Tesla P100-PCIE-16GB', 'Tesla P100-SXM2-16GB', 'nvidia-tesla-p100', 'P100'),
    'p100-12gb': ('Tesla P100-PCIE-12GB',),
    'v100': ('Tesla V100-SXM2-16GB', 'Tesla-V100-SXM2-16GB', 'nvidia-tesla-v100', 'V100'),
    'v100-32gb': ('Tesla V100-SXM2-32GB', 'Tesla V100-SXM3-32GB', 'Tesla-V100-PCIE-32GB-SHARED', 'V100-32GB'),
    'v100s': ('Tesla V100S-PCIE-32GB',),
    't4': ('Tesla T4', 'NVIDIA T4', 'nvidia-tesla-t4', 'Tesla-T4-SHARED', 'T4'),
    't4g': ('NVIDIA T4G', 'T4g'),
    'a2': ('NVIDIA A2', 'NVIDIA-A2'),
    'a10': ('NVIDIA A10', 'NVIDIA-A10', 'A10'),
    'a10g': ('NVIDIA A10G', 'NVIDIA-A10G-SHARED', 'A10G'),
    'a16': ('NVIDIA A16',),
    'a30': ('NVIDIA A30', 'NVIDIA-A30', 'A30'),
    'a40': ('NVIDIA A40', 'NVIDIA-A40', 'A40'),
    'a100': ('NVIDIA A100-SXM4-40GB', 'NVIDIA A100-PCIE-40GB', 'NVIDIA-A100-SXM4-40GB', 'nvidia-tesla-a100', 'A100'),
    'a100-64gb': ('NVIDIA A100-SXM-64GB',),
    'a100-80gb': (
        'NVIDIA A100-SXM4-80GB',
        'NVIDIA A100 80GB PCIe',
        'A100-SXM-80GB',
        'NVIDIA-A100-SXM4-80GB-SHARED',
        'nvidia-a100-80gb',
        'A100-80GB',
        'A100-80GB-SXM',
    ),
    'a800': ('NVIDIA A800-SXM4-80GB', 'NVIDIA A800 80GB PCIe'),
    'l4': ('NVIDIA L4', 'nvidia_l4', '  NVIDIA   L4 ', 'NVIDIA-L4', 'nvidia-l4', 'L4', '[NVIDIA L4]'),
    'l40': ('NVIDIA L40', 'L40'),
    'l40s': ('NVIDIA L40S', 'NVIDIA-L40S', 'L40S'),
    'l20': ('NVIDIA L20',),
    'h20': ('NVIDIA H20', 'NVIDIA H20 96GB'),
    'h100': (
        'NVIDIA H100 80GB HBM3',
        'NVIDIA H100 PCIe',
        'NVIDIA-H100-80GB-HBM3',
        'nvidia-h100-80gb',
        'nvidia-h100-mega-80gb',
        'H100_NVLINK_80GB',
        'H100',
        'H100-80GB',
        'H100-MEGA-80GB',
        'H100-SXM',
    ),
    'h100-nvl': ('NVIDIA H100 NVL', 'NVIDIA-H100-NVL'),
    'h200': ('NVIDIA H200', 'nvidia-h200-141gb', 'H200', 'H200-SXM'),
    'h200-nvl': ('NVIDIA H200 NVL',),
    'h800': ('NVIDIA H800', 'NVIDIA H800 PCIe'),
    'gh200': ('NVIDIA GH200 480GB', 'GH200'),
    'gh200-144gb': ('NVIDIA GH200 144G HBM3e',),
    'b200': ('NVIDIA B200', 'nvidia-b200', 'B200'),
    'b300': ('NVIDIA B300 SXM6 AC', 'B300'),
    'gb200': ('NVIDIA GB200', 'nvidia-gb200', 'GB200'),
    'gb300': ('NVIDIA GB300', 'GB300'),
    'quadro-rtx-6000': ('Quadro RTX 6000', 'RTX6000', 'QRTX6000', 'Quadro_RTX_6000_16GB', 'RTX 6000 24GB'),
    'quadro-rtx-8000': ('Quadro RTX 8000', 'RTX8000'),
    'rtx-6000-ada': ('NVIDIA RTX 6000 Ada Generation', 'NVIDIA-RTX-6000-Ada-Generation', 'RTX6000-Ada'),
    'rtx-5000-ada': ('NVIDIA RTX 5000 Ada Generation', 'RTX5000-Ada'),
    'rtx-4000-ada': ('NVIDIA RTX 4000 Ada Generation', 'RTX4000-Ada'),
    'rtx-4000-sff-ada': ('NVIDIA RTX 4000 SFF Ada Generation',),
    'rtx-a6000': ('NVIDIA RTX A6000', 'NVIDIA-RTX-A6000', 'RTX_A6000_48GB', 'RTXA6000', 'A6000'),
    'rtx-a5000': ('NVIDIA RTX A5000', 'RTXA5000', 'A5000'),
    'rtx-pro-6000': (
        'NVIDIA RTX PRO 6000 Blackwell Server Edition',
        'NVIDIA RTX PRO 6000 Blackwell Workstation Edition',
        'NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition',
        'NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition',
        'nvidia-rtx-pro-6000',
        'RTX PRO Server 6000',
        'RTXPRO6000',
    ),
    'rtx-pro-4500': ('NVIDIA RTX PRO 4500 Blackwell', 'RTX PRO 4500'),
    'rtx-3090': ('NVIDIA GeForce RTX 3090', 'GeForce RTX 3090', 'NVIDIA-GeForce-RTX-3090', 'RTX3090'),
    'rtx-3090-ti': ('NVIDIA GeForce RTX 3090 Ti', 'NVIDIA-GeForce-RTX-3090-Ti-SHARED', 'RTX3090-Ti', 'RTX3090Ti'),
    'rtx-4080-super': ('NVIDIA GeForce RTX 4080 SUPER', 'RTX4080S'),
    'rtx-4090': ('NVIDIA GeForce RTX 4090', 'RTX4090', 'RTX_4090'),
    'rtx-4090-d': ('NVIDIA GeForce RTX 4090 D', 'RTX4090D'),
    'rtx-4090-laptop': ('NVIDIA GeForce RTX 4090 Laptop GPU',),
    'rtx-2080-laptop': ('NVIDIA GeForce RTX 2080 with Max-Q Design',),
    'rtx-5090': ('NVIDIA GeForce RTX 5090', 'RTX5090'),
    'gtx-1080-ti': ('NVIDIA GeForce GTX 1080 Ti', 'GTX1080Ti'),
    'titan-v': ('NVIDIA TITAN V', 'TITAN V'),
    'titan-rtx': ('NVIDIA TITAN RTX', 'TITAN RTX'),
    'mi250x': ('AMD Instinct MI250X', 'AMD Instinct MI250X / MI250'),
    'mi250': ('AMD INSTINCT MI250 (MCM) OAM AC MBA', 'MI250'),
    'mi300x': ('AMD Instinct MI300X', 'AMD_Instinct_MI300X_OAM', 'AMD Instinct MI300X VF', 'MI300X'),
    'mi325x': ('AMD Instinct MI325X', 'MI325X'),
    'radeon-pro-v520': ('AMD Radeon Pro V520', 'Radeon Pro V520'),
    'intel-max-1550': ('Intel(R) Data Center GPU Max 1550',),
    'gaudi': ('Gaudi HL-205', 'gaudi HL-205', 'HL-205'),
    'gaudi2': ('HL-225', 'Gaudi2', 'GAUDI2', 'Intel Gaudi 2'),
    'gaudi3': ('HL-325L', 'Gaudi3', 'Intel Gaudi 3'),
    'inferentia': ('Inferentia', 'AWS Inferentia'),
    'inferentia2': ('Inferentia2', 'AWS Inferentia2'),
    'trainium': ('Trainium', 'AWS Trainium'),
    'trainium2': ('Trainium2', 'AWS Trainium2'),
    'tpu-v3': ('tpu-v3', 'tpu-v3-device', 'tpu-v3-slice'),
    'tpu-v4': ('tpu-v4', 'tpu-v4-podslice', 'TPU v4'),
    'tpu-v5e': ('tpu-v5litepod', 'tpu-v5-lite-podslice', 'tpu-v5-lite-device', 'TPU v5e', 'TPU v5 lite'),
    'tpu-v5p': ('tpu-v5p', 'tpu-v5p-slice', 'TPU v5p'),
    'tpu-v6e': ('tpu-v6e', 'tpu-v6e-slice', 'Trillium'),
    'tpu-v7x': ('tpu7x', 'TPU7x', 'Ironwood'),
    'nvidia-mig-1g.10gb': ('NVIDIA A100-SXM4-80GB MIG 1g.10gb', 'NVIDIA-H100-80GB-HBM3-MIG-1g.10gb'),
    'nvidia-mig-3g.20gb.me': ('NVIDIA-A100-SXM4-40GB-MIG-3g.20gb.me',),
}
# Names that several sizes share, with the memory that DescribeInstanceTypes tells.
WITH_MEMORY = {
    ('A100', 40_960): 'a100',
    ('A100', 81_920): 'a100-80gb',
    ('V100', 16_384): 'v100',
    ('V100', 32_768): 'v100-32gb',
    ('H100', 81_920): 'h100',
    ('H200', 144_384): 'h200',
    ('A10G', 24_576): 'a10g',
    ('L4', 22_888): 'l4',
}
UNKNOWN = {
    'Apple M2 Max': 'apple-m2-max',
    'Custom Chip': 'custom-chip',
    'NVIDIA X900 96GB': 'x900-96gb',
    # A slice of a virtual GPU is not the GPU.
    'GRID T4-16Q': 't4-16q',
    'nvidia-gpu': 'nvidia-gpu',
    'amd-gpu': 'amd-gpu',
    'google-tpu': 'google-tpu',
    'aws-neuron': 'aws-neuron',
    'habana-gaudi': 'habana-gaudi',
    'intel-i915': 'intel-i915',
    'NVIDIA': 'unknown',
    'NVIDIA Graphics Device': 'unknown',
    '-': 'unknown',
    '': 'unknown',
    None: 'unknown',
}
RESOURCES = {
    'nvidia.com/gpu': 'nvidia-gpu',
    'amd.com/gpu': 'amd-gpu',
    'gpu.intel.com/gpu': 'gpu-gpu',
    'habana.ai/gpu': 'habana-gpu',
    'nvidia/gpu': 'nvidia-gpu',
    'a.b.c/d/gpu': 'a-d/gpu',
    '/gpu': '-gpu',
}


@pytest.mark.parametrize(('expected', 'spellings'), SPELLINGS.items())
def test_every_spelling_of_a_product_leads_to_one_name(expected, spellings):
    assert {accelerator_type(spelling) for spelling in spellings} == {expected}


@pytest.mark.parametrize(('told', 'expected'), WITH_MEMORY.items())
def test_the_memory_tells_sizes_apart(told, expected):
    assert accelerator_type(*told) == expected


@pytest.mark.parametrize(('name', 'expected'), UNKNOWN.items())
def test_other_names_keep_their_words(name, expected):
    assert accelerator_type(name) == expected


def test_every_name_has_the_usual_spellings():
    """As NVIDIA's driver, GPU Feature Discovery and SkyPilot derive them from the name of a product."""
    sizes = [name for by_size in SIZES.values() for name in by_size.values()]
    for name in [*NAMES, *sizes]:
        words = name.split('-')
        joined = name.replace('rtx-', 'RTX', 1).replace('gtx-', 'GTX', 1)
        labels = [f'NVIDIA-{name}', f'NVIDIA-{name.upper()}-SHARED']
        for spelling in [
            name,
            name.upper(),
            ' '.join(words),
            f'NVIDIA {" ".join(words)}',
            '_'.join(words),
            joined,
            *labels,
        ]:
            assert accelerator_type(spelling) == name, spelling


def test_the_vocabulary_is_closed():
    assert set(ALIASES.values()) | set(SIZES) <= NAMES
    assert not {alias for alias, name in ALIASES.items() if alias == name.replace('-', '')}
    assert not {name.replace('-', '') for name in NAMES} & set(ALIASES)


def test_an_option_takes_any_spelling_of_a_type_once():
    assert by_accelerator_type('prices', {'RTX4090': 1, 'H100-SXM': 2}) == {'rtx-4090': 1, 'h100': 2}
    with pytest.raises(ConfigurationError, match=r'option `prices`: RTX4090 and rtx-4090 are both rtx-4090; keep one'):
        by_accelerator_type('prices', {'RTX4090': 1, 'rtx-4090': 2})


@pytest.mark.parametrize(('resource', 'expected'), RESOURCES.items())
def test_gpu_of_resource(resource, expected):
    assert accelerators.is_gpu(resource)
    assert accelerators.gpu_of_resource(resource) == expected


@pytest.mark.parametrize('resource', ['cpu', 'memory', 'nvidia.com/mig-1g.5gb', 'gpu', 'nvidia.com/gpu.shared'])
def test_other_resources_are_no_gpus(resource):
    assert not accelerators.is_gpu(resource)


@pytest.mark.parametrize(
    ('counts', 'expected'), [({}, 'none'), ({'l4': 4}, 'l4'), ({'a100': 8, 'h100': 8}, 'any'), ({'l4': 0.5}, 'l4')]
)
def test_gpu_of_choice(counts, expected):
    assert accelerators.gpu_of_choice(counts) == expected


WORDS = """nvidia tesla geforce rtx gtx quadro 6000 a100 80gb 40g ti super mig 1g.10gb tpu v5 lite slice gpu google
rtx4090s - _"""
words = st.sampled_from(WORDS.split())


@given(st.text() | st.lists(words | st.text(max_size=6), max_size=6).map(' '.join), st.none() | st.integers(0, 300_000))
def test_a_type_is_a_bounded_tag_value_that_leads_to_itself(name, memory_mib):
    found = accelerator_type(name, memory_mib)
    assert 0 < len(found) <= MAX_LENGTH
    assert found == found.lower()
    assert re.fullmatch(r'[^\s,:]+', found)
    assert accelerator_type(found) == found


@given(st.text())
def test_slugs_are_parts_of_metric_names(text):
    assert all(letter.isascii() and (letter.isalnum() or letter == '_') for letter in slug(text))


def test_slugs():
    assert slug('RTX PRO Server 6000') == 'rtx_pro_server_6000'
    assert slug('aws:autoscaling:groupName') == 'aws_autoscaling_groupname'
