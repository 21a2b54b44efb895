package aws

import (
	"strings"

	"crossplane-exporter/internal/cloud"
)

// Identify says how CloudTrail would name a managed resource, and whether it is one of AWS at all.
func Identify(m cloud.Managed) (cloud.Identity, bool) {
	scope, ok := groupScope(m.Group)
	if !ok {
		return cloud.Identity{}, false
	}
	kind := m.Kind
	if k, ok := kinds[scope+":"+kind]; ok {
		kind = k
	}
	id := cloud.Identity{Service: scope, Kind: kind, Account: m.Account, Region: m.Region}
	seen := map[string]bool{}
	add := func(value string) {
		for f := range forms(value) {
			if len(f.ID) >= minID && len(f.ID) <= maxID && !seen[f.ID] {
				seen[f.ID] = true
				id.IDs = append(id.IDs, f.ID)
			}
		}
	}
	for _, value := range append([]string{m.ExternalName}, m.IDs...) {
		add(value)
		if f := strings.SplitN(value, ":", 6); len(f) == 6 && f[0] == "arn" && f[4] != "" {
			id.Account = f[4]
		}
	}
	if global[scope] {
		id.Region = ""
	}
	return id, true
}

// Scope is the name under which calls to a service (cloud.Record.Service) and managed resources meet. API groups have
// no dashes where CloudTrail has some; some services have several names in CloudTrail, and some names several services.
func Scope(service string) string {
	service = strings.ReplaceAll(service, "-", "")
	if s, ok := scopes[service]; ok {
		return s
	}
	return service
}

// groupScope is the scope of an API group: the word before aws, as in elbv2.aws.upbound.io, elbv2.aws.m.upbound.io,
// elbv2.aws.crossplane.io and elbv2.aws.jet.crossplane.io.
func groupScope(group string) (string, bool) {
	service, _, ok := strings.Cut(group, ".aws.")
	if !ok || service == "" || strings.Contains(service, ".") {
		return "", false
	}
	return Scope(service), true
}

// scopes are the services whose API group and eventSource differ by more than dashes, or that share one.
var scopes = map[string]string{
	"amp":                     "aps",
	"apigatewayv2":            "apigateway",
	"appautoscaling":          "autoscaling",
	"applicationautoscaling":  "autoscaling",
	"autoscalingplans":        "autoscaling",
	"cache":                   "elasticache",
	"cloudcontrol":            "cloudcontrolapi",
	"cloudwatch":              "monitoring",
	"cloudwatchevents":        "events",
	"cloudwatchlogs":          "logs",
	"codedeploy":              "deploy",
	"cognitoidentityprovider": "cognitoidp",
	"config":                  "configservice",
	"database":                "rds",
	"docdb":                   "rds",
	"efs":                     "elasticfilesystem",
	"elasticsearch":           "es",
	"elb":                     "elasticloadbalancing",
	"elbv2":                   "elasticloadbalancing",
	"email":                   "ses",
	"emr":                     "elasticmapreduce",
	"eventbridge":             "events",
	"identity":                "iam",
	"keyspaces":               "cassandra",
	"kinesisanalyticsv2":      "kinesisanalytics",
	"lexmodels":               "lex",
	"location":                "geo",
	"models.lex":              "lex",
	"mq":                      "amazonmq",
	"mwaa":                    "airflow",
	"neptune":                 "rds",
	"opensearch":              "es",
	"opensearchserverless":    "aoss",
	"opensearchservice":       "es",
	"pinpoint":                "mobiletargeting",
	"prometheusservice":       "aps",
	"s3control":               "s3",
	"s3express":               "s3",
	"sesv2":                   "ses",
	"sfn":                     "states",
	"simpledb":                "sdb",
	"ssoadmin":                "sso",
	"timestreamwrite":         "timestream",
	"vpc":                     "ec2",
}

// kinds are those that AWS has another word for.
var kinds = map[string]string{
	"ec2:AMI":                             "Image",
	"ec2:EBSSnapshot":                     "Snapshot",
	"ec2:EBSVolume":                       "Volume",
	"ec2:EIP":                             "Address",
	"elasticloadbalancing:ELB":            "LoadBalancer",
	"elasticloadbalancing:LB":             "LoadBalancer",
	"elasticloadbalancing:LBListener":     "Listener",
	"elasticloadbalancing:LBListenerRule": "Rule",
	"elasticloadbalancing:LBTargetGroup":  "TargetGroup",
	"logs:Group":                          "LogGroup",
	"logs:Stream":                         "LogStream",
	"monitoring:MetricAlarm":              "Alarm",
	"rds:RDSInstance":                     "DBInstance",
}

// global are the scopes without regions: CloudTrail has their events in us-east-1, or where a bucket is.
var global = map[string]bool{
	"account": true, "budgets": true, "ce": true, "cloudfront": true, "globalaccelerator": true, "iam": true, "networkmanager": true,
	"organizations": true, "route53": true, "s3": true, "shield": true, "sts": true, "waf": true,
}
