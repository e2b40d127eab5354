#!/usr/bin/env bash
# Puts the telling rows of docs/performance.md into README.md, between its two marks. `make bench` calls it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
rows='syscall/getpid|syscall/write-null|threads/token|pipe/round-trip|file/create-remove|file/read-4k|mix/write-and-channels-2|signal/nil-dereference|memory/allocate-gc|goroutines/token|net/request-1k-64|net/http-1k-64|cpu/sha256-1m|cpu/json'
table=$(mktemp)
trap 'rm -f "$table"' EXIT
{
	grep -E '^\| case|^\|---' docs/performance.md
	grep -E "^\| ($rows) " docs/performance.md
	echo
	sed -n 's/^- \*\*\(Date\|CPU\|Engine\|Go\)\*\*: /\1: /p' docs/performance.md | paste -sd '|' | sed 's/|/; /g; s/$/./'
} > "$table"
awk -v table="$table" '
	/<!-- results -->/ { print; while ((getline line < table) > 0) print line; skipping = 1; next }
	/<!-- end of results -->/ { skipping = 0 }
	!skipping' README.md > README.md.new
mv README.md.new README.md
