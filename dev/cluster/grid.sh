#!/usr/bin/env bash
# grid.sh [HELM ARGUMENT]...: installs the chart (CHART, or this repository's) on the cluster in CLUSTER_DIR, or upgrades it:
# Secrets with what it needs for Redis and S3 beside the cluster, then `helm upgrade --install` with values.yaml.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[[ -e $dir/env ]] || fail "no cluster runs in $dir: make cluster"
source "$dir/env"
[[ -n ${BLOCKGRID_REDIS:-} ]] || fail "the cluster in $dir has no nodes: make cluster"
kubectl() { "$CLUSTER_BIN/kubectl" "$@"; }
helm=$(command -v helm || echo "${GOPATH:-$HOME/go}/bin/helm")
[[ -x $helm ]] || fail "helm is missing: bash tools/setup.sh"

kubectl create namespace blockgrid --dry-run=client -o yaml | kubectl apply -f - >/dev/null
kubectl label --overwrite namespace blockgrid pod-security.kubernetes.io/enforce=restricted >/dev/null
secret() { # secret NAME VARIABLE...: of what env says
    local name=$1 keys=() key
    shift
    for key; do keys+=("--from-literal=$key=${!key}"); done
    kubectl -n blockgrid create secret generic "$name" "${keys[@]}" --dry-run=client -o yaml | kubectl apply -f - >/dev/null
}
secret grid-s3 BLOCKGRID_STORE BLOCKGRID_S3_ENDPOINT AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
secret grid-redis BLOCKGRID_REDIS
exec "$helm" upgrade --install grid "${CHART:-$here/../../charts/blockgrid}" --namespace blockgrid \
    --values "$here/values.yaml" --wait --timeout 180s "$@"
