"""Open bugs by the custom field of option `bugs_severity_field`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from ...core.errors import NotFound, Rejected
from ...core.refresh import Sample
from ...core.tag_values import added_up, labels
from ..records import Bug, CustomField

# The kind of custom field with a single choice.
SINGLE_CHOICE = 'enum'
# Tag of bugs without a value.
NONE = 'none'
MAX_SEVERITIES = 20
# Fields in a message.
SHOWN_FIELDS = 10


def find_field(fields: Sequence[CustomField], wanted: str) -> CustomField:
    """Return the field with this gid or, without one, with this name.

    Raises NotFound when there is none, Rejected when several have the name or the field is of another kind.
    """
    found = [field for field in fields if field.gid == wanted]
    found = found or [field for field in fields if _comparable(field.name) == _comparable(wanted)]
    if not found:
        raise NotFound(f'option `bugs_severity_field`: the Bugs project has no field {wanted}; it has: {_list(fields)}')
    if len(found) > 1:
        raise Rejected(
            f'option `bugs_severity_field`: several fields have this name, use the gid of one: {_list(found)}'
        )
    if found[0].kind != SINGLE_CHOICE:
        raise Rejected(
            f'option `bugs_severity_field`: {_list(found)} is of the type {found[0].kind}; a single choice is needed'
        )
    return found[0]


def by_severity(listed: Iterable[Bug], values: Iterable[str]) -> Iterator[Sample]:
    """Yield the open bugs by value of the field; `values` are those that are shown even without a bug."""
    counts = Counter(NONE if bug.severity is None else bug.severity.lower() for bug in listed if bug.open)
    weights = dict.fromkeys((NONE, *(value.lower() for value in values)), 0.0) | counts
    shown = added_up(weights, labels(weights, MAX_SEVERITIES, known=(NONE,)))
    for severity, number in shown.items():
        yield Sample('bugs.open_by_severity', number, {'severity': severity})


def _comparable(name: str) -> str:
    return ' '.join(name.casefold().split())


def _list(fields: Sequence[CustomField]) -> str:
    shown = [f'{field.gid} ({field.name[:40]})' for field in fields[:SHOWN_FIELDS]]
    more = len(fields) - len(shown)
    return (', '.join(shown) + (f' and {more} more' if more else '')) or 'none'
