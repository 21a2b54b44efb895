// Does the exporter see everything, and is it well?
local grid = import 'grafana/grid.libsonnet';
local panels = import 'grafana/panels.libsonnet';

function(config)
  local queries = (import 'grafana/queries.libsonnet')(config);
  local columns = (import 'grafana/columns.libsonnet')(config);
  local e = (import 'expressions.libsonnet')(config);
  local objects = (import 'objects.libsonnet')(config);
  local variables = (import 'grafana/variables.libsonnet')(config);
  local settings = config.dashboards;
  local limits = settings.thresholds;
  local t = panels.thresholds;

  local s = e.selector();
  local kind = ['category', 'group', 'kind'];
  local process = settings.processLabel;
  local kindColumns = [columns.label('category', 'Category', width=100), columns.label('kind', 'Kind'), columns.label('group', 'Group')];

  {
    title: 'Exporter',
    description: 'Does the exporter see everything, and is it well?',
    variables: variables.start('platform_resources{%s}' % config.exporterSelector),
    rows: [
      grid.row(null, [
        panels.stat(
          'Up',
          'Exporters that Prometheus reaches.',
          [queries.range('sum(up{%s})' % s, 'up')],
          thresholds=t.up,
          noValue='not scraped',
        ),
        panels.stat(
          'Collectors down',
          'Collectors that cannot read all they need.',
          [queries.range('sum(crossplane_exporter_collector_up{%s} == bool 0)' % s, 'down')],
          thresholds=t.any('red'),
          noValue='not scraped',
        ),
        panels.stat(
          'Oldest news',
          'When the exporter last heard of the kind that it has not heard of for longest, and of the audit trail.',
          [queries.range('max(time() - crossplane_exporter_collector_last_success_timestamp_seconds{%s})' % s, 'age')],
          unit='s',
          decimals=0,
          thresholds=t.above(limits.staleSeconds.warning, limits.staleSeconds.critical),
          noValue='not scraped',
        ),
        panels.stat(
          'Kinds watched',
          'Kinds that it watches, with objects or without.',
          [queries.range('sum(crossplane_exporter_kinds_watched{%s})' % s, 'kinds')],
          noValue='not scraped',
        ),
        panels.stat(
          'Kinds forbidden',
          'Kinds that RBAC does not let it read.',
          [queries.range('sum(crossplane_exporter_kinds_forbidden{%s})' % s, 'forbidden')],
          thresholds=t.any(),
          noValue='not scraped',
        ),
        panels.stat(
          'Series',
          'Series that it said at the last scrape.',
          [queries.range('sum(crossplane_exporter_series{%s})' % s, 'series')],
          noValue='not scraped',
        ),
        panels.stat(
          'Series left out, 1 h',
          'Series above --series.max in the last hour, summed over all scrapes: what is said of single objects is incomplete.',
          [queries.instant('round(sum(increase(crossplane_exporter_series_dropped_total{%s}[1h])))' % s, 'left out')],
          thresholds=t.any('red'),
          noValue='not scraped',
        ),
        panels.stat(
          'Not saved, 24 h',
          'Checkpoints that could not be saved or read. What was counted since the last good one is counted again after a restart.',
          [queries.instant('round(sum(increase(crossplane_exporter_checkpoint_failures_total{%s}[24h])))' % s, 'failures')],
          thresholds=t.any(),
          noValue='not scraped',
        ),
      ]),
      grid.row('What it sees', [
        panels.table(
          'Kinds it cannot read',
          'And why: forbidden by RBAC, refused by the API server (as when a conversion webhook is down), or unreachable.',
          [queries.table('max by (%s) (crossplane_exporter_kind_unreadable{%s})' % [e.by(kind + ['cause']), s])],
          columns.of(kindColumns + [columns.label('cause', 'Cause', width=120)], without=['Value']),
          noValue='it can read all',
          sortBy='Kind',
          descending=false,
          size=[12, 8],
        ),
        panels.table(
          'Kinds it has not seen completely',
          'Kinds whose objects have not all been seen, or whose watch is closed: what is said of them is missing or old.',
          [queries.table('max by (%s) (crossplane_exporter_kind_synced{%s} == 0)' % [e.by(kind), s])],
          columns.of(kindColumns, without=['Value']),
          noValue='it has seen all',
          sortBy='Kind',
          descending=false,
          size=[12, 8],
        ),
        panels.timeseries(
          'Watches opened again, an hour',
          'The API server ends each watch every five to ten minutes: six to twelve an hour and kind. More is trouble between it and the exporter. The kinds with most.',
          [queries.range('topk(%d, %s > 0)' % [settings.top, e.hourly('crossplane_exporter_watch_restarts_total', ['group', 'kind'])], '{{kind}}.{{group}}')],
          noValue='none',
        ),
        panels.timeseries(
          'Objects understood in part, an hour',
          'Objects with fields of a type that the API does not promise, and answers that were no JSON.',
          [queries.range('%s > 0' % e.hourly('crossplane_exporter_decode_errors_total', ['group', 'kind']), '{{kind}}.{{group}}')],
          noValue='none',
        ),
        panels.timeseries(
          'Age of the news, by collector',
          'When the collector last heard from all it reads.',
          [queries.range('time() - max by (%s) (crossplane_exporter_collector_last_success_timestamp_seconds{%s} > 0)' % [e.by(['collector']), s], '{{collector}}')],
          unit='s',
          thresholds=t.above(limits.staleSeconds.warning, limits.staleSeconds.critical),
          noValue='not scraped',
        ),
        panels.timeseries(
          "Providers' Events",
          'How many it remembers, so that none counts twice; and occurrences an hour that it could make nothing of, because their object is not watched, or was gone.',
          [
            queries.range('sum(crossplane_exporter_events_tracked{%s})' % s, 'remembered'),
            queries.range(e.hourly('crossplane_exporter_events_unattributed_total', []), 'not attributed, an hour'),
          ],
          noValue='not scraped',
        ),
        panels.timeseries(
          'Calls of AWS a second, by outcome',
          'What it asks of AWS to read the audit trail: the budget is --cloudtrail.rate.',
          [queries.range('sum by (%s) (rate(crossplane_exporter_aws_requests_total{%s}[$__rate_interval]))' % [e.by(['api', 'outcome']), s], '{{api}} {{outcome}}')],
          unit='reqps',
          noValue='AWS is not asked',
        ),
        panels.timeseries(
          'Age of the checkpoint',
          'It is saved when there is something new to save.',
          [queries.range('time() - max(crossplane_exporter_checkpoint_timestamp_seconds{%s} > 0)' % s, 'age')],
          unit='s',
          noValue='none was saved',
        ),
      ]),
      grid.row('What it costs', [
        panels.timeseries(
          'Series, by family',
          'What costs so much? The largest families.',
          [queries.range('topk(%d, sum by (%s) (crossplane_exporter_series{%s}))' % [settings.top, e.by(['family']), s], '{{family}}')],
          stack=true,
          noValue='not scraped',
        ),
        panels.timeseries(
          'Time of a scrape',
          'As Prometheus measures it.',
          [queries.range('max by (%s) (scrape_duration_seconds{%s})' % [e.by([process]), s], '{{%s}}' % process)],
          unit='s',
          noValue='not scraped',
        ),
        panels.timeseries(
          'Samples of a scrape',
          'What Prometheus takes in each time.',
          [queries.range('max by (%s) (scrape_samples_scraped{%s})' % [e.by([process]), s], '{{%s}}' % process)],
          noValue='not scraped',
        ),
        panels.timeseries(
          'Memory',
          'Resident memory of the exporter.',
          [queries.range('max by (%s) (process_resident_memory_bytes{%s})' % [e.by([process]), s], '{{%s}}' % process)],
          unit='bytes',
          noValue='not scraped',
        ),
        panels.timeseries(
          'CPU',
          'Cores that the exporter uses.',
          [queries.range('sum by (%s) (rate(process_cpu_seconds_total{%s}[$__rate_interval]))' % [e.by([process]), s], '{{%s}}' % process)],
          unit='none',
          noValue='not scraped',
        ),
        panels.table(
          'Version',
          'What runs.',
          [queries.table('max by (%s) (crossplane_exporter_build_info{%s})' % [e.by([process, 'version', 'revision', 'goversion']), s])],
          columns.of([
            columns.label(process, 'Process'),
            columns.label('version', 'Version'),
            columns.label('revision', 'Revision'),
            columns.label('goversion', 'Go'),
          ], without=['Value']),
          noValue='not scraped',
          size=[8, 8],
        ),
      ]),
    ],
  }
