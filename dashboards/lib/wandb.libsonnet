// Training: what runs and fails, what GPUs do, what came out, and what it cost.
function(variables) {
  local m = (import 'catalog.libsonnet').wandb,
  local g = import 'grid.libsonnet',
  local p = import 'presets.libsonnet',
  local q = (import 'query.libsonnet')(variables),
  local w = import 'widgets.libsonnet',

  active: p.count('Active W&B runs', q.total(m.runs.active, 'active')),
  completed: p.count('Completed W&B runs, 7 days', q.total(m.runs.completed_7d, 'completed')),
  failed: p.count('Failed W&B runs, 7 days', q.total(m.runs.failed_7d, 'failed'), [], p.links.wandb),
  gpuHours: p.count('GPU-hours of W&B runs, 7 days', q.labeled(q.total(m.training.total_gpu_hours_7d, 'used'), 'GPU-h')),
  utilization: w.value('GPU utilization', q.of(m.training.gpu_utilization_avg, 'utilization')),
  bestAccuracy: w.value('Best accuracy, 7 days', q.of(m.metrics.best_accuracy, 'best', 'max'), [], { precision: 3 }),
  accuracyCurve: w.ts('Best accuracy, 7 days', [q.of(m.metrics.best_accuracy, 'best', 'max', ['project'])], p.close + p.links.wandb),
  lossCurve: w.ts('Latest loss, 7 days', [q.of(m.metrics.latest_loss, 'loss', 'avg', ['project'])], p.close + p.links.wandb),
  utilizationCurve: w.ts('Utilization of W&B runs', [q.of(m.training.gpu_utilization_avg, 'utilization')]),
  runsCurve: w.ts('W&B runs', [
    q.total(m.runs.active, 'active'),
    q.total(m.runs.completed_7d, 'completed in 7 days'),
    q.total(m.runs.failed_7d, 'failed in 7 days'),
  ]),

  runs: g.group('What Runs, and What Fails?', 'vivid_purple', [
    g.even(3, [
      w.bars('W&B runs that ended', [q.total(m.runs.finished, 'runs', ['state'])], p.links.wandb),
      w.ts('W&B runs that ended, 7 days', [q.total(m.runs.ended_7d, 'ended', ['state'])]),
      w.ts('W&B runs without a heartbeat', [q.total(m.runs.stale, 'without a heartbeat')], p.links.wandb),
    ]),
    g.even(3, [
      p.trend('W&B runs created, 24 h', q.total(m.runs.created_24h, 'created'), q),
      w.ts('Longest waits and runs on W&B', [
        q.worst(m.runs.pending_hours.max, 'longest pending'),
        q.of(m.training.elapsed_hours.max, 'longest running', 'max'),
      ]),
      w.ts('Running time of ended W&B runs, 7 days', [
        q.of(m.training.duration_hours, 'median'),
        q.of(m.training.run_hours_7d.p90, 'p90', 'max'),
        q.of(m.training.run_hours_7d.max, 'longest', 'max'),
      ]),
    ]),
  ]),

  gpus: g.group('Are the GPUs Used?', 'vivid_green', [
    g.even(3, [
      w.area('GPUs in use by type', [q.total(m.gpus.in_use, 'GPUs', ['gpu_type'])]),
      w.ts('GPUs idle in running runs', [q.total(m.gpus.idle, 'idle')]),
      w.ts('GPU utilization by type', [q.of(m.gpus.utilization_pct, 'utilization', 'avg', ['gpu_type'])]),
    ]),
    g.even(3, [
      w.ts('GPU memory in use by type', [q.of(m.gpus.memory_pct, 'memory', 'avg', ['gpu_type'])]),
      w.toplist('GPU-hours by type, 7 days', q.labeled(q.total(m.gpus.hours_7d, 'used', ['gpu_type']), 'GPU-h')),
      w.ts('GPU-hours lost in failed runs, 7 days', [
        q.labeled(q.total(m.training.wasted_gpu_hours_7d, 'failed, crashed or killed'), 'GPU-h'),
      ]),
    ]),
  ]),

  results: g.group('What Came Out, and What Did It Cost?', 'vivid_orange', [
    g.even(3, [$.accuracyCurve, $.lossCurve]),
    g.even(3, [
      p.trend('Cost of W&B runs, 7 days', q.total(m.training.cost_estimate_usd, 'estimate'), q),
      w.toplist('Cost of W&B runs by type and project, 7 days', q.total(m.gpus.cost_usd_7d, 'estimate', ['gpu_type', 'project'])),
      w.ts('GPU-hours without a price, 7 days', [
        q.labeled(q.total(m.training.unpriced_gpu_hours_7d, 'without a price'), 'GPU-h'),
      ]),
    ]),
  ]),
}
