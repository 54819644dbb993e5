#!/usr/bin/env bash
# Installs what `make check` needs and this machine lacks. As root on Debian it does so itself; elsewhere it says what
# is missing. Only missing make, cc or cargo is an error: what needs the rest is skipped.
set -euo pipefail

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
note "ready: $(cargo --version)"
