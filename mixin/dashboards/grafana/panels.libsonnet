// Panels, with every option of theirs written out: Grafana's own types decode what is rendered without a field missing or unknown.
// Each has a title, a description and a unit; size is its width and height on the grid (grid.libsonnet) and is not rendered.
local steps(thresholds) = [{ color: thresholds.base, value: null }] + thresholds.steps;

{
  // Thresholds: a colour from the start, and from each value on.
  thresholds: {
    local from(color, value) = { color: color, value: value },
    none(color='text'): { base: color, steps: [] },
    // Green below warning.
    above(warning, critical=null): {
      base: 'green',
      steps: [from('orange', warning)] + if critical == null then [] else [from('red', critical)],
    },
    // Green from warning on.
    below(warning, critical): { base: 'red', steps: [from('orange', critical), from('green', warning)] },
    // Neutral until there is one, for what is worth a look and no more.
    any(color='orange'): { base: 'green', steps: [from(color, 1)] },
    // 1 is well.
    up: { base: 'red', steps: [from('green', 1)] },
  },

  // Values by name or number: {'1': {text: 'up', color: 'green'}}.
  mapping(options):: [{
    type: 'value',
    local keys = std.objectFields(options),
    options: { [keys[i]]: { index: i } + options[keys[i]] for i in std.range(0, std.length(keys) - 1) },
  }],

  // The statuses of a condition.
  statuses: $.mapping({
    '1': { text: 'True', color: 'green' },
    '0': { text: 'False', color: 'red' },
    '-1': { text: 'Unknown', color: 'orange' },
  }),

  // The severities of alerts.
  severities: $.mapping({
    critical: { text: 'critical', color: 'red' },
    warning: { text: 'warning', color: 'orange' },
    info: { text: 'info', color: 'blue' },
  }),

  // The same class of errors has the same colour everywhere.
  errorColors: {
    throttled: 'orange',
    denied: 'red',
    auth: 'dark-red',
    quota: 'yellow',
    not_found: 'blue',
    conflict: 'purple',
    invalid: 'light-blue',
    timeout: 'dark-orange',
    connect: 'dark-purple',
    server: 'dark-yellow',
    other: 'text',
  },

  local panel(type, title, description, targets, size) = {
    size:: size,
    type: type,
    title: title,
    description: description,
    targets: [targets[i] { refId: std.char(65 + i) } for i in std.range(0, std.length(targets) - 1)],
    [if std.length(targets) > 0 then 'datasource']: targets[0].datasource,
    transparent: false,
  },

  local defaults(unit, thresholds, noValue) = {
    unit: unit,
    noValue: noValue,
    mappings: [],
    thresholds: { mode: 'absolute', steps: steps(thresholds) },
    color: { mode: 'thresholds' },
  },

  // A click on a value leads there.
  local linked(links) = if links == [] then [] else [{
    matcher: { id: 'byType', options: 'number' },
    properties: [{ id: 'links', value: links }],
  }],

  local reduce = { calcs: ['lastNotNull'], fields: '', values: false },

  // One number. Several targets are several numbers, each with the name of its legend.
  stat(
    title,
    description,
    targets,
    unit='short',
    thresholds=$.thresholds.none(),
    noValue='none',
    mappings=[],
    decimals=null,
    links=[],
    size=[3, 4],
  ):: panel('stat', title, description, targets, size) {
    fieldConfig: {
      defaults: defaults(unit, thresholds, noValue) {
        mappings: mappings,
        [if decimals != null then 'decimals']: decimals,
      },
      overrides: linked(links),
    },
    options: {
      colorMode: 'value',
      graphMode: if std.any([std.get(t, 'range', false) for t in targets]) then 'area' else 'none',
      justifyMode: 'auto',
      orientation: 'auto',
      percentChangeColorMode: 'standard',
      reduceOptions: reduce,
      showPercentChange: false,
      textMode: 'auto',
      wideLayout: true,
    },
  },

  // Lines over time, or with stack areas that add up. colors names series to colours, whatever the cluster.
  timeseries(
    title,
    description,
    targets,
    unit='short',
    noValue='none',
    stack=false,
    min=0,
    max=null,
    thresholds=null,
    colors={},
    links=[],
    size=[8, 8],
  ):: panel('timeseries', title, description, targets, size) {
    fieldConfig: {
      defaults: defaults(unit, if thresholds == null then $.thresholds.none('green') else thresholds, noValue) {
        min: min,
        [if max != null then 'max']: max,
        color: { mode: 'palette-classic' },
        custom: {
          axisBorderShow: false,
          axisCenteredZero: false,
          axisColorMode: 'text',
          axisLabel: '',
          axisPlacement: 'auto',
          barAlignment: 0,
          barWidthFactor: 0.8,
          drawStyle: 'line',
          fillOpacity: if stack then 30 else 8,
          gradientMode: 'none',
          hideFrom: { legend: false, tooltip: false, viz: false },
          insertNulls: false,
          lineInterpolation: 'linear',
          lineWidth: 1,
          pointSize: 5,
          scaleDistribution: { type: 'linear' },
          showPoints: 'auto',
          spanNulls: false,
          stacking: { group: 'A', mode: if stack then 'normal' else 'none' },
          thresholdsStyle: { mode: if thresholds == null then 'off' else 'dashed' },
        },
      },
      overrides: linked(links) + [
        {
          matcher: { id: 'byRegexp', options: '(.+ )?' + name },
          properties: [{ id: 'color', value: { mode: 'fixed', fixedColor: colors[name] } }],
        }
        for name in std.objectFields(colors)
      ],
    },
    options: {
      legend: {
        calcs: [],
        displayMode: 'list',
        placement: 'bottom',
        showLegend: true,
      },
      tooltip: { mode: 'multi', sort: 'desc', hideZeros: true },
    },
  },

  // Rows and columns; columns.libsonnet says which columns and where a click leads. sortBy is the title of a column.
  table(
    title,
    description,
    targets,
    columns,
    noValue='none',
    sortBy=null,
    descending=true,
    size=[24, 10],
  ):: panel('table', title, description, targets, size) {
    fieldConfig: {
      // Words, unless a column says otherwise: a name like 12345 is no number.
      defaults: defaults('string', $.thresholds.none(), noValue) {
        custom: {
          align: 'auto',
          cellOptions: { type: 'auto' },
          filterable: false,
          inspect: false,
        },
      },
      // noValue is for a table without rows. In a table with rows it would stand in each empty cell, and in the links of its row.
      overrides: [{ matcher: { id: 'byRegexp', options: '.*' }, properties: [{ id: 'noValue', value: '' }] }] + columns.overrides,
    },
    options: {
      cellHeight: 'sm',
      frameIndex: 0,
      showHeader: true,
      sortBy: if sortBy == null then [] else [{ displayName: sortBy, desc: descending }],
    },
    transformations: columns.transformations,
  },

  // A lane for each series, coloured by its value; mappings name the values.
  stateTimeline(title, description, targets, mappings, noValue='none', size=[24, 8]):: panel('state-timeline', title, description, targets, size) {
    fieldConfig: {
      defaults: defaults('short', $.thresholds.none(), noValue) {
        mappings: mappings,
        custom: {
          axisPlacement: 'auto',
          fillOpacity: 70,
          hideFrom: { legend: false, tooltip: false, viz: false },
          insertNulls: false,
          lineWidth: 0,
          spanNulls: false,
        },
      },
      overrides: [],
    },
    options: {
      alignValue: 'left',
      legend: { calcs: [], displayMode: 'list', placement: 'bottom', showLegend: true },
      mergeValues: true,
      perPage: 20,
      rowHeight: 0.8,
      showValue: 'never',
      tooltip: { mode: 'single', sort: 'none' },
    },
  },

  // How a histogram of durations moves.
  heatmap(title, description, targets, noValue='none', size=[12, 8]):: panel('heatmap', title, description, targets, size) {
    fieldConfig: {
      defaults: {
        noValue: noValue,
        custom: {
          hideFrom: { legend: false, tooltip: false, viz: false },
          scaleDistribution: { type: 'linear' },
        },
      },
      overrides: [],
    },
    options: {
      calculate: false,
      cellGap: 1,
      cellValues: { unit: 'short' },
      color: {
        exponent: 0.5,
        fill: 'dark-orange',
        mode: 'scheme',
        reverse: false,
        scale: 'exponential',
        scheme: 'Oranges',
        steps: 64,
      },
      exemplars: { color: 'rgba(255,0,255,0.7)' },
      filterValues: { le: 1e-9 },
      legend: { show: true },
      rowsFrame: { layout: 'auto' },
      showValue: 'never',
      tooltip: { mode: 'single', yHistogram: true, showColorScale: false },
      yAxis: { axisPlacement: 'left', reverse: false, unit: 's' },
    },
  },

  // Lines of logs.
  logs(title, description, targets, noValue='none', size=[24, 10]):: panel('logs', title, description, targets, size) {
    fieldConfig: { defaults: { noValue: noValue }, overrides: [] },
    options: {
      dedupStrategy: 'none',
      enableLogDetails: true,
      prettifyLogMessage: false,
      showCommonLabels: false,
      showLabels: false,
      showLogContextToggle: false,
      showTime: true,
      sortOrder: 'Descending',
      wrapLogMessage: false,
    },
  },
}
