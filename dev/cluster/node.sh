#!/usr/bin/env bash
# A node of the cluster in CLUSTER_DIR: containerd, kubelet and kube-proxy in namespaces of their own. As root.
#
#   node.sh up N [IMAGE.tar]...    starts node N (0 to 9), loads images
#   node.sh down N                 ends it as a power cut would: all its processes, its mounts, its cgroups
#   node.sh exec N COMMAND...      runs a command there, such as `pkill -9 kubelet` or `ctr -n k8s.io tasks ls`
#   node.sh status N
#   node.sh net up | down          what nodes are plugged into, and the control plane's network; cluster.sh does this
#   node.sh able                   fails, and says why, where no node can run
#
# The network of node N is cut by `ip link set bg-nodeN down`, and mended by `up`.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

able() {
    local tool folder
    [[ $(id -u) -eq 0 ]] || fail "nodes need root"
    for tool in containerd runc ctr ip nft iptables conntrack nsenter unshare pkill cc; do
        command -v "$tool" >/dev/null || fail "$tool is missing: bash tools/setup.sh"
    done
    [[ -x /usr/lib/cni/bridge ]] || fail "the CNI plugins are missing: bash tools/setup.sh"
    # A node has folders of its own there, in which it would not find its state or its programs.
    for folder in "$dir" "$(bash "$here/build.sh" find || true)"; do
        [[ ! $folder/ =~ ^(/run|/var/run|/var/lib|/var/log|/proc|/sys)/ ]] || fail "no node can have its files in $folder"
    done
    modprobe -qa overlay br_netfilter nf_tables 2>/dev/null || true
    grep -qw overlay /proc/filesystems || fail "the kernel has no overlayfs"
    [[ -w $(cgroups | head -n 1) ]] || fail "the kernel's cgroups cannot be written"
    unshare --net --mount --pid --fork --mount-proc sh -c \
        'ip link add try0 type bridge && ip link add try1 type veth peer name try2 && nft add table try' 2>/dev/null ||
        fail "the kernel has no namespaces, bridges, veth or nftables for us"
}

# Where a node's cgroup is made: in each controller's tree of version 1, or in the one of version 2.
cgroups() {
    if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then
        echo /sys/fs/cgroup
    else
        ls -d /sys/fs/cgroup/{cpu,cpuacct,cpuset,memory,pids,blkio,devices,freezer,systemd} 2>/dev/null
    fi
}

net() {
    case ${1-} in
        up)
            able
            local whose
            # Making the link is the claim: it is made by one only.
            if ! ln -sT "$dir" "$owner" 2>/dev/null; then
                whose=$(readlink "$owner")
                [[ $whose == "$dir" ]] ||
                    fail "another cluster has nodes on this machine: CLUSTER_DIR=$whose bash dev/cluster/cluster.sh down"
            fi
            ip link show "$bridge" >/dev/null 2>&1 || ip link add "$bridge" type bridge
            ip addr replace 10.200.0.1/24 dev "$bridge"
            ip link set "$bridge" up
            # `ip netns` makes it, and a mount of it.
            [[ -e /run/netns ]] || touch "$owner-netns"
            [[ -e /run/netns/blockgrid-control ]] || ip netns add blockgrid-control
            local in=(nsenter --net=/run/netns/blockgrid-control)
            [[ -e /sys/class/net/bg-control ]] || ip link add bg-control type veth peer name eth0 netns blockgrid-control
            ip link set bg-control master "$bridge" up
            "${in[@]}" ip link set lo up
            "${in[@]}" ip addr replace "$control/24" dev eth0
            "${in[@]}" ip link set eth0 up
            "${in[@]}" ip route replace default via 10.200.0.1
            local n
            for n in {0..9}; do
                # Pods of a node are behind the node.
                ip route replace "10.244.$n.0/24" via "10.200.0.$((10 + n))"
                "${in[@]}" ip route replace "10.244.$n.0/24" via "10.200.0.$((10 + n))"
            done
            ;;
        down)
            [[ $(readlink "$owner") == "$dir" ]] || return 0
            if [[ -e /run/netns/blockgrid-control ]]; then
                # None, unless $dir was removed under them.
                ip netns pids blockgrid-control | xargs -r kill -KILL
                ip netns del blockgrid-control
            fi
            ip link del bg-control 2>/dev/null || true
            ip link del "$bridge" 2>/dev/null || true
            if [[ -e $owner-netns && -z $(ls -A /run/netns) ]]; then
                umount /run/netns 2>/dev/null || true
                rmdir /run/netns
                rm "$owner-netns"
            fi
            rm "$owner"
            ;;
        *) usage ;;
    esac
}

# The first process of node N, whose namespaces are the node.
first() {
    local parent child
    parent=$(pid "$node") && child=$(<"/proc/$parent/task/$parent/children") && [[ -n $child ]] && echo "${child%% *}"
}

# Whether that has become what it shall be: namespaces, then /proc, then its program.
is_made() {
    local first
    first=$(first) && [[ $(<"/proc/$first/comm") == pause ]]
}

inside() { # inside COMMAND...: on the node
    local first
    first=$(first) || fail "$node does not run"
    nsenter --target "$first" --net --mount --pid -- "$@"
}

serve() { # serve PROGRAM [ARG]...: on the node, unless it runs; its parent is then the node's first process
    ! runs "${1##*/}" || return 0
    # shellcheck disable=SC2016
    inside bash -c 'log=$1; shift; setsid "$@" </dev/null >>"$log" 2>&1 &' - "$dir/logs/$node-${1##*/}.log" "$@"
}

runs() { inside sh -c 'grep -qsx -- "$1" /proc/[0-9]*/comm' - "$1"; }

up() {
    [[ $(readlink "$owner") == "$dir" ]] || fail "no network for nodes: cluster.sh up --nodes N"
    local bin at file group
    bin=$(bash "$here/build.sh")
    mkdir -p "$home"/{cni,lib,log,sysctl}
    if [[ ! -e $home/pause.tar ]]; then
        cc -Os -static -s -o "$home/pause" "$here/pause.c"
        python3 "$here/image.py" localhost/pause:1 "$home/pause.tar" --entrypoint /pause "pause=$home/pause" >/dev/null
    fi
    if ! is_made; then
        start "$node" unshare --net --mount --pid --fork --mount-proc --kill-child "$home/pause"
        await 5 "$node" is_made
        # Nothing that a node leaves lies about on the machine: these are its own, and go with it.
        inside mount -t tmpfs tmpfs /run
        inside mount --bind "$home/lib" /var/lib
        inside mount --bind "$home/log" /var/log
        # A kubelet wants these its way, for the whole machine. It gets files to write them to.
        for at in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys \
            kernel/keys/root_maxbytes; do
            cat "/proc/sys/$at" >"$home/sysctl/${at##*/}"
            inside mount --bind "$home/sysctl/${at##*/}" "/proc/sys/$at"
        done
        ip link del "bg-$node" 2>/dev/null || true
        ip link add "bg-$node" type veth peer name eth0 netns "$(first)"
    fi
    ip link set "bg-$node" master "$bridge" up
    inside ip link set lo up
    inside ip addr replace "$address/24" dev eth0
    inside ip link set eth0 up
    inside ip route replace default via 10.200.0.1
    for at in {0..9}; do
        [[ $at == "$n" ]] || inside ip route replace "10.244.$at.0/24" via "10.200.0.$((10 + at))"
    done
    inside sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward
        if [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ]; then echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables; fi'
    # A root for each: a kubelet removes the cgroups of pods that it does not know.
    for at in $(cgroups); do
        group=$at/blockgrid-$node
        [[ $at != /sys/fs/cgroup ]] || echo "+cpu +cpuset +memory +pids +io" >"$at/cgroup.subtree_control"
        mkdir -p "$group"
        [[ $at != */cpuset ]] || for file in cpuset.cpus cpuset.mems; do cat "$at/$file" >"$group/$file"; done
    done
    configure
    serve containerd --config "$home/containerd.toml"
    # Not `ctr version`, which is answered before images can be loaded.
    for ((at = 0; at < 200; at++)); do
        ! inside ctr -n k8s.io images ls -q >/dev/null 2>&1 || break
        sleep 0.05
    done
    for file in "$home/pause.tar" "$@"; do
        inside ctr -n k8s.io images import "$file" >/dev/null || fail "$node cannot load $file: $dir/logs/$node-containerd.log"
    done
    serve "$bin/kubelet" --config="$home/kubelet.yaml" --kubeconfig="$dir/pki/$node.conf" --hostname-override="$node" \
        --node-ip="$address"
    serve "$bin/kube-proxy" --config="$home/kube-proxy.yaml"
}

configure() {
    # Not every root may lower OOM scores (CAP_SYS_RESOURCE), so nothing tries.
    cat >"$home/containerd.toml" <<EOF
version = 2
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  disable_hugetlb_controller = true
  tolerate_missing_hugetlb_controller = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$home/cni"
EOF
    cat >"$home/cni/pods.conflist" <<EOF
{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "pods0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.$n.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
EOF
    # Images are never pulled, so none is thrown away; a lease of 8 s fits the controller manager's grace.
    cat >"$home/kubelet.yaml" <<EOF
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $address
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $dir/pki/ca.crt}}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
cgroupRoot: /blockgrid-$node
clusterDNS: [$control]
clusterDomain: cluster.local
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
evictionHard: {memory.available: 100Mi, nodefs.available: "1%", imagefs.available: "1%"}
failCgroupV1: false
failSwapOn: false
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
maxOpenFiles: 20000
nodeLeaseDurationSeconds: 8
nodeStatusUpdateFrequency: 5s
oomScoreAdj: 0
resolvConf: /dev/null
syncFrequency: 10s
volumePluginDir: /var/lib/kubelet/volumeplugins
EOF
    cat >"$home/kube-proxy.yaml" <<EOF
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clientConnection: {kubeconfig: $dir/pki/kube-proxy.conf}
clusterCIDR: 10.244.0.0/16
hostnameOverride: $node
bindAddress: 127.0.0.1
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
conntrack: {maxPerCore: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
EOF
}

down() {
    # With its first process the kernel ends all the others, and then the mounts and the network. Who started it ends
    # when all that is done. By its name, which nobody else has, for $dir may be gone.
    pkill -KILL -f -x "$home/pause" || true
    stop "$node" CONT
    ip link del "bg-$node" 2>/dev/null || true
    # A kubelet makes them in every tree, also where it needs none.
    find /sys/fs/cgroup -depth -type d -path "*/blockgrid-$node*" -exec rmdir {} +
    # What was in memory of the node is gone, so this is of pods that are gone.
    rm -rf "$home/lib/cni"
}

status() {
    local name all=0
    for name in containerd kubelet kube-proxy; do
        if is_made && runs "$name"; then echo "$node: $name runs"; else echo "$node: $name does not run" && all=1; fi
    done
    return "$all"
}

usage() {
    sed -n '2,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

command=${1-}
case $command in
    net) net "${2-}" ;;
    able) able ;;
    up | down | exec | status)
        n=${2-}
        [[ $n == [0-9] ]] || usage
        node=node$n home=$dir/node$n address=10.200.0.$((10 + n))
        shift 2
        if [[ $command == exec ]]; then inside "$@"; else "$command" "$@"; fi
        ;;
    *) usage ;;
esac
