"""The examples of the help, in docs/command-line.md."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from metta_checks.cli.examples import EXAMPLES

TARGET = 'docs/command-line.md'
BEGIN = '<!-- Generated from metta_checks/cli/examples.py by `make generate`. -->\n'
END = '<!-- End of the generated part. -->\n'


def page(root: Path) -> str:
    """Return the page with the examples between its two comments. Raises ValueError for a page without them."""
    text = (root / TARGET).read_text(encoding='utf-8')
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f'{TARGET} lacks the comments around its examples')
    return f'{before}{begin}\n{"".join(_lines())}\n{end}{after}'


def _lines() -> Iterator[str]:
    """Yield the lines of one block. Its commands need accounts; tests/cli/test_examples.py executes them."""
    yield '```console account\n'
    # The examples of a group are among those of its commands.
    commands = [words for words in EXAMPLES if not any(other.startswith(f'{words} ') for other in EXAMPLES) and words]
    for number, words in enumerate(commands):
        if number:
            yield '\n'
        examples = EXAMPLES[words]
        width = max(len(one.line) for one in examples)
        for one in examples:
            yield f'{one.line.ljust(width)}  # {one.effect}\n'
    yield '```\n'
