package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"ringo.dev/go/internal/prog"
)

func meminfo() {
	all := table("/proc/meminfo")
	has("meminfo", all, `MemTotal MemFree MemAvailable Buffers Cached SwapCached Active Inactive SwapTotal SwapFree Dirty Writeback
		AnonPages Mapped Shmem Slab SReclaimable SUnreclaim KernelStack PageTables CommitLimit Committed_AS VmallocTotal VmallocUsed
		HugePages_Total HugePages_Free Hugepagesize`)
	total, free := number(all["MemTotal"]), number(all["MemFree"])
	fmt.Println(free < total, number(all["MemAvailable"]) <= total, total > 10000, all["Hugepagesize"])
	wrong := 0
	for _, line := range lines("/proc/meminfo") {
		if !regexp.MustCompile(`^[A-Za-z0-9_()]+: +[0-9]+( kB)?$`).MatchString(line) {
			wrong++
		}
	}
	fmt.Println("wrong:", wrong)
	var info syscall.Sysinfo_t
	prog.Must(syscall.Sysinfo(&info))
	fmt.Println("sysinfo:", int(info.Totalram*uint64(info.Unit)>>10) == total)
	at := mmap(32<<20, 3, syscall.MAP_PRIVATE|syscall.MAP_ANON, -1, 0)
	before := number(table("/proc/meminfo")["AnonPages"])
	touch(at, 32<<20)
	grown := number(table("/proc/meminfo")["AnonPages"]) - before
	fmt.Println("grown:", grown > 20<<10 && grown < 200<<10)
}

func cpuinfo() {
	blocks := strings.Split(strings.TrimSuffix(text("/proc/cpuinfo"), "\n\n"), "\n\n")
	fmt.Println(len(blocks) >= runtime.NumCPU())
	wrong := 0
	for i, block := range blocks {
		all := map[string]string{}
		for _, line := range strings.Split(block, "\n") {
			key, value, ok := strings.Cut(line, ":")
			if !ok || strings.TrimRight(key, "\t") == "" {
				wrong++
			}
			all[strings.TrimRight(key, "\t")] = strings.TrimSpace(value)
		}
		if all["processor"] != fmt.Sprint(i) || number(all["siblings"]) < 1 || number(all["cpu cores"]) < 1 {
			wrong++
		}
		if i > 0 {
			continue
		}
		var missing []string
		for _, key := range []string{"vendor_id", "cpu family", "model", "model name", "stepping", "cpu MHz", "cache size", "physical id",
			"siblings", "core id", "cpu cores", "apicid", "initial apicid", "fpu", "fpu_exception", "cpuid level", "wp", "flags",
			"bugs", "bogomips", "clflush size", "cache_alignment", "address sizes", "power management"} {
			if _, ok := all[key]; !ok {
				missing = append(missing, key)
			}
		}
		fmt.Println("lacks", missing)
		flags := " " + all["flags"] + " "
		for _, flag := range []string{"fpu", "tsc", "msr", "cx8", "sse2", "syscall", "nx", "lm", "nopl", "cx16", "sse4_2", "popcnt", "avx2"} {
			if !strings.Contains(flags, " "+flag+" ") {
				fmt.Println("no", flag)
			}
		}
		mhz, err := strconv.ParseFloat(all["cpu MHz"], 64)
		bogo, err2 := strconv.ParseFloat(all["bogomips"], 64)
		fmt.Println(mhz > 500 && mhz < 10000, bogo > 100, err, err2)
		matches("addresses", all["address sizes"], `[0-9]+ bits physical, (48|57) bits virtual`)
		matches("cache", all["cache size"], `[0-9]+ KB`)
	}
	fmt.Println("wrong:", wrong)
}

func system() {
	cpu, others := 0, map[string][]string{}
	wrong := 0
	for _, line := range lines("/proc/stat") {
		fields := strings.Fields(line)
		others[fields[0]] = fields[1:]
		if strings.HasPrefix(fields[0], "cpu") {
			cpu++
			if len(fields) != 11 {
				wrong++
			}
		}
	}
	fmt.Println(cpu-1 >= runtime.NumCPU(), wrong)
	for _, key := range []string{"intr", "ctxt", "btime", "processes", "procs_running", "procs_blocked", "softirq"} {
		fmt.Println(key, len(others[key]) > 0 && number(others[key][0]) >= 0)
	}
	matches("uptime", text("/proc/uptime"), `[0-9]+\.[0-9]{2} [0-9]+\.[0-9]{2}\n`)
	up, err := strconv.ParseFloat(strings.Fields(text("/proc/uptime"))[0], 64)
	prog.Must(err)
	boot := time.Unix(int64(number(others["btime"][0])), 0)
	age := time.Since(boot).Seconds() - up
	fmt.Println("boot:", age > -2 && age < 2)
	var info syscall.Sysinfo_t
	prog.Must(syscall.Sysinfo(&info))
	fmt.Println("sysinfo:", float64(info.Uptime) > up-2 && float64(info.Uptime) < up+2)
	// Time in which the CPUs worked shows.
	busy := func() int {
		// Of user, nice, and system: burn spends as it likes.
		times := strings.Fields(lines("/proc/stat")[0])
		return number(times[1]) + number(times[2]) + number(times[3])
	}
	before := busy()
	burn(300 * time.Millisecond)
	fmt.Println("busy:", busy()-before >= 25)
	switches := number(others["ctxt"][0])
	for i := 0; i < 100; i++ {
		time.Sleep(time.Millisecond / 10)
	}
	for _, line := range lines("/proc/stat") {
		if strings.HasPrefix(line, "ctxt") {
			fmt.Println("switches:", number(line[5:]) > switches)
		}
	}
	matches("loadavg", text("/proc/loadavg"), `([0-9]+\.[0-9]{2} ){3}[0-9]+/[0-9]+ [0-9]+\n`)
	matches("version", text("/proc/version"), `Linux version [^ ]+ .*#.*\n`)
	fmt.Println(strings.HasPrefix(text("/proc/version"), "Linux version "+release()))
	for _, kind := range []string{"proc", "sysfs", "tmpfs", "cgroup2"} {
		fmt.Println(kind, strings.Contains(text("/proc/filesystems"), "nodev\t"+kind+"\n"))
	}
	fmt.Println(strings.HasPrefix(text("/proc/devices"), "Character devices:\n  1 mem\n"), strings.Contains(text("/proc/devices"), "\nBlock devices:\n"))
	fmt.Println(len(text("/proc/cmdline")) > 0, strings.HasPrefix(text("/proc/swaps"), "Filename\t"))
}

func release() string {
	var name syscall.Utsname
	prog.Must(syscall.Uname(&name))
	return chars(name.Release[:])
}

func chars(s []int8) string {
	var b []byte
	for _, c := range s {
		if c == 0 {
			break
		}
		b = append(b, byte(c))
	}
	return string(b)
}

func settings() {
	get := func(name string) string { return strings.TrimSuffix(text("/proc/sys/"+name), "\n") }
	var name syscall.Utsname
	prog.Must(syscall.Uname(&name))
	host, err := os.Hostname()
	prog.Must(err)
	fmt.Println(get("kernel/ostype"), get("kernel/osrelease") == chars(name.Release[:]), get("kernel/version") == chars(name.Version[:]),
		get("kernel/hostname") == host)
	const uuid = `[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`
	matches("uuid", get("kernel/random/uuid"), uuid)
	matches("boot_id", get("kernel/random/boot_id"), uuid[:13]+`-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	fmt.Println(get("kernel/random/uuid") != get("kernel/random/uuid"), get("kernel/random/boot_id") == get("kernel/random/boot_id"))
	for _, name := range strings.Fields(`kernel/pid_max kernel/threads-max kernel/ngroups_max kernel/cap_last_cap kernel/random/entropy_avail
		kernel/overflowuid vm/overcommit_memory vm/max_map_count vm/swappiness fs/file-max fs/nr_open fs/pipe-max-size
		net/core/somaxconn kernel/random/poolsize kernel/randomize_va_space vm/mmap_min_addr`) {
		fmt.Println(name, number(get(name)) >= 0)
	}
	fmt.Println(get("kernel/overflowuid"), get("kernel/ngroups_max"), get("fs/nr_open"), get("fs/pipe-max-size"), get("kernel/random/poolsize"))
	matches("file-nr", get("fs/file-nr"), `[0-9]+\t0\t[0-9]+`)
	fmt.Println(get("kernel/core_pattern") != "")
}

func mounts() {
	points := map[string]string{}
	ids := map[string]bool{}
	wrong := 0
	for _, line := range lines(self("mountinfo")) {
		before, after, ok := strings.Cut(line, " - ")
		fields, rest := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 6 || len(rest) != 3 || ids[fields[0]] {
			wrong++
			continue
		}
		ids[fields[0]] = true
		points[fields[4]] = rest[0]
		var st syscall.Stat_t
		if fields[4] == "/proc" || fields[4] == "/sys" {
			prog.Must(syscall.Stat(fields[4], &st))
			if fields[2] != fmt.Sprintf("%d:%d", st.Dev>>8&0xfff, st.Dev&0xff|st.Dev>>12&0xfff00) {
				wrong++
			}
		}
	}
	fmt.Println(points["/proc"], points["/sys"], points["/"] != "", wrong)
	for _, name := range []string{"/proc/mounts", self("mounts")} {
		found := map[string]bool{}
		for _, line := range lines(name) {
			fields := strings.Fields(line)
			if len(fields) != 6 || fields[4] != "0" || fields[5] != "0" {
				fmt.Printf("%q\n", line)
			}
			found[fields[1]+" "+fields[2]] = true
		}
		fmt.Println(found["/proc proc"], found["/sys sysfs"])
	}
	matches("cgroup", text(self("cgroup")), `([0-9]+:[^:\n]*:/[^\n]*\n)+`)
	fmt.Println(strings.Contains(text(self("cgroup")), "0::/"))
	fmt.Println("GOMAXPROCS:", runtime.GOMAXPROCS(0) == runtime.NumCPU())
}

const cpuPath = "/sys/devices/system/cpu/"

func cpus() {
	online := cpusIn(text(cpuPath + "online"))
	fmt.Println(online >= runtime.NumCPU(), cpusIn(text(cpuPath+"possible")) >= online, cpusIn(text(cpuPath+"present")) >= online)
	dirs, err := filepath.Glob(cpuPath + "cpu[0-9]*")
	fmt.Println(len(dirs) >= online, err)
	topology := cpuPath + "cpu0/topology/"
	for _, name := range []string{"core_id", "physical_package_id"} {
		fmt.Println(name, number(text(topology+name)) >= 0)
	}
	for _, name := range []string{"thread_siblings_list", "core_siblings_list", "core_cpus_list", "package_cpus_list"} {
		n := cpusIn(text(topology + name))
		fmt.Println(name, n >= 1 && n <= online)
	}
	for _, name := range []string{"thread_siblings", "core_siblings", "core_cpus", "package_cpus"} {
		matches(name, text(topology+name), `[0-9a-f,]+\n`)
	}
	fmt.Println(text(topology+"core_siblings") == text(topology+"package_cpus"))
	caches, err := filepath.Glob(cpuPath + "cpu0/cache/index[0-9]")
	fmt.Println(len(caches) >= 2, err)
	for _, cache := range caches[:2] {
		get := func(name string) string { return strings.TrimSpace(text(cache + "/" + name)) }
		size := number(strings.TrimSuffix(get("size"), "K")) << 10
		product := number(get("coherency_line_size")) * number(get("number_of_sets")) * number(get("ways_of_associativity"))
		fmt.Println(get("type"), get("level"), size == product, cpusIn(get("shared_cpu_list")) >= 1)
	}
	for _, name := range []string{"cpu999", "cpu00", "cpu-1", "cpux", "cpu"} {
		_, err = os.Stat(cpuPath + name)
		fmt.Println(name, prog.Name(err))
	}
}

func machine() {
	const huge = "/sys/kernel/mm/transparent_hugepage/"
	fmt.Print(text(huge + "hpage_pmd_size"))
	matches("enabled", text(huge+"enabled"), `\[?always\]? \[?madvise\]? \[?never\]?\n`)
	matches("defrag", text(huge+"defrag"), `[a-z+ \[\]]+\n`)
	fmt.Println(strings.Count(text(huge+"enabled"), "["))
	node := "/sys/devices/system/node/"
	fmt.Print(text(node+"online"), text(node+"possible"))
	fmt.Println(cpusIn(text(node+"node0/cpulist")) >= 1, strings.Contains(text(node+"node0/meminfo"), "Node 0 MemTotal:"))
	fmt.Println(strings.HasPrefix(text(node+"node0/distance"), "10"))
	names, err := os.ReadDir("/sys/class")
	fmt.Println(err, len(names) > 0)
	_, err = os.ReadDir("/sys/block")
	fmt.Println(err)
	fmt.Println(text("/sys/devices/system/clocksource/clocksource0/current_clocksource") != "")
}
