// Raft is a cluster of three in one process: elections, a log that all apply in the same order, a leader that is lost,
// snapshots in files.
package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// machine applies commands by hashing them: two that saw the same in the same order are equal.
type machine struct {
	sync.Mutex
	sum [32]byte
	n   int
}

func (m *machine) Apply(entry *raft.Log) any {
	m.Lock()
	defer m.Unlock()
	m.sum = sha256.Sum256(append(m.sum[:], entry.Data...))
	m.n++
	return m.n
}

func (m *machine) state() string {
	m.Lock()
	defer m.Unlock()
	return fmt.Sprintf("%d %x", m.n, m.sum[:8])
}

func (m *machine) Snapshot() (raft.FSMSnapshot, error) { return snapshot(m.state()), nil }
func (m *machine) Restore(from io.ReadCloser) error {
	_, err := io.Copy(io.Discard, from)
	return err
}

type snapshot string

func (s snapshot) Persist(sink raft.SnapshotSink) error {
	if _, err := io.WriteString(sink, string(s)); err != nil {
		return err
	}
	return sink.Close()
}
func (snapshot) Release() {}

type node struct {
	*raft.Raft
	machine *machine
}

func main() {
	dir, err := os.MkdirTemp("", "raft")
	must(err)
	defer os.RemoveAll(dir)
	nodes := cluster(dir)
	leader := leaderOf(nodes, nil)
	for i := 0; i < 1000; i++ {
		future := leader.Apply(fmt.Appendf(nil, "command %d", i), 10*time.Second)
		if i%100 == 99 {
			must(future.Error())
			fmt.Println("applied", future.Response())
		}
	}
	agree(nodes, 1000)
	must(leader.Snapshot().Error())
	entries, err := os.ReadDir(filepath.Join(dir, "snapshots"))
	must(err)
	fmt.Println("snapshots:", len(entries))
	must(leader.Shutdown().Error())
	rest := nodes[:0]
	for _, n := range nodes {
		if n != leader {
			rest = append(rest, n)
		}
	}
	next := leaderOf(rest, leader)
	must(next.Apply([]byte("after"), 10*time.Second).Error())
	agree(rest, 1001)
	for _, n := range rest {
		must(n.Shutdown().Error())
	}
}

func cluster(dir string) []*node {
	var nodes []*node
	var transports []*raft.InmemTransport
	var servers []raft.Server
	for i := 0; i < 3; i++ {
		address, transport := raft.NewInmemTransport("")
		transports = append(transports, transport)
		servers = append(servers, raft.Server{ID: raft.ServerID(fmt.Sprint(i)), Address: address})
	}
	for i, transport := range transports {
		for _, other := range transports {
			transport.Connect(other.LocalAddr(), other)
		}
		config := raft.DefaultConfig()
		config.LocalID = servers[i].ID
		config.LogOutput = io.Discard
		store := raft.NewInmemStore()
		files, err := raft.NewFileSnapshotStore(dir, 2, io.Discard)
		must(err)
		must(raft.BootstrapCluster(config, store, store, files, transport, raft.Configuration{Servers: servers}))
		m := &machine{}
		r, err := raft.NewRaft(config, m, store, store, files, transport)
		must(err)
		nodes = append(nodes, &node{r, m})
	}
	return nodes
}

func leaderOf(nodes []*node, not *node) *node {
	for {
		for _, n := range nodes {
			if n != not && n.State() == raft.Leader && n.Barrier(time.Second).Error() == nil {
				return n
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// agree waits until all have applied n commands, and prints their common state.
func agree(nodes []*node, n int) {
	want := fmt.Sprint(n, " ")
	for _, each := range nodes {
		for each.machine.state()[:len(want)] != want {
			time.Sleep(10 * time.Millisecond)
		}
	}
	same := true
	for _, each := range nodes {
		same = same && each.machine.state() == nodes[0].machine.state()
	}
	fmt.Println("all agree:", same, nodes[0].machine.state())
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
