#!/usr/bin/env bash
# image.sh OUT.tar: builds the program that runs in pods, static, and writes it into an image, without Docker.
# The Dockerfile makes the same of a clean checkout.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(realpath -m -- "${1:?image.sh OUT.tar}")
cd "$here/../.."

certificates=/etc/ssl/certs/ca-certificates.crt
if [[ ! -e $certificates ]]; then
    echo "image: $certificates is missing: apt-get install ca-certificates" >&2
    exit 1
fi

# With a target named, even the machine's own, the flags are for programs only: a macro cannot be static.
target=$(rustc --print host-tuple)
RUSTFLAGS="-C target-feature=+crt-static" \
    cargo build --release --locked --target "$target" --package blockgrid-pod
built=${CARGO_TARGET_DIR:-target}/$target/release
# One file, under the name of each program.
files=(tmp=1777/ "etc/ssl/certs/ca-certificates.crt=$certificates" "blockgrid-pod=$built/blockgrid-pod")
for program in blockgrid-worker blockgrid-controller; do files+=("$program=>blockgrid-pod"); done
# No name for the user: there is no /etc/passwd. No entrypoint: it is called by the name of a program, and pods say which.
python3 dev/cluster/image.py localhost/blockgrid:dev "$out" --user 65532:65532 "${files[@]}"
