// Packages and definitions: what Crossplane needs before anything can be reconciled.
local alert = import '../lib/alert.libsonnet';
local unwellOf = import '../lib/unwell.libsonnet';

function(config)
  local a = alert(config);
  local unwell = unwellOf(config);

  // few says what one object has, many what several of a kind have, likely why.
  local package(name, problem, summary, few, many, likely) = a.alert(
    name,
    unwell.fewOrMany(['problem="%s"' % problem], config.alerts[name].after),
    summary,
    '{{ if $labels.name }}%s since %s.{{ else }}{{ $value }} %s, among them %s.{{ end }} Likely: %s.' % [
      few,
      a.since,
      many,
      a.names(a.query('%s', unwell.cause, ['kind', 'provider'], ['problem="%s"' % problem])),
      likely,
    ],
    a.link('control-plane', ['kind', 'name']),
  );

  a.group('crossplane-packages', [
    package(
      'CrossplanePackageNotInstalled',
      'NotInstalled',
      'A package is not installed.',
      a.named + ' has not been installed',
      '{{ $labels.kind }}s are not installed',
      'the registry or its pull secret, a dependency, or a revision that waits for approval',
    ),
    package(
      'CrossplanePackageNotHealthy',
      'NotHealthy',
      'A package is not healthy.',
      a.named + ' has not been healthy',
      '{{ $labels.kind }}s are not healthy',
      'its revision is not healthy, or Crossplane cannot create its deployment. What it serves is frozen, and may go on saying Ready',
    ),
    package(
      'CrossplanePackageRevisionNotHealthy',
      'RevisionNotHealthy',
      'The active revision of a package is not healthy.',
      a.named + ' has not been healthy',
      '{{ $labels.kind }}s are not healthy',
      'a dependency is missing, or a CRD belongs to another package or cannot be changed',
    ),
    package(
      'CrossplanePackageRuntimeNotHealthy',
      'RuntimeNotHealthy',
      'The process of a package is not healthy.',
      'The deployment of ' + a.named + ' has not been available',
      'deployments of {{ $labels.kind }}s are not available',
      'it crashes, is out of memory, or its image cannot be pulled. What it serves is frozen, and may go on saying Ready',
    ),
    package(
      'CrossplanePackageLockUnresolved',
      'LockUnresolved',
      'Dependencies of packages cannot be resolved.',
      a.named + ' has not been resolved',
      'package locks are not resolved',
      'two packages want versions of a third that exclude each other. Nothing can be installed or updated until then',
    ),
    package(
      'CrossplaneXRDNotEstablished',
      'NotEstablished',
      'A composite resource definition is not established.',
      a.named + ' has not been established',
      '{{ $labels.kind }}s are not established',
      'its schema is not valid, or another object owns the CRD. Composites of it are not reconciled',
    ),
    package(
      'CrossplaneXRDNotOffered',
      'NotOffered',
      'A composite resource definition offers no claim.',
      a.named + ' has not offered a claim',
      '{{ $labels.kind }}s offer no claim',
      'another object owns the CRD of its claims. Claims of it are not reconciled',
    ),
  ])
