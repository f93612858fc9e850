local g = import 'lib/grid.libsonnet';
local p = import 'lib/presets.libsonnet';
local variables = ['env', 'org', 'repo', 'workflow', 'scope'];
local collector = (import 'lib/collector.libsonnet')(variables, 'github');
local github = (import 'lib/github.libsonnet')(variables);

p.dashboard(
  'Metta GitHub CI/CD',
  'What waits and how long, what fails, whether main is safe, and how much happens. All figures cover the last 7 days unless a title says otherwise.',
  variables,
  [
    p.about(
      'Pull requests, workflow runs and code, repository by repository. Delivery Performance has deployments, jobs and queues.',
      [['Definitions of the metrics', 'metrics/github'], ['Permissions and limits', 'sources/github']],
      4,
    ),
    g.group('Overview', 'vivid_blue', [
      g.row(2, [[3, github.mainPassing], [3, github.successRate], [3, github.open]]),
      g.row(2, [[3, p.connections(variables, 'github')], [6, p.monitors]]),
    ], 9),
    github.waiting,
    github.failing,
    github.risk,
    github.amounts,
    collector.rateLimits([github.points]),
  ],
)
