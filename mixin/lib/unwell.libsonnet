// Expressions on what rules/unwell.libsonnet records: objects one by one while few have a cause, the cause alone where many do.
local promql = import 'promql.libsonnet';

function(config) {
  local q = promql(config),
  local cause = 'resource:platform_resource_unwell_cause:since_timestamp_seconds',
  local kinds = 'kind:platform_resource_unwell_cause:count',
  local errors = 'error_class:platform_resource_unwell_cause:count',
  local outage = 'provider_config:platform_resource_unwell_cause:outage',
  local outageOfManaged = 'provider_config:platform_resource_unwell:outage',

  cause:: cause,

  // What an alert about everything of a provider configuration takes over. It may just have ended: then those that are left get well
  // one by one, and need no alerts of their own.
  local unlessMost = |||
    unless on (%s) present_over_time(%s[%s])
  ||| % [q.by(['category', 'domain', 'provider', 'provider_config']), outage, config.manyFor],

  // Objects with a problem for that long, unless many have it. Values are instants.
  one(matchers, after):: |||
    max without (problem, error_class) (
      %(cause)s < time() - %(after)d
      %(most)s  unless on (%(kind)s) max_over_time(%(kinds)s[%(manyFor)s]) > %(many)d
      unless on (%(class)s) max_over_time(%(errors)s[%(manyFor)s]) > %(many)d
    )
  ||| % {
    cause: q.recorded(cause, matchers),
    after: q.seconds(after),
    most: unlessMost,
    kind: q.by(['category', 'group', 'kind', 'domain', 'provider', 'provider_config', 'problem']),
    kinds: kinds,
    class: q.by(['category', 'domain', 'provider', 'provider_config', 'error_class']),
    errors: errors,
    manyFor: config.manyFor,
    many: config.many,
  },

  // Kinds of which many objects have a problem. Values are their numbers.
  manyOfKind(matchers):: |||
    max without (problem) (%s > %d)
    %s
  ||| % [q.recorded(kinds, matchers), config.many, std.stripChars(unlessMost, '\n')],

  // Errors that many objects have.
  manyErrors(matchers):: |||
    %s > %d
    %s
  ||| % [q.recorded(errors, matchers), config.many, std.stripChars(unlessMost, '\n')],

  // Provider configurations of which the most objects are unwell, whatever they have.
  most:: outage,
  // Whether there was such an outage of resources, composites or claims within a range, by cluster.
  anyMost(range):: 'group by (%s) (present_over_time(%s[%s]) or present_over_time(%s[%s]))' % [
    q.by([]),
    outageOfManaged,
    range,
    q.recorded(outage, ['category=~"composite|claim"']),
    range,
  ],

  // Objects one by one, or kinds where there are many: in one alert, told apart by whether there is a label name. Values of the
  // second are numbers.
  fewOrMany(matchers, after):: |||
    %(one)s
    or
    count by (%(kind)s) (%(cause)s < time() - %(after)d) > %(many)d
    %(most)s
  ||| % {
    one: std.stripChars($.one(matchers, after), '\n'),
    kind: q.by(['category', 'group', 'kind', 'domain', 'provider', 'provider_config']),
    cause: q.recorded(cause, matchers),
    after: q.seconds(after),
    many: config.many,
    most: std.stripChars(unlessMost, '\n'),
  },
}
