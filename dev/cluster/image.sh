#!/usr/bin/env bash
# image.sh OUT.tar: builds the programs that run in pods, static, and writes them into an image, without Docker.
# The Dockerfile makes the same of a clean checkout.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(realpath -m -- "${1:?image.sh OUT.tar}")
cd "$here/../.."

programs=(blockgrid-worker)
[[ ! -e controller/Cargo.toml ]] || programs+=(blockgrid-controller)
certificates=/etc/ssl/certs/ca-certificates.crt
if [[ ! -e $certificates ]]; then
    echo "image: $certificates is missing: apt-get install ca-certificates" >&2
    exit 1
fi

# With a target named, even the machine's own, the flags are for programs only: a macro cannot be static.
target=$(rustc --print host-tuple)
RUSTFLAGS="-C target-feature=+crt-static" \
    cargo build --release --locked --target "$target" "${programs[@]/#/--package=}"
built=${CARGO_TARGET_DIR:-target}/$target/release
files=(tmp=1777/ "etc/ssl/certs/ca-certificates.crt=$certificates")
for program in "${programs[@]}"; do files+=("$program=$built/$program"); done
# No name for the user: there is no /etc/passwd. No entrypoint: there are several programs, and pods name one.
python3 dev/cluster/image.py localhost/blockgrid:dev "$out" --user 65532:65532 "${files[@]}"
