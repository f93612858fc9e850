"""Keys that a Helm chart's values may have, compared with ours.

    python -m tools.chart_keys CHART/values.yaml --section clusterAgent --section datadog.site
    python -m tools.chart_keys CHART/values.yaml --check deploy/helm/values.yaml deploy/helm/values-staging.yaml

Helm silently accepts a misspelled key and ignores its value. The first form prints the keys, for
deploy/helm/chart-keys.txt; the second one compares our values with the chart itself. Exit code 1 when a key is unknown.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

# Suffix of a key that takes any mapping: annotations, labels, variables, files.
ANYTHING = '.*'


def keys(values: Any, path: str = '') -> Iterator[str]:
    """Yield the paths of all leaves of a chart's values, in their order; `.*` marks keys that take any mapping."""
    for name, value in values.items():
        here = f'{path}.{name}' if path else str(name)
        if isinstance(value, dict) and value:
            yield from keys(value, here)
        else:
            yield here + ANYTHING if value == {} else here


def within(found: Iterable[str], sections: Iterable[str]) -> list[str]:
    """Return the keys of some sections; all without any. Raises ValueError for an unknown section."""
    found, sections = list(found), list(sections)
    for section in sections:
        if not any(_inside(key, section) for key in found):
            raise ValueError(f'the chart has no section {section}')
    return [key for key in found if not sections or any(_inside(key, section) for section in sections)]


def _inside(key: str, section: str) -> bool:
    return key.removesuffix(ANYTHING) == section or key.startswith(f'{section}.')


def unknown(values: Any, known: Iterable[str], path: str = '') -> Iterator[str]:
    """Return the paths in our values that are not keys of the chart."""
    known = set(known)
    for name, value in values.items():
        here = f'{path}.{name}' if path else str(name)
        if here in known or here + ANYTHING in known:
            # A leaf of the chart, which does not say whether keys below it are allowed.
            continue
        if not any(key.startswith(f'{here}.') for key in known):
            yield here
        elif isinstance(value, dict):
            yield from unknown(value, known, here)
        elif value is not None:
            # A section of the chart, but not a mapping in our values.
            yield here


def read(text: str) -> list[str]:
    """Return the keys in a list that this program printed."""
    return [line for line in text.splitlines() if line and not line.startswith('#')]


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('chart', type=Path, help="the chart's values.yaml")
    parser.add_argument('--section', action='append', default=[], help='print the keys of this section only')
    parser.add_argument('--check', nargs='+', default=[], type=Path, help="values to compare with the chart's keys")
    given = parser.parse_args(arguments)
    try:
        found = within(keys(yaml.safe_load(given.chart.read_text(encoding='utf-8'))), given.section)
    except (OSError, ValueError, yaml.YAMLError) as error:
        print(f'{given.chart}: {error}', file=sys.stderr)
        return 1
    if not given.check:
        print('\n'.join(found))
        return 0
    wrong = [
        f'{file}: the chart has no value {path}'
        for file in given.check
        for path in unknown(yaml.safe_load(file.read_text(encoding='utf-8')), found)
    ]
    print('\n'.join(wrong or [f'{len(given.check)} files have only keys of the chart']))
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
