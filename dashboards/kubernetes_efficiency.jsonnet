local g = import 'lib/grid.libsonnet';
local p = import 'lib/presets.libsonnet';
local variables = ['env', 'cluster', 'kube_namespace', 'scope'];
local kubernetes = (import 'lib/kubernetes.libsonnet')(variables);

p.dashboard(
  'Metta Kubernetes Efficiency',
  'Unhealthy pods, pods and GPUs that wait, and requested resources that nobody uses, with their namespaces.',
  variables,
  [
    p.about(
      'Requested and used resources, and pod health. The variable kube_namespace filters the breakdown by namespace; totals are of the whole cluster.',
      [['Definitions of the metrics', 'metrics/kubernetes'], ['The source', 'sources/kubernetes']],
      4,
    ),
    g.group('Overview', 'vivid_blue', [
      g.row(2, [[3, kubernetes.cpuEfficiency], [3, kubernetes.memoryEfficiency], [3, kubernetes.crashLooping]]),
      g.row(2, [[3, kubernetes.pending], [3, kubernetes.oomKills], [3, p.connections(variables, 'kubernetes')]]),
    ], 9),
    kubernetes.health,
    kubernetes.waiting,
    kubernetes.waste,
  ],
)
