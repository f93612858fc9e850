"""Secrets in the Agent's notation, looked up in AWS Secrets Manager."""

from __future__ import annotations

import json
import re
from typing import Any

from metta_checks.core.errors import SHAPE_ERRORS
from metta_checks.core.text import one_line

HANDLE = re.compile(r'ENC\[([^\]]+)\]')


class UnknownSecret(Exception):
    """A reference cannot be resolved; one line, which may quote the name of the secret."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class Vault:
    """Resolves references, with one request to AWS Secrets Manager per secret."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def resolve(self, value: Any) -> Any:
        """Return the value with every secret in it resolved. Raises UnknownSecret."""
        if isinstance(value, dict):
            return {key: self.resolve(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.resolve(item) for item in value]
        if isinstance(value, str) and (handle := HANDLE.fullmatch(value.strip())):
            return self._secret(handle.group(1))
        return value

    def _secret(self, handle: str) -> str:
        # As in the Agent's own resolver, `name;key` is a field of a JSON secret, and `name` is a whole text secret.
        name, _, key = handle.partition(';')
        if name not in self._texts:
            self._texts[name] = self._fetch(name)
        if not key:
            return self._texts[name]
        try:
            return str(json.loads(self._texts[name])[key])
        except SHAPE_ERRORS as error:
            raise UnknownSecret(f'ENC[{handle}]: the secret {name} has no field {key}') from error

    @staticmethod
    def _fetch(name: str) -> str:
        # Imported only for secrets: importing boto3 takes a quarter of a second.
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            text: str = boto3.client('secretsmanager').get_secret_value(SecretId=name)['SecretString']
        except (BotoCoreError, ClientError, KeyError) as error:
            reason = error.response['Error']['Code'] if isinstance(error, ClientError) else type(error).__name__
            raise UnknownSecret(
                f'ENC[{name}]: AWS Secrets Manager gave no such secret ({reason}); '
                'check its name, the region and the credentials'
            ) from error
        return text


def resolve_secret(value: str, where: str) -> str:
    """Return a value, or the secret that `ENC[name;key]` refers to.

    `where` names the value in errors. Raises UnknownSecret.
    """
    try:
        return str(Vault().resolve(value))
    except UnknownSecret as error:
        raise UnknownSecret(f'{where}: {error}') from error
