// Waste and pod health. Cluster totals are single series; namespaces show in the breakdowns only.
function(variables) {
  local m = (import 'catalog.libsonnet').kubernetes,
  local g = import 'grid.libsonnet',
  local p = import 'presets.libsonnet',
  local q = (import 'query.libsonnet')(variables),
  local w = import 'widgets.libsonnet',

  crashLooping: p.count('Pods crash looping', q.total(m.pods.crash_looping, 'pods'), p.noneWanted),
  pending: p.count('Pending pods', q.total(m.pods.pending, 'pods')),
  cpuEfficiency: w.value('CPU used of requested', q.of(m.resources.cpu_efficiency_pct, 'used of requested')),
  memoryEfficiency: w.value('Memory used of requested', q.of(m.resources.memory_efficiency_pct, 'used of requested')),
  oomKills: p.count('Pods OOM killed, 24 h', q.total(m.pods.oomkilled_24h, 'pods'), p.noneWanted),

  health: g.group('What Is Unhealthy?', 'vivid_pink', [
    g.even(3, [
      w.ts('Pods in trouble', [
        q.total(m.pods.crash_looping, 'crash looping'),
        q.total(m.pods.failed, 'failed'),
        q.total(m.pods.image_pull_errors, 'image pull errors'),
        q.total(m.pods.evicted, 'evicted'),
        q.total(m.pods.not_ready, 'not ready'),
      ]),
      w.ts('Containers wait for', [q.total(m.pods.waiting, 'pods', ['reason'])]),
      w.bars('Restarts of containers', [q.total(m.containers.restarts, 'restarts')]),
    ]),
  ]),

  waiting: g.group('What Waits?', 'vivid_purple', [
    g.even(3, [
      w.ts('Pods that wait', [
        q.total(m.pods.pending, 'pending'),
        q.total(m.pods.pending_stuck, 'of which for long'),
        q.total(m.pods.unschedulable, 'of which without a node'),
        q.total(m.pods.gated, 'gated'),
        q.total(m.pods.terminating_stuck, 'ending for long'),
      ]),
      w.ts('GPUs that pods wait for', [
        q.total(m.gpu.pending, 'pending'),
        q.total(m.gpu.queued, 'queued'),
        q.total(m.gpu.terminating, 'held by ending pods'),
      ]),
      w.ts('Largest free block of GPUs', [q.of(m.gpu.largest_free_block, 'GPUs', 'max', ['gpu_type'])]),
    ]),
    g.even(3, [
      w.area('GPUs held and free', [
        q.total(m.gpu.requested, 'held', ['gpu_type']),
        q.total(m.gpu.free, 'free', ['gpu_type']),
      ]),
      w.toplist('GPUs held by namespace', q.total(m.namespace.gpu_requested, 'GPUs', ['kube_namespace'])),
    ]),
  ]),

  waste: g.group('What Is Wasted, and Whose Is It?', 'vivid_orange', [
    g.even(3, [
      // One axis: beside another one, a request of a tenth looks like a full cluster.
      w.ts('CPU: allocatable, requested, used', [
        q.total(m.resources.cpu_allocatable_cores, 'allocatable'),
        q.total(m.resources.cpu_requested_cores, 'requested'),
        q.total(m.resources.cpu_used_cores, 'used'),
      ]),
      w.ts('Memory: allocatable, requested, used', [
        q.total(m.resources.memory_allocatable_gb, 'allocatable'),
        q.total(m.resources.memory_requested_gb, 'requested'),
        q.total(m.resources.memory_used_gb, 'used'),
      ]),
      w.ts('Pods whose usage is known', [q.worst(m.resources.usage_coverage_pct, 'known')]),
    ]),
    g.even(3, [
      w.ts('CPU waste and overuse', [
        q.total(m.resources.cpu_waste_cores, 'requested, not used'),
        q.total(m.resources.cpu_overuse_cores, 'used, not requested'),
      ]),
      w.ts('Memory waste and overuse', [
        q.total(m.resources.memory_waste_gb, 'requested, not used'),
        q.total(m.resources.memory_overuse_gb, 'used, not requested'),
      ]),
      w.ts('Pods that ask for too much', [
        q.total(m.pods.idle_count, 'idle'),
        q.total(m.resources.overallocated_pods, 'overallocated'),
        q.total(m.pods.no_requests, 'without requests'),
      ]),
    ]),
    g.row(4, [[12, w.table('Namespaces', [
      q.total(m.namespace.cpu_waste_cores, 'CPU waste', ['kube_namespace']),
      q.total(m.namespace.memory_waste_gb, 'memory waste', ['kube_namespace']),
      q.total(m.namespace.pods_unhealthy, 'unhealthy pods', ['kube_namespace']) + { formats: p.noneWanted },
    ])]]),
  ]),
}
