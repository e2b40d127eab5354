// Hashes has assembly for every vector extension there is (BLAKE3, xxHash), and compares it with itself in pieces.
package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"sync"

	"github.com/cespare/xxhash/v2"
	"lukechampine.com/blake3"
)

func main() {
	data := make([]byte, 3<<20)
	for i := range data {
		data[i] = byte(i*i>>7 + i)
	}
	var wg sync.WaitGroup
	for _, length := range []int{0, 1, 63, 64, 65, 1023, 1024, 1025, 4096, 8193, 65537, 1 << 20, 3 << 20} {
		whole := blake3.Sum256(data[:length])
		fmt.Printf("%d %x %x\n", length, whole[:8], xxhash.Sum64(data[:length]))
		for worker := 0; worker < 4; worker++ {
			wg.Add(1)
			go func() {
				defer wg.Done()
				pieces := blake3.New(32, nil)
				step := 1 + worker*977
				for at := 0; at < length; at += step {
					pieces.Write(data[at:min(at+step, length)])
					if worker == 0 && at > 5000 {
						pieces.Write(data[at+step : length])
						break
					}
				}
				if !bytes.Equal(pieces.Sum(nil), whole[:]) {
					log.Fatal("in pieces it is another")
				}
			}()
		}
		wg.Wait()
	}
	out := make([]byte, 1<<16)
	h := blake3.New(32, bytes.Repeat([]byte{7}, 32))
	h.Write(data)
	_, err := io.ReadFull(h.XOF(), out)
	fmt.Printf("%v %x\n", err, xxhash.Sum64(out))
}
