// Package awstest has stand-ins for the parts of AWS that the audit trail is read from, which speak the real protocols:
// CloudTrail's LookupEvents, SQS, and STS's AssumeRole. They are for tests, and for trying the exporter without an
// account. S3 has a server of its own in github.com/johannesboyne/gofakes3.
package awstest
