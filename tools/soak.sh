#!/usr/bin/env bash
# Ten thousand silent clients beside busy ones (go/programs/crowd), then ten minutes of streams over a line that drops, repeats
# and reorders packets (go/programs/lossy); `make soak` calls it.
#   tools/soak.sh [ENGINE [TIME]]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH=$PWD/.cache/go/$(grep -v '^#' tools/go-versions | head -n 1)/bin:$PATH GOTOOLCHAIN=local CGO_ENABLED=0
go -C go build -o ../target/go/ ./programs/lossy ./programs/crowd
target/go/crowd run -silent 10000 target/release/ringo run --engine "${1:-kvm}" --memory 512M --net tap:vm0 \
	--ip 192.0.2.2/24 target/go/crowd serve
exec target/go/lossy run -time "${2:-10m}" -connections 32 target/release/ringo run --engine "${1:-kvm}" --net tap:vm0 \
	--ip 192.0.2.2/24 --stats target/go/lossy serve
