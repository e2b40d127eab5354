// Pebble is an LSM tree in files: batches from several goroutines, flushes and compactions in the background, a checkpoint.
package main

import (
	"crypto/sha256"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"sync"

	"github.com/cockroachdb/pebble"
)

type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(format string, args ...any) {
	log.Fatalf(format, args...)
}

func main() {
	dir, err := os.MkdirTemp("", "pebble")
	must(err)
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "db")
	options := func() *pebble.Options { return &pebble.Options{MemTableSize: 1 << 18, Logger: silent{}} }
	db, err := pebble.Open(path, options())
	must(err)
	var wg sync.WaitGroup
	for worker := 0; worker < 4; worker++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := 0; i < 100; i++ {
				batch := db.NewBatch()
				for j := 0; j < 50; j++ {
					n := (worker*100+i)*50 + j
					must(batch.Set([]byte(fmt.Sprintf("key%08d", n*7919%20011)), []byte(fmt.Sprint(n)), nil))
				}
				must(batch.Commit(&pebble.WriteOptions{Sync: i%20 == 0}))
			}
		}()
	}
	wg.Wait()
	must(db.DeleteRange([]byte("key00005000"), []byte("key00006000"), pebble.Sync))
	must(db.Compact([]byte("key"), []byte("kez"), true))
	digest(db)
	_, closer, err := db.Get([]byte("key00005500"))
	fmt.Println(err, closer == nil)
	must(db.Checkpoint(filepath.Join(dir, "copy")))
	must(db.Close())
	for _, name := range []string{"db", "copy"} {
		db, err := pebble.Open(filepath.Join(dir, name), options())
		must(err)
		digest(db)
		must(db.Close())
	}
}

func digest(db *pebble.DB) {
	it, err := db.NewIter(nil)
	must(err)
	h := sha256.New()
	n := 0
	for it.First(); it.Valid(); it.Next() {
		n++
		fmt.Fprintf(h, "%s=%s\n", it.Key(), it.Value())
	}
	must(it.Close())
	fmt.Printf("%d keys %x\n", n, h.Sum(nil))
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
