// The monitors, by key. `env`: for one environment, with its thresholds; without, for all of them, with a tag each.
function(env='')
  local m = import 'lib/catalog.libsonnet';
  local thresholds = import 'lib/thresholds.libsonnet';
  local t = if env == 'staging' then thresholds.staging else thresholds.production;
  // Nobody is paged for staging.
  local priorityIn(environment, priority) = if environment == 'staging' then 5 else priority;
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

  // The line with the recipients. A monitor of all environments has a block for each, chosen by the tag of the alert.
  local recipients(priority) =
    local handles(environment) =
      std.join(' ', std.get(thresholds.notify[environment], '%d' % priorityIn(environment, priority), []));
    local block(environment) = '{{#is_exact_match "env.name" "%s"}}%s{{/is_exact_match}}' % [environment, handles(environment)];
    local named = [one for one in std.objectFields(thresholds.notify) if handles(one) != '' && (env == '' || env == one)];
    if named == [] then ''
    else '\n\nNotifies: ' + (if env == '' then std.join(' ', std.map(block, named)) else handles(env));

  // The text of each state that the monitor can reach; a lint rule demands them.
  local message(texts, priority) =
    local blocks = ['is_' + state for state in ['alert', 'warning', 'no_data', 'recovery'] if std.objectHas(texts, state)];
    std.join('', ['{{#%s}}%s{{/%s}}' % [block, texts[std.substr(block, 3, 20)], block] for block in blocks]) + recipients(priority);

  local monitor(title, description, priority, query, limits, texts, missing='show_no_data', options={}, of='repo') = {
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
      message: message(texts, priority),
      tags: ['integration:metta-checks', 'team:' + thresholds.team] + envFilter,
      priority: priorityIn(env, priority),
      options: {
        thresholds: limits,
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

  // A service check has statuses, no values: other options apply.
  local ofServiceCheck(monitor) = monitor {
    definition+: {
      type: 'service check',
      options: {
        [name]: monitor.definition.options[name]
        for name in std.objectFields(monitor.definition.options)
        if !std.member(['evaluation_delay', 'on_missing_data', 'require_full_window'], name)
      } + { notify_no_data: true, no_data_timeframe: 30 },
    },
  };
  local quoted(text) = '"%s"' % text;

  // Advice in messages: commands of the documentation, and addresses on GitHub. The command `metta-checks` is not installed
  // with the Agent, so it runs on another machine, with the same configuration.
  local ask(source) =
    '\n\nThe reason:\n- on a host: `sudo -u dd-agent datadog-agent status`\n- in a cluster: `kubectl -n datadog exec deployment/datadog-clusterchecks -- agent status collector`\n- from your own machine: `metta-checks doctor %s --config conf.d`' % source;
  local ASK = ask('{{source.name}}');
  local NO_FIGURES = 'No figures of {{repo.name}} ({{env.name}}) arrive, so this monitor cannot judge.' + ask('github');
  local onGitHub(path) = 'https://github.com/{{repo.name}}/' + path;
  local FAILED_RUNS = onGitHub('actions?query=is%3Afailure');
  local WAITING_REVIEWS = onGitHub('pulls?q=is%3Aopen+draft%3Afalse+review%3Arequired');
  local STALE_PRS = onGitHub('pulls?q=is%3Aopen+draft%3Afalse+sort%3Aupdated-asc');

  // Outside the band expected from past weeks. Weekly seasonality needs three weeks of data.
  local anomaly(title, description, priority, window, algorithm, direction, interval, alertWindow, of, texts) = monitor(
    title,
    description,
    priority,
    ('avg(%s):anomalies(%s, \'%s\', 3, direction=\'%s\', interval=%d, alert_window=\'%s\', ' +
     "count_default_zero='true', seasonality='weekly') >= %s") % [
      window, of, algorithm, direction, interval, alertWindow, number(t.anomaly.critical),
    ],
    { critical: t.anomaly.critical, critical_recovery: t.anomaly.recovery },
    texts,
    options={ threshold_windows: { trigger_window: alertWindow, recovery_window: alertWindow } },
  );

  {
    ci_failing_on_main: monitor(
      'Tests are failing on main',
      'Tests on the default branch have failed for 30 minutes. Every merge and rebase inherits the failure until somebody fixes or reverts it.',
      2,
      'max(last_30m):%s < %s' % [series('min', m.github.ci.tests_passing_on_main, PER_REPOSITORY), number(t.tests_passing.critical)],
      { critical: t.tests_passing.critical },
      {
        alert: 'Tests on main of {{repo.name}} ({{env.name}}) have failed for 30 minutes, and every merge and rebase inherits the failure. Find the first failed run, and fix or revert its commit: ' + FAILED_RUNS,
        no_data: NO_FIGURES,
        recovery: 'Tests on main of {{repo.name}} ({{env.name}}) pass again.',
      },
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
      {
        alert: 'The median pull request of {{repo.name}} ({{env.name}}) takes {{value}} hours from ready for review to merge. Changes that wait get conflicts and grow. These wait for a review: ' + WAITING_REVIEWS,
        warning: 'The median pull request of {{repo.name}} ({{env.name}}) takes {{value}} hours from ready for review to merge; the monitor alerts above {{threshold}}. These wait for a review: ' + WAITING_REVIEWS,
        no_data: NO_FIGURES,
        recovery: 'The cycle time of {{repo.name}} ({{env.name}}) is back to normal.',
      },
    ),

    stale_prs_high: monitor(
      'Stale PR count is above %d' % t.stale_prs.critical,
      'Many open pull requests have had no update for 14 days. Merge them, close them, or mark them as drafts.',
      3,
      'min(last_2h):%s > %s' % [series('sum', m.github.prs.stale_count_14d, PER_REPOSITORY), number(t.stale_prs.critical)],
      { critical: t.stale_prs.critical, warning: t.stale_prs.warning },
      {
        alert: '{{value}} pull requests of {{repo.name}} ({{env.name}}) have had no update for 14 days, and hide those that need a review. Merge them, close them, or mark them as drafts, the oldest first: ' + STALE_PRS,
        warning: '{{value}} pull requests of {{repo.name}} ({{env.name}}) have had no update for 14 days; the monitor alerts above {{threshold}}. Merge them, close them, or mark them as drafts, the oldest first: ' + STALE_PRS,
        no_data: NO_FIGURES,
        recovery: 'The number of stale pull requests of {{repo.name}} ({{env.name}}) is below the limit again.',
      },
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
      {
        alert: '{{repo.name}} ({{env.name}}) has {{value}} more hotfixes and reverts than a day ago: a recent merge probably causes failures. Find it before you merge more: ' + onGitHub('commits'),
        warning: '{{repo.name}} ({{env.name}}) has {{value}} more hotfixes and reverts than a day ago; the monitor alerts above {{threshold}}. Look at the last merges: ' + onGitHub('commits'),
        no_data: NO_FIGURES,
        recovery: 'Hotfixes and reverts of {{repo.name}} ({{env.name}}) are back to normal.',
      },
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
      {
        alert: 'More CI runs of {{repo.name}} ({{env.name}}) fail than usual, which delays every merge. Look for a broken dependency, a flaky test or an overloaded runner: ' + FAILED_RUNS,
        no_data: NO_FIGURES,
        recovery: 'CI failures of {{repo.name}} ({{env.name}}) are back to normal.',
      },
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
      {
        alert: 'Fewer people than usual commit to {{repo.name}} ({{env.name}}), so less gets done. Check for holidays, blocked work, or missing data: ' + onGitHub('commits'),
        no_data: NO_FIGURES,
        recovery: 'The number of active developers of {{repo.name}} ({{env.name}}) is back to normal.',
      },
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
      {
        alert: 'The number of merges to {{repo.name}} ({{env.name}}) in 24 hours is unusual. Few merges suggest a blocked pipeline, many suggest merges without review. The last ones: ' + onGitHub('pulls?q=is%3Amerged+sort%3Aupdated-desc'),
        no_data: NO_FIGURES,
        recovery: 'The merge rate of {{repo.name}} ({{env.name}}) is back to normal.',
      },
    ),

    // Blocks with a longer interval than the refresh interval are excluded; on a free Asana plan `tasks` is one more.
    collector_stale: monitor(
      'A collector has stopped refreshing',
      'A block of a source has not been read for three refresh intervals, or never since it was first tried, so its figures are absent. Dashboards show gaps, SLOs count gaps as uptime, and other monitors do not alert.',
      2,
      'min(last_15m):%s > %s' % [
        series('max', m.collector.data_age_seconds, PER_SOURCE, ['!block:billing', '!block:commitments', '!block:idle', '!block:project_list', '!block:tasks_total']),
        number(t.data_age_seconds.critical),
      ],
      { critical: t.data_age_seconds.critical, warning: t.data_age_seconds.warning },
      {
        alert: 'A block of the source {{source.name}} ({{env.name}}) has not been read for {{value}} seconds, so its figures are absent: dashboards show gaps, and monitors on them do not alert.' + ASK,
        warning: 'A block of the source {{source.name}} ({{env.name}}) has not been read for {{value}} seconds. Its figures disappear after {{threshold}} seconds.' + ASK,
        no_data: 'Nothing arrives from the source {{source.name}} ({{env.name}}): the Agent does not run the check, or cannot send. Dashboards show gaps, and monitors on these figures do not alert.' + ASK,
        recovery: 'The check reads the source {{source.name}} ({{env.name}}) again.',
      },
      'show_and_notify_no_data',
      of='source',
    ),

    // Also alerts for a source that has never worked: the service check is sent from the first run on.
    source_unreachable: ofServiceCheck(monitor(
      'A source cannot be read',
      'The service refuses the credentials, cannot be reached, or none of its blocks could be read. The source has no figures, or only old ones.',
      2,
      // Datadog looks at one status more than the highest threshold.
      '"metta.can_connect".over(%s).by(%s).last(%d).count_by_status()' % [
        std.join(',', std.map(quoted, if envFilter == [] then ['*'] else envFilter)),
        std.join(',', std.map(quoted, PER_SOURCE)),
        t.can_connect.warning + 1,
      ],
      t.can_connect,
      {
        alert: 'The source {{source.name}} ({{env.name}}) cannot be read: {{check_message}}\n\nIts figures disappear, and monitors on them do not alert.' + ASK,
        warning: 'A part of the source {{source.name}} ({{env.name}}) has not been readable for more than an hour: {{check_message}}\n\nThe figures of this part disappear, and monitors on them do not alert.' + ASK,
        no_data: 'The service check of the source {{source.name}} ({{env.name}}) has stopped: the Agent does not run the check, or cannot send. Dashboards show gaps, and monitors on these figures do not alert.' + ASK,
        recovery: 'The source {{source.name}} ({{env.name}}) can be read again.',
      },
      of='source',
    )),
  }
