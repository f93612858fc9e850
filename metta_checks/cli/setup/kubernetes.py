"""Kubernetes: a context of a kubeconfig, the address of an API server, or the cluster that the check runs in."""

from __future__ import annotations

import os
from pathlib import Path

from metta_checks.core.errors import SHAPE_ERRORS

from ..configuration import ConfigurationFileError, parsed
from .form import Choice, Form, NoAnswer

DEFAULT = '~/.kube/config'


def fill(form: Form) -> None:
    """Ask for the context and the name of the cluster."""
    if form.has('api_server_url'):
        form.secret('token', 'Token of the service account')
    else:
        path = _kubeconfig(form)
        form.choose(
            'context', 'Context of the kubeconfig, none inside of the cluster', lambda: _contexts(path), optional=True
        )
        if form.has('context'):
            # Another user runs the Agent: the path does not depend on a home folder.
            form.values['kubeconfig'] = str(path)
    form.text('cluster_name', 'Name of the cluster in tags', str(form.values.get('context') or ''), optional=True)


def _kubeconfig(form: Form) -> Path:
    first = os.environ.get('KUBECONFIG', '').partition(os.pathsep)[0]
    return Path(form.values.get('kubeconfig') or first or DEFAULT).expanduser().resolve()


def _contexts(path: Path) -> list[Choice]:
    """Return the contexts of a kubeconfig; none without a file."""
    if not path.exists():
        return []
    try:
        document = parsed(path)
        return [Choice(str(one['name']), str(one['context']['cluster'])) for one in document['contexts']]
    except ConfigurationFileError as error:
        raise NoAnswer(str(error)) from error
    except SHAPE_ERRORS as error:
        raise NoAnswer(f'{path}: not the contexts of a kubeconfig ({type(error).__name__})') from error
