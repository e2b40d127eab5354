package main

import (
	"fmt"
	"syscall"
	"unsafe"

	"ringo.dev/go/internal/prog"
)

func newEpoll() int {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	prog.Must(err)
	return fd
}

func watch(instance, fd int) error {
	event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)}
	return syscall.EpollCtl(instance, syscall.EPOLL_CTL_ADD, fd, &event)
}

// epollNesting grows chains of instances at either end until they are too long, closes circles, and sends an event through
// the longest chain there may be.
func epollNesting() {
	grow := func(what string, add func(last, fresh int) error) (first, last int) {
		first = newEpoll()
		last = first
		for n := 1; n < 12; n++ {
			fresh := newEpoll()
			err := add(last, fresh)
			fmt.Println(what, n, prog.Name(err))
			if err != nil {
				return first, last
			}
			last = fresh
		}
		return first, last
	}
	bottom, top := grow("above", func(last, fresh int) error { return watch(fresh, last) })
	fmt.Println("circle", prog.Name(watch(bottom, top)), prog.Name(watch(top, top)))
	top, bottom = grow("below", watch)
	fmt.Println("circle", prog.Name(watch(bottom, top)))
	// One that joins two chains that are short enough by themselves.
	a, b := newEpoll(), newEpoll()
	prog.Must(watch(a, b))
	fmt.Println("above a chain", prog.Name(watch(a, top)), "below", prog.Name(watch(bottom, a)))
	event := eventfd()
	prog.Must(watch(bottom, event))
	events := make([]syscall.EpollEvent, 4)
	wait := func() {
		n, err := syscall.EpollWait(top, events, 0)
		fmt.Println("at the top", n, err)
	}
	wait()
	one := uint64(1)
	syscall.Write(event, (*[8]byte)(unsafe.Pointer(&one))[:])
	wait()
	// Many that all watch the same few are looked at once each.
	layers := [3][]int{}
	for layer := range layers {
		for n := 0; n < 40; n++ {
			fd := newEpoll()
			if layer > 0 {
				for _, below := range layers[layer-1] {
					prog.Must(watch(fd, below))
				}
			}
			layers[layer] = append(layers[layer], fd)
		}
	}
	fmt.Println("layers", prog.Name(watch(layers[2][0], event)))
}

// epollClosed watches files that are ready, and closes them before anybody asks: nothing of them stays.
func epollClosed() {
	instance := newEpoll()
	live := eventfd()
	one := uint64(1)
	ready := (*[8]byte)(unsafe.Pointer(&one))[:]
	syscall.Write(live, ready)
	events := make([]syscall.EpollEvent, 16)
	for round := 0; round < 3000; round++ {
		var fds [8]int
		for i := range fds {
			fds[i] = eventfd()
			syscall.Write(fds[i], ready)
			prog.Must(watch(instance, fds[i]))
		}
		if round == 1000 {
			prog.Must(watch(instance, live))
		}
		for i, fd := range fds {
			if (i+round)%3 == 0 {
				prog.Must(syscall.EpollCtl(instance, syscall.EPOLL_CTL_DEL, fd, nil))
			}
			syscall.Close(fd)
		}
		if round%500 == 0 {
			n, err := syscall.EpollWait(instance, events, 0)
			fmt.Println("round", round, n, err)
		}
	}
	n, err := syscall.EpollWait(instance, events, 0)
	fmt.Println(n, err, n == 1 && events[0].Fd == int32(live))
}
