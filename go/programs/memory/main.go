// Memory tests the mmap family, the collector's use of it, big heaps, running out, and mapped files.
package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"ringo.dev/go/internal/prog"
)

const page = 4096

func main() {
	prog.Main(prog.Acts{
		"collect": collect, "trees": trees, "big": big, "exhaust": exhaust, "exhaust-gradually": exhaustGradually, "free": free,
		"anonymous": anonymous, "protect": protect, "fixed": fixed, "remap": remap, "advise": advise, "incore": incore,
		"lock": lock, "private-file": privateFile, "shared-file": sharedFile, "truncated-file": truncatedFile, "errors": errorsOfMmap,
		"maps": maps, "sparse": sparse, "many-mappings": manyMappings, "dontneed": dontneed, "memory-limit": memoryLimit,
		"populate": populate, "grow-file": growFile, "brk": brk, "fresh-zero": freshZero, "two-views": twoViews, "threads": threads, "huge": huge,
		"write-own-mapping": writeOwnMapping, "exec": execMapping, "msync": msync, "zero-pages": zeroPages, "status": status,
		"given-back": givenBack, "peak": peak, "shared-status": sharedStatus,
		"fresh-addresses": freshAddresses, "regrow": regrow, "far-pages": farPages, "shared-futex": sharedFutex,
	})
}

type tree struct{ left, right *tree }

func build(depth int) *tree {
	if depth == 0 {
		return &tree{}
	}
	return &tree{build(depth - 1), build(depth - 1)}
}

func (t *tree) count() int {
	if t == nil {
		return 0
	}
	return 1 + t.left.count() + t.right.count()
}

func trees() {
	long := build(16)
	var wg sync.WaitGroup
	totals := make([]int, 8)
	for i := range totals {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			for j := 0; j < 10; j++ {
				totals[i] += build(12).count()
			}
		}(i)
	}
	wg.Wait()
	fmt.Println(totals, long.count())
}

func collect() {
	m := map[int][]byte{}
	for i := 0; i < 200000; i++ {
		m[i%5000] = bytes.Repeat([]byte{byte(i)}, i%2000+1)
	}
	wrong := 0
	for k, v := range m {
		i := 195000 + k
		if len(v) != i%2000+1 || v[0] != byte(i) || v[len(v)-1] != byte(i) {
			wrong++
		}
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	fmt.Println(len(m), "wrong:", wrong, stats.NumGC > 3)
}

// big fills that many MiB of heap and reads it back.
func big() {
	mib, _ := strconv.Atoi(os.Args[2])
	var all [][]uint64
	for i := 0; i < mib/64; i++ {
		block := make([]uint64, 64<<20/8)
		for j := 0; j < len(block); j += 64 {
			block[j] = uint64(i)<<32 | uint64(j)
		}
		all = append(all, block)
	}
	runtime.GC()
	wrong := 0
	for i, block := range all {
		for j := 0; j < len(block); j += 64 {
			if block[j] != uint64(i)<<32|uint64(j) || block[j+1] != 0 {
				wrong++
			}
		}
	}
	fmt.Println(len(all)*64, "MiB, wrong:", wrong)
}

// exhaust asks for more than any machine has: the runtime's own error, exit code 2.
func exhaust() {
	block := make([]byte, 1<<46)
	fmt.Println(len(block))
}

// exhaustGradually takes memory until there is none. On Linux it runs with a limit on its address space.
func exhaustGradually() {
	if len(os.Args) > 2 {
		mib, _ := strconv.Atoi(os.Args[2])
		var virtual uint64 = uint64(mib) << 20
		if total := memTotal(); total > virtual {
			// More memory than the test's VM has: this is the Linux side. Leave room for what the runtime reserves.
			limit := syscall.Rlimit{Cur: virtual + 1500<<20, Max: virtual + 1500<<20}
			prog.Must(syscall.Setrlimit(syscall.RLIMIT_AS, &limit))
		}
	}
	debug.SetGCPercent(-1)
	var all [][]byte
	for {
		block := make([]byte, 1<<20)
		for i := 0; i < len(block); i += page {
			block[i] = 1
		}
		all = append(all, block)
	}
}

func memTotal() uint64 {
	var info syscall.Sysinfo_t
	prog.Must(syscall.Sysinfo(&info))
	return info.Totalram * uint64(info.Unit)
}

// free: memory given back really leaves the process.
func free() {
	block := make([]byte, 128<<20)
	for i := 0; i < len(block); i += page {
		block[i] = 1
	}
	before := resident()
	runtime.KeepAlive(block)
	block = nil
	debug.FreeOSMemory()
	after := resident()
	fmt.Println("held:", before >= 128<<10, "given back:", after < before-100<<10)
	// And again: what was given back comes back zeroed.
	block = make([]byte, 128<<20)
	wrong := 0
	for _, b := range block {
		if b != 0 {
			wrong++
		}
	}
	fmt.Println("not zero:", wrong)
}

// resident is the resident set in KiB, as /proc/self/status has it.
func resident() int {
	status, err := os.ReadFile("/proc/self/status")
	prog.Must(err)
	for _, line := range strings.Split(string(status), "\n") {
		if strings.HasPrefix(line, "VmRSS:") {
			n, err := strconv.Atoi(strings.Fields(line)[1])
			prog.Must(err)
			return n
		}
	}
	return 0
}

func mmap(address uintptr, length uintptr, prot, flags int, fd int, offset int64) (uintptr, syscall.Errno) {
	at, _, e := syscall.Syscall6(syscall.SYS_MMAP, address, length, uintptr(prot), uintptr(flags), uintptr(fd), uintptr(offset))
	return at, e
}

func munmap(address, length uintptr) syscall.Errno {
	_, _, e := syscall.Syscall(syscall.SYS_MUNMAP, address, length, 0)
	return e
}

//go:nocheckptr
func bytesAt(address uintptr, n int) []byte {
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&address)), n)
}

const (
	anon           = syscall.MAP_ANON | syscall.MAP_PRIVATE
	rw             = syscall.PROT_READ | syscall.PROT_WRITE
	fixedNoReplace = 0x100000
)

var sink byte

// faults says whether touching the byte at address faults, and how.
func faults(address uintptr, write bool) (result string) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		if failure := recover(); failure != nil {
			where, ok := failure.(interface{ Addr() uintptr })
			result = fmt.Sprint("fault ", ok && where.Addr() == address)
		}
	}()
	b := bytesAt(address, 1)
	if write {
		b[0] = 1
	} else {
		sink = b[0]
	}
	return "fine"
}

func anonymous() {
	at, e := mmap(0, 100*page, rw, anon, -1, 0)
	fmt.Println(prog.Name(e), at%page)
	all := bytesAt(at, 100*page)
	zero := true
	for _, b := range all {
		zero = zero && b == 0
	}
	for i := range all {
		all[i] = byte(i >> 4)
	}
	fmt.Println("zeroed:", zero)
	// A hole in the middle.
	fmt.Println(prog.Name(munmap(at+40*page, 20*page)))
	fmt.Println(faults(at+39*page, true), faults(at+40*page, false), faults(at+59*page+page-1, true), faults(at+60*page, false))
	// Unmapping again, over a hole, is no error.
	fmt.Println(prog.Name(munmap(at, 100*page)), prog.Name(munmap(at, 100*page)), faults(at, false))
	hint := uintptr(0x5500_0000_0000)
	got, e := mmap(hint, page, rw, anon, -1, 0)
	fmt.Println("hint taken:", got == hint, prog.Name(e))
	again, e := mmap(hint, page, rw, anon, -1, 0)
	fmt.Println("taken hint avoided:", again != hint, prog.Name(e))
	odd, e := mmap(hint+page*10+123, 100, rw, anon, -1, 0)
	fmt.Println("hint rounded:", odd == hint+10*page, prog.Name(e))
	_, e = mmap(hint, page, rw, anon|fixedNoReplace, -1, 0)
	fmt.Println("no replace:", prog.Name(e))
	free, e := mmap(hint+100*page, page, rw, anon|fixedNoReplace, -1, 0)
	fmt.Println("no replace, free:", free == hint+100*page, prog.Name(e))
	shared, e := mmap(0, page, rw, syscall.MAP_ANON|syscall.MAP_SHARED, -1, 0)
	fmt.Println("shared:", prog.Name(e), faults(shared, true))
}

func protect() {
	at, _ := mmap(0, 10*page, syscall.PROT_NONE, anon, -1, 0)
	call := func(from, n uintptr, prot int) string {
		_, _, e := syscall.Syscall(syscall.SYS_MPROTECT, at+from*page, n*page, uintptr(prot))
		return prog.Name(e)
	}
	show := func() {
		line := ""
		for i := uintptr(0); i < 10; i++ {
			r, w := faults(at+i*page, false), faults(at+i*page, true)
			line += map[string]string{"fault truefault true": "-", "finefault true": "r", "finefine": "w"}[r+w]
		}
		fmt.Println(line)
	}
	show()
	fmt.Println(call(2, 6, rw))
	show()
	fmt.Println(call(4, 2, syscall.PROT_READ))
	show()
	bytesAt(at+3*page, 1)[0] = 42
	fmt.Println(call(3, 1, syscall.PROT_NONE))
	show()
	fmt.Println(call(3, 1, syscall.PROT_READ), bytesAt(at+3*page, 1)[0])
	fmt.Println(call(0, 10, rw))
	show()
	prog.Check(munmap(at+5*page, page) == 0, "munmap")
	fmt.Println("over a hole:", call(0, 10, syscall.PROT_READ))
	fmt.Println(faults(at+4*page, true), faults(at+6*page, true))
	_, _, e := syscall.Syscall(syscall.SYS_MPROTECT, at+1, page, 1)
	fmt.Println("unaligned:", prog.Name(e))
	fmt.Println("nothing:", call(0, 0, rw))
	_, _, e = syscall.Syscall(syscall.SYS_MPROTECT, at, page, 0xf00)
	fmt.Println("unknown:", prog.Name(e))
	_, _, e = syscall.Syscall(syscall.SYS_MPROTECT, 0xffff800000000000, page, 1)
	fmt.Println("kernel:", prog.Name(e))
}

func fixed() {
	at, _ := mmap(0, 24*page, rw, anon, -1, 0)
	prog.Check(munmap(at+20*page, 4*page) == 0, "munmap")
	bytesAt(at+5*page, 1)[0] = 1
	bytesAt(at+6*page, 1)[0] = 2
	got, e := mmap(at+5*page, page, rw, anon|syscall.MAP_FIXED, -1, 0)
	fmt.Println(got == at+5*page, prog.Name(e), bytesAt(at+5*page, 1)[0], bytesAt(at+6*page, 1)[0])
	_, e = mmap(at+1, page, rw, anon|syscall.MAP_FIXED, -1, 0)
	fmt.Println("unaligned:", prog.Name(e))
	got, e = mmap(at+8*page, 4*page, syscall.PROT_NONE, anon|syscall.MAP_FIXED, -1, 0)
	fmt.Println(got == at+8*page, prog.Name(e), faults(at+8*page, false), faults(at+12*page, false))
	got, e = mmap(at+18*page, 4*page, rw, anon|syscall.MAP_FIXED, -1, 0)
	fmt.Println(got == at+18*page, prog.Name(e), faults(at+21*page, true))
	_, e = mmap(0xffff800000000000, page, rw, anon|syscall.MAP_FIXED, -1, 0)
	fmt.Println("kernel:", prog.Name(e))
	_, e = mmap(0x7ffffffff000, page, rw, anon|syscall.MAP_FIXED, -1, 0)
	fmt.Println("last page:", prog.Name(e))
	_, e = mmap(0x7fffffffe000, 2*page, rw, anon|syscall.MAP_FIXED, -1, 0)
	fmt.Println("over the end:", prog.Name(e))
	_, e = mmap(at+6*page, page, rw, anon|syscall.MAP_FIXED|fixedNoReplace, -1, 0)
	fmt.Println("taken:", prog.Name(e), bytesAt(at+6*page, 1)[0])
}

const (
	mayMove, mremapFixed, dontUnmap = 1, 2, 4
)

func mremap(old, oldSize, newSize uintptr, flags int, to uintptr) (uintptr, syscall.Errno) {
	at, _, e := syscall.Syscall6(syscall.SYS_MREMAP, old, oldSize, newSize, uintptr(flags), to, 0)
	return at, e
}

func remap() {
	at, _ := mmap(0, 20*page, syscall.PROT_NONE, anon, -1, 0)
	mmap(at, 4*page, rw, anon|syscall.MAP_FIXED, -1, 0)
	for i := uintptr(0); i < 4; i++ {
		bytesAt(at+i*page, 1)[0] = byte(i + 1)
	}
	got, e := mremap(at, 4*page, 2*page, 0, 0)
	fmt.Println("shrink:", got == at, prog.Name(e), faults(at+2*page, false), bytesAt(at+page, 1)[0])
	got, e = mremap(at, 2*page, 4*page, 0, 0)
	fmt.Println("grow into the gap:", got == at, prog.Name(e), faults(at+3*page, true))
	_, e = mremap(at, 4*page, 8*page, 0, 0)
	fmt.Println("grow into a mapping:", prog.Name(e))
	moved, e := mremap(at, 4*page, 8*page, mayMove, 0)
	fmt.Println("move:", moved != at, prog.Name(e), faults(at, false), bytesAt(moved+page, 1)[0], bytesAt(moved+7*page, 1)[0])
	to, _ := mmap(0, 10*page, rw, anon, -1, 0)
	got, e = mremap(moved, 8*page, 8*page, mayMove|mremapFixed, to)
	fmt.Println("fixed:", got == to, prog.Name(e), bytesAt(to+page, 1)[0], faults(moved, false), faults(to+9*page, true))
	got, e = mremap(to, 8*page, 8*page, mayMove|dontUnmap, 0)
	fmt.Println("keep the old:", got != to, prog.Name(e), bytesAt(got+page, 1)[0], bytesAt(to+page, 1)[0])
	_, e = mremap(at+1, page, 2*page, mayMove, 0)
	fmt.Println("unaligned:", prog.Name(e))
	_, e = mremap(at, page, 0, mayMove, 0)
	fmt.Println("nothing:", prog.Name(e))
	_, e = mremap(0x7000dead0000, page, 2*page, mayMove, 0)
	fmt.Println("unmapped:", prog.Name(e))
	_, e = mremap(to, page, page, 99, 0)
	fmt.Println("flags:", prog.Name(e))
	big, _ := mmap(0, 64<<20, rw, anon, -1, 0)
	for i := uintptr(0); i < 64<<20; i += page {
		*(*uint64)(unsafe.Pointer(&bytesAt(big+i, 8)[0])) = uint64(i)
	}
	big, e = mremap(big, 64<<20, 128<<20, mayMove, 0)
	wrong := 0
	for i := uintptr(0); i < 128<<20; i += page {
		want := uint64(i)
		if i >= 64<<20 {
			want = 0
		}
		if *(*uint64)(unsafe.Pointer(&bytesAt(big+i, 8)[0])) != want {
			wrong++
		}
	}
	fmt.Println("large:", prog.Name(e), wrong)
}

func madvise(at, n uintptr, advice int) string {
	_, _, e := syscall.Syscall(syscall.SYS_MADVISE, at, n, uintptr(advice))
	return prog.Name(e)
}

func advise() {
	at, _ := mmap(0, 16*page, rw, anon, -1, 0)
	for i := uintptr(0); i < 16; i++ {
		bytesAt(at+i*page, 1)[0] = 9
	}
	fmt.Println("dontneed:", madvise(at+page, 2*page, syscall.MADV_DONTNEED))
	fmt.Println(bytesAt(at, 1)[0], bytesAt(at+page, 1)[0], bytesAt(at+2*page, 1)[0], bytesAt(at+3*page, 1)[0])
	for _, advice := range []int{0, 1, 2, 3, 14, 15, 16, 17} {
		fmt.Println(advice, madvise(at, 16*page, advice))
	}
	fmt.Println("free:", madvise(at+4*page, page, 8))
	first := bytesAt(at+4*page, 1)[0]
	fmt.Println(first == 9 || first == 0)
	fmt.Println("unaligned:", madvise(at+1, page, syscall.MADV_DONTNEED))
	fmt.Println("unknown:", madvise(at, page, 999))
	fmt.Println("nothing:", madvise(at, 0, syscall.MADV_DONTNEED))
	fmt.Println("unmapped:", madvise(0x7000dead0000, page, syscall.MADV_DONTNEED))
	fmt.Println("wrapping:", madvise(at, ^uintptr(0)-page, syscall.MADV_DONTNEED))
	prog.Check(munmap(at+8*page, page) == 0, "munmap")
	fmt.Println("over a hole:", madvise(at, 16*page, syscall.MADV_DONTNEED), bytesAt(at+10*page, 1)[0])
	fmt.Println("populate:", madvise(at, 2*page, 23))
}

// dontneed frees and zeroes, in any pattern, also beside memory that is being written.
func dontneed() {
	const n = 64 << 20
	at, _ := mmap(0, n, rw, anon, -1, 0)
	all := bytesAt(at, n)
	for round := 0; round < 3; round++ {
		for i := 0; i < n; i += 64 {
			all[i] = 0xaa
		}
		x := uint32(round*77 + 1)
		gone := make([]bool, n/page)
		for k := 0; k < 2000; k++ {
			x = x*1664525 + 1013904223
			from := uintptr(x>>8) % (n / page)
			count := uintptr(x>>4)%16 + 1
			if from+count > n/page {
				continue
			}
			prog.Check(madvise(at+from*page, count*page, syscall.MADV_DONTNEED) == "ok", "madvise")
			for i := from; i < from+count; i++ {
				gone[i] = true
			}
		}
		wrong := 0
		for i := 0; i < n; i += 64 {
			want := byte(0xaa)
			if gone[i/page] {
				want = 0
			}
			if all[i] != want {
				wrong++
			}
		}
		fmt.Println("wrong:", wrong)
	}
	for i := 0; i < n; i += page {
		all[i] = 1
	}
	before := resident()
	madvise(at, n, syscall.MADV_DONTNEED)
	fmt.Println("freed:", before-resident() > 40<<10)
}

func incore() {
	at, _ := mmap(0, 8*page, rw, anon, -1, 0)
	madvise(at, 8*page, 15)
	bytesAt(at+2*page, 1)[0] = 1
	bytesAt(at+5*page, 1)[0] = 1
	var vec [8]byte
	call := func(at, n uintptr, to unsafe.Pointer) string {
		_, _, e := syscall.Syscall(syscall.SYS_MINCORE, at, n, uintptr(to))
		return prog.Name(e)
	}
	fmt.Println(call(at, 8*page, unsafe.Pointer(&vec)), vec[2]&1, vec[5]&1)
	fmt.Println(call(at+1, page, unsafe.Pointer(&vec)))
	fmt.Println(call(0x7000dead0000, page, unsafe.Pointer(&vec)))
	fmt.Println(call(at, page, nil))
	fmt.Println(call(at, 0, unsafe.Pointer(&vec)))
}

func lock() {
	at, _ := mmap(0, 8*page, rw, anon, -1, 0)
	call := func(number uintptr, a, b uintptr) string {
		_, _, e := syscall.Syscall(number, a, b, 0)
		return prog.Name(e)
	}
	fmt.Println(call(syscall.SYS_MLOCK, at, 4*page), call(syscall.SYS_MUNLOCK, at, 4*page), call(syscall.SYS_MLOCK, 0x7000dead0000, page))
	fmt.Println(call(syscall.SYS_MLOCKALL, 0, 0), call(syscall.SYS_MLOCKALL, 99, 0), call(syscall.SYS_MUNLOCKALL, 0, 0))
	fmt.Println(prog.Name(syscall.Mlock(bytesAt(at+1, page))))
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

func scratch(content []byte) *os.File {
	file, err := os.CreateTemp("", "memory")
	prog.Must(err)
	prog.Must(os.Remove(file.Name()))
	_, err = file.Write(content)
	prog.Must(err)
	return file
}

func privateFile() {
	content := pattern(10*page + 100)
	file := scratch(content)
	at, e := mmap(0, 11*page, rw, syscall.MAP_PRIVATE, int(file.Fd()), 0)
	fmt.Println(prog.Name(e))
	all := bytesAt(at, 11*page)
	fmt.Println(bytes.Equal(all[:len(content)], content), bytes.Count(all[len(content):], []byte{0}) == page-100)
	all[5*page] ^= 0xff
	all[len(content)-1] ^= 0xff
	got := make([]byte, len(content))
	_, err := file.ReadAt(got, 0)
	prog.Must(err)
	fmt.Println("file unchanged:", bytes.Equal(got, content))
	// Later writes to the file show in pages not yet written privately.
	_, err = file.WriteAt([]byte("new"), 3*page)
	prog.Must(err)
	_, err = file.WriteAt([]byte("new"), 5*page+10)
	prog.Must(err)
	fmt.Printf("%q %v\n", all[3*page:3*page+3], bytes.Equal(all[5*page+10:5*page+13], content[5*page+10:5*page+13]))
	second, e := mmap(0, 2*page, syscall.PROT_READ, syscall.MAP_PRIVATE, int(file.Fd()), 3*page)
	fmt.Printf("%s %q %s\n", prog.Name(e), bytesAt(second, 3), faults(second, true))
	prog.Must(file.Close())
	fmt.Printf("after close: %q\n", bytesAt(second, 3))
	madvise(at+5*page, page, syscall.MADV_DONTNEED)
	fmt.Printf("dropped copy: %q\n", all[5*page+10:5*page+13])
}

func sharedFile() {
	content := pattern(4 * page)
	file := scratch(content)
	at, e := mmap(0, 4*page, rw, syscall.MAP_SHARED, int(file.Fd()), 0)
	fmt.Println(prog.Name(e))
	all := bytesAt(at, 4*page)
	copy(all[page:], "through the mapping")
	got := make([]byte, 19)
	_, err := file.ReadAt(got, page)
	fmt.Printf("%q %v\n", got, err)
	_, err = file.WriteAt([]byte("through the file"), 2*page)
	prog.Must(err)
	fmt.Printf("%q\n", all[2*page:2*page+16])
	other, e := mmap(0, page, syscall.PROT_READ, syscall.MAP_SHARED, int(file.Fd()), page)
	fmt.Printf("%s %q\n", prog.Name(e), bytesAt(other, 19))
	copy(all[page:], "seen by the other ")
	fmt.Printf("%q\n", bytesAt(other, 19))
	prog.Check(munmap(at, 4*page) == 0, "munmap")
	_, err = file.ReadAt(got, page)
	fmt.Printf("%q %v\n", got, err)
	readOnly, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", file.Fd()))
	prog.Must(err)
	_, e = mmap(0, page, rw, syscall.MAP_SHARED, int(readOnly.Fd()), 0)
	fmt.Println("writable mapping of a read-only file:", prog.Name(e))
	_, e = mmap(0, page, rw, syscall.MAP_PRIVATE, int(readOnly.Fd()), 0)
	fmt.Println("private one:", prog.Name(e))
	ro, e := mmap(0, page, syscall.PROT_READ, syscall.MAP_SHARED, int(readOnly.Fd()), 0)
	_, _, f := syscall.Syscall(syscall.SYS_MPROTECT, ro, page, uintptr(rw))
	fmt.Println("made writable later:", prog.Name(e), prog.Name(f))
}

func truncatedFile() {
	file := scratch(pattern(4 * page))
	at, _ := mmap(0, 8*page, rw, syscall.MAP_SHARED, int(file.Fd()), 0)
	fmt.Println(faults(at+3*page, true), faults(at+4*page, false))
	prog.Must(file.Truncate(6 * page))
	fmt.Println(faults(at+5*page, true), faults(at+6*page, false))
	prog.Must(file.Truncate(page + 10))
	fmt.Println(faults(at+page, false), faults(at+2*page, false), bytesAt(at+page+10, 1)[0])
	bytesAt(at+page+20, 1)[0] = 77
	prog.Must(file.Truncate(2 * page))
	fmt.Println(bytesAt(at+page+10, 1)[0], faults(at+2*page, false))
}

// growFile does what bbolt does: grow, map again larger, while readers hold the old mapping.
func growFile() {
	file := scratch(nil)
	var old []byte
	for size := 64 << 10; size <= 32<<20; size *= 2 {
		prog.Must(file.Truncate(int64(size)))
		data, err := syscall.Mmap(int(file.Fd()), 0, size, syscall.PROT_READ, syscall.MAP_SHARED)
		prog.Must(err)
		prog.Must(syscall.Madvise(data, syscall.MADV_RANDOM))
		stamp := []byte(strconv.Itoa(size))
		_, err = file.WriteAt(stamp, int64(size-page))
		prog.Must(err)
		prog.Must(file.Sync())
		prog.Check(bytes.HasPrefix(data[size-page:], stamp), "not seen at %d", size)
		if old != nil {
			prog.Check(bytes.Equal(old[len(old)-page:], data[len(old)-page:len(old)]), "differs at %d", size)
			prog.Must(syscall.Munmap(old))
		}
		old = data
	}
	info, err := file.Stat()
	fmt.Println(info.Size(), err)
}

func twoViews() {
	file := scratch(make([]byte, 16*page))
	a, _ := mmap(0, 16*page, rw, syscall.MAP_SHARED, int(file.Fd()), 0)
	b, _ := mmap(0, 16*page, rw, syscall.MAP_SHARED, int(file.Fd()), 0)
	var wg sync.WaitGroup
	for i := 0; i < 4; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			view := bytesAt(a, 16*page)
			if i%2 == 1 {
				view = bytesAt(b, 16*page)
			}
			for k := i; k < 16*page; k += 4 {
				view[k] = byte(k)
			}
		}(i)
	}
	wg.Wait()
	fmt.Println(bytes.Equal(bytesAt(a, 16*page), bytesAt(b, 16*page)))
	got := make([]byte, 16*page)
	_, err := file.ReadAt(got, 0)
	fmt.Println(err, bytes.Equal(got, bytesAt(a, 16*page)))
}

// writeOwnMapping writes a file's own mapping to it, over itself: no deadlock, right bytes.
func writeOwnMapping() {
	content := pattern(8 * page)
	file := scratch(content)
	at, _ := mmap(0, 8*page, rw, syscall.MAP_SHARED, int(file.Fd()), 0)
	n, err := file.WriteAt(bytesAt(at, 4*page), 4*page)
	fmt.Println(n, err, bytes.Equal(bytesAt(at+4*page, 4*page), content[:4*page]))
	n, err = file.ReadAt(bytesAt(at, 2*page), 2*page)
	fmt.Println(n, err, bytes.Equal(bytesAt(at, 2*page), content[2*page:4*page]))
	n, err = file.WriteAt(bytesAt(at, 8*page), 0)
	fmt.Println(n, err)
}

func msync() {
	file := scratch(pattern(4 * page))
	at, _ := mmap(0, 4*page, rw, syscall.MAP_SHARED, int(file.Fd()), 0)
	call := func(at, n uintptr, flags uintptr) string {
		_, _, e := syscall.Syscall(syscall.SYS_MSYNC, at, n, flags)
		return prog.Name(e)
	}
	fmt.Println(call(at, 4*page, syscall.MS_SYNC), call(at, page, syscall.MS_ASYNC), call(at, page, syscall.MS_INVALIDATE), call(at, 0, syscall.MS_SYNC))
	fmt.Println(call(at+1, page, syscall.MS_SYNC), call(at, page, syscall.MS_SYNC|syscall.MS_ASYNC), call(at, page, 99), call(0x7000dead0000, page, syscall.MS_SYNC))
}

func errorsOfMmap() {
	file := scratch(pattern(page))
	show := func(name string, e syscall.Errno) { fmt.Println(name, prog.Name(e)) }
	_, e := mmap(0, 0, rw, anon, -1, 0)
	show("length 0:", e)
	_, e = mmap(0, ^uintptr(0), rw, anon, -1, 0)
	show("length -1:", e)
	_, e = mmap(0, 1<<47, rw, anon, -1, 0)
	show("length 2^47:", e)
	_, e = mmap(0, page, rw, syscall.MAP_ANON, -1, 0)
	show("neither private nor shared:", e)
	_, e = mmap(0, page, rw, syscall.MAP_PRIVATE, -1, 0)
	show("no file:", e)
	_, e = mmap(0, page, rw, syscall.MAP_PRIVATE, 9999, 0)
	show("bad descriptor:", e)
	_, e = mmap(0, page, rw, syscall.MAP_PRIVATE, int(file.Fd()), 1)
	show("offset not a page's:", e)
	r, _, err := os.Pipe()
	prog.Must(err)
	_, e = mmap(0, page, syscall.PROT_READ, syscall.MAP_PRIVATE, int(r.Fd()), 0)
	show("pipe:", e)
	dir, err := os.Open(os.TempDir())
	prog.Must(err)
	_, e = mmap(0, page, syscall.PROT_READ, syscall.MAP_PRIVATE, int(dir.Fd()), 0)
	show("directory:", e)
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	prog.Must(err)
	_, e = mmap(0, page, rw, syscall.MAP_PRIVATE, int(null.Fd()), 0)
	show("/dev/null:", e)
	zero, err := os.OpenFile("/dev/zero", os.O_RDWR, 0)
	prog.Must(err)
	at, e := mmap(0, page, rw, syscall.MAP_PRIVATE, int(zero.Fd()), 0)
	show("/dev/zero:", e)
	fmt.Println(faults(at, true))
	writeOnly, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", file.Fd()), os.O_WRONLY, 0)
	prog.Must(err)
	_, e = mmap(0, page, syscall.PROT_READ, syscall.MAP_PRIVATE, int(writeOnly.Fd()), 0)
	show("write-only file:", e)
	show("munmap 0:", munmap(0x1000, 0))
	show("munmap unaligned:", munmap(0x1001, page))
	show("munmap kernel:", munmap(0xffff800000000000, page))
	show("munmap wrapping:", munmap(0x1000, ^uintptr(0)-0x1000))
}

// maps: /proc/self/maps tells what is mapped.
func maps() {
	file := scratch(pattern(4 * page))
	at, _ := mmap(0, 3*page, rw, syscall.MAP_PRIVATE, int(file.Fd()), page)
	ro, _ := mmap(0, 2*page, syscall.PROT_READ, syscall.MAP_SHARED, int(file.Fd()), 0)
	none, _ := mmap(0, 2*page, syscall.PROT_NONE, anon, -1, 0)
	text, err := os.ReadFile("/proc/self/maps")
	prog.Must(err)
	executable, _ := os.Executable()
	own, stack, vdso, sorted, last := 0, false, false, true, uint64(0)
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		fields := strings.Fields(line)
		low, _ := strconv.ParseUint(strings.Split(fields[0], "-")[0], 16, 64)
		sorted = sorted && low >= last
		last = low
		if len(fields) > 5 && fields[5] == executable {
			own++
		}
		stack = stack || strings.HasSuffix(line, "[stack]")
		vdso = vdso || strings.HasSuffix(line, "[vdso]")
		switch {
		case strings.HasPrefix(line, fmt.Sprintf("%x-%x ", at, at+3*page)):
			fmt.Println(fields[1], fields[2], strings.HasSuffix(line, "(deleted)"))
		case strings.HasPrefix(line, fmt.Sprintf("%x-", ro)):
			fmt.Println(fields[1], fields[2])
		case strings.HasPrefix(line, fmt.Sprintf("%x-", none)):
			fmt.Println(fields[1], len(fields) == 5)
		}
	}
	fmt.Println(own >= 2, stack, vdso, sorted)
}

// sparse touches a page here and there in a terabyte.
func sparse() {
	const n = 1 << 40
	at, e := mmap(0, n, rw, anon|syscall.MAP_NORESERVE, -1, 0)
	fmt.Println(prog.Name(e))
	if e != 0 {
		return
	}
	x := uint64(1)
	for i := 0; i < 1000; i++ {
		x = x*6364136223846793005 + 1442695040888963407
		*(*uint64)(unsafe.Pointer(&bytesAt(at+uintptr(x%(n/page))*page, 8)[0])) = x
	}
	x, wrong := 1, 0
	for i := 0; i < 1000; i++ {
		x = x*6364136223846793005 + 1442695040888963407
		if *(*uint64)(unsafe.Pointer(&bytesAt(at+uintptr(x%(n/page))*page, 8)[0])) != x {
			wrong++
		}
	}
	fmt.Println("wrong:", wrong, prog.Name(munmap(at, n)))
}

func manyMappings() {
	var all []uintptr
	for i := 0; i < 5000; i++ {
		at, e := mmap(0, 2*page, rw, anon, -1, 0)
		prog.Check(e == 0, "mmap %d: %v", i, e)
		// A different protection keeps neighbours from being one mapping.
		_, _, e = syscall.Syscall(syscall.SYS_MPROTECT, at+page, page, syscall.PROT_READ)
		prog.Check(e == 0, "mprotect %d: %v", i, e)
		bytesAt(at, 1)[0] = byte(i)
		all = append(all, at)
	}
	wrong := 0
	for i, at := range all {
		if bytesAt(at, 1)[0] != byte(i) {
			wrong++
		}
		if i%3 == 0 {
			prog.Check(munmap(at, 2*page) == 0, "munmap")
		}
	}
	fmt.Println("wrong:", wrong)
}

func memoryLimit() {
	debug.SetMemoryLimit(64 << 20)
	var keep []byte
	for i := 0; i < 1000; i++ {
		keep = make([]byte, 1<<20)
		keep[i] = 1
	}
	fmt.Println("stayed small:", resident() < 200<<10)
}

func populate() {
	at, e := mmap(0, 100*page, rw, anon|syscall.MAP_POPULATE, -1, 0)
	vec := make([]byte, 100)
	_, _, f := syscall.Syscall(syscall.SYS_MINCORE, at, 100*page, uintptr(unsafe.Pointer(&vec[0])))
	fmt.Println(prog.Name(e), prog.Name(f), bytes.Count(vec, []byte{1}))
}

func brk() {
	now, _, _ := syscall.RawSyscall(syscall.SYS_BRK, 0, 0, 0)
	more, _, _ := syscall.RawSyscall(syscall.SYS_BRK, now+16*page, 0, 0)
	fmt.Println(now != 0, more == now+16*page)
	if more == now+16*page {
		bytesAt(now, 16*page)[15*page] = 1
	}
	same, _, _ := syscall.RawSyscall(syscall.SYS_BRK, 0xffff800000000000, 0, 0)
	fmt.Println(same == more)
}

// threads map, fault, protect and unmap at once: their translations must never be stale.
func threads() {
	var wg sync.WaitGroup
	var m sync.Mutex
	wrong := 0
	for g := 0; g < 4; g++ {
		wg.Add(1)
		go func(g int) {
			defer wg.Done()
			bad := 0
			for i := 0; i < 300; i++ {
				at, e := mmap(0, 8*page, rw, anon, -1, 0)
				prog.Check(e == 0, "mmap: %v", e)
				all := bytesAt(at, 8*page)
				for k := 0; k < 8*page; k += 512 {
					if all[k] != 0 {
						bad++
					}
					all[k] = byte(g + 1)
				}
				for k := 0; k < 8*page; k += 512 {
					if all[k] != byte(g+1) {
						bad++
					}
				}
				_, _, e = syscall.Syscall(syscall.SYS_MPROTECT, at, 4*page, syscall.PROT_READ)
				prog.Check(e == 0, "mprotect: %v", e)
				if faults(at+page, true) == "fine" {
					bad++
				}
				prog.Check(munmap(at, 8*page) == 0, "munmap")
			}
			m.Lock()
			wrong += bad
			m.Unlock()
		}(g)
	}
	wg.Wait()
	fmt.Println("wrong:", wrong)
}

// huge: regions that large pages serve, written in strides, partly protected and partly given back.
func huge() {
	const n = 32 << 20
	at, _ := mmap(0, n, rw, anon, -1, 0)
	madvise(at, n, 14)
	all := bytesAt(at, n)
	for i := 0; i < n; i += page {
		all[i] = byte(i >> 12)
	}
	_, _, e := syscall.Syscall(syscall.SYS_MPROTECT, at+5<<20+page, 3*page, syscall.PROT_READ)
	fmt.Println(prog.Name(e), faults(at+5<<20, true), faults(at+5<<20+page, true), faults(at+5<<20+4*page, true))
	fmt.Println(madvise(at+9<<20+page, page, syscall.MADV_DONTNEED), prog.Name(munmap(at+13<<20, 2*page)))
	wrong := 0
	for i := 0; i < n; i += page {
		if i == 5<<20 || i == 5<<20+4*page || i>>20 == 13 && i&0xfffff < 2*page {
			continue
		}
		want := byte(i >> 12)
		if i == 9<<20+page {
			want = 0
		}
		if all[i] != want {
			wrong++
		}
	}
	fmt.Println("wrong:", wrong)
}

// execMapping runs code that the program wrote, as a JIT does.
func execMapping() {
	at, e := mmap(0, page, rw, anon, -1, 0)
	fmt.Println(prog.Name(e))
	copy(bytesAt(at, page), []byte{0x48, 0xc7, 0xc0, 0x2a, 0, 0, 0, 0xc3}) // mov $42, %rax; ret
	_, _, e = syscall.Syscall(syscall.SYS_MPROTECT, at, page, syscall.PROT_READ|syscall.PROT_EXEC)
	fmt.Println(prog.Name(e), faults(at, true))
	code := &at
	function := *(*func() int)(unsafe.Pointer(&code))
	fmt.Println(function())
	_, _, e = syscall.Syscall(syscall.SYS_MPROTECT, at, page, syscall.PROT_READ|syscall.PROT_WRITE|syscall.PROT_EXEC)
	bytesAt(at, page)[3] = 43
	fmt.Println(prog.Name(e), function())
}

// zeroPages reads memory never written: all zero, little taken.
func zeroPages() {
	const n = 64 << 20
	at, _ := mmap(0, n, rw, anon, -1, 0)
	sum := 0
	for _, b := range bytesAt(at, n) {
		sum += int(b)
	}
	fmt.Println(sum)
	bytesAt(at+page, 1)[0] = 1
	fmt.Println(bytesAt(at, 1)[0], bytesAt(at+page, 1)[0], bytesAt(at+2*page, 1)[0])
}

func status() {
	for _, key := range []string{"VmPeak:", "VmSize:", "VmRSS:", "VmHWM:", "VmData:", "Threads:"} {
		text, err := os.ReadFile("/proc/self/status")
		prog.Must(err)
		found := false
		for _, line := range strings.Split(string(text), "\n") {
			fields := strings.Fields(line)
			if len(fields) > 1 && fields[0] == key {
				n, err := strconv.Atoi(fields[1])
				found = err == nil && n > 0
			}
		}
		fmt.Println(key, found)
	}
	statm, err := os.ReadFile("/proc/self/statm")
	prog.Must(err)
	fmt.Println(len(strings.Fields(string(statm))))
}

// touched is a block of that many MiB with a byte written in each page.
func touched(mib int) []byte {
	block := make([]byte, mib<<20)
	for i := 0; i < len(block); i += page {
		block[i] = 1
	}
	return block
}

// givenBack fills files with memory that a heap had before.
func givenBack() {
	block := touched(150)
	fmt.Println(len(block))
	block = nil
	debug.FreeOSMemory()
	file, err := os.CreateTemp("", "given-back")
	prog.Must(err)
	defer os.Remove(file.Name())
	content := pattern(1 << 20)
	for i := 0; i < 130; i++ {
		_, err := file.Write(content)
		prog.Must(err)
	}
	fmt.Println("written")
	block = touched(50)
	fmt.Println(len(block))
}

// peak looks at what getrusage tells of memory that is not there any more.
func peak() {
	maximum := func() int64 {
		var usage syscall.Rusage
		prog.Must(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
		return usage.Maxrss
	}
	block := touched(128)
	before := maximum()
	runtime.KeepAlive(block)
	block = nil
	debug.FreeOSMemory()
	after := maximum()
	fmt.Println(before >= 128<<10, after >= before, amounts("/proc/self/status", "")["VmHWM"] <= int(after))
}

// amounts reads lines of a name and kilobytes; behind the line that begins with from, if that is not empty.
func amounts(file, from string) map[string]int {
	text, err := os.ReadFile(file)
	prog.Must(err)
	all := map[string]int{}
	lines := strings.Split(string(text), "\n")
	for from != "" && len(lines) > 0 && !strings.HasPrefix(lines[0], from) {
		lines = lines[1:]
	}
	for _, line := range lines {
		key, rest, _ := strings.Cut(line, ":")
		fields := strings.Fields(rest)
		if _, known := all[key]; !known && len(fields) == 2 && fields[1] == "kB" {
			all[key], _ = strconv.Atoi(fields[0])
		}
	}
	return all
}

// sharedStatus looks where the kernel counts shared memory that no file shows.
func sharedStatus() {
	const n, slack = 32 << 10, 4 << 10
	before := amounts("/proc/self/status", "")
	at, e := mmap(0, n<<10, rw, syscall.MAP_ANON|syscall.MAP_SHARED, -1, 0)
	for i := uintptr(0); i < n<<10; i += page {
		bytesAt(at+i, 1)[0] = 1
	}
	after := amounts("/proc/self/status", "")
	for _, key := range []string{"RssShmem", "RssFile", "RssAnon"} {
		grown := after[key] - before[key]
		fmt.Println(key, grown > n-slack, grown < slack)
	}
	area := amounts("/proc/self/smaps", fmt.Sprintf("%08x-", at))
	fmt.Println(prog.Name(e), area["Size"], area["Rss"], area["Private_Dirty"], area["Private_Clean"], area["Anonymous"])
	sum := amounts("/proc/self/smaps_rollup", "")
	fmt.Println(sum["Pss_Shmem"] >= n, sum["Pss_Shmem"] < n+slack)
}
