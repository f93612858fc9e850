"""`metta-checks assets` against Datadog: plan, push, pull, export, list, delete, prune.

A command that changes something first shows the changes and asks; without a terminal and without `--yes` it stops
there. Keys come from DD_API_KEY and DD_APP_KEY (or `ENC[...]` there), the host from DD_SITE or DD_URL.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from metta_checks.as_code import apply, export, files, marker, plan, pull, recipients
from metta_checks.as_code.asset import KINDS, Asset, AssetError, select
from metta_checks.as_code.declared import declared
from metta_checks.as_code.remote import Datadog, Live, Refused, RemoteError
from metta_checks.cli.vault import UnknownSecret, resolve_secret
from metta_checks.core.text import printable

from ..arguments import JsonOption
from ..documents import document
from ..examples import epilog
from ..exit_codes import EXIT_DIFFERENT, EXIT_FAILED, EXIT_USAGE
from ..listing import Listing
from ..options import grouped
from ..outputs import check_folder, writing
from ..terminal import cell, counted, errors, fail, print_json, progress, say, show
from . import shown
from .app import AssetsOption, KeysArgument, app, assets_directory, load_selected

T = TypeVar('T')

NamespaceOption = Annotated[
    str,
    typer.Option(
        '--namespace', '-n', help='Namespace of the managed objects, since several tools share an organization.'
    ),
]
YesOption = Annotated[bool, typer.Option('--yes', '-y', help='Apply without asking.')]
AdoptOption = Annotated[
    list[str] | None, typer.Option('--adopt', metavar='KEY=ID', help='Manage the existing object ID as KEY.')
]
NewOption = Annotated[
    list[str] | None,
    typer.Option('--new', metavar='KEY', help='Create KEY although an unmanaged object has the same title.'),
]


NotifyOption = Annotated[
    list[str] | None,
    typer.Option(
        '--notify',
        metavar='[PRIORITY=]@WHO',
        help='A recipient of the monitors (@slack-ops), or of those of a priority (2=@pagerduty-web); repeatable.',
    ),
]


@dataclass(frozen=True, slots=True)
class Place:
    """Files of the assets, and the namespace of their objects in Datadog."""

    assets: AssetsOption = None
    namespace: NamespaceOption = marker.DEFAULT_NAMESPACE


@dataclass(frozen=True, slots=True)
class Decided:
    """Decisions beyond the files: unmanaged objects with the title of an asset, and recipients."""

    adopt: AdoptOption = None
    new: NewOption = None
    notify: NotifyOption = None

    def with_adopted(self, pairs: Iterable[str]) -> Decided:
        """Return these decisions and further objects to adopt, as `KEY=ID`."""
        return replace(self, adopt=[*(self.adopt or ()), *pairs])


@dataclass(frozen=True, slots=True)
class Consent:
    """Consent to changes; asked for on a terminal only."""

    yes: YesOption = False
    as_json: JsonOption = False


def _format(value: str) -> str:
    if value not in export.FORMATS:
        raise typer.BadParameter(f'{value!r}; use one of: {", ".join(export.FORMATS)}')
    return value


@app.command('plan', epilog=epilog('assets plan'))
@grouped
def plan_command(
    keys: KeysArgument = None,
    *,
    place: Place,
    wanted: Decided,
    as_json: JsonOption = False,
) -> None:
    """Show the changes that push would make, and assets no longer in the source files. Exits with 3 on differences."""
    with _datadog() as remote:
        found = _planned(remote, keys, place, wanted)
    if as_json:
        print_json(document('assets plan', (step.document() for step in found.steps), found.summary()))
    else:
        shown.show_plan(found)
    _leave(failed=bool(found.having(plan.ERROR)), different=found.different)


app.command('diff', help='Show the plan only, as `plan` does.', epilog=epilog('assets diff'))(plan_command)


@app.command(epilog=epilog('assets push'))
@grouped
def push(
    keys: KeysArgument = None,
    *,
    place: Place,
    wanted: Decided,
    yes: YesOption = False,
    metadata: Annotated[
        bool, typer.Option('--metadata', help='Also send unit, type and description of every metric.')
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Create and update objects after showing the plan. Deletes nothing; `prune` does."""
    metrics = list(declared().values()) if metadata else []
    consent = Consent(yes, as_json)
    with _datadog() as remote:
        found = _planned(remote, keys, place, wanted)
        if not as_json:
            shown.show_plan(found)
        if _can_ask(consent) and (adopted := _asked_adoptions(found)):
            found = _planned(remote, keys, place, wanted.with_adopted(adopted))
            shown.show_plan(found)
        todo = len(found.having(plan.CREATE, plan.UPDATE))
        what = f'Apply {counted(todo, "change")}' + (f' and send metadata of {len(metrics)} metrics' if metrics else '')
        if (todo or metrics) and not _agreed(what, consent):
            _leave_unchanged(found, consent)
        results, described = _apply(remote, found, metrics)
    if as_json:
        print_json(_pushed_document(found, results, described))
    else:
        if results or todo:
            shown.show_results(results, 'done')
        _show_described(described)
    _leave(failed=any(described.values()) or any(result.error for result in results))


def _leave_unchanged(found: plan.Plan, consent: Consent) -> NoReturn:
    if consent.as_json:
        summary = {'dry_run': True, **found.summary()}
        print_json(document('assets push', (step.document() for step in found.steps), summary))
    _leave(failed=bool(found.having(plan.ERROR)), different=found.different)


def _pushed_document(found: plan.Plan, results: list[apply.Result], described: dict[str, str]) -> dict[str, Any]:
    """Return each step of a push with its result for JSON output; `metadata` only if metadata was sent."""
    done = {result.name: result.document() for result in results}
    steps = [{**step.document(), **done.get(step.name, {})} for step in found.steps]
    summary: dict[str, Any] = {'dry_run': False, **found.summary()}
    if described:
        refused = {name: error for name, error in described.items() if error}
        summary['metadata'] = {'sent': len(described) - len(refused), 'errors': refused}
    return document('assets push', steps, summary)


def _show_described(described: dict[str, str]) -> None:
    """Print the number of metrics whose metadata was sent, and the errors; nothing if no metadata was sent."""
    refused = {name: error for name, error in described.items() if error}
    if described:
        say(f'metadata of {len(described) - len(refused)} metrics sent, {len(refused)} failed', 'bold')
    for name, error in refused.items():
        say(f'! {name}: {error}', 'red')


@app.command('pull', epilog=epilog('assets pull'))
@grouped
def pull_command(
    keys: Annotated[
        list[str] | None,
        typer.Argument(metavar='KEY', help='Keys, `kind/key`, globs or ids; default: all of the namespace.'),
    ] = None,
    output: Annotated[Path, typer.Option('--output', '-o', help='The folder to write to.')] = Path('pulled'),
    into: Annotated[
        Path | None, typer.Option(help='Compare with this directory of assets and, after asking, write into it.')
    ] = None,
    everything: Annotated[bool, typer.Option('--all', help='Every object of the organization.')] = False,
    *,
    place: Place,
    consent: Consent,
) -> None:
    """Write objects from Datadog as asset files, into a folder of their own unless --into is given."""
    if everything and keys:
        raise typer.BadParameter('KEY and --all cannot be combined')
    directory = _target(output, into, place.assets)
    with _datadog() as remote:
        chosen = _chosen(remote, place.namespace, keys or (), everything=everything)
        with progress(f'reading {len(chosen)} objects'):
            pulled = _guarded(lambda: pull.pull(remote, chosen, into))
    if not consent.as_json:
        shown.show_pulled(pulled)
    changed = [one for one in pulled if one.differs]
    agreed = into is None or (bool(changed) and _agreed(f'Write {counted(len(changed), "file")} into {into}', consent))
    written, unwritten = pull.write(directory, pulled) if agreed else ([], {})
    if consent.as_json:
        print_json(_pulled_document(pulled, directory, written, unwritten, dry_run=not agreed))
    else:
        say(f'{len(pulled)} objects, {len(written)} files written to {directory}', 'bold')
        if into is not None:
            _remind_of_jsonnet(written)
    for message in unwritten.values():
        say(message, 'red')
    failed = bool(unwritten) or any(one.error for one in pulled)
    _leave(failed=failed, different=bool(into and changed and not written))


def _pulled_document(
    pulled: list[pull.Pulled], directory: Path, written: list[Path], unwritten: dict[str, str], *, dry_run: bool
) -> dict[str, Any]:
    """Return the objects for JSON output: `file` if it was written, `error` if something failed."""
    objects = []
    for one in pulled:
        path = directory / one.asset.file if one.asset is not None else None
        file = {'file': str(path)} if path in written else {}
        failure = {'error': unwritten[one.name]} if one.name in unwritten else {}
        objects.append({**one.document(), **file, **failure})
    return document('assets pull', objects, {'dry_run': dry_run})


def _remind_of_jsonnet(written: Iterable[Path]) -> None:
    if any(path.parent.name == 'dashboards' for path in written):
        say('make the change in the Jsonnet source of a dashboard, too; otherwise the next build undoes it')


def _target(output: Path, into: Path | None, assets: Path | None) -> Path:
    """Return the folder that a pull writes to. Source files are written with --into only, which asks."""
    if into is not None:
        if not into.is_dir():
            raise typer.BadParameter(f'{into} is not a directory')
        check_folder(into)
        return into
    check_folder(output)
    if _is_source(output, assets):
        raise typer.BadParameter(
            f'{output} holds the source files; use --into {output}, which shows the differences and asks'
        )
    return output


@app.command('export', epilog=epilog('assets export'))
@grouped
def export_command(
    keys: KeysArgument = None,
    style: Annotated[
        str, typer.Option('--format', '-f', callback=_format, help=f'{", ".join(export.FORMATS)}.')
    ] = 'json',
    output: Annotated[Path | None, typer.Option('--output', '-o', help='A folder; default: standard output.')] = None,
    live: Annotated[bool, typer.Option('--live', help='Export the objects in Datadog, not the files.')] = False,
    *,
    place: Place,
    as_json: JsonOption = False,
) -> None:
    """Write assets for other tools. In Terraform, dashboards and monitors are JSON resources, SLOs are HCL."""
    if output is not None:
        check_folder(output)
    chosen = _live_assets(place.namespace, keys or ()) if live else load_selected(place.assets, keys)
    texts, failures = _exported(chosen, style)
    good = [asset for asset in chosen if asset.name in texts]
    if output is not None:
        for asset in good:
            name = asset.file.removesuffix('.json') + export.FORMATS[style]
            with writing(output / name):
                files.write(output, name, texts[asset.name].encode())
    if as_json:
        print_json(_exported_document(chosen, style, texts, failures))
    elif output is None:
        typer.echo(export.together(good, style), nl=False)
    else:
        say(f'{len(good)} files written to {output}', 'bold')
    for message in failures.values():
        say(message, 'red')
    _leave(failed=bool(failures))


def _exported(assets: Iterable[Asset], style: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the texts of the assets in a format, and by name the reasons why others have none."""
    texts: dict[str, str] = {}
    failures: dict[str, str] = {}
    for asset in assets:
        try:
            texts[asset.name] = export.export(asset, style)
        except AssetError as error:
            failures[asset.name] = str(error)
    return texts, failures


def _exported_document(
    assets: Iterable[Asset], style: str, texts: dict[str, str], failures: dict[str, str]
) -> dict[str, Any]:
    objects = []
    for asset in assets:
        failed = asset.name in failures
        outcome = {'error': failures[asset.name]} if failed else {'text': texts[asset.name]}
        objects.append({'kind': asset.kind, 'key': asset.key, **outcome})
    return document('assets export', objects, {'format': style})


@app.command('list', epilog=epilog('assets list'))
@grouped
def list_command(
    everything: Annotated[bool, typer.Option('--all', help='Also objects that other tools or nobody manages.')] = False,
    local: Annotated[bool, typer.Option('--local', help='Only the keys of the source files; no network.')] = False,
    *,
    place: Place,
    as_json: JsonOption = False,
) -> None:
    """List managed objects: kind, key, id, title and when they were modified."""
    if local:
        _list_local(load_selected(place.assets, None), as_json=as_json)
        return
    with _datadog() as remote:
        objects = _objects(remote)
    if not everything:
        objects = [live for live in objects if live.marker is not None and live.marker.namespace == place.namespace]
    if as_json:
        print_json(document('assets list', map(shown.live_document, objects)))
    else:
        show(shown.live_listing(objects))


def _list_local(assets: list[Asset], *, as_json: bool) -> None:
    if as_json:
        rows = ({'kind': asset.kind, 'key': asset.key, 'title': asset.title} for asset in assets)
        print_json(document('assets list', rows))
        return
    listing = Listing(columns=('kind', 'key', 'title'))
    for asset in assets:
        listing.add(asset.kind, asset.key, asset.title)
    show(listing)


@app.command(epilog=epilog('assets delete'))
@grouped
def delete(
    keys: Annotated[
        list[str], typer.Argument(metavar='KEY', help='Keys, `kind/key` or globs; with --force ids of any object.')
    ],
    force: Annotated[
        bool, typer.Option('--force', help='Also objects, by id, that this namespace does not manage.')
    ] = False,
    namespace: NamespaceOption = marker.DEFAULT_NAMESPACE,
    *,
    consent: Consent,
) -> None:
    """Delete managed objects after asking; the source files are not changed."""
    with _datadog() as remote:
        objects = [live for _, live in _chosen(remote, namespace, keys)]
        for live in objects:
            if not force and (live.marker is None or live.marker.namespace != namespace):
                manager = f'managed as {live.marker.namespace}/{live.marker.key}' if live.marker else 'not managed'
                fail(f'{live.name} is {manager}; --force deletes it anyway', EXIT_USAGE)
        _delete(remote, objects, consent, 'assets delete')


@app.command(epilog=epilog('assets prune'))
@grouped
def prune(place: Place, consent: Consent) -> None:
    """Delete managed objects that are no longer in the source files, after showing the list and asking."""
    source = load_selected(place.assets, None)
    if not source:
        # With a wrong directory, every object would be missing from the source files.
        fail(f'{assets_directory(place.assets)} holds no assets; name the right directory with --assets', EXIT_USAGE)
    with _datadog() as remote:
        objects = _objects(remote)
        managed = {
            kind: plan.by_key([live for live in objects if live.kind == kind], place.namespace) for kind in KINDS
        }
        steps = [step for kind in KINDS for step in plan.gone(kind, managed[kind], source)]
        _delete(remote, [step.live for step in steps if step.live], consent, 'assets prune')


# Helpers that the commands share.


@contextmanager
def _datadog() -> Iterator[Datadog]:
    """Yield the organization that the environment names. A failure is one line; of the keys, it is one of usage."""
    values = {name: os.environ.get(name, '').strip() for name in ('DD_API_KEY', 'DD_APP_KEY', 'DD_SITE', 'DD_URL')}
    missing = [name for name in ('DD_API_KEY', 'DD_APP_KEY') if not values[name]]
    if missing:
        fail(f'set {" and ".join(missing)} (and DD_SITE, unless it is datadoghq.com)', EXIT_USAGE)
    try:
        keys = [resolve_secret(values[name], name) for name in ('DD_API_KEY', 'DD_APP_KEY')]
        remote = Datadog(*keys, site=values['DD_SITE'], url=values['DD_URL'])
    except (UnknownSecret, RemoteError) as error:
        fail(str(error), EXIT_USAGE)
    try:
        with remote:
            yield remote
    except Refused as error:
        fail(str(error), EXIT_USAGE)
    except RemoteError as error:
        fail(str(error), EXIT_FAILED)


def _guarded(function: Callable[[], T]) -> T:
    """Return the result of a function; an unusable asset or name is a usage error."""
    try:
        return function()
    except AssetError as error:
        fail(str(error), EXIT_USAGE)


def _planned(remote: Datadog, keys: list[str] | None, place: Place, wanted: Decided) -> plan.Plan:
    told = _guarded(lambda: recipients.parse(wanted.notify or ()))
    everything = [recipients.told(asset, told) for asset in load_selected(place.assets, None)]
    selected = _guarded(lambda: select(everything, keys or ()))
    decided = _guarded(lambda: plan.decisions(wanted.adopt or (), wanted.new or (), selected))
    with progress('comparing with Datadog'):
        return _guarded(lambda: plan.make(remote, selected, everything, namespace=place.namespace, decided=decided))


def _asked_adoptions(found: plan.Plan) -> list[str]:
    """Ask about each unmanaged object with the title of an asset. Returns `KEY=ID`s."""
    return [
        f'{step.name}={step.candidate.id}'
        for step in found.having(plan.ERROR)
        if step.candidate is not None
        and typer.confirm(f'Adopt {printable(step.candidate.name)} as {step.name}?', default=False, err=True)
    ]


def _can_ask(consent: Consent) -> bool:
    """Return whether somebody is there to ask, and to be asked."""
    return not consent.yes and not consent.as_json and sys.stdin.isatty()


def _agreed(what: str, consent: Consent) -> bool:
    """Return whether to go on. Without a terminal, only with `--yes`."""
    if consent.yes:
        return True
    if not _can_ask(consent):
        say(f'dry run, nothing was changed; use --yes to {what[0].lower()}{what[1:]}', 'yellow')
        return False
    return typer.confirm(f'{what}?', default=False, err=True)


def _apply(remote: Datadog, found: plan.Plan, metrics: list[Any]) -> tuple[list[apply.Result], dict[str, str]]:
    total = len(found.having(plan.CREATE, plan.UPDATE, plan.ERROR)) + len(metrics)
    results, described = [], {}
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task('pushing', total=total)
        for result in apply.push(remote, found, lambda step: bar.update(task, description=cell(step.name))):
            results.append(result)
            bar.advance(task)
        for name, error in apply.describe(remote, metrics):
            described[name] = error
            bar.update(task, description=cell(name), advance=1)
    return results, described


def _delete(remote: Datadog, objects: list[Live], consent: Consent, command: str) -> None:
    if not consent.as_json:
        _show_to_delete(objects)
    agreed = bool(objects) and _agreed(f'Delete {counted(len(objects), "object")}', consent)
    results = list(apply.delete(remote, objects)) if agreed else []
    if consent.as_json:
        done = {(one.kind, one.id): one.document() for one in results}
        rows = [{**shown.live_document(live), **done.get((live.kind, live.id), {})} for live in objects]
        print_json(document(command, rows, {'dry_run': not agreed}))
    elif agreed:
        shown.show_results(results, 'deleted')
    _leave(failed=any(result.error for result in results), different=bool(objects) and not agreed)


def _show_to_delete(objects: list[Live]) -> None:
    if objects:
        show(shown.live_listing(objects))
    else:
        say('nothing to delete')


def _objects(remote: Datadog) -> list[Live]:
    with progress('listing'):
        return pull.all_objects(remote)


def _chosen(
    remote: Datadog, namespace: str, patterns: Iterable[str], *, everything: bool = False
) -> list[tuple[str, Live]]:
    chosen, missing = pull.choose(_objects(remote), namespace, patterns, everything=everything)
    if missing:
        names = ', '.join(missing)
        fail(
            f'nothing in namespace {namespace} is called {names}; `metta-checks assets list` shows the keys', EXIT_USAGE
        )
    return chosen


def _live_assets(namespace: str, keys: Iterable[str]) -> list[Asset]:
    with _datadog() as remote:
        pulled = pull.pull(remote, _chosen(remote, namespace, keys))
    for one in pulled:
        if one.error:
            fail(f'{one.name}: {one.error}', EXIT_FAILED)
    return [one.asset for one in pulled if one.asset is not None]


def _is_source(output: Path, assets: Path | None) -> bool:
    """Return whether a folder is, or lies in, a directory of assets."""
    sources = {Path('assets').resolve(), *((assets.resolve(),) if assets else ())}
    target = output.resolve()
    return any(target == source or source in target.parents for source in sources)


def _leave(*, failed: bool, different: bool = False) -> NoReturn:
    if failed:
        raise typer.Exit(EXIT_FAILED)
    raise typer.Exit(EXIT_DIFFERENT if different else 0)
