"""Datadog on loopback for the tests of what talks to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from metta_checks.as_code.remote import Datadog
from sandbox import Running

from .fake_datadog import API_KEY, APP_KEY, FakeDatadog


@pytest.fixture
def datadog() -> Iterator[FakeDatadog]:
    """An organisation without anything in it."""
    with Running(FakeDatadog()) as service:
        yield service


@pytest.fixture
def remote(datadog: FakeDatadog) -> Iterator[Datadog]:
    """A connection to it, with the right keys."""
    with Datadog(API_KEY, APP_KEY, url=datadog.url, backoff=0.01) as connection:
        yield connection
