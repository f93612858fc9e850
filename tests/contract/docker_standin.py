"""Stands in for the `docker` command where no engine runs: writes down how it was called and plays the Agent's part.

It does what ddev asks of a container, as far as that can be seen from outside: `run` remembers the mounts, `pip install
-e` makes a mounted directory importable, `agent check` reads the mounted configuration, finds the check as the Agent's
loader does, runs every instance and prints the Agent's JSON. So the end-to-end test is really run, by the interpreter
that runs this file.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

DIRECTORY = 'DOCKER_STANDIN_DIRECTORY'
CONF_D = '/etc/datadog-agent/conf.d'
NAMESPACE = 'datadog_checks'


def calls(directory: Path) -> list[list[str]]:
    """All calls so far, oldest first."""
    log = directory / 'calls.jsonl'
    return [json.loads(line) for line in log.read_text(encoding='utf-8').splitlines()] if log.exists() else []


def values(call: list[str], option: str) -> list[str]:
    """The values of an option that may be given several times."""
    return [value for name, value in pairwise(call) if name == option]


def mounts(call: list[str]) -> dict[str, str]:
    """Path in the container -> path on the host."""
    return {target: source for source, target in (value.rsplit(':', 1) for value in values(call, '-v'))}


def check(history: list[list[str]], arguments: list[str]) -> list[dict[str, Any]]:
    """`agent check NAME`: what the Agent prints, one entry per instance."""
    name = arguments[0]
    inside = mounts(next(call for call in reversed(history) if call[0] == 'run'))
    for call in history:
        if 'pip' in call and '-e' in call:
            sys.path.insert(0, inside[call[-1].partition('[')[0]])
    # The stub of the aggregator refuses tag names such as `cluster`; the Agent does not.
    os.environ['DDEV_SKIP_GENERIC_TAGS_CHECK'] = 'true'
    import yaml
    from datadog_checks.base import AgentCheck
    from datadog_checks.base.stubs import aggregator

    module = importlib.import_module(f'{NAMESPACE}.{name}')
    candidates = [value for _, value in sorted(vars(module).items()) if inspect.isclass(value)]
    loaded = next(value for value in candidates if issubclass(value, AgentCheck) and not value.__subclasses__())
    report = []
    for file in sorted(Path(inside[f'{CONF_D}/{name}.d']).glob('*.yaml')):
        document = yaml.safe_load(file.read_text(encoding='utf-8'))
        for number, instance in enumerate(document['instances']):
            aggregator.reset()
            instance_check = loaded(name=name, init_config=document['init_config'] or {}, instances=(instance,))
            instance_check.check_id = f'{name}:{number}:standin'
            errors = [instance_check.run() for _ in range(2 if '--check-rate' in arguments else 1)]
            report.append(entry(aggregator, instance_check.check_id, name, errors[-1]))
    return report


def entry(aggregator: Any, check_id: str, name: str, error: str) -> dict[str, Any]:
    """Return the text that the Agent prints for one instance."""
    kinds = {number: kind for kind, number in aggregator.METRIC_ENUM_MAP.items()}
    now = int(time.time())
    return {
        'aggregator': {
            'metrics': [
                {
                    'metric': stub.name,
                    'points': [[now, stub.value]],
                    'tags': list(stub.tags),
                    'host': stub.hostname,
                    'type': kinds[stub.type],
                }
                for metric in aggregator.metric_names
                for stub in aggregator.metrics(metric)
            ],
            'service_checks': [
                {
                    'check': stub.name,
                    'status': stub.status,
                    'tags': list(stub.tags),
                    'host_name': stub.hostname,
                    'message': stub.message,
                }
                for stubs in aggregator._service_checks.values()
                for stub in stubs
            ],
        },
        'runner': {'CheckID': check_id, 'CheckName': name, 'LastError': error},
    }


def main(arguments: list[str]) -> int:
    """Returns the exit code."""
    directory = Path(os.environ[DIRECTORY])
    history = calls(directory)
    with (directory / 'calls.jsonl').open('a', encoding='utf-8') as log:
        log.write(json.dumps(arguments) + '\n')
    if arguments[0] == 'exec' and arguments[2:4] == ['agent', 'check']:
        print(json.dumps(check(history, arguments[4:]), indent=2))
    elif arguments[0] == 'info':
        print('0.0 (stand-in)')
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
