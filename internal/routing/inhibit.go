package routing

// Watchdog is the alert that always fires.
const Watchdog = "CrossplaneWatchdog"

// An Inhibition says that alerts are caused by another one, and need not be told of while that fires.
//
// What the rules themselves know of cause and effect needs none: a package and its revision, a provider's package and the resources that
// it serves, a composite and what it is made of, many resources and each of them. And where labels do not say that two alerts belong together, there is none: a message too many is better
// than one too few.
type Inhibition struct {
	Why string
	// Cause and Effect are matchers.
	Cause, Effect []string
	// Equal are the labels that have to be the same. Alertmanager takes two that are both missing for equal: where that would mute
	// what has nothing to do with the cause, Effect asks for the label.
	Equal []string
}

// Inhibitions are those that the shipped alerts need.
func Inhibitions() []Inhibition {
	return []Inhibition{
		{
			// But for what is critical. It ends meanwhile, because nothing says any longer that it is so, and Alertmanager would never tell
			// the pager: the page would stay open for ever.
			Why:   "While the exporter is away, what it said last is neither true nor over. Pages are told to be over, so that none stays open.",
			Cause: []string{`alertname="CrossplaneExporterAbsent"`},
			Effect: []string{
				`alertname=~"Crossplane.+"`,
				`alertname!~"Crossplane(Watchdog|Down|MetricsAbsent|Reconcile.+|Workqueue.+|Function.+|CircuitBreaker.+|Log.+)"`,
				`severity!="critical"`,
			},
			Equal: []string{"cluster"},
		},
		{
			Why:    "Crossplane itself makes packages, definitions, composites and claims what they should be.",
			Cause:  []string{`alertname="CrossplaneDown"`},
			Effect: []string{`alertname=~"Crossplane(Package|XRD|Composite|Claim|Readiness).+"`},
			Equal:  []string{"cluster"},
		},
		{
			Why:    "While dependencies cannot be resolved, nothing is installed.",
			Cause:  []string{`alertname="CrossplanePackageLockUnresolved"`},
			Effect: []string{`alertname="CrossplanePackageNotInstalled"`},
			Equal:  []string{"cluster"},
		},
		{
			Why:    "Fewer resources with the same trouble were told of before there were that many.",
			Cause:  []string{`alertname="CrossplaneManyResourcesUnwell"`},
			Effect: []string{`alertname=~"Crossplane(ManyResourcesNotReady|ResourcesFailing|ManagedResource.+)"`, `domain!=""`},
			Equal:  []string{"cluster", "category", "domain", "provider_config"},
		},
		{
			Why:    "Throttled calls make resources fail.",
			Cause:  []string{`alertname=~"CrossplaneCloud(Throttled|QuotaEatenByOthers)"`, `cloud_provider="aws"`},
			Effect: []string{`alertname="CrossplaneResourcesFailing"`, `error_class="throttled"`, `domain=~"aws[.].+"`},
			Equal:  []string{"cluster"},
		},
		{
			Why:    "And what is throttled flaps, and takes longer.",
			Cause:  []string{`alertname="CrossplaneResourcesFailing"`, `error_class="throttled"`},
			Effect: []string{`alertname=~"Crossplane(ResourceFlapping|ProvisioningSlow)"`, `domain!=""`},
			Equal:  []string{"cluster", "category", "domain"},
		},
		{
			Why:    "A trail that cannot be read is late.",
			Cause:  []string{`alertname="CrossplaneExporterCollectorDown"`, `collector="cloudtrail"`},
			Effect: []string{`alertname="CrossplaneTrailLate"`},
			Equal:  []string{"cluster"},
		},
		{
			Why:    "What is missed quickly is missed slowly, too.",
			Cause:  []string{`alertname="CrossplaneReadinessBurnFast"`},
			Effect: []string{`alertname="CrossplaneReadinessBurnSlow"`},
			Equal:  []string{"cluster", "category", "group", "kind", "team"},
		},
	}
}
