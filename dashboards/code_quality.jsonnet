local g = import 'lib/grid.libsonnet';
local p = import 'lib/presets.libsonnet';
local variables = ['env', 'org', 'repo', 'workflow', 'scope'];
local github = (import 'lib/github.libsonnet')(variables);

p.dashboard(
  'Metta Code Quality',
  'Reliability of main: tests, CI duration, flakiness, hotfixes, reviews. All figures cover the last 7 days unless a title says otherwise.',
  variables,
  [
    p.about(
      'Reliability of main, and the CI runs and reviews that protect it. Skipped, canceled and unfinished runs count neither as good nor as bad.\n\nIf main is red: click on the number of failing tests, which leads to the failed runs on GitHub.',
      [['Definitions of the metrics', 'metrics/github'], ['The source', 'sources/github']],
      5,
    ),
    g.group('Overview', 'vivid_blue', [
      g.row(2, [[3, github.mainPassing], [3, github.reverts], [3, github.hotfixes]]),
      g.row(3, [[5, p.slos], [4, p.monitors]]),
    ], 9),
    g.group('CI Duration', 'vivid_purple', [g.row(4, [[12, github.durations]])]),
    g.group('CI Health', 'purple', [
      g.even(3, [github.failures, github.successRate]),
      g.even(3, [github.flaky, github.timeouts, github.benchmarks]),
    ]),
    g.group('Review Engagement', 'vivid_green', [g.even(3, [github.reviewShare, github.comments])]),
    g.group('By Workflow', 'green', [g.even(4, [github.failuresByWorkflow, github.durationByWorkflow])]),
  ],
)
