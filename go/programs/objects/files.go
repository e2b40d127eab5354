package main

import "syscall"

const max63 = uintptr(1<<63 - 1)

// files are calls that read, write and move bytes.
func files() []call {
	any := func() slot { return fds("*") }
	counts := values(8, 0, 64, 8192, 9000, 1<<31, 1<<62, all)
	offsets := values(0, 8, 4990, 6000, max63-7, max63, 1<<63, all)
	iovs := values(2, 0, 1, 1024, 1025, all, 1<<31, 1<<32)
	flags := values(0, 1, 2, 4, 8, 0x10, 0x20, 0x30, 0x40, 1<<31, 1<<32)
	text := func() slot { return in(pattern[:64], pattern[:8192]) }
	positions := func() slot {
		return optional(both(words(0), words(100), words(6000), words(1<<63), words(uint64(max63))))
	}
	lengths := values(100, 0, 8, 70000, 1<<31, 1<<62, 1<<63, all)
	return []call{
		{"read", syscall.SYS_READ, []slot{any(), room(64), counts}, nil},
		{"write", syscall.SYS_WRITE, []slot{any(), text(), counts}, nil},
		{"pread64", syscall.SYS_PREAD64, []slot{any(), room(64), counts, offsets}, nil},
		{"pwrite64", syscall.SYS_PWRITE64, []slot{any(), text(), counts, offsets}, nil},
		{"readv", syscall.SYS_READV, []slot{any(), vectors(), iovs}, nil},
		{"writev", syscall.SYS_WRITEV, []slot{any(), vectors(), iovs}, nil},
		{"preadv", 295, []slot{any(), vectors(), iovs, offsets, values(0, all)}, nil},
		{"pwritev", 296, []slot{any(), vectors(), iovs, offsets, values(0, all)}, nil},
		{"preadv2", 327, []slot{any(), vectors(), iovs, offsets, values(0, all), flags}, nil},
		{"pwritev2", 328, []slot{any(), vectors(), iovs, offsets, values(0, all), flags}, nil},
		{"lseek", syscall.SYS_LSEEK, []slot{any(), offsets, values(0, 1, 2, 3, 4, 5, all, 1<<32)}, nil},
		{"ftruncate", syscall.SYS_FTRUNCATE, []slot{any(), values(100, 0, 6000, 1<<62, max63, 1<<63, all)}, nil},
		{"truncate", syscall.SYS_TRUNCATE, []slot{names("f", "l", ".", "p", "", "missing", "f/x", "loop"), values(100, 0, 6000, 1<<62, 1<<63, all)}, nil},
		{"fallocate", 285, []slot{any(), values(0, 1, 2, 3, 8, 9, 0x10, 0x11, 0x20, 0x40, 0x80, all), values(0, 100, 8192, max63, 1<<63, all), values(4096, 0, 100, 1<<63, all)}, nil},
		{"fsync", syscall.SYS_FSYNC, []slot{any()}, nil},
		{"fdatasync", syscall.SYS_FDATASYNC, []slot{any()}, nil},
		{"syncfs", 306, []slot{any()}, nil},
		{"sync_file_range", 277, []slot{any(), offsets, lengths, values(0, 1, 2, 4, 7, 8, 1<<31)}, nil},
		{"readahead", 187, []slot{any(), offsets, lengths}, nil},
		{"fadvise64", 221, []slot{any(), offsets, lengths, values(0, 1, 2, 3, 4, 5, 6, 7, all)}, nil},
		{"sendfile", syscall.SYS_SENDFILE, []slot{any(), any(), positions(), lengths}, nil},
		{"copy_file_range", 326, []slot{any(), positions(), any(), positions(), lengths, values(0, 1, 1<<31, 1<<32)}, nil},
		{"splice", 275, []slot{any(), positions(), any(), positions(), lengths, values(2, 0, 1, 4, 8, 15, 16, 1<<32)}, nil},
		{"tee", 276, []slot{any(), any(), lengths, values(2, 0, 1, 8, 16)}, nil},
		{"vmsplice", 278, []slot{any(), vectors(), iovs, values(2, 10, 18)}, nil},
		{"getdents", syscall.SYS_GETDENTS, []slot{fds("directory *"), room(512), values(512, 0, 1, 18, 24, 64, 1<<31, 1<<32)}, ok},
		{"getdents64", syscall.SYS_GETDENTS64, []slot{fds("directory *"), room(512), values(512, 0, 1, 18, 24, 64, 1<<31, 1<<32)}, ok},
	}
}
