// One function per kind of widget. Plain functions that return data; `opts` is merged last, so every field of the API
// can be set. A widget shows a list of terms (query.libsonnet).
local numberFormat(term) =
  if std.objectHas(term, 'label') then {
    number_format: { unit: { type: 'custom_unit_label', label: term.label } },
  } else if term.unit == '' then {} else {
    number_format: {
      unit: { type: 'canonical_unit', unit_name: term.unit }
            + (if term.perUnit == '' then {} else { per_unit_name: term.perUnit }),
    },
  };

// Tags whose values say success or failure, which Datadog's semantic palette colors.
local OUTCOMES = ['conclusion', 'state', 'status'];

local paletteOf(terms) =
  if std.length([tag for term in terms for tag in term.by if std.member(OUTCOMES, tag)]) > 0 then 'semantic' else 'dog_classic';

// The definitions of what a widget shows, each once.
local described(terms) =
  local named = [
    if std.length(terms) == 1 then term.about else '%s: %s' % [term.alias, term.about]
    for term in terms
    if term.about != '' && !std.startsWith(term.formula, 'week_before')
  ];
  local distinct = std.foldl(function(all, one) if std.member(all, one) then all else all + [one], named, []);
  if distinct == [] then {} else { description: std.join('\n', distinct) };

// `over`: aggregation of a series to the single value of a widget; null for a timeseries.
local queries(terms, over) =
  local named = [
    { data_source: 'metrics', name: name, query: term.queries[name] }
    + (if over then { aggregator: term.over } else {})
    for term in terms
    for name in std.objectFields(term.queries)
  ];
  assert std.length(std.set([query.name for query in named])) == std.length(named) :
         'two queries of one widget have the same name: %s' % std.join(', ', [query.name for query in named]);
  named;

local formulas(terms, extra={}) = [
  { formula: term.formula, alias: term.alias } + numberFormat(term) + extra
  for term in terms
];

{
  // Lines over time. For bars or areas, and for several kinds in one widget, see `layers`.
  ts(title, terms, opts={}): $.layers(title, [{ kind: 'line', terms: terms }], opts),
  bars(title, terms, opts={}): $.layers(title, [{ kind: 'bars', terms: terms }], opts),
  area(title, terms, opts={}): $.layers(title, [{ kind: 'area', terms: terms }], opts),

  // layers: [{ kind: 'line' | 'bars' | 'area', terms: [...], palette: 'cool', right: true, dashed: true }, ...]; `right`
  // has an axis of its own, for values of another magnitude. Legends begin with the largest value.
  layers(title, layers, opts={}): {
    title: title,
    type: 'timeseries',
    show_legend: true,
    legend_layout: 'auto',
    legend_columns: ['avg', 'max', 'value'],
    requests: [
      {
        response_format: 'timeseries',
        display_type: layer.kind,
        queries: queries(layer.terms, false),
        formulas: formulas(layer.terms),
        style: {
          palette: if std.objectHas(layer, 'palette') then layer.palette else paletteOf(layer.terms),
          order_by: 'values',
        } + (if std.objectHas(layer, 'dashed') then { line_type: 'dashed' } else {}),
      } + (if std.objectHas(layer, 'right') then { on_right_yaxis: layer.right } else {})
      for layer in layers
    ],
  } + described(std.flattenArrays([layer.terms for layer in layers])) + opts,

  // A horizontal line: kind is warning, error, ok or info.
  marker(value, label, kind): { value: 'y = %g' % value, display_type: kind + ' dashed', label: label },

  // One number, with its history behind it. formats: see `above`, `below`.
  value(title, term, formats=[], opts={}): {
    title: title,
    type: 'query_value',
    autoscale: true,
    precision: 1,
    timeseries_background: { type: 'area', yaxis: { include_zero: true } },
    requests: [{
      response_format: 'scalar',
      queries: queries([term], true),
      formulas: [{ formula: term.formula } + numberFormat(term)],
    } + (if formats == [] then {} else { conditional_formats: formats })],
  } + described([term]) + opts,

  format(comparator, value, palette): { comparator: comparator, value: value, palette: palette },

  // The largest first; the term must be grouped.
  toplist(title, term, limit=10, opts={}, order='desc'): {
    title: title,
    type: 'toplist',
    requests: [{
      response_format: 'scalar',
      queries: queries([term], true),
      formulas: formulas([term]),
      sort: { count: limit, order_by: [{ type: 'formula', index: 0, order: order }] },
    }],
  } + described([term]) + opts,

  // A row per group, a column per term; all terms are grouped by the same tags. A term may bring `formats`. The worst row
  // comes first: `worst` is the index of the column that decides.
  table(title, terms, limit=50, opts={}, worst=0, order='desc'): {
    title: title,
    type: 'query_table',
    has_search_bar: 'auto',
    requests: [{
      response_format: 'scalar',
      queries: queries(terms, true),
      formulas: [
        { formula: term.formula, alias: term.alias, cell_display_mode: 'number' } + numberFormat(term)
        + (if std.objectHas(term, 'formats') then { conditional_formats: term.formats } else {})
        for term in terms
      ],
      sort: { count: limit, order_by: [{ type: 'formula', index: worst, order: order }] },
    }],
  } + described(terms) + opts,

  note(content, color='white', opts={}): {
    type: 'note',
    content: content,
    background_color: color,
    font_size: '14',
    text_align: 'left',
    vertical_align: 'top',
    show_tick: false,
    tick_pos: '50%',
    tick_edge: 'left',
    has_padding: true,
  } + opts,

  // A tile per group of a service check.
  checkStatus(title, check, by, tags=['*'], opts={}): {
    title: title,
    type: 'check_status',
    check: check,
    grouping: 'cluster',
    group_by: by,
    tags: tags,
  } + opts,

  // Shipped dashboards hold no ids of an account: SLOs and monitors are matched by their tags.
  sloList(title, query, opts={}): {
    title: title,
    type: 'slo_list',
    requests: [{ query: { query_string: query, limit: 25 }, request_type: 'slo_list' }],
  } + opts,

  monitors(title, query, opts={}): {
    title: title,
    type: 'manage_status',
    query: query,
    sort: 'status,asc',
    summary_type: 'monitors',
    display_format: 'countsAndList',
    color_preference: 'text',
    hide_zero_counts: true,
    show_last_triggered: true,
    show_priority: false,
  } + opts,
}
