"""Redirects and refusals: where they lead, and their own reasons."""

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


@case('G', guard=True)
def test_a_token_that_has_expired(sky):
    """A token that has expired.

    The server refuses the token of a service account with HTTP 401, and says that it has expired.

    Right: The error says so.

    Unchanged: The service check is CRITICAL.
    """
    sky.faults.add('status', status=401, body='{"detail": "Service account token has expired"}')
    run = Driver.of(sky).run()
    assert 'answered HTTP 401: the credentials were not accepted: Service account token has expired' in run.error
    assert run.status == AgentCheck.CRITICAL


@case('G', 'https://github.com/skypilot-org/skypilot/pull/7921')
def test_the_page_of_a_proxy_whose_server_is_away(sky):
    """The page of a proxy whose server is away.

    A proxy stands before the API server, which is being upgraded. It answers HTTP 503 with a page in HTML.

    Right: The error has the title of the page, which is not that of the API server.

    Unchanged: The rest of the page is not shown.
    """
    page = '<html><head><title>503 Service Temporarily Unavailable</title></head><body>ingress</body></html>'
    sky.faults.add('status', status=503, headers={'Content-Type': 'text/html'}, body=page)
    run = Driver.of(sky).run()
    assert 'answered HTTP 503: 503 Service Temporarily Unavailable' in run.error
    assert 'ingress' not in run.error
