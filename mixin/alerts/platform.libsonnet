// What Crossplane works with: GitOps, secrets, certificates, gateways, policies.
local alert = import '../lib/alert.libsonnet';
local unwellOf = import '../lib/unwell.libsonnet';

function(config)
  local a = alert(config);
  local unwell = unwellOf(config);

  local object(name, categories, summary, likely) = a.alert(
    name,
    unwell.fewOrMany(['category=~"%s"' % categories, 'problem="NotReady"'], config.alerts[name].after),
    summary,
    '{{ if $labels.name }}' + a.named + a.ofTeam + ' is not well since ' + a.since + '.'
    + a.looked(a.query('%s', 'platform_resource_condition_reason', a.object, ['condition=~"Ready|Healthy|Accepted|Programmed"']), 'reason', ' Reason: ', '.')
    + '{{ else }}{{ $value }} {{ $labels.kind }}s are not well, among them '
    + a.names(a.query('%s', unwell.cause, ['category', 'group', 'kind', 'provider_config'], ['problem="NotReady"']))
    + '.{{ end }} Likely: ' + likely + '.',
    a.link('resources', a.object + ['team']),
  );

  a.group('crossplane-platform', [
    object(
      'CrossplaneGitOpsNotReady',
      'gitops',
      'A GitOps object is not well.',
      'what it applies is refused or does not get healthy, or its source cannot be fetched. Changes to specs do not arrive',
    ),
    object(
      'CrossplanePlatformObjectNotReady',
      'secret|certificate|policy|gateway',
      'A secret, certificate, policy or gateway is not ready.',
      'its store, issuer or controller refuses; the condition has the message',
    ),
  ])
