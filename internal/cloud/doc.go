// Package cloud reads the audit trails of clouds: who called which API, how it ended, and which managed resource a
// change touched.
//
// A Source finds the records of one trail and hands them, in batches, to a Ledger, which sees to it that each is
// counted once: over duplicates, late and repeated deliveries, and restarts. What is counted is the caller's business.
// An Index finds the managed resources that a record is about.
//
// What is peculiar to a cloud is in a package of its own below this one; this one knows no cloud, no Kubernetes and no
// Prometheus.
package cloud
