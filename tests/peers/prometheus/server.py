"""A real Prometheus on loopback, in a directory of its own."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

SCRAPE_INTERVAL = '250ms'
# Labels of the target, as service discovery in Kubernetes adds them: the pod of the exporter itself.
OWN_LABELS = {'namespace': 'gpu-operator', 'pod': 'dcgm-exporter-x7k2p', 'container': 'nvidia-dcgm-exporter'}
ADDRESS = re.compile(r'msg="Listening on" address=(\S+)')


@dataclass(frozen=True)
class Job:
    """An entry of `scrape_configs`.

    Attributes:
        name: of the job; path of the exporter's metrics, and value of the label `cluster`
        address: host and port of the exporter
        honor_labels: keep the labels of the exporter where the target has the same
        labels: of the target, beside those of the exporter's pod
    """

    name: str
    address: str
    honor_labels: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)

    def config(self) -> dict[str, Any]:
        """Return the entry."""
        labels = {**OWN_LABELS, 'cluster': self.name, **self.labels}
        return {
            'job_name': self.name,
            'honor_labels': self.honor_labels,
            'metrics_path': f'/{self.name}',
            'static_configs': [{'targets': [self.address], 'labels': labels}],
        }


class Prometheus:
    """Scrapes some jobs until it is left. A context manager; raises RuntimeError if it does not start.

    Parameters:
        program: the executable
        directory: for configuration, data and log; must exist
        jobs: what to scrape
    """

    def __init__(self, program: Path, directory: Path, jobs: Sequence[Job]) -> None:
        self._program = program
        self._directory = directory
        self._log = directory / 'prometheus.log'
        scrape = {'scrape_interval': SCRAPE_INTERVAL, 'scrape_timeout': SCRAPE_INTERVAL}
        config = {'global': scrape, 'scrape_configs': [job.config() for job in jobs]}
        (directory / 'prometheus.yml').write_text(yaml.safe_dump(config), encoding='utf-8')
        self.url = ''

    def __enter__(self) -> Prometheus:
        with self._log.open('wb') as log:
            self._process = subprocess.Popen(
                [
                    str(self._program),
                    f'--config.file={self._directory / "prometheus.yml"}',
                    f'--storage.tsdb.path={self._directory / "data"}',
                    # The system chooses a free port.
                    '--web.listen-address=127.0.0.1:0',
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self.url = f'http://{self._address(time.monotonic() + 60)}'
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def log(self) -> str:
        """Return what it has logged."""
        return self._log.read_text(encoding='utf-8', errors='replace')

    def _address(self, deadline: float) -> str:
        while time.monotonic() < deadline and self._process.poll() is None:
            if found := ADDRESS.search(self.log()):
                return found[1]
            time.sleep(0.05)
        raise RuntimeError(f'Prometheus did not start: {self.log()[-1000:]}')
