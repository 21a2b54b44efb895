// Is anything wrong, where, and whose is it? In one screen.
local grid = import 'grafana/grid.libsonnet';
local panels = import 'grafana/panels.libsonnet';

function(config)
  local queries = (import 'grafana/queries.libsonnet')(config);
  local columns = (import 'grafana/columns.libsonnet')(config);
  local e = (import 'expressions.libsonnet')(config);
  local objects = (import 'objects.libsonnet')(config);
  local links = (import 'grafana/links.libsonnet')(config);
  local variables = (import 'grafana/variables.libsonnet')(config);
  local settings = config.dashboards;
  local limits = settings.thresholds;
  local t = panels.thresholds;

  local s(matchers=[]) = e.selector(matchers);
  local by(labels) = e.by(labels);

  local total(labels) = 'sum by (%s) (platform_resources{%s})' % [by(labels), s()];
  local failing(labels) = e.orZero('sum by (%s) (platform_resources_failing{%s})' % [by(labels), s()], total(labels));

  local unwellByTeam = e.info(e.unwellSince(), ['team']);

  {
    title: 'Overview',
    description: 'Is anything wrong, where, and whose is it?',
    variables: variables.start('platform_resources{%s}' % config.exporterSelector),
    rows: [
      grid.row(null, [
        panels.stat(
          'Objects',
          'All objects that the exporter sees: managed resources, composites, claims, packages and what belongs to them, and the GitOps, secret, certificate and gateway objects beside them.',
          [queries.range('sum(platform_resources{%s})' % s(), 'objects')],
          noValue='no data',
          links=links.to('Resources', 'resources'),
        ),
        panels.stat(
          'Ready',
          'The share of managed resources, composites and claims whose Ready is True.',
          [queries.range(e.readyRatio([]), 'ready')],
          unit='percentunit',
          decimals=1,
          thresholds=t.below(limits.readyRatio.warning, limits.readyRatio.critical),
          noValue='no objects',
          links=links.to('Resources', 'resources'),
        ),
        panels.stat(
          'Not ready',
          'Objects whose Ready is not True. A managed resource, composite or claim without Ready counts too: nothing has looked after it yet.',
          [queries.range('sum(%s)' % e.unready(['category']), 'not ready')],
          thresholds=t.any(),
          noValue='no data',
          links=links.to('Resources', 'resources'),
        ),
        panels.stat(
          'Failing',
          'Objects that cannot be reconciled: Synced, Healthy, Installed or the like is False. What is paused does not fail.',
          [queries.range('sum(platform_resources_failing{%s}) or vector(0)' % s(), 'failing')],
          thresholds=t.any('red'),
          noValue='0',
          links=links.to('Resources', 'resources'),
        ),
        panels.stat(
          'Drift corrections, 24 h',
          'How often providers put the world back in the last 24 hours, though no spec had changed.',
          [queries.instant(e.increase('platform_drift_corrections_total', [], range='24h') + ' or vector(0)', 'corrections')],
          thresholds=t.above(limits.correctionsADay.warning, limits.correctionsADay.critical),
          noValue='0',
          links=links.to('Drift', 'drift'),
        ),
        panels.stat(
          'Throttled, 1 h',
          'The share of cloud API calls that the cloud refused because there were too many, in the last hour of its audit trail.',
          [queries.instant(|||
            (sum(increase(platform_cloud_api_throttled_total{%(s)s}[1h])) or vector(0))
            / (sum(increase(platform_cloud_api_calls_total{%(s)s}[1h])) > 0)
          ||| % { s: s() }, 'throttled')],
          unit='percentunit',
          decimals=1,
          thresholds=t.above(limits.throttledRatio.warning, limits.throttledRatio.critical),
          noValue='no calls seen',
          links=links.to('Cloud API', 'cloud'),
        ),
        panels.stat(
          'Audit trail late',
          'How far the reading of the audit trail is behind, where it is furthest behind.',
          [queries.range('max(platform_cloud_trail_delay_seconds{%s})' % s(), 'late')],
          unit='s',
          decimals=0,
          thresholds=t.above(limits.trailDelaySeconds.warning, limits.trailDelaySeconds.critical),
          noValue='no trail read',
          links=links.to('Cloud API', 'cloud'),
        ),
        panels.stat(
          'Kinds unread',
          'Kinds that the exporter cannot read: what is said here is incomplete.',
          [queries.range('count(crossplane_exporter_kind_unreadable{%(s)s}) or 0 * min(crossplane_exporter_collector_up{%(s)s})' % { s: s() }, 'unread')],
          thresholds=t.any(),
          noValue='no exporter',
          links=links.to('Exporter', 'exporter'),
        ),
      ]),
      grid.row(null, [
        panels.table(
          'By category',
          'Where is it? A category leads to its objects.',
          [queries.table(total(['category'])), queries.table(e.unready(['category'])), queries.table(failing(['category']))],
          columns.of([
            columns.label('category', 'Category', links=links.to('Objects', 'resources', links.row(['category']))),
            columns.value('Objects', 'short', 'A', width=80),
            columns.value('Not ready', 'short', 'B', width=90, thresholds=t.any()),
            columns.value('Failing', 'short', 'C', width=80, thresholds=t.any('red')),
          ]),
          noValue='no objects',
          sortBy='Not ready',
          size=[8, 8],
        ),
        panels.table(
          'By kind',
          'Which kinds? A kind leads to its objects.',
          [queries.table(total(['group', 'kind'])), queries.table(e.unready(['group', 'kind'])), queries.table(failing(['group', 'kind']))],
          columns.of([
            columns.label('kind', 'Kind', links=links.to('Objects', 'resources', links.row(['group', 'kind']))),
            columns.label('group', 'Group'),
            columns.value('Objects', 'short', 'A', width=80),
            columns.value('Not ready', 'short', 'B', width=90, thresholds=t.any()),
            columns.value('Failing', 'short', 'C', width=80, thresholds=t.any('red')),
          ]),
          noValue='no objects',
          sortBy='Not ready',
          size=[10, 8],
        ),
        panels.table(
          'By team',
          'Whose is it? Objects with a condition that is not well. Teams are known with --team-label, objects unless --detail=none.',
          [
            queries.table('count by (%s) (%s)' % [by(['team']), unwellByTeam]),
            queries.table('time() - min by (%s) (%s)' % [by(['team']), unwellByTeam]),
          ],
          columns.of([
            columns.label('team', 'Team', links=links.to('Objects', 'resources', links.value('team')), empty='no team'),
            columns.value('Unwell', 'short', 'A', width=80, thresholds=t.any()),
            objects.age('For', t.above(limits.unwellSeconds.warning, limits.unwellSeconds.critical), 'B', width=100),
          ]),
          noValue='nothing unwell',
          sortBy='Unwell',
          size=[6, 8],
        ),
      ]),
      grid.row(null, [
        panels.table(
          'Unwell for longest',
          'The objects that have been unwell for longest, by the condition that has been so for longest. What is paused is left out. A name leads to the object.',
          [queries.table('topk(%d, %s)' % [settings.worst, e.unwell()])],
          columns.of([
            objects.kind,
            objects.group,
            objects.name,
            objects.namespace,
            objects.team,
            objects.condition,
            objects.reason,
            objects.errorClass,
            objects.unwellFor,
          ], without=['category']),
          noValue='nothing unwell',
          sortBy='For',
          size=[16, 10],
        ),
        panels.table(
          'Alerts firing',
          'What Prometheus alerts on, by team. CrossplaneWatchdog, which always fires, is left out.',
          [queries.table('sum by (%s) (ALERTS{%s})' % [by(['alertname', 'severity', 'team']), e.selectorOf('alertname=~"Crossplane.+"', ['alertname!="CrossplaneWatchdog"', 'alertstate="firing"'])])],
          columns.of([
            columns.label('alertname', 'Alert'),
            columns.label('severity', 'Severity', width=90, mappings=panels.severities),
            columns.label('team', 'Team', width=90),
            columns.value('Firing', 'short', width=70),
          ]),
          noValue='no alert is firing',
          sortBy='Firing',
          size=[8, 10],
        ),
      ]),
      grid.row('Trend', [
        panels.timeseries(
          'Not ready, by category',
          'Is it getting better or worse?',
          [queries.range(e.unready(['category']), '{{category}}')],
          stack=true,
          links=links.to('Objects', 'resources', links.series(['category'])),
        ),
        panels.timeseries(
          'Failing, by error',
          'Is it us, or is the cloud refusing?',
          [queries.range('sum by (%s) (platform_resources_failing{%s})' % [by(['error_class']), s()], '{{error_class}}')],
          stack=true,
          colors=panels.errorColors,
          noValue='nothing fails',
        ),
        panels.timeseries(
          'Drift corrections an hour, by kind',
          'How often is the world put back, and where? The kinds with most in the time range.',
          [queries.range(
            e.most(e.hourly('platform_drift_corrections_total', ['group', 'kind']), 'platform_drift_corrections_total', ['group', 'kind']),
            '{{kind}}.{{group}}',
          )],
          noValue='no drift',
          links=links.to('Drift', 'drift', links.series(['group', 'kind'])),
        ),
      ]),
    ],
  }
