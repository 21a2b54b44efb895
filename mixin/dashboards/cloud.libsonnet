// Which cloud API throttles or refuses whom, and who else is at work there?
local grid = import 'grafana/grid.libsonnet';
local panels = import 'grafana/panels.libsonnet';

function(config)
  local queries = (import 'grafana/queries.libsonnet')(config);
  local columns = (import 'grafana/columns.libsonnet')(config);
  local e = (import 'expressions.libsonnet')(config);
  local links = (import 'grafana/links.libsonnet')(config);
  local objects = (import 'objects.libsonnet')(config);
  local variables = (import 'grafana/variables.libsonnet')(config);
  local settings = config.dashboards;
  local limits = settings.thresholds;
  local t = panels.thresholds;

  local place = ['cloud_account=~"$cloud_account"', 'cloud_region=~"$cloud_region"'];
  local calls = place + ['api_service=~"$api_service"', 'principal_class=~"$principal_class"'];
  local operation = ['cloud_account', 'cloud_region', 'api_service', 'api_operation', 'principal_class'];
  local trail = ['cloud_account', 'cloud_region', 'trail_source'];

  local all = 'platform_cloud_api_calls_total';
  local throttled = 'platform_cloud_api_throttled_total';
  local failed = ['outcome!~"ok|throttled"'];

  local rate(metric, labels, matchers) = 'sum by (%s) (rate(%s{%s}[$__rate_interval]))' % [e.by(labels), metric, e.selector(matchers)];
  // A metric by a label, of the values that were counted most.
  local most(metric, label, expr=rate(metric, [label], calls)) = queries.range(e.most(expr, metric, [label], calls), '{{%s}}' % label);
  // 0 while a trail is read.
  local zero = '0 * max(platform_cloud_trail_coverage{%s})' % e.selector(place);
  local within(metric, range, matchers=calls) = 'sum(increase(%s{%s}[%s]))' % [metric, e.selector(matchers), range];

  // Of the trails that are read now: for a moment at the start their accounts have no name yet.
  local read(expr) = '%s and on (%s) platform_cloud_trail_delay_seconds{%s}' % [expr, e.by(trail), e.selector(place)];

  local columnsOf = [
    columns.label('cloud_account', 'Account', width=130),
    columns.label('cloud_region', 'Region', width=120),
    columns.label('api_service', 'Service', width=110),
    columns.label('api_operation', 'Operation'),
    columns.label('principal_class', 'Who', width=150),
  ];
  local worst = 'topk(%d, %s > 0)' % [settings.rows, e.increase(throttled, operation, calls)];

  {
    title: 'Cloud API',
    description: "Which cloud API throttles or refuses whom, and who else is at work there? By the cloud's audit trail.",
    variables: variables.start('platform_resources{%s}' % config.exporterSelector) + [
      variables.label('cloud_account', 'Account', '%s{%s}' % [all, e.selector()], '.*'),
      variables.label('cloud_region', 'Region', '%s{%s}' % [all, e.selector(['cloud_account=~"$cloud_account"'])], '.*'),
      variables.label('api_service', 'Service', '%s{%s}' % [all, e.selector(place)], '.*'),
      variables.label('principal_class', 'Who', '%s{%s}' % [all, e.selector(place)], '.*'),
    ],
    rows: [
      grid.row(null, [
        panels.stat(
          'Calls a second, 1 h',
          'Chosen calls of the cloud API that the audit trail has, on average of an hour.',
          [queries.instant('%s / 3600' % within(all, '1h'), 'calls')],
          unit='reqps',
          noValue='no calls seen',
        ),
        panels.stat(
          'Throttled, 1 h',
          'The share of calls that the cloud refused because there were too many.',
          [queries.instant('(%s or vector(0)) / (%s > 0)' % [within(throttled, '1h'), within(all, '1h')], 'throttled')],
          unit='percentunit',
          decimals=1,
          thresholds=t.above(limits.throttledRatio.warning, limits.throttledRatio.critical),
          noValue='no calls seen',
        ),
        panels.stat(
          'Failed otherwise, 1 h',
          'The share of calls that failed for another reason.',
          [queries.instant('(%s or vector(0)) / (%s > 0)' % [within(all, '1h', calls + failed), within(all, '1h')], 'failed')],
          unit='percentunit',
          decimals=1,
          thresholds=t.above(limits.failedRatio.warning, limits.failedRatio.critical),
          noValue='no calls seen',
        ),
        panels.stat(
          'Denied, 24 h',
          'Calls that someone had no right to.',
          [queries.instant('round(%s) or %s' % [within(all, '24h', calls + ['outcome="denied"']), zero], 'denied')],
          thresholds=t.any(),
          noValue='no trail read',
        ),
        panels.stat(
          'Changed outside, 24 h',
          'Writes to what Crossplane manages that its providers did not make.',
          [queries.instant('round(%s) or %s' % [within('platform_cloud_out_of_band_changes_total', '24h'), zero], 'changes')],
          thresholds=t.any(),
          noValue='no trail read',
          links=links.to('Drift', 'drift'),
        ),
        panels.stat(
          'Role misused, 24 h',
          "Calls with a provider's role by something that is not the provider.",
          [queries.instant('round(%s) or %s' % [within('platform_cloud_provider_role_misuse_total', '24h', place + ['api_service=~"$api_service"']), zero], 'calls')],
          thresholds=t.any('red'),
          noValue='no trail read',
        ),
        panels.stat(
          'Trail late',
          'How far the reading of the audit trail is behind, where it is furthest behind.',
          [queries.range('max(platform_cloud_trail_delay_seconds{%s})' % e.selector(place), 'late')],
          unit='s',
          decimals=0,
          thresholds=t.above(limits.trailDelaySeconds.warning, limits.trailDelaySeconds.critical),
          noValue='no trail read',
        ),
        panels.stat(
          'Trails down',
          'Accounts and regions whose audit trail cannot be read.',
          [queries.range('sum(crossplane_exporter_trail_up{%s} == bool 0)' % e.selector(place), 'down')],
          thresholds=t.any('red'),
          noValue='no trail read',
        ),
      ]),
      grid.row('Throttling', [
        panels.timeseries(
          'Throttled, by service',
          'Which API has had enough? The share of its calls that it refused. Services that refuse none are left out.',
          [most(throttled, 'api_service', '%s / (%s > 0)' % [rate(throttled, ['api_service'], calls), rate(all, ['api_service'], calls)])],
          unit='percentunit',
          noValue='none seen',
          size=[8, 8],
        ),
        panels.timeseries(
          'Throttled calls, by who makes them',
          'Whom does it hit? An account has one limit for all that work in it.',
          [most(throttled, 'principal_class')],
          unit='reqps',
          stack=true,
          noValue='none seen',
          size=[8, 8],
        ),
        panels.timeseries(
          'Throttled calls, by code',
          'What does the cloud say?',
          [most(throttled, 'error_code')],
          unit='reqps',
          stack=true,
          noValue='none seen',
          size=[8, 8],
        ),
        panels.table(
          'Most throttled',
          'Which calls, where, and whose? In the time range.',
          [
            queries.table(worst),
            queries.table('(%s / %s) and on (%s) (%s)' % [
              'sum by (%s) (increase(%s{%s}[$__range]))' % [e.by(operation), throttled, e.selector(calls)],
              'sum by (%s) (increase(%s{%s}[$__range]))' % [e.by(operation), all, e.selector(calls)],
              e.by(operation),
              worst,
            ]),
          ],
          columns.of(columnsOf + [
            objects.count('Throttled', 'A', t.any()),
            columns.value(
              'Share',
              'percentunit',
              'B',
              width=110,
              decimals=1,
              thresholds=t.above(limits.throttledRatio.warning, limits.throttledRatio.critical),
            ),
          ]),
          noValue='none seen',
          sortBy='Throttled',
          size=[24, 8],
        ),
      ]),
      grid.row('Calls', [
        panels.timeseries(
          'Calls, by service',
          'Who is busy? The services with most calls in the time range.',
          [most(all, 'api_service')],
          unit='reqps',
          stack=true,
          noValue='no calls seen',
          size=[8, 8],
        ),
        panels.timeseries(
          'Calls, by outcome',
          'How do they end?',
          [most(all, 'outcome')],
          unit='reqps',
          stack=true,
          colors=panels.errorColors { ok: 'green' },
          noValue='no calls seen',
          size=[8, 8],
        ),
        panels.timeseries(
          'Calls, by who makes them',
          'Crossplane, or someone beside it?',
          [most(all, 'principal_class')],
          unit='reqps',
          stack=true,
          noValue='no calls seen',
          size=[8, 8],
        ),
        panels.table(
          'Failed most',
          'Which calls fail for another reason than throttling, whose, and how? In the time range.',
          [queries.table('topk(%d, %s > 0)' % [settings.rows, e.increase(all, operation + ['outcome'], calls + failed)])],
          columns.of(columnsOf + [columns.label('outcome', 'Outcome', width=110), objects.count('Failed', thresholds=t.any())]),
          noValue='none seen',
          sortBy='Failed',
          size=[24, 8],
        ),
      ]),
      grid.row('Who else', [
        panels.table(
          'Changes from outside',
          'Writes to what Crossplane manages that its providers did not make, in the time range. A kind leads to its objects.',
          [queries.table('topk(%d, %s > 0)' % [settings.rows, e.increase('platform_cloud_out_of_band_changes_total', operation + ['group', 'kind'], calls)])],
          columns.of([
            columns.label('kind', 'Kind', links=links.to('Drift', 'drift', links.row(['group', 'kind']))),
            columns.hidden('group'),
          ] + columnsOf + [objects.count('Changes', thresholds=t.any())]),
          noValue='none seen',
          sortBy='Changes',
          size=[24, 7],
        ),
        panels.table(
          "A provider's role misused",
          "Calls with a provider's role by something that is not the provider, in the time range. Someone may have its credentials.",
          [queries.table('topk(%d, %s > 0)' % [settings.rows, e.increase('platform_cloud_provider_role_misuse_total', ['cloud_account', 'cloud_region', 'api_service', 'api_operation'], place + ['api_service=~"$api_service"'])])],
          columns.of([
            columns.label('cloud_account', 'Account', width=130),
            columns.label('cloud_region', 'Region', width=120),
            columns.label('api_service', 'Service', width=100),
            columns.label('api_operation', 'Operation'),
            objects.count('Calls', thresholds=t.any('red')),
          ]),
          noValue='none seen',
          sortBy='Calls',
          size=[24, 5],
        ),
      ]),
      grid.row('The trail', [
        panels.table(
          'Trails',
          'What is read, how much of it is there, and how late is it? Coverage is all, writes (no reads: throttled reads are not seen), or none. Unreadable are records and log files, missed is the time that nobody read, in the time range.',
          [
            queries.table('max by (%s, coverage) (platform_cloud_trail_coverage{%s})' % [e.by(trail), e.selector(place)]),
            queries.table('max by (%s) (platform_cloud_trail_delay_seconds{%s})' % [e.by(trail), e.selector(place)]),
            queries.table('time() - max by (%s) (platform_cloud_trail_last_event_timestamp_seconds{%s} > 0)' % [e.by(trail), e.selector(place)]),
            queries.table('min by (%s) (crossplane_exporter_trail_up{%s})' % [e.by(trail), e.selector(place)]),
            queries.table(read('round(sum by (%s) (increase(crossplane_exporter_trail_records_total{%s}[$__range]) or increase(crossplane_exporter_trail_files_total{%s}[$__range])))' % [
              e.by(trail),
              e.selector(place + ['result="unreadable"']),
              e.selector(place + ['result="broken"']),
            ])),
            queries.table(read('sum by (%s) (increase(crossplane_exporter_trail_missed_seconds_total{%s}[$__range]))' % [e.by(trail), e.selector(place)])),
          ],
          columns.of([
            columns.label('cloud_account', 'Account', width=130),
            columns.label('cloud_region', 'Region', width=120),
            columns.label('trail_source', 'Source'),
            columns.label('coverage', 'Coverage', width=90),
            columns.value('Up', 'short', 'D', width=80, mappings=panels.mapping({ '0': { text: 'down', color: 'red' }, '1': { text: 'up', color: 'green' } })),
            objects.age('Late', t.above(limits.trailDelaySeconds.warning, limits.trailDelaySeconds.critical), 'B'),
            objects.age('Last event, ago', t.none(), 'C', width=130),
            columns.value('Unreadable', 'short', 'E', width=110, thresholds=t.any()),
            objects.age('Missed', t.any(), 'F'),
          ], without=['Value #A', 'Value']),
          noValue='no trail read',
          sortBy='Late',
          size=[24, 6],
        ),
        panels.timeseries(
          'How late the trail is',
          'CloudTrail delivers within a quarter of an hour, most of the time.',
          [queries.range('max by (%s) (platform_cloud_trail_delay_seconds{%s})' % [e.by(trail), e.selector(place)], '{{cloud_account}} {{cloud_region}} {{trail_source}}')],
          unit='s',
          thresholds=t.above(limits.trailDelaySeconds.warning, limits.trailDelaySeconds.critical),
          noValue='no trail read',
          size=[12, 8],
        ),
        panels.timeseries(
          'Records an hour',
          'Counted; duplicate, because they had been counted before, which is normal; or unreadable.',
          [queries.range(e.hourly('crossplane_exporter_trail_records_total', ['result'], place), '{{result}}')],
          colors={ counted: 'green', duplicate: 'blue', unreadable: 'red' },
          noValue='no trail read',
          size=[12, 8],
        ),
      ]),
    ],
  }
