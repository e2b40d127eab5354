#!/usr/bin/env bash
# Servers that nobody here wrote, as their authors publish them, run with `ringo run --publish` and driven by real clients on
# the host: Caddy (curl, wrk), CoreDNS (dig), etcd (etcdctl), the NATS server, and a program that dials out to Redis,
# PostgreSQL, an HTTPS and a name server on the host. Everything stays on loopback. Closes with one line of totals.
#   tools/test-apps.sh [ENGINE [NAME]]     engine: kvm (default) or tcg; name: caddy, coredns, etcd, nats, dialer
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
engine=${1:-kvm} only=${2:-}
export PATH=$PWD/.cache/go/$(grep -v '^#' tools/go-versions | head -n 1)/bin:$PATH GOTOOLCHAIN=local CGO_ENABLED=0
ringo=$PWD/target/release/ringo
bin=$PWD/target/apps
work=$(mktemp -d)
passed=0 failed=0
started=()

finish() {
	for pid in "${started[@]}"; do kill "$pid" 2>/dev/null; done
	wait 2>/dev/null
	rm -rf "$work"
}
trap finish EXIT

# check NAME COMMAND...: the command succeeds.
check() {
	local name=$1 said
	shift
	if said=$("$@" 2>&1); then
		passed=$((passed + 1))
		echo "ok      $name"
	else
		failed=$((failed + 1))
		printf 'FAILED  %s\n%s\n' "$name" "$(tail -n 5 <<<"$said" | cut -c1-300)"
	fi
}
# says TEXT COMMAND...: its output has the text. Commands have limits of their own.
says() {
	local wanted=$1 said
	shift
	said=$("$@" 2>&1)
	[[ $said == *"$wanted"* ]] || { echo "not '$wanted' but: $said"; return 1; }
}
# background LOG COMMAND...: runs until the end of this script.
background() {
	local log=$1
	shift
	timeout -k 5 600 "$@" </dev/null >"$work/$log.log" 2>&1 &
	started+=($!)
}
# A port of loopback that is free just now.
port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
# soon COMMAND...: it succeeds within a minute and a half.
soon() {
	local i
	for ((i = 0; i < 180; i++)); do
		"$@" >/dev/null 2>&1 && return
		sleep 0.5
	done
	"$@"
}
build() {
	[ -z "$only" ] || [ "$only" = "$1" ] || return 1
	mkdir -p "$bin"
	go -C go/apps build -o "$bin/$1" "$2" || { check "$1 is built" false; return 1; }
}

caddy() {
	build caddy github.com/caddyserver/caddy/v2/cmd/caddy || return
	local http tls root=$work/caddy
	http=$(port) tls=$(port)
	mkdir -p "$root/srv"
	head -c 5000000 /dev/urandom >"$root/srv/big"
	echo "hello from ring 0" >"$root/srv/index.html"
	cat >"$root/Caddyfile" <<-END
		{
			admin off
			auto_https disable_redirects
			skip_install_trust
		}
		http://:80 {
			root * /srv
			encode gzip
			reverse_proxy /api/* 127.0.0.1:9000
			file_server
		}
		http://:9000 {
			respond "backend {uri}"
		}
		https://localhost {
			tls internal
			root * /srv
			file_server
		}
	END
	background caddy "$ringo" run --engine "$engine" --publish "127.0.0.1:$http:80" --publish "127.0.0.1:$tls:443" \
		--root "$root" "$bin/caddy" run --config /Caddyfile
	local plain=http://127.0.0.1:$http secure=https://localhost:$tls
	check "caddy serves a file" soon says "hello from ring 0" curl -sS -m 5 "$plain/"
	check "caddy serves a large file" cmp <(curl -sS -m 60 "$plain/big") "$root/srv/big"
	check "caddy serves a range" says 1000 curl -sS -m 30 -r 1000-1999 -o /dev/null -w '%{size_download}' "$plain/big"
	check "caddy compresses" cmp <(curl -sS -m 60 --compressed "$plain/big") "$root/srv/big"
	check "caddy is a reverse proxy" says "backend /api/x" curl -sS -m 30 "$plain/api/x"
	check "caddy speaks HTTP/2 over TLS" says "2 200" curl -sSk -m 30 --http2 -o /dev/null -w '%{http_version} %{http_code}' "$secure/"
	check "caddy speaks HTTP/1.1 over TLS" cmp <(curl -sSk -m 60 --http1.1 "$secure/big") "$root/srv/big"
	check "caddy under load" under_load "$plain/"
}
# Every answer under load is good; the rate is printed, not judged.
under_load() {
	local said
	said=$(timeout 60 wrk -t 2 -c 64 -d 5s "$1") || return 1
	grep 'Requests/sec' <<<"$said" >&3
	! grep -E 'Socket errors|Non-2xx' <<<"$said"
}

coredns() {
	build coredns github.com/coredns/coredns || return
	local host root=$work/coredns
	host=$(port)
	zone "$root"
	background coredns "$ringo" run --engine "$engine" --publish "127.0.0.1:$host:53/udp" --publish "127.0.0.1:$host:53" \
		--root "$root" "$bin/coredns" -conf /Corefile
	local ask="dig +short +time=2 +tries=2 @127.0.0.1 -p $host"
	check "coredns answers by UDP" soon says 192.0.2.1 $ask www.example.test
	check "coredns answers by TCP" says 192.0.2.1 $ask +tcp www.example.test
	check "coredns knows other types" says "some words" $ask TXT www.example.test
	check "coredns follows an alias" says 192.0.2.1 $ask alias.example.test
	check "coredns knows what is not there" says NXDOMAIN dig +time=2 @127.0.0.1 -p "$host" none.example.test
}
# A zone and its Corefile in a folder.
zone() {
	mkdir -p "$1"
	cat >"$1/zone" <<-END
		\$ORIGIN example.test.
		@ 60 IN SOA ns admin 1 60 60 60 60
		@ 60 IN NS ns
		ns 60 IN A 127.0.0.1
		www 60 IN A 192.0.2.1
		www 60 IN TXT "some words"
		alias 60 IN CNAME www
	END
	printf 'example.test:%s {\n\tfile %s\n}\n' "${2:-53}" "${3:-/zone}" >"$1/Corefile"
}

etcd() {
	build etcd go.etcd.io/etcd/server/v3 && go -C go/apps build -o "$bin/etcdctl" go.etcd.io/etcd/etcdctl/v3 || return
	local host
	host=$(port)
	background etcd "$ringo" run --engine "$engine" --publish "127.0.0.1:$host:2379" "$bin/etcd" --data-dir /tmp/etcd \
		--listen-client-urls http://0.0.0.0:2379 --advertise-client-urls "http://127.0.0.1:$host" --log-level error
	ctl() { timeout 60 "$bin/etcdctl" --endpoints "127.0.0.1:$host" --command-timeout 20s "$@"; }
	check "etcd is healthy" soon ctl endpoint health
	check "etcd takes keys" many_keys
	check "etcd gives them back" says 200 count_keys
	check "etcd has transactions" says SUCCESS ctl txn <<<$'value("key1") = "1"\n\nput key1 one\n\n\n\n'
	check "etcd has leases" says granted ctl lease grant 60
	check "etcd tells watchers" watched
	check "etcd compacts" ctl compact 100
}
many_keys() {
	local i
	for ((i = 1; i <= 200; i++)); do ctl put "key$i" "$i" || return; done
}
count_keys() { ctl get --prefix key --keys-only | grep -c key; }
watched() {
	ctl watch --prefix news >"$work/watched" &
	local watcher=$!
	sleep 1
	ctl put news1 something || return 1
	soon grep -q something "$work/watched"
	local result=$?
	kill $watcher
	return $result
}

nats() {
	build nats github.com/nats-io/nats-server/v2 || return
	local host
	host=$(port)
	background nats "$ringo" run --engine "$engine" --publish "127.0.0.1:$host:4222" "$bin/nats" -a 0.0.0.0 -js -sd /tmp/jetstream
	check "nats greets" soon says INFO bash -c "exec 3<>/dev/tcp/127.0.0.1/$host; timeout 5 head -n 1 <&3"
	check "nats passes messages on" says 'MSG news 1 5' bash -c "
		exec 3<>/dev/tcp/127.0.0.1/$host
		printf 'CONNECT {\"verbose\":false}\r\nSUB news 1\r\nPUB news 5\r\nhello\r\nPING\r\n' >&3
		timeout 20 sed '/^PONG/q' <&3"
}

dialer() {
	build dialer ./dialer || return
	[ -x "$bin/coredns" ] || go -C go/apps build -o "$bin/coredns" github.com/coredns/coredns
	[ -x "$bin/caddy" ] || go -C go/apps build -o "$bin/caddy" github.com/caddyserver/caddy/v2/cmd/caddy
	local root=$work/dialer names secure cache database
	names=$(port) secure=$(port) cache=$(port) database=$(port)
	zone "$root" "$names" "$root/zone"
	background names "$bin/coredns" -conf "$root/Corefile"
	printf '{\n\tadmin off\n\tskip_install_trust\n\thttps_port %s\n\tauto_https disable_redirects\n\tstorage file_system %s\n}\nhttps://page.test {\n\ttls internal\n\trespond "%s"\n}\n' \
		"$secure" "$root/store" "$(head -c 3000 /dev/zero | tr '\0' x)" >"$root/Caddyfile"
	background page "$bin/caddy" run --config "$root/Caddyfile"
	background cache redis-server --port "$cache" --bind 127.0.0.1 --save '' --dir "$root"
	local ca=$root/store/pki/authorities/local/root.crt
	soon test -s "$ca"
	soon dig +short +time=1 @127.0.0.1 -p "$names" www.example.test
	out() { timeout 120 "$ringo" run --engine "$engine" --net user "$@"; }
	check "a program asks names" says "dns tcp [192.0.2.1] [some words]" out "$bin/dialer" -dns "10.0.2.2:$names"
	cp "$ca" "$root/ca.crt"
	mkdir -p "$root/files" && cp "$ca" "$root/files/ca.crt"
	check "a program fetches by HTTPS" says "https HTTP/2.0 200 3000" out --root "$root/files" "$bin/dialer" \
		-ca /ca.crt -https https://page.test/ -host "10.0.2.2:$secure"
	check "a program uses Redis" says "redis 10001 5000000" out "$bin/dialer" -redis "10.0.2.2:$cache"
	postgres "$root/database" "$database" &&
		check "a program uses PostgreSQL" says "postgres 5000050000 3000000" out "$bin/dialer" \
			-postgres "postgres://tester@10.0.2.2:$database/postgres?sslmode=disable"
}
# A PostgreSQL server of our own, which does not run as root.
postgres() {
	local tools=(/usr/lib/postgresql/*/bin) as=()
	mkdir -p "$1"
	if [ "$(id -u)" = 0 ]; then
		as=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
		chmod a+x "$work" "$(dirname "$1")"
		chown nobody "$1"
	fi
	"${as[@]}" "${tools[0]}/initdb" -D "$1/data" -U tester -A trust >"$work/initdb.log" 2>&1 || { cat "$work/initdb.log"; return 1; }
	background database "${as[@]}" "${tools[0]}/postgres" -D "$1/data" -p "$2" -c listen_addresses=127.0.0.1 -k "$1"
	soon "${tools[0]}/pg_isready" -q -h 127.0.0.1 -p "$2"
}

exec 3>&1
for app in caddy coredns etcd nats dialer; do "$app"; done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
