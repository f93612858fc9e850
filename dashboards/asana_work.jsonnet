local g = import 'lib/grid.libsonnet';
local p = import 'lib/presets.libsonnet';
local variables = ['env', 'project', 'scope'];
local asana = (import 'lib/asana.libsonnet')(variables);

p.dashboard(
  'Metta Asana Work',
  'What is late, how much gets done, and which bugs and projects of an Asana workspace need a look.',
  variables,
  [
    p.about(
      'Work of an Asana workspace. A free plan has no search, so figures of tasks come from a slower crawl. The table of projects shows those in the option `projects`.',
      [['Definitions of the metrics', 'metrics/asana'], ['The source', 'sources/asana']],
      4,
    ),
    g.group('Overview', 'vivid_blue', [
      g.row(2, [[3, asana.open], [3, asana.overdue], [3, asana.bugs]]),
      g.row(2, [[3, asana.onTime], [6, p.connections(variables, 'asana')]]),
    ], 9),
    asana.late,
    asana.done,
    asana.bugGroup,
    asana.projects,
  ],
)
