//go:build go1.25

package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"math/rand"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"syscall"
	"unsafe"
)

func digest(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b))[:16] }

// ptr gives a C string for a raw system call.
func ptr(s string) uintptr {
	p, err := syscall.BytePtrFromString(s)
	check(err)
	kept = append(kept, p)
	return uintptr(unsafe.Pointer(p))
}

var kept []*byte

func at() {
	dir, err := syscall.Open("sub", syscall.O_RDONLY|syscall.O_DIRECTORY, 0)
	check(err)
	fd, err := syscall.Openat(dir, "deep/er/leaf", syscall.O_RDONLY, 0)
	check(err)
	b := make([]byte, 100)
	n, err := syscall.Read(fd, b)
	fmt.Printf("%q %v\n", b[:n], err)
	check(syscall.Mkdirat(dir, "made", 0o755))
	fd, err = syscall.Openat(dir, "made/file", syscall.O_CREAT|syscall.O_WRONLY, 0o600)
	check(err)
	n, err = syscall.Write(fd, []byte("text"))
	fmt.Println(n, err)
	check(syscall.Renameat(dir, "made/file", dir, "a"))
	cat("sub/a")
	check(syscall.Unlinkat(dir, "b"))
	_, err = syscall.Openat(dir, "b", syscall.O_RDONLY, 0)
	fmt.Println(err)
	_, err = syscall.Openat(fd, "b", syscall.O_RDONLY, 0)
	fmt.Println(err)
	path, err := syscall.Open("text", 0x200000, 0)
	check(err)
	var st syscall.Stat_t
	check(syscall.Fstat(path, &st))
	fmt.Println(st.Size)
	_, err = syscall.Read(path, b)
	fmt.Println(err)
}

func mapped(name string, length, prot, flags int) []byte {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	check(err)
	defer f.Close()
	m, err := syscall.Mmap(int(f.Fd()), 0, length, prot, flags)
	check(err)
	return m
}

const rw = syscall.PROT_READ | syscall.PROT_WRITE

func privateMap() {
	m := mapped("big", 4<<20, rw, syscall.MAP_PRIVATE)
	fmt.Println(digest(m))
	copy(m[10000:], "only here")
	b, err := os.ReadFile("big")
	check(err)
	fmt.Printf("%q %v %s\n", m[10000:10009], bytes.Contains(b, []byte("only here")), digest(b[:4<<20]))
	// A write to the file shows where the mapping was not written to.
	f, err := os.OpenFile("big", os.O_RDWR, 0)
	check(err)
	_, err = f.WriteAt([]byte("to the file"), 1<<20)
	check(err)
	fmt.Printf("%q\n", m[1<<20:1<<20+11])
	check(syscall.Munmap(m))
	only, err := syscall.Mmap(int(f.Fd()), 8192, 4096, syscall.PROT_READ, syscall.MAP_PRIVATE)
	check(err)
	fmt.Println(digest(only))
}

func sharedMap() {
	r := mapped("big", 3<<20, syscall.PROT_READ, syscall.MAP_SHARED)
	fmt.Println(digest(r))
	m := mapped("big", 3<<20, rw, syscall.MAP_SHARED)
	copy(m[5000:], "through the mapping")
	fmt.Printf("%q\n", r[5000:5019])
	f, err := os.Open("big")
	check(err)
	b := make([]byte, 19)
	_, err = f.ReadAt(b, 5000)
	fmt.Printf("%q %v\n", b, err)
	// Nothing of it is forgotten when memory is wanted for other files.
	for i := 0; i < 3; i++ {
		other, err := os.ReadFile("big2")
		check(err)
		fmt.Println(digest(other))
		debug.FreeOSMemory()
	}
	fmt.Printf("%q %q\n", r[5000:5019], m[5000:5019])
	check(syscall.Munmap(m))
	whole, err := os.ReadFile("big")
	check(err)
	fmt.Println(digest(whole))
}

func mapEnd() {
	m := mapped("text", 8192, rw, syscall.MAP_PRIVATE)
	zeros := 0
	for _, c := range m[:4096] {
		if c == 0 {
			zeros++
		}
	}
	fmt.Println(zeros)
	debug.SetPanicOnFault(true)
	defer func() { fmt.Println(recover()) }()
	fmt.Println(m[5000])
}

func big() {
	for _, size := range []int{1 << 20, 4096, 1000, 300_001} {
		f, err := os.Open("big")
		check(err)
		h := sha256.New()
		n, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{f}, make([]byte, size))
		fmt.Printf("%d %v %x\n", n, err, h.Sum(nil))
		check(f.Close())
	}
	b, err := os.ReadFile("big")
	check(err)
	fmt.Println(len(b), digest(b))
}

func bigRandom() {
	f, err := os.Open("big")
	check(err)
	info, err := f.Stat()
	check(err)
	var wg sync.WaitGroup
	sums := make([]string, 4)
	for g := range sums {
		wg.Add(1)
		go func(g int) {
			defer wg.Done()
			r := rand.New(rand.NewSource(int64(g)))
			h := sha256.New()
			b := make([]byte, 20000)
			for i := 0; i < 300; i++ {
				n, err := f.ReadAt(b[:r.Intn(len(b))], r.Int63n(info.Size()))
				if err != nil && err != io.EOF {
					fmt.Println(err)
				}
				h.Write(b[:n])
			}
			sums[g] = fmt.Sprintf("%x", h.Sum(nil))
		}(g)
	}
	wg.Wait()
	fmt.Println(sums)
}

// bigMap looks at files through mappings that a small machine cannot hold, twice, with a heap besides.
func bigMap() {
	const length = 40 << 20
	a := mapped("big", length, rw, syscall.MAP_PRIVATE)
	f, err := os.Open("big2")
	check(err)
	b, err := syscall.Mmap(int(f.Fd()), 0, length, syscall.PROT_READ, syscall.MAP_SHARED)
	check(err)
	copy(a[12345:], "a private change")
	for i := 0; i < 2; i++ {
		fmt.Println(digest(a), digest(b), string(a[12345:12361]))
		heap := make([]byte, 4<<20)
		for j := range heap {
			heap[j] = byte(j)
		}
		fmt.Println(digest(heap))
		read, err := os.ReadFile("text")
		check(err)
		fmt.Printf("%q\n", read)
	}
}

// bigTwice reads more than a small machine can keep, while it changes some of it.
func bigTwice() {
	f, err := os.OpenFile("big", os.O_RDWR, 0)
	check(err)
	for at := int64(0); at < 40<<20; at += 3_000_017 {
		_, err = f.WriteAt([]byte(fmt.Sprint("changed at ", at)), at)
		check(err)
	}
	for i := 0; i < 3; i++ {
		for _, name := range []string{"big", "big2"} {
			g, err := os.Open(name)
			check(err)
			h := sha256.New()
			n, err := io.Copy(h, g)
			fmt.Printf("%s %d %v %x\n", name, n, err, h.Sum(nil))
			check(g.Close())
		}
	}
}

// pages: sizes around page borders, read and written in odd pieces.
func pages() {
	for _, size := range []int{0, 1, 4095, 4096, 4097, 8191, 8192, 8193, 65535, 65536, 65537, 131073} {
		name := fmt.Sprint("sizes/", size)
		b, err := os.ReadFile(name)
		check(err)
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		check(err)
		tail := make([]byte, 100)
		n, err := f.ReadAt(tail, int64(max(size-50, 0)))
		fmt.Println(size, len(b), digest(b), n, err)
		_, err = f.WriteAt([]byte("xyz"), int64(size)+5000)
		check(err)
		_, err = f.WriteAt([]byte("abc"), int64(size/2))
		check(err)
		b, err = os.ReadFile(name)
		check(err)
		fmt.Println(len(b), digest(b))
		check(f.Close())
	}
}

func many() {
	entries, err := os.ReadDir("many")
	check(err)
	total := int64(0)
	for _, entry := range entries {
		info, err := entry.Info()
		check(err)
		total += info.Size()
	}
	fmt.Println(len(entries), total)
	h := sha256.New()
	for _, entry := range entries {
		b, err := os.ReadFile("many/" + entry.Name())
		check(err)
		h.Write(b)
	}
	fmt.Printf("%x\n", h.Sum(nil))
	for i := 999; i >= 0; i -= 3 {
		_, err := os.Stat(fmt.Sprintf("many/f%04d", i))
		check(err)
	}
}

func manyWalk() {
	for i := 0; i < 3; i++ {
		count, size := 0, int64(0)
		check(filepath.Walk(".", func(path string, info fs.FileInfo, err error) error {
			check(err)
			if !info.IsDir() {
				size += info.Size()
			}
			count++
			return nil
		}))
		fmt.Println(count, size)
	}
}

func threads() {
	var wg sync.WaitGroup
	for g := 0; g < 16; g++ {
		wg.Add(1)
		go func(g int) {
			defer wg.Done()
			r := rand.New(rand.NewSource(int64(g)))
			for i := 0; i < 200; i++ {
				name := fmt.Sprintf("many/f%04d", r.Intn(1000))
				b, err := os.ReadFile(name)
				if err != nil || len(b) == 0 {
					fmt.Println(name, len(b), err)
				}
				if i%10 == 0 {
					mine := fmt.Sprintf("many/g%d-%d", g, i)
					if err := os.WriteFile(mine, b, 0o644); err != nil {
						fmt.Println(err)
					}
					if err := os.Rename(mine, mine+"x"); err != nil {
						fmt.Println(err)
					}
				}
				if i%50 == 0 {
					if _, err := os.ReadDir("many"); err != nil {
						fmt.Println(err)
					}
				}
			}
		}(g)
	}
	wg.Wait()
	entries, err := os.ReadDir("many")
	fmt.Println(len(entries), err)
}

// churn: everything at once in one directory; in the end it holds what it should.
func churn() {
	var wg sync.WaitGroup
	for g := 0; g < 8; g++ {
		wg.Add(1)
		go func(g int) {
			defer wg.Done()
			for i := g; i < 1000; i += 8 {
				name := fmt.Sprintf("many/f%04d", i)
				switch i % 4 {
				case 0:
					check(os.Remove(name))
				case 1:
					check(os.Rename(name, name+".moved"))
				case 2:
					check(os.Remove(name))
					check(os.Mkdir(name, 0o755))
				case 3:
					put(name, "x")
				}
				_, _ = os.Stat(fmt.Sprintf("many/f%04d", (i*37)%1000))
			}
		}(g)
	}
	wg.Wait()
	entries, err := os.ReadDir("many")
	check(err)
	kinds := map[string]int{}
	for _, entry := range entries {
		kinds[filepath.Ext(entry.Name())+entry.Type().String()]++
	}
	fmt.Println(len(entries), kinds)
}

func removeAll() {
	check(os.RemoveAll("many"))
	check(os.RemoveAll("sub"))
	check(os.RemoveAll("sizes"))
	list(".")
	_, err := os.Stat("many/f0001")
	show("many", err)
	check(os.Mkdir("many", 0o755))
	list("many")
}

func copyTree() {
	check(os.CopyFS("copy", os.DirFS("sub/deep")))
	walk("copy")
	src, err := os.Open("big")
	check(err)
	dst, err := os.Create("big.copy")
	check(err)
	n, err := io.Copy(dst, src)
	fmt.Println(n, err)
	check(dst.Close())
	a, err := os.ReadFile("big.copy")
	check(err)
	fmt.Println(digest(a))
}

func locks() {
	a, err := os.OpenFile("text", os.O_RDWR, 0)
	check(err)
	b, err := os.OpenFile("text", os.O_RDWR, 0)
	check(err)
	check(syscall.Flock(int(a.Fd()), syscall.LOCK_EX))
	fmt.Println(syscall.Flock(int(b.Fd()), syscall.LOCK_EX|syscall.LOCK_NB))
	check(syscall.Flock(int(a.Fd()), syscall.LOCK_UN))
	fmt.Println(syscall.Flock(int(b.Fd()), syscall.LOCK_EX|syscall.LOCK_NB))
}

func unlinked() {
	f, err := os.OpenFile("medium", os.O_RDWR, 0)
	check(err)
	check(os.Remove("medium"))
	put("medium", "another")
	b := make([]byte, 20)
	n, err := f.ReadAt(b, 10000)
	fmt.Printf("%q %v\n", b[:n], err)
	_, err = f.WriteAt([]byte("still"), 10000)
	check(err)
	n, err = f.ReadAt(b, 9995)
	fmt.Printf("%q %v\n", b[:n], err)
	info, err := f.Stat()
	check(err)
	fmt.Println(info.Size(), info.Sys().(*syscall.Stat_t).Nlink)
	cat("medium")
}
