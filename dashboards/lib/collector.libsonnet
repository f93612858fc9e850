// Health of the collectors: all sources, or one (`source`).
function(variables, source='') {
  local m = (import 'catalog.libsonnet').collector,
  local g = import 'grid.libsonnet',
  local p = import 'presets.libsonnet',
  local q = (import 'query.libsonnet')(variables),
  local w = import 'widgets.libsonnet',
  local t = (import 'thresholds.libsonnet').production,
  local where = if source == '' then [] else ['source:' + source],

  local age = w.ts(
    'Age of the data',
    [q.worst(
      m.data_age_seconds,
      'oldest data',
      ['source'],
      ['!block:billing', '!block:commitments', '!block:idle', '!block:project_list', '!block:tasks_total'] + where
    )],
    { markers: p.markers(t.data_age_seconds, 'min', 60) },
  ),
  local left = w.ts('Rate limit left', [q.formula(
    'left',
    '100 * remaining / limit',
    {
      remaining: q.series(m.rate_limit.remaining, 'min', ['source', 'resource'], where),
      limit: q.series(m.rate_limit.limit, 'min', ['source', 'resource'], where),
    },
    'percent',
    about='Percentage of a limit of the service that is left. ' + m.rate_limit.remaining.about
  )]),

  collectors: g.group('Collectors', 'vivid_orange', [
    g.row(3, [[12, age]]),
    g.row(4, [
      [6, w.table('Sources, over the time shown', [
        q.formula('up', '100 * up', { up: q.series(m.up, 'avg', ['source']) }, 'percent', about=m.up.about)
        + { over: 'avg', formats: p.atLeast(100) },
        q.total(m.requests, 'requests', ['source']),
        q.total(m.series, 'series', ['source']),
        q.worst(m.truncated, 'blocks cut off', ['source']) + { formats: p.noneWanted },
        q.worst(m.refresh.duration_seconds, 'refresh takes', ['source']),
      ], 50, {}, 0, 'asc')],
      [6, w.toplist('Problems, empty when all is well', q.total(m.errors, 'problems', ['source', 'reason']))],
    ]),
    g.row(3, [[12, left]]),
  ]),

  // For the page of one source: rate limits of its service, and the requests sent.
  rateLimits(extra=[]): g.group('Rate Limits', 'orange', [
    g.even(3, [
      left,
      w.bars('Requests sent', [q.total(m.requests, 'requests', [], where)]),
    ] + extra),
  ]),
}
