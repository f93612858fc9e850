"""EC2: credentials and regions."""

from __future__ import annotations

from typing import Any

from .form import Choice, Form, NoAnswer

# Every account has this region enabled.
FIRST_REGION = 'us-east-1'


def fill(form: Form) -> None:
    """Ask for the profile of the credentials, and the regions."""
    if form.has('access_key_id'):
        form.secret('secret_access_key', 'Secret access key')
    elif not form.has('profile', 'role_arn'):
        form.choose('profile', 'Profile of the AWS configuration', _profiles, optional=True)
    form.choose('regions', 'Regions', lambda: _regions(form), several=True)


def _profiles() -> list[Choice]:
    import boto3

    return [Choice(name) for name in boto3.Session().available_profiles]


def _regions(form: Form) -> list[Choice]:
    """Return the regions that are enabled for the account."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    values = form.values
    try:
        session = boto3.Session(
            profile_name=values.get('profile'),
            aws_access_key_id=values.get('access_key_id'),
            aws_secret_access_key=form.resolved('secret_access_key') or None,
        )
        client: Any = session.client(
            'ec2',
            region_name=session.region_name or FIRST_REGION,
            endpoint_url=values.get('endpoint_url'),
            config=Config(retries={'total_max_attempts': 2}, connect_timeout=10, read_timeout=20),
        )
        found = client.describe_regions()['Regions']
    except ClientError as error:
        code = error.response.get('Error', {}).get('Code', 'unknown')
        raise NoAnswer(f'AWS does not tell the regions ({code})') from error
    except BotoCoreError as error:
        raise NoAnswer(f'AWS cannot be asked for the regions ({type(error).__name__})') from error
    return [Choice(str(region['RegionName'])) for region in found]
