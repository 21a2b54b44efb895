// What is unwell, since when, whose, and why? Objects of every category; the variable category narrows it to managed resources.
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

  local category = ['category=~"$category"'];
  local kinds = category + e.kinds;
  local chosen = category + e.objects;
  local errors = kinds + ['outcome="error"'];

  // Objects of a family, of the chosen team too.
  local count(family) = e.count('%s{%s}' % [family, e.selector(chosen)], chosen + e.team);
  local list(expr) = 'topk(%d, %s)' % [settings.rows, e.info(expr, ['team'], chosen + e.team)];
  local each(family, labels=[]) = 'max by (%s) (%s{%s})' % [std.join(', ', [e.identity] + labels), family, e.selector(chosen)];

  // expr while no more objects are chosen than can be shown one by one.
  local single(expr) = |||
    %s and on () (count(group by (%s) (platform_resource_info{%s})) <= %d)
  ||| % [std.stripChars(expr, '\n'), e.identity, e.selector(chosen + e.team), settings.chosen];
  local chooseOne = 'Choose one object, as by a click on its name, or %d at most.' % settings.chosen;

  {
    title: 'Resources',
    description: 'What is unwell, since when, whose, and why?',
    variables: variables.start('platform_resources{%s}' % config.exporterSelector) + [
      variables.label('category', 'Category', 'platform_resources{%s}' % e.selector(), '.+'),
      variables.label('group', 'Group', 'platform_resources{%s}' % e.selector(category), '.+'),
      variables.label('kind', 'Kind', 'platform_resources{%s}' % e.selector(category + ['group=~"$group"']), '.+'),
      variables.label('team', 'Team', 'platform_resource_info{%s}' % e.selector(kinds), '.*'),
      variables.label('resource_namespace', 'Namespace', 'platform_resource_info{%s}' % e.selector(kinds + e.team), '.*'),
      variables.expression('name', 'Name', 'A regular expression.'),
    ],
    rows: [
      grid.row(null, [
        panels.stat(
          'Objects',
          'All objects of the chosen kinds, whatever the team, namespace and name.',
          [queries.range('sum(platform_resources{%s})' % e.selector(kinds), 'objects')],
          noValue='none',
        ),
        panels.stat(
          'Ready',
          'The share of managed resources, composites and claims of the chosen kinds whose Ready is True, whatever the team, namespace and name.',
          [queries.range(e.readyRatio([], kinds), 'ready')],
          unit='percentunit',
          decimals=1,
          thresholds=t.below(limits.readyRatio.warning, limits.readyRatio.critical),
          noValue='none',
        ),
        panels.stat(
          'Unwell',
          'Chosen objects with a condition that is not well. What is paused is left out. Single objects are known unless --detail=none.',
          [queries.instant(e.count(e.unwellSince(chosen), chosen + e.team), 'unwell')],
          thresholds=t.any(),
          noValue='0',
        ),
        panels.stat(
          'Failing',
          'Chosen objects that cannot be reconciled: Synced, Healthy, Installed or the like is False.',
          [queries.instant(count('platform_resource_failing'), 'failing')],
          thresholds=t.any('red'),
          noValue='0',
        ),
        panels.stat(
          'Being deleted',
          'Chosen objects that are to go and are still there.',
          [queries.instant(count('platform_resource_deletion_timestamp_seconds'), 'being deleted')],
          thresholds=t.none(),
          noValue='0',
        ),
        panels.stat(
          'Wait for a person',
          'Chosen objects whose creation did not finish: the provider does nothing more until someone has looked.',
          [queries.instant(count('platform_resource_create_incomplete'), 'waiting')],
          thresholds=t.any('red'),
          noValue='0',
        ),
        panels.stat(
          'Paused',
          'Chosen objects that someone has stopped.',
          [queries.instant(count('platform_resource_paused'), 'paused')],
          thresholds=t.any('blue'),
          noValue='0',
        ),
        panels.stat(
          'Not as asked for',
          'Chosen objects that differ outside from what their spec asks for.',
          [queries.instant(count('platform_resource_drifted'), 'drifted')],
          thresholds=t.any(),
          noValue='0',
        ),
      ]),
      grid.row(null, [
        panels.table(
          'What is unwell',
          'Each chosen object with a condition that is not well, by the condition that has been so for longest. What is paused is left out. A name leads to the object, a team to its objects.',
          [queries.table('topk(%d, %s)' % [settings.rows, e.unwell(chosen, ['team', 'provider_config'], e.team)])],
          columns.of([
            columns.label('category', 'Category', width=100),
            objects.kind,
            objects.group,
            objects.name,
            objects.namespace,
            objects.team,
            objects.providerConfig,
            objects.condition,
            objects.reason,
            objects.errorClass,
            objects.unwellFor,
          ]),
          noValue='nothing unwell',
          sortBy='For',
          size=[24, 11],
        ),
      ]),
      grid.row('Single objects', [
        panels.table(
          'What it is',
          'What the chosen objects are called in the cloud, and what they are part of.',
          [queries.table(single('group by (%s, version, external_name, provider_config, cloud_region, composite, claim_namespace, claim_name, team) (platform_resource_info{%s})' % [e.identity, e.selector(chosen + e.team)]))],
          columns.of([
            columns.label('category', 'Category', width=100),
            columns.label('kind', 'Kind'),
            columns.label('group', 'Group'),
            columns.label('version', 'Version', width=80),
            columns.label('name', 'Name'),
            columns.label('resource_namespace', 'Namespace'),
            columns.label('team', 'Team'),
            columns.label('external_name', 'External name'),
            columns.label('cloud_region', 'Region'),
            columns.label('provider_config', 'Provider config'),
            columns.label('composite', 'Composite'),
            columns.label('claim_namespace', 'Claim namespace'),
            columns.label('claim_name', 'Claim'),
          ], without=['Value']),
          noValue=chooseOne,
          size=[24, 4],
        ),
        panels.table(
          'Conditions',
          'What the chosen objects say of themselves, since when, and why.',
          [
            queries.table(single('max by (%s, condition) (platform_resource_condition{%s})' % [e.identity, e.selector(chosen)])),
            queries.table(single('time() - max by (%s, condition) (platform_resource_condition_since_timestamp_seconds{%s})' % [e.identity, e.selector(chosen)])),
          ],
          columns.of([
            columns.label('kind', 'Kind', width=150),
            columns.label('name', 'Name'),
            columns.label('condition', 'Condition', width=150),
            columns.value('Status', 'short', 'A', width=100, mappings=panels.statuses),
            objects.ago('For', 'B'),
          ], without=['category', 'group', 'resource_namespace']),
          noValue=chooseOne,
          sortBy='For',
          descending=false,
          size=[12, 8],
        ),
        panels.stateTimeline(
          'Conditions over time',
          'When did it turn? Conditions of the chosen objects.',
          [queries.range(single('max by (%s, condition) (platform_resource_condition{%s})' % [e.identity, e.selector(chosen)]), '{{name}} {{condition}}')],
          panels.statuses,
          noValue=chooseOne,
          size=[12, 8],
        ),
      ]),
      grid.row('Why', [
        panels.timeseries(
          'Failing, by error',
          'Is it us, or is the cloud refusing? Objects of the chosen kinds that cannot be reconciled, by what their error says.',
          [queries.range('sum by (%s) (platform_resources_failing{%s})' % [e.by(['error_class']), e.selector(kinds)], '{{error_class}}')],
          stack=true,
          colors=panels.errorColors,
          noValue='nothing fails',
        ),
        panels.timeseries(
          'Not ready, by reason',
          'Objects of the chosen kinds whose Ready is not True, by the reason they give.',
          [queries.range('sum by (%s) (platform_resources_by_condition{%s})' % [e.by(['status', 'reason']), e.selector(kinds + ['condition="Ready"', 'status!="True"'])], '{{reason}} ({{status}})')],
          stack=true,
          noValue='everything is ready',
        ),
        panels.timeseries(
          'Operations that failed, an hour',
          'What providers tried for objects of the chosen kinds and could not do, by what the error says.',
          [queries.range(
            e.most(e.hourly('platform_external_operations_total', ['operation', 'error_class'], errors), 'platform_external_operations_total', ['operation', 'error_class'], errors),
            '{{operation}} {{error_class}}',
          )],
          noValue='none failed',
        ),
      ]),
      grid.row('Stuck', [
        panels.table(
          'What is being deleted',
          'Which deletion hangs, and since when? With many finalizers Crossplane waits for the others to be taken off, and says so nowhere.',
          [queries.table(list('(time() - %s)' % each('platform_resource_deletion_timestamp_seconds', ['finalizers'])))],
          columns.of([
            objects.kind,
            objects.group,
            objects.name,
            objects.namespace,
            objects.team,
            columns.label('finalizers', 'Finalizers', width=90),
            objects.age('For', t.above(limits.deletingSeconds.warning, limits.deletingSeconds.critical)),
          ], without=['category']),
          noValue='nothing is being deleted',
          sortBy='For',
          size=[12, 7],
        ),
        panels.table(
          'What waits for a person',
          'A creation that did not finish. The provider does nothing more until someone has looked and taken away the annotation crossplane.io/external-create-pending.',
          [queries.table(list(each('platform_resource_create_incomplete')))],
          columns.of([objects.kind, objects.group, objects.name, objects.namespace, objects.team], without=['category', 'Value']),
          noValue='nothing waits',
          sortBy='Name',
          descending=false,
          size=[12, 7],
        ),
        panels.table(
          'What is paused',
          'What has someone stopped, and forgotten to start again?',
          [queries.table(list(each('platform_resource_paused')))],
          columns.of([objects.kind, objects.group, objects.name, objects.namespace, objects.team], without=['category', 'Value']),
          noValue='nothing is paused',
          sortBy='Name',
          descending=false,
          size=[12, 7],
        ),
        panels.table(
          'Never looked after',
          'Managed resources, composites and claims without any condition: no controller has touched them. Is their provider installed, and does it run?',
          [queries.table(list(|||
            (
              group by (%(id)s) (platform_resource_info{%(s)s})
              unless on (%(id)s) platform_resource_condition{%(s)s}
            )
          ||| % { id: e.identity, s: e.selector(chosen + ['category=~"managed|composite|claim"']) }))],
          columns.of([objects.kind, objects.group, objects.name, objects.namespace, objects.team], without=['category', 'Value']),
          noValue='everything was looked after',
          sortBy='Name',
          descending=false,
          size=[12, 7],
        ),
      ]),
      grid.row('How long, how steady', [
        panels.table(
          'How long it takes',
          'From the creation of an object to its first Ready, and from the request to delete it until it was gone, in the time range.',
          [
            queries.table(e.observed('platform_time_to_ready_seconds', ['group', 'kind'], kinds) + ' > 0'),
            queries.table(e.quantile(0.5, 'platform_time_to_ready_seconds', ['group', 'kind'], kinds)),
            queries.table(e.quantile(0.95, 'platform_time_to_ready_seconds', ['group', 'kind'], kinds)),
            queries.table(e.observed('platform_time_to_delete_seconds', ['group', 'kind'], kinds) + ' > 0'),
            queries.table(e.quantile(0.95, 'platform_time_to_delete_seconds', ['group', 'kind'], kinds)),
          ],
          columns.of([
            columns.label('kind', 'Kind'),
            columns.label('group', 'Group'),
            columns.value('Made', 'short', 'A', width=80),
            columns.value('Ready (p50)', 's', 'B', width=110),
            columns.value('Ready (p95)', 's', 'C', width=110),
            columns.value('Deleted', 'short', 'D', width=80),
            columns.value('Gone (p95)', 's', 'E', width=110),
          ]),
          noValue='nothing was made or deleted',
          sortBy='Made',
          size=[12, 8],
        ),
        panels.table(
          'What flaps',
          'How often a condition of the chosen kinds turned away from True in the time range.',
          [queries.table('topk(%d, %s > 0)' % [settings.rows, e.increase('platform_condition_transitions_total', ['group', 'kind', 'condition', 'status'], kinds + ['status!="True"'])])],
          columns.of([
            columns.label('kind', 'Kind'),
            columns.label('group', 'Group'),
            columns.label('condition', 'Condition'),
            columns.label('status', 'To', width=100),
            objects.count('Times'),
          ]),
          noValue='nothing turned',
          sortBy='Times',
          size=[12, 8],
        ),
      ]),
    ],
  }
