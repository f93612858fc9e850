"""Find a Chromium and take screenshots of pages with it: `python -m tools.browser PAGE... --out DIR --width 1280`.

`python -m tools.browser` without pages prints the browser's path, after installing it where possible.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Theme = Literal['light', 'dark']
NAMES = ('chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome', 'chrome')
# Fonts, so that text is not drawn as boxes: one family for Latin letters, symbols among them.
PACKAGES = ('chromium', 'fonts-dejavu-core', 'fonts-noto-core')
# Flags that disable the browser's own network traffic.
FLAGS = (
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
)
HEIGHTS = {390: 844, 1280: 800, 2560: 1440}


class BrowserError(Exception):
    """There is no browser; one line with the packages to install."""


def find() -> str | None:
    """Return the path of a Chromium: METTA_CHECKS_CHROMIUM, one on PATH, or Playwright's; None without one."""
    chosen = os.environ.get('METTA_CHECKS_CHROMIUM')
    if chosen:
        return shutil.which(chosen)
    on_path = next((path for name in NAMES if (path := shutil.which(name))), None)
    return on_path or next(_downloaded(), None)


def _downloaded() -> Iterator[str]:
    folders = (
        os.environ.get('PLAYWRIGHT_BROWSERS_PATH', ''),
        '~/.cache/ms-playwright',
        '~/Library/Caches/ms-playwright',
    )
    for folder in filter(None, folders):
        for pattern in (
            'chromium-*/chrome-linux*/chrome',
            'chromium-*/chrome-mac*/Chromium.app/Contents/MacOS/Chromium',
        ):
            yield from (str(path) for path in sorted(Path(folder).expanduser().glob(pattern), reverse=True))


def ensure() -> str:
    """Return the path of a Chromium; on Debian, as root, install one if there is none.

    Raises BrowserError, with the packages to install, where this is not possible.
    """
    found = find()
    if found:
        return found
    may_install = hasattr(os, 'geteuid') and os.geteuid() == 0 and shutil.which('apt-get')
    if may_install:
        environment = {**os.environ, 'DEBIAN_FRONTEND': 'noninteractive'}
        for command in (['update'], ['install', '--yes', '--no-install-recommends', *PACKAGES]):
            done = subprocess.run(['apt-get', *command], env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                reason = (done.stderr.strip().splitlines() or ['no message'])[-1]
                raise BrowserError(f'apt-get {command[0]} failed ({reason}); install {" ".join(PACKAGES)} by hand')
        found = find()
    if not found:
        raise BrowserError(
            f'no Chromium found; install one (Debian: apt-get install {" ".join(PACKAGES)}; anywhere: '
            'playwright install chromium), or name one in METTA_CHECKS_CHROMIUM'
        )
    return found


@contextmanager
def browser(executable: str | None = None) -> Iterator[Browser]:
    """Yield a running headless Chromium. Raises BrowserError without one."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable or ensure(), args=list(FLAGS))
        try:
            yield running
        finally:
            running.close()


def open_page(running: Browser, path: Path, width: int = 1280, theme: Theme = 'light', **options: Any) -> Page:
    """Return the page of a file in a window of that width. `theme` is the system's: light or dark."""
    context = running.new_context(
        viewport={'width': width, 'height': HEIGHTS.get(width, 900)},
        color_scheme=theme,
        reduced_motion='reduce',
        locale='en-GB',
        timezone_id='UTC',
        **options,
    )
    page = context.new_page()
    page.goto(path.resolve().as_uri())
    return page


def screenshot(
    page_path: Path, out: Path, width: int = 1280, theme: Theme = 'light', running: Browser | None = None
) -> Path:
    """Write a screenshot of the whole page as PNG and return its path."""
    if running is None:
        with browser() as own:
            return screenshot(page_path, out, width, theme, own)
    page = open_page(running, page_path, width, theme)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(out), full_page=True, animations='disabled')
    finally:
        page.context.close()
    return out


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog='python -m tools.browser', description=__doc__.splitlines()[0])
    parser.add_argument('pages', nargs='*', type=Path, metavar='PAGE', help='HTML files')
    parser.add_argument('--out', type=Path, default=Path('.'), help='directory of the screenshots')
    parser.add_argument('--width', type=int, action='append', help='width in pixels, repeatable; default 1280')
    parser.add_argument('--theme', choices=get_args(Theme), action='append', help='repeatable; default light')
    chosen = parser.parse_args(arguments)
    missing = [str(page) for page in chosen.pages if not page.is_file()]
    if missing:
        print(f'no such page: {", ".join(missing)}', file=sys.stderr)
        return 2
    try:
        executable = ensure()
        if not chosen.pages:
            print(executable)
            return 0
        with browser(executable) as running:
            for page in chosen.pages:
                for width in chosen.width or [1280]:
                    for theme in chosen.theme or ['light']:
                        out = chosen.out / f'{page.stem}-{width}-{theme}.png'
                        print(screenshot(page, out, width, theme, running))
    except BrowserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
