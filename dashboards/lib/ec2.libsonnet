// Cloud: what runs and costs, what is idle or forgotten, and where the prices come from.
function(variables) {
  local m = (import 'catalog.libsonnet').ec2,
  local g = import 'grid.libsonnet',
  local p = import 'presets.libsonnet',
  local q = (import 'query.libsonnet')(variables),
  local w = import 'widgets.libsonnet',

  running: p.count('EC2 instances running', q.total(m.instances.running, 'running')),
  hourly: w.value('EC2 cost per hour', q.total(m.cost.running_hourly_estimate, 'estimate')),
  monthly: p.count('EC2 cost per month', q.total(m.cost.monthly_estimate, 'estimate')),
  idle: p.count('EC2 instances idle', q.total(m.instances.idle, 'idle'), p.noneWanted, p.links.instances),
  gpuIdle: p.count('GPU instances idle', q.total(m.instances.gpu_idle, 'idle'), p.noneWanted, p.links.instances),
  gpuInstances: w.ts('GPU instances on EC2', [q.total(m.instances.gpu_count, 'instances')]),
  daily: q.formula(
    'EC2, running instances', '24 * ec2_hourly', { ec2_hourly: q.series(m.cost.running_hourly_estimate, 'sum') }, 'dollar',
    about='24 times the following. ' + m.cost.running_hourly_estimate.about
  ),

  cost: g.group('What Does It Cost?', 'vivid_orange', [
    g.even(3, [
      w.layers('Running instances, USD per hour', [
        { kind: 'line', terms: [
          q.total(m.cost.running_hourly_estimate, 'all'),
          q.total(m.cost.gpu_hourly_usd, 'of which with GPUs'),
        ] },
        { kind: 'line', terms: [q.weekBefore(q.total(m.cost.running_hourly_estimate, 'all'))], palette: 'gray', dashed: true },
      ]),
      w.ts('Idle instances, USD per hour', [q.total(m.cost.idle_hourly_usd, 'idle')], p.links.instances),
      w.toplist('Instances, USD per hour by region', q.total(m.region.hourly_usd, 'USD per hour', ['region'])),
    ]),
    g.even(3, [
      w.ts('Volumes, USD per month', [
        q.total(m.cost.ebs_monthly_usd, 'all volumes'),
        q.total(m.cost.unattached_ebs_monthly_usd, 'of which unattached'),
        q.total(m.cost.stopped_ebs_monthly_usd, 'of which of stopped instances'),
      ]),
      w.ts('Saved by spot', [q.of(m.cost.spot_savings_pct, 'saved')], p.close),
      w.ts('EC2 resources with a price', [
        q.worst(m.cost.price_coverage_pct, 'instances'),
        q.worst(m.cost.ebs_price_coverage_pct, 'volumes'),
      ]),
    ]),
  ]),

  instances: g.group('What Runs?', 'vivid_purple', [
    g.even(3, [
      w.area('Instances by state', [q.total(m.instances.running, 'running'), q.total(m.instances.stopped, 'stopped')]),
      w.area('Instances on spot and on demand', [q.total(m.instances.spot, 'spot'), q.total(m.instances.ondemand, 'on demand')]),
      w.area('Instances with and without GPUs', [q.total(m.instances.gpu_count, 'GPU'), q.total(m.instances.cpu_count, 'CPU only')]),
    ]),
    g.even(3, [
      w.toplist('Instance types', q.total(m.instances.by_type, 'instances', ['instance_type']), 8),
      w.toplist('GPUs by model', q.total(m.instances.gpus, 'GPUs', ['gpu_type'])),
      w.toplist('Instances by region', q.total(m.region.instances_running, 'running', ['region'])),
    ]),
  ]),

  forgotten: g.group('What Is Idle or Forgotten?', 'vivid_pink', [
    g.even(3, [
      w.ts('Instances without work', [
        q.total(m.instances.idle, 'idle'),
        q.total(m.instances.gpu_idle, 'idle, with GPUs'),
        q.total(m.instances.stopped_over_7d, 'stopped over 7 days'),
      ], p.links.instances),
      w.ts('Age of running instances', [
        q.of(m.instances.avg_age_days, 'average'),
        q.worst(m.instances.oldest_age_days, 'oldest'),
      ]),
      w.ts('Volumes without an instance', [
        q.total(m.ebs.volumes.unattached, 'unattached'),
        q.total(m.ebs.volumes.unattached_over_30d, 'of which created over 30 days ago'),
      ]),
    ]),
    g.even(3, [
      w.ts('Size of volumes without work', [
        q.total(m.ebs.volumes.unattached_size_gb, 'unattached'),
        q.total(m.ebs.volumes.stopped_attached_size_gb, 'attached to stopped instances'),
      ]),
      w.ts('EBS snapshots', [
        q.total(m.ebs.snapshots.total, 'all'),
        q.total(m.ebs.snapshots.orphaned, 'without a volume'),
        q.total(m.ebs.snapshots.over_90d, 'older than 90 days'),
      ]),
    ]),
  ]),
}
