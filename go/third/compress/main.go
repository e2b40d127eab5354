// Compress has assembly for AVX2 and BMI2: every format there and back, one stream and many blocks, several goroutines.
package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"math/rand"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

func main() {
	for _, name := range []string{"words", "noise", "zeros"} {
		text := inputs()[name]
		show(name, "flate", text, func(w io.Writer) io.WriteCloser { z, _ := flate.NewWriter(w, 9); return z },
			func(r io.Reader) io.Reader { return flate.NewReader(r) })
		show(name, "gzip", text, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
			func(r io.Reader) io.Reader { z, err := gzip.NewReader(r); must(err); return z })
		show(name, "s2", text, func(w io.Writer) io.WriteCloser { return s2.NewWriter(w, s2.WriterConcurrency(4)) },
			func(r io.Reader) io.Reader { return s2.NewReader(r) })
		for level := zstd.SpeedFastest; level <= zstd.SpeedBestCompression; level++ {
			show(name, fmt.Sprint("zstd ", level), text,
				func(w io.Writer) io.WriteCloser {
					z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(2))
					must(err)
					return z
				},
				func(r io.Reader) io.Reader { z, err := zstd.NewReader(r); must(err); return z })
		}
	}
	blocks()
}

func inputs() map[string][]byte {
	random := rand.New(rand.NewSource(1))
	var words bytes.Buffer
	for words.Len() < 1<<20 {
		fmt.Fprintf(&words, "word%d ", random.Intn(500))
	}
	noise := make([]byte, 1<<19)
	random.Read(noise)
	return map[string][]byte{"words": words.Bytes(), "noise": noise, "zeros": make([]byte, 1<<20)}
}

func show(input, format string, text []byte, pack func(io.Writer) io.WriteCloser, unpack func(io.Reader) io.Reader) {
	var packed bytes.Buffer
	w := pack(&packed)
	_, err := w.Write(text)
	must(err)
	must(w.Close())
	sum := sha256.Sum256(packed.Bytes())
	back, err := io.ReadAll(unpack(&packed))
	must(err)
	fmt.Printf("%s %s %x %v\n", input, format, sum[:8], bytes.Equal(back, text))
}

// blocks packs and unpacks many small pieces at the same time.
func blocks() {
	text := inputs()["words"]
	encoder, err := zstd.NewWriter(nil)
	must(err)
	decoder, err := zstd.NewReader(nil)
	must(err)
	var wg sync.WaitGroup
	for worker := 0; worker < 8; worker++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := worker * 1000; i+5000 < len(text); i += 8000 {
				back, err := decoder.DecodeAll(encoder.EncodeAll(text[i:i+5000], nil), nil)
				must(err)
				if !bytes.Equal(back, text[i:i+5000]) {
					log.Fatal("a piece has changed")
				}
			}
		}()
	}
	wg.Wait()
	fmt.Println("blocks are whole")
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
