// Every setting of the mixin, with the reason for its default.
{
  _config+:: {
    // What picks the series of each program: matchers without braces.
    exporterSelector: 'job="crossplane-exporter"',
    // Crossplane itself: controller-runtime's metrics, functions, circuit breaker.
    crossplaneSelector: 'job="crossplane"',
    // The providers' pods: controller-runtime's metrics, upjet's.
    providerSelector: 'job="crossplane-providers"',

    // Several clusters in one Prometheus, Thanos or Mimir: everything is told apart by this label.
    showMultiCluster: false,
    clusterLabel: 'cluster',

    // Whether histograms are stored as native histograms only, without their classic buckets.
    nativeHistograms: false,

    // The label `team` of an alert is the resource's, as the exporter was told by --team-label. This is the team of alerts that
    // are about the platform, and of resources that are nobody's. Empty for none.
    platformTeam: '',

    // Where the runbooks are served; %s is the alert's name. docs/runbooks has them.
    runbookURLPattern: 'https://example.org/crossplane-exporter/docs/runbooks/%s.md',

    // Where Grafana is, for the links in alerts; without a slash at the end. The dashboards' own settings are in
    // dashboards/config.libsonnet.
    grafanaUrl: 'https://grafana.example.org',

    // An alert goes on firing for that long without being true. A scrape that is missed, or an exporter that restarts, takes its
    // series away for a moment; without this the alert would be resolved and sent again. An alert can have its own: what mutes others
    // in Alertmanager should last longer than they do.
    keepFiringFor: '5m',

    // A resource counts as unwell, in the counts that tell one cause from many, once it has been so for that long. Most of what a
    // new resource meets on its way, such as a reference to what does not exist yet, is over by then.
    unwellAfter: '5m',
    // The same while it has never been ready, by the reason of its Ready condition. An RDS instance or an EKS cluster takes 10
    // to 30 minutes. Composites and claims are Creating, or Waiting, whenever something of theirs is not ready. GitOps objects that
    // fail are Progressing again at each retry, so that theirs ends when CrossplaneGitOpsNotReady would tell of them.
    creatingAfter: '1h',
    creatingReasons: ['Creating', 'Waiting', 'Progressing', 'Issuing'],
    // The same while it is being deleted. Databases and clusters take up to half an hour; what takes longer waits for something.
    deletingAfter: '1h',
    // More than that many with one cause are one alert, without names. Five messages can be read; six are noise.
    many: 5,
    // When many were unwell that recently, or their provider, nothing else is told of those that are left: they get better one by one.
    manyFor: '15m',

    // A resource that is ready is good service. Objects that are being deleted are left out; so are managed resources that are
    // Creating.
    slo: {
      // Share of objects that should be ready.
      objective: 0.99,
      // What the alerts look at: what people ordered. Managed resources are recorded too.
      categories: ['composite', 'claim'],
      // Kinds and teams with fewer objects have no burn alerts: one of ten that is not ready burns ten times the budget, and has
      // an alert of its own.
      minObjects: 20,
      // Google's SRE workbook, multi-window burn rates: 2% of a 30 day budget in an hour, and 10% in three days. The short window
      // makes the alert end soon after the trouble.
      fast: { long: '1h', short: '5m', factor: 14.4 },
      slow: { long: '3d', short: '6h', factor: 1 },
    },

    // The range over which calls of the cloud's API are counted. The audit trail brings them in batches, minutes apart.
    cloudRate: '15m',

    // Whose writes to managed resources nobody has to be told of: principal classes, see docs/metrics.md.
    principalsExpected: ['crossplane', 'aws_service', 'service_linked'],

    // Of each alert: whether it is there, how bad it is (critical pages, warning is a ticket, info is to be looked up, none is for
    // the watchdog), how long it must be true ('for'), and what else decides.
    alerts: std.mapWithKey(function(name, alert) { keepFiringFor: $._config.keepFiringFor } + alert, {
      // ---- Crossplane itself --------------------------------------------------------------------------------------------------
      // A rolling update takes less. A job without targets is down if it answered within `memory`; after that it has been taken away, and
      // CrossplaneMetricsAbsent says so.
      CrossplaneDown: { enabled: true, severity: 'critical', 'for': '5m', memory: '1d' },
      // Everything else about Crossplane itself is silent without these metrics, and Crossplane's chart has them off by default.
      CrossplaneMetricsAbsent: { enabled: true, severity: 'info', 'for': '1h' },
      // These three are about the worst controller of a job. One alert for each job, because an API server that is away fails every
      // controller; which one is the worst, the description says. Conflicts are errors too, and a few per cent of them are normal while
      // composites are edited. What fails is tried again once a minute: up to `many` objects that always do are fewer than perSecond.
      CrossplaneReconcileErrors: { enabled: true, severity: 'warning', 'for': '15m', window: '10m', ratio: 0.1, perSecond: 0.1 },
      // Reconciles are cut off after one to two minutes; half a minute is far from normal and before that. Of fewer than `least` in the
      // window one would decide.
      CrossplaneReconcileSlow: { enabled: true, severity: 'warning', 'for': '15m', window: '10m', quantile: 0.99, seconds: 30, least: 12 },
      // How long an item waits for a worker, on average: what a queue's length means depends on how quickly it is worked off.
      CrossplaneWorkqueueSlow: { enabled: true, severity: 'warning', 'for': '15m', window: '10m', seconds: 30, least: 12 },
      // A function that fails stops every composite that uses it. A few fail during its own update.
      CrossplaneFunctionErrors: { enabled: true, severity: 'warning', 'for': '10m', window: '10m', ratio: 0.05 },
      // Crossplane gives functions 10 to 20 seconds altogether.
      CrossplaneFunctionSlow: { enabled: true, severity: 'warning', 'for': '15m', window: '10m', quantile: 0.99, seconds: 5 },
      // Both as Crossplane's documentation has them.
      CrossplaneCircuitBreakerDropping: { enabled: true, severity: 'warning', 'for': '5m', window: '5m', ratio: 0.2 },
      CrossplaneCircuitBreakerOpening: { enabled: true, severity: 'warning', 'for': '15m', window: '1h', threshold: 6 },

      // ---- Packages and definitions -------------------------------------------------------------------------------------------
      // `after` is the age by the exporter's clock of the status, which neither a restart nor a changing reason moves; 'for' only
      // outlasts a flip. Unpacking a large provider takes a few minutes, and its CRDs as long again.
      CrossplanePackageNotInstalled: { enabled: true, severity: 'warning', 'for': '2m', after: '15m' },
      // Nothing of an unhealthy provider or function is reconciled, and what is frozen goes on saying Ready and Synced. An update takes
      // minutes. Resources that the package serves have no alerts meanwhile, and for `manyFor` after that.
      CrossplanePackageNotHealthy: { enabled: true, severity: 'critical', 'for': '1m', after: '8m' },
      CrossplanePackageRevisionNotHealthy: { enabled: true, severity: 'critical', 'for': '1m', after: '8m' },
      CrossplanePackageRuntimeNotHealthy: { enabled: true, severity: 'critical', 'for': '1m', after: '8m' },
      // What is installed goes on working; nothing can be installed or updated.
      CrossplanePackageLockUnresolved: { enabled: true, severity: 'warning', 'for': '2m', after: '15m' },
      // It takes seconds.
      CrossplaneXRDNotEstablished: { enabled: true, severity: 'critical', 'for': '2m', after: '10m' },
      CrossplaneXRDNotOffered: { enabled: true, severity: 'warning', 'for': '2m', after: '10m' },

      // ---- Managed resources, composites and claims ----------------------------------------------------------------------------
      // unwellAfter and creatingAfter hold here, too.
      CrossplaneManagedResourceNotReady: { enabled: true, severity: 'warning', 'for': '2m', after: '15m' },
      // A provider tries again within a minute or two, with backoff; after a quarter of an hour it does not mend itself.
      CrossplaneManagedResourceNotSynced: { enabled: true, severity: 'warning', 'for': '2m', after: '15m' },
      // They take over from the two above where more than `many` have one cause.
      CrossplaneManyResourcesNotReady: { enabled: true, severity: 'warning', 'for': '5m' },
      // What is throttled waits for `throttledFor`: 40 minutes are what CrossplaneCloudThrottled needs to see why, 15 minutes after CloudTrail has
      // brought the calls of 15 minutes, up to 10 minutes late.
      CrossplaneResourcesFailing: { enabled: true, severity: 'warning', 'for': '5m', throttledFor: '40m' },
      // It takes over from everything about single resources and kinds. More than `count` is no handful of mistakes. Yet in a fleet of
      // thousands that many are always broken, and of nobody's fault today: so it is an outage only if it is more than `share` of what the
      // same provider has, of all its configurations. More than `always` are one in the largest fleet, where `share` would be one account
      // of many. What is throttled does not count: it gets there later, and CrossplaneResourcesFailing tells of it.
      CrossplaneManyResourcesUnwell: { enabled: true, severity: 'critical', 'for': '5m', count: 20, share: 0.05, always: 200, keepFiringFor: '10m' },
      // These are about composites and claims whose own resources are well: the function, the composition or the binding.
      CrossplaneCompositeNotReady: { enabled: true, severity: 'warning', 'for': '5m', after: '15m' },
      CrossplaneCompositeNotSynced: { enabled: true, severity: 'warning', 'for': '5m', after: '15m' },
      CrossplaneClaimNotReady: { enabled: true, severity: 'warning', 'for': '5m', after: '15m' },
      CrossplaneClaimNotSynced: { enabled: true, severity: 'warning', 'for': '5m', after: '15m' },
      // Nobody has ever said whether it is ready: no controller is there. A provider that starts deals with its queue first.
      CrossplaneResourceNotReconciled: { enabled: true, severity: 'warning', 'for': '5m', after: '30m' },
      // Each time it fails and mends itself within minutes no other alert sees it. Updates make a resource unready once or twice.
      CrossplaneResourceFlapping: { enabled: true, severity: 'warning', 'for': '5m', window: '1h', threshold: 4 },
      // The create call itself takes less; from then on only a person can help.
      CrossplaneResourceCreateIncomplete: { enabled: true, severity: 'warning', 'for': '2m', after: '15m' },
      // deletingAfter is when it counts.
      CrossplaneResourceDeletionStuck: { enabled: true, severity: 'warning', 'for': '5m' },
      // Paused for an incident, and forgotten: at least `share` of the time of a day.
      CrossplaneResourcePausedTooLong: { enabled: true, severity: 'info', 'for': '5m', window: '1d', share: 0.9 },
      // The slowest tenth takes twice as long as in the week before. What is done within a minute varies more than that, and
      // fewer than `minNow` or `minBefore` are no statistics.
      CrossplaneProvisioningSlow: {
        enabled: true,
        severity: 'warning',
        'for': '15m',
        quantile: 0.9,
        window: '6h',
        history: '7d',
        factor: 2,
        seconds: 60,
        minNow: 3,
        minBefore: 10,
      },

      // ---- Drift --------------------------------------------------------------------------------------------------------------
      // Once an hour, all day, is more than people do.
      CrossplaneDriftFrequent: { enabled: true, severity: 'warning', 'for': '5m', window: '6h', threshold: 6 },
      // The exporter says so after six corrections at even intervals; while it lasts, each one is a write to the cloud.
      CrossplaneDriftLoop: { enabled: true, severity: 'warning', 'for': '15m' },
      // Put back on at least three occasions in three days, and not like clockwork: somebody needs another value.
      CrossplaneDriftByHand: { enabled: true, severity: 'info', 'for': '5m', window: '3d', threshold: 2 },
      // Once is enough: Git does not have it, and the next apply takes it away.
      CrossplaneSpecChangedOutsideGitOps: { enabled: true, severity: 'info', 'for': '0m', window: '1h' },

      // ---- What Crossplane works with -----------------------------------------------------------------------------------------
      // A Kustomization or a HelmRelease that is being rolled out is Unknown, and fails after its timeout, 5 to 10 minutes as a rule.
      CrossplaneGitOpsNotReady: { enabled: true, severity: 'warning', 'for': '5m', after: '15m' },
      // ACME takes minutes, a DNS challenge up to half an hour.
      CrossplanePlatformObjectNotReady: { enabled: true, severity: 'warning', 'for': '5m', after: '30m' },

      // ---- The cloud's API -----------------------------------------------------------------------------------------------------
      // The SDK retries a throttled call and most succeed; one in twenty slows reconciling down.
      CrossplaneCloudThrottled: { enabled: true, severity: 'warning', 'for': '15m', ratio: 0.05 },
      // Crossplane is throttled, and makes less than half of the calls.
      CrossplaneCloudQuotaEatenByOthers: { enabled: true, severity: 'warning', 'for': '15m', ratio: 0.05, share: 0.5 },
      // Single denials come from optional calls that providers make and do without.
      CrossplaneCloudDenied: { enabled: true, severity: 'warning', 'for': '10m', window: '15m', threshold: 5 },
      // Someone has the provider's credentials, or an engineer uses its role. Either has to be known.
      CrossplaneProviderRoleMisused: { enabled: true, severity: 'warning', 'for': '0m', window: '15m' },
      CrossplaneCloudChangedOutside: { enabled: true, severity: 'info', 'for': '0m', window: '15m' },
      // CloudTrail promises 15 minutes, and usually takes 5. A queue that nobody fills is not late by that: its source is `silent` if its
      // newest call has been the same for so long. Where it has reads, Crossplane's own come every ten minutes, day and night; six hours
      // are a provider's outage, too. Where it has writes only, a quiet weekend looks the same, so that nothing is said.
      CrossplaneTrailLate: { enabled: true, severity: 'warning', 'for': '10m', after: '30m', silent: '6h' },
      // Only while resources are throttled: it is then that the reads are missed.
      CrossplaneTrailWritesOnly: { enabled: true, severity: 'info', 'for': '30m' },

      // ---- Readiness SLO, see slo ------------------------------------------------------------------------------------------------
      CrossplaneReadinessBurnFast: { enabled: true, severity: 'critical', 'for': '2m' },
      CrossplaneReadinessBurnSlow: { enabled: true, severity: 'warning', 'for': '15m' },

      // ---- The exporter ------------------------------------------------------------------------------------------------------------
      // Without it all the others are silent. A node that goes and a new pod take a few minutes.
      // With several clusters those are known that have a target, or had one that answered within `memory`.
      CrossplaneExporterAbsent: { enabled: true, severity: 'critical', 'for': '10m', keepFiringFor: '10m', memory: '1d' },
      // The same of a part of the kinds.
      CrossplaneExporterShardDown: { enabled: true, severity: 'critical', 'for': '10m' },
      CrossplaneExporterCollectorDown: { enabled: true, severity: 'warning', 'for': '15m' },
      // A webhook that is updated is away for a minute or two.
      CrossplaneExporterKindUnreadable: { enabled: true, severity: 'warning', 'for': '15m' },
      // A watch hears something every minute, if only a bookmark, and is opened anew every 5 to 10.
      CrossplaneExporterStale: { enabled: true, severity: 'warning', 'for': '5m', after: '15m' },
      CrossplaneExporterSeriesDropped: { enabled: true, severity: 'warning', 'for': '5m', window: '10m' },
      CrossplaneExporterDecodeErrors: { enabled: true, severity: 'info', 'for': '5m', window: '1h' },
      // One conflict does not matter; the checkpoint is written again with the next news.
      CrossplaneExporterCheckpointFailing: { enabled: true, severity: 'warning', 'for': '5m', window: '15m', threshold: 2 },
      // Always fires: who hears nothing of it has lost the way from Prometheus to people. Its severity is that of kube-prometheus' own, which
      // has a rule that mutes every info without a namespace, and would stop it.
      CrossplaneWatchdog: { enabled: true, severity: 'none', 'for': '0m' },
    }),

    // Rules for Loki's ruler, on the logs of Crossplane and its providers: who has Loki loads them. loki.selector in
    // dashboards/config.libsonnet says which streams they are.
    lokiRules: {
      // What log streams are told apart by: labels that they have.
      by: ['namespace', 'pod'],
      alerts: {
        // Each failed reconcile is a line, and is tried again with backoff; one line a second is an outage or a loop. Crossplane and its
        // providers throw these lines away unless they run with --debug, so that this one needs it; CrossplaneReconcileErrors does not.
        CrossplaneLogReconcileErrors: { enabled: true, severity: 'warning', 'for': '15m', window: '5m', perSecond: 1 },
        // Once is enough: the process has lost what it was doing.
        CrossplaneLogPanic: { enabled: true, severity: 'warning', 'for': '0m', window: '10m' },
      },
    },
  },
}
