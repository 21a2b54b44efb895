// The dashboards of the mixin: grafanaDashboards, by file name.
local grid = import 'grafana/grid.libsonnet';

// By their files' names, which are those of their uids in the settings too.
local dashboards = {
  overview: import 'overview.libsonnet',
  resources: import 'resources.libsonnet',
  composites: import 'composites.libsonnet',
  drift: import 'drift.libsonnet',
  cloud: import 'cloud.libsonnet',
  'control-plane': import 'control-plane.libsonnet',
  exporter: import 'exporter.libsonnet',
};

// What Grafana wants to know of a dashboard, around what its file says.
local dashboard(config, name, content) = {
  local settings = config.dashboards,
  uid: settings.uids[name],
  title: settings.titlePrefix + content.title,
  description: content.description,
  tags: settings.tags,
  schemaVersion: 41,
  editable: false,
  graphTooltip: 1,
  fiscalYearStartMonth: 0,
  preload: false,
  refresh: settings.refresh,
  time: { from: settings.from, to: 'now' },
  timepicker: {},
  timezone: settings.timezone,
  weekStart: '',
  links: (import 'grafana/links.libsonnet')(config).menu,
  annotations: { list: [] },
  templating: { list: content.variables },
  panels: grid.panels(content.rows),
};

(import 'config.libsonnet') + {
  grafanaDashboards+:: {
    [name + '.json']: dashboard($._config, name, dashboards[name]($._config))
    for name in std.objectFields(dashboards)
  },
}
