#!/usr/bin/env bash
# Rules of the house that no compiler knows: which room may use which, where `unsafe` may stand and with what reason, how
# long files and lines of comment may be. Silent when all hold. What breaks one today is listed, with its reason, in
# tools/rules/exceptions.txt; an exception nobody needs any more is a failure, too, so the list can only become shorter.
#
# tools/rules.sh [FOLDER]   checks this repository, or what lies in FOLDER
# tools/rules.sh prove      plants one violation of each rule in a copy of the sources and sees that it is found
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

check() {
	(
		cd "$1"
		{ git ls-files '*.rs' '*.go' '*.sh' '*.py' 2>/dev/null || true; } >"$scratch/files"
		# A copy is no repository.
		[ -s "$scratch/files" ] && [ -e .git ] || find . -type f -name '*.rs' -o -type f -name '*.go' -o -type f -name '*.sh' \
			-o -type f -name '*.py' | sed 's,^\./,,' | sort >"$scratch/files"
		# Files that were removed and not committed so yet are listed, too.
		while read -r file; do [ ! -e "$file" ] || echo "$file"; done <"$scratch/files" >"$scratch/present"
		awk -v exceptions=tools/rules/exceptions.txt -f tools/rules/rules.awk "$scratch/present"
	)
}

# violation NAME FILE LINE...: puts the lines at the end of the file, in a fresh copy, and wants NAME in what is said.
violation() {
	local name=$1 file=$2
	shift 2
	cp "$scratch/tree/$file" "$scratch/original"
	printf '%s\n' "$@" >>"$scratch/tree/$file"
	if check "$scratch/tree" >"$scratch/said" 2>&1; then
		echo "rules: a planted violation of \"$name\" in $file was not found" >&2
		status=1
	elif ! grep -q "$name" "$scratch/said"; then
		echo "rules: \"$name\" planted in $file was found as something else: $(head -n 1 "$scratch/said")" >&2
		status=1
	fi
	cp "$scratch/original" "$scratch/tree/$file"
}

prove() {
	status=0
	mkdir "$scratch/tree"
	git ls-files '*.rs' '*.go' '*.sh' '*.py' tools/rules | while read -r file; do
		[ ! -e "$file" ] || cp --parents "$file" "$scratch/tree"
	done
	check "$scratch/tree"
	violation 'may not use' kernel/src/cpu/msr.rs 'use crate::net::socket;'
	violation 'may not use' kernel/src/drivers/console.rs 'fn f() { crate::syscall::encode(0) }'
	violation 'may not use' kernel/src/fs/pipe/mod.rs 'use crate::syscall::file;'
	violation 'may not use' kernel/src/sync/spin.rs 'use crate::fs::OpenFile;'
	violation 'may not use' kernel/src/fs/pipe/mod.rs 'use crate::{net, syscall};'
	violation 'on one line' kernel/src/fs/pipe/mod.rs 'use crate::{' '    syscall, net};'
	violation 'unsafe is not for' kernel/src/fs/pipe/mod.rs '// SAFETY: none.' 'fn f() { unsafe { g() } }'
	violation 'unsafe is not for' crates/abi/src/lib.rs '// SAFETY: none.' 'fn f() { unsafe { g() } }'
	violation 'unsafe is not for' cli/src/main.rs '// SAFETY: none.' 'unsafe impl Send for X {}'
	violation 'without SAFETY' kernel/src/cpu/msr.rs '' 'fn f() {' '    unsafe { g() }' '}'
	violation 'without SAFETY' kernel/src/cpu/msr.rs '' 'unsafe impl Send for X {}'
	violation 'lines long' kernel/src/cpu/msr.rs "$(yes '//' | head -n 500)"
	violation 'lines long' kernel/src/sync/slots.rs "$(yes '//' | head -n 100)"
	violation 'comment is' kernel/src/cpu/msr.rs "// $(printf 'x%.0s' {1..130})"
	violation 'comment is' go/programs/hello/main.go "// $(printf 'x%.0s' {1..130})"
	violation 'not needed' tools/rules/exceptions.txt 'layer kernel/src/cpu/msr.rs net: no'
	violation 'not needed' tools/rules/exceptions.txt 'long kernel/src/cpu/msr.rs 600: no'
	violation 'without a reason' tools/rules/exceptions.txt 'layer kernel/src/cpu/msr.rs net'
	exit $status
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
case ${1:-.} in
prove) prove ;;
*) check "${1:-.}" ;;
esac
