#!/usr/bin/env bash
# build.sh: builds Kubernetes from Go modules, once, and prints the folder of its programs.
# build.sh find: prints that folder if it is built already, and fails if not.
#
# It is kept outside the clone, by what it is made of, so that all clones and runs share it: 6 to 8 minutes cold, then
# instant. CLUSTER_CACHE names another place.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

version=1.34.4
cache=${CLUSTER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/blockgrid/cluster}
key=$(cat build.sh go.mod go.sum main.go | sha256sum)
out=$cache/${key::16}

is_built() { [[ -x $out/kubernetes ]]; }

build() {
    local go x=k8s.io/component-base/version
    go=$(command -v go) || go=/usr/local/go/bin/go
    if [[ ! -x $go ]]; then
        echo "cluster: Go 1.25 or later is missing (https://go.dev/dl; Debian's is too old)" >&2
        return 1
    fi
    echo "cluster: building Kubernetes $version into $out: 6 to 8 minutes the first time" >&2
    rm -rf "$out" "$out.new"
    mkdir -p "$out.new"
    # Without a version, clients take the server for one of 2015.
    CGO_ENABLED=0 "$go" build -trimpath -o "$out.new/kubernetes" -ldflags "-s -w -X $x.gitVersion=v$version \
        -X $x.gitMajor=1 -X $x.gitMinor=34 -X $x.gitTreeState=clean -X $x.buildDate=1970-01-01T00:00:00Z" . >&2
    local name
    for name in etcd coredns kubectl kubelet kube-apiserver kube-controller-manager kube-proxy kube-scheduler; do
        ln -s kubernetes "$out.new/$name"
    done
    mv "$out.new" "$out" # all at once: whoever sees the folder may use it
}

if ! is_built; then
    [[ ${1-} != find ]] || exit 1
    mkdir -p "$cache"
    # Whoever comes second waits for the first.
    exec 9>"$cache/lock"
    flock 9
    is_built || build 9>&-
fi
echo "$out"
