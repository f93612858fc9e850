// Waste and pod health. Cluster totals are single series; namespaces show in the breakdowns only.
function(variables) {
  local m = (import 'catalog.libsonnet').kubernetes,
  local g = import 'grid.libsonnet',
  local p = import 'presets.libsonnet',
  local q = (import 'query.libsonnet')(variables),
  local w = import 'widgets.libsonnet',

  crashLooping: p.count('Crash looping', q.total(m.pods.crash_looping, 'pods'), p.noneWanted),
  pending: p.count('Pending pods', q.total(m.pods.pending, 'pods')),
  cpuEfficiency: w.value('CPU efficiency', q.of(m.resources.cpu_efficiency_pct, 'used of requested')),
  memoryEfficiency: w.value('Memory efficiency', q.of(m.resources.memory_efficiency_pct, 'used of requested')),
  oomKills: p.count('OOM killed, 24 h', q.total(m.pods.oomkilled_24h, 'pods'), p.noneWanted),

  efficiency: g.group('Efficiency', 'vivid_purple', [
    g.even(3, [
      w.ts('Used of requested', [
        q.of(m.resources.cpu_efficiency_pct, 'CPU'),
        q.of(m.resources.memory_efficiency_pct, 'memory'),
      ]),
      w.ts('CPU', [
        q.total(m.resources.cpu_allocatable_cores, 'allocatable'),
        q.total(m.resources.cpu_requested_cores, 'requested'),
        q.total(m.resources.cpu_used_cores, 'used'),
      ]),
      w.ts('Memory', [
        q.total(m.resources.memory_allocatable_gb, 'allocatable'),
        q.total(m.resources.memory_requested_gb, 'requested'),
        q.total(m.resources.memory_used_gb, 'used'),
      ]),
    ]),
    g.even(3, [
      w.ts('CPU waste', [
        q.total(m.resources.cpu_waste_cores, 'requested, not used'),
        q.total(m.resources.cpu_overuse_cores, 'used, not requested'),
      ]),
      w.ts('Memory waste', [
        q.total(m.resources.memory_waste_gb, 'requested, not used'),
        q.total(m.resources.memory_overuse_gb, 'used, not requested'),
      ]),
      w.ts('Measured share', [q.worst(m.resources.usage_coverage_pct, 'pods with usage')]),
    ]),
  ]),

  health: g.group('Pod Health', 'vivid_green', [
    g.even(3, [
      w.ts('In trouble', [
        q.total(m.pods.crash_looping, 'crash looping'),
        q.total(m.pods.failed, 'failed'),
        q.total(m.pods.image_pull_errors, 'image pull errors'),
        q.total(m.pods.evicted, 'evicted'),
      ]),
      w.ts('Waiting', [
        q.total(m.pods.pending, 'pending'),
        q.total(m.pods.pending_stuck, 'pending for long'),
        q.total(m.pods.unschedulable, 'unschedulable'),
        q.total(m.pods.not_ready, 'not ready'),
      ]),
      w.area('Running', [q.total(m.pods.running, 'running')]),
    ]),
    g.even(3, [
      w.ts('Ending and gated', [
        q.total(m.pods.terminating, 'ending'),
        q.total(m.pods.terminating_stuck, 'ending for long'),
        q.total(m.pods.gated, 'gated'),
      ]),
      w.ts('Containers wait for', [q.total(m.pods.waiting, 'pods', ['reason'])]),
    ]),
    g.even(3, [
      w.bars('Restarts', [q.total(m.containers.restarts, 'restarts')]),
      w.bars('OOM kills', [q.total(m.containers.oom_kills, 'OOM kills')]),
      w.ts('Restarting and killed', [
        q.total(m.pods.high_restarts, 'high restarts'),
        q.total(m.pods.oomkilled_24h, 'OOM killed in a day'),
      ]),
    ]),
  ]),

  underuse: g.group('Underuse', 'green', [
    g.even(3, [
      w.ts('Idle and oversized', [
        q.total(m.pods.idle_count, 'idle'),
        q.total(m.resources.overallocated_pods, 'overallocated'),
        q.total(m.pods.no_requests, 'without requests'),
      ]),
      w.ts('Low usage', [
        q.total(m.pods.low_cpu_usage, 'low CPU'),
        q.total(m.pods.low_memory_usage, 'low memory'),
      ]),
      w.ts('Deployments at zero', [q.total(m.deployments.zero_replicas, 'deployments')]),
    ]),
  ]),

  gpus: g.group('GPUs', 'vivid_orange', [
    g.row(3, [
      [6, w.area('Requested and free', [
        q.total(m.gpu.requested, 'requested', ['gpu_type']),
        q.total(m.gpu.free, 'free', ['gpu_type']),
      ])],
      [6, w.toplist('Allocatable', q.total(m.gpu.allocatable, 'GPUs', ['gpu_type']))],
    ]),
    g.even(3, [
      w.ts('Waiting for GPUs', [
        q.total(m.gpu.pending, 'pending'),
        q.total(m.gpu.queued, 'queued'),
        q.total(m.gpu.terminating, 'of ending pods'),
      ]),
      w.ts('Largest free block', [q.total(m.gpu.largest_free_block, 'GPUs', ['gpu_type'])]),
      w.toplist('Requested by namespace', q.total(m.namespace.gpu_requested, 'GPUs', ['kube_namespace'])),
    ]),
  ]),

  byNamespace: g.group('By Namespace', 'orange', [
    g.row(4, [[12, w.table('Namespaces', [
      q.total(m.namespace.cpu_waste_cores, 'CPU waste', ['kube_namespace']),
      q.total(m.namespace.memory_waste_gb, 'memory waste', ['kube_namespace']),
      q.total(m.namespace.pods_unhealthy, 'unhealthy pods', ['kube_namespace']) + { formats: p.noneWanted },
    ])]]),
  ]),
}
