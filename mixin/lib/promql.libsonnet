// PromQL that rules and alerts share.
//
// While one exporter takes over from another, or two are scraped, each series is there twice, with another pod or instance. So both
// sides of a join are aggregated to the labels that are meant.
function(config) {
  local clusters = if config.showMultiCluster then [config.clusterLabel] else [],

  // Labels to aggregate by, or to match on.
  by(labels):: std.join(', ', clusters + labels),

  // What an object is known by.
  identity:: $.by(['category', 'group', 'kind', 'resource_namespace', 'name']),
  kind:: $.by(['category', 'group', 'kind']),

  local selector(metric, first, matchers) = '%s{%s}' % [metric, std.join(', ', [first] + matchers)],

  // A metric of the exporter, of Crossplane itself, of the providers.
  exporter(metric, matchers=[]):: selector(metric, config.exporterSelector, matchers),
  crossplane(metric, matchers=[]):: selector(metric, config.crossplaneSelector, matchers),
  providers(metric, matchers=[]):: selector(metric, config.providerSelector, matchers),

  // expr in another one, two columns further to the right.
  indented(expr):: std.strReplace(std.stripChars(expr, '\n'), '\n', '\n  '),

  // A recorded metric.
  recorded(name, matchers=[]):: name + (if matchers == [] then '' else '{%s}' % std.join(', ', matchers)),

  // A duration such as 1h30m in seconds.
  seconds(duration)::
    local unit = { s: 1, m: 60, h: 3600, d: 86400, w: 604800 };
    local parsed = std.foldl(
      function(state, c)
        if std.member('0123456789', c) then state { digits+: c }
        else if state.digits != '' && std.objectHas(unit, c) then { digits: '', sum: state.sum + std.parseInt(state.digits) * unit[c] }
        else error '%s is no duration such as 15m or 1h30m' % std.manifestJson(duration),
      std.stringChars(duration),
      { digits: '', sum: 0 }
    );
    if duration == '' || parsed.digits != '' then error '%s is no duration such as 15m or 1h30m' % std.manifestJson(duration) else parsed.sum,

  // One series of platform_resource_info for each object, with some of its labels. topk keeps a join from failing where two
  // exporters say different things.
  local info(labels, matchers) =
    'topk by (%(id)s) (1, group by (%(id)s, %(labels)s) (%(info)s))'
    % { id: $.identity, labels: std.join(', ', labels), info: $.exporter('platform_resource_info', matchers) },

  // expr, one series for each object, with labels of platform_resource_info.
  withInfo(expr, labels, matchers=[])::
    |||
      (
        %(expr)s
      )
      * on (%(id)s) group_left (%(labels)s)
        %(info)s
    ||| % { expr: $.indented(expr), id: $.identity, labels: std.join(', ', labels), info: info(labels, matchers) },

  // A quantile of what a histogram counted in a range, by labels; NaN where it counted nothing.
  quantile(q, metric, labels, range)::
    if config.nativeHistograms
    then 'histogram_quantile(%g, sum by (%s) (rate(%s[%s])))' % [q, $.by(labels), metric(''), range]
    else 'histogram_quantile(%g, sum by (%s) (rate(%s[%s])))' % [q, $.by(labels + ['le']), metric('_bucket'), range],

  // How many observations a histogram counted in a range, by labels. past may be an offset.
  observations(metric, labels, range, past='')::
    if config.nativeHistograms
    then 'histogram_count(sum by (%s) (increase(%s[%s]%s)))' % [$.by(labels), metric(''), range, past]
    else 'sum by (%s) (increase(%s[%s]%s))' % [$.by(labels), metric('_count'), range, past],

  // expr with a label domain, who serves a group's resources: aws.upbound.io of rds.aws.upbound.io and of rds.aws.m.upbound.io, and
  // argoproj.io of itself.
  withDomain(expr):: |||
    label_replace(
      %s,
      "domain", "$1$2", "group", "(?:[^.]+\\.)*?([^.]+\\.)??(?:m\\.)?([^.]+\\.[^.]+)"
    )
  ||| % $.indented(expr),

  // The mean of what a histogram counted in a range, by labels.
  mean(metric, labels, range)::
    if config.nativeHistograms
    then 'histogram_avg(sum by (%s) (rate(%s[%s])))' % [$.by(labels), metric(''), range]
    else 'sum by (%(by)s) (rate(%(sum)s[%(range)s]))\n/ sum by (%(by)s) (rate(%(count)s[%(range)s]))'
         % { by: $.by(labels), sum: metric('_sum'), count: metric('_count'), range: range },

  // A counter of what happens seldom: how much it grew in a range, of those that grew. A series that began within the range
  // with a value counts in full, which increase() would not see, if the exporter was scraped when the range began: else the series may
  // only have been missed.
  grown(metric, matchers, range, select=$.exporter)::
    |||
      (
        increase(%(counter)s[%(range)s]) > 0
        or
        %(counter)s > 0
        unless %(counter)s offset %(range)s
        and on (%(cluster)s) max by (%(cluster)s) (%(up)s offset %(range)s) == 1
      )
    ||| % {
      counter: select(metric, matchers),
      range: range,
      cluster: $.by([]),
      up: $.exporter('up'),
    },
}
