// Dialer goes out: it asks a name server by UDP and by TCP, fetches a page by HTTPS, and uses a Redis and a PostgreSQL server,
// each at the address that it is given ("-" leaves one out).
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
)

var (
	dns      = flag.String("dns", "-", "name server's `address`")
	page     = flag.String("https", "-", "`URL`")
	ca       = flag.String("ca", "", "`file` with the certificate authority")
	host     = flag.String("host", "-", "`address` that the page's name stands for")
	cache    = flag.String("redis", "-", "Redis server's `address`")
	database = flag.String("postgres", "-", "PostgreSQL server's `URL`")
)

func must(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

func names(ctx context.Context) {
	for _, network := range []string{"udp", "tcp"} {
		resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, *dns)
		}}
		hosts, err := resolver.LookupHost(ctx, "www.example.test.")
		must(err)
		words, err := resolver.LookupTXT(ctx, "www.example.test.")
		must(err)
		fmt.Println("dns", network, hosts, words)
	}
}

func https(ctx context.Context) {
	pem, err := os.ReadFile(*ca)
	must(err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, *host)
		},
	}
	request, err := http.NewRequestWithContext(ctx, "GET", *page, nil)
	must(err)
	response, err := (&http.Client{Transport: transport}).Do(request)
	must(err)
	body, err := io.ReadAll(response.Body)
	must(err)
	fmt.Println("https", response.Proto, response.StatusCode, len(body))
}

func redisServer(ctx context.Context) {
	c := redis.NewClient(&redis.Options{Addr: *cache, PoolSize: 4})
	pipe := c.Pipeline()
	for i := range 10_000 {
		pipe.Set(ctx, fmt.Sprint("key", i), i, 0)
	}
	_, err := pipe.Exec(ctx)
	must(err)
	big := make([]byte, 5_000_000)
	must(c.Set(ctx, "big", big, 0).Err())
	back, err := c.Get(ctx, "big").Bytes()
	must(err)
	size, err := c.DBSize(ctx).Result()
	must(err)
	fmt.Println("redis", size, len(back))
}

func postgres(ctx context.Context) {
	pool, err := pgxpool.New(ctx, *database)
	must(err)
	defer pool.Close()
	_, err = pool.Exec(ctx, "create temporary table t (n int, word text)")
	must(err)
	tx, err := pool.Begin(ctx)
	must(err)
	for i := range 500 {
		_, err = tx.Exec(ctx, "select $1::int, $2::text", i, fmt.Sprint("word ", i))
		must(err)
	}
	must(tx.Commit(ctx))
	var sum int
	must(pool.QueryRow(ctx, "select sum(n) from generate_series(1, 100000) n").Scan(&sum))
	rows, err := pool.Query(ctx, "select repeat('x', 1000) from generate_series(1, 3000)")
	must(err)
	bytes := 0
	for rows.Next() {
		var text string
		must(rows.Scan(&text))
		bytes += len(text)
	}
	must(rows.Err())
	fmt.Println("postgres", sum, bytes)
}

func main() {
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, part := range []struct {
		address string
		work    func(context.Context)
	}{{*dns, names}, {*page, https}, {*cache, redisServer}, {*database, postgres}} {
		if part.address != "-" {
			part.work(ctx)
		}
	}
}
