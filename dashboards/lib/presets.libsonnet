// Common parts of the dashboards beyond single widgets: numbers with thresholds, percentiles, rates, whole pages.
local g = import 'grid.libsonnet';
local w = import 'widgets.libsonnet';

local SERVICE = 'service:metta_checks';
local MONITORS = 'tag:("integration:metta-checks")';
// Address of the documentation, an option of the build; without one, dashboards have no links to it.
local DOCS = std.extVar('docs');

// Sources that can stand for a stage, the default first. These variables filter by the tag `source` of the collector.
local STAGES = {
  paid: ['ec2', 'skypilot', 'kubernetes'],
  held: ['skypilot', 'kubernetes'],
  used: ['wandb', 'kubernetes'],
};

// A template variable filters by the tag of its name; `scope` accepts any filter.
local variable(name) =
  if std.objectHas(STAGES, name) then
    { name: name, prefix: 'source', available_values: STAGES[name], defaults: [STAGES[name][0]] }
  else
    { name: name, available_values: [], defaults: ['*'] } + (if name == 'scope' then {} else { prefix: name });

{
  // Numbers.

  // A whole number, as most amounts are.
  count(title, term, formats=[], opts={}): w.value(title, term, formats, { precision: 0 } + opts),

  // Amber above the first threshold, red above the second.
  tooMany(thresholds): [
    w.format('>', thresholds.critical, 'white_on_red'),
    w.format('>', thresholds.warning, 'white_on_yellow'),
  ],

  // Any value above 0 needs attention.
  noneWanted: [w.format('>', 0, 'white_on_yellow'), w.format('<=', 0, 'white_on_green')],

  // Any value above 0 is a failure.
  noFailures: [w.format('>', 0, 'white_on_red'), w.format('<=', 0, 'white_on_green')],

  atLeast(target): [w.format('>=', target, 'white_on_green'), w.format('<', target, 'white_on_red')],

  // Timeseries.

  // Lines, with markers at the thresholds of the SLO and the alert; those `apart`, which would flatten the others, have an
  // axis of their own.
  lines(title, terms, markers=[], apart=[], opts={}): w.layers(
    title,
    [{ kind: 'line', terms: terms }]
    + (if apart == [] then [] else [{ kind: 'line', terms: apart, palette: 'gray', right: true }]),
    (if markers == [] then {} else { markers: markers }) + opts
  ),

  // `size`: that of the unit in which labels name the thresholds; 60 for minutes of a metric in seconds.
  markers(thresholds, unit, size=1):
    [
      w.marker(thresholds.warning, 'Warning: %s %s' % [thresholds.warning / size, unit], 'warning'),
      w.marker(thresholds.critical, 'Alert: %s %s' % [thresholds.critical / size, unit], 'error'),
    ],

  sloMarkers(thresholds, unit):
    [
      w.marker(thresholds.slo, 'SLO: %s %s' % [thresholds.slo, unit], 'warning'),
      w.marker(thresholds.critical, 'Alert: %s %s' % [thresholds.critical, unit], 'error'),
    ],

  // A line beside the same a week earlier.
  trend(title, term, q, opts={}): w.layers(title, [
    { kind: 'line', terms: [term] },
    { kind: 'line', terms: [q.weekBefore(term)], palette: 'gray', dashed: true },
  ], opts),

  // Values far from 0, on an axis that shows their change.
  close: { yaxis: { include_zero: false } },

  // Events of the check, as vertical lines on a chart.
  events(words): { events: [{ q: 'source:metta %s' % words }] },

  // From a number to the place where it comes from. `{{$repo.value}}` is a template variable, `{{repo.value}}` a group.
  link(label, address): { custom_links: [{ label: label, link: address }] },
  links: {
    actions: $.link('Failed runs on GitHub', 'https://github.com/{{$repo.value}}/actions?query=is%3Afailure'),
    workflow: $.link(
      'Runs of the workflow', 'https://github.com/{{$repo.value}}/actions?query=workflow%3A%22{{workflow.value}}%22'
    ),
    pulls: $.link('Pull requests on GitHub', 'https://github.com/{{$repo.value}}/pulls'),
    deployments: $.link('Deployments on GitHub', 'https://github.com/{{$repo.value}}/deployments'),
    repository: $.link('Repository on GitHub', 'https://github.com/{{repo.value}}'),
    wandb: $.link('Project on W&B', 'https://wandb.ai/{{$entity.value}}/{{$project.value}}'),
    instances: $.link('Instances in the AWS console', 'https://console.aws.amazon.com/ec2/home#Instances:'),
  },

  // Widgets of every dashboard.

  // `source`: that of the page; without one, all.
  connections(variables, source=''): w.checkStatus(
    'Connections',
    'metta.can_connect',
    ['source'],
    (if source == '' then [] else ['source:' + source])
    + ['$' + name for name in variables if name == 'env' || name == 'scope']
  ),
  slos: w.sloList('Objectives', SERVICE),
  monitors: w.monitors('Alerts', MONITORS),

  // The first group: a description of the page, and links to pages of the documentation. `height` is that of the overview beside it.
  about(text, pages, height): g.group('About', 'vivid_blue', [
    g.row(height, [[3, w.note(
      if DOCS == '' then text
      else text + '\n\n' + std.join('\n', ['- [%s](%s/%s)' % [page[0], std.rstripChars(DOCS, '/'), page[1]] for page in pages])
    )]]),
  ], 3),

  // A dashboard of groups. `variables`: names, each filtering by the tag of its name; `scope` by anything.
  dashboard(title, description, variables, groups): {
    title: title,
    description: description,
    layout_type: 'ordered',
    reflow_type: 'fixed',
    template_variables: [variable(name) for name in variables],
    template_variable_presets: [
      {
        name: preset.name,
        template_variables: [
          { name: name, values: [preset.values[name]] }
          for name in variables
          if std.objectHas(preset.values, name)
        ],
      }
      for preset in [
        { name: 'Production', values: { env: 'production', repo: 'metta-ai/metta' } },
        { name: 'Staging', values: { env: 'staging' } },
      ]
    ],
    notify_list: [],
    widgets: g.groups(groups),
  },
}
