// Rules for Loki's ruler: lokiRules and lokiAlerts. LogQL, on the lines of controller-runtime and of the Go runtime.
{
  local config = $._config,
  local settings = config.lokiRules.alerts,
  local a = (import '../lib/alert.libsonnet')(config),
  local by = std.join(', ', (if config.showMultiCluster then [config.clusterLabel] else []) + config.lokiRules.by),
  local streams(filter, range) = '{%s} %s [%s]' % [config.loki.selector, filter, range],
  local who = std.join(' ', ['{{ $labels.%s }}' % l for l in config.lokiRules.by]),
  local errors = 'sum by (%s) (rate(%s))' % [by, streams('|= "Reconciler error"', settings.CrossplaneLogReconcileErrors.window)],

  local alert(name, expr, summary, description) = {
    alert: name,
    expr: expr,
    'for': settings[name]['for'],
    labels: { severity: settings[name].severity } + if config.platformTeam == '' then {} else { team: config.platformTeam },
    annotations: {
      summary: summary,
      description: description,
      runbook_url: config.runbookURLPattern % name,
      dashboard_url: a.link('control-plane'),
    },
  },

  lokiRules+:: {
    groups+: [{
      name: 'crossplane-logs.rules',
      rules: [{
        record: 'stream:crossplane_log_reconcile_errors:rate' + settings.CrossplaneLogReconcileErrors.window,
        expr: errors,
      }],
    }],
  },

  lokiAlerts+:: {
    groups+: std.filter(function(group) group.rules != [], [{
      name: 'crossplane-logs',
      rules: std.filter(function(rule) settings[rule.alert].enabled, [
        alert(
          'CrossplaneLogReconcileErrors',
          '%s > %g' % [errors, settings.CrossplaneLogReconcileErrors.perSecond],
          'The log is full of reconcile errors.',
          '%s logs {{ $value | printf "%%.1f" }} failed reconciles a second. Likely: the API server or a webhook refuses, or two controllers write the same object.' % who,
        ),
        alert(
          'CrossplaneLogPanic',
          'sum by (%s) (count_over_time(%s)) > 0' % [by, streams('|~ "^panic: |^fatal error: |Observed a panic"', settings.CrossplaneLogPanic.window)],
          'A process panicked.',
          '%s panicked, {{ $value }} times within %s. Likely a bug that one object brings out: the log names the controller, and the object.' % [who, settings.CrossplaneLogPanic.window],
        ),
      ]),
    }]),
  },
}
