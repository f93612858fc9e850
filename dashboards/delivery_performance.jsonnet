local g = import 'lib/grid.libsonnet';
local p = import 'lib/presets.libsonnet';
local variables = ['env', 'org', 'repo', 'environment', 'scope'];
local delivery = (import 'lib/delivery.libsonnet')(variables);

p.dashboard(
  'Metta Delivery Performance',
  'The four keys of DORA by environment: deployment frequency, lead time, change failures and time to recover, with their parts.',
  variables,
  [
    p.about(
      'How often and how fast changes reach production, how many fail, and how long repairs take. Choose an environment at the top: for several together, deployments are added up, and times are those of the slowest.\n\nOptions of the GitHub source: `dora` (the four keys), `deployments`, `required_workflows` (state of main), `jobs`, `runners`. While deployments or jobs are still being read, their figures are unknown.',
      [['Definitions of the metrics', 'metrics/github'], ['Deployments and the four keys', 'sources/github']],
      4,
    ),
    g.group('Overview', 'vivid_blue', [
      g.row(2, [[3, delivery.frequency], [3, delivery.leadTime], [3, delivery.failures]]),
      g.row(2, [[3, delivery.recovery], [6, p.connections(variables, 'github')]]),
    ], 9),
    delivery.byEnvironment,
    delivery.leadTimeParts,
    delivery.stability,
    delivery.peopleAndBots,
    delivery.jobsAndQueues,
  ],
)
