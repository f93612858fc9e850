"""Secrets in texts, and limits on figures and waits that a service sends."""

from __future__ import annotations

import base64
import io
import logging
import sys
import threading
from datetime import UTC, datetime

import pytest

from metta_checks.core import catalog, secrets
from metta_checks.core.budget import Budget
from metta_checks.core.errors import BadPayload
from metta_checks.core.limits import RateLimits
from metta_checks.core.refresh import Attempt, Refresh, RefreshContext, Sample
from metta_checks.core.secrets import REDACTED, RENEWED, LogFilter, Scrubber
from metta_checks.core.snapshot import Snapshot
from metta_checks.core.text import one_line
from metta_checks.core.times import MAX_WAIT_SECONDS
from metta_checks.testing import Clock

pytestmark = pytest.mark.unit

SECRET = 'ghp_0a1b2c3d4e5f6g7h/+=%'
NOW = datetime(2026, 11, 24, 18, tzinfo=UTC)


def scrubbed(text, *found):
    scrubber = Scrubber()
    for secret in found:
        scrubber.add(secret)
    return scrubber.scrub(text)


@pytest.mark.parametrize(
    'text',
    [
        f'refused {SECRET}.',
        'refused ghp_0a1b2c3d4e5f6g7h%2F%2B%3D%25.',
        'refused ghp_0a1b2c3d...',
        'refused ghp_0a1b.',
    ],
)
def test_a_secret_is_found_in_every_form_and_cut_off(text):
    assert scrubbed(text, SECRET).startswith(f'refused {REDACTED}')


def test_short_secrets_are_found_as_a_whole_only():
    assert scrubbed('check option `password`: password1', 'password1') == f'check option `password`: {REDACTED}'


def test_every_line_of_a_private_key_is_one():
    key = (
        '-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEAabcdefgh\nq1w2e3r4t5y6u7i8o9p0\n-----END RSA PRIVATE KEY-----'
    )
    assert scrubbed('see MIIEpAIBAAKCAQEAabcdefgh', key) == f'see {REDACTED}'
    assert scrubbed('-----BEGIN RSA PRIVATE KEY-----', key) == '-----BEGIN RSA PRIVATE KEY-----'


def test_an_instance_gives_all_its_secrets():
    instance = {
        'token': 'first-secret',
        'username': 'ada',
        'password': 'second-secret',
        'proxy': {'https': 'http://u:third%20secret@proxy.example:3128'},
        'api_url': 'https://fourth-secret@service.example',
        'headers': {'X-Key': 'Bearer fifth-secret'},
        'auth_token': {'reader': {'type': 'oauth', 'client_secret': 'sixth-secret', 'url': 'https://x'}},
    }
    found = set(secrets.of_instance(instance, ('token',)))
    assert {'first-secret', 'second-secret', 'third secret', 'fourth-secret', 'fifth-secret', 'sixth-secret'} <= found
    assert base64.b64encode(b'ada:second-secret').decode() in found
    assert base64.b64encode(b'u:third secret').decode() in found


def test_renewed_tokens_do_not_pile_up():
    scrubber = Scrubber()
    for number in range(RENEWED + 1):
        scrubber.add_renewed(f'installation-token-{number:04}-abcdef')
    assert scrubber.scrub('x installation-token-0016-abcdef') == f'x {REDACTED}'
    assert len(scrubber._renewed) == RENEWED


def test_tokens_that_begin_alike_are_each_found_as_a_whole():
    old, new = 'eyJhbGciOiJSUzI1NiJ9.old-claims.sig1', 'eyJhbGciOiJSUzI1NiJ9.new-claims.sig2'
    assert scrubbed(f'{new} {old}', old, new) == f'{REDACTED} {REDACTED}'


def test_log_lines_and_their_tracebacks_are_scrubbed():
    stream = io.StringIO()
    logger = logging.Logger('test')
    logger.addHandler(logging.StreamHandler(stream))
    scrubber = Scrubber()
    scrubber.add(SECRET)
    secrets.filter_logs(logger, scrubber)
    try:
        raise ValueError(f'no {SECRET}')
    except ValueError:
        logger.exception('said %s', SECRET)
    assert SECRET[:8] not in stream.getvalue()
    assert f'said {REDACTED}' in stream.getvalue()
    assert 'ValueError' in stream.getvalue()


def test_instances_may_be_added_while_others_log():
    log_filter = LogFilter()
    scrubbers = [Scrubber() for _ in range(3_000)]
    for scrubber in scrubbers:
        log_filter.add(scrubber)
    logged = threading.Event()

    def add() -> None:
        while not logged.is_set():
            scrubbers.append(Scrubber())
            log_filter.add(scrubbers[-1])

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=add)
    thread.start()
    try:
        for _ in range(10):
            assert log_filter.filter(logging.LogRecord('test', logging.INFO, __file__, 1, 'text', (), None))
    finally:
        logged.set()
        thread.join()
        sys.setswitchinterval(interval)


@pytest.mark.parametrize('value', [float('nan'), float('inf'), 10**400, '7', [1]])
def test_a_value_that_is_no_figure_fails_the_block(value):
    context = RefreshContext(Snapshot(), catalog.load('kubernetes'), Budget(Clock(NOW)), logging.getLogger(), 900)
    attempt: Attempt[None] = Attempt(Refresh(context, now=NOW, full=True), '', 'pods', None, {})
    with pytest.raises(BadPayload, match=r'the answers make pods\.running'):
        attempt.emit([Sample('pods.running', value)])


def test_no_service_closes_itself_for_more_than_a_day():
    limits = RateLimits(Clock(NOW))
    limits.close('core', 9e99, 'wait')
    assert limits.dump()['core'][0] == NOW.timestamp() + MAX_WAIT_SECONDS
    limits.close('core', float('nan'), 'wait')
    assert limits.dump()['core'][0] == NOW.timestamp() + MAX_WAIT_SECONDS


@pytest.mark.parametrize(
    ('text', 'shown'),
    [('a\nb\t c ', 'a b c'), ('a\0b', 'a b'), ('\ud800x', '?x'), ('abcdefghij', 'abcde...')],
)
def test_texts_of_others_become_one_line(text, shown):
    assert one_line(text, 8) == shown


def test_a_document_keeps_its_words():
    # A password of words must not eat the names of metrics that the snapshot holds.
    scrubber = Scrubber()
    scrubber.add('metta')
    scrubber.add('training-cluster-password')
    document = '{"gauges":[["metta.wandb.training.duration_hours",1.5,[]]],"said":"training-cluster-password"}'
    assert scrubber.scrub_document(document) == document.replace('training-cluster-password', REDACTED)
