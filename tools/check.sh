#!/usr/bin/env bash
# Installs what the checks need (make among it), then runs them all: the README's second command.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash tools/setup.sh </dev/null
exec make check </dev/null
