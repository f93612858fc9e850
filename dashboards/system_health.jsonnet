local g = import 'lib/grid.libsonnet';
local p = import 'lib/presets.libsonnet';
local variables = ['env', 'org', 'repo', 'scope'];
local asana = (import 'lib/asana.libsonnet')(variables);
local collector = (import 'lib/collector.libsonnet')(variables);
local ec2 = (import 'lib/ec2.libsonnet')(variables);
local github = (import 'lib/github.libsonnet')(variables);
local kubernetes = (import 'lib/kubernetes.libsonnet')(variables);
local skypilot = (import 'lib/skypilot.libsonnet')(variables);
local wandb = (import 'lib/wandb.libsonnet')(variables);

p.dashboard(
  'Metta System Health Overview',
  'Overview: objectives, alerts, and the state of all six sources and of their collectors.',
  variables,
  [
    p.about(
      'Overview of all sources. Each group has a dashboard of its own with the details.\n\nLook at the alerts first, then at the connections. The reason why a source is not OK:\n- on a host: `sudo -u dd-agent datadog-agent status`\n- in a cluster: `kubectl -n datadog exec deployment/datadog-clusterchecks -- agent status collector`',
      [['All metrics', 'metrics'], ['When a source is red', 'troubleshooting'], ['The dashboards', 'dashboards']],
      5,
    ),
    g.group('Overview', 'vivid_blue', [
      g.row(3, [[5, p.slos], [4, p.monitors]]),
      g.row(2, [[9, p.connections(variables)]]),
    ], 9),
    g.group('Velocity', 'vivid_purple', [g.even(2, [github.merged, github.cycleTime], 6)], 6),
    g.group('Quality', 'vivid_purple', [g.even(2, [github.mainPassing, github.failedRuns, github.ciDuration], 6)], 6),
    g.group('Training Jobs', 'vivid_green', [g.even(2, [skypilot.running, skypilot.queued, skypilot.failed], 6)], 6),
    g.group('Runs', 'vivid_green', [g.even(2, [wandb.active, wandb.failed], 6)], 6),
    g.group('Infrastructure', 'vivid_pink', [g.even(2, [ec2.running, ec2.hourly, ec2.idle], 6)], 6),
    g.group('Cluster', 'vivid_pink', [
      g.even(2, [kubernetes.crashLooping, kubernetes.pending, kubernetes.cpuEfficiency], 6),
    ], 6),
    g.group('Work', 'purple', [g.even(2, [asana.open, asana.overdue, asana.bugs])]),
    collector.collectors,
  ],
)
