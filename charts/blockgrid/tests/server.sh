#!/usr/bin/env bash
# server.sh: what only a real API server can tell. It takes every rendering (dry run), then installs, scales, upgrades and
# uninstalls the chart, forges labels, and asks who may do what. KUBECONFIG is a cluster that is there for tests alone: no
# pod needs to run in it. What it makes it removes.
# server.sh --schemas: writes schemas/ anew from the server's own, for kubeconform (needs Python).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
export PATH="$PATH:${GOPATH:-$HOME/go}/bin"
: "${KUBECONFIG:?is the cluster to test on}"
for tool in helm kubectl; do
    command -v "$tool" >/dev/null || { echo "$tool is missing" >&2; exit 1; }
done
kinds=(ServiceAccount Secret ConfigMap Service Deployment PodDisruptionBudget NetworkPolicy ClusterRole ClusterRoleBinding Role
    RoleBinding CustomResourceDefinition ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding)
if [[ ${1-} == --schemas ]]; then
    kubectl get --raw /openapi/v2 | python3 schemas.py schemas "${kinds[@]}"
    exit
fi

work=$(mktemp -d)
namespaces=(grid team-a team-b backtests)
clean() {
    helm uninstall blockgrid --namespace grid --ignore-not-found >/dev/null 2>&1 || true
    kubectl delete crd --ignore-not-found --wait=false backtestjobs.grid.blockbuilders.app backtestbudgets.grid.blockbuilders.app
    kubectl delete namespace --ignore-not-found --wait=false "${namespaces[@]}"
    rm -rf "$work"
}
if kubectl get namespace grid >/dev/null 2>&1; then
    echo "there is a namespace grid: this is no cluster for tests, or one that an earlier run has not left yet" >&2
    exit 1
fi
trap 'clean >/dev/null 2>&1' EXIT
passed=0 failed=0
ok() { passed=$((passed + 1)); }
bad() {
    failed=$((failed + 1))
    echo "FAILED: $1" >&2
    sed 's/^/    /' "$work/said" | head -n 30 >&2
}
accepted() { local what=$1; shift; if "$@" >"$work/said" 2>&1; then ok; else bad "$what"; fi; }
refused() { # refused WHAT SAYS COMMAND...
    local what=$1 says=$2
    shift 2
    if "$@" >"$work/said" 2>&1; then bad "$what is not refused"; elif grep --quiet --fixed-strings -- "$says" "$work/said"; then ok; else bad "$what is refused, but not by: $says"; fi
}
is() { echo "expected $2, found $3" >"$work/said"; if [[ $2 == "$3" ]]; then ok; else bad "$1"; fi; }
# until_so SECONDS COMMAND...
until_so() { local end=$((SECONDS + $1)); shift; until "$@" >/dev/null 2>&1; do ((SECONDS < end)) || return 1; sleep 0.3; done; }

for namespace in "${namespaces[@]}"; do
    kubectl create namespace "$namespace" >/dev/null
    kubectl label namespace "$namespace" pod-security.kubernetes.io/{enforce,warn}=restricted >/dev/null
done

# Every rendering: strict about fields, and without a warning, which is how Pod Security speaks of Deployments. Monitors
# and rules are of CRDs that are not here.
without="metrics.serviceMonitor.enabled=false,metrics.podMonitor.enabled=false,metrics.rules.enabled=false"
for values in values/*.yaml; do
    helm template blockgrid .. --namespace grid --kube-version 1.34.0 --values "$values" --set "$without" >"$work/rendered.yaml"
    accepted "the server takes $values" kubectl apply --dry-run=server --validate=strict --filename "$work/rendered.yaml"
    is "warnings about $values" "" "$(grep Warning "$work/said" || true)"
done

# Installed on an empty cluster, CRDs and all.
values=(--namespace grid --values values/default.yaml --set "believedUsers={system:serviceaccount:team-b:api}" --set "believedGroups={platform}")
accepted "install" helm install blockgrid .. "${values[@]}"
accepted "the CRDs are there" kubectl wait --for=condition=Established --timeout=30s crd/backtestjobs.grid.blockbuilders.app crd/backtestbudgets.grid.blockbuilders.app

# The operator's number of warm workers, and the password of the queue, outlive an upgrade.
replicas() { kubectl get deployment blockgrid-interactive --namespace grid --output 'jsonpath={.spec.replicas}'; }
password() { kubectl get secret blockgrid-redis --namespace grid --output 'jsonpath={.data.REDIS_PASSWORD}'; }
operator=system:serviceaccount:grid:blockgrid-operator
before=$(password)
# Not as the operator: kubectl reads what it patches, which the operator does not.
accepted "scaling" kubectl --namespace grid patch deployment blockgrid-interactive --subresource=scale --type=merge --patch '{"spec": {"replicas": 5}}'
is "replicas after scaling" 5 "$(replicas)"
accepted "upgrade" helm upgrade blockgrid .. "${values[@]}" --set workers.log=debug --set interactive.minReplicas=2
is "replicas after an upgrade" 5 "$(replicas)"
is "the password after an upgrade" "$before" "$(password)"
accepted "upgrade with the workers elsewhere" helm upgrade blockgrid .. "${values[@]}" --set workers.namespace=backtests
is "the password in the workers' namespace" "$before" "$(kubectl get secret blockgrid-redis --namespace backtests --output 'jsonpath={.data.REDIS_PASSWORD}')"
accepted "upgrade back" helm upgrade blockgrid .. "${values[@]}"

# The server has checked the types of every expression of the policies.
for policy in user operator-fields pools; do
    checked() { kubectl get validatingadmissionpolicy "blockgrid-$policy" --output 'jsonpath={.status.observedGeneration}' | grep .; }
    accepted "policy $policy is looked at" until_so 30 checked
    is "warnings of policy $policy" "" "$(kubectl get validatingadmissionpolicy "blockgrid-$policy" --output 'jsonpath={.status.typeChecking.expressionWarnings}')"
done

# Tenants get their rights by the ClusterRoles that everyone has.
kubectl create rolebinding editors --namespace team-a --clusterrole=edit --user=tenant --user=believed --group=platform --serviceaccount=team-b:api >/dev/null
kubectl create rolebinding viewers --namespace team-a --clusterrole=view --user=viewer >/dev/null
may() { is "$1 may $2 in $4: ${*:5}" "$3" "$(kubectl auth can-i --as "$1" --namespace "$4" $2 "${@:5}" 2>/dev/null || true)"; }
accepted "rights of edit" until_so 30 kubectl auth can-i create backtestjobs --as tenant --namespace team-a
accepted "rights of view" until_so 30 kubectl auth can-i get backtestjobs --as viewer --namespace team-a
may tenant "delete backtestjobs" yes team-a
may tenant "patch backtestjobs" no team-a --subresource=status
may tenant "create backtestbudgets" no team-a
may tenant "create backtestjobs" no team-b
may viewer "create backtestjobs" no team-a
may viewer "list backtestbudgets" yes team-a

# The operator's rights are these, and not those.
for right in "get backtestjobs" "list backtestjobs" "watch backtestjobs" "patch backtestjobs" "delete backtestjobs" "get backtestbudgets" "watch backtestbudgets" \
    "create events.events.k8s.io" "patch events.events.k8s.io"; do
    may $operator "$right" yes team-b
done
may $operator "patch backtestjobs" yes team-b --subresource=status
may $operator "update backtestbudgets" yes team-b --subresource=status
# What it does not do it may not.
for right in "create backtestjobs" "update backtestjobs" "create events" "patch events" "update backtestbudgets" "patch backtestbudgets" "delete backtestbudgets"; do
    may $operator "$right" no team-b
done
for right in "get backtestjobs" "update backtestjobs" "get backtestbudgets" "patch backtestbudgets"; do
    may $operator "$right" no team-b --subresource=status
done
may $operator "update backtestjobs" no team-b --subresource=finalizers
may $operator "get customresourcedefinitions/backtestjobs.grid.blockbuilders.app" yes grid
for right in "get jobs.batch" "watch jobs.batch" "create jobs.batch" "patch jobs.batch" "delete jobs.batch" "list pods" "watch pods" "delete pods" "list events" \
    "create leases.coordination.k8s.io" "get leases.coordination.k8s.io/blockgrid" \
    "update leases.coordination.k8s.io/blockgrid" "create backtestbudgets" "get deployments.apps/blockgrid-interactive"; do
    may $operator "$right" yes grid
done
# Of those whose nodes are dead it says that they have failed, and lets them go.
may $operator "patch pods" yes grid --subresource=status
may $operator "get pods" no grid --subresource=log
may $operator "patch deployments.apps/blockgrid-interactive" yes grid --subresource=scale
may $operator "get deployments.apps/blockgrid-interactive" no grid --subresource=scale
for right in "get secrets" "list secrets" "watch events" "update jobs.batch" "deletecollection jobs.batch" "get pods" "create pods" "patch pods" "deletecollection pods" "list deployments.apps" "patch deployments.apps/blockgrid-operator" "patch deployments.apps/blockgrid-interactive" \
    "patch leases.coordination.k8s.io/blockgrid" "update leases.coordination.k8s.io/other" "create roles.rbac.authorization.k8s.io" "get customresourcedefinitions/others.example.org" \
    "create serviceaccounts" "patch configmaps" "list nodes" "delete backtestbudgets" "create backtestjobs"; do
    may $operator "$right" no grid
done
may $operator "create pods" no grid --subresource=exec
for right in "create jobs.batch" "list pods" "list events" "create backtestbudgets" "create leases.coordination.k8s.io"; do
    may $operator "$right" no team-b
done
for right in "get secrets" "list pods" "get backtestjobs" "create events"; do
    may system:serviceaccount:grid:blockgrid-worker "$right" no grid
done

# Who a job's user is.
job() { # job NAME METADATA
    printf 'apiVersion: grid.blockbuilders.app/v1alpha1\nkind: BacktestJob\nmetadata: {name: %s, namespace: team-a, %s}\n%s\n' "$1" "${2-}" "$spec"
}
spec=$(sed -n '/^spec:/,$p' ../../../examples/sma-crossover.yaml)
create() { job "$2" "${3-}" | kubectl create --as "$1" --filename - "${@:4}"; }
create_as_group() { job "$@" | kubectl create --as believed --as-group platform --as-group system:authenticated --filename -; }
change() { kubectl --as "$1" --namespace team-a patch btj "$2" --type=merge --patch "$3"; }
user='labels: {grid.blockbuilders.app/user: alice}'
remedy="have the name added to believedUsers"
in_force() { [[ $(create tenant probe "$user" --dry-run=server 2>&1 || true) == *"$remedy"* ]]; }
accepted "the policies are in force" until_so 30 in_force
refused "a forged user" "$remedy" create tenant forged "$user"
refused "an empty user" "$remedy" create tenant forged 'labels: {grid.blockbuilders.app/user: ""}'
accepted "a job of nobody in particular" create tenant plain
refused "a user added later" "$remedy" change tenant plain '{"metadata": {"labels": {"grid.blockbuilders.app/user": "alice"}}}'
accepted "a user by who is believed" create system:serviceaccount:team-b:api alice "$user"
accepted "a user by a group that is believed" create_as_group group "$user"
refused "a user changed" "$remedy" change tenant alice '{"metadata": {"labels": {"grid.blockbuilders.app/user": "bob"}}}'
refused "a user removed" "$remedy" change tenant alice '{"metadata": {"labels": {"grid.blockbuilders.app/user": null}}}'
accepted "another label" change tenant alice '{"metadata": {"labels": {"team": "x"}}}'
accepted "a user by the operator" change $operator plain '{"metadata": {"labels": {"grid.blockbuilders.app/user": "carol"}}}'

# What is the operator's.
refused "an annotation of the operator's" "are the operator's" create tenant forged 'annotations: {operator.grid.blockbuilders.app/admitted: "1"}'
refused "a label of the operator's" "are the operator's" create tenant forged 'labels: {operator.grid.blockbuilders.app/pool: x}'
refused "a finalizer of the operator's" "are the operator's" create tenant forged 'finalizers: [operator.grid.blockbuilders.app/cleanup]'
accepted "the operator's own" change $operator plain '{"metadata": {"annotations": {"operator.grid.blockbuilders.app/admitted": "1"}, "finalizers": ["operator.grid.blockbuilders.app/cleanup"]}}'
refused "an annotation taken away" "are the operator's" change tenant plain '{"metadata": {"annotations": {"operator.grid.blockbuilders.app/admitted": null}}}'
refused "an annotation changed" "are the operator's" change tenant plain '{"metadata": {"annotations": {"operator.grid.blockbuilders.app/admitted": "2"}}}'
refused "a finalizer taken away" "are the operator's" change tenant plain '{"metadata": {"finalizers": null}}'
accepted "an annotation beside it" change tenant plain '{"metadata": {"annotations": {"note": "mine"}}}'
accepted "the operator takes its own away" change $operator plain '{"metadata": {"annotations": {"operator.grid.blockbuilders.app/admitted": null}, "finalizers": null}}'

# Pools.
pool() { # pool AS NAMESPACE LABELS POD-LABELS
    local groups=()
    [[ $1 != root ]] || groups=(--as-group system:masters)
    printf 'apiVersion: batch/v1\nkind: Job\nmetadata: {name: pool, labels: {%s}}\nspec: {template: {metadata: {labels: {%s}}, spec: {restartPolicy: Never, containers: [{name: w, image: w}]}}}\n' "$3" "$4" |
        kubectl create --dry-run=server --as "$1" "${groups[@]}" --namespace "$2" --filename -
}
own="made by the operator of blockgrid alone"
refused "a pool of somebody else's" "$own" pool root grid 'grid.blockbuilders.app/job: x' ''
# A Job without labels gets those of its pods, so this one has a label.
refused "pods of a pool, of somebody else's" "$own" pool root grid 'team: x' 'grid.blockbuilders.app/job: x'
accepted "somebody else's Job" pool root grid 'team: x' 'team: x'
accepted "a pool of the operator's" pool $operator grid 'grid.blockbuilders.app/job: x' 'grid.blockbuilders.app/job: x'
accepted "such a Job where no pools are" pool root team-a 'grid.blockbuilders.app/job: x' ''

# The jobs outlive the release, and a release of the same name takes their CRDs over again.
accepted "uninstall" helm uninstall blockgrid --namespace grid
accepted "the jobs are still there" kubectl get btj plain --namespace team-a
refused "a policy that is gone" "not found" kubectl get validatingadmissionpolicy blockgrid-user
accepted "install again" helm install blockgrid .. "${values[@]}"


# Of two namespaces: rights there, and none in the cluster.
accepted "uninstall" helm uninstall blockgrid --namespace grid
accepted "install for two namespaces" helm install blockgrid .. --namespace grid --values values/namespaced.yaml
operator=system:serviceaccount:grid:bg-operator
for namespace in team-a team-b; do
    may $operator "patch backtestjobs" yes $namespace
    may $operator "update backtestbudgets" yes $namespace --subresource=status
    may $operator "create events.events.k8s.io" yes $namespace
    may $operator "update backtestjobs" no $namespace
    may $operator "get backtestjobs" no $namespace --subresource=status
    may $operator "patch backtestbudgets" no $namespace --subresource=status
    may $operator "create events" no $namespace
done
may $operator "create jobs.batch" yes team-a
may $operator "create jobs.batch" no team-b
may $operator "update jobs.batch" no team-a
may $operator "get deployments.apps/bg-interactive" no team-a --subresource=scale
may $operator "patch leases.coordination.k8s.io/bg" no grid
may $operator "patch deployments.apps/bg-interactive" yes team-a --subresource=scale
may $operator "update leases.coordination.k8s.io/bg" yes grid
may $operator "create backtestbudgets" yes grid
may $operator "list backtestbudgets" yes grid
for right in "list backtestjobs" "list backtestbudgets" "create events" "create jobs.batch" "create leases.coordination.k8s.io"; do
    may $operator "$right" no backtests
done
may $operator "get customresourcedefinitions/backtestjobs.grid.blockbuilders.app" no grid
is "roles in the cluster" "" "$(kubectl get clusterroles,clusterrolebindings,validatingadmissionpolicies --selector app.kubernetes.io/instance=blockgrid --output name)"

echo "server: $passed passed, $failed failed"
((failed == 0))
