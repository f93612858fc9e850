// Thresholds of markers, colors, monitors and SLOs, in one place: a lint compares the four.
//
// Staging starts with doubled alert thresholds, priority 5 and nobody paged. `slo` values are the same everywhere.
local production = {
  cycle_time_hours: { slo: 48, warning: 48, recovery: 60, critical: 72 },
  stale_prs: { slo: 20, warning: 20, critical: 50 },
  hotfixes_a_day: { warning: 3, critical: 5 },
  // A share of the points in the alert window that lie outside the expected band.
  anomaly: { critical: 0.8, recovery: 0 },
  tests_passing: { slo: 1, critical: 1 },
  ci_success_pct: { slo: 95, warning: 97 },
  // A choice of this project: no source defines a limit for the duration of CI.
  ci_duration_minutes: { warning: 20, critical: 40 },
  // Two and three refresh intervals of 900 s: change them together with `refresh_interval`.
  data_age_seconds: { warning: 1800, critical: 2700 },
  // Runs in a row, one a minute. After ten, the check has tried several times to read a service that is down. A warning
  // is often about a wait, for example for a rate limit, which takes an hour at most.
  can_connect: { ok: 1, warning: 75, critical: 10 },
};

local doubled(threshold) = threshold {
  [name]: 2 * threshold[name]
  for name in std.objectFields(threshold)
  if name != 'slo'
};

{
  // The team in the tag `team:` of monitors and SLOs, for Datadog's notification rules.
  team: 'devops',
  // Recipients of the monitors, by environment and priority: '2': ['@pagerduty-web', '@slack-ops']. Priority 5 is that of
  // all monitors of staging. Nobody is named here, because only you know the names.
  notify: {
    production: { '2': [], '3': [], '4': [] },
    staging: { '5': [] },
  },
  production: production,
  staging: production {
    [name]: doubled(production[name])
    for name in ['cycle_time_hours', 'stale_prs', 'hotfixes_a_day', 'data_age_seconds']
  },
}
