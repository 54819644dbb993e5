#!/usr/bin/env bash
# check.sh: lints and renders the chart with each file of values/, and compares with golden/. check.sh --write: writes
# golden/ anew. What needs a tool that is missing is skipped, and says so; server.sh asks a real API server.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
chart=..
export PATH="$PATH:${GOPATH:-$HOME/go}/bin"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0 skipped=0

ok() { passed=$((passed + 1)); }
bad() {
    failed=$((failed + 1))
    echo "FAILED: $1" >&2
    [[ ! -s ${2-} ]] || sed 's/^/    /' "$2" | head -n 40 >&2
}
# attempt WHAT COMMAND...: passes if the command does.
attempt() { local what=$1; shift; if "$@" >"$work/said" 2>&1; then ok; else bad "$what" "$work/said"; fi; }
has() {
    command -v "$1" >/dev/null && return
    skipped=$((skipped + 1))
    echo "skipped: $1: $2"
    return 1
}
# A version, since what helm takes for the cluster's differs from build to build of it.
helm_here() { helm "$@" --kube-version 1.34.0; }
render() { helm_here template blockgrid "$chart" --namespace grid --values "$1" "${@:2}"; }
# The password of the queue is another one each time.
settled() { sed -E 's/^(  (REDIS_PASSWORD|BLOCKGRID_REDIS): ).+/\1GENERATED/'; }
finish() {
    echo "charts: $passed passed, $failed failed, $skipped skipped"
    ((failed == 0))
    exit
}

has helm "go install helm.sh/helm/v3/cmd/helm@v3.22.0" || finish

for values in values/*.yaml; do
    name=$(basename "$values" .yaml)
    attempt "lint of $values" helm_here lint "$chart" --strict --values "$values"
    # The CRDs are compared with what they were made from, below.
    if ! render "$values" --set crds.install=false 2>"$work/said" | settled >"$work/$name.yaml"; then
        bad "$values does not render" "$work/said"
        continue
    fi
    if [[ ${1-} == --write ]]; then
        cp "$work/$name.yaml" "golden/$name.yaml"
    elif diff -u "golden/$name.yaml" "$work/$name.yaml" >"$work/said" 2>&1; then
        ok
    else
        bad "golden/$name.yaml is not what the chart renders; \`make write-charts\` writes it anew" "$work/said"
    fi
done
for golden in golden/*.yaml; do
    [[ -e values/$(basename "$golden") ]] || bad "$golden has no values"
done

# The first line of a file says what the refusal says.
for values in refused/*.yaml; do
    says=$(sed -n '1s/^# says: //p' "$values")
    if render "$values" >/dev/null 2>"$work/said"; then
        bad "$values is not refused"
    elif grep --quiet --fixed-strings -- "$says" "$work/said"; then
        ok
    else
        bad "the refusal of $values does not say: $says" "$work/said"
    fi
done

# What is at its bound is not refused.
for set in budget.softPercent='{1,2,3,4,5,6,7,8}' budget.monthlyUsd=10000000 jobs.deadline=7d jobs.deadline=168h,jobs.maxDeadline=10080m jobs.ttl=3650d jobs.maxRest=3650d \
    classes.standard.cpu=1m classes.standard.cpu=1024 classes.standard.memory=64Mi classes.standard.memory=67108864 \
    classes.standard.microUsdPerVcpuHour=9007199254740991 jobs.maxWorkers=100000 interactive.maxReplicas=2147483647 \
    leaderElection.renewDeadline=14999ms,leaderElection.retryPeriod=14998ms 'operator.podAnnotations.checksum/other=x'; do
    attempt "$set is refused" render values/default.yaml --set "$set"
done

# The operator gives pools the labels by which policies and monitors find them, whatever the chart is called.
for name in blockgrid grid; do
    for where in operator-config:podLabels networkpolicy:matchLabels; do
        render values/default.yaml --set nameOverride=$name --show-only "templates/${where%:*}.yaml" |
            awk -v key="${where#*:}:" '$1 == key && !found { getline; print; found = 1 }' >"$work/label"
        attempt "$where has not the name $name" grep --quiet "^ *app.kubernetes.io/name: $name$" "$work/label"
    done
done

# The CRDs are rendered as they are, each with the one line by which they outlive the release.
render values/default.yaml --show-only templates/crds.yaml >"$work/crds.yaml"
plain() { sed -E '/^(---|# Source: .*)?$/d; /^  annotations:$/d; /^    helm.sh\/resource-policy: keep$/d' "$@"; }
attempt "the CRDs are not those of files/crds" diff <(plain "$chart"/files/crds/*.yaml) <(plain "$work/crds.yaml")
kept=$(grep -c '^    helm.sh/resource-policy: keep$' "$work/crds.yaml" || true)
attempt "a CRD is not kept" test "$kept" -eq "$(cat "$chart"/files/crds/*.yaml | grep -c '^kind: CustomResourceDefinition$')"

# A password that is in the cluster stays, and nothing renders two of them.
password=$(render values/default.yaml --set workers.namespace=other | sed -n 's/^  REDIS_PASSWORD: //p' | sort -u | wc -l)
attempt "the two Secrets of the queue differ" test "$password" -eq 1

# Alerts and dashboard ask for metrics that there are. The operator's are looked for once its sources are here.
repository=$(cd "$chart/../.." && pwd)
for metric in $(grep --only-matching --no-filename -E 'blockgrid_[a-z_]+' "$chart/files/rules.yaml" "$chart/files/dashboard.json" |
    sed -E 's/_bucket$//' | sort -u); do
    case $metric in
        blockgrid_worker_*) sources=worker/src name=${metric#blockgrid_worker_} ;;
        blockgrid_queue_*) sources=worker/src name=${metric#blockgrid_queue_} ;;
        blockgrid_operator_*) sources=controller/src name=${metric#blockgrid_operator_} ;;
    esac
    if [[ ! -d $repository/$sources ]]; then
        skipped=$((skipped + 1))
        echo "skipped: $metric: $sources is not there yet"
    else
        attempt "no metric is called $metric" grep --recursive --quiet -E "\"($name|$metric)\"" "$repository/$sources"
    fi
done

if [[ ! -e schemas/_definitions.json ]]; then
    skipped=$((skipped + 1))
    echo "skipped: schemas of Kubernetes: server.sh --schemas writes them"
elif has kubeconform "go install github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0"; then
    for rendered in "$work/crds.yaml" $(basename --multiple values/*.yaml | sed "s|^|$work/|"); do
        [[ -e $rendered ]] || continue
        attempt "schema of $(basename "$rendered")" kubeconform -strict -summary \
            -schema-location 'schemas/{{ .ResourceKind }}{{ .KindSuffix }}.json' "$rendered"
    done
fi

if has promtool "apt-get download prometheus && dpkg-deb -x prometheus_*.deb DIR (DIR/usr/bin/promtool)"; then
    attempt "alerts" promtool check rules "$chart/files/rules.yaml"
    attempt "tests of the alerts" promtool test rules rules_test.yaml
    # What the panels ask is read as rules are.
    {
        printf 'groups:\n  - name: panels\n    rules:\n'
        grep --only-matching -E '"expr": "([^"\\]|\\.)*"' "$chart/files/dashboard.json" |
            sed -E 's/\$__(rate_)?interval/5m/g; s/\$namespace/.*/g' |
            awk '{ printf "      - {record: panel:%d, %s}\n", NR, $0 }'
    } >"$work/panels.yaml"
    attempt "queries of the dashboard" promtool check rules "$work/panels.yaml"
fi
finish
