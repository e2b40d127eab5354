package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"ringo.dev/go/internal/prog"
	"ringo.dev/go/internal/testnet"
)

// A request is what the first bytes of a connection say: which streams go each way, how long they are.
type request struct{ Seed, Up, Down uint64 }

// The seed with which a client asks how much memory the server's machine has in use.
const memory = 0

// A stream is bytes that only its seed decides.
type stream struct {
	state uint64
	left  uint64
}

func (s *stream) Read(into []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	count := int(min(uint64(len(into)), s.left))
	if count > 8 {
		count &^= 7
	}
	for at := 0; at < count; at += 8 {
		s.state = s.state*6364136223846793005 + 1442695040888963407
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], s.state)
		copy(into[at:count], word[:])
	}
	s.left -= uint64(count)
	return count, nil
}

// same reads all of a stream from a connection, and says what differs.
func same(from io.Reader, seed, length uint64) error {
	expected, got := &stream{seed, length}, make([]byte, 32<<10)
	wanted := make([]byte, len(got))
	for expected.left > 0 {
		at := length - expected.left
		n, _ := expected.Read(wanted)
		if _, err := io.ReadFull(from, got[:n]); err != nil {
			return fmt.Errorf("at %d of %d: %w", at, length, err)
		}
		if !bytes.Equal(got[:n], wanted[:n]) {
			return fmt.Errorf("wrong bytes after %d of %d", at, length)
		}
	}
	return nil
}

// both sends one stream and receives another at the same time.
func both(c net.Conn, sends, receives uint64, sent, received uint64) error {
	failed := make(chan error, 1)
	go func() {
		_, err := io.CopyBuffer(struct{ io.Writer }{c}, &stream{sends, sent}, make([]byte, 32<<10))
		failed <- err
	}()
	err := same(c, receives, received)
	return join(err, <-failed)
}

func join(errors ...error) error {
	for _, err := range errors {
		if err != nil {
			return err
		}
	}
	return nil
}

func serve() {
	l, err := net.Listen("tcp", ":7000")
	prog.Must(err)
	for {
		c, err := l.Accept()
		prog.Must(err)
		go func() {
			defer c.Close()
			var r request
			if binary.Read(c, binary.LittleEndian, &r) != nil {
				return
			}
			if r.Seed == memory {
				debug.FreeOSMemory()
				fmt.Fprintln(c, testnet.MemoryInUse())
				return
			}
			if err := both(c, r.Seed+1, r.Seed, r.Down, r.Up); err != nil {
				fmt.Fprintln(os.Stderr, "server:", err)
				return
			}
			// Only now the client knows that all has come.
			io.WriteString(c, "!")
		}()
	}
}

func ask(r request) (*net.TCPConn, error) {
	c, err := net.DialTimeout("tcp", server, time.Minute)
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), binary.Write(c, binary.LittleEndian, r)
}

// one connection's whole life.
func one(r request) error {
	c, err := ask(r)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Minute))
	if err := both(c, r.Seed, r.Seed+1, r.Up, r.Down); err != nil {
		return err
	}
	var end [1]byte
	_, err = io.ReadFull(c, end[:])
	return err
}

// exchange has so many connections at once exchange streams, one after the other, for so long; every byte is looked at.
func exchange(connections int, length time.Duration) {
	var count, moved atomic.Uint64
	var failed sync.Map
	round := func(length time.Duration) {
		var all sync.WaitGroup
		begin := time.Now()
		for worker := 0; worker < connections; worker++ {
			worker := worker
			all.Add(1)
			go func() {
				defer all.Done()
				chance := rand.New(rand.NewSource(int64(worker)))
				for time.Since(begin) < length {
					// Most are short, some long.
					size := func() uint64 { return uint64(chance.Intn(1 << (4 + chance.Intn(17)))) }
					r := request{uint64(chance.Int63n(1<<40)*2 + 2), size(), size()}
					if err := one(r); err != nil {
						failed.Store(fmt.Sprint(err), true)
						return
					}
					count.Add(1)
					moved.Add(r.Up + r.Down)
				}
			}()
		}
		all.Wait()
	}
	round(length / 4)
	before := used()
	round(length - length/4)
	after := used()
	failures := 0
	failed.Range(func(err, _ any) bool { fmt.Println(err); failures++; return true })
	fmt.Fprintf(os.Stderr, "%d connections, %d KiB, memory in use %d KiB, at the end %d KiB\n", count.Load(), moved.Load()>>10, before, after)
	prog.Check(failures == 0 && count.Load() > 0, "not every connection came to its end")
	prog.Check(after < before+(16<<10), "memory in use grew from %d to %d KiB", before, after)
	fmt.Println("every byte was right")
}

// used asks the server when nothing goes on any more.
func used() (kibibytes int) {
	time.Sleep(time.Second)
	c, err := ask(request{Seed: memory})
	prog.Must(err)
	defer c.Close()
	_, err = fmt.Fscan(c, &kibibytes)
	prog.Must(err)
	return kibibytes
}

// measure prints how fast one stream is each way, alone.
func measure(length time.Duration) {
	rate := func(up, down uint64) float64 {
		begin := time.Now()
		c, err := ask(request{2, up, down})
		prog.Must(err)
		defer c.Close()
		c.SetDeadline(begin.Add(length))
		var moved int64
		if up > 0 {
			buffer := make([]byte, 32<<10)
			source := &stream{2, up}
			for {
				n, _ := source.Read(buffer)
				n, err = c.Write(buffer[:n])
				moved += int64(n)
				if err != nil {
					break
				}
			}
		} else {
			moved, _ = io.Copy(io.Discard, c)
		}
		return float64(moved) / time.Since(begin).Seconds() / 1e6
	}
	fmt.Printf("in %.1f MB/s\n", rate(1<<50, 0))
	fmt.Printf("out %.1f MB/s\n", rate(0, 1<<50))
}
