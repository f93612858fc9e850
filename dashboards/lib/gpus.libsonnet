// GPU economics: the funnel from paid to useful GPUs, in GPUs and in USD; waste by cause; what nobody knows.
//
// A stage has several sources, and their figures overlap: a node of Kubernetes is an EC2 instance, and so is a cluster of
// SkyPilot. Therefore the template variables `paid`, `held` and `used` choose one source for each stage. A chosen source is
// one whose collector matches the variable: `0 * chosen` adds nothing, and where it matches nothing there is no value.
function(variables) {
  local catalog = import 'catalog.libsonnet',
  local m = catalog.ec2,
  local k = catalog.kubernetes,
  local s = catalog.skypilot,
  local b = catalog.wandb,
  local g = import 'grid.libsonnet',
  local p = import 'presets.libsonnet',
  local q = (import 'query.libsonnet')(variables),
  // Filters of a figure, as project:x of `scope`, do not apply to the collector.
  local chooser = (import 'query.libsonnet')(['env']),
  local w = import 'widgets.libsonnet',

  local HOURS_A_WEEK = 168,

  // Sources of a stage: formulas over queries of GPUs and of USD per hour.
  local paid = {
    ec2: {
      name: 'EC2',
      gpus: { formula: 'ec2_gpus', queries: { ec2_gpus: q.series(m.instances.gpus, 'sum') } },
      usd: { formula: 'ec2_usd', queries: { ec2_usd: q.series(m.cost.gpu_hourly_usd, 'sum') } },
    },
    skypilot: {
      name: 'SkyPilot',
      gpus: { formula: 'sky_gpus', queries: { sky_gpus: q.series(s.gpus.in_use, 'sum') } },
      usd: {
        formula: 'sky_usd',
        queries: { sky_usd: q.series(s.cost.breakdown_hourly_usd, 'sum', [], ['!gpu_type:none']) },
      },
    },
    kubernetes: {
      name: 'Kubernetes',
      gpus: { formula: 'kube_gpus', queries: { kube_gpus: q.series(k.gpu.allocatable, 'sum') } },
    },
  },
  local held = {
    skypilot: {
      name: 'SkyPilot',
      formula: 'sky_held',
      queries: { sky_held: q.series(s.gpus.in_use, 'sum', [], ['!kind:controller']) },
    },
    kubernetes: {
      name: 'Kubernetes',
      formula: 'kube_held',
      queries: { kube_held: q.series(k.gpu.requested, 'sum') },
    },
  },
  local used = {
    wandb: {
      name: 'W&B',
      formula: '(runs_gpus - runs_idle)',
      queries: { runs_gpus: q.series(b.gpus.in_use, 'sum'), runs_idle: q.series(b.gpus.idle, 'sum') },
    },
    kubernetes: {
      name: 'Kubernetes',
      formula: '(kube_busy_of - kube_idle)',
      queries: { kube_busy_of: q.series(k.gpu.requested, 'sum'), kube_idle: q.series(k.gpu.idle, 'sum') },
    },
  },

  // A query that has values when the variable of a stage allows the source.
  local choice(stage, source) = {
    [stage + '_' + source]: chooser.series(catalog.collector.up, 'max', [], ['source:' + source, '$' + stage]),
  },
  local chosen(picks) = std.join('', [' + 0 * %s_%s' % [stage, picks[stage]] for stage in std.objectFields(picks)]),
  local choices(picks) = std.foldl(
    function(all, stage) all + choice(stage, picks[stage]), std.objectFields(picks), {}
  ),

  // A term of a stage for one source.
  local stage(alias, of, picks, factor=1, unit='') = q.formula(
    alias,
    (if factor == 1 then '' else '%d * ' % factor) + of.formula + chosen(picks),
    of.queries + choices(picks),
    unit
  ),
  // Terms of one widget share queries: each is kept in the first term that names it.
  local shared(terms) = std.foldl(
    function(acc, term) {
      known: acc.known + term.queries,
      terms: acc.terms + [term { queries: {
        [name]: term.queries[name]
        for name in std.objectFields(term.queries)
        if !std.objectHas(acc.known, name)
      } }],
    },
    terms,
    { known: {}, terms: [] }
  ).terms,

  local funnel = shared(
    [stage('paid, ' + paid[one].name, paid[one].gpus, { paid: one }) for one in std.objectFields(paid)]
    + [stage('held, ' + held[one].name, held[one], { held: one }) for one in std.objectFields(held)]
    + [stage('at work, ' + used[one].name, used[one], { used: one }) for one in std.objectFields(used)]
  ),

  // Every combination of sources for the parts of the money: at most one has values.
  local combinations = [
    { paid: one, held: two, used: three }
    for one in std.objectFields(paid)
    if std.objectHas(paid[one], 'usd')
    for two in std.objectFields(held)
    for three in std.objectFields(used)
  ],
  // The smaller one of two formulas.
  local lesser(one, other) = '((%(one)s + %(other)s - abs(%(one)s - %(other)s)) / 2)' % { one: one, other: other },

  // The paid GPUs, divided by their use: at work are those that are also held, and held are those that are also paid. So
  // the parts add up to what is paid, whatever a source sees beyond the one before.
  local held_of(picks) = lesser(held[picks.held].formula, paid[picks.paid].gpus.formula),
  local work_of(picks) = lesser(used[picks.used].formula, held_of(picks)),

  // USD per week of a number of GPUs, at the average price of a paid GPU.
  local money(alias, gpus, queries) = shared([
    stage(alias, {
      formula: '%s / %s * (%s)' % [paid[picks.paid].usd.formula, paid[picks.paid].gpus.formula, gpus(picks)],
      queries: paid[picks.paid].usd.queries + paid[picks.paid].gpus.queries + queries(picks),
    }, picks, HOURS_A_WEEK, 'dollar')
    for picks in combinations
  ]),

  byUse: w.layers('Cost of GPUs per week: at work and wasted', [
    { kind: 'area', palette: 'green', terms: money(
      'at work', work_of, function(picks) held[picks.held].queries + used[picks.used].queries
    ) },
    { kind: 'area', palette: 'orange', terms: money(
      'held, not at work',
      function(picks) '%s - %s' % [held_of(picks), work_of(picks)],
      function(picks) held[picks.held].queries + used[picks.used].queries
    ) },
    { kind: 'area', palette: 'red', terms: money(
      'paid, not held',
      function(picks) '%s - %s' % [paid[picks.paid].gpus.formula, held_of(picks)],
      function(picks) held[picks.held].queries
    ) },
  ], {
    description: 'Cost of the paid GPUs in USD per week, at list prices and at the average price of a GPU, divided by use. With `paid: kubernetes` there is none, because Kubernetes knows no prices of nodes.',
  }),

  // Waste by cause, in USD per week at the present rate: each from one source, never to be added up.
  local aWeek(title, metric, alias) = w.value(
    title,
    q.formula(alias, '%d * hourly' % HOURS_A_WEEK, { hourly: q.series(metric, 'sum') }, 'dollar', about=metric.about),
    [],
    { precision: 0 }
  ),
  idleMachines: aWeek('Idle EC2 machines, per week', m.cost.idle_hourly_usd, 'EC2') + p.links.instances,
  idleClusters: aWeek('Idle SkyPilot clusters, per week', s.cost.idle_clusters_hourly_usd, 'SkyPilot'),
  heldIdle: aWeek('Idle in Kubernetes pods, per week', k.cost.gpu_idle_hourly_usd, 'Kubernetes'),
  idleInRuns: aWeek('Idle in W&B runs, per week', b.gpus.idle_cost_hourly_usd, 'W&B'),
  failedJobs: w.value('Failed SkyPilot jobs, 24 h', q.total(s.cost.failed_jobs_usd_24h, 'failed jobs'), [], { precision: 0 }),
  failedRuns: w.value('Failed W&B runs, 7 days', q.total(b.training.wasted_cost_usd_7d, 'failed runs'), [], { precision: 0 }),

  // The last stage: GPU-hours of runs that did not fail, crash or get killed.
  local hours = {
    run_hours: q.series(b.training.total_gpu_hours_7d, 'sum'),
    lost_hours: q.series(b.training.wasted_gpu_hours_7d, 'sum'),
  },
  local lost = 'GPU-hours of runs less those of runs that failed, crashed or were killed. A run that still runs counts.',

  stages: g.group('From Paid to at Work', 'vivid_green', [
    g.row(3, [
      [6, w.ts('GPUs: paid, held, at work', funnel, {
        description: 'Paid: GPUs of running instances, of clusters, or of nodes. Held: GPUs of clusters and jobs, or those that pods request. At work: GPUs of runs, or held ones, without idle ones. The variables choose a source for each.',
      })],
      [3, p.count('Useful GPU-hours of W&B runs, 7 days', q.labeled(
        q.formula('useful', 'run_hours - lost_hours', hours, about=lost), 'GPU-h'
      ))],
      [3, w.value('Useful share of W&B runs, 7 days', q.formula(
        'useful', '100 * (run_hours - lost_hours) / run_hours', hours, 'percent', about=lost
      ))],
    ]),
  ]),

  causes: g.group('Waste by Cause', 'vivid_pink', [
    g.even(3, [
      w.ts('Waste by cause, USD per hour', [
        q.total(m.cost.idle_hourly_usd, 'idle EC2 machines'),
        q.total(s.cost.idle_clusters_hourly_usd, 'idle SkyPilot clusters'),
        q.total(k.cost.gpu_idle_hourly_usd, 'idle in Kubernetes pods'),
        q.total(b.gpus.idle_cost_hourly_usd, 'idle in W&B runs'),
      ]),
      w.ts('GPUs without work by cause', [
        q.total(s.clusters.idle_gpus, 'idle SkyPilot clusters'),
        q.total(k.gpu.idle, 'idle in Kubernetes pods'),
        q.total(b.gpus.idle, 'idle in W&B runs'),
        q.total(k.gpu.free, 'free in Kubernetes'),
      ]),
    ]),
    g.even(3, [
      w.ts('W&B runs that ended badly, 7 days', [
        q.total(b.runs.ended_7d, 'runs', ['state'], ['state IN (failed,crashed,killed,preempted)']),
      ]),
      w.ts('Preemptions of SkyPilot jobs, 24 h', [q.total(s.jobs.preemptions_24h, 'preemptions', ['gpu_type'])]),
      w.toplist('Idle GPUs by namespace', q.total(k.namespace.gpu_idle, 'GPUs', ['kube_namespace'])),
    ]),
  ]),

  owners: g.group('By GPU Type And Owner', 'vivid_purple', [
    g.row(3, [
      [6, w.table('GPU types in Kubernetes', [
        q.total(k.gpu.allocatable, 'allocatable', ['gpu_type']),
        q.total(k.gpu.requested, 'held', ['gpu_type']),
        q.total(k.gpu.free, 'free', ['gpu_type']),
        q.total(k.gpu.idle, 'held but idle', ['gpu_type']) + { formats: p.noneWanted },
        q.of(k.gpu.utilization_pct, 'utilization', 'avg', ['gpu_type']),
      ], 50, {}, 3)],
      [6, w.toplist('Cost of W&B runs, 7 days', q.total(b.gpus.cost_usd_7d, 'cost', ['gpu_type', 'project']), 8)],
    ]),
    g.even(3, [
      w.toplist('Paid GPUs on EC2', q.total(m.instances.gpus, 'GPUs', ['gpu_type'])),
      w.toplist('Spent on SkyPilot by user, 24 h', q.total(s.cost.spend_usd_24h_by_user, 'spent', ['user']), 8),
    ]),
  ]),

  unknown: g.group('Not Known', 'vivid_orange', [
    g.row(2, [[12, w.table('Not in the figures above', [
      q.worst(m.cost.price_coverage_pct, 'EC2: priced instances') + { formats: p.atLeast(100) },
      q.total(m.instances.idle_unknown, 'EC2: not known to be idle') + { formats: p.noneWanted },
      q.worst(s.cost.price_coverage_pct, 'SkyPilot: priced clusters') + { formats: p.atLeast(100) },
      q.total(s.clusters.idle_unknown, 'SkyPilot: clusters not asked') + { formats: p.noneWanted },
      q.labeled(q.total(b.training.unpriced_gpu_hours_7d, 'W&B: without price, 7 days'), 'GPU-h') + { formats: p.noneWanted },
    ])]]),
    g.row(2, [[12, w.note(
      '- **Paid**: list prices, no discounts. GPUs without a price are in no amount of USD. Kubernetes knows no prices of nodes.\n- **Held**: a cluster of SkyPilot counts with all its GPUs, at work or not (`idle_minutes` finds idle ones).\n- **At work**: GPUs of W&B runs used at least 5 %; work outside of W&B is not seen. From Kubernetes (`gpu_usage`): held GPUs less idle ones; a GPU that nobody measures counts as at work.\n- **Money by use**: at the average price of a paid GPU. GPUs that the source of `held` sees, and the one of `paid` does not, cost nothing here; nor does work on GPUs that are not held.'
    )]]),
  ]),
}
