"""moto behind our own layer: what the sandbox does not answer itself (STS, regions, the 1,395 instance types)."""

from __future__ import annotations

import io
import os

# moto would load 1,300 machine images with public snapshots, which takes seconds and belongs to nobody here.
os.environ['MOTO_EC2_LOAD_DEFAULT_AMIS'] = 'false'

from moto.backends import get_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.wrappers import Request, Response


class Moto:
    """moto's server as an application. Its state belongs to the process: every new one begins empty."""

    def __init__(self) -> None:
        for name in ('ec2', 'sts', 'iam', 'cloudwatch'):
            get_backend(name).reset()
        self._application = DomainDispatcherApplication(create_backend_app)

    def answer(self, request: Request) -> Response:
        """moto's answer to a request whose body was already read."""
        environ = {**request.environ, 'wsgi.input': io.BytesIO(request.get_data(cache=True))}
        # The request's own parsed form must not be mistaken for moto's.
        environ.pop('werkzeug.request', None)
        return Response.from_app(self._application, environ)
