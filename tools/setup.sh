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

# make; a C compiler and linker for Rust and for zstd; Chromium for the test that renders the report.
packages=()
command -v make >/dev/null || packages+=(make)
if ! command -v cc >/dev/null; then
    packages+=(gcc libc6-dev)
fi
if ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null && ! command -v google-chrome >/dev/null; then
    packages+=(chromium)
fi
if ((${#packages[@]})); then
    if [[ $(id -u) -eq 0 ]] && command -v apt-get >/dev/null; then
        note "apt-get install ${packages[*]}"
        export DEBIAN_FRONTEND=noninteractive
        if ! { apt-get update -qq && apt-get install -qq -y --no-install-recommends "${packages[@]}" >/dev/null; } </dev/null; then
            note "apt-get failed; going on without: ${packages[*]}" >&2
        fi
    else
        note "not root on Debian, so not installed: ${packages[*]}"
    fi
fi

for tool in make cc; do
    if ! command -v "$tool" >/dev/null; then
        note "$tool is missing" >&2
        exit 1
    fi
done
note "ready: $(cargo --version)"
