"""Examples at the end of the help of each command. `make generate` writes them into docs/command-line.md, too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

PROGRAM = 'metta-checks'


@dataclass(frozen=True, slots=True)
class Example:
    """A command line, without the name of the program, and its effect in a few words."""

    words: str
    effect: str

    @property
    def line(self) -> str:
        """Return the whole command line."""
        return f'{PROGRAM} {self.words}'


# By the words of the command; empty for the program itself.
EXAMPLES: Mapping[str, tuple[Example, ...]] = MappingProxyType(
    {
        '': (
            Example('init github', 'write the configuration of GitHub'),
            Example('doctor', 'test every configured source'),
            Example('collect', 'read every configured source, and show the headline figures'),
        ),
        'init': (
            Example('init github', 'ask, and write conf.d/metta_checks.d/github.yaml'),
            Example(
                'init skypilot --no-input --set api_server_url=https://sky.example.com --secret token=SKY_TOKEN',
                'ask nothing; the variable SKY_TOKEN holds the token',
            ),
        ),
        'collect': (
            Example('collect skypilot --all', 'every series of SkyPilot, and the self-metrics metta.collector.*'),
            Example('collect skypilot --repeat 2', 'a cold refresh, and a warm one'),
            Example('collect --output figures.json', 'also write everything to a file'),
        ),
        'doctor': (
            Example('doctor', 'every source of the configuration'),
            Example('doctor github --config conf.d', 'GitHub, in the folder conf.d'),
        ),
        'metrics': (
            Example('metrics ec2 cost', 'the metrics of EC2 with "cost" in their name'),
            Example("metrics '*.gpu*'", 'the metrics of all sources that match a pattern'),
            Example('metrics collector', 'the self-metrics'),
        ),
        'verify': (
            Example('verify skypilot', 'the figures that differ, and the extent of the comparison'),
            Example('verify skypilot --coverage', 'also the metrics that are not compared, with reasons'),
            Example('verify ec2 --free', 'without the requests that AWS bills'),
        ),
        'assets': (
            Example('assets lint', 'check the files, without Datadog'),
            Example('assets plan', 'compare the files with Datadog'),
            Example('assets push', 'show the changes, ask, and apply them'),
        ),
        'assets lint': (
            Example('assets lint', 'all rules, for the assets of this project'),
            Example('assets lint --assets my-dashboards --profile datadog', "Datadog's rules, for your own dashboards"),
            Example('assets lint --format sarif', 'findings in the format of code hosts'),
        ),
        'assets build': (
            Example('assets build --env staging --out staging-assets', 'with the thresholds of staging'),
            Example('assets build --check', 'compare ./assets with its sources, and write nothing'),
        ),
        'assets preview': (
            Example('assets preview --record week.jsonl.gz', 'pages of all dashboards, in the folder preview'),
            Example('assets preview system_health --record week.jsonl.gz --var env=production', 'one of them'),
        ),
        'assets plan': (
            Example('assets plan', 'all assets'),
            Example("assets plan system_health 'slo/*'", 'a dashboard, and all SLOs'),
        ),
        'assets diff': (Example('assets diff system_health', 'one dashboard'),),
        'assets push': (
            Example('assets push', 'show the changes, and ask'),
            Example('assets push system_health --yes', 'one dashboard, without asking'),
            Example("assets push 'monitor/*' --notify @slack-ops", 'monitors, with a recipient'),
        ),
        'assets pull': (
            Example('assets pull', 'write the managed objects to the folder pulled'),
            Example('assets pull system_health --into assets', 'show the differences, ask, and change the file'),
        ),
        'assets export': (
            Example("assets export 'slo/*' --format terraform", 'SLOs in the language of Terraform'),
            Example('assets export --format ddgr --output operator', 'a folder for the Datadog Operator'),
        ),
        'assets list': (
            Example('assets list', 'the objects in Datadog that this namespace manages'),
            Example('assets list --local', 'the keys of the files; needs no keys of Datadog'),
        ),
        'assets delete': (Example('assets delete dashboard/system_health', 'show the object, and ask'),),
        'assets prune': (Example('assets prune', 'show the objects without a file, and ask'),),
    }
)


def epilog(command: str) -> str:
    """Return the examples of a command for the end of its help."""
    lines = [line for one in EXAMPLES[command] for line in (f'  # {one.effect}', f'  {one.line}')]
    # The first line keeps the line breaks: click would fill the paragraph.
    return '\n'.join(('\b', 'Examples:', *lines))
