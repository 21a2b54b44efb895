// The columns of a table: which labels and values of its queries are shown, in which order, called what, and where a click on
// one leads.
local property(id, value) = if value == null then [] else [{ id: id, value: value }];

function(config) {
  // Whatever a table is of, it is of several clusters.
  local clusters = if config.showMultiCluster then [$.label(config.clusterLabel, 'Cluster', width=120)] else [],

  // A label. empty is what stands for no value; links of such a column know the value as __value.raw only.
  // Mappings colour it.
  label(name, title, width=null, links=null, empty=null, mappings=[]):: {
    from: [name],
    title: title,
    local all = mappings + if empty == null then [] else [{
      type: 'special',
      options: { match: 'empty', result: { index: 0, text: empty } },
    }],
    properties: property('custom.width', width)
                + property('mappings', if all == [] then null else all)
                + property('custom.cellOptions', if mappings == [] then null else { type: 'color-text' })
                + property('links', links),
  },

  // A label that links of other columns need and nobody reads. Grafana 11 knows the one property, 13 the other.
  hidden(name):: {
    from: [name],
    title: name,
    properties: property('custom.hidden', true) + property('custom.hideFrom', { legend: false, tooltip: false, viz: true }),
  },

  // The value of a query: of the only one, or of that with the refId. Thresholds and mappings colour it.
  value(title, unit, refId='A', width=null, decimals=null, thresholds=null, mappings=null):: {
    // Grafana calls the column Value while only one query has an answer.
    from: ['Value #' + refId] + if refId == 'A' then ['Value'] else [],
    title: title,
    properties: property('unit', unit)
                + property('custom.width', width)
                + property('decimals', decimals)
                + property('mappings', mappings)
                + property('thresholds', if thresholds == null then null else {
                  mode: 'absolute',
                  steps: [{ color: thresholds.base, value: null }] + thresholds.steps,
                })
                + property('custom.cellOptions', if thresholds == null && mappings == null then null else { type: 'color-text' }),
  },

  // The columns of a table, from left to right. The rows of several queries are one where the labels that all queries have are the
  // same. What is left out is of no use to links either.
  of(shown, without=[]):: {
    local columns = clusters + shown,
    local names = std.flatMap(function(i) [{ from: from, index: i, title: columns[i].title } for from in columns[i].from], std.range(0, std.length(columns) - 1)),

    transformations: [
      { id: 'merge', options: {} },
      {
        id: 'organize',
        options: {
          excludeByName: { [name]: true for name in ['Time'] + without },
          includeByName: {},
          indexByName: { [n.from]: n.index for n in names },
          renameByName: { [n.from]: n.title for n in names },
        },
      },
    ],
    overrides: [
      { matcher: { id: 'byName', options: column.title }, properties: column.properties }
      for column in columns
      if std.length(column.properties) > 0
    ],
  },
}
