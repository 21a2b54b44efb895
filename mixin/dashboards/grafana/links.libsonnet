// Ways from one dashboard to another. Time range, data source and cluster go along.
function(config) {
  local settings = config.dashboards,

  // The address of a dashboard with its variables filled in. A variable that is left out keeps its default.
  url(dashboard, variables={})::
    local filled = { datasource: '${datasource}' } + variables;
    '/d/%s?%s' % [
      settings.uids[dashboard],
      std.join('&', ['${__url_time_range}']
                    + (if config.showMultiCluster && !std.objectHas(variables, 'cluster') then ['${cluster:queryparam}'] else [])
                    + ['var-%s=%s' % [name, filled[name]] for name in std.objectFields(filled)]),
    ],

  // A link of a value or a cell.
  to(title, dashboard, variables={}):: [{ title: title, url: $.url(dashboard, variables), targetBlank: false }],

  // What a row of a table or a series is of, as variables.
  row(names):: clustered('${__data.fields.%s}') + { [name]: '${__data.fields.%s}' % name for name in names },
  series(names):: clustered('${__field.labels.%s}') + { [name]: '${__field.labels.%s}' % name for name in names },
  // The value that was clicked on, which a column that shows something else for no value does not say otherwise.
  value(name):: $.row([]) + { [name]: '${__value.raw}' },

  local clustered(format) = if config.showMultiCluster then { cluster: format % config.clusterLabel } else {},

  // The drop-down of all dashboards of the mixin, at the top of each.
  menu:: [{
    title: settings.linkTitle,
    type: 'dashboards',
    icon: 'external link',
    tooltip: '',
    tags: settings.tags,
    asDropdown: true,
    includeVars: true,
    keepTime: true,
    targetBlank: false,
    url: '',
  }],
}
