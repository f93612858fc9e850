"""Datadog on loopback for the tests of what talks to it, and a board in a real browser for those of the pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from metta_checks.as_code.preview.page import dashboard_page, index_page
from metta_checks.as_code.remote import Datadog
from sandbox import Running
from tools import browser

from . import board
from .fake_datadog import API_KEY, APP_KEY, FakeDatadog

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker has the browser."""
    for item in items:
        if isinstance(item, pytest.Function) and 'running' in item.fixturenames:
            item.add_marker(pytest.mark.xdist_group('browser'))


@pytest.fixture
def datadog() -> Iterator[FakeDatadog]:
    """An organization without anything in it."""
    service = FakeDatadog()
    with Running(service):
        yield service


@pytest.fixture
def remote(datadog: FakeDatadog) -> Iterator[Datadog]:
    """A connection to it, with the right keys."""
    with Datadog(API_KEY, APP_KEY, url=datadog.url, backoff=0.01) as connection:
        yield connection


@pytest.fixture(scope='package')
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp('pages')
    (made / 'every_kind.html').write_text(dashboard_page(board.BOARD, board.origin()), encoding='utf-8')
    (made / 'index.html').write_text(index_page([board.BOARD], board.origin().stamp), encoding='utf-8')
    return made


@pytest.fixture(scope='package')
def running() -> Iterator[Browser]:
    """One browser for all tests."""
    with browser.browser() as found:
        yield found


@pytest.fixture
def open_board(folder, running):
    """Open the board at a width and theme; what went wrong in the page is a failure at the end."""
    contexts, complaints = [], []

    def start(width: int = 1280, theme: browser.Theme = 'light', name: str = 'every_kind', **options):
        page = browser.open_page(running, folder / f'{name}.html', width, theme, **options)
        page.on('console', lambda message: complaints.append(message.text))
        page.on('pageerror', lambda error: complaints.append(str(error)))
        contexts.append(page.context)
        page.wait_for_function('!document.getElementById("choices") || "drawn" in document.documentElement.dataset')
        return page

    yield start
    for context in contexts:
        context.close()
    assert complaints == []
