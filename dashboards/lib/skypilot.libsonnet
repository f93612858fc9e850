// GPU jobs: queue, runtime, GPUs, spot, regions, recoveries, clusters, cost.
function(variables) {
  local m = (import 'catalog.libsonnet').skypilot,
  local g = import 'grid.libsonnet',
  local p = import 'presets.libsonnet',
  local q = (import 'query.libsonnet')(variables),
  local w = import 'widgets.libsonnet',

  running: p.count('SkyPilot jobs running', q.total(m.jobs.running, 'running')),
  queued: p.count('SkyPilot jobs queued', q.total(m.jobs.queued, 'queued')),
  failed: p.count('SkyPilot jobs failed, 7 days', q.total(m.jobs.failed_7d, 'failed')),
  gpuCount: p.count('GPUs at work', q.total(m.resources.gpus.total_count, 'GPUs')),
  hourly: w.value('Cost per hour', q.total(m.cost.hourly_usd, 'cost')),
  // Jobs that ended in another way are neither good nor bad.
  successRate: w.value('Success rate, 24 h', q.formula(
    'success rate',
    '100 * good / (good + failed)',
    {
      good: q.series(m.jobs.ended_24h, 'sum', [], ['status:succeeded']),
      failed: q.series(m.jobs.ended_24h, 'sum', [], ['status:failed*']),
    },
    'percent'
  )),
  gpuCurve: w.area('By type', [q.total(m.gpus.in_use, 'GPUs', ['gpu_type'])]),
  totalGpus: w.ts('In running jobs', [q.total(m.resources.gpus.total_count, 'GPUs')]),
  daily: q.formula(
    'SkyPilot, clusters and jobs', '24 * skypilot_hourly', { skypilot_hourly: q.series(m.cost.hourly_usd, 'sum') }, 'dollar'
  ),
  queue: w.area('SkyPilot jobs', [q.total(m.jobs.queued, 'queued'), q.total(m.jobs.running, 'running')]),
  runtimeCurve: w.ts('Runtime of jobs p90', [q.worst(m.jobs.runtime_seconds.p90, 'p90')]),
  withRecoveries: w.ts('Jobs with recoveries', [q.total(m.jobs.with_recoveries, 'jobs')]),

  jobs: g.group('Jobs', 'vivid_purple', [
    g.even(3, [
      $.queue,
      w.area('By status', [q.total(m.jobs.count, 'jobs', ['status'])]),
      w.bars('Finished', [q.total(m.jobs.finished, 'finished', ['status'])]),
    ]),
    g.even(3, [
      w.ts('Ended in a day', [q.total(m.jobs.ended_24h, 'ended', ['status'])]),
      w.ts('Failed', [q.total(m.jobs.failed_7d, 'in 7 days'), q.total(m.jobs.failed, 'in 24 h')]),
      w.ts('Ended well or canceled, 24 h', [
        q.total(m.jobs.succeeded, 'succeeded'),
        q.total(m.jobs.cancelled, 'canceled'),
      ]),
    ]),
    g.even(3, [
      w.ts('Wait for a start, 24 h', [
        q.worst(m.jobs.start_wait_seconds.avg, 'average'),
        q.worst(m.jobs.start_wait_seconds.p50, 'p50'),
        q.worst(m.jobs.start_wait_seconds.p90, 'p90'),
        q.worst(m.jobs.start_wait_seconds.max, 'longest'),
      ]),
      w.ts('Waiting now', [
        q.worst(m.jobs.pending_seconds.max, 'pending'),
        q.worst(m.jobs.starting_seconds.max, 'starting'),
        q.worst(m.jobs.recovering_seconds.max, 'recovering'),
      ]),
      w.ts('Tasks', [q.total(m.tasks.count, 'tasks', ['status'])]),
    ]),
    g.row(3, [[12, p.percentiles('From queue to start, jobs started in 24 h', [
      q.worst(m.jobs.queue_wait_seconds.p50, 'p50'),
      q.worst(m.jobs.queue_wait_seconds.p90, 'p90'),
      q.worst(m.jobs.queue_wait_seconds.max, 'longest'),
    ])]]),
  ]),

  runtime: g.group('Runtime', 'purple', [
    g.row(3, [[12, p.percentiles('Of running jobs', [
      q.worst(m.jobs.runtime_seconds.p50, 'p50'),
      q.worst(m.jobs.runtime_seconds.p90, 'p90'),
      q.worst(m.jobs.runtime_seconds.p99, 'p99'),
      q.of(m.jobs.runtime_seconds.avg, 'average'),
    ])]]),
    g.even(3, [
      w.area('By duration', [
        q.total(m.jobs.runtime_buckets['0_1h'], 'under an hour'),
        q.total(m.jobs.runtime_buckets['1_4h'], '1 to 4 hours'),
        q.total(m.jobs.runtime_buckets['4_24h'], '4 to 24 hours'),
        q.total(m.jobs.runtime_buckets.over_24h, 'over a day'),
      ]),
      w.ts('Shortest and longest', [
        q.of(m.jobs.runtime_seconds.min, 'shortest', 'min'),
        q.of(m.jobs.runtime_seconds.max, 'longest', 'max'),
      ]),
      w.ts('Over a week', [q.total(m.jobs.running_over_7d, 'jobs')]),
    ]),
  ]),

  gpus: g.group('GPUs', 'vivid_green', [
    g.even(3, [
      w.area('Types in running jobs', [
        q.total(m.resources.gpus.l4_count, 'L4'),
        q.total(m.resources.gpus.a10g_count, 'A10G'),
        q.total(m.resources.gpus.h100_count, 'H100'),
      ]),
      $.totalGpus,
    ]),
    g.even(3, [
      $.gpuCurve,
      w.ts('Requested by waiting jobs', [q.total(m.gpus.requested, 'GPUs', ['gpu_type'])]),
      w.area('Jobs and clusters', [q.total(m.gpus.in_use, 'GPUs', ['kind'])]),
    ]),
    g.row(3, [[12, w.toplist('GPU-hours, 24 h', q.total(m.gpus.hours_24h, 'hours', ['gpu_type']))]]),
  ]),

  spot: g.group('Spot', 'green', [
    g.even(3, [
      w.area('Running jobs', [
        q.total(m.resources.spot_jobs, 'spot'),
        q.total(m.resources.ondemand_jobs, 'on demand'),
      ]),
      w.area('GPUs by market', [q.total(m.gpus.in_use, 'GPUs', ['market'])]),
    ]),
  ]),

  regions: g.group('Regions', 'vivid_orange', [
    g.even(3, [
      w.area('Running jobs', [
        q.total(m.regions.us_east_1, 'us-east-1'),
        q.total(m.regions.us_west_2, 'us-west-2'),
        q.total(m.regions.other, 'other'),
      ]),
      w.toplist('Busiest', q.total(m.jobs.by_region, 'jobs', ['cloud', 'region'])),
    ]),
  ]),

  recoveries: g.group('Recoveries', 'orange', [
    g.even(3, [
      $.withRecoveries,
      w.ts('Per job', [
        q.of(m.jobs.recovery_count.avg, 'average'),
        q.worst(m.jobs.recovery_count.max, 'most'),
      ]),
      w.bars('Happening', [q.total(m.jobs.recoveries, 'recoveries', ['market'])]),
    ]),
    g.row(3, [[12, w.toplist('Preemptions, 24 h', q.total(m.jobs.preemptions_24h, 'preemptions', ['gpu_type', 'region']))]]),
  ]),

  usersAndClusters: g.group('Users And Clusters', 'vivid_pink', [
    g.even(3, [
      w.ts('Active users', [q.total(m.users.active_count, 'users')]),
      w.ts('Clusters', [q.total(m.clusters.active, 'up'), q.total(m.clusters.no_autostop, 'up, without autostop')]),
      w.ts('Oldest cluster', [q.worst(m.clusters.age_hours.max, 'age')]),
    ]),
    g.even(3, [
      w.area('Clusters by status', [q.total(m.clusters.count, 'clusters', ['status'])]),
      w.area('Nodes by status', [q.total(m.clusters.nodes, 'nodes', ['status'])]),
      w.ts('Controller', [q.worst(m.controller.up, 'up')]),
    ]),
  ]),

  cost: g.group('Cost', 'pink', [
    g.even(3, [
      w.ts('Per hour', [q.total(m.cost.hourly_usd, 'cost')]),
      w.ts('Spent in a day', [q.total(m.cost.spend_usd_24h, 'spent')]),
      w.area('Per hour by type', [q.total(m.cost.breakdown_hourly_usd, 'cost', ['gpu_type', 'market'])]),
    ]),
    g.even(3, [
      w.ts('Priced share', [q.worst(m.cost.price_coverage_pct, 'clusters and jobs')]),
      w.ts('Clusters without a price', [q.total(m.cost.unpriced_clusters, 'clusters')]),
      w.ts('Jobs that failed in a day', [q.total(m.cost.failed_jobs_usd_24h, 'cost')]),
    ]),
  ]),
}
