"""Output of the commands that talk to Datadog."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console

from metta_checks.as_code import difference
from metta_checks.as_code.apply import Result
from metta_checks.as_code.canonical import Change
from metta_checks.as_code.plan import CREATE, DELETE, ERROR, SAME, UPDATE, Plan, Step
from metta_checks.as_code.pull import Pulled
from metta_checks.as_code.remote import Live

from ..listing import Listing
from ..terminal import say

SIGNS = {CREATE: ('+', 'green'), UPDATE: ('~', 'yellow'), DELETE: ('-', 'red'), ERROR: ('!', 'red'), SAME: ('=', 'dim')}


def show_plan(console: Console, plan: Plan) -> None:
    """Print every step with changes, and a line of counts."""
    for step in plan.steps:
        if step.action != SAME:
            _show_step(console, step)
    counts = plan.counts()
    parts = [f'{counts[action]} to {action}' for action in (CREATE, UPDATE)]
    parts += [f'{counts[SAME]} unchanged', f'{counts[DELETE]} to prune']
    if counts[ERROR]:
        parts.append(f'{counts[ERROR]} in error')
    others = ', '.join(f'{number} {kind}s' for kind, number in plan.unmanaged.items() if number)
    say(console, f'{", ".join(parts)}; not of namespace {plan.namespace}: {others or "none"}', 'bold')


def _show_step(console: Console, step: Step) -> None:
    sign, style = SIGNS[step.action]
    where = f' ({step.live.id})' if step.live else ''
    say(console, f'{sign} {step.action} {step.name}: {step.title}{where}', style)
    for note in step.notes:
        say(console, f'    {note}', 'yellow')
    if step.error:
        say(console, f'    {step.error}', 'red')
    show_changes(console, step.changes)


def show_changes(console: Console, changes: Iterable[Change]) -> None:
    """Print each change: its path, the old and the new value, of long texts the lines that differ."""
    for change in changes:
        first, *differing = difference.lines(change)
        say(console, f'    {first}')
        for line in differing:
            say(console, f'        {line}', 'red' if line.startswith('-') else 'green')


def show_results(console: Console, results: list[Result], done: str) -> None:
    """Print successes, failures with their reason, and a line of counts."""
    for result in results:
        where = f'{result.name}: ' if result.key else f'{result.kind} '
        if result.error:
            say(console, f'! {where}{result.error}', 'red')
        else:
            say(console, f'{result.action}d {where}{result.title} ({result.id})', 'green')
        if result.unlike:
            say(console, '    Datadog stored other values than it was sent:', 'yellow')
            show_changes(console, result.unlike)
    failed = [result for result in results if result.error]
    text = f'{len(results) - len(failed)} {done}'
    if failed:
        names = ', '.join(result.name if result.key else result.id for result in failed)
        text += f', {len(failed)} failed: {names}'
    say(console, text, 'bold')


def show_pulled(console: Console, pulled: Iterable[Pulled]) -> None:
    """Print the objects of a pull, with their differences from the files."""
    for one in pulled:
        if one.error:
            say(console, f'! {one.name}: {one.error}', 'red')
        elif one.new:
            say(console, f'+ {one.name}: {one.live.title} ({one.live.id})', 'green')
        elif one.changes:
            say(console, f'~ {one.name}: {one.live.title} ({one.live.id})', 'yellow')
            show_changes(console, one.changes)


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
