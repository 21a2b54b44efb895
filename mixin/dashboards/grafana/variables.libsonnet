// Variables at the top of a dashboard.
function(config) {
  local variable(name, label, description) = { name: name, label: label, description: description, hide: 0, skipUrlSync: false },

  local source(name, label, type, default, regex) = variable(name, label, '') {
    type: 'datasource',
    query: type,
    regex: regex,
    current: { selected: false, text: default, value: default },
    includeAll: false,
    multi: false,
    options: [],
    refresh: 1,
  },

  datasource:: source('datasource', 'Data source', 'prometheus', config.dashboards.datasource, config.dashboards.datasourceRegex),
  loki:: source('loki_datasource', 'Loki data source', 'loki', config.loki.datasource, config.loki.datasourceRegex),

  // The values that a label has on the series of a selector: several of them, or All, which is the regular expression all.
  // '.+' leaves out series without the label, '.*' does not.
  label(name, label, selector, all, description='', of=name):: variable(name, label, description) {
    type: 'query',
    datasource: { type: 'prometheus', uid: '${datasource}' },
    query: {
      qryType: 1,
      query: 'label_values(%s, %s)' % [selector, of],
      refId: 'PrometheusVariableQueryEditor-VariableQuery',
    },
    allValue: all,
    current: { selected: true, text: ['All'], value: ['$__all'] },
    includeAll: true,
    multi: true,
    options: [],
    refresh: 2,
    regex: '',
    sort: 1,
  },

  // A regular expression, typed in or filled in by a link.
  expression(name, label, description=''):: variable(name, label, description) {
    type: 'textbox',
    query: '.*',
    current: { selected: true, text: '.*', value: '.*' },
    options: [{ selected: true, text: '.*', value: '.*' }],
  },

  // The data source, and the cluster where there are several: what every dashboard begins with. The selector is of something
  // that is there in every cluster.
  start(selector):: [$.datasource] + if !config.showMultiCluster then [] else [
    $.label('cluster', 'Cluster', selector, '.*', of=config.clusterLabel),
  ],
}
