#!/usr/bin/env bash
# check.sh [IMAGE.tar]: brings up a cluster of two nodes, runs the project's image in pods as they run elsewhere, takes all
# down, and proves that nothing is left. Without an argument it builds the image first.
set -euo pipefail
scratch=$(mktemp -d)
export CLUSTER_DIR=$scratch/cluster KUBECACHEDIR=$scratch/cluster/kubectl
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
trap 'bash "$here/cluster.sh" down --purge; rm -rf "$scratch"' EXIT

skip() {
    echo "skipped: $*"
    exit 0
}
wrong() {
    echo "dev/cluster: $*" >&2
    exit 1
}

bin=$(bash "$here/build.sh" find) || skip "Kubernetes is not built: bash tools/setup.sh"
reason=$(bash "$here/node.sh" able 2>&1) || skip "${reason#cluster: }"
[[ ! -L $owner ]] || skip "another cluster has nodes here: CLUSTER_DIR=$(readlink "$owner")"
command -v redis-server >/dev/null || command -v valkey-server >/dev/null || skip "redis-server is not installed"
command -v versitygw >/dev/null || skip "versitygw is not installed"

image=${1:-$scratch/blockgrid.tar}
[[ -e $image ]] || bash "$here/image.sh" "$image"

# What a cluster could change of the machine and leave so.
machine() {
    ip -o link | awk '{ print "link", $2 }'
    ip route
    ip netns list
    awk '{ print "mount", $5 }' /proc/self/mountinfo
    find /sys/fs/cgroup -type d -path '*blockgrid*'
    # Whoever is of the cluster: by what they were told, by the cgroup of a pod, by the log that they write.
    grep -lsE -- "$dir|/blockgrid-node" /proc/[0-9]*/{cmdline,cgroup} || true
    find /proc/[0-9]*/fd -lname "$dir/*" 2>/dev/null || true
    (cd /proc/sys && grep -r . kernel/{panic,panic_on_oops,keys} vm/{overcommit_memory,panic_on_oom} net/ipv4/ip_forward)
    ls -A /run /run/netns /var/lib /var/log /opt /etc "$HOME" 2>/dev/null || true
}
machine >"$scratch/before"

SECONDS=0
kubeconfig=$(bash "$here/cluster.sh" up --nodes 2 --image "$image")
echo "two nodes, Redis and S3 after $SECONDS s"
source "$dir/env"
kubectl() { "$bin/kubectl" --kubeconfig "$kubeconfig" "$@"; }
SECONDS=0
bash "$here/cluster.sh" up --nodes 2 --image "$image" >/dev/null 2>&1
bash "$here/cluster.sh" status >/dev/null || wrong "not everything runs: $(bash "$here/cluster.sh" status)"
echo "up again after $SECONDS s"

# Another one would take its network.
! CLUSTER_DIR=$scratch/second bash "$here/cluster.sh" up --nodes 1 2>"$scratch/said" || wrong "two clusters have nodes"
grep -q "another cluster has nodes" "$scratch/said" || wrong "a second cluster was refused with: $(<"$scratch/said")"

kubectl create namespace check >/dev/null
kubectl label namespace check pod-security.kubernetes.io/enforce=restricted >/dev/null
! kubectl -n check run refused --image=localhost/blockgrid:dev 2>/dev/null || wrong "Pod Security refuses nothing"
kubectl wait -n check --for=create serviceaccount/default --timeout=30s >/dev/null

secured='{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}'
kubectl create -f - >/dev/null <<EOF
apiVersion: v1
kind: Pod
metadata: {name: version, namespace: check}
spec:
  restartPolicy: Never
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
  containers:
    - {name: worker, image: "localhost/blockgrid:dev", command: [/blockgrid-worker, --version], securityContext: $secured}
EOF
if ! kubectl wait -n check --for=jsonpath='{.status.phase}'=Succeeded pod/version --timeout=60s >/dev/null; then
    kubectl -n check describe pod version >&2
    wrong "/blockgrid-worker --version does not succeed"
fi
version=$(kubectl -n check logs version)
[[ $version == "blockgrid-worker "* ]] || wrong "/blockgrid-worker --version says: $version"
echo "$version, in a pod after $SECONDS s"

# By name, through a Service without pods: a static program asks for names differently than others, and the address is one
# that every node makes for itself. A worker on each node is ready once it has reached both.
kubectl create -f - >/dev/null <<EOF
apiVersion: v1
kind: Service
metadata: {name: beside, namespace: check}
spec: {ports: [{name: redis, port: 6379}, {name: s3, port: 9000}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: beside, namespace: check, labels: {kubernetes.io/service-name: beside}}
addressType: IPv4
ports: [{name: redis, port: 6379}, {name: s3, port: 9000}]
endpoints: [{addresses: [$control]}]
---
apiVersion: v1
kind: Secret
metadata: {name: grid, namespace: check}
stringData:
  AWS_ACCESS_KEY_ID: $AWS_ACCESS_KEY_ID
  AWS_SECRET_ACCESS_KEY: $AWS_SECRET_ACCESS_KEY
  AWS_ALLOW_HTTP: "$AWS_ALLOW_HTTP"
  BLOCKGRID_STORE: $BLOCKGRID_STORE
  BLOCKGRID_S3_ENDPOINT: ${BLOCKGRID_S3_ENDPOINT/$control/beside}
  BLOCKGRID_REDIS: ${BLOCKGRID_REDIS/$control/beside.check.svc.cluster.local}
EOF
for n in 0 1; do
    kubectl create -f - >/dev/null <<EOF
apiVersion: v1
kind: Pod
metadata: {name: worker$n, namespace: check, labels: {app: worker}}
spec:
  restartPolicy: Never
  nodeSelector: {kubernetes.io/hostname: node$n}
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
  containers:
    - name: worker
      image: localhost/blockgrid:dev
      command: [/blockgrid-worker, --all, --name, w$n, --slots, "1", --http, "0.0.0.0:9100"]
      envFrom: [{secretRef: {name: grid}}]
      readinessProbe: {httpGet: {path: /readyz, port: 9100}, periodSeconds: 1}
      resources: {limits: {cpu: "1", memory: 512Mi}}
      securityContext: $secured
EOF
done
if ! kubectl wait -n check --for=condition=Ready pod -l app=worker --timeout=60s >/dev/null; then
    kubectl -n check logs -l app=worker --prefix >&2 || true
    wrong "workers in pods do not reach Redis and S3"
fi
echo "workers of both nodes have reached Redis and S3 after $SECONDS s"
grep -q '"resource":"pods","namespace":"check","name":"worker0"' "$CLUSTER_AUDIT" || wrong "calls are not in the audit log"

SECONDS=0
bash "$here/cluster.sh" down --purge
echo "down after $SECONDS s"
rm -rf "$scratch/second"
[[ ! -e $dir ]] || wrong "$dir is left"
machine >"$scratch/after"
diff "$scratch/before" "$scratch/after" >&2 || wrong "the machine is not as it was"
echo "nothing is left"
