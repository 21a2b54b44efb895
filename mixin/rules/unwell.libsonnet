// What is unwell, why, and since when: one series for each object. Alerts on single objects, and those that take over when many fail
// together, read these.
//
// Values are instants in Unix seconds, so that they do not move. Reasons are no labels: they may change at each retry.
local promql = import '../lib/promql.libsonnet';

function(config)
  local q = promql(config);

  // Since when a condition is not True.
  local notTrue = 'condition:platform_resource_not_true:since_timestamp_seconds';
  // What an object's problem is, and since when: one problem for each object.
  local problem = 'resource:platform_resource_problem:since_timestamp_seconds';
  // The same with whose it is and what it is part of.
  local unwell = 'resource:platform_resource_unwell:since_timestamp_seconds';
  // The same without those whose problem is another object's.
  local cause = 'resource:platform_resource_unwell_cause:since_timestamp_seconds';

  local own = 'category=~"managed|composite|claim"';
  local conditions = 'condition=~"Ready|Synced|Healthy|Installed|RevisionHealthy|RuntimeHealthy|Resolved|Established|Offered|Accepted|Programmed"';

  local rule(name, format, values, labels={}) = {
    record: name,
    expr: std.stripChars(format % ({ id: q.identity, notTrue: notTrue, unwell: unwell } + values), '\n'),
    [if labels != {} then 'labels']: labels,
  };

  // A condition of a package or a definition that is not True. A revision is named after its package.
  local condition(name, condition, kinds, package) = rule(
    problem,
    if package == '' then '%(found)s' else 'label_replace(%(found)s, "package", "$1", "name", "%(package)s")',
    {
      found: 'max by (%s) (%s < time() - %d)' % [
        q.identity,
        q.recorded(notTrue, ['category=~"package|definition"', 'condition="%s"' % condition, 'kind=~"%s"' % kinds]),
        q.seconds(config.unwellAfter),
      ],
      package: package,
    },
    { problem: name },
  );

  // How many objects there are with a cause, by labels.
  local count(level, labels, matcher) = rule(level + ':platform_resource_unwell_cause:count', 'count by (%(by)s) (%(cause)s{%(matcher)s})', {
    by: q.by(labels),
    cause: cause,
    matcher: matcher,
  });

  // How many of a provider configuration are unwell, whatever they have, where that is an outage. metric says which.
  local many = config.alerts.CrossplaneManyResourcesUnwell;
  local outage(metric, matcher, labels) = rule(
    'provider_config:%s:outage' % std.split(metric, ':')[1],
    |||
      %(count)s > %(least)d
      and (
        %(count)s
        / on (%(domain)s) group_left ()
          sum by (%(domain)s) (
            %(resources)s
          )
        > %(share)g
        or
        %(count)s > %(always)d
      )
    |||,
    {
      count: 'count by (%s) (%s)' % [q.by(labels), q.recorded(metric, (if matcher == '' then [] else [matcher]) + ['error_class!="throttled"'])],
      domain: q.by(['category', 'domain']),
      resources: std.strReplace(
        std.stripChars(q.withDomain('max by (%s) (%s)' % [q.kind, q.exporter('platform_resources')]), '\n'), '\n', '\n      '
      ),
      least: many.count,
      share: many.share,
      always: many.always,
    },
  );

  [
    {
      name: 'crossplane-unwell.rules',
      rules: [
        // What someone has paused, what is to go, and what Crossplane may only look at is left alone.
        rule(notTrue, q.withDomain(|||
          (
            max by (%(id)s, condition) (%(since)s)
            and on (%(id)s, condition) max by (%(id)s, condition) (%(status)s) < 1
          )
          unless on (%(id)s) (
            %(paused)s
            or %(deleting)s
            or %(observeOnly)s
          )
        |||), {
          since: q.exporter('platform_resource_condition_since_timestamp_seconds', [conditions]),
          status: q.exporter('platform_resource_condition', [conditions]),
          paused: q.exporter('platform_resource_paused'),
          deleting: q.exporter('platform_resource_deletion_timestamp_seconds'),
          observeOnly: q.exporter('platform_resource_observe_only'),
        }),

        rule(problem, 'max by (%(id)s) (%(deleted)s < time() - %(after)d)', {
          deleted: q.exporter('platform_resource_deletion_timestamp_seconds', [own]),
          after: q.seconds(config.deletingAfter),
        }, { problem: 'DeletionStuck' }),
        rule(problem, 'max by (%(id)s) (%(notTrue)s{condition="Synced"} < time() - %(after)d and on (%(id)s) %(incomplete)s)', {
          incomplete: q.exporter('platform_resource_create_incomplete', [own]),
          after: q.seconds(config.unwellAfter),
        }, { problem: 'CreateIncomplete' }),
        rule(problem, |||
          max by (%(id)s) (%(synced)s < time() - %(after)d unless on (%(id)s) %(incomplete)s)
          * on (%(id)s) group_left (error_class) (
            topk by (%(id)s) (1, group by (%(id)s, error_class) (%(failing)s))
            or on (%(id)s)
            group by (%(id)s) (%(synced)s)
          )
        |||, {
          synced: q.recorded(notTrue, [own, 'condition="Synced"']),
          incomplete: q.exporter('platform_resource_create_incomplete', [own]),
          failing: q.exporter('platform_resource_failing', [own]),
          after: q.seconds(config.unwellAfter),
        }, { problem: 'NotSynced' }),
        rule(problem, |||
          min by (%(id)s) ((%(ready)s or %(others)s) < time() - %(early)d)
          unless on (%(id)s) (
            (
              %(notTrue)s{condition="Ready", category!="gitops"} >= time() - %(creating)d
              or
              %(notTrue)s{condition="Ready", category="gitops"} >= time() - %(rollout)d
            )
            and on (%(id)s) %(reason)s
          )
          unless on (%(id)s) %(synced)s
        |||, {
          ready: q.recorded(notTrue, [own, 'condition="Ready"']),
          others: q.recorded(notTrue, ['category=~"gitops|secret|certificate|policy|gateway"', 'condition=~"Ready|Healthy|Accepted|Programmed"']),
          synced: q.recorded(notTrue, [own, 'condition="Synced"']),
          reason: q.exporter('platform_resource_condition_reason', ['condition="Ready"', 'reason=~"%s"' % std.join('|', config.creatingReasons)]),
          early: q.seconds(config.unwellAfter),
          creating: q.seconds(config.creatingAfter),
          rollout: q.seconds(config.alerts.CrossplaneGitOpsNotReady.after),
        }, { problem: 'NotReady' }),

        condition('NotInstalled', 'Installed', 'Provider|Configuration|Function', '(.+)'),
        condition('NotHealthy', 'Healthy', 'Provider|Configuration|Function', '(.+)'),
        condition('RevisionNotHealthy', 'RevisionHealthy', '.+Revision', '(.+)-[0-9a-f]+'),
        condition('RuntimeNotHealthy', 'RuntimeHealthy', '.+Revision', '(.+)-[0-9a-f]+'),
        condition('LockUnresolved', 'Resolved', 'Lock', ''),
        condition('NotEstablished', 'Established', 'CompositeResourceDefinition', ''),
        condition('NotOffered', 'Offered', 'CompositeResourceDefinition', ''),

        {
          record: unwell,
          expr: std.stripChars(q.withDomain(q.withInfo(problem, ['provider_config', 'composite', 'claim_namespace', 'claim_name', 'team'])), '\n'),
        },

        // Who has its own trouble. A composite is unwell because something of it is, a claim because its composite is; all that a composite
        // is made of bears the outermost composite's name, and the claim's, and is in its namespace if that has one. A package is
        // unwell because its revision is, and a runtime waits for its revision; of the revisions that were replaced nobody needs to know.
        //
        // A managed resource is unwell because the provider's package that serves it is, or was lately: it gets well after that. No metric
        // says which one serves a kind, but by the usual names provider-aws-ec2 serves ec2.aws.upbound.io and provider-kubernetes all
        // that is of kubernetes. provider-family-aws serves nothing: it has the provider configurations.
        rule(cause, |||
          label_replace(
            label_replace(%(unwell)s{category="managed"}, "provider", "$1", "domain", "([^.]+)\\..+")
            unless on (%(id)s) (
              (
                label_replace(%(unwell)s{category="managed"}, "package", "$2-$1", "group", "([^.]+)\\.([^.]+)(?:\\.m)?\\.[^.]+\\.[^.]+")
                and on (%(package)s) %(failing)s
              )
              or
              (
                label_replace(%(unwell)s{category="managed"}, "package", "$1", "domain", "([^.]+)\\..+")
                and on (%(package)s) %(failing)s
              )
            )
            or
            %(unwell)s{category!~"managed|composite|claim", problem!~"NotHealthy|RevisionNotHealthy|RuntimeNotHealthy"}
            or
            %(unwell)s{category="composite", resource_namespace=""}
            unless on (%(composite)s) %(unwell)s{category="managed", composite!=""}
            or
            %(unwell)s{category="composite", resource_namespace!=""}
            unless on (%(namespaced)s) %(unwell)s{category="managed", composite!=""}
            or
            %(unwell)s{category="claim"}
            unless on (%(claim)s)
              label_replace(
                label_replace(group by (%(claimed)s) (%(unwell)s{category!="claim", claim_name!=""}), "name", "$1", "claim_name", "(.+)"),
                "resource_namespace", "$1", "claim_namespace", "(.+)"
              )
            or
            %(unwell)s{problem="NotHealthy"}
            unless on (%(package)s) %(unwell)s{problem=~"RevisionNotHealthy|RuntimeNotHealthy"}
            or
            %(unwell)s{problem="RevisionNotHealthy"}
            and on (%(package)s) %(unwell)s{problem="NotHealthy"}
            or
            %(unwell)s{problem="RuntimeNotHealthy"}
            and on (%(package)s) %(unwell)s{problem="NotHealthy"}
            unless on (%(id)s) %(unwell)s{problem="RevisionNotHealthy"},
            "provider", "$1", "package", "(?:.+-)?provider-(?:family-)?([^-]+).*"
          )
        |||, {
          failing: 'label_replace(max_over_time(%s[%s]), "package", "$1", "package", "(?:.+-)?provider-(?:upjet-)?(.+)")' % [
            q.recorded(unwell, ['kind="Provider"', 'problem=~"NotHealthy|NotInstalled"']),
            config.manyFor,
          ],
          composite: q.by(['composite']),
          namespaced: q.by(['resource_namespace', 'composite']),
          claim: q.by(['resource_namespace', 'name']),
          claimed: q.by(['claim_namespace', 'claim_name']),
          package: q.by(['package']),
        }),

        // How many have one cause: a problem of a kind, an error.
        count('kind', ['category', 'group', 'kind', 'domain', 'provider', 'provider_config', 'problem'], 'problem!="NotSynced"'),
        count('error_class', ['category', 'domain', 'provider', 'provider_config', 'error_class'], 'problem="NotSynced"'),
        outage(cause, '', ['category', 'domain', 'provider', 'provider_config']),
        // The same of all managed resources, those among them that their provider's package explains.
        outage(unwell, 'category="managed"', ['category', 'domain', 'provider_config']),
      ],
    },
  ]
