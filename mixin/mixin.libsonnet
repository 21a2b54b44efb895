// The whole mixin. Settings are in config.libsonnet; override them as
//
//   (import 'mixin.libsonnet') + { _config+:: { alerts+: { CrossplaneDriftLoop+: { 'for': '1h' } } } }
(import 'config.libsonnet')
+ (import 'rules/rules.libsonnet')
+ (import 'alerts/alerts.libsonnet')
+ (import 'loki/loki.libsonnet')
+ (import 'dashboards/dashboards.libsonnet')
