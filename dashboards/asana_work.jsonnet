local g = import 'lib/grid.libsonnet';
local p = import 'lib/presets.libsonnet';
local variables = ['env', 'project', 'scope'];
local asana = (import 'lib/asana.libsonnet')(variables);

p.dashboard(
  'Metta Asana Work',
  'Tasks, velocity, cycle time, projects and bugs of an Asana workspace. All figures cover the last 30 days unless a title says otherwise.',
  variables,
  [
    p.about(
      'Work of an Asana workspace. A free plan has no search, so figures of tasks come from a slower crawl.',
      [['Definitions of the metrics', 'metrics/asana'], ['The source', 'sources/asana']],
      4,
    ),
    g.group('Overview', 'vivid_blue', [
      g.row(2, [[3, asana.open], [3, asana.overdue], [3, asana.bugs]]),
      g.row(2, [[3, p.connections(variables)], [6, asana.throughput]]),
    ], 9),
    asana.tasks,
    asana.velocity,
    asana.cycleTime,
    asana.projects,
    asana.bugGroup,
    asana.byProject,
  ],
)
