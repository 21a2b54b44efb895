// What changes without anybody having asked for it: outside, and in specs.
local alert = import '../lib/alert.libsonnet';
local promql = import '../lib/promql.libsonnet';

function(config)
  local a = alert(config);
  local q = promql(config);
  local settings = config.alerts;
  local kind = ['category', 'group', 'kind', 'team'];

  // Kinds and teams of which objects are so.
  local count(labels, expr) = 'count by (%s) (\n  %s\n)' % [q.by(labels), q.indented(q.withInfo(expr, ['team']))];
  local link = a.link('drift', ['group', 'kind', 'team']);
  local last = 'resource:platform_resource_last_drift_timestamp_seconds:max';
  // What a loop that is over has left in the window is not said a second time.
  local unlessLoop(window) = 'unless on (%s) max_over_time(%s[%s])' % [q.identity, q.exporter('platform_resource_drift_loop'), window];
  local noLoop(window) = ' unless on (%s) max_over_time(platform_resource_drift_loop[%s])' % [q.identity, window];
  local corrected(window) = 'sum by (%s) (increase(%s[%s]))' % [q.identity, q.exporter('platform_resource_drift_corrections_total'), window];
  local frequent = settings.CrossplaneDriftFrequent;
  local often = '%s > %d' % [corrected(frequent.window), frequent.threshold];

  a.group('crossplane-drift', [
    // increase() does not see the value that a series begins with, and so misses one correction at most.
    a.alert(
      'CrossplaneDriftFrequent',
      count(kind, '%s\n%s' % [often, unlessLoop(frequent.window)]),
      'Resources drift and are put back often.',
      '{{ $value }} {{ $labels.kind }}s' + a.ofTeam + ' were put back more than %d times in %s, among them ' % [frequent.threshold, frequent.window]
      + a.names(a.queryOfTeam('increase(%%s[%s]) > %d%s' % [frequent.window, frequent.threshold, noLoop(frequent.window)], 'platform_resource_drift_corrections_total', ['category', 'group', 'kind']))
      + '. Likely: a script, autoscaling or another tool changes them outside.',
      link,
    ),
    a.alert(
      'CrossplaneDriftLoop',
      count(kind, 'group by (%s) (%s)' % [q.identity, q.exporter('platform_resource_drift_loop')]),
      'Resources are put back at every reconcile.',
      '{{ $value }} {{ $labels.kind }}s' + a.ofTeam + ' are put back like clockwork, among them '
      + a.names(a.queryOfTeam('%s', 'platform_resource_drift_loop', ['category', 'group', 'kind']))
      + '. Likely: another controller owns the same field, or the update does not change what the provider compares. Each turn is a write to the cloud.',
      link,
    ),
    // The time of the last correction survives a restart of the exporter, which counters do not.
    a.alert(
      'CrossplaneDriftByHand',
      count(kind, |||
        changes(%(last)s[%(window)s]) >= %(threshold)d
        %(loop)s
        unless on (%(id)s) %(often)s
      ||| % settings.CrossplaneDriftByHand { id: q.identity, last: last, loop: unlessLoop(settings.CrossplaneDriftByHand.window), often: often }),
      'Resources are changed outside now and then, and put back.',
      '{{ $value }} {{ $labels.kind }}s' + a.ofTeam + ' were put back on several occasions within %s, among them ' % settings.CrossplaneDriftByHand.window
      + a.names(a.queryOfTeam('changes(%%s[%s]) >= %d%s' % [settings.CrossplaneDriftByHand.window, settings.CrossplaneDriftByHand.threshold, noLoop(settings.CrossplaneDriftByHand.window)], last, ['category', 'group', 'kind']))
      + '. Likely: someone changes them by hand, and needs another spec.',
      link,
    ),
    // By its time, because a counter that begins at its first write has no increase.
    a.alert(
      'CrossplaneSpecChangedOutsideGitOps',
      count(['manager', 'team'], 'max by (%s, manager) (%s) > time() - %d' % [
        q.identity,
        q.exporter('platform_resource_last_foreign_write_timestamp_seconds'),
        q.seconds(settings.CrossplaneSpecChangedOutsideGitOps.window),
      ]),
      'Specs were changed past GitOps.',
      'Specs of {{ $value }} resources' + a.ofTeam + ' were written by {{ $labels.manager }} within %s, among them ' % settings.CrossplaneSpecChangedOutsideGitOps.window
      + a.names(a.queryOfTeam('(time() - %%s) < %d' % q.seconds(settings.CrossplaneSpecChangedOutsideGitOps.window), 'platform_resource_last_foreign_write_timestamp_seconds', ['manager']))
      + '. Likely by hand: Git does not have it, and the next apply takes it away.',
      a.link('drift', ['team']),
    ),
  ])
