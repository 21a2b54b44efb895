// Crossplane itself and its providers' processes, by the metrics that they have of their own.
local alert = import '../lib/alert.libsonnet';
local promql = import '../lib/promql.libsonnet';

function(config)
  local a = alert(config);
  local q = promql(config);
  local settings = config.alerts;
  local job = q.by(['job']);

  a.group('crossplane-control-plane', [
    a.alert(
      'CrossplaneDown',
      |||
        group by (%(job)s) (max_over_time(%(up)s[%(memory)s]) == 1)
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
        unless on (%(cluster)s) %(crossplane)s
      ||| % { cluster: q.by([]), exporter: q.exporter('up'), crossplane: q.crossplane('up') },
      "Crossplane's own metrics are not scraped.",
      'Nothing is scraped as %s, so that no alert about Crossplane itself can fire. Likely: metrics.enabled=false in its chart, no PodMonitor, or the job has another name'
      % config.crossplaneSelector
      + a.first(a.query('group by (job) (%s)', 'workqueue_depth'), 'job', '{{ $r.Labels.job }}', ': ')
      + '.',
      a.link('control-plane'),
    ),
    a.alert(
      'CrossplaneReconcileErrors',
      q.both(function(metric) |||
        sum by (%(job)s) (rate(%(errors)s[%(window)s]))
        / sum by (%(job)s) (rate(%(all)s[%(window)s])) > %(ratio)g
        and on (%(job)s) sum by (%(job)s) (rate(%(errors)s[%(window)s])) > %(perSecond)g
      ||| % settings.CrossplaneReconcileErrors {
        job: job,
        errors: metric('controller_runtime_reconcile_total', ['result="error"']),
        all: metric('controller_runtime_reconcile_total'),
      }),
      'Many reconciles fail.',
      '{{ $value | humanizePercentage }} of the reconciles of job {{ $labels.job }} fail.'
      + a.looked(
        a.query(
          'topk(1, sum by (controller) (rate(%%s[%s])))' % settings.CrossplaneReconcileErrors.window,
          'controller_runtime_reconcile_total',
          ['job'],
          ['result="error"'],
        ), 'controller', ' Most of them of controller ', '.'
      )
      + ' Likely: the API server or a webhook refuses, or a function fails; the log says which.',
      a.link('control-plane'),
    ),
    a.alert(
      'CrossplaneReconcileSlow',
      q.both(function(metric) q.quantile(
        settings.CrossplaneReconcileSlow.quantile,
        function(suffix) metric('controller_runtime_reconcile_time_seconds' + suffix),
        ['job'],
        settings.CrossplaneReconcileSlow.window,
      ) + ' > %g' % settings.CrossplaneReconcileSlow.seconds),
      'Reconciles take long.',
      'One in a hundred reconciles of job {{ $labels.job }} takes longer than {{ $value | humanizeDuration }}. Likely: a slow function, cloud API or API server, or too little CPU.',
      a.link('control-plane'),
    ),
    a.alert(
      'CrossplaneWorkqueueSlow',
      q.both(function(metric) q.mean(
        function(suffix) metric('workqueue_queue_duration_seconds' + suffix),
        ['job'],
        settings.CrossplaneWorkqueueSlow.window,
      ) + ' > %g' % settings.CrossplaneWorkqueueSlow.seconds),
      'Work waits long to be begun.',
      'What job {{ $labels.job }} has to reconcile waits {{ $value | humanizeDuration }} for a worker, on average. Likely: slow reconciles, a cloud API that throttles, or --max-reconcile-rate too low for so many resources.',
      a.link('control-plane'),
    ),
    a.alert(
      'CrossplaneFunctionErrors',
      |||
        sum by (%(function)s) (
          rate(%(failed)s[%(window)s])
          or
          rate(%(fatal)s[%(window)s])
        )
        / sum by (%(function)s) (rate(%(all)s[%(window)s])) > %(ratio)g
      ||| % settings.CrossplaneFunctionErrors {
        'function': q.by(['function_name']),
        failed: q.crossplane('function_run_function_response_total', ['grpc_code!="OK"']),
        fatal: q.crossplane('function_run_function_response_total', ['result_severity="Fatal"']),
        all: q.crossplane('function_run_function_response_total'),
      },
      'A composition function fails.',
      '{{ $value | humanizePercentage }} of the calls of function {{ $labels.function_name }} fail.'
      + a.looked(
        a.query(
          'topk(1, sum by (grpc_code) (rate(%%s[%s])))' % settings.CrossplaneFunctionErrors.window,
          'function_run_function_response_total',
          ['function_name'],
          ['grpc_code!="OK"'],
        ), 'grpc_code', ' Most often with ', '.', ' It answers with a fatal result: its input is not what it expects.'
      )
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
