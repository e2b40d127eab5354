package main

import (
	"fmt"
	"sync"
	"syscall"

	"ringo.dev/go/internal/prog"
)

// freshAddresses: page tables for 60 GiB of addresses, used one after the other, take more memory than there is.
func freshAddresses() {
	const n, block = 30000, 2 << 20
	base, e := mmap(0, n*block, 0, anon|syscall.MAP_NORESERVE, -1, 0)
	fmt.Println(prog.Name(e))
	base = (base + block - 1) &^ (block - 1)
	for at := base; at < base+(n-4)*block; at += 2 * block {
		if _, e := mmap(at, 2*block, rw, anon|syscall.MAP_FIXED, -1, 0); e != 0 {
			fmt.Println("mmap:", prog.Name(e))
			return
		}
		madvise(at, 2*block, 15) // MADV_NOHUGEPAGE
		bytesAt(at, 1)[0], bytesAt(at+block, 1)[0] = 1, 2
		if e := munmap(at, 2*block); e != 0 {
			fmt.Println("munmap:", prog.Name(e))
			return
		}
	}
	fmt.Println("used and given back")
}

// regrow: memory that was given in small pages is given back, given again in large ones, cut, and given back once more, while
// other threads use what lies beside it.
func regrow() {
	const n, part = 16 << 20, 4 << 20
	at, _ := mmap(0, n, rw, anon, -1, 0)
	all := bytesAt(at, n)
	touch := func(from, to int, value byte) (wrong int) {
		for i := from; i < to; i += page {
			if all[i] != 0 {
				wrong++
			}
			all[i] = value
		}
		return wrong
	}
	wrong := touch(0, n, 1)
	other, _ := mmap(0, 2*n, rw, anon, -1, 0)
	for i := 0; i < 2*n; i += page {
		bytesAt(other, 2*n)[i] = 1
	}
	var wg sync.WaitGroup
	var total [n / part]int
	for g := range total {
		wg.Add(1)
		go func(g int) {
			defer wg.Done()
			from := g * part
			for round := 0; round < 40; round++ {
				madvise(at+uintptr(from), part, syscall.MADV_DONTNEED)
				total[g] += touch(from, from+part, byte(round))
				cut := from + part/2 + page
				syscall.Syscall(syscall.SYS_MPROTECT, at+uintptr(cut), page, syscall.PROT_READ)
				for i := from; i < from+part; i += page {
					if all[i] != byte(round) {
						total[g]++
					}
				}
				syscall.Syscall(syscall.SYS_MPROTECT, at+uintptr(cut), page, rw)
			}
		}(g)
	}
	wg.Wait()
	for _, more := range total {
		wrong += more
	}
	fmt.Println("wrong:", wrong)
}
