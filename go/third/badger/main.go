// Badger is a key-value store over files that it maps and truncates: values in a log, iteration, a backup and its restoration.
package main

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"log"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
)

func main() {
	dir, err := os.MkdirTemp("", "badger")
	must(err)
	defer os.RemoveAll(dir)
	open := func(name string) *badger.DB {
		options := badger.DefaultOptions(filepath.Join(dir, name)).WithLogger(nil).
			WithMemTableSize(4 << 20).WithValueLogFileSize(16 << 20).WithValueThreshold(1024).WithNumCompactors(2).
			WithBlockCacheSize(4 << 20)
		db, err := badger.Open(options)
		must(err)
		return db
	}
	db := open("db")
	batch := db.NewWriteBatch()
	for i := 0; i < 20000; i++ {
		must(batch.Set([]byte(fmt.Sprintf("k%06d", i)), bytes.Repeat([]byte{byte(i)}, i%1500)))
	}
	must(batch.Flush())
	must(db.Update(func(tx *badger.Txn) error {
		for i := 0; i < 20000; i += 3 {
			if i/3%2 == 0 && i < 6000 {
				must(tx.Delete([]byte(fmt.Sprintf("k%06d", i))))
			}
		}
		return nil
	}))
	conflict(db)
	digest(db)
	var backup bytes.Buffer
	_, err = db.Backup(&backup, 0)
	must(err)
	must(db.Close())
	db = open("db")
	digest(db)
	must(db.Close())
	other := open("other")
	must(other.Load(&backup, 16))
	digest(other)
	must(other.Close())
}

func conflict(db *badger.DB) {
	one, two := db.NewTransaction(true), db.NewTransaction(true)
	for _, tx := range []*badger.Txn{one, two} {
		_, err := tx.Get([]byte("k000001"))
		must(err)
		must(tx.Set([]byte("k000001"), []byte("new")))
	}
	fmt.Println(one.Commit(), two.Commit())
}

func digest(db *badger.DB) {
	must(db.View(func(tx *badger.Txn) error {
		it := tx.NewIterator(badger.DefaultIteratorOptions)
		defer it.Close()
		sum, n := crc32.NewIEEE(), 0
		for it.Rewind(); it.Valid(); it.Next() {
			n++
			must(it.Item().Value(func(value []byte) error {
				fmt.Fprintf(sum, "%s=%x\n", it.Item().Key(), value)
				return nil
			}))
		}
		fmt.Printf("%d keys %08x\n", n, sum.Sum32())
		return nil
	}))
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
