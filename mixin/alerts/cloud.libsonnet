// The cloud's API, as its audit trail has it.
local alert = import '../lib/alert.libsonnet';
local promql = import '../lib/promql.libsonnet';

function(config)
  local a = alert(config);
  local q = promql(config);
  local settings = config.alerts;
  local crossplane = 'principal_class="crossplane"';
  local api = ['cloud_provider', 'cloud_account', 'cloud_region', 'api_service'];
  local calls = 'principal:platform_cloud_api_calls:rate' + config.cloudRate;
  local ratio = 'principal:platform_cloud_api_calls_throttled:ratio_rate' + config.cloudRate;
  local account = q.by(['cloud_provider', 'cloud_account']);
  local of = '{{ $labels.api_service }} in {{ $labels.cloud_region }} of account {{ $labels.cloud_account }}';

  // Where Crossplane is throttled, and which part of the calls is its own.
  local throttled(name, share) =
    |||
      sum by (%(api)s) (%(ratio)s) > %(limit)g
      and on (%(api)s) sum by (%(api)s) (%(own)s) / sum by (%(api)s) (%(calls)s) %(share)s
    ||| % {
      api: q.by(api),
      ratio: q.recorded(ratio, [crossplane]),
      own: q.recorded(calls, [crossplane]),
      calls: calls,
      limit: settings[name].ratio,
      share: share,
    };
  local link = a.link('cloud', ['cloud_account', 'cloud_region', 'api_service']);
  local changed = ['principal_class!~"%s"' % std.join('|', config.principalsExpected)];

  // Sources that are late, and those that have shown no newer call for long. An exporter that starts again has
  // shown none at all, and does not know what its source can show, so that what it said the day before counts.
  local late = settings.CrossplaneTrailLate;
  local trailLate(select, labels) =
    local newest = select('platform_cloud_trail_last_event_timestamp_seconds', ['trail_source!~"lookup/.+"']);
    |||
      max by (%(by)s) (%(delay)s) > %(after)d
      or
      time() - (
        (max by (%(by)s) (max_over_time(%(newest)s[1d] offset %(silent)s)) > 0)
        >= max by (%(by)s) (max_over_time(%(newest)s[%(silent)s]))
        and max by (%(by)s) (max_over_time(%(all)s[1d]))
      )
    ||| % late {
      by: q.by(labels),
      delay: select('platform_cloud_trail_delay_seconds'),
      after: q.seconds(late.after),
      newest: newest,
      all: select('platform_cloud_trail_coverage', ['coverage="all"']),
    };

  a.group('crossplane-cloud', [
    a.alert(
      'CrossplaneCloudThrottled',
      throttled('CrossplaneCloudThrottled', '>= %g' % settings.CrossplaneCloudQuotaEatenByOthers.share),
      'The cloud throttles Crossplane, which makes most of the calls.',
      "{{ $value | humanizePercentage }} of Crossplane's calls of " + of + ' are throttled, and most calls are its own.'
      + a.looked(
        a.query('topk(1, sum by (api_operation) (rate(%%s[%s])))' % config.cloudRate, 'platform_cloud_api_throttled_total', api, [crossplane]), 'api_operation', ' Most of all ', '.'
      )
      + ' Likely: too short a poll interval for so many resources, or a drift loop.',
      link,
    ),
    a.alert(
      'CrossplaneCloudQuotaEatenByOthers',
      throttled('CrossplaneCloudQuotaEatenByOthers', '< %g' % settings.CrossplaneCloudQuotaEatenByOthers.share),
      'The cloud throttles Crossplane, because others call more.',
      "{{ $value | humanizePercentage }} of Crossplane's calls of " + of + ' are throttled, though others make most of the calls.'
      + a.looked(a.query('topk(1, %s)', calls, api, ['principal_class!="crossplane"']), 'principal_class', ' Most of all: ', '.'),
      link,
    ),
    a.alert(
      'CrossplaneCloudDenied',
      'sum by (%s) (increase(%s[%s])) > %d' % [
        account,
        q.exporter('platform_cloud_api_calls_total', [crossplane, 'outcome="denied"']),
        settings.CrossplaneCloudDenied.window,
        settings.CrossplaneCloudDenied.threshold,
      ],
      'The cloud denies what Crossplane tries.',
      'Account {{ $labels.cloud_account }} denied {{ $value | printf "%.0f" }} calls of Crossplane within ' + settings.CrossplaneCloudDenied.window + '.'
      + '{{ with %s }} Most often {{ . | first | label "api_service" }}:{{ . | first | label "api_operation" }}.{{ end }}' % a.query(
        'topk(1, sum by (api_service, api_operation) (increase(%%s[%s])))' % settings.CrossplaneCloudDenied.window,
        'platform_cloud_api_calls_total',
        ['cloud_provider', 'cloud_account'],
        [crossplane, 'outcome="denied"'],
      )
      + " Likely: the provider's role lacks a permission, or a service control policy forbids it.",
      a.link('cloud', ['cloud_account']),
    ),
    a.alert(
      'CrossplaneProviderRoleMisused',
      'sum by (%s) (\n  %s\n)' % [account, q.indented(q.grown('platform_cloud_provider_role_misuse_total', [], settings.CrossplaneProviderRoleMisused.window))],
      "A provider's cloud role was used by something else.",
      "In account {{ $labels.cloud_account }} a provider's role made calls that no provider made."
      + '{{ with %s }} Most often {{ . | first | label "api_service" }}:{{ . | first | label "api_operation" }}.{{ end }}' % a.asked(
        ['cloud_provider', 'cloud_account'],
        function(select) 'topk(1, sum by (api_service, api_operation) (%s))'
                         % std.stripChars(q.grown('platform_cloud_provider_role_misuse_total', [], settings.CrossplaneProviderRoleMisused.window, select), '\n')
      )
      + ' Likely: an engineer assumed it, or its credentials are elsewhere. A provider with another user agent looks the same.',
      a.link('cloud', ['cloud_account'], { principal_class: 'crossplane_role_other_agent' }),
    ),
    a.alert(
      'CrossplaneCloudChangedOutside',
      'sum by (%s) (\n  %s\n)' % [
        q.by(['cloud_provider', 'cloud_account', 'principal_class']),
        q.indented(q.grown('platform_cloud_out_of_band_changes_total', changed, settings.CrossplaneCloudChangedOutside.window)),
      ],
      'Managed resources were changed past Crossplane.',
      '{{ $labels.principal_class }} changed managed resources in account {{ $labels.cloud_account }}'
      + a.first(
        a.query('%s > time() - ' + q.seconds(settings.CrossplaneCloudChangedOutside.window), 'platform_resource_last_out_of_band_change_timestamp_seconds', ['principal_class']),
        'name',
        '{{ $r.Labels.kind }} {{ $r.Labels.name }}',
        ': '
      )
      + '. Their providers put back what the specs say.',
      a.link('cloud', ['cloud_account', 'principal_class']),
    ),
    a.alert(
      'CrossplaneTrailLate',
      'max by (%s) (\n  %s\n)' % [q.by(['cloud_provider']), q.indented(trailLate(q.exporter, ['cloud_provider', 'trail_source']))],
      "The cloud's audit trail is late.",
      'The audit trail of {{ $labels.cloud_provider }} has been read until {{ $value | humanizeDuration }} ago only'
      + a.looked(a.asked(['cloud_provider'], function(select) 'topk(1, %s)' % std.stripChars(trailLate(select, ['trail_source']), '\n')), 'trail_source', ': source ', '.', '.')
      + ' Likely: no permission to read it, the lookup rate is used up, or its queue is not filled.',
      a.link('cloud'),
    ),
    a.alert(
      'CrossplaneTrailWritesOnly',
      |||
        count by (%(source)s) (%(coverage)s)
        and on (%(cluster)s) sum by (%(cluster)s) (%(throttled)s) > 0
      ||| % {
        source: q.by(['cloud_provider']),
        cluster: q.by([]),
        coverage: q.exporter('platform_cloud_trail_coverage', ['coverage="writes"']),
        throttled: q.exporter('platform_resources_failing', ['error_class="throttled"']),
      },
      'Resources are throttled, and the audit trail has no reads.',
      '{{ $value }} sources of the audit trail of {{ $labels.cloud_provider }} have writes only, while resources are throttled. Most calls are reads: who makes them cannot be seen. S3 or EventBridge have them all.',
      a.link('cloud'),
    ),
  ])
