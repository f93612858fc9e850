// Terms: a query, or a formula over several, with alias and unit. A widget draws a list of terms.
//
// Instantiated with the names of the dashboard's template variables, so that every query is filtered by each variable whose
// tag its metric carries: local q = (import 'query.libsonnet')(['env', 'repo', 'scope']).
//
// Datadog's unit "item" says less than these words; the first part of a metric's name that fits decides.
local NOUNS = [
  ['.prs.avg_comments', 'comments'],
  ['.prs.review_rounds', 'rounds'],
  ['.size_lines', 'lines'],
  ['.code.lines', 'lines'],
  ['.prs.', 'PRs'],
  ['.merge_queue.', 'PRs'],
  ['.branches.', 'branches'],
  ['.stars', 'stars'],
  ['.forks', 'forks'],
  ['issues', 'issues'],
  ['.releases.', 'releases'],
  ['points', 'points'],
];

local nounOf(metric) =
  local found = [noun[1] for noun in NOUNS if std.length(std.findSubstr(noun[0], metric.name)) > 0];
  if found == [] then null else found[0];

function(variables) {
  // Datadog takes symbols (the comma) or words (AND, IN) in a filter, not both.
  local filterOf(metric, conditions) =
    local carried = ['$' + name for name in variables if name == 'scope' || std.member(metric.tags, name)];
    local all = if carried + conditions == [] then ['*'] else carried + conditions;
    local words = [one for one in all if std.length(std.findSubstr(' IN ', one)) > 0] != [];
    std.join(if words then ' AND ' else ',', all),

  local happens(metric) = metric.type == 'count' || metric.type == 'rate',

  // The name of a metric's query: github_prs_open, github_ci_runs_conclusion_success.
  local nameOf(metric, where) =
    local letters(text) = std.join('', [
      if std.member('abcdefghijklmnopqrstuvwxyz0123456789_', c) then c else '_'
      for c in std.stringChars(std.asciiLower(text))
    ]);
    letters(std.join('_', [std.substr(metric.name, std.length('metta.'), 100)] + where)),

  // The text of one series. `conditions` are further filters (`conclusion:success`), `modifiers` begin with a dot.
  series(metric, agg='avg', by=[], where=[], modifiers=''):
    '%s:%s{%s}%s%s' % [
      agg,
      metric.name,
      filterOf(metric, where),
      if by == [] then '' else ' by {%s}' % std.join(',', by),
      // Events are summed, never averaged: counts, and the number of values of a histogram.
      (if happens(metric) && std.length(std.findSubstr('.as_', modifiers)) == 0 then '.as_count()' else '') + modifiers,
    ],

  // One metric. Aggregation over repositories, projects, regions: sum for amounts, avg, min or max for the rest.
  of(metric, alias, agg='avg', by=[], where=[], unit=null, modifiers=''):
    local name = nameOf(metric, where);
    local label = if unit == null && metric.unit == 'item' then nounOf(metric) else null;
    {
      alias: alias,
      unit: if unit != null then unit else if label == null then metric.unit else '',
      perUnit: metric.per_unit,
      about: metric.about,
      by: by,
      queries: { [name]: $.series(metric, agg, by, where, modifiers) },
      formula: name,
      // Gauges are re-emitted every minute: the last value is the value. Counts are summed over the time shown.
      over: if happens(metric) then 'sum' else 'last',
    } + (if label == null then {} else { label: label }),

  total(metric, alias, by=[], where=[]): self.of(metric, alias, 'sum', by, where),
  worst(metric, alias, by=[], where=[]): self.of(metric, alias, if metric.better == 'higher' then 'min' else 'max', by, where),

  // The same a week earlier, for a line beside a term.
  weekBefore(term): term { alias: term.alias + ', week before', formula: 'week_before(%s)' % term.formula },

  // Values with a unit of our own, which Datadog does not convert: GPU-hours stay hours.
  labeled(term, label): term { unit: '', perUnit: '', label: label },

  // Arithmetic over named series: q.formula('Success rate', '100 * good / (good + bad)', { good: q.series(...), ... }).
  formula(alias, formula, queries, unit='', perUnit='', about=''): {
    alias: alias,
    unit: unit,
    perUnit: perUnit,
    about: about,
    queries: queries,
    formula: formula,
    over: 'last',
    by: [],
  },
}
