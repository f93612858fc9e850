from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import certifi
import pytest
from hypothesis import HealthCheck, settings

import sandbox
from metta_checks.testing import AGENT
from sandbox import Clock, Organization, Running, Service

# The fixture that `ddev env` looks for.
from .e2e_environment import dd_environment  # noqa: F401
from .security.watching import Watch, watching

# The models of the AWS SDK are large and live long: by default the collector looks at them again and again, which takes
# 40 % of the time of the tests of EC2.
gc.set_threshold(20_000, 50, 100)
# A busy machine is slow, which is not a finding. The same commit has the same examples everywhere, so that a failure
# concerns the change; `make explore` looks for new ones.
settings.register_profile('gate', deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile('explore', parent=settings.get_profile('gate'), derandomize=False, max_examples=1_000)
settings.load_profile(os.environ.get('HYPOTHESIS_PROFILE', 'gate'))


def pytest_configure() -> None:
    """Keep the bytecode of the tests in `.cache` where Python writes none beside them.

    Without any, each process of the tests spends ten seconds on pytest's rewriting of all assertions.
    """
    if sys.dont_write_bytecode:
        sys.dont_write_bytecode = False
        sys.pycache_prefix = str(Path(__file__).resolve().parent.parent / '.cache' / 'bytecode')


@pytest.fixture(autouse=True)
def _fresh_agent() -> None:
    """No test sees what another one submitted or stored."""
    AGENT.reset()
    AGENT.install()
    # The demo and the recorded week switch it off.
    logging.disable(logging.NOTSET)


@pytest.fixture(scope='session')
def trust_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with one certificate authority of those that certifi knows."""
    one, end, _ = Path(certifi.where()).read_text(encoding='utf-8').partition('-----END CERTIFICATE-----\n')
    path = tmp_path_factory.mktemp('trust') / 'authorities.pem'
    path.write_text(one + end, encoding='utf-8')
    return path


@pytest.fixture(autouse=True)
def _small_trust_store(trust_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let OpenSSL read one certificate authority for each instance of the check.

    No service of a test has a public certificate, and reading those of the system is a third of a small run.
    """
    monkeypatch.setenv('SSL_CERT_FILE', str(trust_store))


@pytest.fixture(autouse=True, scope='session')
def watched_runs() -> Iterator[Watch]:
    with watching() as watch:
        yield watch


@pytest.fixture(autouse=True)
def _no_secret_is_shown(watched_runs: Watch) -> Iterator[None]:
    """In no test, whatever it makes fail."""
    yield
    assert watched_runs.search() == []


@pytest.fixture
def serve() -> Iterator[Callable[..., Service]]:
    """Start a sandbox service: serve('github', scale=1) -> Service, with .url, .clock, .faults, .log."""
    with ExitStack() as stack:

        def start(
            name: str, clock: Clock | None = None, organization: Organization | None = None, **options
        ) -> Service:
            return stack.enter_context(Running(sandbox.service(name, organization, clock, **options)))

        yield start
