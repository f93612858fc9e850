"""Join the IAM policies of the sources in use into one policy for the role.

python deploy/iam/join.py ec2-inventory ec2-prices --secret github/dashboard-token
python deploy/iam/join.py --config conf.d/metta_checks.d/*.yaml
python deploy/iam/join.py --values deploy/helm/values.yaml --values deploy/helm/values-production.yaml

From a configuration, the policy allows reading exactly the secrets that its references `ENC[name;key]` name. Prints the
policy; everything else goes to standard error. Exit code 2 when a name or file cannot be used.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
# Trust policies say who may assume a role, not what the role may do; the workflow has a role of its own.
NOT_JOINED = ('trust-policy', 'ci-')
SECRET = re.compile(r'ENC\[([^;\]]+)(;[^\]]*)?\]')
# Secrets Manager adds a hyphen and six characters to the name of a secret.
SUFFIX = '-??????'
ACCOUNT, REGION = '111122223333', 'us-east-1'


class JoinError(Exception):
    """A policy cannot be joined; one line with its name and the reason."""


def names() -> list[str]:
    """Return the names of the policies that can be joined."""
    return sorted(path.stem for path in HERE.glob('*.json') if not path.stem.startswith(NOT_JOINED))


def statements(name: str) -> list[dict[str, Any]]:
    """Return the statements of one policy. Raises JoinError for an unknown name."""
    if name not in names():
        raise JoinError(f'there is no policy {name!r}; use one of: {", ".join(names())}')
    return json.loads((HERE / f'{name}.json').read_text(encoding='utf-8'))['Statement']


def needed(instance: Mapping[str, Any]) -> list[str]:
    """Yield the policies that an instance of the check needs, from its options.

    Only the options decide: a permission that is not needed today, because no spot instance runs, is needed tomorrow.
    """
    if instance.get('source') != 'ec2':
        return []
    if instance.get('role_arn'):
        # The role in the other account needs the other policies.
        return ['ec2-assume-role']
    return of_account(instance)


def secrets(instance: Mapping[str, Any]) -> list[str]:
    """Return the names or ARNs of the secrets that the options of an instance refer to."""
    return list(dict.fromkeys(match[0] for match in SECRET.findall(json.dumps(instance))))


def arn(secret: str, account: str, region: str) -> str:
    """Return the resource of a secret in a policy. A secret that is named by its ARN is its own resource."""
    if secret.startswith('arn:'):
        return secret
    partition = {'cn': 'aws-cn', 'us-gov': 'aws-us-gov'}.get(region.rpartition('-')[0].rpartition('-')[0], 'aws')
    return f'arn:{partition}:secretsmanager:{region}:{account}:secret:{secret}{SUFFIX}'


def of_account(instance: Mapping[str, Any]) -> list[str]:
    """Yield the policies for reading an account: those of our role, or of the role that `role_arn` names."""
    prices, idle = instance.get('prices') or {}, instance.get('idle') or {}
    result = ['ec2-inventory']
    if not instance.get('regions'):
        result.append('ec2-regions')
    if prices.get('source', 'auto') in ('auto', 'api'):
        result.append('ec2-prices')
    if prices.get('spot', True):
        result.append('ec2-spot-prices')
    result += {
        'cloudwatch': ['ec2-idle'],
        'compute_optimizer': ['ec2-idle-compute-optimizer'],
        'off': [],
    }[str(idle.get('source', 'cloudwatch'))]
    snapshots = instance.get('read_snapshots', True)
    wanted = {
        'ec2-zones': prices.get('source', 'auto') != 'table',
        'ec2-images': snapshots and instance.get('read_images', True),
        'ec2-capacity': instance.get('capacity_reservations'),
        'ec2-spot-interruptions': instance.get('spot_interruptions'),
        'ec2-spend': instance.get('cost_explorer'),
        'ec2-commitments': instance.get('commitments'),
    }
    return [*result, *(name for name, is_wanted in wanted.items() if is_wanted)]


def instances(document: Any) -> list[dict[str, Any]]:
    """Return the instances of a configuration file, or of the sources inside Helm values."""
    if not isinstance(document, dict):
        return []
    files = ((document.get('clusterAgent') or {}).get('advancedConfd') or {}).get('metta_checks.d') or {}
    inside = [one for text in files.values() if text for one in instances(yaml.safe_load(text))]
    return [*(document.get('instances') or []), *inside]


def joined(
    chosen: Iterable[str], wanted: Iterable[str] = (), account: str = ACCOUNT, region: str = REGION
) -> dict[str, Any]:
    """Return one policy document of the chosen policies and for the wanted secrets.

    Actions on the same resource share a statement.
    """
    together: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(chosen):
        for statement in statements(name):
            text = json.dumps(statement).replace(ACCOUNT, account).replace(REGION, region)
            statement = json.loads(text)
            key = json.dumps([statement['Resource'], statement.get('Condition')])
            if key in together:
                known = together[key]
                known['Action'] = list(dict.fromkeys([*known['Action'], *statement['Action']]))
            else:
                together[key] = statement
    result = list(together.values())
    if resources := [arn(secret, account, region) for secret in dict.fromkeys(wanted)]:
        read = {'Sid': 'Secrets', 'Effect': 'Allow', 'Action': ['secretsmanager:GetSecretValue'], 'Resource': resources}
        result.append(read)
    return {'Version': '2012-10-17', 'Statement': result}


def _of_values(files: Iterable[Path]) -> list[dict[str, Any]]:
    """Return the instances of Helm values; for each source's file, later values replace earlier ones."""
    sources: dict[str, Any] = {}
    for file in files:
        document = _load(file)
        agent = (document or {}).get('clusterAgent') or {}
        sources |= (agent.get('advancedConfd') or {}).get('metta_checks.d') or {}
    return instances({'clusterAgent': {'advancedConfd': {'metta_checks.d': sources}}})


def _load(file: Path) -> Any:
    try:
        return yaml.safe_load(file.read_text(encoding='utf-8'))
    except (OSError, yaml.YAMLError) as error:
        raise JoinError(f'{file}: cannot be read: {error}') from error


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(description='Join the IAM policies of the sources in use into one.')
    parser.add_argument('policies', nargs='*', metavar='policy', help=f'one of: {", ".join(names())}')
    parser.add_argument('--config', nargs='+', default=[], type=Path, help='configuration files of the Agent')
    parser.add_argument('--values', action='append', default=[], type=Path, help='Helm values; may be repeated')
    parser.add_argument(
        '--secret', action='append', default=[], metavar='NAME', help='a secret to read; may be repeated'
    )
    parser.add_argument('--account', default=ACCOUNT, help='number of the AWS account of the role and its secrets')
    parser.add_argument('--region', default=REGION, help='region of the secrets')
    given = parser.parse_args(arguments)
    try:
        found = [one for file in given.config for one in instances(_load(file))] + _of_values(given.values)
        chosen = [*given.policies, *(name for one in found for name in needed(one))]
        wanted = [*given.secret, *(name for one in found for name in secrets(one))]
        if not chosen and not wanted:
            raise JoinError('nothing to join; name policies, secrets, or files with a source that needs one')
        print(json.dumps(joined(chosen, wanted, given.account, given.region), indent=2))
    except JoinError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
