// PromQL that panels share. It adds the choice of clusters to what rules and alerts ask by the same words.
local promql = import '../lib/promql.libsonnet';

function(config) {
  local q = promql(config),
  local clusters = if config.showMultiCluster then ['%s=~"$cluster"' % config.clusterLabel] else [],
  local text(expr) = std.stripChars(expr, '\n'),

  by:: q.by,
  identity:: q.identity,

  // Series of the exporter, and of other jobs, of the chosen clusters.
  selector(matchers=[]):: $.selectorOf(config.exporterSelector, matchers),
  selectorOf(job, matchers=[]):: std.join(', ', [job] + clusters + matchers),

  // What the variables choose: kinds, and objects. Teams are known from platform_resource_info alone.
  kinds:: ['group=~"$group"', 'kind=~"$kind"'],
  objects:: $.kinds + ['resource_namespace=~"$resource_namespace"', 'name=~"$name"'],
  team:: ['team=~"$team"'],

  // Conditions that say whether an object is well. What others mean only their authors know.
  local conditions = std.join('|', [
    'Ready',
    'Synced',
    'Healthy',
    'UpToDate',
    'LastAsyncOperation',
    'Installed',
    'RevisionHealthy',
    'RuntimeHealthy',
    'Resolved',
    'Established',
    'Offered',
    'ValidPipeline',
    'Responsive',
    'Succeeded',
    'Scheduling',
    'Watching',
    'Accepted',
    'Programmed',
  ]),

  // Reasons of what is not meant to be at work.
  local inactive = 'InactiveManagedResource|InactivePackageRevision',

  // Since when each object is unwell that is, in Unix seconds: by the condition that has been so for longest. What is paused or inactive is
  // left alone.
  unwellSince(matchers=[])::
    local about(matcher) = $.selector(matchers + [matcher]);
    |||
      (
        bottomk by (%(id)s) (1,
          max by (%(id)s, condition) (platform_resource_condition_since_timestamp_seconds{%(c)s})
          and on (%(id)s, condition) (platform_resource_condition{%(c)s} < 1)
          unless on (%(id)s, condition) platform_resource_condition_reason{%(inactive)s}
        )
        unless on (%(id)s) platform_resource_paused{%(s)s}
      )
    ||| % {
      id: $.identity,
      s: $.selector(matchers),
      c: about('condition=~"%s"' % conditions),
      inactive: about('reason=~"%s"' % inactive),
    },

  // expr, one series for each object, with labels of whose it is and what it is part of. It keeps the objects that the matchers choose.
  info(expr, labels, matchers=[]):: text(q.withInfo(expr, labels, clusters + matchers)),

  // expr, which says a condition, with the condition's reason.
  reason(expr, matchers=[])::
    |||
      %(expr)s * on (%(id)s, condition) group_left (reason)
      group by (%(id)s, condition, reason) (platform_resource_condition_reason{%(s)s})
    ||| % { expr: text(expr), id: $.identity, s: $.selector(matchers) },

  // expr with the class of the object's error, where it has one.
  errorClass(expr, matchers=[])::
    |||
      %(expr)s * on (%(id)s) group_left (error_class) (
        group by (%(id)s, error_class) (platform_resource_failing{%(s)s})
        or on (%(id)s) group by (%(id)s) (platform_resource_info{%(s)s})
      )
    ||| % { expr: text(expr), id: $.identity, s: $.selector(matchers) },

  // How long each object has been unwell, in seconds, with whose it is and why.
  unwell(matchers=[], labels=['team'], team=[])::
    'time() - (\n%s)' % $.errorClass($.reason($.info($.unwellSince(matchers), labels, matchers + team), matchers), matchers),

  // How many objects expr is about, of those that the matchers choose.
  count(expr, matchers)::
    |||
      count(
        group by (%(id)s) (%(expr)s)
        and on (%(id)s) platform_resource_info{%(s)s}
      ) or vector(0)
    ||| % { id: $.identity, expr: text(expr), s: $.selector(matchers) },

  // Objects that are not ready: their Ready is not True, or they are a managed resource, composite or claim without one, because nothing
  // has looked after it yet. The labels have to tell the categories apart.
  unready(labels, matchers=[])::
    local owned = ['category=~"managed|composite|claim"'];
    local ready = ['condition="Ready"', 'status="True"'];
    |||
      (
        sum by (%(by)s) (platform_resources{%(owned)s})
        - (sum by (%(by)s) (platform_resources_by_condition{%(ready)s}) or 0 * sum by (%(by)s) (platform_resources{%(owned)s}))
      )
      or sum by (%(by)s) (platform_resources_by_condition{%(others)s})
      or 0 * sum by (%(by)s) (platform_resources{%(all)s})
    ||| % {
      by: $.by(labels),
      all: $.selector(matchers),
      owned: $.selector(matchers + owned),
      ready: $.selector(matchers + owned + ready),
      others: $.selector(matchers + ['category!~"managed|composite|claim"', 'condition="Ready"', 'status!="True"']),
    },

  // The share of managed resources, composites and claims that are ready.
  readyRatio(labels, matchers=[])::
    local owned = matchers + ['category=~"managed|composite|claim"'];
    |||
      (sum by (%(by)s) (platform_resources_by_condition{%(ready)s}) or 0 * sum by (%(by)s) (platform_resources{%(owned)s}))
      / (sum by (%(by)s) (platform_resources{%(owned)s}) > 0)
    ||| % { by: $.by(labels), ready: $.selector(owned + ['condition="Ready"', 'status="True"']), owned: $.selector(owned) },

  // What is made of a histogram, by labels. over is what rate or increase says of a series: histogram_quantile wants it of buckets, and
  // how many observations there were is counted.
  local native = config.nativeHistograms,
  buckets(metric, labels, over)::
    'sum by (%s) (%s)' % [$.by(labels + if native then [] else ['le']), over(metric + if native then '' else '_bucket')],
  observations(metric, labels, over)::
    'sum by (%s) (%s)' % [$.by(labels), if native then 'histogram_count(%s)' % over(metric) else over(metric + '_count')],

  // Increase within the time range.
  inRange(matchers, range='$__range'):: function(series) 'increase(%s{%s}[%s])' % [series, $.selector(matchers), range],

  // A quantile of a histogram, and how many observations it had, in the time range, by labels.
  quantile(q, metric, labels, matchers, range='$__range')::
    'histogram_quantile(%g, %s) >= 0' % [q, $.buckets(metric, labels, $.inRange(matchers, range))],
  observed(metric, labels, matchers):: 'round(%s)' % $.observations(metric, labels, $.inRange(matchers)),

  // How often something was counted in the time range, by labels.
  increase(metric, labels, matchers=[], range='$__range')::
    'round(sum by (%s) (increase(%s{%s}[%s])))' % [$.by(labels), metric, $.selector(matchers), range],

  // How often an hour something is counted, by labels.
  hourly(metric, labels, matchers=[])::
    'sum by (%s) (rate(%s{%s}[$__rate_interval])) * 3600' % [$.by(labels), metric, $.selector(matchers)],

  // expr, by labels, of those that a counter has counted most often in the time range: a filter that keeps or leaves out whole series.
  most(expr, metric, labels, matchers=[])::
    |||
      %(expr)s
      and on (%(by)s) topk(%(top)d, sum by (%(by)s) (increase(%(metric)s{%(s)s}[$__range] @ end())) > 0)
    ||| % { expr: text(expr), by: $.by(labels), top: config.dashboards.top, metric: metric, s: $.selector(matchers) },

  // expr, or 0 where of is and expr is not.
  orZero(expr, of):: '(%s) or 0 * (%s)' % [expr, of],
}
