"""Finding a browser. Tests of pages in a browser are in test_page.py."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tools import browser


def _program(folder: Path, name: str, text: str = '#!/bin/sh\n') -> Path:
    path = folder / name
    path.write_text(text, encoding='utf-8')
    path.chmod(0o755)
    return path


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A machine with nothing on PATH but what the test puts there."""
    folder = tmp_path / 'bin'
    folder.mkdir()
    monkeypatch.setenv('PATH', str(folder))
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.delenv('METTA_CHECKS_CHROMIUM', raising=False)
    monkeypatch.delenv('PLAYWRIGHT_BROWSERS_PATH', raising=False)
    return folder


def test_it_is_found_on_the_path(bare):
    assert browser.find() is None
    google = _program(bare, 'google-chrome')
    assert browser.find() == str(google)
    debian = _program(bare, 'chromium')
    assert browser.find() == str(debian)
    assert browser.ensure() == str(debian)


def test_one_may_be_named(bare, monkeypatch, tmp_path):
    _program(bare, 'chromium')
    own = _program(tmp_path, 'my-chromium')
    monkeypatch.setenv('METTA_CHECKS_CHROMIUM', str(own))
    assert browser.find() == str(own)


def test_what_playwright_downloaded_is_found(bare, tmp_path):
    folder = tmp_path / '.cache' / 'ms-playwright' / 'chromium-1200' / 'chrome-linux'
    folder.mkdir(parents=True)
    assert browser.find() is None
    chrome = _program(folder, 'chrome')
    assert browser.find() == str(chrome)


def test_without_root_it_says_what_to_install(bare, monkeypatch):
    _program(bare, 'apt-get', '#!/bin/sh\ntouch "$HOME/called"\n')
    monkeypatch.setattr('os.geteuid', lambda: 1000)
    with pytest.raises(browser.BrowserError, match='apt-get install chromium'):
        browser.ensure()
    assert not (bare.parent / 'called').exists()


def test_as_root_on_debian_it_is_installed(bare, monkeypatch):
    # As after apt-get: a program called chromium.
    script = (
        '#!/bin/sh\necho "$@" >> "$HOME/calls"\n'
        f'if [ "$1" = install ]; then echo "#!/bin/sh" > {bare}/chromium; /bin/chmod +x {bare}/chromium; fi\n'
    )
    _program(bare, 'apt-get', script)
    monkeypatch.setattr('os.geteuid', lambda: 0)
    assert browser.ensure() == str(bare / 'chromium')
    calls = (bare.parent / 'calls').read_text(encoding='utf-8').splitlines()
    assert calls[0] == 'update'
    assert calls[1].startswith('install --yes --no-install-recommends chromium fonts-')


def test_a_failing_installation_is_reported(bare, monkeypatch):
    _program(bare, 'apt-get', '#!/bin/sh\necho "E: no network" >&2\nexit 100\n')
    monkeypatch.setattr('os.geteuid', lambda: 0)
    with pytest.raises(browser.BrowserError, match=r'apt-get update failed \(E: no network\)'):
        browser.ensure()


def test_a_missing_page_is_a_wrong_command(tmp_path, capsys):
    assert browser.main([str(tmp_path / 'none.html')]) == 2
    assert 'no such page' in capsys.readouterr().err


@pytest.mark.skipif(browser.find() is None, reason='no Chromium; `python -m tools.browser` says how to get one')
def test_a_picture_is_as_wide_as_wanted_and_as_high_as_the_page(tmp_path):
    page = tmp_path / 'page.html'
    page.write_text('<!DOCTYPE html><body style="margin:0"><div style="height:1234px">', encoding='utf-8')
    # A process has one browser, and that of this one may be in use.
    command = [sys.executable, '-m', 'tools.browser', page, '--out', tmp_path / 'pictures', '--width', '390']
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    picture = tmp_path / 'pictures' / 'page-390-light.png'
    assert answer.stdout.strip() == str(picture)
    content = picture.read_bytes()
    assert content.startswith(b'\x89PNG')
    assert struct.unpack('>II', content[16:24]) == (390, 1234)


@pytest.mark.skipif(browser.find() is None, reason='no Chromium; `python -m tools.browser` says how to get one')
def test_the_one_found_is_a_chromium():
    chromium = browser.find()
    assert chromium
    version = subprocess.run([chromium, '--version', '--no-sandbox'], capture_output=True, text=True, check=True)
    assert 'chrom' in version.stdout.lower()
