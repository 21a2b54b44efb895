// The recording rules: prometheusRules.
{
  prometheusRules+:: {
    groups+:
      (import 'unwell.libsonnet')($._config)
      + (import 'resources.libsonnet')($._config)
      + (import 'slo.libsonnet')($._config),
  },
}
