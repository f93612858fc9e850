"""EC2: credentials and regions."""

from __future__ import annotations

from typing import Any

from .asking import answered, unconfigured
from .form import Choice, Form


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
    check: Any = unconfigured('ec2', form)
    try:
        with answered(check):
            check.run_check_initializations()
            return [Choice(name) for name in check.client.regions()]
    finally:
        check.close()
