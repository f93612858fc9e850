local g = import 'lib/grid.libsonnet';
local p = import 'lib/presets.libsonnet';
local variables = ['env', 'paid', 'held', 'used', 'scope'];
local gpus = (import 'lib/gpus.libsonnet')(variables);

p.dashboard(
  'Metta GPU Economics',
  'Cost of GPUs that are paid, held and at work; waste by cause, type and owner; and what is not known. One source stands for each stage.',
  variables,
  [
    p.about(
      'Money for GPUs, by use: at work, held by somebody but not at work, or not held. Sources see the same machines: an EC2 instance can be a node of Kubernetes and a cluster of SkyPilot. So one source stands for each stage: choose it at the top, never several. With `paid: kubernetes`, the chart of the cost is empty, because Kubernetes knows no prices of nodes.\n\nThe six numbers below it are money that buys no work. They overlap (an idle cluster is an idle machine, too): look for the largest one, do not add them up.\n\nOptions: `idle` (EC2), `idle_minutes` and `by_user` (SkyPilot), `gpu_usage` (Kubernetes), `prices` (W&B).',
      [['EC2', 'sources/ec2'], ['SkyPilot', 'sources/skypilot'], ['Kubernetes', 'sources/kubernetes'], ['W&B', 'sources/wandb']],
      8,
    ),
    g.group('Overview', 'vivid_blue', [
      g.row(4, [[7, gpus.byUse], [2, p.connections(variables)]]),
      g.row(2, [[3, gpus.idleMachines], [3, gpus.idleClusters], [3, gpus.heldIdle]]),
      g.row(2, [[3, gpus.idleInRuns], [3, gpus.failedRuns], [3, gpus.failedJobs]]),
    ], 9),
    gpus.stages,
    gpus.causes,
    gpus.owners,
    gpus.unknown,
  ],
)
