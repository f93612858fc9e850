local g = import 'lib/grid.libsonnet';
local p = import 'lib/presets.libsonnet';
local variables = ['env', 'org', 'repo', 'workflow', 'scope'];
local collector = (import 'lib/collector.libsonnet')(variables, 'github');
local github = (import 'lib/github.libsonnet')(variables);

p.dashboard(
  'Metta GitHub CI/CD',
  'All figures of the GitHub source: pull requests, reviews, commits, workflow runs and durations, rate limits. All figures cover the last 7 days unless a title says otherwise.',
  variables,
  [
    p.about(
      'Everything the GitHub source knows, repository by repository.',
      [['Definitions of the metrics', 'metrics/github'], ['Permissions and limits', 'sources/github']],
      4,
    ),
    g.group('Overview', 'vivid_blue', [
      g.row(2, [[3, github.mainPassing], [3, github.successRate], [3, github.open]]),
      g.row(2, [[3, p.connections(variables)], [6, p.monitors]]),
    ], 9),
    github.pullRequests,
    github.reviews,
    github.commitsAndCode,
    github.repository,
    github.ciRuns,
    github.ciDurations,
    collector.rateLimits([github.points]),
  ],
)
