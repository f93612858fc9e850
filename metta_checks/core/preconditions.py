"""Conditions on the options of any instance, checked before its source connects; the config models cannot tell them.

Each function raises ConfigurationError with the option, the reason and what to do.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from datadog_checks.base import ConfigurationError

# Options of the toolkit's HTTP wrapper that name a file; `tls_ca_cert` may name a folder.
TLS_FILE_OPTIONS = ('tls_ca_cert', 'tls_cert', 'tls_private_key')
UNRESOLVED = (
    'is still the reference `ENC[...]`, which nothing has resolved: set up the secrets backend of the Agent, and see '
    'what `datadog-agent secret` says'
)


def require_tags(instance: Mapping[str, Any]) -> None:
    """Require a list of texts: the toolkit would take one text for a list of letters."""
    tags = instance.get('tags')
    if tags is not None and not (isinstance(tags, (list, tuple)) and all(isinstance(tag, str) for tag in tags)):
        raise ConfigurationError(
            'option `tags` must be a list of texts, each on a line of its own, such as `- env:production`'
        )


def require_secrets(instance: Mapping[str, Any], options: Iterable[str]) -> None:
    """Require that the Agent has resolved the references in these options."""
    for option in options:
        if str(instance.get(option) or '').startswith('ENC['):
            raise ConfigurationError(f'option `{option}` {UNRESOLVED}')


def require_tls_files(instance: Mapping[str, Any], init_config: Mapping[str, Any]) -> None:
    """Require files that can be read.

    The toolkit logs a file that it cannot read and goes on without it: requests then fail for another reason.
    """
    for option in TLS_FILE_OPTIONS:
        path = instance.get(option) or init_config.get(option)
        try:
            if path and not os.path.isdir(path):
                with open(path, 'rb'):
                    pass
        except (OSError, TypeError, ValueError) as error:
            reason = getattr(error, 'strerror', None) or str(error)
            raise ConfigurationError(f'option `{option}`: the file {path} cannot be read: {reason}') from error
