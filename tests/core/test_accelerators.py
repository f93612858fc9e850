"""Names of GPUs: the value of the tag for every spelling that a service has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.core import accelerators
from metta_checks.core.text import slug

PRODUCTS = {
    'NVIDIA L4': 'l4',
    'NVIDIA A10G': 'a10g',
    'NVIDIA L40S': 'l40s',
    'NVIDIA H100 80GB HBM3': 'h100',
    'NVIDIA H100 PCIe': 'h100',
    'NVIDIA H200': 'h200',
    'NVIDIA B200': 'b200',
    'NVIDIA GB200': 'gb200',
    'NVIDIA GH200 480GB': 'gh200',
    'NVIDIA A100-SXM4-80GB': 'a100-80gb',
    'NVIDIA A100 80GB PCIe': 'a100-80gb',
    'A100-SXM-80GB': 'a100-80gb',
    'NVIDIA A100-SXM4-40GB': 'a100',
    'NVIDIA A100-PCIE-40GB': 'a100',
    'Tesla T4': 't4',
    'Tesla V100-SXM2-16GB': 'v100',
    'Tesla P100-PCIE-16GB': 'p100',
    'Tesla K80': 'k80',
    'Tesla M60': 'm60',
    'AMD Instinct MI300X': 'mi300x',
    'AMD Instinct MI250X / MI250': 'mi250x',
    'AMD Radeon Pro V520': 'v520',
    'NVIDIA GeForce RTX 4090': 'rtx-4090',
    'NVIDIA GeForce GTX 1080 Ti': 'gtx-1080',
    'NVIDIA RTX A6000': 'a6000',
    'NVIDIA RTX 6000 Ada Generation': 'rtx-6000',
    'NVIDIA RTX PRO 6000 Blackwell Server Edition': 'pro-6000',
    'Quadro RTX 8000': 'rtx-8000',
    'NVIDIA TITAN V': 'titan',
    'GRID T4-16Q': 't4',
    'Apple M2 Max': 'm2',
    '[NVIDIA L4]': 'l4]',
    'nvidia_l4': 'l4',
    '  NVIDIA   L4 ': 'l4',
    '4090': '4090',
    'Custom Chip': 'custom',
    'NVIDIA': 'unknown',
    '-': 'unknown',
    '': 'unknown',
    None: 'unknown',
}
# All GPUs of the types of EC2, and a few other spellings.
MODELS = {
    'A100': 'a100',
    'A10G': 'a10g',
    'B200': 'b200',
    'B300': 'b300',
    'H100': 'h100',
    'H200': 'h200',
    'L4': 'l4',
    'L40S': 'l40s',
    'RTX PRO 4500': 'rtx_pro_4500',
    'RTX PRO Server 6000': 'rtx_pro_server_6000',
    'T4': 't4',
    'T4g': 't4g',
    'V100': 'v100',
    'Radeon Pro V520': 'radeon_pro_v520',
    'Gaudi HL-205': 'gaudi_hl_205',
    '': 'unknown',
    None: 'unknown',
}
CATALOG = {
    'L4': 'l4',
    'A10G': 'a10g',
    'A100': 'a100',
    'A100-80GB': 'a100-80gb',
    'A100-80GB-SXM': 'a100-80gb-sxm',
    'H100': 'h100',
    'H100-MEGA-80GB': 'h100-mega-80gb',
    'H200': 'h200',
    'V100-32GB': 'v100-32gb',
    'T4g': 't4g',
    'RTX4090': 'rtx4090',
    'RTX3090-Ti': 'rtx3090-ti',
    'RTXPRO6000': 'rtxpro6000',
    'Trainium': 'trainium',
    'tpu-v5litepod-8': 'tpu-v5litepod-8',
    'gaudi HL-205': 'gaudi hl-205',
    'Radeon Pro V520': 'radeon pro v520',
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


@pytest.mark.parametrize(('name', 'expected'), PRODUCTS.items())
def test_gpu_of_product(name, expected):
    assert accelerators.gpu_of_product(name) == expected


@pytest.mark.parametrize(('name', 'expected'), MODELS.items())
def test_gpu_of_model(name, expected):
    assert accelerators.gpu_of_model(name) == expected


@pytest.mark.parametrize(('name', 'expected'), CATALOG.items())
def test_gpu_of_catalog(name, expected):
    assert accelerators.gpu_of_catalog(name) == expected


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


@given(st.text())
def test_a_product_is_always_a_lower_case_word(name):
    found = accelerators.gpu_of_product(name)
    assert found
    assert found == found.lower()
    assert not any(character.isspace() for character in found)


@given(st.text())
def test_slugs_are_parts_of_metric_names(text):
    assert all(letter.isascii() and (letter.isalnum() or letter == '_') for letter in slug(text))


def test_slugs():
    assert slug('RTX PRO Server 6000') == 'rtx_pro_server_6000'
    assert slug('aws:autoscaling:groupName') == 'aws_autoscaling_groupname'
