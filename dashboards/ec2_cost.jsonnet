local g = import 'lib/grid.libsonnet';
local p = import 'lib/presets.libsonnet';
local variables = ['env', 'account', 'region', 'scope'];
local ec2 = (import 'lib/ec2.libsonnet')(variables);

p.dashboard(
  'Metta EC2 Cost',
  'What instances, volumes and snapshots cost at list prices, what runs, and what is idle or forgotten, by account and region.',
  variables,
  [
    p.about(
      'EC2 resources and their cost at list prices. Discounts and commitments are not included; a resource without a known price is left out, not counted as free. Idle instances need the option `idle`. Those with GPUs can be idle by CPU and network and still work: see GPU Economics.',
      [['Definitions of the metrics', 'metrics/ec2'], ['The source', 'sources/ec2']],
      4,
    ),
    g.group('Overview', 'vivid_blue', [
      g.row(2, [[3, ec2.running], [3, ec2.hourly], [3, ec2.monthly]]),
      g.row(2, [[3, ec2.idle], [3, ec2.gpuIdle], [3, p.connections(variables, 'ec2')]]),
    ], 9),
    ec2.cost,
    ec2.instances,
    ec2.forgotten,
  ],
)
