"""Moto, which answers the operations that the sandbox leaves out: STS, regions, the 1,395 instance types."""

from __future__ import annotations

import io
import os
from typing import ClassVar

# Moto would load 1,300 machine images with public snapshots, which takes seconds. No test needs them.
os.environ['MOTO_EC2_LOAD_DEFAULT_AMIS'] = 'false'

from moto.backends import get_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.wrappers import Request, Response


def application() -> DomainDispatcherApplication:
    """Return the server of moto as a WSGI application."""
    return DomainDispatcherApplication(create_backend_app)


def fresh() -> None:
    """Reset moto. Its state belongs to the process, not to an application."""
    for name in ('ec2', 'sts', 'iam', 'cloudwatch'):
        get_backend(name).reset()


class Moto:
    """A new, empty moto.

    Constant answers are computed once per process, because moto searches all 1,395 types at every request.
    """

    _constant: ClassVar[dict[bytes, bytes]] = {}

    def __init__(self) -> None:
        fresh()
        self._application = application()

    def answer(self, request: Request) -> Response:
        """Answer a request whose body was already read."""
        body = request.get_data(cache=True)
        if b'Action=DescribeInstanceTypes&' not in body:
            return self._ask(request, body)
        # Regions have the same types in moto.
        if body not in self._constant:
            response = self._ask(request, body)
            if response.status_code != 200:
                return response
            self._constant[body] = response.get_data()
        return Response(self._constant[body], content_type='text/xml')

    def _ask(self, request: Request, body: bytes) -> Response:
        environ = {**request.environ, 'wsgi.input': io.BytesIO(body)}
        return Response.from_app(self._application, environ)
