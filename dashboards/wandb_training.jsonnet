local g = import 'lib/grid.libsonnet';
local p = import 'lib/presets.libsonnet';
local variables = ['env', 'entity', 'project', 'scope'];
local wandb = (import 'lib/wandb.libsonnet')(variables);

p.dashboard(
  'Metta Weights And Biases Training',
  'What runs and fails, whether GPUs are used, what came out and what it cost. All figures cover the last 7 days unless a title says otherwise.',
  variables,
  [
    p.about(
      'Training runs by project. Results are read from the summary keys that the configuration names.',
      [['Definitions of the metrics', 'metrics/wandb'], ['The source', 'sources/wandb']],
      4,
    ),
    g.group('Overview', 'vivid_blue', [
      g.row(2, [[3, wandb.active], [3, wandb.completed], [3, wandb.failed]]),
      g.row(2, [[3, wandb.utilization], [3, wandb.bestAccuracy], [3, p.connections(variables, 'wandb')]]),
    ], 9),
    wandb.runs,
    wandb.gpus,
    wandb.results,
  ],
)
