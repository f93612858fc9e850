"""Address of the API server, and the credentials for it.

They come from `api_server_url` (with `token` and the Agent's own HTTP options), from `kubeconfig` or `context`, or from
the service account of the pod that the check runs in. The official client resolves the latter two: it supports
contexts, exec plugins, embedded certificates and projected tokens. All requests go through the Agent's HTTP wrapper.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies

import yaml
from datadog_checks.base import ConfigurationError

if TYPE_CHECKING:
    from .config_models.instance import InstanceConfig


class Credentials:
    """A fixed address with a fixed token, or with the authentication in the HTTP options of the instance.

    Attributes:
        url: address of the API server
        options: further options of `self.http` for every request; `renew` changes this object in place
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url
        self.options: dict[str, Any] = {}
        self._headers = {'Authorization': f'Bearer {token}'} if token else {}

    def headers(self) -> Mapping[str, str]:
        """Return the headers of the next request."""
        return self._headers

    def renew(self) -> None:
        """Read the credentials again after the server refused them."""


class CredentialsAuth:
    """Puts credentials into requests, and hides them in messages.

    Parameters:
        credentials: may change while the check runs
        register_secret: makes the core hide a token that is not in the configuration
    """

    def __init__(self, credentials: Credentials, register_secret: Callable[[str], None]) -> None:
        self._credentials = credentials
        self._register_secret = register_secret

    def headers(self) -> Mapping[str, str]:
        """Return the headers of the next request."""
        found = self._credentials.headers()
        if value := found.get('Authorization'):
            self._register_secret(value.rpartition(' ')[2])
        return found


class ClientCredentials(Credentials):
    """Base class for the credentials that the official client resolves."""

    def __init__(self) -> None:
        self._configuration = self._load()
        super().__init__(self._configuration.host)
        self._apply()

    def _load(self) -> Any:
        """Return a `kubernetes.client.Configuration`. Raises ConfigurationError."""
        raise NotImplementedError

    def headers(self) -> Mapping[str, str]:
        """Return the headers of the client, which renews a projected token or runs an exec plugin when it is due."""
        setting = self._configuration.auth_settings().get('BearerToken')
        return {'Authorization': setting['value']} if setting and setting['value'] else {}

    def renew(self) -> None:
        """Read the kubeconfig or the service account again after the server refused the credentials."""
        self._configuration = self._load()
        self._apply()

    def _apply(self) -> None:
        found = self._configuration
        self.options.clear()
        if not found.verify_ssl:
            self.options['verify'] = False
        elif found.ssl_ca_cert:
            self.options['verify'] = found.ssl_ca_cert
        if found.cert_file:
            self.options['cert'] = (found.cert_file, found.key_file) if found.key_file else found.cert_file


class InCluster(ClientCredentials):
    """The service account of the pod that the check runs in.

    Parameters:
        proxied: True when the instance sets its own proxy options
    """

    def __init__(self, *, proxied: bool = False) -> None:
        self._proxied = proxied
        super().__init__()

    def _load(self) -> Any:
        client, config = _official_client()
        found = client.Configuration()
        try:
            config.load_incluster_config(client_configuration=found)
        except config.ConfigException as error:
            raise ConfigurationError(
                f'the check does not run in a pod with a service account ({_sentence(error)}); outside of a cluster, '
                'set option `kubeconfig`, or `api_server_url` and `token`'
            ) from error
        return found

    def _apply(self) -> None:
        super()._apply()
        if not self._proxied:
            # The Agent's proxy is for requests to Datadog; the API server is in the same cluster.
            self.options['proxies'] = {'http': '', 'https': ''}


class Kubeconfig(ClientCredentials):
    """A context of a kubeconfig file.

    Parameters:
        path: None for the default of kubectl
        context: None for the current context of the file
    """

    def __init__(self, path: str | None, context: str | None) -> None:
        self._path = path
        self._context = context
        self._name = f'kubeconfig {path}' if path else 'the default kubeconfig'
        super().__init__()

    def _load(self) -> Any:
        found = self._read()
        if getattr(found, 'tls_server_name', None):
            raise ConfigurationError(
                f'{self._name} sets `tls-server-name`, which the Agent does not support: use an address that is in the '
                'certificate'
            )
        # An address without TLS is a local proxy (`kubectl proxy`) that adds the credentials itself.
        if found.host.startswith('https') and not (found.auth_settings() or found.cert_file):
            context = f'context {self._context}' if self._context else 'its current context'
            raise ConfigurationError(
                f'{self._name} has no credentials for {context}; if its user has an exec plugin, run the plugin as the '
                'user of the Agent (its error is in the Agent log)'
            )
        return found

    def _read(self) -> Any:
        client, config = _official_client()
        found = client.Configuration()
        try:
            config.load_kube_config(self._path, self._context, client_configuration=found, persist_config=False)
        except config.ConfigException as error:
            raise ConfigurationError(f'{self._name}: {_sentence(error)}') from error
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ConfigurationError(f'{self._name} cannot be read: {reason}') from error
        except yaml.YAMLError as error:
            raise ConfigurationError(f'{self._name} is not YAML') from error
        return found

    def _apply(self) -> None:
        super()._apply()
        proxy = self._configuration.proxy
        # The client also reads proxies from the environment. The HTTP wrapper handles these, with NO_PROXY.
        if proxy and proxy not in getproxies().values():
            self.options['proxies'] = {'http': proxy, 'https': proxy}


def credentials(config: InstanceConfig) -> Credentials:
    """Return the credentials in the options. Raises ConfigurationError for options that contradict each other."""
    if config.api_server_url:
        other = next((option for option in ('kubeconfig', 'context') if getattr(config, option)), None)
        if other:
            raise ConfigurationError(f'options `api_server_url` and `{other}` exclude each other: set one')
        if not config.api_server_url.startswith(('https://', 'http://')):
            raise ConfigurationError('option `api_server_url` must begin with https:// (or http://)')
        return Credentials(config.api_server_url, config.token)
    if config.token:
        raise ConfigurationError('option `token` needs `api_server_url`')
    if config.kubeconfig or config.context:
        return Kubeconfig(config.kubeconfig, config.context)
    return InCluster(proxied=config.proxy is not None or config.skip_proxy)


def _official_client() -> tuple[Any, Any]:
    """Return the modules `client` and `config` of the official client, imported late: they cost 0.2 s and 50 MiB."""
    try:
        from kubernetes import client, config
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f'the Python package `{error.name}`, which the Agent normally bundles, is missing; install it with '
            '`agent pip install kubernetes`, or use `api_server_url` and `token`'
        ) from error
    return client, config


def _sentence(error: Exception) -> str:
    return ' '.join(str(error).split()).rstrip('.')
