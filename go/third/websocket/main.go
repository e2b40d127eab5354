// Websocket echoes messages between an HTTP server and many clients: upgrades, pings, large and fragmented messages, closing
// with a status, and a client that goes away.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

func must(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

func main() {
	var gone atomic.Int32
	left := make(chan struct{}, 1000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionContextTakeover})
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(4 << 20)
		for {
			kind, reader, err := c.Reader(r.Context())
			if err != nil {
				gone.Add(1)
				left <- struct{}{}
				return
			}
			writer, err := c.Writer(r.Context(), kind)
			must(err)
			if _, err := io.Copy(writer, reader); err != nil {
				return
			}
			must(writer.Close())
		}
	}))
	defer server.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	dial := func() *websocket.Conn {
		c, _, err := websocket.Dial(ctx, server.URL, &websocket.DialOptions{CompressionMode: websocket.CompressionContextTakeover})
		must(err)
		c.SetReadLimit(4 << 20)
		return c
	}
	c := dial()
	must(wsjson.Write(ctx, c, map[string]int{"a": 1}))
	var back map[string]int
	must(wsjson.Read(ctx, c, &back))
	large := strings.Repeat("0123456789", 200_000)
	must(c.Write(ctx, websocket.MessageText, []byte(large)))
	_, data, err := c.Read(ctx)
	must(err)
	fmt.Println("json:", back, "large:", string(data) == large)
	must(c.Close(websocket.StatusNormalClosure, ""))

	var all sync.WaitGroup
	var total atomic.Int64
	for i := range 64 {
		all.Go(func() {
			c := dial()
			for n := range 20 {
				must(c.Write(ctx, websocket.MessageBinary, make([]byte, i*n)))
				_, data, err := c.Read(ctx)
				must(err)
				total.Add(int64(len(data)))
			}
			if i%2 == 0 {
				c.CloseNow()
			} else {
				must(c.Close(websocket.StatusGoingAway, "bye"))
			}
		})
	}
	all.Wait()
	for range 65 {
		<-left
	}
	fmt.Println("many:", total.Load(), "gone:", gone.Load())
}
