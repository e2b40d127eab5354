#!/usr/bin/env bash
# Measures everything and writes docs/performance.md, and README.md's table from that; `make bench` calls it.
# Takes about an hour and wants a machine that does nothing else. The figures themselves stay in target/bench.json.
#
#   tools/bench.sh               measure
#   tools/bench.sh FILE.json     write the pages from what `ringo bench --json` printed
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ringo=target/release/ringo
figures=${1:-}
if [ -z "$figures" ]; then
	figures=target/bench.json
	"$ringo" bench --runs 9 --icount --linux-guest --json > "$figures.new"
	mv "$figures.new" "$figures"
fi
"$ringo" bench --from "$figures" --markdown > target/performance.md
mv target/performance.md docs/performance.md
tools/readme-results.sh
"$ringo" bench --from "$figures"
