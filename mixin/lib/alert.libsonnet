// Alerts as the mixin wants them.
local promql = import 'promql.libsonnet';

function(config) {
  local q = promql(config),

  // The alerts of a group that are enabled.
  group(name, alerts):: { name: name, rules: std.filter(function(a) config.alerts[a.alert].enabled, alerts) },

  // An alert. expr and description may use settings of the alert; link says which dashboard shows more, and which of its variables
  // are filled in with labels of the alert.
  alert(name, expr, summary, description, link)::
    local settings = config.alerts[name];
    {
      alert: name,
      expr: std.stripChars(expr, '\n'),
      [if q.seconds(settings['for']) > 0 then 'for']: settings['for'],
      [if q.seconds(settings.keepFiringFor) > 0 then 'keep_firing_for']: settings.keepFiringFor,
      labels: {
        severity: settings.severity,
        [if config.platformTeam != '' then 'team']: '{{ or $labels.team %s }}' % std.manifestJson(config.platformTeam),
      },
      annotations: {
        summary: summary,
        description: description + if config.showMultiCluster then '{{ with $labels.%s }} Cluster {{ . }}.{{ end }}' % config.clusterLabel else '',
        runbook_url: config.runbookURLPattern % name,
        dashboard_url: link,
      },
    },

  // The address of a dashboard, with variables that have the names of labels filled in with them, and others with what is given.
  link(dashboard, labels=[], variables={})::
    '%s/d/%s?from=now-6h&to=now%s' % [
      config.grafanaUrl,
      config.dashboards.uids[dashboard],
      std.join('', [
        '{{ with $labels.%(label)s }}&var-%(variable)s={{ . | urlquery }}{{ end }}' % { label: l, variable: l }
        for l in labels
      ] + [
        '&var-%s=%s' % [v, variables[v]]
        for v in std.objectFields(variables)
      ] + if config.showMultiCluster then [
        '{{ with $labels.%s }}&var-cluster={{ . | urlquery }}{{ end }}' % config.clusterLabel,
      ] else []),
    ],

  // Labels that say which object an alert is about.
  object:: ['category', 'group', 'kind', 'resource_namespace', 'name'],

  // The text of an object: Instance shop/orders.
  named:: '{{ $labels.kind }} {{ with $labels.resource_namespace }}{{ . }}/{{ end }}{{ $labels.name }}',
  ofTeam:: '{{ with $labels.team }} of team {{ . }}{{ end }}',
  since:: '{{ $value | humanizeTimestamp }}',

  // Matchers for those labels of an alert, in a query that a description makes, and what printf fills them in with.
  local matchers(labels) = std.join(', ', [l + '=%q' for l in labels]),
  local arguments(labels) = std.join(' ', ['$labels.' + l for l in labels]),
  local clusters = if config.showMultiCluster then [config.clusterLabel] else [],

  // The result of a query in a description. format has %s where the selector stands: a metric with more matchers, and with those that
  // say that the alert's labels are the same. In what follows, more of those labels stand for %q.
  query(format, metric, labels=[], more=[], following='', followingLabels=[])::
    local shared = clusters + labels;
    local selector = if more == [] && shared == [] then metric else '%s{%s}' % [metric, std.join(', ', more + if shared == [] then [] else [matchers(shared)])];
    local text = std.strReplace(format, '%s', selector) + following;
    local all = shared + followingLabels;
    if all == [] then 'query `%s`' % text else 'printf `%s` %s | query' % [text, arguments(all)],
  // The result of an expression in a description. expr makes it of a function that makes selectors: of a metric and more matchers, and with
  // those that say that the alert's labels are the same.
  asked(labels, expr)::
    local shared = clusters + labels;
    local select(metric, more=[]) = '%s{%s}' % [metric, std.join(', ', more + [matchers(shared)])];
    local text = std.join(' ', [std.stripChars(line, ' ') for line in std.split(std.stripChars(expr(select), '\n'), '\n')]);
    local selectors = std.length(std.findSubstr('=%q', text)) / std.length(shared);
    'printf `%s` %s | query' % [text, std.join(' ', [arguments(shared) for _ in std.range(1, selectors)])],
  // The same, of objects of the alert's team.
  queryOfTeam(format, metric, labels, more=[])::
    $.query(format, metric, labels, more, ' and on (%s) platform_resource_info{team=%%q}' % q.identity, ['team']),

  // A label of the first result of a query, after some words; nothing where there is no result.
  looked(query, label, before, after='', otherwise='')::
    '{{ with %s }}%s{{ . | first | label "%s" }}%s{{ %send }}' % [query, before, label, after, if otherwise == '' then '' else 'else }}%s{{ ' % otherwise],

  // Up to three of a query's results, sorted by a label, after some words and with others between.
  first(query, label, text, before='')::
    '{{ range $i, $r := %s | sortByLabel "%s" }}{{ if lt $i 3 }}{{ if $i }}, {{ else }}%s{{ end }}%s{{ end }}{{ end }}' % [query, label, before, text],
  // The names of objects: "a, shop/b, c".
  names(query):: $.first(query, 'name', '{{ with $r.Labels.resource_namespace }}{{ . }}/{{ end }}{{ $r.Labels.name }}'),
}
