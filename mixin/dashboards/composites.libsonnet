// Which composites and claims are unwell, whose are they, and what of theirs is it?
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

  local category(names) = ['category=~"%s"' % names];
  local both = category('composite|claim');
  local kinds = both + e.kinds;
  local chosen = both + e.objects;
  local away = kinds + ['condition="Ready"', 'status!="True"'];

  // The readiness objective: what is being deleted owes nobody anything. Shares that are not ready, and how many times as fast as it
  // may the budget is used up.
  local slo = config.slo;
  local accountable(matchers=[]) = 'sum by (%s) (platform_resources_by_condition{%s})' % [e.by(['group', 'kind']), e.selector(kinds + ['condition="Ready"', 'reason!="Deleting"'] + matchers)];
  local unready = '(%(away)s or 0 * %(all)s) / (%(all)s > 0)' % { away: accountable(['status!="True"']), all: accountable() };
  local burn(window) = 'avg_over_time((%s)[%s:]) / (1 - %g)' % [unready, window, slo.objective];
  local percent(share) = '%g%%' % (std.round(1000000 * share) / 10000);

  // Unwell objects of categories, with whose they are. The kinds and names that are chosen are of composites and claims: managed
  // resources are narrowed by their team alone.
  local unwell(names, labels) = e.info(e.unwellSince(category(names)), labels, category(names) + e.team);
  local byTeam(names) = 'count by (%s) (%s)' % [e.by(['team']), unwell(names, ['team'])];

  {
    title: 'Composites and claims',
    description: 'Which composites and claims are unwell, whose are they, and what of theirs is it?',
    variables: variables.start('platform_resources{%s}' % config.exporterSelector) + [
      variables.label('team', 'Team', 'platform_resource_info{%s}' % e.selector(), '.*'),
      variables.label('group', 'Group', 'platform_resources{%s}' % e.selector(both), '.+'),
      variables.label('kind', 'Kind', 'platform_resources{%s}' % e.selector(both + ['group=~"$group"']), '.+'),
      variables.label('resource_namespace', 'Namespace', 'platform_resource_info{%s}' % e.selector(kinds + e.team), '.*'),
      variables.expression('name', 'Name', 'A regular expression.'),
    ],
    rows: [
      grid.row(null, [
        panels.stat(
          'Composites',
          'Composite resources of the chosen kinds, of all teams.',
          [queries.range('sum(platform_resources{%s})' % e.selector(category('composite') + e.kinds), 'composites')],
        ),
        panels.stat(
          'Composites ready',
          'The share of composite resources of the chosen kinds whose Ready is True, of all teams.',
          [queries.range(e.readyRatio([], category('composite') + e.kinds), 'ready')],
          unit='percentunit',
          decimals=1,
          thresholds=t.below(limits.readyRatio.warning, limits.readyRatio.critical),
        ),
        panels.stat(
          'Claims',
          'Claims of the chosen kinds, of all teams.',
          [queries.range('sum(platform_resources{%s})' % e.selector(category('claim') + e.kinds), 'claims')],
        ),
        panels.stat(
          'Claims ready',
          'The share of claims of the chosen kinds whose Ready is True, of all teams.',
          [queries.range(e.readyRatio([], category('claim') + e.kinds), 'ready')],
          unit='percentunit',
          decimals=1,
          thresholds=t.below(limits.readyRatio.warning, limits.readyRatio.critical),
        ),
        panels.stat(
          'Unwell',
          'Chosen composites and claims with a condition that is not well. Single objects are known unless --detail=none.',
          [queries.instant(e.count(e.unwellSince(chosen), chosen + e.team), 'unwell')],
          thresholds=t.any(),
          noValue='0',
        ),
        panels.stat(
          'Being deleted',
          'Chosen composites and claims that are to go and are still there.',
          [queries.instant(e.count('platform_resource_deletion_timestamp_seconds{%s}' % e.selector(chosen), chosen + e.team), 'being deleted')],
          noValue='0',
        ),
        panels.stat(
          'Not responsive',
          'Chosen composites that Crossplane has stopped to watch for a while, because they changed too often: the circuit breaker is open.',
          [queries.instant(e.count('platform_resource_condition{%s} < 1' % e.selector(chosen + ['condition="Responsive"']), chosen + e.team), 'not responsive')],
          thresholds=t.any('red'),
          noValue='0',
        ),
        panels.stat(
          'Definitions failing',
          'CompositeResourceDefinitions and the like that cannot be established: nothing of their kind is looked after.',
          [queries.range('sum(platform_resources_failing{%s}) or vector(0)' % e.selector(category('definition')), 'failing')],
          thresholds=t.any('red'),
          noValue='0',
          links=links.to('Definitions', 'resources', { category: 'definition' }),
        ),
      ]),
      grid.row(null, [
        panels.table(
          'Unwell, by team',
          'Whose is it? What of each team has a condition that is not well, and for how long. Teams are known with --team-label.',
          [
            queries.table(byTeam('composite|claim|managed')),
            queries.table(e.orZero(byTeam('claim'), byTeam('composite|claim|managed'))),
            queries.table(e.orZero(byTeam('composite'), byTeam('composite|claim|managed'))),
            queries.table(e.orZero(byTeam('managed'), byTeam('composite|claim|managed'))),
            queries.table('time() - min by (%s) (%s)' % [e.by(['team']), unwell('composite|claim|managed', ['team'])]),
          ],
          columns.of([
            columns.label('team', 'Team', links=links.to('Objects of the team', 'resources', links.value('team')), empty='no team'),
            columns.value('Claims', 'short', 'B', width=90),
            columns.value('Composites', 'short', 'C', width=110),
            columns.value('Managed', 'short', 'D', width=90),
            columns.value('All', 'short', 'A', width=80, thresholds=t.any()),
            objects.age('For', t.above(limits.unwellSeconds.warning, limits.unwellSeconds.critical), 'E'),
          ]),
          noValue='nothing unwell',
          sortBy='All',
          size=[12, 8],
        ),
        panels.timeseries(
          'Not ready, by kind',
          'The share of composites and claims of each chosen kind whose Ready is not True, of all teams. Kinds that are ready as a whole are left out.',
          [queries.range('1 - (%s) > 0' % e.readyRatio(['group', 'kind'], kinds), '{{kind}}.{{group}}')],
          unit='percentunit',
          noValue='everything is ready',
          links=links.to('Objects', 'resources', links.series(['group', 'kind'])),
          size=[12, 8],
        ),
      ]),
      grid.row(null, [
        panels.table(
          'Unwell composites and claims',
          'Each by the condition that has been so for longest. A name leads to the object.',
          [queries.table('topk(%d, %s)' % [settings.rows, e.unwell(chosen, ['team'], e.team)])],
          columns.of([
            columns.label('category', 'Category', width=100),
            objects.kind,
            objects.group,
            objects.name,
            objects.namespace,
            objects.team,
            objects.condition,
            objects.reason,
            objects.errorClass,
            objects.unwellFor,
          ]),
          noValue='nothing unwell',
          sortBy='For',
          size=[24, 9],
        ),
        panels.table(
          'What of theirs is unwell',
          'Managed resources of the chosen teams that are unwell and belong to a composite or claim: the reason, most of the time.',
          [queries.table('topk(%d, %s)' % [settings.rows, e.unwell(category('managed'), ['team', 'composite', 'claim_namespace', 'claim_name'], e.team + ['composite!=""'])])],
          columns.of([
            columns.label('composite', 'Composite', width=180),
            columns.label('claim_namespace', 'Claim namespace', width=140),
            columns.label('claim_name', 'Claim', width=140),
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
          size=[24, 9],
        ),
      ]),
      grid.row('Readiness objective', [
        panels.timeseries(
          'Ready, by kind',
          '%s of the composites and claims of a chosen kind should be ready; the line is there. What is being deleted does not count.' % percent(slo.objective),
          [queries.range('1 - %s' % unready, '{{kind}}.{{group}}')],
          unit='percentunit',
          max=1,
          thresholds={ base: 'red', steps: [{ color: 'green', value: slo.objective }] },
          noValue='no composites or claims',
          size=[12, 8],
        ),
        panels.timeseries(
          'Burn rate, by kind',
          'How many times as fast as it may the budget of %s is used up, over %s. An alert tells of more than %g there, and of more than %g over %s, of kinds with %d objects or more.'
          % [percent(1 - slo.objective), slo.fast.long, slo.fast.factor, slo.slow.factor, slo.slow.long, slo.minObjects],
          [queries.range(burn(slo.fast.long), '{{kind}}.{{group}}')],
          unit='none',
          thresholds=t.above(slo.slow.factor, slo.fast.factor),
          noValue='no composites or claims',
          size=[12, 8],
        ),
        panels.table(
          'Budget, by kind',
          'How ready chosen kinds are, and how quickly their budgets are used up: 1 uses up all of it, and no more.',
          [
            queries.table(accountable()),
            queries.table('1 - %s' % unready),
            queries.table(burn(slo.fast.long)),
            queries.table(burn(slo.slow.long)),
          ],
          columns.of([
            columns.label('kind', 'Kind'),
            columns.label('group', 'Group'),
            columns.value('Objects', 'short', 'A', width=90),
            columns.value('Ready', 'percentunit', 'B', width=90, decimals=1),
            columns.value('Burn rate, %s' % slo.fast.long, 'none', 'C', width=130, decimals=1, thresholds=t.above(slo.fast.factor)),
            columns.value('Burn rate, %s' % slo.slow.long, 'none', 'D', width=130, decimals=1, thresholds=t.above(slo.slow.factor)),
          ]),
          noValue='no composites or claims',
          sortBy='Burn rate, %s' % slo.slow.long,
          size=[24, 8],
        ),
      ]),
      grid.row('How long', [
        panels.table(
          'Time to ready',
          'From the creation of a composite or claim to its first Ready, of those made in the time range.',
          [
            queries.table(e.observed('platform_time_to_ready_seconds', ['group', 'kind'], kinds) + ' > 0'),
            queries.table(e.quantile(0.5, 'platform_time_to_ready_seconds', ['group', 'kind'], kinds)),
            queries.table(e.quantile(0.95, 'platform_time_to_ready_seconds', ['group', 'kind'], kinds)),
          ],
          columns.of([
            columns.label('kind', 'Kind'),
            columns.label('group', 'Group'),
            columns.value('Made', 'short', 'A', width=80),
            columns.value('p50', 's', 'B', width=110),
            columns.value('p95', 's', 'C', width=110),
          ]),
          noValue='nothing was made',
          sortBy='Made',
          size=[12, 8],
        ),
        panels.timeseries(
          'Turned away from ready, an hour',
          'How often composites and claims of a chosen kind stopped being ready.',
          [queries.range(
            e.most(e.hourly('platform_condition_transitions_total', ['group', 'kind'], away), 'platform_condition_transitions_total', ['group', 'kind'], away),
            '{{kind}}.{{group}}',
          )],
          noValue='none did',
          size=[12, 8],
        ),
      ]),
    ],
  }
