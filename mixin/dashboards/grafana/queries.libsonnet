// What panels ask. refId is given by the panel.
local prometheus = { datasource: { type: 'prometheus', uid: '${datasource}' }, editorMode: 'code', exemplar: false };

function(config) {
  // Series of several clusters have the same other labels.
  local named(legend) = if config.showMultiCluster && std.length(std.findSubstr('{{', legend)) > 0
  then '{{%s}} %s' % [config.clusterLabel, legend]
  else legend,

  // Over time.
  range(expr, legend='__auto'):: prometheus {
    expr: expr,
    format: 'time_series',
    instant: false,
    legendFormat: named(legend),
    range: true,
  },

  // At the end of the time range.
  instant(expr, legend='__auto'):: prometheus {
    expr: expr,
    format: 'time_series',
    instant: true,
    legendFormat: legend,
    range: false,
  },

  // At the end of the time range, a row for each series and a column for each label.
  table(expr):: $.instant(expr) { format: 'table' },

  // Buckets over time.
  heatmap(expr):: $.range(expr) { format: 'heatmap', legendFormat: '{{le}}' },

  // Lines of logs.
  logs(expr):: {
    datasource: { type: 'loki', uid: '${loki_datasource}' },
    editorMode: 'code',
    expr: expr,
    queryType: 'range',
  },
}
