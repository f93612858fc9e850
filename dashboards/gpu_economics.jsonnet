local g = import 'lib/grid.libsonnet';
local p = import 'lib/presets.libsonnet';
local variables = ['env', 'paid', 'held', 'used', 'scope'];
local gpus = (import 'lib/gpus.libsonnet')(variables);

p.dashboard(
  'Metta GPU Economics',
  'The way of the money from paid GPUs to GPUs at work, waste by cause, and what is not known. One source stands for each stage.',
  variables,
  [
    p.about(
      'Paid GPUs, those that somebody holds, and those at work. Sources overlap: an instance of EC2 can be a node of Kubernetes and a cluster of SkyPilot. So one source stands for each stage: choose it at the top.',
      [['EC2', 'sources/ec2'], ['SkyPilot', 'sources/skypilot'], ['Kubernetes', 'sources/kubernetes'], ['W&B', 'sources/wandb']],
      6,
    ),
    g.group('Overview', 'vivid_blue', [
      g.row(2, [[3, gpus.idleMachines], [3, gpus.idleClusters], [3, gpus.heldIdle]]),
      g.row(2, [[3, gpus.failedJobs], [3, gpus.failedRuns], [3, gpus.idleInRuns]]),
      g.row(2, [[5, gpus.causesNote], [4, p.monitors]]),
    ], 9),
    g.group('From Paid to at Work', 'vivid_green', [
      g.row(4, [[6, gpus.moneyByFate], [6, gpus.funnel]]),
      g.row(2, [[12, gpus.weekly]]),
      g.row(1, [[12, gpus.funnelNote]]),
    ]),
    gpus.causes,
    gpus.owners,
    gpus.unknown,
  ],
)
