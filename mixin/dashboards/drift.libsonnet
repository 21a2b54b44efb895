// How often is the world put back, where, and who changes it past Crossplane?
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
  local t = panels.thresholds;

  local kinds = e.kinds;
  local chosen = e.objects;
  local objectLinks = [objects.kind, objects.group, objects.name, objects.namespace, objects.team];

  // Rows of objects, with their team.
  local list(expr) = e.info(expr, ['team'], chosen + e.team);
  local increase(metric, labels=[]) = 'round(sum by (%s) (increase(%s{%s}[$__range]))) > 0' % [std.join(', ', [e.identity] + labels), metric, e.selector(chosen)];
  local latest(metric, labels=[]) = 'max by (%s) (%s{%s})' % [std.join(', ', [e.identity] + labels), metric, e.selector(chosen)];
  local putBack = 'topk(%d, %s)' % [settings.rows, list('(%s)' % increase('platform_resource_drift_corrections_total'))];
  local alsoPutBack(expr) = '(%s) and on (%s) (%s)' % [expr, e.identity, putBack];
  local changed = 'topk(%d, %s)' % [settings.rows, list('(%s)' % increase('platform_resource_out_of_band_changes_total', ['principal_class']))];

  {
    title: 'Drift and changes from outside',
    description: 'How often is the world put back, where, and who changes it past Crossplane?',
    variables: variables.start('platform_resources{%s}' % config.exporterSelector) + [
      variables.label('group', 'Group', 'platform_drift_corrections_total{%s}' % e.selector(), '.+'),
      variables.label('kind', 'Kind', 'platform_drift_corrections_total{%s}' % e.selector(['group=~"$group"']), '.+'),
      variables.label('team', 'Team', 'platform_resource_info{%s}' % e.selector(kinds), '.*'),
      variables.label('resource_namespace', 'Namespace', 'platform_resource_info{%s}' % e.selector(kinds + e.team), '.*'),
      variables.expression('name', 'Name', 'A regular expression.'),
    ],
    rows: [
      grid.row(null, [
        panels.stat(
          'Corrections, 24 h',
          'Updates that providers made to objects of the chosen kinds though the spec stood still.',
          [queries.instant(e.increase('platform_drift_corrections_total', [], kinds, '24h') + ' or vector(0)', 'corrections')],
          thresholds=t.above(settings.thresholds.correctionsADay.warning, settings.thresholds.correctionsADay.critical),
          noValue='0',
        ),
        panels.stat(
          'Objects put back, 24 h',
          'How many of the chosen objects that was. Single objects are known unless --detail=none, and as long as --detail.memory says.',
          [queries.instant(e.count('time() - platform_resource_last_drift_timestamp_seconds{%s} < 24 * 3600' % e.selector(chosen), chosen + e.team), 'objects')],
          thresholds=t.any(),
          noValue='0',
        ),
        panels.stat(
          'Fought over',
          'Chosen objects that are put back at nearly every reconcile: two controllers fight, or an update does not help.',
          [queries.instant(e.count('platform_resource_drift_loop{%s}' % e.selector(chosen), chosen + e.team), 'loops')],
          thresholds=t.any('red'),
          noValue='0',
        ),
        panels.stat(
          'Not as asked for',
          'Objects of the chosen kinds that differ outside from what their spec asks for, right now.',
          [queries.range('sum(platform_resources_drifted{%s})' % e.selector(kinds), 'drifted')],
          thresholds=t.any(),
          noValue='0',
        ),
        panels.stat(
          'Edited past Git, 24 h',
          'Writes to the spec of chosen objects by someone that is neither Crossplane, nor a provider, nor GitOps.',
          [queries.instant(e.increase('platform_resource_foreign_writes_total', [], chosen, '24h') + ' or vector(0)', 'writes')],
          thresholds=t.any(),
          noValue='0',
        ),
        panels.stat(
          'Changed outside, 24 h',
          "Changes that someone made in the cloud to what Crossplane manages, by the cloud's audit trail.",
          [queries.instant('%s or 0 * max(platform_cloud_trail_coverage{%s})' % [e.increase('platform_cloud_out_of_band_changes_total', [], kinds, '24h'), e.selector()], 'changes')],
          thresholds=t.any(),
          noValue='no trail read',
          links=links.to('Cloud API', 'cloud'),
        ),
        panels.stat(
          'Put back after, 24 h',
          "From a change in the cloud to the provider's correction: the median.",
          [queries.instant(e.quantile(0.5, 'platform_cloud_revert_seconds', [], kinds, '24h'), 'p50')],
          unit='s',
          noValue='none',
        ),
        panels.stat(
          'Judged roughly',
          'Objects of the chosen kinds whose provider does not say which generation it has dealt with: an edit right after another may count as drift.',
          [queries.range('sum(platform_resources_without_observed_generation{%s})' % e.selector(kinds), 'objects')],
          thresholds=t.none(),
          noValue='0',
        ),
      ]),
      grid.row('How often', [
        panels.timeseries(
          'Corrections an hour, by kind',
          'How often is the world put back? The kinds with most in the time range.',
          [queries.range(
            e.most(e.hourly('platform_drift_corrections_total', ['group', 'kind'], kinds), 'platform_drift_corrections_total', ['group', 'kind'], kinds),
            '{{kind}}.{{group}}',
          )],
          noValue='no drift',
          size=[12, 8],
        ),
        panels.timeseries(
          'Updates an hour, by trigger',
          'Why was the world changed? Because someone edited a spec, because something had just been created, or because of drift.',
          [queries.range(e.hourly('platform_external_updates_total', ['trigger'], kinds), '{{trigger}}')],
          stack=true,
          colors={ drift: 'orange', spec: 'blue', create: 'green' },
          noValue='no updates',
          size=[6, 8],
        ),
        panels.heatmap(
          'Time between two corrections',
          'Is it a person now and then, or a controller every minute? Of the same object.',
          [queries.heatmap(e.buckets('platform_drift_interval_seconds', [], function(metric) 'increase(%s{%s}[$__rate_interval])' % [metric, e.selector(kinds)]))],
          noValue='no drift',
          size=[6, 8],
        ),
      ]),
      grid.row('Which', [
        panels.table(
          'Put back most',
          'Which ones are put back all the time? In the time range. A loop is put back at nearly every reconcile, like clockwork.',
          [
            queries.table(putBack),
            queries.table(alsoPutBack('round(sum by (%s) (increase(platform_resource_intended_updates_total{%s}[$__range]))) or 0 * (%s)' % [e.identity, e.selector(chosen), latest('platform_resource_last_drift_timestamp_seconds')])),
            queries.table(alsoPutBack('time() - ' + latest('platform_resource_last_drift_timestamp_seconds'))),
            queries.table(alsoPutBack('%s or 0 * (%s)' % [latest('platform_resource_drift_loop'), latest('platform_resource_last_drift_timestamp_seconds')])),
          ],
          columns.of(objectLinks + [
            objects.count('Corrections', 'A', t.any()),
            columns.value('Intended updates', 'short', 'B', width=140),
            objects.ago('Last, ago', 'C'),
            columns.value('Loop', 'short', 'D', width=80, mappings=panels.mapping({ '0': { text: 'no', color: 'text' }, '1': { text: 'yes', color: 'red' } })),
          ], without=['category']),
          noValue='no drift',
          sortBy='Corrections',
          size=[24, 9],
        ),
        panels.table(
          'What is not as asked for',
          'Which ones differ outside from their spec right now? The field is known with --drift.fields.',
          [queries.table('topk(%d, %s)' % [settings.rows, list('(%(named)s or on (%(id)s) %(all)s)' % {
            id: e.identity,
            named: latest('platform_resource_drifted_field', ['field']),
            all: latest('platform_resource_drifted'),
          })])],
          columns.of(objectLinks + [columns.label('field', 'Field')], without=['category', 'Value']),
          noValue='everything is as asked for',
          sortBy='Name',
          descending=false,
          size=[12, 8],
        ),
        panels.table(
          'Edited past Git',
          'Who edits what by hand? Writes to a spec in the time range, by field manager.',
          [queries.table('topk(%d, %s)' % [settings.rows, list('(%s)' % increase('platform_resource_foreign_writes_total', ['manager']))])],
          columns.of(objectLinks + [columns.label('manager', 'Field manager'), objects.count('Writes')], without=['category']),
          noValue='nobody did',
          sortBy='Writes',
          size=[12, 8],
        ),
      ]),
      grid.row("From outside, by the cloud's audit trail", [
        panels.timeseries(
          'Changes an hour, by who made them',
          'Writes in the cloud to what Crossplane manages, by someone else. They are counted when the trail is read, some minutes after they were made.',
          [queries.range(
            e.most(e.hourly('platform_cloud_out_of_band_changes_total', ['principal_class'], kinds), 'platform_cloud_out_of_band_changes_total', ['principal_class'], kinds),
            '{{principal_class}}',
          )],
          stack=true,
          noValue='none seen',
          links=links.to('Cloud API', 'cloud', links.series(['principal_class'])),
          size=[8, 8],
        ),
        panels.table(
          'Changed from outside',
          'Which ones, by whom, and when last? In the time range.',
          [
            queries.table(changed),
            queries.table('(time() - %s) and on (%s, principal_class) (%s)' % [latest('platform_resource_last_out_of_band_change_timestamp_seconds', ['principal_class']), e.identity, changed]),
          ],
          columns.of(objectLinks + [
            columns.label('principal_class', 'Who', width=140),
            objects.count('Changes', 'A', t.any()),
            objects.ago('Last, ago', 'B'),
          ], without=['category']),
          noValue='none seen',
          sortBy='Changes',
          size=[16, 8],
        ),
        panels.table(
          'How long until it is put back',
          "From a change in the cloud to the provider's correction, by kind and by who had made the change, in the time range.",
          [
            queries.table(e.observed('platform_cloud_revert_seconds', ['group', 'kind', 'principal_class'], kinds) + ' > 0'),
            queries.table(e.quantile(0.5, 'platform_cloud_revert_seconds', ['group', 'kind', 'principal_class'], kinds)),
            queries.table(e.quantile(0.95, 'platform_cloud_revert_seconds', ['group', 'kind', 'principal_class'], kinds)),
          ],
          columns.of([
            columns.label('kind', 'Kind'),
            columns.label('group', 'Group'),
            columns.label('principal_class', 'Who'),
            columns.value('Put back', 'short', 'A', width=100),
            columns.value('p50', 's', 'B', width=110),
            columns.value('p95', 's', 'C', width=110),
          ]),
          noValue='nothing was put back',
          sortBy='Put back',
          size=[24, 6],
        ),
      ]),
    ],
  }
