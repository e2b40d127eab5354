// Bbolt uses a database in a file that it maps: writes, reads through the mapping while it grows, deletions, a check, a copy.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/bbolt"
)

func main() {
	dir, err := os.MkdirTemp("", "bbolt")
	must(err)
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "data.db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{InitialMmapSize: 1 << 16})
	must(err)
	fill(db)
	_, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: 50 * time.Millisecond})
	fmt.Println("a second open:", err)
	readWhileGrowing(db)
	remove(db)
	must(db.View(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			fmt.Println("inconsistent:", err)
		}
		var copied bytes.Buffer
		n, err := tx.WriteTo(&copied)
		must(err)
		must(os.WriteFile(path+".copy", copied.Bytes(), 0o600))
		fmt.Println("copied", n == tx.Size())
		return nil
	}))
	digest(db)
	must(db.Close())
	db, err = bbolt.Open(path+".copy", 0o400, &bbolt.Options{ReadOnly: true})
	must(err)
	digest(db)
	must(db.Close())
}

func key(i int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(i)*2654435761) }

func fill(db *bbolt.DB) {
	for batch := 0; batch < 5; batch++ {
		must(db.Update(func(tx *bbolt.Tx) error {
			bucket, err := tx.CreateBucketIfNotExists([]byte("numbers"))
			must(err)
			for i := batch * 2000; i < (batch+1)*2000; i++ {
				must(bucket.Put(key(i), bytes.Repeat([]byte{byte(i)}, i%200)))
			}
			return nil
		}))
	}
	err := db.Update(func(tx *bbolt.Tx) error {
		must(tx.Bucket([]byte("numbers")).Put([]byte("never"), nil))
		return fmt.Errorf("rolled back")
	})
	fmt.Println(err)
}

// readWhileGrowing keeps transactions open while the file, and so its mapping, grows.
func readWhileGrowing(db *bbolt.DB) {
	var wg sync.WaitGroup
	for worker := 0; worker < 4; worker++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for round := 0; round < 20; round++ {
				must(db.View(func(tx *bbolt.Tx) error {
					for i := worker; i < 10000; i += 97 {
						got := tx.Bucket([]byte("numbers")).Get(key(i))
						if !bytes.Equal(got, bytes.Repeat([]byte{byte(i)}, i%200)) {
							log.Fatalf("key %d holds %d bytes", i, len(got))
						}
					}
					return nil
				}))
			}
		}()
	}
	for i := 0; i < 20; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			must(db.Batch(func(tx *bbolt.Tx) error {
				bucket, err := tx.CreateBucketIfNotExists([]byte("large"))
				must(err)
				return bucket.Put(key(i), bytes.Repeat([]byte{byte(i)}, 200_000))
			}))
		}()
	}
	wg.Wait()
}

func remove(db *bbolt.DB) {
	must(db.Update(func(tx *bbolt.Tx) error {
		must(tx.DeleteBucket([]byte("large")))
		cursor := tx.Bucket([]byte("numbers")).Cursor()
		n := 0
		for k, _ := cursor.First(); k != nil; k, _ = cursor.Next() {
			if n++; n%3 == 0 {
				must(cursor.Delete())
			}
		}
		fmt.Println("visited", n)
		return nil
	}))
}

func digest(db *bbolt.DB) {
	must(db.View(func(tx *bbolt.Tx) error {
		h := sha256.New()
		n := 0
		must(tx.Bucket([]byte("numbers")).ForEach(func(k, v []byte) error {
			n++
			fmt.Fprintf(h, "%x=%x\n", k, v)
			return nil
		}))
		fmt.Printf("%d keys %x\n", n, h.Sum(nil))
		return nil
	}))
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
