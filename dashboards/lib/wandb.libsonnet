// Training: runs, GPU hours and utilization, chosen results.
function(variables) {
  local m = (import 'catalog.libsonnet').wandb,
  local g = import 'grid.libsonnet',
  local p = import 'presets.libsonnet',
  local q = (import 'query.libsonnet')(variables),
  local w = import 'widgets.libsonnet',

  active: p.count('Active W&B runs', q.total(m.runs.active, 'active')),
  completed: p.count('Completed runs, 7 days', q.total(m.runs.completed_7d, 'completed')),
  failed: p.count('Failed W&B runs, 7 days', q.total(m.runs.failed_7d, 'failed'), [], p.links.wandb),
  gpuHours: p.count('GPU-hours, 7 days', q.labeled(q.total(m.training.total_gpu_hours_7d, 'used'), 'GPU-h')),
  utilization: w.value('GPU utilization', q.of(m.training.gpu_utilization_avg, 'utilization')),
  bestAccuracy: w.value('Best accuracy, 7 days', q.of(m.metrics.best_accuracy, 'best', 'max'), [], { precision: 3 }),
  latestLoss: w.value('Latest loss, 7 days', q.of(m.metrics.latest_loss, 'loss'), [], { precision: 3 }),
  accuracyCurve: w.ts('Best accuracy, 7 days', [q.of(m.metrics.best_accuracy, 'best', 'max', ['project'])], p.close + p.links.wandb),
  lossCurve: w.ts('Latest loss, 7 days', [q.of(m.metrics.latest_loss, 'loss', 'avg', ['project'])], p.close + p.links.wandb),
  utilizationCurve: w.ts('Utilization of W&B runs', [q.of(m.training.gpu_utilization_avg, 'utilization')]),
  runsCurve: w.ts('W&B runs', [
    q.total(m.runs.active, 'active'),
    q.total(m.runs.completed_7d, 'completed in 7 days'),
    q.total(m.runs.failed_7d, 'failed in 7 days'),
  ]),

  runs: g.group('Runs', 'vivid_purple', [
    g.even(3, [
      w.area('By state', [q.total(m.runs.count, 'runs', ['state'])]),
      w.bars('Finished', [q.total(m.runs.finished, 'finished', ['state'])]),
      w.ts('Ended in a week', [q.total(m.runs.ended_7d, 'ended', ['state'])]),
    ]),
    g.even(3, [
      $.runsCurve,
      w.ts('All and new', [q.total(m.runs.total, 'all'), q.total(m.runs.created_24h, 'created in a day')]),
    ]),
    g.even(3, [
      w.ts('Stale', [q.total(m.runs.stale, 'without a heartbeat')]),
      w.ts('Longest pending', [q.worst(m.runs.pending_hours.max, 'pending')]),
    ]),
  ]),

  training: g.group('Training', 'vivid_green', [
    g.even(3, [
      w.ts('Duration of ended runs', [
        q.of(m.training.avg_duration_hours, 'average'),
        q.of(m.training.duration_hours, 'median'),
        q.of(m.training.run_hours_7d.p90, 'p90', 'max'),
        q.of(m.training.run_hours_7d.max, 'longest', 'max'),
      ]),
      w.ts('Duration at the end', [
        q.of(m.training.run_duration_hours.avg, 'average'),
        q.of(m.training.run_duration_hours.median, 'median'),
        q.of(m.training.run_duration_hours['95percentile'], 'p95', 'max'),
        q.of(m.training.run_duration_hours.max, 'longest', 'max'),
      ]),
      w.ts('Running for', [
        q.of(m.training.elapsed_hours.avg, 'average'),
        q.of(m.training.elapsed_hours.max, 'longest', 'max'),
      ]),
    ]),
    g.even(3, [
      w.ts('GPU time in a week', [
        q.total(m.training.total_gpu_hours_7d, 'used'),
        q.total(m.training.unpriced_gpu_hours_7d, 'without a price'),
      ]),
      w.toplist('GPU time by type', q.total(m.gpus.hours_7d, 'used', ['gpu_type'])),
      w.bars('Ending', [q.of(m.training.run_duration_hours.count, 'runs', 'sum', ['state'])]),
    ]),
  ]),

  gpus: g.group('GPUs', 'green', [
    g.even(3, [
      $.utilizationCurve,
      w.ts('Utilization of the average run', [q.of(m.training.gpu_utilization_pct, 'utilization')]),
      w.ts('Utilization by type', [q.of(m.gpus.utilization_pct, 'utilization', 'avg', ['gpu_type'])]),
    ]),
    g.even(3, [
      w.area('In use', [q.total(m.gpus.in_use, 'GPUs', ['gpu_type'])]),
      w.ts('Idle', [q.total(m.gpus.idle, 'idle')]),
      w.ts('Memory by type', [q.of(m.gpus.memory_pct, 'memory', 'avg', ['gpu_type'])]),
    ]),
  ]),

  model: g.group('Model', 'vivid_orange', [
    g.even(3, [
      $.accuracyCurve,
      w.ts('Average accuracy', [q.of(m.metrics.avg_accuracy_7d, 'average', 'avg', ['project'])]),
      $.lossCurve,
    ]),
  ]),

  cost: g.group('Cost', 'orange', [
    g.even(3, [
      w.ts('Of a week', [q.total(m.training.cost_estimate_usd, 'estimate')]),
      w.toplist('By GPU type', q.total(m.gpus.cost_usd_7d, 'estimate', ['gpu_type'])),
    ]),
  ]),
}
