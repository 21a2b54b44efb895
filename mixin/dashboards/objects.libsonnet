// The columns of tables of objects.
local panels = import 'grafana/panels.libsonnet';

function(config) {
  local columns = (import 'grafana/columns.libsonnet')(config),
  local links = (import 'grafana/links.libsonnet')(config),
  local limits = config.dashboards.thresholds,
  local row = links.row(['group', 'kind', 'resource_namespace', 'name']),

  kind:: columns.label('kind', 'Kind', width=150),
  // Kinds of several groups have the same name.
  group:: columns.hidden('group'),
  name:: columns.label('name', 'Name', links=links.to('Object', 'resources', row) + links.to('Drift of the object', 'drift', row)),
  namespace:: columns.label('resource_namespace', 'Namespace', width=120),
  team:: columns.label('team', 'Team', width=100, links=links.to('Objects of the team', 'resources', links.value('team'))),
  providerConfig:: columns.label('provider_config', 'Provider config', width=130),
  condition:: columns.label('condition', 'Condition', width=115),
  reason:: columns.label('reason', 'Reason', width=190),
  errorClass:: columns.label('error_class', 'Error', width=90),

  // How long, in seconds: days, hours or minutes.
  age(title, thresholds, refId='A', width=100):: columns.value(title, 'dtdurations', refId, width=width, decimals=0, thresholds=thresholds),
  unwellFor:: $.age('For', panels.thresholds.above(limits.unwellSeconds.warning, limits.unwellSeconds.critical)),
  // How long ago, in seconds.
  ago(title, refId='A'):: $.age(title, panels.thresholds.none(), refId),
  count(title, refId='A', thresholds=panels.thresholds.none()):: columns.value(title, 'short', refId, width=95, thresholds=thresholds),
}
