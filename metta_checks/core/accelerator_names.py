"""The accelerators of the vocabulary: names, other spellings, and memory sizes that are products of their own.

Sources: the product pages of the vendors, `nvidia-smi --query-gpu=name`, the catalogs of SkyPilot,
DescribeInstanceTypes of EC2, the node labels of GPU Feature Discovery, GKE and AMD's device plugin.
"""

from __future__ import annotations

from types import MappingProxyType

_NAMES = """
k80 m40 m60 p4 p6 p40 p100 v100 v100s t4 t4g t10 t40 a2 a10 a10g a10m a16 a30 a30x a40 a100 a100x a800 l2 l4 l20 l40
l40g l40s h20 h100 h100-nvl h200 h200-nvl h800 gh200 b100 b200 b300 gb10 gb200 gb300 vr200

quadro-gp100 quadro-gv100 quadro-p400 quadro-p600 quadro-p620 quadro-p1000 quadro-p2000 quadro-p2200 quadro-p4000
quadro-p5000 quadro-p6000 quadro-t400 quadro-t600 quadro-t1000 quadro-t2000 quadro-rtx-3000 quadro-rtx-4000
quadro-rtx-5000 quadro-rtx-6000 quadro-rtx-8000 t400 t600 t1000 rtx-a400 rtx-a1000 rtx-a2000 rtx-a4000 rtx-a4500
rtx-a5000 rtx-a5500 rtx-a6000 rtx-2000-ada rtx-4000-ada rtx-4000-sff-ada rtx-4500-ada rtx-5000-ada rtx-5880-ada
rtx-6000-ada rtx-pro-2000 rtx-pro-4000 rtx-pro-4000-sff rtx-pro-4500 rtx-pro-5000 rtx-pro-6000

titan-x titan-xp titan-v titan-rtx gtx-1050 gtx-1050-ti gtx-1060 gtx-1070 gtx-1070-ti gtx-1080 gtx-1080-ti gtx-1650
gtx-1650-super gtx-1660 gtx-1660-super gtx-1660-ti rtx-2060 rtx-2060-super rtx-2070 rtx-2070-super rtx-2080
rtx-2080-super rtx-2080-ti rtx-3050 rtx-3060 rtx-3060-ti rtx-3070 rtx-3070-ti rtx-3080 rtx-3080-ti rtx-3090
rtx-3090-ti rtx-4060 rtx-4060-ti rtx-4070 rtx-4070-super rtx-4070-ti rtx-4070-ti-super rtx-4080 rtx-4080-super
rtx-4090 rtx-4090-d rtx-5050 rtx-5060 rtx-5060-ti rtx-5070 rtx-5070-ti rtx-5080 rtx-5090 rtx-5090-d rtx-2060-laptop
rtx-2070-laptop rtx-2080-laptop rtx-3060-laptop rtx-3070-laptop rtx-3080-laptop rtx-3080-ti-laptop rtx-4060-laptop
rtx-4070-laptop rtx-4080-laptop rtx-4090-laptop rtx-5060-laptop rtx-5070-laptop rtx-5070-ti-laptop rtx-5080-laptop
rtx-5090-laptop

mi25 mi50 mi60 mi100 mi210 mi250 mi250x mi300a mi300x mi308x mi325x mi350x mi355x radeon-pro-v520 radeon-pro-v620
radeon-pro-v710 radeon-pro-w6800 radeon-pro-w7800 radeon-pro-w7900 radeon-rx-6900-xt radeon-rx-7900-xt
radeon-rx-7900-xtx radeon-rx-9070-xt

intel-max-1100 intel-max-1450 intel-max-1550 intel-flex-140 intel-flex-170 intel-arc-a770 intel-arc-b580
gaudi gaudi2 gaudi3
inferentia inferentia2 trainium trainium2 trainium3
ai100
"""
NAMES = frozenset(_NAMES.split())
# Other spellings, in lower case without separators and without the words that describe a whole product line.
ALIASES = MappingProxyType(
    {
        # The generation of Turing is sold as Quadro; SkyPilot and several clouds leave that word out.
        'rtx3000': 'quadro-rtx-3000',
        'rtx4000': 'quadro-rtx-4000',
        'rtx5000': 'quadro-rtx-5000',
        'rtx6000': 'quadro-rtx-6000',
        'rtx8000': 'quadro-rtx-8000',
        'a2000': 'rtx-a2000',
        'a4000': 'rtx-a4000',
        'a4500': 'rtx-a4500',
        'a5000': 'rtx-a5000',
        'a5500': 'rtx-a5500',
        'a6000': 'rtx-a6000',
        'rtx6000pro': 'rtx-pro-6000',
        'titanxpascal': 'titan-x',
        'mi250xmi250': 'mi250x',
        'gaudihl205': 'gaudi',
        'hl205': 'gaudi',
        'gaudi1': 'gaudi',
        'hl225': 'gaudi2',
        'hl225b': 'gaudi2',
        'hl225h': 'gaudi2',
        'hl325': 'gaudi3',
        'hl325l': 'gaudi3',
        'habanahl205': 'gaudi',
        'habanagaudi2': 'gaudi2',
        'intelgaudi2': 'gaudi2',
        'intelgaudi3': 'gaudi3',
        'inferentia1': 'inferentia',
        'awsinferentia': 'inferentia',
        'awsinferentia2': 'inferentia2',
        'trainium1': 'trainium',
        'awstrainium': 'trainium',
        'awstrainium2': 'trainium2',
        'awstrainium3': 'trainium3',
        'qualcommai100': 'ai100',
        'cloudai100': 'ai100',
        'qualcommcloudai100': 'ai100',
    }
)
# Memory in GB: the name of the product with it. A model without the size stands for its other, usual size.
SIZES = MappingProxyType(
    {
        'p100': {12: 'p100-12gb'},
        'v100': {32: 'v100-32gb'},
        'a100': {64: 'a100-64gb', 80: 'a100-80gb'},
        'a800': {40: 'a800-40gb'},
        'h20': {141: 'h20-141gb'},
        'h100': {64: 'h100-64gb', 96: 'h100-96gb'},
        'gh200': {144: 'gh200-144gb'},
        'gtx-1060': {3: 'gtx-1060-3gb'},
        'rtx-3050': {6: 'rtx-3050-6gb'},
        'rtx-3060': {8: 'rtx-3060-8gb'},
        'rtx-3080': {12: 'rtx-3080-12gb'},
        'rtx-4060-ti': {16: 'rtx-4060-ti-16gb'},
        'rtx-5060-ti': {16: 'rtx-5060-ti-16gb'},
        'rtx-a2000': {12: 'rtx-a2000-12gb'},
        'rtx-pro-5000': {72: 'rtx-pro-5000-72gb'},
    }
)
