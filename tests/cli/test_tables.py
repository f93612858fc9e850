"""Tables of the commands."""

from __future__ import annotations

import io

from rich.console import Console

from metta_checks.cli.tables import findings_table
from metta_checks.core.diagnosis import Finding


def shown(*findings: Finding) -> str:
    output = io.StringIO()
    Console(file=output, width=200).print(findings_table('wandb (x)', findings))
    return output.getvalue()


def test_what_is_well_needs_no_remedy():
    assert 'Wait.' not in shown(Finding('rate limit', 'ok', '1000 of 1000 left', 'Wait.'))
    assert 'to do: Wait.' in shown(Finding('rate limit', 'warning', '3 of 1000 left', 'Wait.'))


def test_brackets_are_shown_as_they_are():
    text = shown(Finding('key', 'fail', 'option [api_key] is ENC[key]', 'pip install "x[verify]"'))
    assert 'option [api_key] is ENC[key]' in text
    assert 'pip install "x[verify]"' in text
