// The monitors, by key. `env`: for one environment, with its thresholds; without, for all of them, told apart by tag.
function(env='')
  local m = import 'lib/catalog.libsonnet';
  local thresholds = import 'lib/thresholds.libsonnet';
  local t = if env == 'staging' then thresholds.staging else thresholds.production;
  // Nobody is paged for staging.
  local priorityOf(priority) = if env == 'staging' then 5 else priority;
  local envFilter = if env == '' then [] else ['env:' + env];

  local series(agg, metric, by, where=[]) =
    local conditions = envFilter + where;
    '%s:%s{%s} by {%s}' % [
      agg,
      metric.name,
      if conditions == [] then '*' else std.join(',', conditions),
      std.join(',', by),
    ];
  local PER_REPOSITORY = ['repo', 'env'];
  local PER_SOURCE = ['source', 'env'];

  // A number as Datadog writes it into a query.
  local number(value) = '%g' % value;

  local monitor(title, description, priority, query, thresholds, alert, recovery, missing='show_no_data', options={}, of='repo') = {
    version: 2,
    created_at: '2026-11-24',
    last_updated_at: '2026-11-24',
    title: title,
    description: description,
    tags: ['integration:metta-checks'],
    definition: {
      name: '[Metta Checks] %s for {{%s.name}}' % [title, of],
      type: 'query alert',
      query: query,
      message: '{{#is_alert}}%s{{/is_alert}}{{#is_recovery}}%s{{/is_recovery}}' % [alert, recovery],
      tags: ['integration:metta-checks'],
      priority: priorityOf(priority),
      options: {
        thresholds: thresholds,
        include_tags: true,
        notify_audit: false,
        on_missing_data: missing,
        require_full_window: false,
        new_group_delay: 300,
        renotify_interval: 0,
        evaluation_delay: 0,
        escalation_message: '',
      } + options,
    },
  };

  // Outside the band that the past weeks suggest. Weekly seasonality needs three weeks of data.
  local anomaly(title, description, priority, window, algorithm, direction, interval, alertWindow, of, alert, recovery) = monitor(
    title,
    description,
    priority,
    ('avg(%s):anomalies(%s, \'%s\', 3, direction=\'%s\', interval=%d, alert_window=\'%s\', ' +
     "count_default_zero='true', seasonality='weekly') >= %s") % [
      window, of, algorithm, direction, interval, alertWindow, number(t.anomaly.critical),
    ],
    { critical: t.anomaly.critical, critical_recovery: t.anomaly.recovery },
    alert,
    recovery,
    options={ threshold_windows: { trigger_window: alertWindow, recovery_window: alertWindow } },
  );

  {
    ci_failing_on_main: monitor(
      'Tests are failing on main',
      'The latest completed test run on the default branch failed and stayed failed for 30 minutes. Every merge and every rebase inherits the failure until it is fixed or reverted.',
      2,
      'max(last_30m):%s < %s' % [series('min', m.github.ci.tests_passing_on_main, PER_REPOSITORY), number(t.tests_passing.critical)],
      { critical: t.tests_passing.critical },
      'Tests on main of {{repo.name}} ({{env.name}}) have failed for 30 minutes. Fix or revert what was merged last.',
      'Tests on main of {{repo.name}} pass again.',
    ),

    pr_cycle_time_high: monitor(
      'PR cycle time is above %d hours' % t.cycle_time_hours.critical,
      'The median time from ready for review to merge has been above the limit for 4 hours. Long cycles mean large batches, stale branches and slow feedback; look at reviews that wait and at the size of pull requests.',
      3,
      'min(last_4h):%s > %s' % [series('max', m.github.prs.cycle_time_hours, PER_REPOSITORY), number(t.cycle_time_hours.critical)],
      {
        critical: t.cycle_time_hours.critical,
        warning: t.cycle_time_hours.warning,
        critical_recovery: t.cycle_time_hours.recovery,
      },
      'Pull requests of {{repo.name}} ({{env.name}}) take {{value}} hours from ready to merged. See who waits for a review.',
      'The cycle time of {{repo.name}} is back to normal.',
    ),

    stale_prs_high: monitor(
      'Stale PR count is above %d' % t.stale_prs.critical,
      'More open pull requests than usual have seen no update for 14 days. Work that is started and not finished costs twice: merge it, close it or mark it as a draft.',
      3,
      'min(last_2h):%s > %s' % [series('sum', m.github.prs.stale_count_14d, PER_REPOSITORY), number(t.stale_prs.critical)],
      { critical: t.stale_prs.critical, warning: t.stale_prs.warning },
      '{{value}} pull requests of {{repo.name}} ({{env.name}}) have not moved for 14 days. Merge, close or mark as drafts.',
      'The number of stale pull requests of {{repo.name}} is below the limit again.',
    ),

    hotfix_revert_spike: monitor(
      'Hotfixes and reverts spike',
      'Many more hotfixes and reverts reached the default branch than a day ago. Something that was merged lately is breaking; it may be wise to stop merging until the cause is known.',
      3,
      'change(max(last_4h),1d_ago):%s + %s > %s' % [
        series('sum', m.github.commits.hotfix, PER_REPOSITORY),
        series('sum', m.github.commits.reverts, PER_REPOSITORY),
        number(t.hotfixes_a_day.critical),
      ],
      { critical: t.hotfixes_a_day.critical, warning: t.hotfixes_a_day.warning },
      '{{repo.name}} ({{env.name}}) has {{value}} more hotfixes and reverts than a day ago. Find what is breaking before merging more.',
      'Hotfixes and reverts of {{repo.name}} are back to normal.',
    ),

    failed_ci_anomaly: anomaly(
      'Failed CI runs are unusually high',
      'More workflow runs failed in the last 24 hours than the past weeks suggest for this time of the week. A broken dependency, a flaky test or a full runner costs everybody a rerun.',
      3,
      'last_12h',
      'agile',
      'above',
      300,
      'last_2h',
      series('sum', m.github.ci.failed_workflows_24h, PER_REPOSITORY),
      'Unusually many CI runs of {{repo.name}} ({{env.name}}) fail. See which workflow fails on the code quality dashboard.',
      'CI failures of {{repo.name}} are as usual again.',
    ),

    active_developers_drop: anomaly(
      'Active developers drop unexpectedly',
      'Fewer people committed in the last 7 days than the past weeks suggest. Holidays explain most drops; a blocked team or a broken collector explain the others.',
      4,
      'last_1w',
      'robust',
      'below',
      3600,
      'last_1d',
      series('avg', m.github.developers.active_7d, PER_REPOSITORY),
      'Fewer people than usual commit to {{repo.name}} ({{env.name}}). Holidays, or is somebody blocked?',
      'The number of active developers of {{repo.name}} is as usual again.',
    ),

    merge_rate_anomaly: anomaly(
      'PR merge rate is unusual',
      'Many more or many fewer pull requests were merged in the last 24 hours than the past weeks suggest. A drop hints at a blocked pipeline, a jump at merges without review.',
      4,
      'last_1w',
      'robust',
      'both',
      3600,
      'last_1d',
      series('avg', m.github.prs.merged_24h, PER_REPOSITORY),
      'Merges to {{repo.name}} ({{env.name}}) are far from the usual number. Is the merge queue blocked?',
      'The merge rate of {{repo.name}} is as usual again.',
    ),

    // Blocks with a slower rhythm than the refresh interval are left out; on a free Asana plan `tasks` is one more.
    collector_stale: monitor(
      'A collector has stopped refreshing',
      'A part of a source has not been read successfully for three refresh intervals. Its figures have fallen silent: dashboards show gaps, SLOs count the gaps as uptime, and other monitors stay quiet.',
      2,
      'min(last_15m):%s > %s' % [
        series('max', m.collector.data_age_seconds, PER_SOURCE, ['!block:billing', '!block:idle', '!block:tasks_total']),
        number(t.data_age_seconds.critical),
      ],
      { critical: t.data_age_seconds.critical, warning: t.data_age_seconds.warning },
      'The source {{source.name}} ({{env.name}}) has not been read for {{value}} seconds. `datadog-agent status` and `metta-checks doctor {{source.name}}` say why.',
      'The source {{source.name}} is being read again.',
      'show_and_notify_no_data',
      of='source',
    ),
  }
