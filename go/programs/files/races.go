package main

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// during runs each of fs on a goroutine of its own again and again for a while.
func during(d time.Duration, fs ...func()) {
	var done atomic.Bool
	var group sync.WaitGroup
	for _, f := range fs {
		f := f
		group.Add(1)
		go func() {
			defer group.Done()
			for !done.Load() {
				f()
			}
		}()
	}
	time.Sleep(d)
	done.Store(true)
	group.Wait()
}

// replaced reads a directory while one of its files is replaced: that has its name at every moment.
func replaced() {
	for n := 0; n < 200; n++ {
		write("other"+strconv.Itoa(n), "")
	}
	write("config", "0")
	var missing, found, replacements int
	during(300*time.Millisecond,
		func() {
			check(os.WriteFile("next", []byte("1"), 0o644))
			check(os.Rename("next", "config"))
			replacements++
		},
		func() {
			entries, err := os.ReadDir(".")
			check(err)
			there := false
			for _, entry := range entries {
				there = there || entry.Name() == "config"
			}
			if there {
				found++
			} else {
				missing++
			}
		})
	fmt.Println("missing:", missing, found > 0, replacements > 0)
}

// lockFiles makes, replaces and removes one name from several goroutines: to make or replace it never fails.
func lockFiles() {
	var errs [4]atomic.Int32
	note := func(at int, err error) {
		if err != nil {
			errs[at].Add(1)
		}
	}
	during(300*time.Millisecond,
		func() {
			f, err := os.OpenFile("lock", os.O_CREATE|os.O_RDWR, 0o644)
			note(0, err)
			if err == nil {
				f.Close()
			}
		},
		func() {
			check(os.WriteFile("next", nil, 0o644))
			note(1, os.Rename("next", "lock"))
		},
		func() {
			if err := syscall.Unlink("lock"); err != syscall.ENOENT {
				note(2, err)
			}
		},
		func() {
			f, err := os.OpenFile("lock", os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o644)
			if err == nil {
				f.Close()
			} else if !os.IsExist(err) {
				note(3, err)
			}
		})
	for at := range errs {
		fmt.Println(at, errs[at].Load())
	}
}

// holes finds data and holes, and makes holes, in a file that was there before.
func holes() {
	const keepSize, punchHole, seekData, seekHole = 1, 2, 3, 4
	f, err := os.OpenFile("big", os.O_RDWR, 0)
	check(err)
	fd := int(f.Fd())
	info, err := f.Stat()
	check(err)
	size := info.Size()
	look := func(what string) {
		fmt.Print(what, ":")
		for at := int64(0); ; {
			data, err := syscall.Seek(fd, at, seekData)
			if err != nil {
				fmt.Println(" end", err)
				return
			}
			hole, err := syscall.Seek(fd, data, seekHole)
			check(err)
			fmt.Print(" ", data, "-", hole)
			at = hole
		}
	}
	sum := func() {
		sum := 0
		buf := make([]byte, 1<<20)
		for at := int64(0); ; {
			n, err := f.ReadAt(buf, at)
			for i, b := range buf[:n] {
				sum = sum*31 + int(b) + i&1
			}
			at += int64(n)
			if err != nil {
				fmt.Println("sum", at, uint32(sum))
				return
			}
		}
	}
	look("whole")
	sum()
	const page = 4096
	for _, hole := range [][2]int64{{page, page}, {10 * page, 100 * page}, {200*page + 1, 3 * page}, {256 * page, 64 * page}, {640 * page, 128 * page}} {
		check(syscall.Fallocate(fd, punchHole|keepSize, hole[0], hole[1]))
	}
	look("punched")
	sum()
	_, err = f.WriteAt([]byte("in a hole"), 50*page+5)
	check(err)
	_, err = f.WriteAt([]byte("far behind"), size+1000*page)
	check(err)
	look("written")
	sum()
	for _, length := range []int64{size + 100*page, size + 5, 777*page + 7, 300 * page, 12*page + 1, 12 * page, 5, 0} {
		check(f.Truncate(length))
		look("cut")
		sum()
	}
	check(f.Truncate(size))
	look("grown")
	sum()
}
