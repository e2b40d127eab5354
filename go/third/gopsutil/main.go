// Gopsutil reads /proc and /sys in every way there is. What it finds differs from machine to machine: printed is whether it was
// found, and whether what must agree does.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/host"
	"github.com/shirou/gopsutil/v4/load"
	"github.com/shirou/gopsutil/v4/mem"
	"github.com/shirou/gopsutil/v4/process"
)

func say(what string, ok bool, err error) { fmt.Println(what, ok, err) }

func main() {
	machine()
	self()
}

func machine() {
	count, err := cpu.Counts(true)
	say("logical CPUs", count >= runtime.NumCPU(), err)
	times, err := cpu.Times(false)
	say("CPU times", len(times) == 1 && times[0].User+times[0].System+times[0].Idle > 0, err)
	each, err := cpu.Times(true)
	say("a line a CPU", len(each) == count, err)
	info, err := cpu.Info()
	say("CPU model", len(info) == count && info[0].ModelName != "" && slices.Contains(info[0].Flags, "sse2"), err)
	memory, err := mem.VirtualMemory()
	say("memory", memory != nil && memory.Total > 0 && memory.Available <= memory.Total && memory.Free <= memory.Total, err)
	swap, err := mem.SwapMemory()
	say("swap", swap != nil && swap.Used <= swap.Total, err)
	average, err := load.Avg()
	say("load", average != nil && average.Load1 >= 0, err)
	misc, err := load.Misc()
	say("processes", misc != nil && misc.ProcsRunning >= 1, err)
	booted, err := host.BootTime()
	now := uint64(time.Now().Unix())
	say("boot time", booted > 0 && booted <= now+1, err)
	uptime, err := host.Uptime()
	say("uptime", uptime+booted <= now+2, err)
	version, err := host.KernelVersion()
	say("kernel version", version != "", err)
}

func self() {
	pid := int32(os.Getpid())
	exists, err := process.PidExists(pid)
	say("exists", exists, err)
	p, err := process.NewProcess(pid)
	if err != nil {
		fmt.Println(err)
		return
	}
	exe, err := p.Exe()
	own, _ := os.Executable()
	say("exe", exe == own, err)
	name, err := p.Name()
	say("name "+name, len(name) > 0 && filepath.Base(exe)[:8] == name[:8], err)
	line, err := p.CmdlineSlice()
	say("command line", slices.Equal(line, os.Args), err)
	cwd, err := p.Cwd()
	wd, _ := os.Getwd()
	say("working directory", cwd == wd, err)
	parent, err := p.Ppid()
	say("parent", parent == int32(os.Getppid()), err)
	uids, err := p.Uids()
	say("users", len(uids) >= 3 && uids[0] == uint32(os.Getuid()), err)
	threads, err := p.NumThreads()
	say("threads", threads >= 1, err)
	files, err := p.NumFDs()
	say("descriptors", files >= 3, err)
	open, err := p.OpenFiles()
	say("open files", len(open) >= 3, err)
	memory, err := p.MemoryInfo()
	say("resident", memory != nil && memory.RSS > 1<<20 && memory.VMS > memory.RSS, err)
	maps, err := p.MemoryMaps(true)
	say("maps", maps != nil && len(*maps) == 1 && (*maps)[0].Rss > 0, err)
	times, err := p.Times()
	say("times", times != nil && times.User >= 0, err)
	created, err := p.CreateTime()
	say("created", time.Since(time.UnixMilli(created)).Abs() < time.Hour, err)
	status, err := p.Status()
	say("status", len(status) == 1 && (status[0] == process.Running || status[0] == process.Sleep), err)
	environment, err := p.Environ()
	say("environment", len(environment) >= len(os.Environ()), err)
	switches, err := p.NumCtxSwitches()
	say("context switches", switches != nil && switches.Voluntary >= 0, err)
	nice, err := p.Nice()
	say("nice", nice >= -20 && nice <= 19+20, err)
	limits, err := p.Rlimit()
	say("limits", len(limits) > 10, err)
	counters, err := p.IOCounters()
	say("counters", counters != nil && counters.ReadCount > 0, err)
	affinity, err := p.CPUAffinity()
	say("affinity", len(affinity) == 0 || len(affinity) == runtime.NumCPU(), err)
	all, err := process.Pids()
	say("among all", slices.Contains(all, pid), err)
}
