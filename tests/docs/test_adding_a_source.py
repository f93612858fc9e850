"""The steps of docs/adding-a-source.md produce a seventh source that works."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from . import pages
from .runner import Reader, scratch

PAGE = 'docs/adding-a-source.md'


class StatusPage(BaseHTTPRequestHandler):
    """A status page that the sandbox does not serve."""

    def do_GET(self) -> None:
        summary = {
            'page': {'name': 'Elsewhere'},
            'components': [
                {'name': 'Group', 'status': 'partial_outage', 'group': True},
                {'name': 'API', 'status': 'operational', 'group': False},
                {'name': 'Storage', 'status': 'partial_outage', 'group': False},
                {'name': 'New', 'status': 'haunted', 'group': False},
            ],
            'incidents': [
                {'impact': 'minor', 'started_at': (datetime.now(UTC) - timedelta(hours=5)).isoformat()},
                {'impact': 'minor', 'started_at': None},
            ],
        }
        body = json.dumps(summary).encode()
        self.send_response(200 if self.path == '/api/v2/summary.json' else 404)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(('127.0.0.1', 0), StatusPage)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f'http://127.0.0.1:{server.server_port}/api/v2'
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.integration
def test_the_page_gives_a_source_that_works(tmp_path, address):
    copy = scratch(tmp_path)
    with Reader(copy, tmp_path / 'home') as reader:
        for fence in pages.fences(PAGE):
            reader.follow(fence)
        conf_d = tmp_path / 'conf'
        conf_d.mkdir()
        # As a user would: the generated example, with another address.
        example = (copy / 'conf.d' / 'metta_checks.d' / 'statuspage.yaml.example').read_text(encoding='utf-8')
        assert example.count('https://www.githubstatus.com/api/v2') == 1
        text = example.replace('https://www.githubstatus.com/api/v2', address)
        (conf_d / 'statuspage.yaml').write_text(text, encoding='utf-8')
        done = subprocess.run(
            [sys.executable, '-m', 'metta_checks.cli.main', 'collect', 'statuspage', '-c', str(conf_d), '--json'],
            cwd=copy,
            env=reader.environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    [collected] = json.loads(done.stdout)['results']
    assert collected['requests'] == 1
    assert collected['status'] == 'ok'
    found = {
        (point['name'].removeprefix('metta.statuspage.'), *sorted(set(point['tags']) - {'page:elsewhere'})): point[
            'value'
        ]
        for point in collected['points']
        if point['name'].startswith('metta.statuspage.')
    }
    oldest = found.pop(('incidents.oldest_hours',))
    assert oldest == pytest.approx(5, abs=0.1)
    assert {key: value for key, value in found.items() if value} == {
        ('components.count', 'status:operational'): 1,
        ('components.count', 'status:partial_outage'): 1,
        ('components.count', 'status:unknown'): 1,
        ('components.operational_pct',): pytest.approx(100 / 3),
        ('incidents.open', 'impact:minor'): 2,
    }
    # Every known status and impact has its series, 0 included.
    assert len(found) == 6 + 1 + 5
