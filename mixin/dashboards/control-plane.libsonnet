// Is Crossplane itself at work: its packages, its controllers, its functions, and its providers?
//
// By the exporter where it can be, and by what Crossplane and the providers say of themselves: Crossplane serves metrics with
// metrics.enabled=true, and not every provider has all that is asked for here.
local grid = import 'grafana/grid.libsonnet';
local panels = import 'grafana/panels.libsonnet';

function(config)
  local queries = (import 'grafana/queries.libsonnet')(config);
  local columns = (import 'grafana/columns.libsonnet')(config);
  local e = (import 'expressions.libsonnet')(config);
  local links = (import 'grafana/links.libsonnet')(config);
  local objects = (import 'objects.libsonnet')(config);
  local variables = (import 'grafana/variables.libsonnet')(config);
  local settings = config.dashboards;
  local limits = settings.thresholds;
  local t = panels.thresholds;

  local core(matchers=[]) = e.selectorOf(config.crossplaneSelector, matchers);
  local provider(matchers=[]) = e.selectorOf(config.providerSelector, matchers);
  // What f says of a selector, of either.
  local both(f) = '(%s or %s)' % [f(core()), f(provider())];
  local process = settings.processLabel;
  local package = ['category=~"package|definition|operation|config"'];

  local rate(metric, labels, selector) = 'sum by (%s) (rate(%s{%s}[$__rate_interval]))' % [e.by(labels), metric, selector];
  local rateOfBoth(metric, labels) = 'sum by (%s) %s' % [e.by(labels), both(function(s) 'rate(%s{%s}[$__rate_interval])' % [metric, s])];
  local sumOfBoth(metric, labels) = 'sum by (%s) %s' % [e.by(labels), both(function(s) '%s{%s}' % [metric, s])];
  local increaseOfBoth(metric, range) = 'sum(%s)' % both(function(s) 'increase(%s{%s}[%s])' % [metric, s, range]);
  local p99(metric, labels, rate) = 'histogram_quantile(0.99, %s) >= 0' % e.buckets(metric, labels, rate);
  local rates(selector) = function(metric) 'rate(%s{%s}[$__rate_interval])' % [metric, selector];
  local ratesOfBoth(metric) = both(function(s) 'rate(%s{%s}[$__rate_interval])' % [metric, s]);
  // There may be hundreds of controllers: those that are highest in the time range, all of the time, because lines that come and go
  // cannot be read. The second half is asked once, not at each step.
  local top(expr, labels) = '%s\nand on (%s) topk(%d, avg_over_time((%s)[$__range:] @ end()))' % [expr, e.by(labels), settings.top, expr];
  local highest = ' The highest in the time range.';

  {
    title: 'Packages and control plane',
    description: 'Is Crossplane itself at work: its packages, its controllers, its functions, and its providers?',
    variables: variables.start('platform_resources{%s}' % config.exporterSelector)
               + (if config.loki.enabled then [variables.loki] else [])
               + [
                 variables.label('kind', 'Kind', 'platform_resources{%s}' % e.selector(package), '.+', 'Of what is listed as unwell.'),
                 variables.expression('name', 'Name', 'Of what is listed as unwell: a regular expression.'),
               ],
    rows: [
      grid.row(null, [
        panels.stat(
          'Packages',
          'Providers, functions, configurations and their revisions.',
          [queries.range('sum(platform_resources{%s})' % e.selector(['category="package"']), 'packages')],
          links=links.to('Packages', 'resources', { category: 'package' }),
        ),
        panels.stat(
          'Packages failing',
          'Packages that are not installed or not healthy: what they bring does not work.',
          [queries.range('sum(platform_resources_failing{%s}) or vector(0)' % e.selector(['category="package"']), 'failing')],
          thresholds=t.any('red'),
          noValue='0',
          links=links.to('Packages', 'resources', { category: 'package' }),
        ),
        panels.stat(
          'Definitions failing',
          'CompositeResourceDefinitions, Compositions and the like that cannot be established.',
          [queries.range('sum(platform_resources_failing{%s}) or vector(0)' % e.selector(['category="definition"']), 'failing')],
          thresholds=t.any('red'),
          noValue='0',
          links=links.to('Definitions', 'resources', { category: 'definition' }),
        ),
        panels.stat(
          'Crossplane up',
          "Crossplane's own pods that Prometheus reaches.",
          [queries.range('sum(up{%s})' % core(), 'up')],
          thresholds=t.up,
          noValue='not scraped',
        ),
        panels.stat(
          'Providers down',
          "Providers' pods that Prometheus does not reach.",
          [queries.range('count(up{%(s)s}) - sum(up{%(s)s})' % { s: provider() }, 'down')],
          thresholds=t.any('red'),
          noValue='not scraped',
        ),
        panels.stat(
          'Reconciles failing, 1 h',
          'The share of reconciles by Crossplane and its providers that ended in an error.',
          [queries.instant('%s / (%s > 0)' % [increaseOfBoth('controller_runtime_reconcile_errors_total', '1h'), increaseOfBoth('controller_runtime_reconcile_total', '1h')], 'failing')],
          unit='percentunit',
          decimals=1,
          thresholds=t.above(limits.reconcileErrorRatio.warning, limits.reconcileErrorRatio.critical),
          noValue='not scraped',
        ),
        panels.stat(
          'Circuits opened, 24 h',
          'How often Crossplane stopped for a while to watch what a composite is made of, because it changed too often.',
          [queries.instant('round(sum(increase(circuit_breaker_opens_total{%s}[24h])))' % core(), 'opened')],
          thresholds=t.any(),
          noValue='none, or not scraped',
        ),
        panels.stat(
          'Functions failing, 1 h',
          'The share of calls of composition functions that failed, or whose result is fatal.',
          [queries.instant(
            '(sum(increase(function_run_function_response_total{%(status)s}[1h]) or increase(function_run_function_response_total{%(result)s}[1h])) or vector(0)) / (sum(increase(function_run_function_response_total{%(s)s}[1h])) > 0)' % {
              s: core(),
              status: core(['grpc_code!="OK"']),
              result: core(['result_severity="Fatal"']),
            },
            'failing',
          )],
          unit='percentunit',
          decimals=1,
          thresholds=t.above(limits.reconcileErrorRatio.warning, limits.reconcileErrorRatio.critical),
          noValue='no calls, or not scraped',
        ),
      ]),
      grid.row(null, [
        panels.table(
          'Unwell packages, definitions, operations and configs',
          'Each by the condition that has been so for longest. A name leads to the object.',
          [queries.table('topk(%d, %s)' % [settings.rows, e.unwell(package + ['kind=~"$kind"', 'name=~"$name"'])])],
          columns.of([
            columns.label('category', 'Category', width=100),
            objects.kind,
            objects.group,
            objects.name,
            columns.hidden('resource_namespace'),
            objects.condition,
            objects.reason,
            objects.errorClass,
            objects.unwellFor,
          ], without=['team']),
          noValue='nothing unwell',
          sortBy='For',
          size=[24, 7],
        ),
      ]),
      grid.row('Controllers', [
        panels.timeseries(
          'Reconciles a second, by controller',
          'Who is busy?' + highest,
          [queries.range(top(rateOfBoth('controller_runtime_reconcile_total', ['controller']), ['controller']), '{{controller}}')],
          unit='ops',
          noValue='not scraped',
        ),
        panels.timeseries(
          'Reconciles that fail',
          'The share of the reconciles of a controller that ended in an error.' + highest,
          [queries.range(top('%s / (%s > 0)' % [
            rateOfBoth('controller_runtime_reconcile_errors_total', ['controller']),
            rateOfBoth('controller_runtime_reconcile_total', ['controller']),
          ], ['controller']), '{{controller}}')],
          unit='percentunit',
          noValue='none, or not scraped',
        ),
        panels.timeseries(
          'Time of a reconcile (p99)',
          'Who is slow? A slow one may wait for the cloud.' + highest,
          [queries.range(top(p99('controller_runtime_reconcile_time_seconds', ['controller'], ratesOfBoth), ['controller']), '{{controller}}')],
          unit='s',
          noValue='not scraped',
        ),
        panels.timeseries(
          'Objects in the queue',
          'Who cannot keep up? Objects that wait for their controller.' + highest,
          [queries.range(top(sumOfBoth('workqueue_depth', ['name']), ['name']), '{{name}}')],
          noValue='none, or not scraped',
        ),
        panels.timeseries(
          'Time in the queue (p99)',
          'How long does a change wait for its controller?' + highest,
          [queries.range(top(p99('workqueue_queue_duration_seconds', ['name'], ratesOfBoth), ['name']), '{{name}}')],
          unit='s',
          noValue='not scraped',
        ),
        panels.timeseries(
          'Workers busy',
          'A controller whose workers are all busy has a queue soon: --max-reconcile-rate.' + highest,
          [queries.range(top('%s / %s' % [sumOfBoth('controller_runtime_active_workers', ['controller']), sumOfBoth('controller_runtime_max_concurrent_reconciles', ['controller'])], ['controller']), '{{controller}}')],
          unit='percentunit',
          max=1,
          noValue='none, or not scraped',
        ),
      ]),
      grid.row('Compositions', [
        panels.timeseries(
          'Time of a function (p99)',
          'How long does a composition function take?',
          [queries.range(p99('function_run_function_seconds', ['function_name'], rates(core())), '{{function_name}}')],
          unit='s',
          noValue='no calls, or not scraped',
        ),
        panels.timeseries(
          'Results of functions a second',
          'By severity: a fatal result ends the composition, a warning does not.',
          [queries.range(rate('function_run_function_response_total', ['function_name', 'grpc_code', 'result_severity'], core()), '{{function_name}} {{grpc_code}} {{result_severity}}')],
          unit='ops',
          noValue='no calls, or not scraped',
        ),
        panels.timeseries(
          'Changes left out by a circuit breaker',
          'The share of changes that made Crossplane not look at a composite, by controller. Many: something changes all the time.',
          [queries.range('%s / (%s > 0) > 0' % [
            rate('circuit_breaker_events_total', ['controller'], core(['result="Dropped"'])),
            rate('circuit_breaker_events_total', ['controller'], core()),
          ], '{{controller}}')],
          unit='percentunit',
          noValue='none, or not scraped',
        ),
      ]),
      grid.row('Providers, by their own account', [
        panels.timeseries(
          'Managed resources not synced, by kind',
          'What a provider says of itself. What is paused counts too.' + highest,
          [queries.range(top('sum by (%(by)s) (crossplane_managed_resource_exists{%(s)s}) - sum by (%(by)s) (crossplane_managed_resource_synced{%(s)s})' % { by: e.by(['gvk']), s: provider() }, ['gvk']), '{{gvk}}')],
          noValue='none, or not scraped',
        ),
        panels.timeseries(
          'Updates an hour, by kind',
          'Updates of external resources, intended ones among them: crossplane_managed_resource_drift_seconds counts both.' + highest,
          [queries.range(top('%s * 3600' % e.observations('crossplane_managed_resource_drift_seconds', ['gvk'], rates(provider())), ['gvk']), '{{gvk}}')],
          noValue='none, or not scraped',
        ),
        panels.timeseries(
          'Time until first ready (p99), by kind',
          'Of resources that a provider saw become ready.' + highest,
          [queries.range(top(p99('crossplane_managed_resource_first_time_to_readiness_seconds', ['gvk'], rates(provider())), ['gvk']), '{{gvk}}')],
          unit='s',
          noValue='none, or not scraped',
        ),
        panels.timeseries(
          'Cloud API calls a second, by service',
          "Of upjet's providers.",
          [queries.range(top(rate('upjet_resource_external_api_calls_total', ['service'], provider()), ['service']), '{{service}}')],
          unit='reqps',
          noValue='none, or not scraped',
        ),
        panels.timeseries(
          'Time of a cloud API call (p99)',
          "By operation, of upjet's providers.",
          [queries.range(p99('upjet_resource_ext_api_duration', ['operation'], rates(provider())), '{{operation}}')],
          unit='s',
          noValue='none, or not scraped',
        ),
        panels.timeseries(
          'Delay of reconciles (p99), by kind',
          "How late upjet's providers look again: what they do not get to in time." + highest,
          [queries.range(top(p99('upjet_resource_reconcile_delay_seconds', ['group', 'kind'], rates(provider())), ['group', 'kind']), '{{kind}}.{{group}}')],
          unit='s',
          noValue='none, or not scraped',
        ),
      ]),
      grid.row('Processes', [
        panels.timeseries(
          'CPU',
          'Cores that Crossplane and its providers use.' + highest,
          [queries.range(top(rateOfBoth('process_cpu_seconds_total', [process]), [process]), '{{%s}}' % process)],
          unit='none',
          noValue='not scraped',
        ),
        panels.timeseries(
          'Memory',
          'Resident memory of Crossplane and its providers.' + highest,
          [queries.range(top(sumOfBoth('process_resident_memory_bytes', [process]), [process]), '{{%s}}' % process)],
          unit='bytes',
          noValue='not scraped',
        ),
        panels.timeseries(
          'Calls of the API server a second, by answer',
          '429 is its own throttling, 409 two that write the same, 5xx trouble.',
          [queries.range(rateOfBoth('rest_client_requests_total', ['code']), '{{code}}')],
          unit='reqps',
          stack=true,
          noValue='not scraped',
        ),
      ]),
    ] + if !config.loki.enabled then [] else [
      grid.row('Logs', [
        panels.logs(
          'What Crossplane and its providers complain about',
          'Lines of their logs that tell of trouble, newest first.',
          [queries.logs('{%s} %s' % [config.loki.selector, config.loki.filter])],
          noValue='no complaints',
        ),
      ]),
    ],
  }
