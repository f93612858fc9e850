local g = import 'lib/grid.libsonnet';
local p = import 'lib/presets.libsonnet';
local variables = ['env', 'gpu_type', 'region', 'scope'];
local skypilot = (import 'lib/skypilot.libsonnet')(variables);

p.dashboard(
  'Metta SkyPilot Jobs',
  'Where GPU jobs wait, what is stuck or fails, what it costs, and which machines jobs have.',
  variables,
  [
    p.about(
      'GPU jobs and clusters of one or more SkyPilot API servers. Costs are rates at list prices, not bills.',
      [['Definitions of the metrics', 'metrics/skypilot'], ['The source', 'sources/skypilot']],
      4,
    ),
    g.group('Overview', 'vivid_blue', [
      g.row(2, [[3, skypilot.running], [3, skypilot.queued], [3, skypilot.successRate]]),
      g.row(2, [[3, skypilot.gpuCount], [3, skypilot.hourly], [3, p.connections(variables, 'skypilot')]]),
    ], 9),
    skypilot.waiting,
    skypilot.failing,
    skypilot.cost,
    skypilot.machines,
  ],
)
