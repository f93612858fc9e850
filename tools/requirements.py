"""Write the hashed requirements: `python -m tools.requirements`, with `--upgrade` in the newest versions.

Each file in requirements/ pins every package of one environment, with the hashes of all its distributions. pip installs
them with `--require-hashes`, so that a changed file on the index is refused.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / 'requirements'


@dataclass(frozen=True)
class Environment:
    """An environment that is installed from one file.

    Attributes:
        name: the name of the file
        python: the lowest version of Python that it is for
        source: the file with its direct requirements, relative to the root of the project
        extras: the extras of pyproject.toml that are part of it
    """

    name: str
    python: str
    source: str = 'pyproject.toml'
    extras: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """The file with its pins."""
        return FOLDER / f'{self.name}.txt'

    def resolve(self, *options: str) -> None:
        """Write the pins. Versions that still fit stay. Raises CalledProcessError."""
        extras = [argument for extra in self.extras for argument in ('--extra', extra)]
        command = [
            *(sys.executable, '-m', 'uv', 'pip', 'compile', '--quiet', '--universal', '--no-strip-extras'),
            *('--generate-hashes', '--no-annotate', '--custom-compile-command', 'make requirements'),
            *('--python-version', self.python, '--output-file', str(self.path.relative_to(ROOT))),
        ]
        subprocess.run([*command, *extras, *options, self.source], cwd=ROOT, check=True)


ENVIRONMENTS = (
    Environment('development', '3.11', extras=('test',)),
    Environment('ddev', '3.13', 'requirements/ddev.in'),
    Environment('deploy', '3.11', 'requirements/deploy.in'),
    Environment('docs', '3.11', 'requirements/docs.in'),
)


def main(arguments: Sequence[str]) -> int:
    """Resolve all environments."""
    parser = argparse.ArgumentParser(prog='python -m tools.requirements', description='Write the hashed requirements.')
    parser.add_argument('--upgrade', action='store_true', help='take the newest versions that pyproject.toml allows')
    options = parser.parse_args(arguments)
    for environment in ENVIRONMENTS:
        environment.resolve(*(['--upgrade'] if options.upgrade else []))
        print(f'written: {environment.path.relative_to(ROOT)}')
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
