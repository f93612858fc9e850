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

  // The last stage: GPU-hours of runs that did not fail, crash or get killed.
  local useful = q.formula('useful in 7 days, W&B', 'run_hours - lost_hours', {
    run_hours: q.series(b.training.total_gpu_hours_7d, 'sum'),
    lost_hours: q.series(b.training.wasted_gpu_hours_7d, 'sum'),
  }),

  local funnel(factor=1) = shared(
    [stage('paid, ' + paid[one].name, paid[one].gpus, { paid: one }, factor) for one in std.objectFields(paid)]
    + [stage('held, ' + held[one].name, held[one], { held: one }, factor) for one in std.objectFields(held)]
    + [stage('at work, ' + used[one].name, used[one], { used: one }, factor) for one in std.objectFields(used)]
  ),

  // Every combination of sources for the parts of the money: at most one has values.
  local combinations = [
    { paid: one, held: two, used: three }
    for one in std.objectFields(paid)
    if std.objectHas(paid[one], 'usd')
    for two in std.objectFields(held)
    for three in std.objectFields(used)
  ],
  // USD per hour of a number of GPUs, at the average price of a paid GPU.
  local money(alias, gpus, queries, picks) = stage(alias, {
    formula: '%s / %s * clamp_min(%s, 0)' % [paid[picks.paid].usd.formula, paid[picks.paid].gpus.formula, gpus],
    queries: paid[picks.paid].usd.queries + paid[picks.paid].gpus.queries + queries,
  }, picks, 1, 'dollar'),
  // A part of the money: the GPUs of a stage, less those of the next one.
  local part(alias, of, less=function(picks) null) = shared([
    local more = of(picks), fewer = less(picks);
    if fewer == null
    then money(alias, more.formula, more.queries, picks)
    else money(alias, '%s - %s' % [more.formula, fewer.formula], more.queries + fewer.queries, picks)
    for picks in combinations
  ]),
  local paidGpus(picks) = paid[picks.paid].gpus,
  local heldGpus(picks) = held[picks.held],
  local usedGpus(picks) = used[picks.used],

  funnel: w.ts('GPUs: paid, held, at work', funnel()),
  moneyByFate: w.layers('USD per hour: at work, held idle, free', [
    { kind: 'area', palette: 'green', terms: part('at work', usedGpus) },
    { kind: 'area', palette: 'orange', terms: part('held, not at work', heldGpus, usedGpus) },
    { kind: 'area', palette: 'red', terms: part('paid, not held', paidGpus, heldGpus) },
  ]),
  weekly: w.table('GPU-hours of a week, at the average shown', [
    q.labeled(term, 'GPU-h') { over: 'avg' }
    for term in funnel(HOURS_A_WEEK)
  ] + [q.labeled(useful, 'GPU-h')]),

  funnelNote: w.note(
    'At the average price of a paid GPU. GPUs at work according to Kubernetes need its option `gpu_usage`. See "Not Known" below.'
  ),

  // Waste by cause, in USD per week at the present rate: each from one source, never to be added up.
  local aWeek(title, metric, alias) = w.value(
    title,
    q.formula(alias, '168 * hourly', { hourly: q.series(metric, 'sum') }, 'dollar'),
    p.noneWanted,
    { precision: 0 }
  ),
  idleMachines: aWeek('Idle machines, per week', m.cost.idle_hourly_usd, 'EC2'),
  idleClusters: aWeek('Idle clusters, per week', s.cost.idle_clusters_hourly_usd, 'SkyPilot'),
  heldIdle: aWeek('Held but idle, per week', k.cost.gpu_idle_hourly_usd, 'Kubernetes'),
  failedJobs: w.value('Failed jobs, 24 h', q.total(s.cost.failed_jobs_usd_24h, 'failed jobs'), p.noneWanted, { precision: 0 }),
  failedRuns: w.value('Failed runs, 7 days', q.total(b.training.wasted_cost_usd_7d, 'failed runs'), p.noneWanted, { precision: 0 }),
  idleInRuns: aWeek('Idle in runs, per week', b.gpus.idle_cost_hourly_usd, 'W&B'),
  causesNote: w.note(
    'Money that buys no work, by cause. Causes overlap (an idle cluster is an idle machine, too): look for the largest one, do not add them up. Options `idle` (EC2), `idle_minutes` (SkyPilot), `gpu_usage` (Kubernetes), `prices` (W&B).'
  ),

  causes: g.group('Waste by Cause', 'vivid_pink', [
    g.row(3, [
      [7, w.ts('USD per hour', [
        q.total(m.cost.idle_hourly_usd, 'idle machines, EC2'),
        q.total(s.cost.idle_clusters_hourly_usd, 'idle clusters, SkyPilot'),
        q.total(k.cost.gpu_idle_hourly_usd, 'held but idle, Kubernetes'),
        q.total(b.gpus.idle_cost_hourly_usd, 'in runs but idle, W&B'),
      ])],
      [5, w.ts('GPUs', [
        q.total(s.clusters.idle_gpus, 'of idle clusters, SkyPilot'),
        q.total(k.gpu.idle, 'held but idle, Kubernetes'),
        q.total(b.gpus.idle, 'in runs but idle, W&B'),
        q.total(k.gpu.free, 'free, Kubernetes'),
      ])],
    ]),
    g.row(3, [
      [4, w.ts('Runs that ended badly, 7 days', [
        q.total(b.runs.ended_7d, 'runs', ['state'], ['state IN (failed,crashed,killed,preempted)']),
      ])],
      [2, w.toplist('Preemptions, 24 h', q.total(s.jobs.preemptions_24h, 'preemptions', ['gpu_type']))],
      [3, w.toplist('Reserved, not running', q.total(m.capacity.unused_instances, 'instances', ['instance_type']))],
      [3, w.note(
        'Options `idle` and `capacity_reservations` (EC2), `idle_minutes` (SkyPilot), `gpu_usage` (Kubernetes). Each line comes from one source; a machine can be in several lines.'
      )],
    ]),
  ]),

  owners: g.group('By GPU Type And Owner', 'vivid_purple', [
    g.row(3, [
      [6, w.table('GPU types in the cluster', [
        q.total(k.gpu.allocatable, 'allocatable', ['gpu_type']),
        q.total(k.gpu.requested, 'held', ['gpu_type']),
        q.total(k.gpu.free, 'free', ['gpu_type']),
        q.total(k.gpu.idle, 'held but idle', ['gpu_type']) + { formats: p.noneWanted },
        q.of(k.gpu.utilization_pct, 'utilization', 'avg', ['gpu_type']),
      ])],
      [3, w.toplist('Paid GPUs on EC2', q.total(m.instances.gpus, 'GPUs', ['gpu_type']))],
      [3, w.toplist('Cost of runs, 7 days', q.total(b.gpus.cost_usd_7d, 'cost', ['gpu_type', 'project']))],
    ]),
    g.row(3, [
      [5, w.toplist('Spent by user, 24 h', q.total(s.cost.spend_usd_24h_by_user, 'spent', ['user']))],
      [5, w.toplist('Held but idle by namespace', q.total(k.namespace.gpu_idle, 'GPUs', ['kube_namespace']))],
      [2, w.note('Options `by_user` (SkyPilot) and `gpu_usage` (Kubernetes).')],
    ]),
  ]),

  unknown: g.group('Not Known', 'vivid_orange', [
    g.row(2, [
      [3, w.value('Paid: instances with a price', q.worst(m.cost.price_coverage_pct, 'priced'), p.atLeast(100))],
      [3, w.value('Paid: clusters with a price', q.worst(s.cost.price_coverage_pct, 'priced'), p.atLeast(100))],
      [3, p.count('Held: clusters not asked', q.total(s.clusters.idle_unknown, 'unknown'), p.noneWanted)],
      [3, w.value('Used: hours without price, 7 days', q.labeled(q.total(b.training.unpriced_gpu_hours_7d, 'unpriced'), 'GPU-h'), p.noneWanted)],
    ]),
    g.row(2, [[3, p.count('Idle: instances not judged', q.total(m.instances.idle_unknown, 'not judged'), p.noneWanted)], [9, w.note(
      '- **Paid**: list prices, no discounts. GPUs without a price are in no amount of USD. Kubernetes knows no prices of nodes.\n- **Held**: a cluster of SkyPilot counts with all its GPUs, at work or not (`idle_minutes` finds idle ones).\n- **At work**: GPUs of W&B runs used at least 5 %; work outside of W&B is not seen. From Kubernetes (`gpu_usage`): held GPUs less idle ones; a GPU that nobody measures counts as at work.\n- **Useful**: GPU-hours of W&B runs less those of runs that failed, crashed or were killed; a run that still runs counts.\n- Parts below 0 are drawn as 0: then two sources do not see the same machines.'
    )]]),
  ]),
}
