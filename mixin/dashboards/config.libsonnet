// Settings of the dashboards alone. What rules and alerts need too stands in ../config.libsonnet.
{
  _config+:: {
    dashboards: {
      // A uid that changes breaks bookmarks and the links of alerts.
      uids: {
        overview: 'crossplane-overview',
        resources: 'crossplane-resources',
        composites: 'crossplane-composites',
        drift: 'crossplane-drift',
        cloud: 'crossplane-cloud',
        'control-plane': 'crossplane-control-plane',
        exporter: 'crossplane-exporter',
      },
      titlePrefix: 'Crossplane / ',
      // The drop-down at the top of each dashboard lists those that have all of these.
      tags: ['crossplane-mixin'],
      linkTitle: 'Crossplane',
      refresh: '1m',
      // The time range that a dashboard opens with.
      from: 'now-6h',
      timezone: 'browser',
      // Which Prometheus: 'default', or a name; the regular expression leaves out others from the choice.
      datasource: 'default',
      datasourceRegex: '',
      // The label that tells processes apart.
      processLabel: 'pod',
      // Rows of tables of the worst.
      worst: 25,
      // Rows of all other tables of objects: more of them make a browser slow.
      rows: 500,
      // How many objects may be chosen for what is shown of single ones.
      chosen: 20,
      // Series of charts that show the highest only.
      top: 10,

      // From when on a value turns orange, and red.
      thresholds: {
        // The share of objects that are ready.
        readyRatio: { warning: 0.99, critical: 0.95 },
        // Since when something is not as it should be, in seconds. What is created takes its time.
        unwellSeconds: { warning: 30 * 60, critical: 24 * 60 * 60 },
        // Since when something is to be deleted, in seconds.
        deletingSeconds: { warning: 60 * 60, critical: 24 * 60 * 60 },
        // How often providers put the world back, in a day.
        correctionsADay: { warning: 1, critical: 100 },
        // The share of cloud API calls that are throttled, and that fail.
        throttledRatio: { warning: 0.01, critical: 0.05 },
        failedRatio: { warning: 0.05, critical: 0.2 },
        // How late the audit trail is, in seconds. CloudTrail itself takes up to a quarter of an hour.
        trailDelaySeconds: { warning: 30 * 60, critical: 60 * 60 },
        // The share of reconciles that fail.
        reconcileErrorRatio: { warning: 0.05, critical: 0.2 },
        // How old what the exporter says may be, in seconds.
        staleSeconds: { warning: 5 * 60, critical: 15 * 60 },
      },
    },

    // Logs on the dashboard of the control plane.
    loki: {
      enabled: false,
      datasource: 'default',
      datasourceRegex: '',
      // The log streams of Crossplane and its providers: matchers without braces.
      selector: 'namespace="crossplane-system"',
      // What of them to show.
      filter: '|~ "(?i)error|warn|panic"',
    },
  },
}
