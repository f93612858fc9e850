"""Redirects, told by their address."""

from __future__ import annotations

import pytest
from datadog_checks.base import AgentCheck

from metta_checks.testing import Driver

from ..case import case


@case('G')
@pytest.mark.parametrize(
    ('location', 'words', 'status'),
    [
        ('https://{host}/api/health', 'a redirect to https; begin option `api_server_url` with https://', None),
        ('{path}/', 'a redirect to /api/health/; check that no proxy changes the paths', None),
        ('https://login.example/start', 'a redirect to login.example, probably a page to sign in', AgentCheck.CRITICAL),
        ('http://[::1', 'a redirect to an address that cannot be read', None),
    ],
)
def test_a_redirect_is_named_for_what_it_is(sky, location, words, status):
    """A redirect is named for what it is.

    A proxy in front of the server redirects to https, to the same path with a slash, or to a page to sign in on another
    host.

    Right: The message says which of these it is, from the address of the redirect, and what to do.

    Unchanged: The token goes to no other address.
    """
    host = sky.url.partition('//')[2]
    target = location.format(host=host, path='/api/health')
    sky.faults.add('status', status=302, headers={'Location': target}, body='')
    run = Driver.of(sky).run()
    assert words in run.error
    assert status in (None, run.status)
    assert {entry.path for entry in sky.log} == {'/api/health'}
