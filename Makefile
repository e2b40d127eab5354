# make run and make test are all a fresh Debian or Ubuntu machine needs: what is missing is set up first.
SHELL := /bin/bash
GO_VERSION := $(shell grep -v '^\#' tools/go-versions | head -n 1)
export PATH := $(CURDIR)/.cache/go/$(GO_VERSION)/bin:$(HOME)/.cargo/bin:$(PATH)
export GOTOOLCHAIN := local
export CGO_ENABLED := 0
RINGO := target/release/ringo
HOST := --workspace --exclude ringo-kernel
.PHONY: setup build run test test-apps soak bench check conformance fuzz clean

setup: ; @tools/setup.sh
build: setup ; @cargo build --release -q -p ringo
run: build ; @go -C go build -o ../target/go/tour ./examples/tour && $(RINGO) run target/go/tour hello from the host
test: build ; @tools/test.sh
test-apps: build ; @tools/setup.sh apps && tools/test-apps.sh
soak: build ; @tools/soak.sh
bench: build ; @tools/setup.sh linux-guest && tools/setup.sh apps && tools/bench.sh
check: build ; @tools/rules.sh && tools/rules.sh prove && cargo fmt --all --check && cargo clippy -q $(HOST) --all-targets -- -D warnings && cargo clippy -q -p ringo-kernel --target x86_64-unknown-none -- -D warnings && test -z "$$(gofmt -l go | tee /dev/stderr)" && go -C go vet ./... && tools/test.sh icount
conformance: build ; @cargo run --release -q -p ringo-conformance
fuzz: ; @tools/setup.sh fuzz && tools/fuzz.sh
clean: ; @cargo clean -q; rm -rf target
