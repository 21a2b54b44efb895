// Managed resources, composites and claims.
local alert = import '../lib/alert.libsonnet';
local promql = import '../lib/promql.libsonnet';
local unwellOf = import '../lib/unwell.libsonnet';

function(config)
  local a = alert(config);
  local q = promql(config);
  local unwell = unwellOf(config);
  local settings = config.alerts;
  local own = 'category=~"managed|composite|claim"';
  local level = 'kind:platform_time_to_ready_seconds:';

  // What an object says of itself.
  local reason(condition, before, otherwise='') = a.looked(
    a.query('%s', 'platform_resource_condition_reason', a.object, ['condition="%s"' % condition]), 'reason', before, '.', otherwise
  );
  local errorClass = a.looked(a.query('%s', 'platform_resource_failing', a.object), 'error_class', ' Its error: ', '.');
  local stillReady = '{{ with %s }}{{ if eq (. | first | value) 1.0 }} It goes on saying Ready.{{ end }}{{ end }}'
                     % a.query('%s', 'platform_resource_condition', a.object, ['condition="Ready"']);

  local resources = a.link('resources', a.object + ['team']);
  local composites = a.link('composites', ['group', 'kind', 'resource_namespace', 'name', 'team']);

  // Of a provider configuration: "of ProviderConfig production".
  local ofConfig = '{{ with $labels.provider_config }} of provider config {{ . }}{{ end }}';
  local causes = ['category', 'domain', 'provider', 'provider_config'];

  local composed(name, problem, category, summary, text) = a.alert(
    name,
    unwell.one(['category="%s"' % category, 'problem="%s"' % problem], settings[name].after),
    summary,
    a.named + a.ofTeam + text,
    composites,
  );

  // Kinds that take longer than they did.
  local slower(select) =
    |||
      %(slowdown)s > %(factor)g
      and on (%(kind)s) %(level)sp%(p)d_%(window)s > %(seconds)d
      and on (%(kind)s) %(level)scount_%(window)s >= %(minNow)d
      and on (%(kind)s) %(level)scount_%(history)s >= %(minBefore)d
    ||| % settings.CrossplaneProvisioningSlow {
      kind: q.kind,
      level: level,
      p: 100 * super.quantile,
      slowdown: select('%(level)sp%(p)d_%(window)s_slowdown_%(history)s' % self),
    };

  // More than a handful with the same error.
  local failing(matchers) = a.alert(
    'CrossplaneResourcesFailing',
    unwell.manyErrors(matchers),
    'Many resources fail with the same error.',
    '{{ $value }} {{ $labels.category }} resources' + ofConfig + ' ({{ $labels.domain }}) fail with the same class of error: {{ or $labels.error_class "unknown" }}. '
    + 'Among them: ' + a.names(a.query('%s', unwell.cause, causes + ['error_class'], ['problem="NotSynced"'])) + '.',
    a.link('resources', ['category']),
  );

  a.group('crossplane-resources', [
    a.alert(
      'CrossplaneManagedResourceNotReady',
      unwell.one(['category="managed"', 'problem="NotReady"'], settings.CrossplaneManagedResourceNotReady.after),
      'A managed resource is not ready.',
      a.named + a.ofTeam + ' has not been ready since ' + a.since + ', though its provider reaches it.'
      + reason('Ready', ' Reason: ', ' Likely: the cloud is still at it, or waits for something.'),
      resources,
    ),
    a.alert(
      'CrossplaneManagedResourceNotSynced',
      unwell.one(['category="managed"', 'problem="NotSynced"'], settings.CrossplaneManagedResourceNotSynced.after),
      'A managed resource cannot be reconciled.',
      a.named + a.ofTeam + ' cannot be reconciled since ' + a.since + '.' + errorClass + stillReady,
      resources,
    ),
    a.alert(
      'CrossplaneManyResourcesNotReady',
      unwell.manyOfKind([own, 'problem="NotReady"']),
      'Many resources of a kind are not ready.',
      '{{ $value }} {{ $labels.kind }}s' + ofConfig + ' are not ready, among them '
      + a.names(a.query('%s', unwell.cause, ['category', 'group', 'kind', 'provider', 'provider_config'], ['problem="NotReady"']))
      + '. Likely one cause: a change to all of them, or the cloud is slow.',
      a.link('resources', ['category', 'group', 'kind']),
    ),
    failing(['error_class!="throttled"']),
    // The label is there already; with it Prometheus' linter can tell the two apart.
    failing(['error_class="throttled"']) { 'for': settings.CrossplaneResourcesFailing.throttledFor, labels+: { error_class: 'throttled' } },
    a.alert(
      'CrossplaneManyResourcesUnwell',
      unwell.most,
      'Many resources of a provider configuration are unwell.',
      '{{ $value }} {{ $labels.category }} resources' + ofConfig + ' ({{ $labels.domain }}) are unwell'
      + '{{ with %s }}, the first since {{ . | first | value | humanizeTimestamp }}{{ end }}.' % a.query('min(%s)', unwell.cause, causes, ['error_class!="throttled"'])
      + a.looked(
        a.query('topk(1, %s)', 'error_class:platform_resource_unwell_cause:count', causes, ['error_class!="throttled"']), 'error_class', ' Most often: ', '.'
      )
      + ' Likely one cause: credentials, the network, the cloud, or a function.',
      a.link('resources', ['category']),
    ),

    composed(
      'CrossplaneCompositeNotReady',
      'NotReady',
      'composite',
      'A composite is not ready, and its resources are well.',
      ' has not been ready since ' + a.since + ', though no managed resource of it is known to be unwell. Likely: its function waits for a value, or something of it is paused.',
    ),
    composed(
      'CrossplaneCompositeNotSynced',
      'NotSynced',
      'composite',
      'A composite cannot be reconciled.',
      ' cannot be reconciled since ' + a.since + '.' + errorClass + ' Likely: its function fails, or the API server refuses what it makes.',
    ),
    composed(
      'CrossplaneClaimNotReady',
      'NotReady',
      'claim',
      'A claim is not ready, and its composite is well.',
      ' has not been ready since ' + a.since + ', though nothing of it is known to be unwell. Likely: it is not bound, or its composite is paused.',
    ),
    composed(
      'CrossplaneClaimNotSynced',
      'NotSynced',
      'claim',
      'A claim cannot be reconciled.',
      ' cannot be reconciled since ' + a.since + '.' + errorClass + ' Likely: its composite cannot be made or belongs to another claim.',
    ),

    // What has no Ready condition now, and was there some time ago.
    a.alert(
      'CrossplaneResourceNotReconciled',
      |||
        count by (%(kind)s) (
          group by (%(id)s) (%(info)s)
          and on (%(id)s) %(info)s offset %(after)s
          unless on (%(id)s) %(ready)s
          unless on (%(id)s) (%(paused)s or %(deleting)s)
        )
      ||| % {
        id: q.identity,
        kind: q.kind,
        info: q.exporter('platform_resource_info', [own]),
        ready: q.exporter('platform_resource_condition', ['condition="Ready"']),
        paused: q.exporter('platform_resource_paused'),
        deleting: q.exporter('platform_resource_deletion_timestamp_seconds'),
        after: settings.CrossplaneResourceNotReconciled.after,
      },
      'Nobody reconciles a resource.',
      '{{ $value }} {{ $labels.kind }}s have existed for longer than %s without a word on whether they are ready: no controller has ever looked at them. Likely: no provider for {{ $labels.group }} runs, or its kind is not activated.'
      % settings.CrossplaneResourceNotReconciled.after,
      a.link('resources', ['category', 'group', 'kind']),
    ),
    a.alert(
      'CrossplaneResourceFlapping',
      |||
        count by (%(by)s) (
          %(flapping)s
        )
      ||| % {
        by: q.by(['category', 'domain']),
        flapping: 'changes(%s[%s]) > %d' % [
          q.recorded('condition:platform_resource_not_true:since_timestamp_seconds', [own, 'condition=~"Ready|Synced"']),
          settings.CrossplaneResourceFlapping.window,
          settings.CrossplaneResourceFlapping.threshold,
        ],
      },
      'Resources are well and unwell by turns.',
      'Conditions of {{ $value }} {{ $labels.category }} resources of {{ $labels.domain }} turned more than %d times within %s, among them '
      % [settings.CrossplaneResourceFlapping.threshold, settings.CrossplaneResourceFlapping.window]
      + a.names(a.query(
        'changes(%%s[%s]) > %d' % [settings.CrossplaneResourceFlapping.window, settings.CrossplaneResourceFlapping.threshold],
        'condition:platform_resource_not_true:since_timestamp_seconds',
        ['category', 'domain'],
        ['condition=~"Ready|Synced"'],
      ))
      + '. Likely: the cloud throttles, or two controllers fight.',
      a.link('resources', ['category']),
    ),
    a.alert(
      'CrossplaneResourceCreateIncomplete',
      unwell.fewOrMany(['problem="CreateIncomplete"'], settings.CrossplaneResourceCreateIncomplete.after),
      'A resource waits for a person, because its creation did not finish.',
      '{{ if $labels.name }}' + a.named + a.ofTeam + ' has been left alone since ' + a.since + '{{ else }}{{ $value }} {{ $labels.kind }}s' + ofConfig + ' are left alone{{ end }}'
      + ': the provider cannot tell whether it created the external resource. Likely it was stopped meanwhile. A person has to look, and remove the annotation.',
      resources,
    ),
    a.alert(
      'CrossplaneResourceDeletionStuck',
      unwell.fewOrMany(['problem="DeletionStuck"'], '0s'),
      'A deletion hangs.',
      '{{ if $labels.name }}' + a.named + a.ofTeam + ' is to be deleted since ' + a.since + '.'
      + '{{ with %s }} {{ if eq (. | first | label "finalizers") "many" }}Another finalizer holds it, and Crossplane waits silently.{{ else }}Likely: the cloud refuses while something depends on it, or its provider is away.{{ end }}{{ end }}'
        % a.query('%s', 'platform_resource_deletion_timestamp_seconds', a.object)
      + '{{ else }}{{ $value }} {{ $labels.kind }}s' + ofConfig + ' are to be deleted for longer than %s. Likely: the cloud refuses, or their provider is away.{{ end }}' % config.deletingAfter,
      resources,
    ),
    a.alert(
      'CrossplaneResourcePausedTooLong',
      |||
        count by (%(by)s) (
          %(paused)s
        )
      ||| % {
        local window = settings.CrossplaneResourcePausedTooLong.window,
        by: q.by(['category', 'group', 'kind', 'team']),
        paused: q.indented(q.withInfo(
          |||
            count_over_time(group by (%(id)s) (%(paused)s)[%(window)s:15m]) >= %(steps)d
            and on (%(id)s) %(paused)s
          ||| % {
            id: q.identity,
            paused: q.exporter('platform_resource_paused'),
            window: window,
            steps: std.floor(settings.CrossplaneResourcePausedTooLong.share * q.seconds(window) / 900),
          },
          ['team'],
        )),
      },
      'Something has been paused for long.',
      '{{ $value }} {{ $labels.kind }}s' + a.ofTeam + ' were paused for nearly all of the last %s, among them ' % settings.CrossplaneResourcePausedTooLong.window
      + a.names(a.queryOfTeam('%s', 'platform_resource_paused', ['category', 'group', 'kind']))
      + '. Likely: forgotten after an incident. Nothing of it is reconciled.',
      a.link('resources', ['category', 'group', 'kind', 'team']),
    ),
    a.alert(
      'CrossplaneProvisioningSlow',
      |||
        count by (%(by)s) (
          %(slow)s
        )
      ||| % {
        by: q.by(['category', 'domain']),
        slow: q.indented(slower(function(metric) metric)),
      },
      'Resources take longer to be ready than they used to.',
      '{{ $value }} kinds of {{ $labels.category }} resources of {{ $labels.domain }} took more than %(factor)g times as long in the last %(window)s as usual in the %(history)s before. ' % settings.CrossplaneProvisioningSlow
      + a.looked(a.asked(['category', 'domain'], function(select) 'topk(1, %s)' % std.stripChars(slower(select), '\n')), 'kind', 'Most of all: ', '. ')
      + 'Likely: the cloud throttles or is slow, or the provider cannot keep up.',
      a.link('resources', ['category']),
    ),
  ])
