// Work: tasks, velocity, cycle time, projects, bugs.
function(variables) {
  local m = (import 'catalog.libsonnet').asana,
  local g = import 'grid.libsonnet',
  local p = import 'presets.libsonnet',
  local q = (import 'query.libsonnet')(variables),
  local w = import 'widgets.libsonnet',

  open: p.count('Open tasks', q.total(m.tasks.open, 'open')),
  overdue: p.count('Overdue tasks', q.total(m.tasks.overdue, 'overdue'), p.noneWanted),
  bugs: p.count('Open bugs', q.total(m.projects.bugs.total_open, 'open')),
  completed: p.count('Completed tasks', q.total(m.tasks.completed_7d, 'completed')),
  throughput: w.ts('Open and overdue', [
    q.total(m.tasks.open, 'open'),
    q.total(m.tasks.overdue, 'overdue'),
  ]),

  tasks: g.group('Tasks', 'vivid_purple', [
    g.even(3, [
      w.area('Open', [q.total(m.tasks.assigned, 'assigned'), q.total(m.tasks.unassigned, 'unassigned')]),
      w.ts('Due', [
        q.total(m.tasks.overdue, 'overdue'),
        q.total(m.tasks.due_today, 'due today'),
        q.total(m.tasks.due_this_week, 'due this week'),
      ]),
    ]),
    g.even(3, [
      w.ts('Neglected', [
        q.total(m.tasks.no_due_date, 'no due date'),
        q.total(m.tasks.stale_30d, 'untouched for 30 days'),
      ]),
      w.ts('All ever', [q.total(m.tasks.total, 'all')]),
      w.ts('People at work, 7 days', [q.total(m.users.active_7d, 'active')]),
    ]),
  ]),

  velocity: g.group('Velocity', 'vivid_green', [
    g.even(3, [
      w.ts('Completed per day, 7 days', [q.total(m.velocity.completed_per_day_7d, 'completed')]),
      w.ts('Completion rate', [q.of(m.velocity.completion_rate_pct, 'completed')]),
      w.ts('Completed to created', [q.of(m.velocity.throughput_ratio, 'ratio')]),
    ]),
    g.even(3, [
      w.ts('Created and completed', [
        q.total(m.tasks.created_7d, 'created in 7 days'),
        q.total(m.tasks.completed_7d, 'completed in 7 days'),
      ]),
      w.ts('Completed in a month', [q.total(m.tasks.completed_30d, 'completed')]),
    ]),
    g.even(3, [
      w.area('Completed tasks with a due date', [
        q.total(m.tasks.completed_on_time_30d, 'on time'),
        q.total(m.tasks.completed_late_30d, 'late'),
      ]),
      w.ts('Completed on time', [q.of(m.tasks.completed_on_time_pct_30d, 'on time')]),
    ]),
  ]),

  cycleTime: g.group('Cycle Time', 'green', [
    g.row(3, [
      [8, p.percentiles('From start to completion', [
        q.of(m.cycle_time.avg_hours, 'average', by=['basis']),
        q.worst(m.cycle_time.p50_hours, 'p50', ['basis']),
        q.worst(m.cycle_time.p90_hours, 'p90', ['basis']),
      ])],
      [4, w.ts('Lead time', [q.worst(m.lead_time.p85_hours, 'p85')])],
    ]),
    g.row(3, [[12, w.ts('Age of work in progress', [
      q.worst(m.wip.age_p50_days, 'p50'),
      q.worst(m.wip.age_p85_days, 'p85'),
    ])]]),
  ]),

  projects: g.group('Projects', 'vivid_orange', [
    g.even(3, [
      w.area('By status', [
        q.total(m.projects.on_track, 'on track'),
        q.total(m.projects.at_risk, 'at risk'),
        q.total(m.projects.off_track, 'off track'),
        q.total(m.projects.on_hold, 'on hold'),
        q.total(m.projects.no_status, 'no status'),
      ]),
      w.ts('Needing a look', [
        q.total(m.projects.status_stale, 'status out of date'),
        q.total(m.projects.overdue, 'overdue'),
      ]),
      w.ts('Active', [q.total(m.projects.active, 'active')]),
    ]),
  ]),

  byProject: g.group('By Project', 'purple', [
    g.row(4, [
      [3, w.note('Shows the projects in the option `projects` of the source.')],
      [9, w.table('Projects', [
        q.total(m.project.open, 'open', ['project']),
        q.total(m.project.overdue, 'overdue', ['project']) + { formats: p.noneWanted },
        q.total(m.project.completed_7d, 'completed in 7 days', ['project']),
      ])],
    ]),
  ]),

  bugGroup: g.group('Bugs', 'vivid_pink', [
    g.even(3, [
      w.area('Open by section', [
        q.total(m.projects.bugs.triage_count, 'triage'),
        q.total(m.projects.bugs.active_count, 'active'),
        q.total(m.projects.bugs.backlog_count, 'backlog'),
        q.total(m.projects.bugs.other_count, 'other'),
      ]),
      w.ts('Created against completed', [
        q.total(m.projects.bugs.created_7d, 'created in 7 days'),
        q.total(m.projects.bugs.completed_7d, 'completed in 7 days'),
        q.total(m.projects.bugs.completed_30d, 'completed in 30 days'),
      ]),
      w.ts('Reopened', [q.total(m.projects.bugs.reopened_7d, 'reopened in 7 days')]),
    ]),
    g.even(3, [
      w.ts('Age', [
        q.of(m.projects.bugs.avg_age_days, 'average'),
        q.worst(m.bugs.age_days.p50, 'p50'),
        q.worst(m.bugs.age_days.p90, 'p90'),
        q.worst(m.projects.bugs.oldest_bug_days, 'oldest'),
      ]),
      w.area('Open by age', [q.total(m.bugs.open_by_age, 'open', ['age'])]),
      p.percentiles('From creation to completion', [
        q.worst(m.projects.bugs.resolution_hours.p50, 'p50'),
        q.worst(m.projects.bugs.resolution_hours.p90, 'p90'),
      ]),
    ]),
  ]),
}
