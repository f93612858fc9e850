"""Output of the commands that talk to Datadog."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from metta_checks.as_code import difference
from metta_checks.as_code.apply import Result
from metta_checks.as_code.changes import Change
from metta_checks.as_code.plan import CREATE, DELETE, ERROR, SAME, UPDATE, Plan, Step
from metta_checks.as_code.pull import Pulled
from metta_checks.as_code.remote import Live

from ..listing import Listing
from ..outline import Note, Outline
from ..terminal import say, show

SIGNS = {CREATE: ('+', 'green'), UPDATE: ('~', 'yellow'), DELETE: ('-', 'red'), ERROR: ('!', 'red')}


def show_plan(plan: Plan) -> None:
    """Print every step with changes, and a line of counts."""
    outline = Outline()
    for step in plan.having(*SIGNS):
        sign, style = SIGNS[step.action]
        where = (step.live.id,) if step.live else ()
        notes = (*_step_notes(step), *_changes(step.changes))
        outline.add(step.action, step.name, step.title, *where, sign=sign, style=style, notes=notes)
    show(outline)
    counts = plan.counts()
    parts = [f'{counts[action]} to {action}' for action in (CREATE, UPDATE)]
    parts += [f'{counts[SAME]} unchanged', f'{counts[DELETE]} to prune']
    if counts[ERROR]:
        parts.append(f'{counts[ERROR]} in error')
    others = ', '.join(f'{number} {kind}s' for kind, number in plan.unmanaged.items() if number)
    say(f'{", ".join(parts)}; not of namespace {plan.namespace}: {others or "none"}', 'bold')


def _step_notes(step: Step) -> Iterator[Note]:
    for note in step.notes:
        yield Note('note', note, style='yellow')
    if step.error:
        yield Note('error', step.error, style='red')


def _changes(changes: Iterable[Change], kind: str = 'change') -> Iterator[Note]:
    """Yield each change: its path, the old and the new value, of long texts the lines that differ."""
    for change in changes:
        first, *differing = difference.lines(change)
        yield Note(kind, first, tuple(differing))


def show_results(results: list[Result], done: str) -> None:
    """Print successes, failures with their reason, and a line of counts."""
    outline = Outline()
    for result in results:
        name = result.name if result.key else f'{result.kind} {result.id}'
        if result.error:
            outline.add('failed', name, result.title, sign='!', style='red', notes=(Note('error', result.error),))
            continue
        notes = tuple(_changes(result.unlike, 'stored instead'))
        if notes:
            notes = (Note('note', 'Datadog stored other values than it was sent:', style='yellow'), *notes)
        outline.add(f'{result.action}d', name, result.title, result.id, style='green', notes=notes)
    show(outline)
    failed = [result for result in results if result.error]
    text = f'{len(results) - len(failed)} {done}'
    if failed:
        names = ', '.join(result.name if result.key else result.id for result in failed)
        text += f', {len(failed)} failed: {names}'
    say(text, 'bold')


def show_pulled(pulled: Iterable[Pulled]) -> None:
    """Print the objects of a pull, with their differences from the files."""
    outline = Outline()
    for one in pulled:
        cells = (one.name, one.live.title, one.live.id)
        if one.error:
            outline.add('failed', *cells, sign='!', style='red', notes=(Note('error', one.error),))
        elif one.new:
            outline.add('new', *cells, sign='+', style='green')
        elif one.changes:
            outline.add('changed', *cells, sign='~', style='yellow', notes=tuple(_changes(one.changes)))
    show(outline)


def live_listing(objects: Iterable[Live]) -> Listing:
    """Return objects of the organization. The commands take their keys with the option `--namespace`."""
    listing = Listing(columns=('namespace', 'kind', 'key', 'id', 'title', 'modified'))
    for live in objects:
        namespace, key = (live.marker.namespace, live.marker.key) if live.marker else (None, None)
        listing.add(namespace, live.kind, key, live.id, live.title, live.modified[:19])
    return listing


def live_document(live: Live) -> dict[str, Any]:
    """Return an object for JSON output."""
    marked = {'namespace': live.marker.namespace, 'key': live.marker.key} if live.marker else {}
    return {'kind': live.kind, **marked, 'id': live.id, 'title': live.title, 'modified': live.modified}
