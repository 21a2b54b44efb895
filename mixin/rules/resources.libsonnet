// What dashboards and alerts say of kinds: how many are well, how quickly they are made, how often they are put back, how often
// the cloud says no.
local promql = import '../lib/promql.libsonnet';

function(config)
  local q = promql(config);
  local own = 'category=~"managed|composite|claim"';
  local kind = ['category', 'group', 'kind'];

  // The share of objects of which a condition is True, 0 where it is of none.
  local share(condition) =
    |||
      (
        sum by (%(kind)s) (%(well)s)
        or
        0 * sum by (%(kind)s) (%(all)s)
      )
      / sum by (%(kind)s) (%(all)s) > -1
    ||| % {
      kind: q.kind,
      well: q.exporter('platform_resources_by_condition', [own, 'condition="%s"' % condition, 'status="True"']),
      all: q.exporter('platform_resources', [own]),
    };

  local toReady = function(suffix) q.exporter('platform_time_to_ready_seconds' + suffix);
  local slow = config.alerts.CrossplaneProvisioningSlow;
  local level = 'kind:platform_time_to_ready_seconds:';

  local api = q.by(['cloud_provider', 'cloud_account', 'cloud_region', 'api_service', 'principal_class']);
  local calls(matchers) = 'sum by (%s) (rate(%s[%s]))' % [api, q.exporter('platform_cloud_api_calls_total', matchers), config.cloudRate];

  [
    {
      name: 'crossplane-resources.rules',
      rules: [
        { record: 'kind:platform_resources_ready:ratio', expr: std.stripChars(share('Ready'), '\n') },
        { record: 'kind:platform_resources_synced:ratio', expr: std.stripChars(share('Synced'), '\n') },
        {
          record: 'kind:platform_drift_corrections:rate1h',
          expr: 'sum by (%s) (rate(%s[1h]))' % [q.kind, q.exporter('platform_drift_corrections_total')],
        },
        // One series for each object, whichever exporter said it: changes() of it do not end with a pod.
        {
          record: 'resource:platform_resource_last_drift_timestamp_seconds:max',
          expr: 'max by (%s) (%s)' % [q.identity, q.exporter('platform_resource_last_drift_timestamp_seconds')],
        },
      ] + [
        {
          record: level + 'p%d_%s' % [100 * quantile, slow.window],
          // Nothing where there was nothing.
          expr: q.quantile(quantile, toReady, kind, slow.window) + ' >= 0',
        }
        for quantile in std.set([0.5, 0.9, 0.99, slow.quantile])
      ] + [
        {
          record: level + 'count_%s' % slow.window,
          expr: q.observations(toReady, kind, slow.window),
        },
        // How much longer it takes than usual: than the middle of a week of the above. The quantile of a week itself would have to read
        // all of its buckets.
        {
          record: level + 'p%d_%s_slowdown_%s' % [100 * slow.quantile, slow.window, slow.history],
          expr: std.stripChars(q.withDomain(
            '%(now)s / quantile_over_time(0.5, %(now)s[%(history)s] offset %(window)s)'
            % slow { now: level + 'p%d_%s' % [100 * slow.quantile, slow.window] }
          ), '\n'),
        },
        {
          record: level + 'count_%s' % slow.history,
          expr: q.observations(toReady, kind, slow.history, ' offset ' + slow.window),
        },
        { record: 'principal:platform_cloud_api_calls:rate%s' % config.cloudRate, expr: calls([]) },
        { record: 'principal:platform_cloud_api_calls_throttled:rate%s' % config.cloudRate, expr: calls(['outcome="throttled"']) },
        {
          record: 'principal:platform_cloud_api_calls_throttled:ratio_rate%s' % config.cloudRate,
          expr: '%(m)s_throttled:rate%(r)s / %(m)s:rate%(r)s > -1' % { m: 'principal:platform_cloud_api_calls', r: config.cloudRate },
        },
      ],
    },
  ]
