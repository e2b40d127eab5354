package main

import (
	"strings"
	"syscall"
)

// attributes are calls that look for names, and tell or change what files are.
func attributes() []call {
	fdAt := func() slot { return join(values(cwd), fds("directory *")) }
	any := func() slot { return fds("*") }
	long, longest := strings.Repeat("n", 256), strings.Repeat("/", 4096)
	paths := func(more ...string) slot {
		return names(append(append([]string{"f"}, more...), "missing", "", "f/x", "l", "loop", "d", "d/", "f/", long, longest, "/missing/x")...)
	}
	atFlags := values(0, 0x100, 0x200, 0x400, 0x800, 0x1000, 0x1100, 0x2000, 0x4000, 0x6000, 1<<31, 1<<32)
	// Without AT_EMPTY_PATH, which means other things to other versions for what has no name.
	plain := values(0, 0x100, 0x200, 0x400, 0x800, 0x2000, 0x4000, 1<<31, 1<<32)
	times := func() slot {
		return optional(in(words(1, 2, 3, 4), words(1, 0x3fffffff, 3, 0x3ffffffe), words(1, 1000000000, 3, 4), words(1, 2, 3, 1<<63), words(1<<63, 2, 3, 4)))
	}
	keys := func() slot {
		return names("user.none", "nothing", "", "user.", "bad.name", "system.none", strings.Repeat("u", 256), "user."+strings.Repeat("x", 251))
	}
	// What has no name has attributes of its maker's privilege.
	holders := func() slot {
		return fds("file reader writer appender path directory path-directory path-link memfd none closed")
	}
	sizes := values(16, 0, 1, 65536, 65537, 1<<31, all)
	setFlags := values(0, 1, 2, 3, 4, 1<<31)
	modes := values(0o644, 0, 0o1777, 1<<31)
	opens := values(0, 1, 2, 3, syscall.O_CREAT|syscall.O_EXCL, syscall.O_DIRECTORY, syscall.O_NOFOLLOW, oPath, syscall.O_DIRECTORY|syscall.O_CREAT,
		0x410000, 0x410002, syscall.O_NOFOLLOW|oPath, syscall.O_TRUNC, 1<<31, 1<<32, syscall.O_NONBLOCK|1)
	how := func() slot {
		return in(words(0, 0, 0), words(oPath, 0, 0), words(0, 0o644, 0), words(1<<32, 0, 0), words(0, 0, 1<<20), words(0, 0, 1), words(0, 0, 2), words(0, 0, 4),
			words(0, 0, 8), words(0, 0, 16), words(0, 0, 24), words(syscall.O_CREAT|syscall.O_EXCL, 0o1777777, 0), words(0, 0, 0, 0), words(0, 0, 0, 1))
	}
	return []call{
		{"fstat", syscall.SYS_FSTAT, []slot{any(), room(144)}, nil},
		{"stat", syscall.SYS_STAT, []slot{paths(), room(144)}, nil},
		{"lstat", syscall.SYS_LSTAT, []slot{paths(), room(144)}, nil},
		{"newfstatat", syscall.SYS_NEWFSTATAT, []slot{fdAt(), paths(), room(144), atFlags}, nil},
		{"statx", 332, []slot{fdAt(), paths(), atFlags, values(0xfff, 0, 1, 1<<31, 1<<32), room(256)}, nil},
		{"fstatfs", syscall.SYS_FSTATFS, []slot{any(), room(120)}, nil},
		{"statfs", syscall.SYS_STATFS, []slot{paths(), room(120)}, nil},
		{"access", syscall.SYS_ACCESS, []slot{paths(), values(0, 4, 7, 8, all)}, nil},
		{"faccessat", syscall.SYS_FACCESSAT, []slot{fdAt(), paths(), values(0, 4, 7, 8, all)}, nil},
		{"faccessat2", 439, []slot{fdAt(), paths(), values(0, 4, 7, 8, all), plain}, nil},
		{"readlink", syscall.SYS_READLINK, []slot{paths("l", "f"), room(10), values(10, 0, 1, 1<<31, all)}, nil},
		{"readlinkat", syscall.SYS_READLINKAT, []slot{fdAt(), paths("l", "f"), room(10), values(10, 0, 1, 1<<31, all)}, nil},
		{"fchdir", syscall.SYS_FCHDIR, []slot{any()}, nil},
		{"utimensat", syscall.SYS_UTIMENSAT, []slot{fdAt(), paths(), times(), plain}, nil},
		{"futimesat", syscall.SYS_FUTIMESAT, []slot{fdAt(), paths(), times()}, nil},
		{"utimes", syscall.SYS_UTIMES, []slot{paths(), times()}, nil},
		{"utime", syscall.SYS_UTIME, []slot{paths(), times()}, nil},
		{"fgetxattr", syscall.SYS_FGETXATTR, []slot{holders(), keys(), room(16), sizes}, nil},
		{"getxattr", syscall.SYS_GETXATTR, []slot{paths(), keys(), room(16), sizes}, nil},
		{"lgetxattr", syscall.SYS_LGETXATTR, []slot{paths(), keys(), room(16), sizes}, nil},
		{"flistxattr", syscall.SYS_FLISTXATTR, []slot{holders(), room(16), sizes}, nil},
		{"listxattr", syscall.SYS_LISTXATTR, []slot{paths(), room(16), sizes}, nil},
		{"fsetxattr", syscall.SYS_FSETXATTR, []slot{holders(), keys()[1:], in(pattern[:16]), sizes, values(2, 3, 4, 1<<31)}, nil},
		{"setxattr", syscall.SYS_SETXATTR, []slot{paths("missing"), keys()[1:], in(pattern[:16]), sizes, setFlags[2:]}, nil},
		{"fremovexattr", syscall.SYS_FREMOVEXATTR, []slot{holders(), keys()}, nil},
		{"removexattr", syscall.SYS_REMOVEXATTR, []slot{paths(), keys()}, nil},
		{"openat", syscall.SYS_OPENAT, []slot{fdAt(), paths("d", "."), opens, modes}, closing},
		{"open", syscall.SYS_OPEN, []slot{paths("d", "."), opens, modes}, closing},
		{"openat2", 437, []slot{fdAt(), paths("d", ".", "../work/f", "/work/f", "d/../f"), how(), values(24, 0, 23, 25, 32, 4096, 4097, all)}, closing},
		{"mkdirat", syscall.SYS_MKDIRAT, []slot{fdAt(), paths("d", "d/..", "."), modes}, nil},
		{"mkdir", syscall.SYS_MKDIR, []slot{paths("d", "."), modes}, nil},
		{"unlinkat", syscall.SYS_UNLINKAT, []slot{fdAt(), names("missing", "", "f/x", "loop/x", "d/", "d", ".", "..", "d/..", "d/.", "/", long), values(0, 1, 0x200, 0x201)[:2]}, nil},
		{"rmdir", syscall.SYS_RMDIR, []slot{paths("d", ".", "..", "d/.", "/")}, nil},
		{"unlink", syscall.SYS_UNLINK, []slot{names("missing", "", "f/x", "loop/x", "d/", "d", ".", "..", "d/..", "f/", "l/", long, longest)}, nil},
		{"linkat", syscall.SYS_LINKAT, []slot{fdAt(), paths(), fdAt(), names("f", "", "d", "l", "f/x", ".", long), plain}, nil},
		{"symlinkat", syscall.SYS_SYMLINKAT, []slot{names("target", "", longest), fdAt(), names("f", "", "d", "l", "f/x", ".", "f/", "new/", long)}, nil},
		{"renameat2", 316, []slot{fdAt(), names("missing", "", "f/x", ".", "..", "d/."), fdAt(), names("f", "", "d", "missing/x", ".", ".."), values(0, 1, 2, 3, 4, 6, 8, 1<<31)}, nil},
		{"renameat2 of what is there", 316, []slot{fdAt(), names("d", "f", "d/"), fdAt(), names("d/x/y", "d/y", "f/", "f/x", "d", ".", "d/.."), values(0, 1, 4, 6, 8)[:1]}, nil},
		{"mknodat", syscall.SYS_MKNODAT, []slot{fdAt(), names("f", "d", "l", "", "f/x", ".", long), values(syscall.S_IFREG|0o644, syscall.S_IFIFO, syscall.S_IFDIR, syscall.S_IFLNK, 0, 0xffff)}, nil},
		{"inotify_add_watch", syscall.SYS_INOTIFY_ADD_WATCH, []slot{fds("inotify *"), paths("d"), values(2, 0, 0xfff, 1<<24, 1<<25, 0x30000002, 1<<31, 1<<32, 1<<12)}, nil},
	}
}
