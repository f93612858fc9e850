// Delivery: pull requests, reviews, commits, CI, the state of main.
function(variables) {
  local m = (import 'catalog.libsonnet').github,
  local g = import 'grid.libsonnet',
  local p = import 'presets.libsonnet',
  local q = (import 'query.libsonnet')(variables),
  local w = import 'widgets.libsonnet',
  local t = (import 'thresholds.libsonnet').production,

  // Single numbers for an overview.
  merged: p.count('PRs merged, 7 days', q.total(m.prs.merged_7d, 'merged')),
  open: p.count('Open PRs', q.total(m.prs.open, 'open')),
  stale: p.count('Stale PRs', q.total(m.prs.stale_count_14d, 'stale'), p.tooMany(t.stale_prs), p.links.pulls),
  mainPassing: p.count('Tests on main', q.labeled(q.formula(
    'failing',
    'count_not_null(passing) - count_nonzero(passing)',
    { passing: q.series(m.ci.tests_passing_on_main, 'min', ['repo']) },
    about='Repositories in which a required workflow fails on the default branch. ' + m.ci.tests_passing_on_main.about
  ), 'failing'), p.noFailures, p.links.actions),
  reverts: p.count('Reverts, 7 days', q.total(m.commits.reverts, 'reverts')),
  hotfixes: p.count('Hotfixes, 7 days', q.total(m.commits.hotfix, 'hotfixes')),
  failedRuns: p.count('Failed CI runs, 24 h', q.total(m.ci.failed_workflows_24h, 'failed'), [], p.links.actions),
  cycleTime: w.value('Cycle time p90, 7 days', q.worst(m.prs.cycle_time_hours.p90, 'p90'), [
    w.format('>', t.cycle_time_hours.critical, 'white_on_red'),
    w.format('>', t.cycle_time_hours.slo, 'white_on_yellow'),
  ]),
  ciDuration: w.value('CI duration p90, 7 days', q.worst(m.ci.duration_p90_minutes, 'p90'), p.tooMany(t.ci_duration_minutes)),
  // Skipped, canceled and unfinished runs are neither good nor bad.
  successRate: w.value('Workflow success, 7 days', q.formula(
    'success rate',
    '100 * good / (good + failed)',
    {
      good: q.series(m.ci.runs_7d, 'sum', [], ['conclusion:success']),
      failed: q.series(m.ci.runs_7d, 'sum', [], ['conclusion IN (failure,timed_out,startup_failure)']),
    },
    'percent',
    about='Percentage of the workflow runs of 7 days that succeeded, among those that succeeded, failed, timed out or could not start.'
  ), p.atLeast(t.ci_success_pct.slo)),

  // Timeseries.
  cycleTimeCurve: p.lines('Cycle time of PRs', [
    q.worst(m.prs.cycle_time_hours.avg, 'average'),
    q.worst(m.prs.cycle_time_hours.p50, 'p50'),
    q.worst(m.prs.cycle_time_hours.p90, 'p90'),
  ], p.sloMarkers(t.cycle_time_hours, 'h'), [], p.events('release $env $repo') + p.links.pulls),
  timeToMerge: w.ts('Time to merge', [
    q.of(m.prs.avg_time_to_merge_hours, 'average'),
    q.worst(m.prs.time_to_merge_hours.p50, 'p50'),
    q.worst(m.prs.time_to_merge_hours.p90, 'p90'),
  ]),
  // Stale pull requests are some of the open ones: a line over the area, not a part on top.
  openAndStale: w.layers('Open and stale PRs', [
    { kind: 'area', terms: [q.total(m.prs.open, 'open')] },
    { kind: 'line', terms: [q.total(m.prs.stale_count_14d, 'of which stale')], palette: 'orange' },
  ], { markers: p.markers(t.stale_prs, 'stale') } + p.links.pulls),
  developers: p.trend('Active developers, 7 days', q.of(m.developers.active_7d, 'developers', 'max'), q),
  commitRate: w.layers('Commits, 7 days', [
    { kind: 'line', terms: [q.total(m.commits.total_7d, 'commits')] },
    { kind: 'line', terms: [q.of(m.commits.per_developer_7d, 'per developer, right axis')], palette: 'orange', right: true },
  ]),
  branches: w.ts('Branches', [
    q.total(m.branches.active, 'active'),
    q.total(m.branches.count, 'all'),
  ]),
  lines: w.ts('Lines changed, 7 days', [
    q.total(m.code.lines_added_7d, 'added'),
    q.total(m.code.lines_deleted_7d, 'deleted'),
  ]),
  mergedPerWeek: p.trend('PRs merged, 7 days', q.total(m.prs.merged_7d, 'merged'), q),
  mainCurve: w.ts(
    'Tests on main, 1 is passing',
    [q.worst(m.ci.tests_passing_on_main, 'passing', ['repo'])],
    { markers: [w.marker(t.tests_passing.slo, 'SLO: passing', 'ok')] } + p.events('"main" $env $repo') + p.links.actions,
  ),
  failures: w.layers('Failed CI runs', [{ kind: 'bars', palette: 'red', terms: [q.total(
    m.ci.runs, 'failed', [], ['conclusion IN (failure,timed_out,startup_failure)']
  )] }], p.events('"is red" $env $repo') + p.links.actions),
  reviewShare: w.ts('Reviewed share, 7 days', [q.of(m.prs.with_review_comments_pct, 'reviewed')]),
  comments: w.ts('Comments per PR, 7 days', [q.of(m.prs.avg_comments_per_pr, 'comments')]),
  durations: p.lines('CI run duration', [
    q.worst(m.ci.duration_p50_minutes, 'p50'),
    q.worst(m.ci.duration_p90_minutes, 'p90'),
  ], p.markers(t.ci_duration_minutes, 'min'), [q.worst(m.ci.duration_p99_minutes, 'p99, right axis')], p.links.actions),
  flaky: w.ts('Flaky checks, 7 days', [q.total(m.ci.flaky_checks_7d, 'flaky')]),
  timeouts: w.ts('Timeouts, 7 days', [q.total(m.ci.timeout_cancellations_7d, 'timed out')]),
  benchmarks: w.ts('Benchmarks, 1 is passing', [q.worst(m.ci.benchmarks_passing, 'passing', ['repo'])]),
  failuresByWorkflow: w.toplist('Failures by workflow, 7 days', q.total(
    m.ci.runs_7d, 'failures', ['workflow'], ['conclusion IN (failure,timed_out,startup_failure)']
  ), 10, p.links.workflow),
  durationByWorkflow: w.toplist('Duration by workflow, 7 days', q.worst(m.ci.run_duration_minutes.p90, 'p90', ['workflow']), 10, p.links.workflow),

  // Groups.
  byRepository: g.group('By Repository', 'blue', [
    g.row(3, [[12, w.table('Repositories', [
      q.total(m.prs.merged_7d, 'merged in 7 days', ['repo']),
      q.total(m.prs.open, 'open', ['repo']),
      q.total(m.prs.stale_count_14d, 'stale', ['repo']) + { formats: p.tooMany(t.stale_prs) },
      q.worst(m.prs.cycle_time_hours, 'cycle time, median', ['repo']),
      q.worst(m.prs.cycle_time_hours.p90, 'cycle time p90', ['repo']),
      q.of(m.developers.active_7d, 'developers', 'max', ['repo']),
    ], 50, p.links.repository, 2)]]),
  ]),

  waiting: g.group('What Waits, and How Long?', 'vivid_purple', [
    g.even(3, [
      w.area('Open PRs by state', [
        q.total(m.prs.open_by_state, 'ready', ['review'], ['draft:false']),
        q.total(m.prs.open_by_state, 'draft', [], ['draft:true']),
      ]),
      w.ts('Longest waits of PRs', [
        q.worst(m.prs.oldest_unreviewed_hours, 'for a review'),
        q.worst(m.prs.age_hours.p90, 'age p90'),
        q.worst(m.prs.age_hours.max, 'oldest'),
      ], p.links.pulls),
      w.ts('Time to the first review', [
        q.worst(m.prs.time_to_first_review_hours.p50, 'p50'),
        q.worst(m.prs.time_to_first_review_hours.p90, 'p90'),
      ]),
    ]),
    g.row(3, [[12, w.table('Pull requests by repository', [
      q.total(m.prs.waiting_for_review, 'waiting for review', ['repo']),
      q.total(m.prs.opened_7d, 'opened', ['repo']),
      q.total(m.prs.merged_7d, 'merged', ['repo']),
      q.total(m.prs.closed_without_merge_7d, 'closed unmerged', ['repo']),
      q.of(m.prs.merge_ratio_pct, 'merged of closed', 'min', ['repo']),
      q.of(m.prs.review_rounds.avg, 'review rounds', 'max', ['repo']),
      q.worst(m.prs.size_lines.p50, 'size p50', ['repo']),
      q.worst(m.prs.size_lines.p90, 'size p90', ['repo']),
    ], 50, p.links.repository)]]),
  ]),

  failing: g.group('What Fails?', 'vivid_pink', [
    g.even(3, [
      w.bars('Workflow runs that finished', [q.total(m.ci.runs, 'runs', ['conclusion'])], p.links.actions),
      $.mainCurve,
      w.ts('Flaky checks and timeouts', [
        q.total(m.ci.flaky_checks_7d, 'flaky'),
        q.total(m.ci.timeout_cancellations_7d, 'timed out'),
      ]),
    ]),
    g.row(4, [[12, w.table('Workflows, 7 days', [
      q.worst(m.ci.success_rate_pct, 'success', ['workflow']) + { formats: p.atLeast(t.ci_success_pct.slo) },
      q.worst(m.ci.flaky_rate_pct, 'flaky', ['workflow']),
      q.worst(m.ci.rerun_rate_pct, 'rerun', ['workflow']),
      q.worst(m.ci.cancelled_rate_pct, 'canceled', ['workflow']),
      q.worst(m.ci.run_duration_minutes.p50, 'p50', ['workflow']),
      q.worst(m.ci.run_duration_minutes.p90, 'p90', ['workflow']),
      q.labeled(q.formula(
        'hours run', 'minutes / 60', { minutes: q.series(m.ci.run_minutes_7d, 'sum', ['workflow']) },
        about=m.ci.run_minutes_7d.about
      ), 'h'),
    ], 50, p.links.workflow, 0, 'asc')]]),
  ]),

  risk: g.group('Is Main Safe?', 'vivid_orange', [
    g.even(3, [
      w.ts('PRs merged at risk, 7 days', [
        q.total(m.prs.merged_without_approval_7d, 'without approval'),
        q.total(m.prs.merged_red_7d, 'with failing checks'),
      ]),
      w.ts('Repairs and rewrites of main, 7 days', [
        q.total(m.commits.hotfix, 'hotfixes'),
        q.total(m.commits.reverts, 'reverts'),
        q.total(m.commits.force_merge_7d, 'force pushes'),
      ]),
      w.area('PRs merged by size, 7 days', [q.total(m.prs.merged_by_size_7d, 'merged', ['size'])]),
    ]),
  ]),

  amounts: g.group('How Much Happens?', 'vivid_green', [
    g.even(3, [
      w.bars('PRs opened, merged, closed', [
        q.total(m.prs.opened, 'opened'),
        q.total(m.prs.merged, 'merged'),
        q.total(m.prs.closed, 'closed unmerged'),
      ]),
      $.commitRate,
      w.ts('Files changed, 7 days', [
        q.total(m.code.files_changed_7d, 'different files'),
        q.total(m.code.file_changes_7d, 'changes to files'),
      ]),
    ]),
    g.row(3, [[12, w.table('Repositories', [
      q.total(m.releases.published_30d, 'releases in 30 days', ['repo']),
      q.of(m.releases.age_days, 'latest release', 'min', ['repo']),
      q.total(m.repo.issues_open, 'open issues', ['repo']),
      q.total(m.repo.stars, 'stars', ['repo']),
      q.total(m.repo.forks, 'forks', ['repo']),
      q.total(m.repo.size_gb, 'size', ['repo']),
    ], 50, p.links.repository)]]),
  ]),

  // For the group of rate limits: GitHub counts GraphQL in points.
  points: w.bars('GraphQL points', [
    q.total(m.api.points, 'about one repository'),
    q.total(m.api.shared_points, 'about several'),
  ]),
}
