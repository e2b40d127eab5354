package main

import (
	"encoding/binary"
	"math/rand"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"ringo.dev/go/internal/prog"
)

// A line is what happens to packets, in hundredths.
type line struct {
	lost, repeated, late float64
	seed                 int64
	// How long a packet takes, each way.
	delay time.Duration
}

// most is the longest frame: a packet of 64 KiB that its sender's card would cut.
const most = 1 << 17

// relay carries frames between an interface of this machine and one whose other end is the server's.
func relay(near *os.File, far int, line line) {
	go func() {
		out := line.way(line.seed, func(frame []byte) {
			// No offloads: a header of zeros.
			syscall.Write(far, append(make([]byte, vnetHeader), frame...))
		})
		buffer := make([]byte, most)
		for {
			n, err := near.Read(buffer)
			if err != nil {
				return
			}
			out(append([]byte(nil), buffer[:n]...))
		}
	}()
	go func() {
		out := line.way(line.seed+1, func(frame []byte) { near.Write(frame) })
		buffer := make([]byte, most)
		for {
			n, from, err := syscall.Recvfrom(far, buffer, 0)
			if err == syscall.EINTR {
				continue
			}
			if err != nil {
				return
			}
			// What this side sends is seen here, too.
			if at, ok := from.(*syscall.SockaddrLinklayer); ok && at.Pkttype == syscall.PACKET_OUTGOING || n < vnetHeader+14 {
				continue
			}
			for _, frame := range cut(buffer[:vnetHeader], buffer[vnetHeader:n]) {
				out(frame)
			}
		}
	}()
}

// way gives what frames of one direction go into.
func (l line) way(seed int64, now func([]byte)) func([]byte) {
	send := l.slow(now)
	var lock sync.Mutex
	chance := rand.New(rand.NewSource(seed))
	happens := func(percent float64) bool { return chance.Float64()*100 < percent }
	type held struct {
		frame []byte
		after int
	}
	var waiting []held
	release := func(all bool) {
		rest := waiting[:0]
		for _, each := range waiting {
			each.after--
			if all || each.after <= 0 {
				send(each.frame)
			} else {
				rest = append(rest, each)
			}
		}
		waiting = rest
	}
	// What waits for others that do not come.
	go func() {
		for range time.Tick(20 * time.Millisecond) {
			lock.Lock()
			release(true)
			lock.Unlock()
		}
	}()
	return func(frame []byte) {
		lock.Lock()
		defer lock.Unlock()
		switch {
		case happens(l.lost):
		case happens(l.late):
			waiting = append(waiting, held{frame, 1 + chance.Intn(8)})
			return
		default:
			send(frame)
			if happens(l.repeated) {
				send(frame)
			}
		}
		release(false)
	}
}

// slow gives what frames go into that arrive later.
func (l line) slow(send func([]byte)) func([]byte) {
	if l.delay == 0 {
		return send
	}
	type sent struct {
		frame []byte
		due   time.Time
	}
	// As long as a long line.
	way := make(chan sent, 1<<14)
	go func() {
		for each := range way {
			time.Sleep(time.Until(each.due))
			send(each.frame)
		}
	}()
	return func(frame []byte) {
		select {
		case way <- sent{frame, time.Now().Add(l.delay)}:
		default:
		}
	}
}

// vnetHeader is the length of struct virtio_net_hdr, which says what a card would do for its system.
const vnetHeader = 10

// cut does what a card does: it cuts segments of TCP, and completes checksums.
func cut(header, frame []byte) (all [][]byte) {
	const needsChecksum, tcp4 = 1, 1
	number := func(at int) int { return int(binary.NativeEndian.Uint16(header[at:])) }
	if header[0]&needsChecksum == 0 {
		return [][]byte{append([]byte(nil), frame...)}
	}
	size, start, offset := number(4), number(6), number(8)
	if header[1]&0x7f != tcp4 {
		whole := append([]byte(nil), frame...)
		binary.BigEndian.PutUint16(whole[start+offset:], ^sum(whole[start:], 0))
		return [][]byte{whole}
	}
	const ethernet, fin, psh = 14, 1, 8
	headers := start + int(frame[start+12]>>4)*4
	data := frame[headers:]
	for done := 0; done < len(data); done += size {
		piece := data[done:min(done+size, len(data))]
		segment := append(append([]byte(nil), frame[:headers]...), piece...)
		ip, tcp := segment[ethernet:start], segment[start:]
		binary.BigEndian.PutUint16(ip[2:], uint16(len(segment)-ethernet))
		binary.BigEndian.PutUint16(ip[10:], 0)
		binary.BigEndian.PutUint16(ip[10:], ^sum(ip, 0))
		binary.BigEndian.PutUint32(tcp[4:], binary.BigEndian.Uint32(tcp[4:])+uint32(done))
		if done+len(piece) < len(data) {
			tcp[13] &^= fin | psh
		}
		binary.BigEndian.PutUint16(tcp[offset:], 0)
		pseudo := sum(ip[12:20], uint32(ip[9])+uint32(len(tcp)))
		binary.BigEndian.PutUint16(tcp[offset:], ^sum(tcp, uint32(pseudo)))
		all = append(all, segment)
	}
	return all
}

// sum is RFC 1071's, not complemented.
func sum(bytes []byte, begin uint32) uint16 {
	total := begin
	for i := 0; i+1 < len(bytes); i += 2 {
		total += uint32(bytes[i])<<8 | uint32(bytes[i+1])
	}
	if len(bytes)%2 == 1 {
		total += uint32(bytes[len(bytes)-1]) << 8
	}
	for total > 0xffff {
		total = total&0xffff + total>>16
	}
	return uint16(total)
}

// openTap makes a tap interface, at whose other end is this program. It has no offloads.
func openTap(name string) *os.File {
	fd, err := syscall.Open("/dev/net/tun", syscall.O_RDWR, 0)
	prog.Must(err)
	var request [40]byte
	copy(request[:], name)
	binary.NativeEndian.PutUint16(request[16:], syscall.IFF_TAP|syscall.IFF_NO_PI)
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.TUNSETIFF, uintptr(unsafe.Pointer(&request)))
	prog.Check(errno == 0, "TUNSETIFF: %v", errno)
	return os.NewFile(uintptr(fd), name)
}

// openRaw gives a packet socket, by which an interface's frames come and go with a header of struct virtio_net_hdr.
func openRaw(name string) int {
	const all, vnetHdr = 0x0300, 15 // ETH_P_ALL in the order of the network; PACKET_VNET_HDR
	at, err := net.InterfaceByName(name)
	prog.Must(err)
	fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW, all)
	prog.Must(err)
	prog.Must(syscall.SetsockoptInt(fd, syscall.SOL_PACKET, vnetHdr, 1))
	// As much as may be had.
	_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUFFORCE, 16<<20)
	prog.Must(syscall.Bind(fd, &syscall.SockaddrLinklayer{Protocol: all, Ifindex: at.Index}))
	return fd
}
