// The alerts: prometheusAlerts.
{
  prometheusAlerts+:: {
    groups+: std.filter(function(group) group.rules != [], [
      (import 'control_plane.libsonnet')($._config),
      (import 'packages.libsonnet')($._config),
      (import 'resources.libsonnet')($._config),
      (import 'drift.libsonnet')($._config),
      (import 'platform.libsonnet')($._config),
      (import 'cloud.libsonnet')($._config),
      (import 'slo.libsonnet')($._config),
      (import 'exporter.libsonnet')($._config),
    ]),
  },
}
