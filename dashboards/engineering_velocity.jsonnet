local g = import 'lib/grid.libsonnet';
local p = import 'lib/presets.libsonnet';
local variables = ['env', 'org', 'repo', 'scope'];
local github = (import 'lib/github.libsonnet')(variables);

p.dashboard(
  'Metta Engineering Velocity',
  'Speed of delivery: pull requests, cycle time, commits, people. All figures cover the last 7 days unless a title says otherwise.',
  variables,
  [
    p.about(
      'Speed of delivery from the first commit to main. For several repositories together, amounts are summed, and percentiles are those of the slowest repository.',
      [['Definitions of the metrics', 'metrics/github'], ['The source', 'sources/github']],
      4,
    ),
    g.group('Overview', 'vivid_blue', [
      g.row(2, [[3, github.merged], [3, github.open], [3, github.stale]]),
      g.row(2, [[3, p.connections(variables, 'github')], [6, p.monitors]]),
    ], 9),
    g.group('Pull Requests', 'blue', [
      g.row(4, [[12, github.cycleTimeCurve]]),
      g.even(3, [github.timeToMerge, github.openAndStale]),
    ]),
    g.group('Activity', 'vivid_green', [g.even(3, [github.developers, github.commitRate])]),
    g.group('Branches And Code', 'green', [g.even(3, [github.branches, github.lines])]),
    github.byRepository,
  ],
)
