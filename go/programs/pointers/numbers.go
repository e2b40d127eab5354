package main

import (
	"fmt"
	"syscall"

	"ringo.dev/go/internal/prog"
)

// harmful are the numbers that end or block the program, take away what it stands on, or change the machine it is tested on.
var harmful = map[uintptr]string{
	15: "rt_sigreturn", 34: "pause", 56: "clone", 57: "fork", 58: "vfork", 59: "execve", 60: "exit", 62: "kill", 130: "rt_sigsuspend",
	200: "tkill", 231: "exit_group", 234: "tgkill", 322: "execveat", 435: "clone3", 317: "seccomp", 61: "wait4", 247: "waitid",
	112: "setsid", 109: "setpgid", 37: "alarm", 7: "poll", 23: "select", 270: "pselect6", 271: "ppoll", 12: "brk", 95: "umask",
	3: "close", 436: "close_range", 158: "arch_prctl", 0: "read", 17: "pread64", 19: "readv", 153: "vhangup", 162: "sync", 335: "uretprobe",
	336: "uprobe", 161: "chroot", 169: "reboot", 167: "swapon", 168: "swapoff", 170: "sethostname", 171: "setdomainname", 172: "iopl", 101: "ptrace",
	272: "unshare", 308: "setns", 105: "setuid", 106: "setgid", 113: "setreuid", 114: "setregid", 117: "setresuid", 119: "setresgid",
	116: "setgroups", 122: "setfsuid", 123: "setfsgid", 160: "setrlimit", 141: "setpriority", 103: "syslog", 151: "mlockall", 471: "rseq_slice_yield",
	446: "landlock_restrict_self", 11: "munmap", 13: "rt_sigaction", 131: "sigaltstack", 164: "settimeofday", 32: "dup", 33: "dup2", 218: "set_tid_address",
	77: "ftruncate", 5: "fstat", 306: "syncfs",
	91: "fchmod", 93: "fchown", 163: "acct", 246: "kexec_load",
}

// numbers calls every number with arguments that no call takes, and then with zeros; it must come through, and know afterwards
// what it knew before.
func numbers() {
	for _, value := range []uintptr{^uintptr(0), 0xffff888000000000, 1 << 47, 0x7ffffffff000} {
		for number := uintptr(0); number < 512; number++ {
			if harmful[number] != "" {
				continue
			}
			n, errno := raw(number, [6]uintptr{value, value, value, value, value, value})
			if errno == 0 && opens[number] {
				raw(syscall.SYS_CLOSE, [6]uintptr{n})
			}
		}
	}
	alive()
}

func zeros() {
	for number := uintptr(0); number < 512; number++ {
		if harmful[number] != "" {
			continue
		}
		n, errno := raw(number, [6]uintptr{})
		if errno == 0 && opens[number] {
			raw(syscall.SYS_CLOSE, [6]uintptr{n})
		}
	}
	for _, number := range []uintptr{512, 1000, 1 << 20, 1<<31 - 1, 1 << 31, 1<<32 - 1} {
		_, errno := raw(number, [6]uintptr{})
		fmt.Println(number, prog.Name(errno))
	}
	alive()
}

// opens are the calls whose result is a descriptor even for such arguments.
var opens = map[uintptr]bool{41: true, 72: true, 213: true, 253: true, 282: true, 283: true, 284: true, 289: true, 290: true, 291: true,
	294: true, 300: true, 319: true, 323: true, 425: true, 434: true, 444: true, 447: true}

func alive() {
	sum := 0
	done := make(chan int)
	for i := 0; i < 10; i++ {
		go func(i int) {
			list := make([]int, 100000)
			for j := range list {
				list[j] = i
			}
			done <- len(list) * list[50000]
		}(i)
	}
	for i := 0; i < 10; i++ {
		sum += <-done
	}
	fmt.Println("alive", sum)
}
