package main

import (
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"ringo.dev/go/internal/prog"
)

const page = 4096

func touch(at, n uintptr) {
	for offset := uintptr(0); offset < n; offset += page {
		*(*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&[]uintptr{at + offset}[0]))) = 1
	}
}

// mapping is a line of maps.
type mapping struct {
	start, end, offset uintptr
	rights, device     string
	inode              uint64
	path               string
}

func parse(line string) mapping {
	var m mapping
	fields := strings.SplitN(line, " ", 6)
	prog.Check(len(fields) == 6, "%q", line)
	low, high, ok := strings.Cut(fields[0], "-")
	prog.Check(ok && len(low) >= 8 && len(high) >= 8, "%q", line)
	m.start, m.end, m.offset = hex(low), hex(high), hex(fields[2])
	m.rights, m.device = fields[1], fields[3]
	n, err := strconv.ParseUint(fields[4], 10, 64)
	prog.Must(err)
	m.inode = n
	m.path = strings.TrimSpace(fields[5])
	if m.path != "" {
		prog.Check(strings.Index(line, m.path) == 73, "column %d: %q", strings.Index(line, m.path), line)
	} else {
		prog.Check(fields[5] == "", "%q", line)
	}
	return m
}

func hex(s string) uintptr {
	n, err := strconv.ParseUint(s, 16, 64)
	prog.Must(err)
	return uintptr(n)
}

func mappings() (all []mapping) {
	for _, line := range lines(self("maps")) {
		all = append(all, parse(line))
	}
	return all
}

func find(all []mapping, at uintptr) mapping {
	for _, m := range all {
		if at >= m.start && at < m.end {
			return m
		}
	}
	return mapping{}
}

func mmap(n uintptr, prot, flags, fd int, offset int64) uintptr {
	at, _, e := syscall.Syscall6(syscall.SYS_MMAP, 0, n, uintptr(prot), uintptr(flags), uintptr(fd), uintptr(offset))
	prog.Check(e == 0, "mmap: %v", e)
	return at
}

var variable = 7

func maps() {
	const r, w, x = syscall.PROT_READ, syscall.PROT_WRITE, syscall.PROT_EXEC
	const anonymous = syscall.MAP_PRIVATE | syscall.MAP_ANON
	file, err := os.Create(os.TempDir() + "/procfs-mapped file")
	prog.Must(err)
	prog.Must(file.Truncate(16 * page))
	fd := int(file.Fd())
	private := mmap(3*page, r|w, syscall.MAP_PRIVATE, fd, 2*page)
	shared := mmap(2*page, r|w, syscall.MAP_SHARED, fd, page)
	readOnly := mmap(page, r, syscall.MAP_SHARED, fd, 0)
	code := mmap(page, r|x, anonymous, -1, 0)
	none := mmap(5*page, syscall.PROT_NONE, anonymous, -1, 0)
	sharedAnonymous := mmap(2*page, r|w, syscall.MAP_SHARED|syscall.MAP_ANON, -1, 0)
	split := mmap(9*page, r|w, anonymous, -1, 0)
	_, _, e := syscall.Syscall(syscall.SYS_MPROTECT, split+3*page, 3*page, syscall.PROT_READ)
	fmt.Println(prog.Name(e))
	block := make([]byte, 1<<20)
	all := mappings()
	var last uintptr
	sorted, empty, special := true, false, map[string]string{}
	for _, m := range all {
		sorted = sorted && m.start >= last
		empty = empty || m.start >= m.end || m.start%page != 0 || m.end%page != 0
		last = m.end
		if strings.HasPrefix(m.path, "[") {
			special[m.path] = m.rights
		}
	}
	fmt.Println(sorted, empty, special["[stack]"], special["[vdso]"], special["[vvar]"])
	var st syscall.Stat_t
	prog.Must(syscall.Fstat(fd, &st))
	device := fmt.Sprintf("%02x:%02x", st.Dev>>8&0xfff, st.Dev&0xff|st.Dev>>12&0xfff00)
	show := func(what string, at uintptr) {
		m := find(all, at)
		own := m.inode == st.Ino && m.device == device && m.path == file.Name()
		fmt.Println(what, m.rights, m.offset-uintptr(0), m.start == at || m.start < at && !own, own)
	}
	show("private", private)
	show("shared", shared)
	show("read-only", readOnly)
	size := func(at uintptr) uintptr { m := find(all, at); return (m.end - m.start) / page }
	fmt.Println("pages:", size(private), size(shared), size(readOnly))
	fmt.Println("code", find(all, code).rights, "none", find(all, none).rights)
	m := find(all, sharedAnonymous)
	fmt.Println("shared anonymous", m.rights, m.path, m.device, m.offset)
	fmt.Println("split", find(all, split).rights, find(all, split+3*page).rights, find(all, split+6*page).rights, size(split+3*page))
	// The program's own parts.
	exe, _ := os.Executable()
	text, data := find(all, reflect.ValueOf(maps).Pointer()), find(all, uintptr(unsafe.Pointer(&variable)))
	fmt.Println("text", text.rights, text.path == exe, "data", data.rights)
	for _, m := range all {
		if strings.Contains(m.rights, "x") {
			fmt.Println("the first code is the program's", m.path == exe) // profilers count on it
			break
		}
	}
	heap := find(all, uintptr(unsafe.Pointer(&block[0])))
	fmt.Println("heap", heap.rights)
	// A name that is gone.
	prog.Must(os.Remove(file.Name()))
	m = find(mappings(), private)
	fmt.Println(m.path == file.Name()+" (deleted)", m.inode == st.Ino)
	syscall.Syscall(syscall.SYS_MUNMAP, private+page, page, 0)
	all = mappings()
	fmt.Println(find(all, private).end == private+page, find(all, private+page).end, find(all, private+2*page).offset/page)
	text2, _ := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/maps", syscall.Gettid()))
	fmt.Println(strings.Count(string(text2), "\n") >= len(all)-3)
}

// smaps: its parts add up.
func smaps() {
	at := mmap(8*page, 3, syscall.MAP_PRIVATE|syscall.MAP_ANON, -1, 0)
	_, _, e := syscall.Syscall(syscall.SYS_MPROTECT, at, page, syscall.PROT_READ)
	prog.Check(e == 0, "mprotect %v", e)
	_, _, e = syscall.Syscall(syscall.SYS_MADVISE, at+page, 7*page, 15 /* NOHUGEPAGE */)
	prog.Check(e == 0, "madvise %v", e)
	touch(at+page, 7*page)
	var current mapping
	wrong, ours := 0, map[string]string{}
	keys := map[string]int{}
	for _, line := range lines(self("smaps")) {
		key, value, isKey := strings.Cut(line, ":")
		if !isKey || strings.Contains(key, "-") {
			current = parse(line)
			continue
		}
		keys[key]++
		if key == "VmFlags" {
			continue
		}
		if key == "Size" && uintptr(number(value))<<10 != current.end-current.start ||
			key == "Rss" && uintptr(number(value))<<10 > current.end-current.start {
			wrong++
		}
		if current.start == at+page {
			ours[key] = strings.TrimSpace(value)
		}
	}
	fmt.Println("wrong:", wrong)
	for _, key := range strings.Fields(`Size KernelPageSize MMUPageSize Rss Pss Shared_Clean Shared_Dirty Private_Clean Private_Dirty
		Referenced Anonymous Swap`) {
		fmt.Println(key, ours[key])
	}
	fmt.Println(keys["VmFlags"] == keys["Size"], keys["Size"] > 10)
	rollup := lines(self("smaps_rollup"))
	matches("rollup", rollup[0], `[0-9a-f]+-[0-9a-f]+ ---p 00000000 00:00 0 +\[rollup\]`)
	all := map[string]string{}
	for _, line := range rollup[1:] {
		key, value, _ := strings.Cut(line, ":")
		all[key] = value
	}
	has("rollup", all, "Rss Pss Pss_Dirty Pss_Anon Pss_File Pss_Shmem Private_Clean Private_Dirty Referenced Anonymous Swap Locked")
	fmt.Println(number(all["Rss"]) >= number(all["Pss"]), number(all["Rss"]) > 500)
}
