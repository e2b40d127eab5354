package main

import (
	"os"
	"regexp"
	"runtime"
	"syscall"
	"unsafe"
)

// Memory, the collector, and what was forgotten elsewhere.
var memoryBenchmarks = []benchmark{
	{name: "file/stat", run: stat},
	{name: "memory/fault-4k", run: faults(4096, 4096, syscall.MADV_NOHUGEPAGE)},
	{name: "memory/fault-4k-sparse", run: faults(4096, 64<<10, syscall.MADV_NOHUGEPAGE)},
	{name: "memory/fault-2m", run: faults(2<<20, 2<<20, syscall.MADV_HUGEPAGE)},
	{name: "memory/gc-heap-64m", run: collect(64 << 20), memory: 512 << 20},
	{name: "memory/gc-heap-1g", run: collect(1 << 30), memory: 3 << 30},
	{name: "memory/gc-heap-8g", run: collect(8 << 30), memory: 20 << 30},
	{name: "memory/map-churn", run: mapChurn},
	{name: "cpu/regexp", run: regexps},
}

func stat(n int, start func()) {
	name := scratch()
	check(os.WriteFile(name, nil, 0o600))
	defer os.Remove(name)
	start()
	for i := 0; i < n; i++ {
		_, err := os.Stat(name)
		check(err)
	}
}

// faults touches memory of a program that has none yet, at every stride; an operation is one such touch. What the advice
// asks for Linux may refuse, Ringo as well.
func faults(size, stride, advice int) func(int, func()) {
	return func(n int, start func()) {
		const block = 64 << 20
		start()
		for done := 0; done < n; {
			memory, err := syscall.Mmap(-1, 0, block+size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
			check(err)
			syscall.Madvise(memory, advice)
			from := -int(uintptr(unsafe.Pointer(&memory[0]))) & (size - 1)
			for at := from; at < from+block && done < n; at += stride {
				memory[at] = 1
				done++
			}
			check(syscall.Munmap(memory))
		}
	}
}

// A wider one than allocate's, so that heaps of gigabytes take seconds to build.
type wideNode struct {
	left, right *wideNode
	_           [48]byte
}

func wideTree(depth int) *wideNode {
	if depth == 0 {
		return &wideNode{}
	}
	return &wideNode{left: wideTree(depth - 1), right: wideTree(depth - 1)}
}

// collect: a whole cycle of the collector with so many bytes of trees in use.
func collect(bytes int) func(int, func()) {
	const depth = 13
	return func(n int, start func()) {
		each := int(unsafe.Sizeof(wideNode{})) << (depth + 1)
		trees := make([]*wideNode, bytes/each)
		for i := range trees {
			trees[i] = wideTree(depth)
		}
		runtime.GC()
		start()
		for i := 0; i < n; i++ {
			runtime.GC()
		}
		stop()
		runtime.KeepAlive(trees)
	}
}

func mapChurn(n int, start func()) {
	const size = 1 << 14
	m := map[uint64][]byte{}
	next := uint64(1)
	start()
	for i := 0; i < n; i++ {
		next = next*6364136223846793005 + 1442695040888963407
		m[next>>40] = make([]byte, 64)
		if len(m) > size {
			for k := range m {
				delete(m, k)
				break
			}
		}
	}
	sink = m
}

func regexps(n int, start func()) {
	find := regexp.MustCompile(`(\w+)@(\w+)\.(com|org)`)
	text := []byte("nothing here, but there is somebody@example.org, and nobody@nowhere, and another.one@example.com as well; ")
	start()
	for i := 0; i < n; i++ {
		if len(find.FindAllSubmatchIndex(text, -1)) != 2 {
			panic("two addresses")
		}
	}
}
