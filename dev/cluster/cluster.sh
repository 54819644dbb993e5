#!/usr/bin/env bash
# A Kubernetes without Docker, from the binary of build.sh.
#
#   cluster.sh up                              a control plane on free ports of loopback; any number side by side
#   cluster.sh up --nodes 2 [--image TAR]...   with nodes that run pods, Redis and S3 beside it; root, one at a time
#   cluster.sh up [...] --until PID            ... which ends, its folder too, when that process does, however it ends
#   cluster.sh down [--purge]                  ends it; --purge removes its folder too
#   cluster.sh kubeconfig | status
#
# CLUSTER_DIR is its folder (default ~/.local/state/blockgrid/cluster): kubeconfig, env, audit.log, logs, all state.
# `up` mends what does not run, keeps what does, and prints the path of kubeconfig.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

components=(etcd kube-apiserver kube-controller-manager kube-scheduler)
beside=(coredns redis s3)
s3_port=9000 redis_port=6379 bucket=grid

# With nodes, the control plane is in a network namespace of its own, and 0.0.0.0 is nobody else's.
with_nodes() { [[ -e $dir/nodes || $(readlink "$owner") == "$dir" ]]; }
enter() { if with_nodes; then nsenter --net=/run/netns/blockgrid-control "$@"; else "$@"; fi; }
run() { # run NAME [ARG]...: start, in that namespace
    local name=$1 in=()
    shift
    ! with_nodes || in=(nsenter --net=/run/netns/blockgrid-control)
    start "$name" "${in[@]}" "$@"
}

# Three ports that are free, kept for the life of the folder. From below those that the kernel hands out to whoever
# connects somewhere, and at random, so that clusters that start at the same time do not pick the same.
ports() {
    [[ -s $dir/ports ]] || python3 -c '
import random, socket
held = []
while len(held) < 3:
    held.append(socket.socket())
    try:
        held[-1].bind(("127.0.0.1", random.randrange(20000, 32768)))
    except OSError:
        held.pop()
print(*(each.getsockname()[1] for each in held))' >"$dir/ports"
    read -r etcd_port peer_port api_port <"$dir/ports"
}

certificate() { # certificate NAME SUBJECT EXTENSIONS
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$2" -keyout "$dir/pki/$1.key" 2>/dev/null |
        openssl x509 -req -CA "$dir/pki/ca.crt" -CAkey "$dir/pki/ca.key" -set_serial "0x$(openssl rand -hex 8)" -days 365 \
            -extfile <(echo "$3") -out "$dir/pki/$1.crt" 2>/dev/null
}

token() { # token USER [GROUP]: a line of the API server's list
    echo "$(openssl rand -hex 16),$1,$1${2:+,$2}"
}

secrets() {
    [[ ! -e $dir/pki/done ]] || return 0
    mkdir -p "$dir/pki"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=blockgrid-cluster \
        -keyout "$dir/pki/ca.key" -out "$dir/pki/ca.crt" 2>/dev/null
    local names=DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc
    certificate apiserver /CN=kube-apiserver "subjectAltName=IP:127.0.0.1,IP:$control,IP:10.96.0.1,$names"
    certificate kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client extendedKeyUsage=clientAuth
    openssl ecparam -name prime256v1 -genkey -noout -out "$dir/pki/accounts.key"
    openssl ec -in "$dir/pki/accounts.key" -pubout -out "$dir/pki/accounts.pub" 2>/dev/null
    {
        token admin system:masters
        token coredns system:masters
        token system:kube-controller-manager
        token system:kube-scheduler
        token system:kube-proxy
        local n
        for n in {0..9}; do token "system:node:node$n" system:nodes; done
    } >"$dir/pki/tokens"
    openssl rand -hex 16 >"$dir/pki/redis"
    openssl rand -hex 16 >"$dir/pki/s3"
    touch "$dir/pki/done"
}

token_of() { awk -F, -v user="$1" '$2 == user { print $1 }' "$dir/pki/tokens"; }

kubeconfig() { # kubeconfig USER FILE
    cat >"$dir/$2" <<EOF
apiVersion: v1
kind: Config
clusters: [{name: blockgrid, cluster: {server: "https://$host:$api_port", certificate-authority-data: $(base64 -w0 <"$dir/pki/ca.crt")}}]
users: [{name: "$1", user: {token: $(token_of "$1")}}]
contexts: [{name: blockgrid, context: {cluster: blockgrid, user: "$1"}}]
current-context: blockgrid
EOF
}

# What a shell sources and a test reads: one `export NAME=VALUE` a line. Pods and this machine see the same addresses.
environment() {
    local name
    say_export() { printf 'export %s=%q\n' "$1" "$2"; }
    say_export KUBECONFIG "$dir/kubeconfig"
    say_export KUBECACHEDIR "$dir/kubectl" # or kubectl writes to ~/.kube
    say_export CLUSTER_DIR "$dir"
    say_export CLUSTER_BIN "$bin"
    say_export CLUSTER_AUDIT "$dir/audit.log"
    with_nodes || return 0
    say_export BLOCKGRID_STORE "s3://$bucket"
    say_export BLOCKGRID_S3_ENDPOINT "http://$control:$s3_port"
    say_export BLOCKGRID_REDIS "redis://:$(<"$dir/pki/redis")@$control:$redis_port"
    say_export AWS_ACCESS_KEY_ID blockgrid
    say_export AWS_SECRET_ACCESS_KEY "$(<"$dir/pki/s3")"
    say_export AWS_ALLOW_HTTP true # the network is this machine's own
}

api() { curl --silent --fail --max-time 5 --cacert "$dir/pki/ca.crt" --header @<(echo "Authorization: Bearer $(token_of admin)") "https://$host:$api_port$1"; }

control_plane() {
    local etcd=http://127.0.0.1:$etcd_port peer=http://127.0.0.1:$peer_port services=10.96.0.0/16 bind=127.0.0.1
    # What is thrown away needs no fsync.
    run etcd "$bin/etcd" --name=default --data-dir="$dir/etcd" --unsafe-no-fsync --log-level=error \
        --listen-client-urls="$etcd" --advertise-client-urls="$etcd" --listen-peer-urls="$peer" \
        --initial-advertise-peer-urls="$peer" --initial-cluster=default="$peer"

    # Each call once, when it is answered; a watch twice, with one auditID.
    cat >"$dir/audit.yaml" <<'EOF'
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
EOF
    # Without nodes nobody uses the service `kubernetes`.
    local endpoints=(--endpoint-reconciler-type=none) manager=()
    if with_nodes; then
        bind=0.0.0.0
        endpoints=(--endpoint-reconciler-type=lease --advertise-address="$control")
        # A dead node is told after 8 s rather than 50 s; node.sh makes leases to match.
        manager=(--node-monitor-grace-period=8s --node-monitor-period=1s)
    fi
    run kube-apiserver "$bin/kube-apiserver" --etcd-servers="$etcd" --bind-address="$bind" --secure-port="$api_port" \
        "${endpoints[@]}" --tls-cert-file="$dir/pki/apiserver.crt" --tls-private-key-file="$dir/pki/apiserver.key" \
        --client-ca-file="$dir/pki/ca.crt" --token-auth-file="$dir/pki/tokens" --authorization-mode=Node,RBAC \
        --enable-admission-plugins=NodeRestriction --allow-privileged --service-cluster-ip-range="$services" \
        --service-account-issuer=https://kubernetes.default.svc --service-account-key-file="$dir/pki/accounts.pub" \
        --service-account-signing-key-file="$dir/pki/accounts.key" --profiling=false \
        --kubelet-client-certificate="$dir/pki/kubelet-client.crt" --kubelet-client-key="$dir/pki/kubelet-client.key" \
        --kubelet-preferred-address-types=InternalIP --audit-policy-file="$dir/audit.yaml" --audit-log-path="$dir/audit.log"
    await 60 "kube-apiserver" api /readyz
    run kube-controller-manager "$bin/kube-controller-manager" --kubeconfig="$dir/pki/kube-controller-manager.conf" \
        --leader-elect=false --secure-port=0 --use-service-account-credentials "${manager[@]}" \
        --service-account-private-key-file="$dir/pki/accounts.key" --root-ca-file="$dir/pki/ca.crt" \
        --allocate-node-cidrs=false --service-cluster-ip-range="$services" --kube-api-qps=300 --kube-api-burst=600
    run kube-scheduler "$bin/kube-scheduler" --kubeconfig="$dir/pki/kube-scheduler.conf" --leader-elect=false \
        --secure-port=0 --kube-api-qps=300 --kube-api-burst=600
    # Until then no pod can be made in it.
    await 30 "kube-controller-manager" api /api/v1/namespaces/default/serviceaccounts/default
}

# What pods need and a cluster elsewhere has: names, a queue and a store.
start_beside() {
    cat >"$dir/Corefile" <<EOF
.:53 {
  bind $control
  errors
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    kubeconfig $dir/pki/coredns.conf blockgrid
  }
  cache 2
}
EOF
    run coredns "$bin/coredns" -conf "$dir/Corefile" -quiet
    mkdir -p "$dir/redis" "$dir/s3/$bucket" "$dir/s3-versions"
    # Its password is not for `ps`.
    cat >"$dir/redis.conf" <<EOF
bind $control 127.0.0.1
port $redis_port
requirepass $(<"$dir/pki/redis")
save ""
appendonly no
maxmemory-policy noeviction
dir "$dir/redis"
EOF
    run redis "$(redis_server)" "$dir/redis.conf"
    ROOT_ACCESS_KEY=blockgrid ROOT_SECRET_KEY=$(<"$dir/pki/s3") \
        run s3 versitygw --port "$control:$s3_port" --quiet posix --versioning-dir "$dir/s3-versions" "$dir/s3"
    await 10 "redis" enter bash -c ": </dev/tcp/$control/$redis_port"
    await 10 "s3" enter bash -c ": </dev/tcp/$control/$s3_port"
}

redis_server() { command -v redis-server || command -v valkey-server; }

up() {
    local nodes="" images=() until="" n
    while (($#)); do
        case $1 in
            --nodes) nodes=$2 && shift 2 ;;
            --image) images+=("$(realpath -e -- "$2")") && shift 2 ;;
            --until) until=$2 && shift 2 ;;
            *) fail "up knows --nodes N, --image TAR and --until PID, not $1" ;;
        esac
    done
    [[ $nodes =~ ^([0-9]|10)?$ ]] || fail "--nodes takes 0 to 10, not $nodes"
    if ((${nodes:-0})) && [[ -e $dir/pki/done ]] && ! with_nodes; then
        fail "$dir has a control plane without nodes, which has other addresses: down --purge first, or another CLUSTER_DIR"
    fi
    bin=$(bash "$here/build.sh")
    # Before anything else, for that process may end at any time.
    [[ -z $until ]] || start watch bash "$here/cluster.sh" watch "$until"
    if ((${nodes:-0})) || with_nodes; then
        redis_server >/dev/null && command -v versitygw >/dev/null || fail "redis-server or versitygw is missing: bash tools/setup.sh"
        bash "$here/node.sh" net up
        host=$control
        echo "${nodes:-$(cat "$dir/nodes" 2>/dev/null || echo 0)}" >"$dir/nodes"
    fi
    ports
    secrets
    kubeconfig admin kubeconfig
    kubeconfig coredns pki/coredns.conf
    for n in kube-controller-manager kube-scheduler kube-proxy; do kubeconfig "system:$n" "pki/$n.conf"; done
    for n in {0..9}; do kubeconfig "system:node:node$n" "pki/node$n.conf"; done
    environment >"$dir/env"
    control_plane
    if with_nodes; then
        start_beside
        nodes=$(<"$dir/nodes")
        # At the same time: most of it is waiting.
        local jobs=()
        for ((n = 0; n < nodes; n++)); do
            bash "$here/node.sh" up "$n" "${images[@]}" 9>&- &
            jobs+=($!)
        done
        for n in "${jobs[@]}"; do wait "$n"; done
        for ((n = 0; n < nodes; n++)); do
            "$bin/kubectl" --kubeconfig "$dir/kubeconfig" wait --for=create "node/node$n" --timeout=60s >/dev/null
            "$bin/kubectl" --kubeconfig "$dir/kubeconfig" wait --for=condition=Ready "node/node$n" --timeout=60s >/dev/null
        done
        say "$nodes nodes, Redis and S3: source $dir/env"
    fi
    echo "$dir/kubeconfig"
}

# A test that is killed cannot clean up.
watch() { # watch PID
    local now started first=""
    while read -r now started < <(state "$1") && [[ $now != [ZX] && ${first:=$started} == "$started" ]]; do sleep 0.5; done
    exec bash "$here/cluster.sh" down --purge
}

down() {
    [[ -d $dir ]] || with_nodes || return 0
    local name failed=0
    # Unless it is the one who asks.
    [[ $(pid watch) == "$$" ]] || stop watch
    if with_nodes; then
        for name in {0..9}; do
            [[ ! -e $dir/run/node$name && ! -e /sys/class/net/bg-node$name ]] || bash "$here/node.sh" down "$name" || failed=1
        done
    fi
    # The last that started ends first, or it complains of those that it misses.
    for name in s3 redis coredns kube-scheduler kube-controller-manager kube-apiserver etcd; do stop "$name"; done
    ! with_nodes || bash "$here/node.sh" net down || failed=1
    # What could not be ended is found again by what is in it.
    ((failed == 0)) || fail "not everything has ended; to be tried again"
    [[ ${1-} == --purge ]] || return 0
    rm -rf "$dir"
    # The default is two folders deep in those of the user.
    [[ -n ${CLUSTER_DIR-} ]] || rmdir --ignore-fail-on-non-empty "$(dirname "$dir")"
}

status() {
    local name pid all=0
    ! with_nodes || components+=("${beside[@]}")
    for name in "${components[@]}"; do
        if pid=$(pid "$name"); then echo "$name: process $pid"; else echo "$name: does not run" && all=1; fi
    done
    if with_nodes; then
        for ((name = 0; name < $(<"$dir/nodes"); name++)); do bash "$here/node.sh" status "$name" || all=1; done
    fi
    return "$all"
}

host=127.0.0.1
export KUBECACHEDIR=$dir/kubectl
case ${1-} in
    up | down)
        [[ $1 == down ]] || mkdir -p -m 700 "$dir"
        if [[ -d $dir ]]; then
            exec 9>"$dir/lock"
            flock 9
        fi
        "$@"
        ;;
    kubeconfig) echo "$dir/kubeconfig" ;;
    status) status ;;
    watch) watch "$2" ;;
    *)
        sed -n '2,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
        exit 2
        ;;
esac
