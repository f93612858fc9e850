"""Build the documentation as a site: `python -m tools.site`; with `--serve`, show it and follow changes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from . import environments
from .environments import ROOT

REQUIREMENTS = ROOT / 'requirements' / 'docs.txt'
PYTHONS = ('3.11', '3.12', '3.13')


def main(arguments: Sequence[str]) -> int:
    """Return the exit code of MkDocs. A warning is an error."""
    mkdocs = environments.command('mkdocs', REQUIREMENTS, PYTHONS)
    action = ['serve'] if '--serve' in arguments else ['build', '--clean', '--quiet']
    # The notice about the next major version says nothing about this site.
    code = subprocess.run([mkdocs, *action], cwd=ROOT, env={**os.environ, 'NO_MKDOCS_2_WARNING': '1'}, check=False)
    if code.returncode == 0:
        print('The site is in build/site: open build/site/index.html')
    return code.returncode


if __name__ == '__main__':
    try:
        sys.exit(main(sys.argv[1:]))
    except environments.Unavailable as reason:
        sys.exit(str(reason))
