#!/bin/sh
# Prints values for the chart that let the exporter read the API groups that are installed, by name, instead of whatever Crossplane's
# RBAC manager lets people view. Run it again when a provider or a definition of another group is installed.
#
#   deploy/rbac-groups.sh > rbac.yaml
#   helm upgrade --install ... --values rbac.yaml
#
# KUBECTL_FLAGS, such as --context=production, are passed on to kubectl.
set -eu

groups=$(
  # shellcheck disable=SC2086,SC2016 # because they are several words, and go-template has variables of its own
  kubectl ${KUBECTL_FLAGS-} get customresourcedefinitions --output go-template='
    {{- range .items }}
      {{- $group := .spec.group }}
      {{- range .spec.names.categories }}
        {{- if or (eq . "managed") (eq . "composite") (eq . "claim") }}{{ $group }}{{ "\n" }}{{ end }}
      {{- end }}
      {{- if or (eq .spec.names.kind "ProviderConfig") (eq .spec.names.kind "ClusterProviderConfig") }}{{ $group }}{{ "\n" }}{{ end }}
    {{- end }}'
)
if [ -z "$groups" ]; then
  echo "rbac-groups.sh: no managed resource, composite or claim is defined in this cluster: is it the right one?" >&2
  exit 1
fi
echo "rbac:"
echo "  aggregate: false"
echo "  groups:"
echo "$groups" | sort -u | sed 's/^/    - /'
