"""Answers of any size, also packed or without an end, are refused before they fill the memory."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from metta_checks.core.connections import MAX_BODY_BYTES

from . import hostile
from .instances import ADDRESS, instance

pytestmark = pytest.mark.integration

# Memory of a refused answer: its limit once in parts, and an allowance for the interpreter.
ALLOWED = MAX_BODY_BYTES + 48 * hostile.MIB
# The check in a process of its own, so that its peak of memory is its own: before and after, in bytes.
PROGRAM = """
import json, resource, sys
from metta_checks.check import MettaChecks
check = MettaChecks('metta_checks', {}, [json.loads(sys.argv[1])])
# Libraries and first use are not the answer's.
check.run_check_initializations()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
report = check.run()
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([json.loads(report)[0]['message'] if report else '', (after - before) * 1024]))
"""


def run(configured):
    done = subprocess.run(
        [sys.executable, '-c', PROGRAM, json.dumps(configured)],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def slow_enough(source):
    """Time to get beyond the limit on a busy machine."""
    return {'read_timeout': 120} if source == 'ec2' else {'timeout': 120}


@pytest.mark.parametrize('source', ADDRESS)
def test_an_answer_without_an_end_is_refused(source):
    with hostile.serving(hostile.endless) as server:
        error, grown = run(instance(source, server.url, **slow_enough(source)))
    assert 'more than 64 MiB' in error or 'larger than 64 MiB' in error
    assert grown < ALLOWED


@pytest.mark.parametrize('source', ['wandb', 'kubernetes', 'ec2'])
def test_a_packed_answer_is_measured_unpacked(source):
    # Half a GiB in half a MiB.
    with hostile.serving(hostile.bomb(512 * hostile.MIB)) as server:
        error, grown = run(instance(source, server.url, **slow_enough(source)))
    if source == 'ec2':
        # The SDK does not ask for packed answers and does not unpack them.
        assert 'not from AWS' in error
    else:
        assert 'more than 64 MiB' in error
    assert grown < ALLOWED


def test_deep_nesting_is_refused():
    body = b'[' * 400_000
    with hostile.serving(lambda handler: handler.reply(200, body, Content_Type='application/json')) as server:
        error, _ = run(instance('asana', server.url))
    assert 'nested too deeply' in error
