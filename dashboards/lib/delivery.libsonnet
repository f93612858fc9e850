// Delivery performance: the four keys of DORA, their parts, people and bots, jobs and queues.
function(variables) {
  local m = (import 'catalog.libsonnet').github,
  local g = import 'grid.libsonnet',
  local p = import 'presets.libsonnet',
  local q = (import 'query.libsonnet')(variables),
  local w = import 'widgets.libsonnet',

  local failureRate(by=[]) = q.formula('changes that failed', '100 * failed_changes / deployments', {
    failed_changes: q.series(m.dora.failed_changes_30d, 'sum', by),
    deployments: q.series(m.dora.deployments_30d, 'sum', by),
  }, 'percent', about='Percentage of deployments with a failed change. ' + m.dora.failed_changes_30d.about),

  // The four keys.
  frequency: w.value('Deployments a day, 30 days', q.total(m.dora.deployments_per_day_30d, 'deployments')),
  leadTime: w.value('Lead time median, 30 days', q.worst(m.dora.lead_time_hours.p50, 'median')),
  failures: w.value('Change failures, 30 days', failureRate(), [], p.links.deployments),
  recovery: w.value('Time to recover, 30 days', q.worst(m.dora.recovery_hours.p50, 'median')),

  byEnvironment: g.group('By Environment', 'vivid_purple', [
    g.row(3, [
      [12, w.table('Environments, 30 days', [
        q.total(m.dora.deployments_30d, 'deployments', ['repo', 'environment']),
        q.worst(m.dora.lead_time_hours.p50, 'lead time p50', ['repo', 'environment']),
        q.worst(m.dora.lead_time_hours.p90, 'lead time p90', ['repo', 'environment']),
        failureRate(['repo', 'environment']),
        q.worst(m.dora.recovery_hours.p50, 'recovery p50', ['repo', 'environment']),
        q.total(m.dora.failed_deployments_30d, 'never went live', ['repo', 'environment']) + { formats: p.noneWanted },
        q.total(m.dora.unknown_deployments_30d, 'not compared yet', ['repo', 'environment']),
      ], 50, {}, 3)],
    ]),
    g.even(3, [
      w.bars(
        'Deployments that ended',
        [q.total(m.deployments.finished, 'deployments', ['state'])],
        p.events('deployment $env $repo') + p.links.deployments
      ),
      w.ts('Change failures, 30 days', [failureRate(['environment'])]),
    ]),
  ]),

  leadTimeParts: g.group('Lead Time', 'purple', [
    g.even(3, [
      w.ts('From commit to deployment, 30 days', [
        q.worst(m.dora.lead_time_hours.p50, 'p50', ['environment']),
        q.worst(m.dora.lead_time_hours.p90, 'p90', ['environment']),
      ]),
      w.ts('Medians of the parts, 7 days', [
        q.worst(m.prs.coding_time_hours.p50, 'coding'),
        q.worst(m.prs.time_to_first_review_hours.p50, 'to the first review'),
        q.worst(m.prs.first_approval_hours.p50, 'to the first approval'),
        q.worst(m.prs.approval_to_merge_hours.p50, 'from approval to merge'),
      ]),
    ]),
  ]),

  stability: g.group('State of Main', 'vivid_pink', [
    g.even(3, [
      w.ts(
        'Time that main was red, 7 days',
        [q.worst(m.main.red_hours_7d, 'red', ['repo'])],
        p.events('"is red" $env $repo') + p.links.actions
      ),
      w.ts('Time until main was green again, 7 days', [
        q.worst(m.main.time_to_green_hours.p50, 'median'),
        q.worst(m.main.time_to_green_hours.max, 'longest'),
      ]),
    ]),
  ]),

  peopleAndBots: g.group('People And Bots', 'vivid_green', [
    g.even(3, [
      w.area('Open PRs by type of author', [q.total(m.prs.open_by_author, 'open', ['author_type'])]),
      w.area('Merged PRs by type of author, 7 days', [q.total(m.prs.merged_by_author_7d, 'merged', ['author_type'])]),
      w.ts('Cycle time by type of author, 7 days', [
        q.worst(m.prs.cycle_time_by_author_hours.p50, 'p50', ['author_type']),
        q.worst(m.prs.cycle_time_by_author_hours.p90, 'p90', ['author_type']),
      ]),
    ]),
  ]),

  jobsAndQueues: g.group('Jobs And Queues', 'vivid_orange', [
    g.even(3, [
      w.ts('Wait for a runner p90, 24 h', [q.worst(m.jobs.queue_seconds.p90, 'p90', ['runner_label'])]),
      w.toplist('Runner-hours, 24 h', q.labeled(q.formula(
        'hours', 'minutes / 60', { minutes: q.series(m.jobs.minutes_24h, 'sum', ['runner_label']) }, about=m.jobs.minutes_24h.about
      ), 'h')),
    ]),
    g.even(3, [
      w.ts('Runners of the repositories', [
        q.total(m.runners.online, 'online'),
        q.total(m.runners.busy, 'of which busy'),
      ]),
      w.toplist('Failed jobs by runner, 24 h', q.total(m.jobs.failed_24h, 'failed', ['runner_label'])),
      w.value('Share of jobs read, 24 h', q.worst(m.jobs.coverage_pct_24h, 'read')),
    ]),
    g.even(3, [
      w.area('Unfinished runs of 7 days', [q.total(m.ci.runs_in_progress, 'in progress'), q.total(m.ci.runs_queued, 'queued')]),
      w.area('Merge queue', [q.total(m.merge_queue.entries, 'entries', ['state'])]),
      w.ts('Longest waits', [
        q.worst(m.ci.oldest_queued_minutes, 'in the queue of runs'),
        q.worst(m.merge_queue.oldest_minutes, 'in the merge queue'),
      ]),
    ]),
  ]),
}
