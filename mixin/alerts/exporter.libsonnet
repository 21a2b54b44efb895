// The exporter, without which all the others are silent.
local alert = import '../lib/alert.libsonnet';
local promql = import '../lib/promql.libsonnet';

function(config)
  local a = alert(config);
  local q = promql(config);
  local settings = config.alerts;
  local kinds(query) = a.first(query, 'kind', '{{ $r.Labels.kind }}.{{ $r.Labels.group }}');
  local collector = q.by(['collector']);
  local link = a.link('exporter');

  a.group('crossplane-exporter', [
    a.alert(
      'CrossplaneExporterAbsent',
      if config.showMultiCluster
      then |||
        (
          group by (%(cluster)s) (%(up)s)
          or
          group by (%(cluster)s) (max_over_time(%(up)s[%(memory)s]) == 1)
        )
        unless on (%(cluster)s) %(up)s == 1
        or
        absent(max_over_time(%(up)s[%(memory)s]))
      ||| % { cluster: q.by([]), up: q.exporter('up'), memory: settings.CrossplaneExporterAbsent.memory }
      else 'absent(%s == 1)' % q.exporter('up'),
      'The exporter is not scraped.',
      '{{ with %s }}The exporter does not answer.{{ else }}Prometheus has no exporter to scrape.{{ end }} Everything about resources, drift and the cloud is silent. Likely: its pod does not run, or no ServiceMonitor selects it as %s.'
      % [a.query('count(%s)', 'up', [], [config.exporterSelector]), config.exporterSelector],
      link,
    ),
    // Each says how many there are to be. Where none answers, the alert above tells it.
    a.alert(
      'CrossplaneExporterShardDown',
      |||
        max by (%(cluster)s) (%(shards)s)
        - count by (%(cluster)s) (group by (%(shard)s) (%(shards)s))
        > 0
      ||| % { cluster: q.by([]), shard: q.by(['shard']), shards: q.exporter('crossplane_exporter_shards') },
      'One of several exporters does not answer.',
      '{{ $value }} exporters do not answer, and others do. What they say of their kinds is missing, and alerts on these are silent. Likely: a pod that crashes, is not scheduled, or cannot be scraped.',
      link,
    ),
    a.alert(
      'CrossplaneExporterCollectorDown',
      // A kind that cannot be read has an alert of its own.
      |||
        min by (%(collector)s) (%(up)s) == 0
        unless on (%(collector)s) label_replace(%(unreadable)s, "collector", "resources", "", "")
      ||| % {
        collector: collector,
        up: q.exporter('crossplane_exporter_collector_up'),
        unreadable: q.exporter('crossplane_exporter_kind_unreadable'),
      },
      'A collector of the exporter does not work.',
      'Collector {{ $labels.collector }} cannot read what it needs; what it says is missing or stale. Likely: the API server or the cloud is out of reach, or credentials have expired.',
      link,
    ),
    a.alert(
      'CrossplaneExporterKindUnreadable',
      'count by (%s) (group by (%s) (%s))' % [
        q.by(['cause']),
        q.by(['category', 'group', 'kind', 'cause']),
        q.exporter('crossplane_exporter_kind_unreadable'),
      ],
      'The exporter cannot read a kind.',
      '{{ $value }} kinds cannot be read ({{ $labels.cause }}), among them '
      + kinds(a.query('%s', 'crossplane_exporter_kind_unreadable', ['cause']))
      + '. Likely: {{ if eq $labels.cause "forbidden" }}its ClusterRole lacks list and watch on them{{ else if eq $labels.cause "refused" }}a conversion webhook is down{{ else }}the API server is out of reach{{ end }}.',
      link,
    ),
    a.alert(
      'CrossplaneExporterStale',
      |||
        time() - min by (%(collector)s) (%(last)s) > %(after)d
        unless on (%(collector)s) %(up)s == 0
      ||| % {
        collector: collector,
        last: q.exporter('crossplane_exporter_collector_last_success_timestamp_seconds'),
        up: q.exporter('crossplane_exporter_collector_up'),
        after: q.seconds(settings.CrossplaneExporterStale.after),
      },
      'What the exporter says is old.',
      'Collector {{ $labels.collector }} {{ if gt $value 1e9 }}has never read all it needs{{ else }}heard its oldest news {{ $value | humanizeDuration }} ago{{ end }}. Likely: a watch hangs, or the API server is overloaded.',
      link,
    ),
    a.alert(
      'CrossplaneExporterSeriesDropped',
      'count by (%s) (sum by (%s) (increase(%s[%s])) > 0)' % [
        q.by([]),
        q.by(['family']),
        q.exporter('crossplane_exporter_series_dropped_total'),
        settings.CrossplaneExporterSeriesDropped.window,
      ],
      'The exporter leaves out series.',
      '{{ $value }} families have more series than --series.max, among them '
      + a.first(
        a.query('sum by (family) (increase(%%s[%s])) > 0' % settings.CrossplaneExporterSeriesDropped.window, 'crossplane_exporter_series_dropped_total'),
        'family',
        '{{ $r.Labels.family }}'
      )
      + '. Alerts on single resources may miss some. Likely: --detail=all on a fleet that large.',
      link,
    ),
    a.alert(
      'CrossplaneExporterDecodeErrors',
      'count by (%s) (sum by (%s) (increase(%s[%s])) > 0)' % [
        q.by([]),
        q.kind,
        q.exporter('crossplane_exporter_decode_errors_total'),
        settings.CrossplaneExporterDecodeErrors.window,
      ],
      'The exporter understands some objects only in part.',
      'Objects of {{ $value }} kinds have fields of unexpected types, among them '
      + kinds(a.query('sum by (group, kind) (increase(%%s[%s])) > 0' % settings.CrossplaneExporterDecodeErrors.window, 'crossplane_exporter_decode_errors_total'))
      + '. What is said of them is not complete. Likely: an API that is not as the exporter expects.',
      link,
    ),
    a.alert(
      'CrossplaneExporterCheckpointFailing',
      'sum by (%s) (increase(%s[%s])) >= %d' % [
        q.by([]),
        q.exporter('crossplane_exporter_checkpoint_failures_total'),
        settings.CrossplaneExporterCheckpointFailing.window,
        settings.CrossplaneExporterCheckpointFailing.threshold,
      ],
      'The checkpoint of the exporter cannot be saved.',
      'The checkpoint could not be saved or read {{ $value | printf "%.0f" }} times within ' + settings.CrossplaneExporterCheckpointFailing.window
      + '. After a restart, drift is counted again since the last good one. Likely: no right to patch its ConfigMap, or a full disk.',
      link,
    ),
    a.alert(
      'CrossplaneWatchdog',
      'vector(1)',
      'Alerts of Crossplane arrive.',
      'This alert always fires ({{ $value }}). Who stops hearing of it has lost the way from Prometheus through Alertmanager to people.',
      link,
    ),
  ])
