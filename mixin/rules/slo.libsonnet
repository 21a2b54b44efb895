// The readiness objective: which share of objects is not ready, by kind and by team, over the windows of the burn rates.
local promql = import '../lib/promql.libsonnet';

function(config)
  local q = promql(config);
  local slo = config.slo;
  local ordered = 'category=~"%s"' % std.join('|', slo.categories);

  local rule(name, format, values={}) = {
    record: name,
    expr: std.stripChars(format % ({ id: q.identity, kind: q.kind, cluster: q.by([]), team: q.by(['team']) } + values), '\n'),
  };
  // Objects that count, and the share of them that is not ready.
  local counted(level) = level + ':platform_resources_accountable:count';
  local ratio(level) = level + ':platform_resources_unready:ratio';

  // What is being deleted owes nobody anything, nor does a managed resource on its way. A composite says Creating whenever it is not
  // ready, so that it always counts.
  local ofKinds = |||
    sum by (%(kind)s) (
      %(managed)s
      or
      %(others)s
    )
  |||;
  local series(matchers) = {
    managed: q.exporter('platform_resources_by_condition', ['category="managed"', 'condition="Ready"', 'reason!~"Creating|Deleting"'] + matchers),
    others: q.exporter('platform_resources_by_condition', [ordered, 'category!="managed"', 'condition="Ready"', 'reason!="Deleting"'] + matchers),
  };

  // Objects of teams, of what teams order.
  local ofTeams(status) = 'count by (%s) (\n  %s\n)\n' % [
    q.by(['team']),
    q.indented(q.withInfo(
      |||
        group by (%(id)s) (%(condition)s%(status)s)
        unless on (%(id)s) %(deleting)s
      ||| % {
        id: q.identity,
        status: status,
        condition: q.exporter('platform_resource_condition', [ordered, 'condition="Ready"']),
        deleting: q.exporter('platform_resource_deletion_timestamp_seconds', [ordered]),
      },
      ['team'],
      [ordered, 'team!=""'],
    )),
  ];

  local share(level) = |||
    or
    0 * %(counted)s
    )
    / %(counted)s > -1
  ||| % { counted: counted(level) };

  [
    {
      name: 'crossplane-slo.rules',
      rules: [
        rule(counted('kind'), ofKinds, series([])),
        rule(ratio('kind'), '(\n' + ofKinds + share('kind'), series(['status!="True"'])),

        // Only where each object has series of its own (--detail=all): else those that are well are not known by team.
        rule(counted('team'), ofTeams('') + |||
          and on (%(cluster)s)
            count by (%(cluster)s) (group by (%(id)s) (%(info)s))
            >= 0.95 * sum by (%(cluster)s) (%(resources)s)
        |||, {
          info: q.exporter('platform_resource_info', [ordered]),
          resources: q.exporter('platform_resources', [ordered]),
        }),
        rule(ratio('team'), '(\n' + ofTeams(' < 1') + share('team')),
      ] + [
        rule('%s_avg%s' % [ratio(level), window], 'avg_over_time(%s[%s])' % [ratio(level), window])
        for level in ['kind', 'team']
        for window in std.set([slo.fast.short, slo.fast.long, slo.slow.short, slo.slow.long], q.seconds)
      ],
    },
  ]
