"""Files built from Jsonnet: dashboards, monitors, SLOs, and their lists in manifest.json beside its addresses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from metta_checks.as_code import build
from metta_checks.as_code.asset import dump

from . import addresses


def generated(root: Path) -> Iterator[tuple[Path, str]]:
    """Return each file with its text. Raises ValueError naming the first source that does not build."""
    built = build.build(root / 'dashboards')
    for failure in built.failures:
        raise ValueError(f'{failure.path}: {failure.reason}')
    for asset in built.assets:
        yield root / 'assets' / asset.file, dump(asset.document)
    path = root / 'manifest.json'
    manifest = json.loads(path.read_text(encoding='utf-8'))
    manifest['assets'].update(build.manifest_assets(built.assets))
    known = addresses.load(root)
    manifest['author'] = {
        'name': known.author,
        'support_email': known.email,
        'homepage': known.homepage,
        'sales_email': known.email,
    }
    yield path, json.dumps(manifest, indent=2, ensure_ascii=False) + '\n'
