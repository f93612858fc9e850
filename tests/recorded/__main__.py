"""`python -m tests.recorded [SOURCE...]`: write the recorded run again."""

from __future__ import annotations

import sys

from metta_checks.check import SOURCES

from .recorder import path_of, record

if __name__ == '__main__':
    for source in sys.argv[1:] or SOURCES:
        path_of(source).write_text(record(source), encoding='utf-8')
        print(f'written: {path_of(source).name}')
