local g = import 'lib/grid.libsonnet';
local p = import 'lib/presets.libsonnet';
local variables = ['env', 'gpu_type', 'region', 'scope'];
local skypilot = (import 'lib/skypilot.libsonnet')(variables);

p.dashboard(
  'Metta SkyPilot Jobs',
  'GPU jobs on SkyPilot: queue, runtime, GPUs, spot, regions, recoveries, clusters and their cost.',
  variables,
  [
    p.about(
      'GPU jobs and clusters of one or more SkyPilot API servers. Costs are rates at list prices, not bills.',
      [['Definitions of the metrics', 'metrics/skypilot'], ['The source', 'sources/skypilot']],
      4,
    ),
    g.group('Overview', 'vivid_blue', [
      g.row(2, [[3, skypilot.running], [3, skypilot.queued], [3, skypilot.successRate]]),
      g.row(2, [[3, skypilot.gpuCount], [3, p.connections(variables)], [3, skypilot.hourly]]),
    ], 9),
    skypilot.jobs,
    skypilot.runtime,
    skypilot.gpus,
    skypilot.spot,
    skypilot.regions,
    skypilot.recoveries,
    skypilot.usersAndClusters,
    skypilot.cost,
  ],
)
