#!/usr/bin/env bash
# Installs what `make check` needs and this machine lacks. As root on Debian it does so itself; elsewhere it says what
# is missing. Only missing make, cc or cargo is an error: what needs the rest is skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

note() { echo "setup: $*"; }

if ! command -v cargo >/dev/null; then
    note "Rust is missing: https://rustup.rs" >&2
    exit 1
fi

# rustfmt and clippy come with rustup's default profile, not with its minimal one.
components=()
cargo fmt --version >/dev/null 2>&1 || components+=(rustfmt)
cargo clippy --version >/dev/null 2>&1 || components+=(clippy)
if ((${#components[@]})); then
    note "rustup component add ${components[*]}"
    rustup component add "${components[@]}"
fi

# apt-get only as root on Debian, and never waiting for an answer.
install() {
    if [[ $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; then
        note "not root on Debian, so not installed: $*"
        return
    fi
    note "apt-get install $*"
    export DEBIAN_FRONTEND=noninteractive
    if ! { apt-get update -qq && apt-get install -qq -y --no-install-recommends "$@" >/dev/null; } </dev/null; then
        note "apt-get failed; going on without: $*" >&2
    fi
}

# A C compiler and linker for Rust and for zstd.
packages=()
command -v make >/dev/null || packages+=(make)
command -v cc >/dev/null || packages+=(gcc libc6-dev)
command -v c++ >/dev/null || packages+=(g++) # libFuzzer, for the fuzzers
((${#packages[@]} == 0)) || install "${packages[@]}"

for tool in make cc; do
    if ! command -v "$tool" >/dev/null; then
        note "$tool is missing" >&2
        exit 1
    fi
done

# The test that renders the report in a browser is skipped without one.
if ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null && ! command -v google-chrome >/dev/null; then
    install chromium
fi

# A service that a package has started is not wanted: tests start servers of their own. Only of what was missing until now,
# so that a service that runs is not somebody's.
stop_service() {
    if [[ -d /run/systemd/system ]]; then
        systemctl disable --quiet --now "$1" || note "the service $1 could not be stopped" >&2
    elif [[ -x /etc/init.d/$1 ]]; then
        "/etc/init.d/$1" stop >/dev/null 2>&1 || true
    fi
}

# The tests of the grid start servers of their own, and are skipped without them: Redis (or Valkey), and versitygw for S3.
if ! command -v redis-server >/dev/null && ! command -v valkey-server >/dev/null; then
    install redis-server
    ! command -v redis-server >/dev/null || stop_service redis-server
fi
# Those of wrong clocks.
compgen -G "/usr/lib/*/faketime/libfaketime.so.1" >/dev/null || install libfaketime
go=$(command -v go || true)
[[ -n $go || ! -x /usr/local/go/bin/go ]] || go=/usr/local/go/bin/go
programs=${GOPATH:-$HOME/go}/bin
# go_install MODULE@VERSION WHAT: a program of Go's, named as the last part of its module.
go_install() {
    local program=${1%@*} said
    program=${program##*/}
    ! command -v "$program" >/dev/null && [[ ! -x $programs/$program ]] || return 0
    if [[ -z $go ]]; then
        note "Go is missing (https://go.dev/dl; Debian's is too old), so $2 is skipped: go install $1"
        return
    fi
    note "go install $1"
    # Where the checks look, whatever GOBIN says.
    said=$(GOBIN=$programs "$go" install "$1" 2>&1 </dev/null) ||
        note "go install failed; going on without $program: $(tail -n 3 <<<"$said")" >&2
}
go_install github.com/versity/versitygw/cmd/versitygw@v1.8.0 "what needs an S3 server"

# `make charts` renders the Helm chart, holds it against the schemas of Kubernetes, and tests its alerts.
go_install helm.sh/helm/v3/cmd/helm@v3.22.0 "the check of the Helm chart"
go_install github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0 "the check of the chart's objects"
# Of Prometheus its tool alone: the package would start a server.
if ! command -v promtool >/dev/null && [[ ! -x $programs/promtool ]] && command -v apt-get >/dev/null; then
    note "promtool from Debian's package prometheus"
    folder=$(mktemp -d)
    # apt-get downloads as a user of its own, which must get into the folder.
    chmod 755 "$folder"
    said=$(
        exec 2>&1 </dev/null
        cd "$folder"
        { apt-get download -qq prometheus || { apt-get update -qq && apt-get download -qq prometheus; }; } &&
            dpkg-deb -x prometheus_*.deb . && mkdir -p "$programs" && cp usr/bin/promtool "$programs"
    ) || note "it could not be had; going on without promtool: $(tail -n 3 <<<"$said")" >&2
    rm -rf "$folder"
fi

# A Kubernetes of this machine (dev/cluster), without which its tests are skipped: what its nodes run, then its own programs.
packages=()
needs() { # needs PROGRAM [PACKAGE]: where root finds it, also if that is not on the path
    PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null || packages+=("${2:-$1}")
}
needs runc
needs iptables
needs nft nftables
needs ip iproute2
needs conntrack
needs ethtool
needs socat
needs ipset
needs ebtables
needs modprobe kmod
needs jq
needs pkill procps
needs python3
needs openssl
needs curl
[[ -x /usr/lib/cni/bridge ]] || packages+=(containernetworking-plugins)
[[ -e /etc/ssl/certs/ca-certificates.crt ]] || packages+=(ca-certificates)
if ! command -v containerd >/dev/null; then
    install containerd "${packages[@]}"
    ! command -v containerd >/dev/null || stop_service containerd
elif ((${#packages[@]})); then
    install "${packages[@]}"
fi
bash dev/cluster/build.sh find >/dev/null || note "building Kubernetes, once: 6 to 8 minutes"
if ! said=$(bash dev/cluster/build.sh 2>&1 </dev/null); then
    note "Kubernetes could not be built; going on without: $(tail -n 3 <<<"$said")" >&2
fi
note "ready: $(cargo --version)"
