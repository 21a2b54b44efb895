// Crossplane itself and its providers' processes, by the metrics that they have of their own.
local alert = import '../lib/alert.libsonnet';
local promql = import '../lib/promql.libsonnet';
local unwellOf = import '../lib/unwell.libsonnet';

function(config)
  local a = alert(config);
  local q = promql(config);
  local unwell = unwellOf(config);
  local settings = config.alerts;
  local job = q.by(['job']);

  // Jobs by the worst of their controllers, or of what else the label tells apart: the mean of all would not show one that is slow among
  // many that are not. While many of their resources are unwell, the providers' processes only feel it.
  local worst(label, expr) =
    |||
      max by (%(job)s) (
        %(crossplane)s
      )
      or
      max by (%(job)s) (
        %(providers)s
      )
      unless on (%(cluster)s) %(outage)s
    ||| % {
      job: job,
      cluster: q.by([]),
      crossplane: q.indented(expr(q.crossplane, ['job', label])),
      providers: q.indented(expr(q.providers, ['job', label])),
      outage: unwell.anyMost(config.manyFor),
    };
  // Which one it is.
  local which(label, expr) = a.asked(['job'], function(select) 'topk(1, %s)' % std.stripChars(expr(select, [label]), '\n'));

  local failing(select, labels) =
    |||
      sum by (%(by)s) (rate(%(errors)s[%(window)s]))
      / sum by (%(by)s) (rate(%(all)s[%(window)s])) > %(ratio)g
      and sum by (%(by)s) (rate(%(errors)s[%(window)s])) > %(perSecond)g
    ||| % settings.CrossplaneReconcileErrors {
      by: q.by(labels),
      errors: select('controller_runtime_reconcile_total', ['result="error"']),
      all: select('controller_runtime_reconcile_total'),
    };
  local slow(select, labels) =
    local s = settings.CrossplaneReconcileSlow;
    local took = function(suffix) select('controller_runtime_reconcile_time_seconds' + suffix);
    '%s > %g\nand %s >= %d' % [q.quantile(s.quantile, took, labels, s.window), s.seconds, q.observations(took, labels, s.window), s.least];
  local waiting(select, labels) =
    local s = settings.CrossplaneWorkqueueSlow;
    local waited = function(suffix) select('workqueue_queue_duration_seconds' + suffix);
    '%s > %g\nand %s >= %d' % [q.mean(waited, labels, s.window), s.seconds, q.observations(waited, labels, s.window), s.least];

  // Calls of functions that fail: by what gRPC says, or by their own result.
  local failed(select, labels) =
    |||
      sum by (%(by)s) (
        rate(%(status)s[%(window)s])
        or
        rate(%(result)s[%(window)s])
      )
    ||| % {
      by: q.by(labels),
      status: select('function_run_function_response_total', ['grpc_code!="OK"']),
      result: select('function_run_function_response_total', ['result_severity="Fatal"']),
      window: settings.CrossplaneFunctionErrors.window,
    };

  a.group('crossplane-control-plane', [
    a.alert(
      'CrossplaneDown',
      // Jobs that there are, and those that there were: who has lost all its pods has no targets.
      |||
        (
          group by (%(job)s) (%(up)s)
          or
          group by (%(job)s) (max_over_time(%(up)s[%(memory)s]) == 1)
        )
        unless on (%(job)s) %(up)s == 1
      ||| % { job: job, up: q.crossplane('up'), memory: settings.CrossplaneDown.memory },
      'Crossplane is down.',
      'No pod of Crossplane (job {{ $labels.job }}) answers. Composites, claims and packages are not reconciled. Likely: it crashes, is not scheduled, or cannot be scraped.',
      a.link('control-plane'),
    ),
    a.alert(
      'CrossplaneMetricsAbsent',
      |||
        group by (%(cluster)s) (%(exporter)s)
        unless on (%(cluster)s) present_over_time(%(crossplane)s[%(memory)s])
      ||| % { cluster: q.by([]), exporter: q.exporter('up'), crossplane: q.crossplane('up'), memory: settings.CrossplaneDown.memory },
      "Crossplane's own metrics are not scraped.",
      'Nothing is scraped as %s, so that no alert about Crossplane itself can fire. Likely: metrics.enabled=false in its chart, no PodMonitor, or the job has another name'
      % config.crossplaneSelector
      + a.first(a.query('group by (job) (%s)', 'workqueue_depth'), 'job', '{{ $r.Labels.job }}', ': ')
      + '.',
      a.link('control-plane'),
    ),
    a.alert(
      'CrossplaneReconcileErrors',
      worst('controller', failing),
      'Many reconciles fail.',
      '{{ $value | humanizePercentage }} of the reconciles of'
      + a.looked(which('controller', failing), 'controller', ' controller ', '', ' a controller')
      + ' in job {{ $labels.job }} fail. Likely: the API server or a webhook refuses, or a function fails; Events say which.',
      a.link('control-plane'),
    ),
    a.alert(
      'CrossplaneReconcileSlow',
      worst('controller', slow),
      'Reconciles take long.',
      'One in a hundred reconciles of'
      + a.looked(which('controller', slow), 'controller', ' controller ', '', ' a controller')
      + ' in job {{ $labels.job }} takes longer than {{ $value | humanizeDuration }}. Likely: a slow function, cloud API or API server, or too little CPU.',
      a.link('control-plane'),
    ),
    a.alert(
      'CrossplaneWorkqueueSlow',
      worst('name', waiting),
      'Work waits long to be begun.',
      'What is in'
      + a.looked(which('name', waiting), 'name', ' queue ', '', ' a queue')
      + ' of job {{ $labels.job }} waits {{ $value | humanizeDuration }} for a worker, on average. Likely: slow reconciles, a cloud API that throttles, or --max-reconcile-rate too low for so many resources.',
      a.link('control-plane'),
    ),
    a.alert(
      'CrossplaneFunctionErrors',
      failed(q.crossplane, ['function_name']) + '/ sum by (%s) (rate(%s[%s])) > %g' % [
        q.by(['function_name']),
        q.crossplane('function_run_function_response_total'),
        settings.CrossplaneFunctionErrors.window,
        settings.CrossplaneFunctionErrors.ratio,
      ],
      'A composition function fails.',
      '{{ $value | humanizePercentage }} of the calls of function {{ $labels.function_name }} fail.'
      + '{{ with %s }}{{ if eq (. | first | label "grpc_code") "OK" }} It answers with a fatal result: its input is not what it expects.{{ else }} Most often with {{ . | first | label "grpc_code" }}.{{ end }}{{ end }}'
        % a.asked(['function_name'], function(select) 'topk(1, %s)' % std.stripChars(failed(select, ['grpc_code']), '\n'))
      + ' Composites that use it are not updated.',
      a.link('control-plane'),
    ),
    a.alert(
      'CrossplaneFunctionSlow',
      q.quantile(
        settings.CrossplaneFunctionSlow.quantile,
        function(suffix) q.crossplane('function_run_function_seconds' + suffix),
        ['function_name'],
        settings.CrossplaneFunctionSlow.window,
      ) + ' > %g' % settings.CrossplaneFunctionSlow.seconds,
      'A composition function is slow.',
      'One in a hundred calls of function {{ $labels.function_name }} takes longer than {{ $value | humanizeDuration }}. Likely: too little CPU, or it waits for something outside. Crossplane gives up soon after.',
      a.link('control-plane'),
    ),
    a.alert(
      'CrossplaneCircuitBreakerDropping',
      |||
        sum by (%(controller)s) (rate(%(dropped)s[%(window)s]))
        / sum by (%(controller)s) (rate(%(all)s[%(window)s])) > %(ratio)g
      ||| % settings.CrossplaneCircuitBreakerDropping {
        controller: q.by(['controller']),
        dropped: q.crossplane('circuit_breaker_events_total', ['result="Dropped"']),
        all: q.crossplane('circuit_breaker_events_total'),
      },
      'The circuit breaker drops watch events.',
      '{{ $value | humanizePercentage }} of the watch events of {{ $labels.controller }} are dropped, so its composites react late. Likely: a composed resource changes all the time, two controllers fight over a field.',
      a.link('control-plane'),
    ),
    a.alert(
      'CrossplaneCircuitBreakerOpening',
      'sum by (%s) (increase(%s[%s])) > %g' % [
        q.by(['controller']),
        q.crossplane('circuit_breaker_opens_total'),
        settings.CrossplaneCircuitBreakerOpening.window,
        settings.CrossplaneCircuitBreakerOpening.threshold,
      ],
      'The circuit breaker opens again and again.',
      'The circuit breaker of {{ $labels.controller }} opened {{ $value | printf "%.0f" }} times in an hour. Likely: composites reconcile in a loop, because a function or another controller changes something at each turn.',
      a.link('control-plane'),
    ),
  ])
