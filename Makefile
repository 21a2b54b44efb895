# Bare `make` prints the targets: what stands after ## beside each. Everything is built from Go modules, into bin/; needed are
# Go 1.26 or newer, git, make and, for the race detector, a C compiler.

GO ?= go
# Modules that are tested and checked; the root is the product.
MODULES := . mixin/tests deploy/alertmanager/operator playground tools tools/image
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X github.com/prometheus/common/version.Version=$(VERSION)
# The container image, with its registry where it is pushed: make image IMAGE=... PUSH=yes
IMAGE ?= crossplane-exporter
# How long each fuzz test runs.
FUZZTIME ?= 30s

# One go.mod at a time: a go.work of yours, above or beside, must not change what is built.
export GOWORK := off

.DEFAULT_GOAL := help

.PHONY: help
help: ## print this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s  %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build ## start a control plane full of resources and the exporter on it; KUBECONFIG=FILE: on a cluster of yours
	@test -e bin/playground || echo "building the playground (a minute or two the first time)"
	@$(GO) -C playground build -o ../bin/playground .
	@exec bin/playground -exporter bin/crossplane-exporter $(run-on)
# Only as `make run KUBECONFIG=...`: an exported variable must not take anybody to a real cluster by surprise.
run-on = $(if $(filter command line,$(origin KUBECONFIG)),-kubeconfig '$(KUBECONFIG)')

.PHONY: build
build: ## build the exporter: bin/crossplane-exporter
	@test -e bin/crossplane-exporter || echo "building the exporter (a minute or two the first time)"
	@$(GO) build -ldflags '$(LDFLAGS)' -o bin/crossplane-exporter ./cmd/crossplane-exporter

.PHONY: image
image: ## build the container image into dist/, for amd64 and arm64, with its bill of materials; PUSH=yes: push it to IMAGE
	@$(GO) -C tools/image run . -name '$(IMAGE)' -version '$(VERSION)' -ldflags '$(LDFLAGS)' $(if $(filter yes,$(PUSH)),-push) $(CURDIR)/dist

.PHONY: chart
chart: ## package the Helm chart into dist/, of a version such as VERSION=v1.2.3
	@$(GO) -C tools run . helm
	@bin/helm package deploy/helm/crossplane-exporter --version '$(VERSION:v%=%)' --app-version '$(VERSION)' --destination dist

.PHONY: mixin
mixin: ## format mixin/, and render alerts/ and dashboards/ from it
	@$(GO) -C mixin/tests tool jsonnetfmt -i $$(find mixin -name '*sonnet' -exec printf '../../%s ' {} +)
	@$(GO) build -o bin/crossplane-mixin ./cmd/crossplane-mixin
	@bin/crossplane-mixin rules --output alerts
	@for format in plain operator loki; do bin/crossplane-mixin alerts --format $$format --output alerts || exit 1; done
	@for format in plain configmap; do bin/crossplane-mixin dashboards --format $$format --output dashboards || exit 1; done

.PHONY: test
test: ## run all tests with the race detector, on a real kube-apiserver and real providers
	@$(GO) -C tools run . etcd kube-apiserver provider-kubernetes provider-nop crossplane prometheus promtool \
	  kube-controller-manager kubectl alertmanager helm kustomize kubeconform kube-score
	@$(MAKE) --no-print-directory -j2 $(MODULES:%=test/%)

.PHONY: $(MODULES:%=test/%)
$(MODULES:%=test/%):
	$(GO) -C $(@:test/%=%) test -race -timeout 30m ./...

.PHONY: check
check: ## check format, lint, vet and go.mod of every module
	@$(GO) -C tools run . golangci-lint
	@$(MAKE) --no-print-directory $(MODULES:%=check/%)
	$(GO) -C mixin/tests test -run '^(TestFormatted|TestRendered)' . # what make mixin makes

# The files of a module alone, for the linter's formatter goes into modules below, whose imports are other modules'.
sources = $(foreach f,GoFiles TestGoFiles XTestGoFiles IgnoredGoFiles,{{range .$(f)}}{{$$.Dir}}/{{.}} {{end}})

.PHONY: $(MODULES:%=check/%)
$(MODULES:%=check/%): lint = $(CURDIR)/bin/golangci-lint
$(MODULES:%=check/%):
	cd $(@:check/%=%) && $(lint) fmt --diff $$($(GO) list -f '$(sources)' ./...) && $(GO) vet ./... && $(lint) run --allow-parallel-runners ./... && $(GO) mod tidy -diff

# Managed resources of the fleets that are measured, one after the other.
OBJECTS ?= 10000,100000

.PHONY: bench
bench: ## measure: benchmarks of the hot path, and the exporter beside kube-state-metrics (takes 20 minutes)
	$(GO) test -run '^$$' -bench . -benchmem ./collector ./internal/...
	@$(GO) -C tools run . etcd kube-apiserver kube-state-metrics
	$(GO) -C playground run ./bench -objects $(OBJECTS)

.PHONY: fuzz
fuzz: ## run every fuzz test for FUZZTIME (30s)
	@for package in $$($(GO) list ./...); do \
	  for test in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz'); do \
	    echo "$$package $$test"; \
	    $(GO) test -run '^$$' -fuzz "^$$test\$$" -fuzztime $(FUZZTIME) $$package || exit 1; \
	  done; \
	done

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist
