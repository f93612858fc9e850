"""Resource strings."""

from __future__ import annotations

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metta_checks.core.accelerators import accelerator_type
from metta_checks.skypilot import resources
from metta_checks.skypilot.resources import Resources

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('1x[L4:4][Spot]', Resources(1, 'spot', {'l4': 4})),
        ('16x[H100:8]', Resources(16, 'ondemand', {'h100': 8})),
        ('2x[L4:0.5]', Resources(2, 'ondemand', {'l4': 0.5})),
        ('1x[CPU:4+]', Resources(1, 'ondemand', {})),
        ('1x[CPU:4][Spot]', Resources(1, 'spot', {})),
        ('1x[A100:8, H100:8][On-demand|Spot]', Resources(1, 'unknown', {'a100': 8, 'h100': 8})),
        ('1x[A100-80GB:8]', Resources(1, 'ondemand', {'a100-80gb': 8})),
        ('2x[spot](gpus=L4:4, g6.12xlarge, ...)', Resources(2, 'spot', {'l4': 4}, 'g6.12xlarge')),
        ('1x[Spot](gpus=L40S:4, g6e.12xlarge, ...)', Resources(1, 'spot', {'l40s': 4}, 'g6e.12xlarge')),
        ('1x(cpus=4, mem=16, m6i.xlarge, ...)', Resources(1, 'ondemand', {}, 'm6i.xlarge')),
        ('1x(gpus=L4:1, cpus=4, mem=16, ...)', Resources(1, 'ondemand', {'l4': 1}, 'cpus=4, mem=16')),
        ('1x(gpus=H100:8, cpus=192, mem=2048, p5.48x, disk=256)', Resources(1, 'ondemand', {'h100': 8}, 'p5.48x')),
        # Cut to 15 characters: which type it is cannot be known.
        ('1x(gpus=V100:1, Standard_NC6s_..., ...)', Resources(1, 'ondemand', {'v100': 1})),
        ('-', Resources()),
        ('', Resources()),
        ('0x[L4:1]', Resources(1, 'ondemand', {'l4': 1})),
        ('something new', Resources()),
        (f'{"9" * 5000}x[L4:1]', Resources(1, 'ondemand', {'l4': 1})),
    ],
)  # fmt: skip
def test_what_a_string_says(text, expected):
    assert resources.Resources.parse(text) == expected


@pytest.mark.parametrize(
    ('value', 'expected'),
    [
        ({'L4': 4}, {'l4': 4}),
        ({'L4': 0.125}, {'l4': 0.125}),
        ("{'L4': 4}", {'l4': 4}),
        ("{'A100-80GB': 8}", {'a100-80gb': 8}),
        ('None', {}),
        (None, {}),
        ({}, {}),
        ({'L4': None}, {}),
        ({'L4': True}, {}),
        ({'CPU': 4}, {}),
        ('{broken', {}),
        ("{'L4': 1e999}", {}),
        ('L4:99999999999999999999', {}),
        ([1], {}),
        # Two spellings are one type.
        ({'l4': 1, 'L4': 2}, {'l4': 3}),
    ],
)
def test_accelerators(value, expected):
    assert resources.parse_accelerators(value) == expected


def test_accelerators_while_another_thread_parses():
    # In Python 3.11, all threads share one counter of the depth of Python code that is parsed. A garbage collection
    # lets another thread run in between; here the collection itself parses, at another depth of the stack.
    def parse(depth=20):
        return parse(depth - 1) if depth else resources.parse_accelerators("{'A100': 8}")

    def collecting(phase, _):
        if phase == 'start':
            parse()

    thresholds = gc.get_threshold()
    gc.callbacks.append(collecting)
    gc.set_threshold(1)
    try:
        parsed = [resources.parse_accelerators("{'L4': 4, 'H100': 8}") for _ in range(20)]
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(collecting)
    assert parsed == [{'l4': 4, 'h100': 8}] * 20


names = st.from_regex(r'[A-Z][A-Z0-9]{0,5}(-[0-9]{2}GB)?', fullmatch=True).filter(lambda name: name != 'CPU')


@given(
    nodes=st.integers(1, 999),
    name=names,
    count=st.one_of(st.integers(1, 16), st.sampled_from([0.125, 0.25, 0.5])),
    spot=st.booleans(),
)
def test_a_request_and_what_is_launched_for_it_say_the_same(nodes, name, count, spot):
    asked = resources.Resources.parse(f'{nodes}x[{name}:{count}]{"[Spot]" if spot else ""}')
    launched = resources.Resources.parse(f'{nodes}x{"[spot]" if spot else ""}(gpus={name}:{count}, x1.large, ...)')
    assert asked == Resources(nodes, 'spot' if spot else 'ondemand', {accelerator_type(name): count})
    assert launched == Resources(nodes, asked.market, asked.accelerators, 'x1.large')


@given(st.text())
def test_no_text_breaks_the_parsers(text):
    parsed = resources.Resources.parse(text)
    assert parsed.nodes >= 1
    assert parsed.market in ('spot', 'ondemand', 'unknown')
    assert all(count > 0 for count in parsed.accelerators.values())
    assert isinstance(resources.parse_accelerators(text), dict)


@pytest.mark.parametrize(
    ('value', 'expected'),
    [
        (None, False),
        ('None', False),
        ('-', False),
        ('', False),
        ('{}', False),
        ({'L4': 4}, False),
        ({'CPU': 4}, False),
        ("{'L4': 0.5}", False),
        ('L4:4', False),
        ('four L4s', True),
        ("{'L4': 'many'}", True),
        ({'L4': None}, True),
        (['L4'], True),
        (4, True),
    ],
)
def test_what_is_said_of_accelerators_and_not_understood_is_noticed(value, expected):
    assert resources.is_unclear(value) is expected


@pytest.mark.parametrize(
    ('text', 'expected'),
    [('1x(cpus=4, mem=16, m6i.xlarge, disk=256)', True), ('1x[L4:4][Spot]', False), ('-', False), (None, False)],
)
def test_machines_that_were_launched(text, expected):
    assert resources.is_launched(text) is expected
