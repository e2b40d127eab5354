// Redis is a client of a Redis server over TCP with a pool of connections, pipelines, transactions, publish and subscribe, and
// blocking pops with time-outs.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

func must(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

func main() {
	s, err := miniredis.Run()
	must(err)
	defer s.Close()
	c := redis.NewClient(&redis.Options{Addr: s.Addr(), PoolSize: 8, PoolTimeout: time.Minute})
	ctx := context.Background()

	must(c.Set(ctx, "greeting", "hello", time.Hour).Err())
	text, err := c.Get(ctx, "greeting").Result()
	must(err)
	_, missing := c.Get(ctx, "none").Result()
	fmt.Println(text, errors.Is(missing, redis.Nil))

	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			for range 50 {
				must(c.Incr(ctx, "count").Err())
			}
		})
	}
	all.Wait()
	fmt.Println("count:", c.Get(ctx, "count").Val(), "connections within the pool:", c.PoolStats().TotalConns <= 8)

	pipe := c.Pipeline()
	for i := range 1000 {
		pipe.HSet(ctx, "hash", fmt.Sprint("field", i), i)
	}
	answers, err := pipe.Exec(ctx)
	must(err)
	fmt.Println("pipeline:", len(answers), c.HLen(ctx, "hash").Val())

	// Optimistic locking: some of these must be tried again.
	for range 8 {
		all.Go(func() {
			for {
				err := c.Watch(ctx, func(tx *redis.Tx) error {
					n, err := tx.Get(ctx, "balance").Int()
					if err != nil && !errors.Is(err, redis.Nil) {
						return err
					}
					_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
						p.Set(ctx, "balance", n+1, 0)
						return nil
					})
					return err
				}, "balance")
				if !errors.Is(err, redis.TxFailedErr) {
					must(err)
					return
				}
			}
		})
	}
	all.Wait()
	fmt.Println("balance:", c.Get(ctx, "balance").Val())

	sub := c.Subscribe(ctx, "news")
	_, err = sub.Receive(ctx)
	must(err)
	go func() {
		for i := range 10 {
			c.Publish(ctx, "news", i)
		}
	}()
	last := ""
	for range 10 {
		m, err := sub.ReceiveMessage(ctx)
		must(err)
		last = m.Payload
	}
	must(sub.Close())
	fmt.Println("last news:", last)

	go func() {
		time.Sleep(20 * time.Millisecond)
		c.LPush(ctx, "jobs", "one")
	}()
	job, err := c.BRPop(ctx, 10*time.Second, "jobs").Result()
	must(err)
	short, stop := context.WithTimeout(ctx, 30*time.Millisecond)
	defer stop()
	_, err = redis.NewClient(&redis.Options{Addr: s.Addr(), ContextTimeoutEnabled: true, MaxRetries: -1}).BRPop(short, 0, "jobs").Result()
	fmt.Println("job:", job, "then none:", err != nil)
}
