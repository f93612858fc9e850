local g = import 'lib/grid.libsonnet';
local p = import 'lib/presets.libsonnet';
local variables = ['env', 'entity', 'project', 'scope'];
local wandb = (import 'lib/wandb.libsonnet')(variables);

p.dashboard(
  'Metta Weights And Biases Training',
  'Training runs: how many, how long, on how many GPUs and how busy they are, and the results that matter.',
  variables,
  [
    p.about(
      'Training runs by project. Results are read from the summary keys that the configuration names.',
      [['What the numbers mean', 'metrics/wandb'], ['The source', 'sources/wandb']],
      4,
    ),
    g.group('Overview', 'vivid_blue', [
      g.row(2, [[3, wandb.active], [3, wandb.completed], [3, wandb.failed]]),
      g.row(2, [[3, wandb.utilization], [3, wandb.bestAccuracy], [3, p.connections(variables)]]),
    ], 9),
    wandb.runs,
    wandb.training,
    wandb.gpus,
    wandb.model,
    wandb.cost,
  ],
)
