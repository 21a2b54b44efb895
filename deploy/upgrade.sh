#!/bin/sh
# Installs or upgrades a release of the chart. While the old version still serves, it looks whether the new one becomes ready and sees as
# much; if not, the release goes back to what it was, and the old version has served all the time. It can be run again at any
# moment, also after it was interrupted.
#
#   deploy/upgrade.sh RELEASE NAMESPACE CHART [flags of helm upgrade...]
#
# It needs helm (3.14 or newer, or 4), kubectl (1.27 or newer) and curl, and the right to port-forward to the exporter's pods. Exit
# status: 0 the new version serves; 1 it does not, and everything is as before; 2 it does not, and the old one was not brought back.
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
# What 1m30s is in seconds.
timeout=$(($(echo "$TIMEOUT" | sed 's/h/*3600+/; s/m/*60+/; s/s$//; s/+$//')))
# What the history of the release says of a revision until it has been compared with the one before.
trial='upgrade.sh: on trial after revision'

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
now() { date +%s; }

# By its own choice, Helm 4 waits until the old pods are gone. Here they have to stay.
case $(helm version --short) in
v4*) wait=--wait=legacy ;;
*) wait=--wait ;;
esac

# Reads what helm has of the release: its `newest` revision, empty without one; `worked`, the last one that was found good; and
# whether something is `unfinished`, because a run was interrupted or is under way.
look() {
  newest='' worked='' unfinished=
  if ! run_helm history "$release" >"$scratch/history" 2>"$scratch/helm"; then
    grep -q 'release: not found' "$scratch/helm" && return
    cat "$scratch/helm" >&2
    exit 2
  fi
  # REVISION, UPDATED, STATUS, CHART, APP VERSION, DESCRIPTION, with tabs between them.
  eval "$(awk -F '\t' -v trial="$trial " '
    NR > 1 { newest = $1 + 0; pending = $3 ~ /^pending-/ }
    $3 ~ /^deployed/ {
      on_trial = index($6, trial) == 1
      worked = on_trial ? substr($6, length(trial)) + 0 : newest
    }
    END { print "newest=" newest, "worked=" worked, "unfinished=" (pending ? "pending" : on_trial ? "trial" : "") }' "$scratch/history")"
}

# The newest pod of each shard that is not about to go, as "SHARD NAME READY SCHEME"; with "True", of those that are ready. Of a Deployment
# that is the one of the newest ReplicaSet, and not always the youngest.
# shellcheck disable=SC2016 # because go-template has variables of its own
pods() {
  run_kubectl get replicasets,pods --selector "$selector" --output go-template='
    {{- range .items }}
      {{- $hash := or (index .metadata.labels "pod-template-hash") "-" }}
      {{- if eq .kind "ReplicaSet" }}
        {{- .kind }} {{ $hash }} {{ index .metadata.annotations "deployment.kubernetes.io/revision" }}{{ "\n" }}
      {{- else if not .metadata.deletionTimestamp }}
        {{- $ready := "False" }}
        {{- range .status.conditions }}{{ if eq .type "Ready" }}{{ $ready = .status }}{{ end }}{{ end }}
        {{- .kind }} {{ $hash }} {{ .metadata.creationTimestamp }} {{ or (index .metadata.labels "apps.kubernetes.io/pod-index") "-" }} {{ .metadata.name }} {{ $ready }}
        {{- range .spec.containers }}
          {{- if eq .name "crossplane-exporter" }}{{ with .readinessProbe }}{{ with .httpGet }} {{ .scheme }}{{ end }}{{ end }}{{ end }}
        {{- end }}{{ "\n" }}
      {{- end }}
    {{- end }}' >"$scratch/all" &&
    awk -v ready="${1-}" '
      $1 == "ReplicaSet" { revision[$2] = $3; next }
      !ready || $6 == ready {
        age = sprintf("%9d %s", revision[$2], $3)
        if (age > newest[$4]) { newest[$4] = age; pod[$4] = $4 " " $5 " " $6 " " $7 }
      }
      END { for (shard in pod) print pod[shard] }' "$scratch/all"
}

# ask POD SCHEME: adds the metrics of the pod's exporter to those of the others. It fails if the exporter is not ready by its own word.
ask() {
  : >"$scratch/forward"
  run_kubectl port-forward "pod/$1" :9948 >"$scratch/forward" 2>&1 &
  forward=$!
  port='' patience=$(($(now) + 15))
  while [ -z "$port" ]; do
    port=$(sed -n 's/^Forwarding from 127\.0\.0\.1:\([0-9]*\) .*/\1/p' "$scratch/forward" | head -n 1)
    if [ -z "$port" ] && { [ "$(now)" -gt "$patience" ] || ! kill -0 $forward 2>/dev/null; }; then
      say "kubectl port-forward to pod $1: $(cat "$scratch/forward")"
      break
    fi
    [ -n "$port" ] || sleep 0.1
  done
  asked=1
  if [ -n "$port" ]; then
    url=$(echo "${SCHEME-$2}" | tr '[:upper:]' '[:lower:]')
    url=${url:-http}://127.0.0.1:$port
    # The certificate is not one of the loopback address. CURL_FLAGS are several words.
    # shellcheck disable=SC2086
    curl --silent --show-error --fail --fail-early --max-time 30 --insecure ${CURL_FLAGS-} \
      --output "$scratch/ready" "$url/-/ready" --output "$scratch/page" "$url/metrics" && asked=0
  fi
  kill $forward 2>/dev/null || true
  wait $forward 2>/dev/null || true
  forward=
  [ $asked = 0 ] && cat "$scratch/page" >>"$scratch/metrics"
}

# What the newest pods of all shards see together, in `seen` as "KINDS OBJECTS"; with "True", those that are ready. It fails if there
# are none, or one is not ready.
measure() {
  seen=
  : >"$scratch/metrics"
  pods "$@" >"$scratch/pods" && [ -s "$scratch/pods" ] || return 1
  while read -r _ pod ready scheme; do
    [ "$ready" = True ] && ask "$pod" "$scheme" </dev/null || return 1
  done <"$scratch/pods"
  seen=$(awk '
    /^crossplane_exporter_kinds_watched / { kinds += $NF }
    /^crossplane_exporter_kind_unreadable[{]/ { kinds-- }
    /^platform_resources[{]/ { objects += $NF }
    END { printf "%d %d\n", kinds, objects }' "$scratch/metrics")
}

words() { echo "${1% *} readable kinds, ${1#* } objects"; }

# Whether $2 is as good as $1.
as_good() {
  [ -z "${EXPECT_LESS-}" ] || return 0
  [ "${2% *}" -ge "${1% *}" ] && [ $((${2#* } * 100)) -ge $((${1#* } * (100 - TOLERANCE))) ]
}

workloads() { run_kubectl get deployments,statefulsets --selector "$selector" --output "$1"; }

# Whether no shard is without a pod.
complete() {
  want=$(workloads go-template='{{ range .items }}{{ .spec.replicas }}{{ "\n" }}{{ end }}' | awk '{ n += $1 } END { print n + 0 }')
  [ "$(wc -l <"$scratch/pods")" -eq "$want" ]
}

# Waits until the old pods are gone.
rolled_out() {
  all=$(workloads name) || return 1
  for workload in $all; do
    run_kubectl rollout status "$workload" --timeout "$TIMEOUT" >/dev/null || return 1
  done
}

# Says what is the matter with pods that are not ready, or not even there.
# shellcheck disable=SC2016 # because go-template has variables of its own
diagnose() {
  run_kubectl get replicasets,pods --selector "$selector" --output go-template='
    {{- range .items }}
      {{- $object := printf "%s %s" .kind .metadata.name }}
      {{- range .status.conditions }}
        {{- if or (and (eq .type "ReplicaFailure") (eq .status "True")) (and (eq .type "PodScheduled") (eq .status "False")) }}
          {{- $object }} {{ .reason }}: {{ .message }}{{ "\n" }}
        {{- end }}
      {{- end }}
      {{- range .status.containerStatuses }}
        {{- if not .ready }}
          {{- $object }} {{ with .state.waiting }}{{ .reason }}: {{ .message }}{{ else }}is not ready{{ end }}{{ "\n" }}
        {{- end }}
      {{- end }}
    {{- end }}' | while read -r kind name why; do
    say "$kind $name: $why"
    [ "$kind" != Pod ] || run_kubectl logs "$name" --container crossplane-exporter --tail=10 2>/dev/null | sed 's/^/    /' >&2 || true
  done
}

# Goes back to the last revision that worked; to nothing, where there was nothing before.
back() {
  look
  [ "$newest" != "$revision" ] || return 0
  if [ -z "$revision" ]; then
    [ -n "$first" ] && [ "$newest" = 1 ] && run_helm uninstall "$release" --wait --timeout "$TIMEOUT" >/dev/null
    return
  fi
  run_helm rollback "$release" "$revision" --timeout "$TIMEOUT" >/dev/null || return 1
  # A StatefulSet waits for a pod that will never be ready, whatever it is told to be now: kubernetes#67250, #137409.
  sets=$(run_kubectl get statefulsets --selector "$selector" --output go-template='
    {{- range .items }}{{ .metadata.name }}={{ .metadata.generation }}{{ "\n" }}{{ end }}') || return 1
  for set in $sets; do
    run_kubectl wait "statefulset/${set%=*}" --for=jsonpath='{.status.observedGeneration}'="${set#*=}" --timeout "$TIMEOUT" >/dev/null || return 1
    pods >"$scratch/pods" || return 1
    while read -r shard pod ready _; do
      [ "$shard" = - ] || [ "$ready" = True ] || run_kubectl delete pod "$pod" --wait=false >/dev/null </dev/null || return 1
    done <"$scratch/pods"
  done
  rolled_out
}

# Somebody else's change is not this run's to take back.
leave() {
  say "somebody else is changing the release: run it again when that is done"
  exit 2
}

give_up() {
  say "$1"
  look
  [ "${newest:-0}" -le "$mine" ] || leave
  if ! back; then
    [ -n "$revision" ] && why="revision $revision could not be brought back" || why='there is no revision to go back to'
    say "$why: helm --namespace $namespace history $release"
    exit 2
  fi
  if [ -z "$revision" ]; then
    say "nothing was installed before, and nothing is now"
  elif measure True; then
    say "back to revision $revision: $(words "$seen")"
  else
    say "back to revision $revision, which is not ready${before:+ any more}"
    [ -z "$before" ] || exit 2
  fi
  exit 1
}

# An earlier run, or somebody's helm, was interrupted; or it is under way, and then it gets the time that it may take. A trial takes no
# longer than SETTLE, and may not: the old pods stay but a minute more.
look
was=
while [ -n "$unfinished" ]; do
  if [ "$was" != "$newest $unfinished" ]; then
    [ "$unfinished" = trial ] && patience=$((SETTLE + 15)) || patience=$timeout
    was="$newest $unfinished" deadline=$(($(now) + patience))
    say "revision $newest is $unfinished: if it still is after $patience s, it is taken back"
  fi
  [ "$(now)" -lt "$deadline" ] || break
  sleep 1
  look
done
revision=$worked before='' first=
case $newest:$revision:$unfinished in
:* | 1::pending) first=yes ;;
esac
if [ -n "$unfinished" ]; then
  say "an earlier change was not finished: back to ${revision:+revision }${revision:-nothing}"
  back || { say "that failed: helm --namespace $namespace history $release"; exit 2; }
  look
  revision=$worked
fi

# Values of the revision before, where helm would take them: by a flag, or because none are given. Said again, because what is before
# may be a trial, which has one more.
keep=yes
for flag; do
  shift
  case $flag in
  --reuse-values | --reset-then-reuse-values)
    keep=always
    continue
    ;;
  -f* | --set* | --values* | --reset-values) [ "$keep" = always ] || keep= ;;
  esac
  set -- "$@" "$flag"
done
if [ -n "$keep" ] && [ -n "$newest" ]; then
  run_helm get values "$release" --revision "${revision:-$newest}" --output yaml >"$scratch/values"
  set -- --values "$scratch/values" "$@"
fi

if measure True; then
  before=$seen
  say "before${revision:+, revision $revision}: $(words "$before")"
elif [ -n "$newest" ]; then
  say "before${revision:+, revision $revision}: no exporter is ready, so that there is nothing to compare with"
fi

# upgrade [FLAGS...]: what the release is to be, in the revision `mine`.
upgrade() {
  look
  mine=$((${newest:-0} + 1))
  run_helm upgrade --install "$release" "$chart" --reset-values "$wait" --timeout "$TIMEOUT" "$@" >"$scratch/upgrade" 2>&1 && return
  sed -n '/^Error:/,$p' "$scratch/upgrade" >&2
  ! grep -q -e 'another operation .* is in progress' -e 'release: already exists' "$scratch/upgrade" || leave
  diagnose
  give_up "the new version cannot be installed, or was not ready within $TIMEOUT"
}

# compare BEFORE: waits until the new version sees as much.
compare() {
  deadline=$(($(now) + SETTLE))
  while ! { measure && complete && as_good "$1" "$seen"; }; do
    if [ "$(now)" -ge "$deadline" ]; then
      if [ -z "$seen" ]; then
        diagnose
        give_up "the new version is not ready, or cannot be asked"
      fi
      sed -n 's/^crossplane_exporter_kind_unreadable{.*group="\([^"]*\)",kind="\([^"]*\)",cause="\([^"]*\)"}.*/\1\/\2: \3/p' "$scratch/metrics" |
        while read -r kind; do say "not readable: $kind"; done
      give_up "the new version sees less: $(words "$seen")"
    fi
    sleep 1
  done
}

if [ -n "$before" ]; then
  # The old pods stay until the new ones have been ready for that long; a Deployment gives up after ten minutes.
  hold=$((SETTLE + 60))
  upgrade "$@" --set minReadySeconds=$((hold < 590 ? hold : 590)) --description "${revision:+$trial $revision}"
  compare "$before"
fi
upgrade "$@"
rolled_out || give_up "the new version did not replace the old one within $TIMEOUT"
compare "${before:-1 0}"
look
say "now, revision $newest: $(words "$seen")"
