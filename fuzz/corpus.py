"""Earlier findings: tests/fuzz/corpus/<target>/<name>.json, each `{"found": what was wrong, "case": ...}`."""

from __future__ import annotations

import hashlib
import json
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / 'tests' / 'fuzz' / 'corpus'


def entries(target: str) -> Iterator[tuple[str, Any]]:
    """Yield name and case of every earlier finding of a target."""
    for path in sorted((CORPUS / target).glob('*.json')):
        yield path.stem, json.loads(path.read_text(encoding='utf-8'))['case']


def save(target: str, case: Any, error: BaseException, directory: Path = CORPUS) -> Path:
    """Save a finding; the same case is saved once."""
    text = json.dumps(case, sort_keys=True)
    path = directory / target / f'{hashlib.sha256(text.encode()).hexdigest()[:10]}.json'
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {'found': describe(error), 'case': case}
    path.write_text(json.dumps(document, indent=1) + '\n', encoding='utf-8')
    return path


def describe(error: BaseException) -> str:
    """Return one line: the exception, and its location in the project's code."""
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if '/metta_checks/' in frame.filename and not frame.filename.endswith(('refresh.py', 'source.py'))
    ]
    where = ''
    if own:
        file = own[-1].filename
        where = f' in {file[file.rindex("metta_checks/") :]}, {own[-1].name}'
    return f'{type(error).__name__}{where}: {" ".join(str(error).split())[:200]}'
