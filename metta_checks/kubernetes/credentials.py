"""Where the cluster is and who we are to it.

Three ways: `api_server_url` (with `token` and the Agent's own HTTP options), `kubeconfig` or `context`, or the service
account of the pod that the check runs in. The latter two are resolved by the official client, which knows contexts,
exec plugins, embedded certificates and projected tokens; the requests go through the Agent's HTTP wrapper.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies

import yaml
from datadog_checks.base import ConfigurationError

if TYPE_CHECKING:
    from .config_models.instance import InstanceConfig


class Credentials:
    """Base: a fixed address and a fixed token (or whatever authentication the HTTP options of the instance set up)."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url
        # Further options of `self.http` for every request. The same object for life: `renew` changes it in place.
        self.options: dict[str, Any] = {}
        self._headers = {'Authorization': f'Bearer {token}'} if token else {}

    def headers(self) -> Mapping[str, str]:
        """Headers of the next request."""
        return self._headers

    def renew(self) -> None:
        """Read the credentials again, because the server refused the present ones."""


class ClientCredentials(Credentials):
    """Base: what the official client found."""

    def __init__(self) -> None:
        self._configuration = self._load()
        super().__init__(self._configuration.host)
        self._apply()

    def _load(self) -> Any:
        """A `kubernetes.client.Configuration`. Raises ConfigurationError."""
        raise NotImplementedError

    def headers(self) -> Mapping[str, str]:
        """Asks the client each time: it reads a projected token again, and runs an exec plugin again, when due."""
        setting = self._configuration.auth_settings().get('BearerToken')
        return {'Authorization': setting['value']} if setting and setting['value'] else {}

    def renew(self) -> None:
        """Read the kubeconfig or the service account again, because the server refused the present credentials."""
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
    """The service account of the pod that the check runs in. `proxied`: whether the instance sets a proxy itself."""

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
                f'no cluster to read: not in a pod with a service account ({_sentence(error)}); outside of a cluster '
                'set `kubeconfig`, or `api_server_url` and `token`'
            ) from error
        return found

    def _apply(self) -> None:
        super()._apply()
        if not self._proxied:
            # The Agent's proxy is for the way to Datadog; the API server is next door.
            self.options['proxies'] = {'http': '', 'https': ''}


class Kubeconfig(ClientCredentials):
    """A context of a kubeconfig file; `path` and `context` None for kubectl's defaults."""

    def __init__(self, path: str | None, context: str | None) -> None:
        self._path = path
        self._context = context
        super().__init__()

    def _load(self) -> Any:
        client, config = _official_client()
        found = client.Configuration()
        name = f'kubeconfig {self._path}' if self._path else 'the default kubeconfig'
        try:
            config.load_kube_config(self._path, self._context, client_configuration=found, persist_config=False)
        except config.ConfigException as error:
            raise ConfigurationError(f'{name}: {_sentence(error)}') from error
        except OSError as error:
            raise ConfigurationError(f'{name} cannot be read: {error.strerror or type(error).__name__}') from error
        except yaml.YAMLError as error:
            raise ConfigurationError(f'{name} is not YAML') from error
        if getattr(found, 'tls_server_name', None):
            raise ConfigurationError(
                f'{name} sets `tls-server-name`, which the HTTP wrapper cannot do: use a server name of the certificate'
            )
        # Without TLS it is a local proxy (`kubectl proxy`) that adds the credentials itself.
        if found.host.startswith('https') and not (found.auth_settings() or found.cert_file):
            context = f'context {self._context}' if self._context else 'its current context'
            raise ConfigurationError(
                f'{name} gives no credentials for {context}: if its user has an exec plugin, run that plugin as the '
                'user of the Agent (the Agent log has its error)'
            )
        return found

    def _apply(self) -> None:
        super()._apply()
        proxy = self._configuration.proxy
        # The client also takes proxies from the environment; those are the HTTP wrapper's business (it knows NO_PROXY).
        if proxy and proxy not in getproxies().values():
            self.options['proxies'] = {'http': proxy, 'https': proxy}


def credentials(config: InstanceConfig) -> Credentials:
    """Return the credentials that an instance asks for. Raises ConfigurationError when it asks for none or for two."""
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
    """The modules `client` and `config` of the official client, imported when needed: they cost 0.2 s and 50 MiB."""
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
