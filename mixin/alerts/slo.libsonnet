// Burn rates of the readiness objective, by kind and by team.
local alert = import '../lib/alert.libsonnet';
local promql = import '../lib/promql.libsonnet';
local unwellOf = import '../lib/unwell.libsonnet';

function(config)
  local a = alert(config);
  local q = promql(config);
  local unwell = unwellOf(config);
  local slo = config.slo;

  // What burns at a level, where there are enough objects and have been since before the long window: in a new kind all are new.
  local burning(level, matchers, burn) =
    |||
      %(ratio)s_avg%(long)s%(matchers)s > %(limit)s
      and %(ratio)s_avg%(short)s > %(limit)s
      and %(counted)s >= %(least)d
      and present_over_time(%(ratio)s[%(long)s] offset %(long)s)
    ||| % burn {
      ratio: level + ':platform_resources_unready:ratio',
      counted: level + ':platform_resources_accountable:count',
      matchers: matchers,
      // As one word, because 1 - 0.99 is not 0.01.
      limit: '%g * (1 - %g)' % [burn.factor, slo.objective],
      least: slo.minObjects,
    };

  local alertOn(name, burn, text) = a.alert(
    name,
    |||
      (
        %s
        or
        %s
      )
      unless on (%s) %s
    ||| % [
      q.indented(burning('kind', '{category=~"%s"}' % std.join('|', slo.categories), burn)),
      q.indented(burning('team', '', burn)),
      q.by([]),
      // The outage is known, and is behind it.
      unwell.anyMost(burn.short),
    ],
    text,
    '{{ $value | humanizePercentage }} of {{ if $labels.kind }}all {{ $labels.kind }}s{{ else }}what team {{ $labels.team }} ordered{{ end }} were not ready in the last %s, on average; %s%% may be. Likely: see what is unwell of it, and since when.'
    % [burn.long, '%g' % ((1000000 - std.round(1000000 * slo.objective)) / 10000)],
    a.link('composites', ['group', 'kind', 'team']),
  );

  a.group('crossplane-slo', [
    alertOn('CrossplaneReadinessBurnFast', slo.fast, 'The readiness objective is being missed quickly.'),
    alertOn('CrossplaneReadinessBurnSlow', slo.slow, 'The readiness objective is being missed slowly.'),
  ])
