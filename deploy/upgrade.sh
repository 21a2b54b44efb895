#!/bin/sh
# Installs or upgrades a release of the chart. While the old version still serves, it looks whether the new one becomes ready and sees as
# much; if not, the release goes back to what it was, and the old version has served all the time. It can be run again at any
# moment, also after it was interrupted.
#
#   deploy/upgrade.sh RELEASE NAMESPACE CHART [flags of helm upgrade...]
#
# It needs helm, kubectl and curl, and the right to port-forward to the exporter's pods. Exit status: 0 the new version serves; 1 it
# does not, and everything is as before; 2 it does not, and nor could the old one be brought back.
#
#   TIMEOUT=5m          how long the new version may take until it is ready
#   SETTLE=60           how many seconds it may take from then until it sees as much as the old one
#   TOLERANCE=5         how many objects in a hundred may be missing, because some come and go
#   EXPECT_LESS=yes     the new version is meant to see less: all it has to be is ready
#   KUBE_CONTEXT=NAME   of the kubeconfig
#   SCHEME=https        and CURL_FLAGS="--user NAME:PASSWORD": for an exporter with basic auth
set -eu

if [ $# -lt 3 ]; then
  sed -n 's/^# \{0,1\}//; 2,/^set -eu/p' "$0" | sed '$d' >&2
  exit 2
fi
release=$1 namespace=$2 chart=$3
shift 3
: "${TIMEOUT:=5m}" "${SETTLE:=60}" "${TOLERANCE:=5}"
selector=app.kubernetes.io/name=crossplane-exporter,app.kubernetes.io/instance=$release

scratch=$(mktemp -d)
forward=
finish() {
  [ -z "$forward" ] || kill "$forward" 2>/dev/null || true
  rm -rf "$scratch"
}
trap finish EXIT
trap 'say "interrupted: run it again, and it goes on from where the release is"; exit 2' INT TERM

say() { echo "upgrade.sh: $*" >&2; }
run_helm() { helm ${KUBE_CONTEXT:+--kube-context "$KUBE_CONTEXT"} --namespace "$namespace" "$@"; }
run_kubectl() { kubectl ${KUBE_CONTEXT:+--context "$KUBE_CONTEXT"} --namespace "$namespace" "$@"; }

# The newest pod of each workload that is ready and not about to go.
# shellcheck disable=SC2016 # because go-template has variables of its own
serving() {
  run_kubectl get pods --selector "$selector" --output go-template='
    {{- range .items }}
      {{- if not .metadata.deletionTimestamp }}
        {{- $pod := .metadata }}
        {{- range .status.conditions }}
          {{- if and (eq .type "Ready") (eq .status "True") }}
            {{- or (index $pod.labels "app.kubernetes.io/component") "-" }} {{ $pod.creationTimestamp }} {{ $pod.name }}{{ "\n" }}
          {{- end }}
        {{- end }}
      {{- end }}
    {{- end }}' | sort | awk '{ newest[$1] = $3 } END { for (workload in newest) print newest[workload] }'
}

# fetch POD PATH: what the pod's exporter serves there.
fetch() {
  scheme=${SCHEME-$(run_kubectl get pod "$1" --output jsonpath='{.spec.containers[0].readinessProbe.httpGet.scheme}')}
  : >"$scratch/forward"
  run_kubectl port-forward "pod/$1" :9948 >"$scratch/forward" 2>&1 &
  forward=$!
  port='' waited=0
  while [ -z "$port" ]; do
    port=$(sed -n 's/^Forwarding from 127\.0\.0\.1:\([0-9]*\) .*/\1/p' "$scratch/forward" | head -n 1)
    if [ -z "$port" ] && { [ $waited -ge 150 ] || ! kill -0 $forward 2>/dev/null; }; then
      say "kubectl port-forward to pod $1: $(cat "$scratch/forward")"
      kill $forward 2>/dev/null || true
      forward=
      return 1
    fi
    [ -n "$port" ] || sleep 0.1
    waited=$((waited + 1))
  done
  status=0
  # The certificate is not one of the loopback address. CURL_FLAGS are several words.
  # shellcheck disable=SC2086
  case $scheme in
  HTTPS | https) curl --silent --show-error --fail --max-time 30 --insecure ${CURL_FLAGS-} "https://127.0.0.1:$port$2" || status=$? ;;
  *) curl --silent --show-error --fail --max-time 30 ${CURL_FLAGS-} "http://127.0.0.1:$port$2" || status=$? ;;
  esac
  kill $forward 2>/dev/null || true
  wait $forward 2>/dev/null || true
  forward=
  return $status
}

# What the workloads' newest pods see together, as "KINDS OBJECTS". It fails if there are none, or one is not ready by its own word.
measure() {
  pods=$(serving) || return 1
  [ -n "$pods" ] || return 1
  : >"$scratch/metrics"
  for pod in $pods; do
    fetch "$pod" /-/ready >/dev/null || return 1
    fetch "$pod" /metrics >>"$scratch/metrics" || return 1
  done
  awk '
    /^crossplane_exporter_kinds_watched / { kinds += $NF }
    /^crossplane_exporter_kind_unreadable[{]/ { kinds-- }
    /^platform_resources[{]/ { objects += $NF }
    END { printf "%d %d\n", kinds, objects }' "$scratch/metrics"
}

words() { echo "${1% *} readable kinds, ${1#* } objects"; }

# Whether $2 is as good as $1.
as_good() {
  [ -z "${EXPECT_LESS-}" ] || return 0
  [ "${2% *}" -ge "${1% *}" ] && [ $((${2#* } * 100)) -ge $((${1#* } * (100 - TOLERANCE))) ]
}

# Waits until the old pods are gone.
rolled_out() {
  for workload in $(run_kubectl get deployments,statefulsets --selector "$selector" --output name); do
    run_kubectl rollout status "$workload" --timeout "$TIMEOUT" >/dev/null || return 1
  done
}

# Says what is the matter with pods that are not ready.
# shellcheck disable=SC2016 # because go-template has variables of its own
diagnose() {
  run_kubectl get pods --selector "$selector" --output go-template='
    {{- range .items }}
      {{- $name := .metadata.name }}
      {{- range .status.containerStatuses }}
        {{- if not .ready }}
          {{- $name }} {{ with .state.waiting }}{{ .reason }}: {{ .message }}{{ else }}is not ready{{ end }}{{ "\n" }}
        {{- end }}
      {{- end }}
    {{- end }}' | while read -r pod why; do
    say "pod $pod: $why"
    run_kubectl logs "$pod" --tail=10 2>/dev/null | sed 's/^/    /' >&2 || true
  done
}

# The last revision that worked, nothing if none ever did.
deployed() { run_helm history "$release" 2>/dev/null | awk -F '\t' '$3 ~ /^deployed/ { print $1 + 0 }' | tail -n 1; }

# Goes back to the revision $1, or to nothing.
back() {
  if [ -z "$1" ]; then
    run_helm uninstall "$release" --wait --timeout "$TIMEOUT" >/dev/null
    return
  fi
  run_helm rollback "$release" "$1" --wait --timeout "$TIMEOUT" >/dev/null && rolled_out
}

give_up() {
  say "$1"
  if ! back "$revision"; then
    say "and revision ${revision:-of before} could not be brought back: helm --namespace $namespace history $release"
    exit 2
  fi
  if [ -z "$revision" ]; then
    say "nothing was installed before, and nothing is now"
  elif now=$(measure); then
    say "back to revision $revision: $(words "$now")"
  else
    say "back to revision $revision, which is not ready, as before"
    [ -z "$before" ] || exit 2
  fi
  exit 1
}

# An earlier run, or somebody's helm, was interrupted.
case $(run_helm status "$release" 2>/dev/null | sed -n 's/^STATUS: //p') in
pending-*)
  revision=$(deployed)
  say "an earlier change was not finished: back to ${revision:+revision }${revision:-nothing}"
  back "$revision"
  ;;
esac

revision=$(deployed)
before=
if [ -n "$revision" ]; then
  if before=$(measure); then
    say "before, revision $revision: $(words "$before")"
  else
    say "before, revision $revision: no exporter is ready, so that there is nothing to compare with"
  fi
fi

# upgrade [FLAGS...]: what the release is to be.
upgrade() {
  run_helm upgrade --install "$release" "$chart" --wait --timeout "$TIMEOUT" "$@" >"$scratch/helm" 2>&1 && return
  grep '^Error:' "$scratch/helm" >&2 || true
  diagnose
  give_up "the new version did not become ready within $TIMEOUT"
}

# compare BEFORE: waits until the new version sees as much.
compare() {
  waited=0
  while ! { after=$(measure) && as_good "$1" "$after"; }; do
    if [ $waited -ge "$SETTLE" ]; then
      sed -n 's/^crossplane_exporter_kind_unreadable{.*group="\([^"]*\)",kind="\([^"]*\)",cause="\([^"]*\)"}.*/\1\/\2: \3/p' "$scratch/metrics" |
        while read -r kind; do say "not readable: $kind"; done
      give_up "the new version sees less: ${after:+$(words "$after")}${after:-nothing}"
    fi
    waited=$((waited + 1))
    sleep 1
  done
}

if [ -n "$before" ]; then
  # The old pods stay until the new ones have been ready for that long; a Deployment gives up after ten minutes.
  hold=$((SETTLE + 60))
  upgrade "$@" --set minReadySeconds=$((hold < 590 ? hold : 590))
  compare "$before"
fi
upgrade "$@"
rolled_out || give_up "the new version did not replace the old one within $TIMEOUT"
compare "${before:-1 0}"
say "now, revision $(deployed): $(words "$after")"
