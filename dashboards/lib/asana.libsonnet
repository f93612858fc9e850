// Work: what is late, how much gets done, the state of bugs and projects.
function(variables) {
  local m = (import 'catalog.libsonnet').asana,
  local g = import 'grid.libsonnet',
  local p = import 'presets.libsonnet',
  local q = (import 'query.libsonnet')(variables),
  local w = import 'widgets.libsonnet',

  open: p.count('Open tasks', q.total(m.tasks.open, 'open')),
  overdue: p.count('Overdue tasks', q.total(m.tasks.overdue, 'overdue'), p.noneWanted),
  bugs: p.count('Open bugs', q.total(m.projects.bugs.total_open, 'open')),
  onTime: w.value('Completed on time, 30 days', q.of(m.tasks.completed_on_time_pct_30d, 'on time')),

  late: g.group('What Is Late?', 'vivid_pink', [
    g.even(3, [
      w.ts('Tasks that are due', [
        q.total(m.tasks.overdue, 'overdue'),
        q.total(m.tasks.due_today, 'due today'),
        q.total(m.tasks.due_this_week, 'due this week'),
      ]),
      w.ts('Tasks that nobody plans', [
        q.total(m.tasks.no_due_date, 'no due date'),
        q.total(m.tasks.stale_30d, 'untouched for 30 days'),
      ]),
      w.layers('Tasks completed with a due date, 30 days', [
        { kind: 'area', palette: 'green', terms: [q.total(m.tasks.completed_on_time_30d, 'on time')] },
        { kind: 'area', palette: 'red', terms: [q.total(m.tasks.completed_late_30d, 'late')] },
      ]),
    ]),
    g.even(3, [
      w.area('Tasks by assignment', [q.total(m.tasks.assigned, 'assigned'), q.total(m.tasks.unassigned, 'unassigned')]),
      w.ts('Age of work in progress', [q.worst(m.wip.age_p50_days, 'p50'), q.worst(m.wip.age_p85_days, 'p85')]),
    ]),
  ]),

  done: g.group('How Much Gets Done?', 'vivid_green', [
    g.even(3, [
      w.ts('Tasks created and completed, 7 days', [
        q.total(m.tasks.created_7d, 'created'),
        q.total(m.tasks.completed_7d, 'completed'),
      ]),
      p.trend('Completed per day, 7 days', q.total(m.velocity.completed_per_day_7d, 'completed'), q),
      w.ts('Completed to created, 30 days', [q.of(m.velocity.throughput_ratio, 'ratio')], p.close),
    ]),
    g.row(3, [[12,
      p.lines('Time to completion, since start or creation, 30 days', [
        q.of(m.cycle_time.avg_hours, 'average', by=['basis']),
        q.worst(m.cycle_time.p50_hours, 'p50', ['basis']),
        q.worst(m.cycle_time.p90_hours, 'p90', ['basis']),
        q.worst(m.lead_time.p85_hours, 'p85, created'),
      ]),
    ]]),
  ]),

  bugGroup: g.group('Are Bugs Under Control?', 'vivid_purple', [
    g.even(3, [
      w.area('Bugs by section', [
        q.total(m.projects.bugs.triage_count, 'triage'),
        q.total(m.projects.bugs.active_count, 'active'),
        q.total(m.projects.bugs.backlog_count, 'backlog'),
        q.total(m.projects.bugs.other_count, 'other'),
      ]),
      w.ts('Bugs created and completed, 7 days', [
        q.total(m.projects.bugs.created_7d, 'created'),
        q.total(m.projects.bugs.completed_7d, 'completed'),
        q.total(m.projects.bugs.reopened_7d, 'reopened'),
      ]),
      w.ts('Age of open bugs', [
        q.worst(m.bugs.age_days.p50, 'p50'),
        q.worst(m.bugs.age_days.p90, 'p90'),
        q.worst(m.projects.bugs.oldest_bug_days, 'oldest'),
      ]),
    ]),
    g.even(3, [
      w.area('Bugs by age', [q.total(m.bugs.open_by_age, 'open', ['age'])]),
      p.lines('From report to repair, 30 days', [
        q.worst(m.projects.bugs.resolution_hours.p50, 'p50'),
        q.worst(m.projects.bugs.resolution_hours.p90, 'p90'),
      ]),
    ]),
  ]),

  projects: g.group('Which Projects Need a Look?', 'vivid_orange', [
    g.row(3, [
      [4, w.layers('Projects by status', [
        { kind: 'area', palette: 'green', terms: [q.total(m.projects.on_track, 'on track')] },
        { kind: 'area', palette: 'orange', terms: [q.total(m.projects.at_risk, 'at risk')] },
        { kind: 'area', palette: 'red', terms: [q.total(m.projects.off_track, 'off track')] },
        { kind: 'area', palette: 'gray', terms: [
          q.total(m.projects.on_hold, 'on hold'),
          q.total(m.projects.no_status, 'no status'),
        ] },
      ])],
      [4, w.ts('Projects out of date', [
        q.total(m.projects.status_stale, 'status out of date'),
        q.total(m.projects.overdue, 'overdue'),
      ])],
      [4, w.table('Projects named in option projects', [
        q.total(m.project.open, 'open', ['project']),
        q.total(m.project.overdue, 'overdue', ['project']) + { formats: p.noneWanted },
        q.total(m.project.completed_7d, 'completed in 7 days', ['project']),
      ], 50, {}, 1)],
    ]),
  ]),
}
