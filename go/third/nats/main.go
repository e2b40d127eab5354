// Nats runs a NATS server with JetStream in files and clients of it over TCP: publish and subscribe, requests, queue groups, a
// stream that is read again after the server was stopped and started.
package main

import (
	"context"
	"fmt"
	"os"
	"sort"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func must(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

func start(folder string) (*server.Server, *nats.Conn) {
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: folder, NoLog: true, NoSigs: true,
	})
	must(err)
	go s.Start()
	if !s.ReadyForConnections(20 * time.Second) {
		must(fmt.Errorf("the server is not ready"))
	}
	c, err := nats.Connect(s.ClientURL(), nats.Timeout(10*time.Second))
	must(err)
	return s, c
}

func core(c *nats.Conn) {
	var lock sync.Mutex
	var got []string
	var done sync.WaitGroup
	done.Add(300)
	for range 3 {
		_, err := c.QueueSubscribe("work.*", "workers", func(m *nats.Msg) {
			lock.Lock()
			got = append(got, m.Subject+"="+string(m.Data))
			lock.Unlock()
			done.Done()
		})
		must(err)
	}
	for i := range 300 {
		must(c.Publish(fmt.Sprintf("work.%d", i%7), []byte(fmt.Sprint(i))))
	}
	done.Wait()
	sort.Strings(got)
	fmt.Println("queue group:", len(got), got[0], got[len(got)-1])

	_, err := c.Subscribe("double", func(m *nats.Msg) { m.Respond(append(m.Data, m.Data...)) })
	must(err)
	big := make([]byte, 200_000)
	for _, size := range []int{1, 1000, len(big)} {
		answer, err := c.Request("double", big[:size], 10*time.Second)
		must(err)
		fmt.Println("request:", size, len(answer.Data))
	}
	_, err = c.Request("nobody", nil, time.Second)
	fmt.Println("nobody:", err)
}

func main() {
	folder, err := os.MkdirTemp("", "nats")
	must(err)
	defer os.RemoveAll(folder)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	s, c := start(folder)
	core(c)
	js, err := jetstream.New(c)
	must(err)
	_, err = js.CreateStream(ctx, jetstream.StreamConfig{Name: "EVENTS", Subjects: []string{"events.>"}})
	must(err)
	for i := range 200 {
		ack, err := js.Publish(ctx, "events.n", []byte(fmt.Sprint(i)))
		must(err)
		if i == 199 {
			fmt.Println("stored:", ack.Stream, ack.Sequence)
		}
	}
	c.Close()
	s.Shutdown()
	s.WaitForShutdown()

	s, c = start(folder)
	js, err = jetstream.New(c)
	must(err)
	consumer, err := js.CreateOrUpdateConsumer(ctx, "EVENTS", jetstream.ConsumerConfig{AckPolicy: jetstream.AckExplicitPolicy})
	must(err)
	batch, err := consumer.Fetch(200, jetstream.FetchMaxWait(10*time.Second))
	must(err)
	sum, n := 0, 0
	for m := range batch.Messages() {
		var value int
		fmt.Sscan(string(m.Data()), &value)
		sum += value
		n++
		must(m.Ack())
	}
	must(batch.Error())
	fmt.Println("read after a restart:", n, sum)
	c.Close()
	s.Shutdown()
	s.WaitForShutdown()
}
