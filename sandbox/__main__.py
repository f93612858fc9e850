"""`python -m sandbox`: serve the organization's data on loopback until interrupted."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml

from . import SERVICES, Clock, Organization, Running, Service, UnknownOption, service

CONF_DIRECTORY = 'metta_checks.d'


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog='python -m sandbox', description=__doc__)
    parser.add_argument('services', nargs='*', metavar='SERVICE', help=f'{", ".join(SERVICES)}; default: all')
    parser.add_argument(
        '--port', type=int, default=0, help='port of the first service, the others follow; 0: any free one'
    )
    parser.add_argument('--seed', type=int, default=7, help='another seed, another organization (default: %(default)s)')
    parser.add_argument('--scale', type=float, default=1.0, help='amount of data (default: %(default)s)')
    parser.add_argument(
        '--option', action='append', default=[], metavar='SERVICE.NAME=VALUE', help='an option of a service'
    )
    parser.add_argument(
        '--run-clock', action='store_true', help="let the sandbox's time pass; by default it stands still"
    )
    parser.add_argument(
        '--conf-dir', type=Path, help=f'write a conf.d that reads the sandbox: DIR/{CONF_DIRECTORY}/*.yaml'
    )
    parser.add_argument('--json', action='store_true', help='print the addresses as one line of JSON')
    options = parser.parse_args(arguments)
    unknown = set(options.services) - set(SERVICES)
    if unknown:
        parser.error(f'unknown service: {", ".join(sorted(unknown))}')
    return options


def service_options(settings: list[str]) -> dict[str, dict[str, Any]]:
    """Parse `github.history=40000` as {'github': {'history': 40000}}. Values are YAML.

    Raises:
        SystemExit: a setting of another form
    """
    options: dict[str, dict[str, Any]] = {}
    for setting in settings:
        target, equals, value = setting.partition('=')
        name, dot, option = target.partition('.')
        if not (equals and dot and name in SERVICES):
            raise SystemExit(f'--option {setting}: expected SERVICE.NAME=VALUE')
        options.setdefault(name, {})[option] = yaml.safe_load(value)
    return options


def write_configuration(directory: Path, instances: dict[str, dict[str, Any]]) -> Path:
    """Write one conf.d file per source, as a user would. Returns the directory that holds them."""
    conf_d = directory / CONF_DIRECTORY
    conf_d.mkdir(parents=True, exist_ok=True)
    for name, instance in instances.items():
        own = {'min_collection_interval': 60, 'tags': ['env:sandbox']}
        document = {'init_config': {}, 'instances': [{**instance, **own}]}
        (conf_d / f'{name}.yaml').write_text(yaml.safe_dump(document, sort_keys=False), encoding='utf-8')
    return conf_d


def _service(name: str, organization: Organization, clock: Clock, settings: dict[str, Any]) -> Service:
    try:
        return service(name, organization, clock, **settings)
    except UnknownOption as error:
        raise SystemExit(f'--option: {error}') from None


def main(arguments: list[str]) -> int:
    """Serve until SIGINT or SIGTERM. Returns the exit code."""
    options = parse(arguments)
    own = service_options(options.option)
    start = Clock().start
    organization = Organization(options.seed)
    with ExitStack() as stack:
        served = {}
        for index, name in enumerate(options.services or SERVICES):
            # A clock for each, so that letting time pass in one service leaves the others alone.
            clock = Clock(start)
            if options.run_clock:
                clock.run()
            settings = {'scale': options.scale, **own.get(name, {})}
            port = options.port + index if options.port else 0
            served[name] = stack.enter_context(Running(_service(name, organization, clock, settings), port))
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        if options.conf_dir:
            instances = {name: {**running.instance(), **running.companions()} for name, running in served.items()}
            write_configuration(options.conf_dir, instances)
        if options.json:
            print(json.dumps({name: running.url for name, running in served.items()}), flush=True)
        else:
            for name, running in served.items():
                print(f'{name:12} {running.url}')
            if options.conf_dir:
                print(f'\nconfiguration written to {options.conf_dir / CONF_DIRECTORY}')
                print(f'try: metta-checks collect all --config {options.conf_dir / CONF_DIRECTORY}')
            print('\nCtrl-C to stop', flush=True)
        stop.wait()
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
