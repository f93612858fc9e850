// The SLOs, by key, of one environment. The number is the threshold of a slice; the target, a share of time, is our
// choice. A slice without data counts as uptime: the monitor collector_stale watches for that.
function(env='')
  local m = import 'lib/catalog.libsonnet';
  local thresholds = import 'lib/thresholds.libsonnet';
  local t = thresholds.production;
  local environment = if env == '' then 'production' else env;

  local series(agg, metric, where=[], modifiers='') =
    '%s:%s{%s}%s' % [agg, metric.name, std.join(',', ['env:' + environment] + where), modifiers];
  local query(name, text) = { data_source: 'metrics', name: name, query: text };

  local slo(name, description, target, warning) = {
    name: '[metta] ' + name,
    description: description,
    tags: ['service:metta_checks', 'team:' + thresholds.team, 'managed_by:metta_checks'],
    thresholds: [{ timeframe: timeframe, target: target, warning: warning } for timeframe in ['7d', '30d']],
    timeframe: '30d',
    target_threshold: target,
    warning_threshold: warning,
  };

  local timeSlice(name, description, target, warning, alias, text, comparator, threshold) =
    slo(name, description, target, warning) + {
      type: 'time_slice',
      sli_specification: {
        time_slice: {
          query: { formulas: [{ formula: alias }], queries: [query(alias, text)] },
          comparator: comparator,
          threshold: threshold,
          query_interval_seconds: 300,
        },
      },
    };

  local runs(conclusion) = series('sum', m.github.ci.runs, ['conclusion:' + conclusion], '.as_count()');

  {
    // Event based: each finished run counts once. Skipped, canceled and unfinished runs are neither good nor bad.
    ci_success_rate: slo(
      'CI success rate at or above %d%%' % t.ci_success_pct.slo,
      'Share of the workflow runs that succeeded among those that succeeded, failed, timed out or could not start.',
      t.ci_success_pct.slo,
      t.ci_success_pct.warning,
    ) + {
      type: 'metric',
      sli_specification: {
        count: {
          good_events_formula: { formula: 'good' },
          total_events_formula: { formula: 'good + failed + timed_out + startup_failure' },
          queries: [
            query('good', runs('success')),
            query('failed', runs('failure')),
            query('timed_out', runs('timed_out')),
            query('startup_failure', runs('startup_failure')),
          ],
        },
      },
    },

    pr_cycle_time_p90: timeSlice(
      'PR cycle time p90 at or below %d hours' % t.cycle_time_hours.slo,
      'Share of 5-minute slices in which the 90th percentile of the PR cycle time over 7 days is at most %d hours.' % t.cycle_time_hours.slo,
      95,
      97,
      'p90',
      series('max', m.github.prs.cycle_time_hours.p90),
      '<=',
      t.cycle_time_hours.slo,
    ),

    tests_passing_main: timeSlice(
      'Tests passing on main',
      'Share of 5-minute slices in which the latest completed run of every required workflow on main has passed.',
      99.9,
      99.95,
      'passing',
      series('min', m.github.ci.tests_passing_on_main),
      '>=',
      t.tests_passing.slo,
    ),

    stale_prs: timeSlice(
      'Stale PRs at or below %d' % t.stale_prs.slo,
      'Share of 5-minute slices in which at most %d open pull requests have had no update for 14 days.' % t.stale_prs.slo,
      95,
      97,
      'stale',
      series('sum', m.github.prs.stale_count_14d),
      '<=',
      t.stale_prs.slo,
    ),
  }
