// GPU jobs: where they wait, what is stuck or fails, what they cost, and which machines they have.
function(variables) {
  local m = (import 'catalog.libsonnet').skypilot,
  local g = import 'grid.libsonnet',
  local p = import 'presets.libsonnet',
  local q = (import 'query.libsonnet')(variables),
  local w = import 'widgets.libsonnet',

  running: p.count('SkyPilot jobs running', q.total(m.jobs.running, 'running')),
  queued: p.count('SkyPilot jobs queued', q.total(m.jobs.queued, 'queued')),
  failed: p.count('SkyPilot jobs failed, 7 days', q.total(m.jobs.failed_7d, 'failed')),
  gpuCount: p.count('GPUs of running jobs', q.total(m.resources.gpus.total_count, 'GPUs')),
  hourly: w.value('SkyPilot cost per hour', q.total(m.cost.hourly_usd, 'cost')),
  // Jobs that ended in another way are neither good nor bad.
  successRate: w.value('Jobs that succeed, 24 h', q.formula(
    'success rate',
    '100 * good / (good + failed)',
    {
      good: q.series(m.jobs.ended_24h, 'sum', [], ['status:succeeded']),
      failed: q.series(m.jobs.ended_24h, 'sum', [], ['status:failed*']),
    },
    'percent',
    about='Percentage of the jobs of 24 hours that succeeded, among those that succeeded or failed.'
  )),
  totalGpus: w.ts('In running jobs', [q.total(m.resources.gpus.total_count, 'GPUs')]),
  daily: q.formula(
    'SkyPilot, clusters and jobs', '24 * skypilot_hourly', { skypilot_hourly: q.series(m.cost.hourly_usd, 'sum') }, 'dollar',
    about='24 times the following. ' + m.cost.hourly_usd.about
  ),
  queue: w.area('SkyPilot jobs', [q.total(m.jobs.queued, 'queued'), q.total(m.jobs.running, 'running')]),
  runtimeCurve: w.ts('Runtime of running jobs p90', [q.worst(m.jobs.runtime_seconds.p90, 'p90')]),
  withRecoveries: w.ts('Jobs with recoveries', [q.total(m.jobs.with_recoveries, 'jobs')]),

  waiting: g.group('Where Do Jobs Wait?', 'vivid_purple', [
    g.even(3, [
      $.queue,
      w.ts('Longest waits of SkyPilot jobs', [
        q.worst(m.jobs.pending_seconds.max, 'for a start'),
        q.worst(m.jobs.starting_seconds.max, 'for machines'),
        q.worst(m.jobs.recovering_seconds.max, 'for machines, again'),
      ]),
    ]),
    g.even(3, [
      p.lines('From queue to start, jobs started in 24 h', [
        q.worst(m.jobs.queue_wait_seconds.p50, 'p50'),
        q.worst(m.jobs.queue_wait_seconds.p90, 'p90'),
        q.worst(m.jobs.queue_wait_seconds.max, 'longest'),
      ]),
      w.area('GPUs that waiting jobs ask for', [q.total(m.gpus.requested, 'GPUs', ['gpu_type'])]),
    ]),
  ]),

  failing: g.group('What Is Stuck or Failing?', 'vivid_pink', [
    g.even(3, [
      w.bars('SkyPilot jobs that ended', [q.total(m.jobs.finished, 'jobs', ['status'])]),
      w.bars('Recoveries of SkyPilot jobs', [q.total(m.jobs.recoveries, 'recoveries', ['market'])]),
      // Lines end with the last preemption; a list would show the last value of a type for the whole time shown.
      w.ts('Preemptions of SkyPilot jobs, 24 h', [q.total(m.jobs.preemptions_24h, 'preemptions', ['gpu_type', 'region'])]),
    ]),
    g.even(3, [
      w.ts('Jobs that run for over a week, or again', [
        q.total(m.jobs.running_over_7d, 'for over 7 days'),
        q.total(m.jobs.with_recoveries, 'recovered'),
      ]),
      p.lines('Runtime of running jobs', [
        q.worst(m.jobs.runtime_seconds.p50, 'p50'),
        q.worst(m.jobs.runtime_seconds.p90, 'p90'),
      ], [], [q.worst(m.jobs.runtime_seconds.p99, 'p99, right axis')]),
    ]),
  ]),

  cost: g.group('What Does It Cost, and Whose Is It?', 'vivid_orange', [
    g.even(3, [
      w.area('SkyPilot, USD per hour by type', [q.total(m.cost.breakdown_hourly_usd, 'cost', ['gpu_type', 'market'])]),
      w.ts('Spent on SkyPilot, 24 h', [
        q.total(m.cost.spend_usd_24h, 'on all jobs and clusters'),
        q.total(m.cost.failed_jobs_usd_24h, 'of which on failed jobs'),
      ]),
      w.toplist('Spent on SkyPilot by user, 24 h', q.total(m.cost.spend_usd_24h_by_user, 'spent', ['user']), 8),
    ]),
    g.row(3, [
      [8, w.ts('Clusters that people launched', [
        q.total(m.clusters.active, 'up'),
        q.total(m.clusters.no_autostop, 'of which without autostop'),
      ])],
      [4, w.note(
        'Amounts by user need the option `by_user`. A cluster without autostop costs until somebody stops it: GPU Economics shows the idle ones.'
      )],
    ]),
  ]),

  machines: g.group('Which Machines Do Jobs Have?', 'vivid_green', [
    g.even(3, [
      w.area('GPUs of SkyPilot by type and market', [q.total(m.gpus.in_use, 'GPUs', ['gpu_type', 'market'])]),
      w.toplist('GPU-hours of SkyPilot, 24 h', q.labeled(q.total(m.gpus.hours_24h, 'hours', ['gpu_type']), 'GPU-h')),
      w.toplist('Jobs by region', q.total(m.jobs.by_region, 'jobs', ['cloud', 'region'])),
    ]),
  ]),
}
