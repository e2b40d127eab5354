package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"ringo.dev/go/internal/prog"
)

var epoch = time.Unix(0, 0)

func failures() {
	show := func(what string, err error) { fmt.Println(" ", what, prog.Name(err)) }
	for _, name := range []string{"/proc/new", "/proc/self/new", "/proc/self/fd/new", "/proc/sys/kernel/new", "/sys/new", "/sys/devices/system/cpu/new"} {
		fmt.Println(name)
		_, err := os.Create(name)
		show("create", err)
		show("mkdir", os.Mkdir(name, 0o755))
		show("symlink", os.Symlink("target", name))
		show("remove", syscall.Unlink(name))
		show("open", func() error { _, err := os.Open(name); return err }())
		show("mknod", syscall.Mknod(name, syscall.S_IFIFO|0o600, 0))
		show("chdir", os.Chdir(name))
	}
	for _, name := range []string{"/proc/version", "/proc/self/status", "/proc/self/comm", "/proc/sys/kernel/ostype", "/sys/devices/system/cpu/online"} {
		fmt.Println(name)
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_TRUNC, 0)
		show("open", err)
		if err == nil {
			_, err = f.Write([]byte("x"))
			show("write", err)
			show("truncate", f.Truncate(0))
		}
		_, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		show("exclusively", err)
		show("rename", os.Rename(name, filepath.Dir(name)+"/other"))
		show("rename out", os.Rename(name, os.TempDir()+"/other"))
		show("link", os.Link(name, os.TempDir()+"/other"))
		show("as directory", func() error { _, err := os.Open(name + "/x"); return err }())
		show("as link", func() error { _, err := os.Readlink(name); return err }())
		show("times", os.Chtimes(name, epoch, epoch))
	}
	fmt.Println("directories")
	show("rmdir", syscall.Rmdir("/proc"))
	show("rmdir", syscall.Rmdir("/proc/sys"))
	show("rmdir", syscall.Rmdir("/sys/devices"))
	show("rename", os.Rename("/proc", "/elsewhere"))
	show("write", func() error { _, err := os.OpenFile("/proc", os.O_WRONLY, 0); return err }())
	show("temporary", func() error { _, err := syscall.Open("/proc", 0x410000|syscall.O_RDWR, 0o600); return err }())
	show("temporary", func() error { _, err := syscall.Open("/sys", 0x410000|syscall.O_RDWR, 0o600); return err }())
	show("read", func() error { f, err := os.Open("/proc"); prog.Must(err); _, err = f.Read(make([]byte, 1)); return err }())
	show("epoll", func() error {
		epoll, err := syscall.EpollCreate1(0)
		prog.Must(err)
		f, err := os.Open(self("status"))
		prog.Must(err)
		return syscall.EpollCtl(epoll, syscall.EPOLL_CTL_ADD, int(f.Fd()), &syscall.EpollEvent{Events: syscall.EPOLLIN})
	}())
	show("mmap", func() error {
		f, err := os.Open(self("status"))
		prog.Must(err)
		_, err = syscall.Mmap(int(f.Fd()), 0, page, syscall.PROT_READ, syscall.MAP_PRIVATE)
		return err
	}())
}

func modes() {
	for _, name := range []string{
		"", "self", "cpuinfo", "meminfo", "mounts", "self/task", "self/fd", "self/fdinfo", "self/auxv", "self/cgroup", "self/cmdline",
		"self/comm", "self/cwd", "self/environ", "self/exe", "self/io", "self/limits", "self/maps", "self/mountinfo", "self/mountstats",
		"self/oom_score_adj", "self/oom_score", "self/personality", "self/root", "self/smaps", "self/smaps_rollup", "self/stat",
		"self/statm", "self/status", "self/wchan", "sys", "sys/kernel", "sys/kernel/hostname", "sys/kernel/ostype",
		"sys/kernel/random/uuid", "sys/kernel/pid_max", "sys/vm/overcommit_memory", "sys/fs/file-nr", "sys/fs/file-max",
	} {
		var st syscall.Stat_t
		prog.Must(syscall.Lstat("/proc/"+name, &st))
		own := st.Uid == uint32(os.Getuid()) && st.Gid == uint32(os.Getgid()) || st.Uid == 0
		if name == "self/fd" {
			st.Size = 0 // the count of open files, or 0 before Linux 6.2
		}
		fmt.Printf("%-24s %o %d %v\n", name, st.Mode, st.Size, own)
	}
	for _, name := range []string{"", "devices", "devices/system/cpu", "devices/system/cpu/online", "kernel/mm/transparent_hugepage/hpage_pmd_size"} {
		var st syscall.Stat_t
		prog.Must(syscall.Lstat("/sys/"+name, &st))
		fmt.Printf("%-24s %o %d\n", name, st.Mode, st.Size)
	}
}

func statfs() {
	for _, name := range []string{"/proc", "/proc/self/status", "/proc/sys/kernel/ostype", "/sys", "/sys/devices"} {
		var st syscall.Statfs_t
		prog.Must(syscall.Statfs(name, &st))
		fmt.Printf("%s %#x %d %d %d\n", name, st.Type, st.Bsize, st.Blocks, st.Namelen)
	}
	var a, b, c syscall.Stat_t
	prog.Must(syscall.Stat("/proc", &a))
	prog.Must(syscall.Stat("/sys", &b))
	prog.Must(syscall.Stat("/proc/self/status", &c))
	fmt.Println(a.Dev != b.Dev, a.Dev == c.Dev)
}
