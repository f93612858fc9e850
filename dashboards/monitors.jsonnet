// The monitors, by key. `env`: for one environment, with its thresholds; without, for all of them, with a tag each.
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

  // Outside the band expected from past weeks. Weekly seasonality needs three weeks of data.
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
      'Tests on the default branch have failed for 30 minutes. Every merge and rebase inherits the failure until somebody fixes or reverts it.',
      2,
      'max(last_30m):%s < %s' % [series('min', m.github.ci.tests_passing_on_main, PER_REPOSITORY), number(t.tests_passing.critical)],
      { critical: t.tests_passing.critical },
      'Tests on main of {{repo.name}} ({{env.name}}) have failed for 30 minutes. Fix or revert the last merge.',
      'Tests on main of {{repo.name}} pass again.',
    ),

    pr_cycle_time_high: monitor(
      'PR cycle time is above %d hours' % t.cycle_time_hours.critical,
      'The median time from ready for review to merge has been above the limit for 4 hours. Long cycles mean large batches, stale branches and slow feedback. Look at waiting reviews and at the size of pull requests.',
      3,
      'min(last_4h):%s > %s' % [series('max', m.github.prs.cycle_time_hours, PER_REPOSITORY), number(t.cycle_time_hours.critical)],
      {
        critical: t.cycle_time_hours.critical,
        warning: t.cycle_time_hours.warning,
        critical_recovery: t.cycle_time_hours.recovery,
      },
      'The median pull request of {{repo.name}} ({{env.name}}) takes {{value}} hours from ready for review to merge. Look for waiting reviews.',
      'The cycle time of {{repo.name}} is back to normal.',
    ),

    stale_prs_high: monitor(
      'Stale PR count is above %d' % t.stale_prs.critical,
      'Many open pull requests have had no update for 14 days. Merge them, close them, or mark them as drafts.',
      3,
      'min(last_2h):%s > %s' % [series('sum', m.github.prs.stale_count_14d, PER_REPOSITORY), number(t.stale_prs.critical)],
      { critical: t.stale_prs.critical, warning: t.stale_prs.warning },
      '{{value}} pull requests of {{repo.name}} ({{env.name}}) have had no update for 14 days. Merge them, close them, or mark them as drafts.',
      'The number of stale pull requests of {{repo.name}} is below the limit again.',
    ),

    hotfix_revert_spike: monitor(
      'Hotfixes and reverts spike',
      'Many more hotfixes and reverts reached the default branch than a day ago. A recent merge probably causes failures. Consider pausing merges until you know the cause.',
      3,
      'change(max(last_4h),1d_ago):%s + %s > %s' % [
        series('sum', m.github.commits.hotfix, PER_REPOSITORY),
        series('sum', m.github.commits.reverts, PER_REPOSITORY),
        number(t.hotfixes_a_day.critical),
      ],
      { critical: t.hotfixes_a_day.critical, warning: t.hotfixes_a_day.warning },
      '{{repo.name}} ({{env.name}}) has {{value}} more hotfixes and reverts than a day ago. Find the cause before you merge more.',
      'Hotfixes and reverts of {{repo.name}} are back to normal.',
    ),

    failed_ci_anomaly: anomaly(
      'Failed CI runs are unusually high',
      'More workflow runs failed in the last 24 hours than is usual for this time of the week. Common causes are a broken dependency, a flaky test or an overloaded runner.',
      3,
      'last_12h',
      'agile',
      'above',
      300,
      'last_2h',
      series('sum', m.github.ci.failed_workflows_24h, PER_REPOSITORY),
      'More CI runs of {{repo.name}} ({{env.name}}) fail than usual. The code quality dashboard shows the failing workflows.',
      'CI failures of {{repo.name}} are back to normal.',
    ),

    active_developers_drop: anomaly(
      'Active developers drop unexpectedly',
      'Fewer people committed in the last 7 days than in past weeks. Common causes are holidays, a blocked team, or missing data.',
      4,
      'last_1w',
      'robust',
      'below',
      3600,
      'last_1d',
      series('avg', m.github.developers.active_7d, PER_REPOSITORY),
      'Fewer people than usual commit to {{repo.name}} ({{env.name}}). Check for holidays, blocked work, or missing data.',
      'The number of active developers of {{repo.name}} is back to normal.',
    ),

    merge_rate_anomaly: anomaly(
      'PR merge rate is unusual',
      'The number of pull requests merged in the last 24 hours is far from that of past weeks. A drop suggests a blocked pipeline, a jump suggests merges without review.',
      4,
      'last_1w',
      'robust',
      'both',
      3600,
      'last_1d',
      series('avg', m.github.prs.merged_24h, PER_REPOSITORY),
      'The number of merges to {{repo.name}} ({{env.name}}) is unusual. Check the merge queue and the reviews.',
      'The merge rate of {{repo.name}} is back to normal.',
    ),

    // Blocks with a longer interval than the refresh interval are excluded; on a free Asana plan `tasks` is one more.
    collector_stale: monitor(
      'A collector has stopped refreshing',
      'A block of a source has not been read for three refresh intervals, so its figures are absent. Dashboards show gaps, SLOs count gaps as uptime, and other monitors do not alert.',
      2,
      'min(last_15m):%s > %s' % [
        series('max', m.collector.data_age_seconds, PER_SOURCE, ['!block:billing', '!block:idle', '!block:tasks_total']),
        number(t.data_age_seconds.critical),
      ],
      { critical: t.data_age_seconds.critical, warning: t.data_age_seconds.warning },
      'The source {{source.name}} ({{env.name}}) has not been read for {{value}} seconds. `datadog-agent status` and `metta-checks doctor {{source.name}}` show the reason.',
      'The check reads the source {{source.name}} again.',
      'show_and_notify_no_data',
      of='source',
    ),
  }
