// Cloud: instances, volumes, snapshots, and their cost at list prices.
function(variables) {
  local m = (import 'catalog.libsonnet').ec2,
  local g = import 'grid.libsonnet',
  local p = import 'presets.libsonnet',
  local q = (import 'query.libsonnet')(variables),
  local w = import 'widgets.libsonnet',

  running: p.count('EC2 instances running', q.total(m.instances.running, 'running')),
  hourly: w.value('EC2 cost per hour', q.total(m.cost.running_hourly_estimate, 'estimate')),
  monthly: p.count('Cost per month', q.total(m.cost.monthly_estimate, 'estimate')),
  idle: p.count('EC2 instances idle', q.total(m.instances.idle, 'idle'), p.noneWanted, p.links.instances),
  gpuIdle: p.count('GPU instances idle', q.total(m.instances.gpu_idle, 'idle'), p.noneWanted, p.links.instances),
  gpuInstances: w.ts('GPU instances on EC2', [q.total(m.instances.gpu_count, 'instances')]),
  daily: q.formula(
    'EC2, running instances', '24 * ec2_hourly', { ec2_hourly: q.series(m.cost.running_hourly_estimate, 'sum') }, 'dollar'
  ),

  instances: g.group('Instances', 'vivid_purple', [
    g.even(3, [
      w.area('By state', [q.total(m.instances.running, 'running'), q.total(m.instances.stopped, 'stopped')]),
      w.ts('Idle', [
        q.total(m.instances.idle, 'idle'),
        q.total(m.instances.gpu_idle, 'idle, with GPUs'),
        q.total(m.instances.stopped_over_7d, 'stopped over 7 days'),
      ]),
      w.ts('All', [q.total(m.instances.total, 'all')]),
    ]),
  ]),

  purchase: g.group('Purchase And Type', 'purple', [
    g.even(3, [
      w.area('Spot and on demand', [q.total(m.instances.spot, 'spot'), q.total(m.instances.ondemand, 'on demand')]),
      w.area('With and without GPUs', [q.total(m.instances.gpu_count, 'GPU'), q.total(m.instances.cpu_count, 'CPU only')]),
      w.area('By lifecycle', [q.total(m.instances.by_lifecycle, 'instances', ['lifecycle'])]),
    ]),
    g.even(3, [
      w.toplist('Instance types', q.total(m.instances.by_type, 'instances', ['instance_type'])),
      w.toplist('GPUs', q.total(m.instances.gpus, 'GPUs', ['gpu_type'])),
      w.ts('Capacity', [
        q.total(m.instances.vcpus, 'vCPUs'),
        q.total(m.instances.accelerators, 'other accelerators'),
      ]),
    ]),
  ]),

  age: g.group('Age', 'vivid_green', [
    g.row(3, [[12, w.ts('Since launch', [
      q.of(m.instances.avg_age_days, 'average age'),
      q.worst(m.instances.oldest_age_days, 'oldest'),
      q.of(m.instances.avg_uptime_days, 'average uptime'),
    ])]]),
  ]),

  ebs: g.group('EBS', 'green', [
    g.even(3, [
      w.area('Volumes', [q.total(m.ebs.volumes.attached, 'attached'), q.total(m.ebs.volumes.unattached, 'unattached')]),
      w.ts('Volume size', [
        q.total(m.ebs.volumes.size_gb, 'all'),
        q.total(m.ebs.volumes.unattached_size_gb, 'unattached'),
        q.total(m.ebs.volumes.stopped_attached_size_gb, 'attached to stopped instances'),
      ]),
      w.ts('Forgotten volumes', [
        q.total(m.ebs.volumes.total, 'all'),
        q.total(m.ebs.volumes.unattached_over_30d, 'unattached over 30 days'),
      ]),
    ]),
    g.even(3, [
      w.ts('Snapshots', [
        q.total(m.ebs.snapshots.total, 'all'),
        q.total(m.ebs.snapshots.orphaned, 'without a volume'),
        q.total(m.ebs.snapshots.over_90d, 'older than 90 days'),
      ]),
      w.ts('Snapshot size', [
        q.total(m.ebs.snapshots.size_gb, 'of the volumes'),
        q.total(m.ebs.snapshots.full_size_gb, 'stored'),
      ]),
      w.ts('Addresses', [q.total(m.addresses.unassociated, 'unassociated')]),
    ]),
  ]),

  cost: g.group('Cost', 'vivid_orange', [
    g.even(3, [
      w.ts('Running instances', [
        q.total(m.cost.running_hourly_estimate, 'estimate'),
        q.total(m.cost.gpu_hourly_usd, 'with GPUs'),
        q.total(m.cost.ondemand_equivalent_hourly_usd, 'if all were on demand'),
      ]),
      w.ts('A month', [
        q.total(m.cost.monthly_estimate, 'instances'),
        q.total(m.cost.ebs_monthly_usd, 'volumes'),
        q.total(m.cost.unattached_ebs_monthly_usd, 'unattached volumes'),
        q.total(m.cost.stopped_ebs_monthly_usd, 'volumes of stopped instances'),
      ]),
    ]),
    g.even(3, [
      w.ts('Spot savings', [q.of(m.cost.spot_savings_pct, 'saved')]),
      w.ts('Priced share', [
        q.worst(m.cost.price_coverage_pct, 'instances'),
        q.worst(m.cost.ebs_price_coverage_pct, 'volumes'),
      ]),
      w.ts('Age of prices', [q.worst(m.cost.price_age_hours, 'age')]),
    ]),
  ]),

  byRegion: g.group('By Region', 'orange', [
    g.even(3, [
      w.toplist('Running', q.total(m.region.instances_running, 'running', ['region'])),
      w.toplist('Spending', q.total(m.region.hourly_usd, 'spending', ['region'])),
    ]),
  ]),
}
