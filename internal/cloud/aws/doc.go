// Package aws reads CloudTrail: through the LookupEvents API, from the log files that a trail delivers to S3, from
// events that EventBridge puts into a queue, and from a directory of log files.
package aws
