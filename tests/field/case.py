"""The mark of a field case: a situation that people reported in public, as a test of the check over sockets.

The docstring of a case tells the situation in the vendor's terms. It has a title, the situation, a paragraph `Right:`
with the right values and their derivation, and a paragraph `Unchanged:` with the figures beside it that must not
change. The page docs/field-cases.md is generated from the marks and the docstrings.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest

from tools.field_page import CLASSES

Test = TypeVar('Test', bound=Callable[..., None])


def case(kind: str, link: str = '', *, guard: bool = False) -> Callable[[Test], Test]:
    """Mark a test as a field case.

    Args: kind: the class of the situation, a letter of CLASSES link: address of the public report or of the vendor's
    documentation; empty: only the field page tells it guard: True when the check was right before the case was written,
    so the case only guards it
    """
    if kind not in CLASSES:
        raise ValueError(f'{kind} is not a class of situations')
    assert isinstance(guard, bool)
    assert not link or link.startswith('https://')

    def mark(test: Test) -> Test:
        marked: Test = pytest.mark.integration(test)
        return marked

    return mark
