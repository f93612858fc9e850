local g = import 'lib/grid.libsonnet';
local p = import 'lib/presets.libsonnet';
local w = import 'lib/widgets.libsonnet';
local variables = ['env', 'org', 'repo', 'entity', 'project', 'scope'];
local ec2 = (import 'lib/ec2.libsonnet')(variables);
local github = (import 'lib/github.libsonnet')(variables);
local skypilot = (import 'lib/skypilot.libsonnet')(variables);
local wandb = (import 'lib/wandb.libsonnet')(variables);

p.dashboard(
  'Metta Training Pipeline Health',
  'From code to a trained model: commits, training runs, GPUs, cost per day, and queues.',
  variables,
  [
    p.about(
      'From code to a trained model. EC2 and SkyPilot costs overlap: an instance launched by SkyPilot is in both, so their sum would count it twice.',
      [['Training runs', 'metrics/wandb'], ['GPU jobs', 'metrics/skypilot'], ['Cloud cost', 'metrics/ec2']],
      4,
    ),
    g.group('Overview', 'vivid_blue', [
      g.row(2, [[3, wandb.active], [3, skypilot.queued], [3, skypilot.gpuCount]]),
      g.row(2, [[3, p.connections(variables)], [6, p.monitors]]),
    ], 9),
    g.group('Code Activity', 'vivid_purple', [
      g.row(3, [[6, github.commitRate]]),
      g.row(3, [[6, github.mergedPerWeek]]),
      g.row(3, [[6, github.mainCurve]]),
    ], 6),
    g.group('Training Runs', 'vivid_green', [
      g.row(3, [[6, wandb.runsCurve]]),
      g.row(3, [[6, wandb.accuracyCurve]]),
      g.row(3, [[6, wandb.lossCurve]]),
    ], 6),
    g.group('GPU Utilization', 'vivid_orange', [
      g.row(3, [[6, wandb.utilizationCurve]]),
      g.row(3, [[6, skypilot.totalGpus { title: 'GPUs of SkyPilot jobs' }]]),
      g.row(3, [[6, ec2.gpuInstances]]),
    ], 6),
    g.group('Daily Costs', 'vivid_pink', [
      g.row(3, [[6, w.ts('Cost per day at the current rate', [ec2.daily, skypilot.daily])]]),
      g.row(3, [[3, ec2.hourly { title: 'EC2 per hour' }], [3, skypilot.hourly { title: 'SkyPilot per hour' }]]),
      g.row(3, [[3, wandb.gpuHours], [3, ec2.gpuIdle]]),
    ], 6),
    g.group('Queue And Reliability', 'orange', [
      g.even(3, [skypilot.queue, skypilot.runtimeCurve, skypilot.withRecoveries]),
    ]),
  ],
)
