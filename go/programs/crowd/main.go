// Crowd is a server and very many clients, most of which are connected and say nothing.
//
//	crowd serve                               the server: what comes goes back
//	crowd run [OPTIONS] COMMAND [ARGUMENT]... makes a network namespace; COMMAND is the server, which gets the interface
//	                                          vm0 (`ringo run --net tap:vm0 --ip 192.0.2.2/24`), here are the clients
//	crowd run [OPTIONS] linux                 the same with the server a Linux process
//
// It fails where a client is not served or memory is not given back; rates it only prints.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"ringo.dev/go/internal/prog"
	"ringo.dev/go/internal/testnet"
)

const (
	echoes  = "192.0.2.2:7000"
	figures = "192.0.2.2:7001"
	// The length of a question, and of its answer.
	length = 1024
	// How many connections are opened or closed at the same time.
	hands = 32
	// The most memory that a silent connection may take, in KiB: the program's own part of it, too.
	dear = 64
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		serve()
		return
	}
	flags := flag.NewFlagSet("crowd run", flag.ExitOnError)
	silent := flags.Int("silent", 2000, "how many clients are connected and say nothing")
	busy := flags.Int("busy", 64, "how many ask one question after the other")
	long := flags.Duration("time", 3*time.Second, "how long these do, each time")
	prog.Check(len(os.Args) > 2 && os.Args[1] == "run", "crowd serve, or crowd run COMMAND")
	flags.Parse(os.Args[2:])
	prog.Check(flags.NArg() > 0, "no command")
	if testnet.Enter() {
		return
	}
	testnet.IP("link set lo up")
	end := testnet.Start(flags.Args())
	testnet.IP("address add " + testnet.Host + " dev vm0")
	testnet.IP("link set vm0 up")
	testnet.Await(echoes)
	measure(*silent, *busy, *long)
	end()
}

func serve() {
	listen := func(address string, each func(net.Conn)) {
		l, err := net.Listen("tcp", address)
		prog.Must(err)
		for {
			c, err := l.Accept()
			prog.Must(err)
			go func() {
				defer c.Close()
				each(c)
			}()
		}
	}
	go listen(":7001", func(c net.Conn) {
		debug.FreeOSMemory()
		fmt.Fprintln(c, testnet.MemoryInUse())
	})
	listen(":7000", func(c net.Conn) {
		text := make([]byte, length)
		for {
			n, err := c.Read(text)
			if err != nil {
				return
			}
			if _, err := c.Write(text[:n]); err != nil {
				return
			}
		}
	})
}

// used asks the server for that.
func used() (kibibytes int) {
	c, err := net.Dial("tcp", figures)
	prog.Must(err)
	defer c.Close()
	_, err = fmt.Fscan(c, &kibibytes)
	prog.Must(err)
	return kibibytes
}

var question = bytes.Repeat([]byte("question"), length/8)

// ask asks one question and looks at the answer.
func ask(c net.Conn) {
	c.SetDeadline(time.Now().Add(2 * time.Minute))
	_, err := c.Write(question)
	prog.Must(err)
	answer := make([]byte, length)
	_, err = io.ReadFull(c, answer)
	prog.Must(err)
	prog.Check(bytes.Equal(answer, question), "a wrong answer")
}

func dial() net.Conn {
	c, err := net.DialTimeout("tcp", echoes, time.Minute)
	prog.Must(err)
	return c
}

// each runs work on every number below count, many at the same time, and gives how many that were a second.
func each(count int, work func(int)) float64 {
	var next atomic.Int64
	var all sync.WaitGroup
	begin := time.Now()
	for hand := 0; hand < hands; hand++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for at := next.Add(1) - 1; at < int64(count); at = next.Add(1) - 1 {
				work(int(at))
			}
		}()
	}
	all.Wait()
	return float64(count) / time.Since(begin).Seconds()
}

// questions has all connections ask for so long, and gives how many questions that were a second.
func questions(connections []net.Conn, long time.Duration) float64 {
	var count atomic.Int64
	var all sync.WaitGroup
	begin := time.Now()
	for _, c := range connections {
		all.Add(1)
		go func(c net.Conn) {
			defer all.Done()
			for time.Since(begin) < long {
				ask(c)
				count.Add(1)
			}
		}(c)
	}
	all.Wait()
	return float64(count.Load()) / time.Since(begin).Seconds()
}

func measure(silent, busy int, long time.Duration) {
	talking := make([]net.Conn, busy)
	each(busy, func(at int) { talking[at] = dial() })
	questions(talking, long/2)
	alone := questions(talking, long)
	before := used()
	crowd := make([]net.Conn, silent)
	opened := each(silent, func(at int) {
		crowd[at] = dial()
		ask(crowd[at])
	})
	full := used()
	among := questions(talking, long)
	each(silent, func(at int) { ask(crowd[at]) })
	closed := each(silent, func(at int) {
		// Without TIME_WAIT here, so that all of it is over.
		crowd[at].(*net.TCPConn).SetLinger(0)
		crowd[at].Close()
	})
	var after int
	for begin := time.Now(); time.Since(begin) < 20*time.Second; time.Sleep(500 * time.Millisecond) {
		if after = used(); after < before+(full-before)/4 {
			break
		}
	}
	var lives atomic.Int64
	begin := time.Now()
	each(hands, func(int) {
		for time.Since(begin) < long {
			c := dial()
			ask(c)
			c.Close()
			lives.Add(1)
		}
	})
	again := float64(lives.Load()) / time.Since(begin).Seconds()
	of := float64(full-before) / float64(max(silent, 1))
	fmt.Fprintf(os.Stderr, "%d busy: %.0f questions a second, among %d silent ones %.0f (%.0f %%)\n", busy, alone, silent, among, 100*among/alone)
	fmt.Fprintf(os.Stderr, "opened %.0f/s with a question each, closed %.0f/s; opened, asked and closed one after the other %.0f/s\n", opened, closed, again)
	fmt.Fprintf(os.Stderr, "memory in use %d KiB, %d with them: %.1f KiB each; afterwards %d\n", before, full, of, after)
	prog.Check(of < dear, "a silent connection takes %.1f KiB", of)
	prog.Check(after < before+max((full-before)/2, 16<<10), "memory is not given back: %d KiB before, %d with them, %d afterwards", before, full, after)
	fmt.Println("everybody was served")
}
