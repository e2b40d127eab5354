package main

import (
	"encoding/binary"
	"net"
)

var be = binary.BigEndian

// Flags of TCP.
const (
	fin = 1
	syn = 2
	rst = 4
	psh = 8
	ack = 16
)

const (
	optionsProtocol = 0
	icmpProtocol    = 1
	igmpProtocol    = 2
	tcpProtocol     = 6
	udpProtocol     = 17
	pieceProtocol   = 44
	icmp6Protocol   = 58
)

// A packet of IP, taken apart.
type packet struct {
	from, to []byte
	protocol byte
	ttl      byte
	id       uint16
	// As in IPv4's header: flags and offset.
	part    uint16
	payload []byte
	whole   []byte
}

// A segment of TCP.
type segment struct {
	from, to uint16
	seq, ack uint32
	flags    byte
	window   uint16
	options  []byte
	data     []byte
	packet   *packet
}

// A datagram of UDP.
type datagram struct {
	from, to uint16
	data     []byte
	packet   *packet
}

func ip4(text string) (out [4]byte) {
	copy(out[:], net.ParseIP(text).To4())
	return
}

// ip is an address as packets have it.
func ip(text string) []byte {
	parsed := net.ParseIP(text)
	if v4 := parsed.To4(); v4 != nil {
		return v4
	}
	return parsed
}

func sum(start uint32, data []byte) uint32 {
	for ; len(data) > 1; data = data[2:] {
		start += uint32(be.Uint16(data))
	}
	if len(data) == 1 {
		start += uint32(data[0]) << 8
	}
	return start
}

func fold(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

func pseudo(from, to []byte, protocol byte, length int) uint32 {
	return sum(sum(uint32(protocol)+uint32(length), from), to)
}

func parseIP(bytes []byte) *packet {
	if len(bytes) > 0 && bytes[0]>>4 == 6 {
		return parseIP6(bytes)
	}
	if len(bytes) < 20 || bytes[0]>>4 != 4 {
		return nil
	}
	header, total := int(bytes[0]&15)*4, int(be.Uint16(bytes[2:]))
	if header < 20 || total < header || total > len(bytes) || fold(sum(0, bytes[:header])) != 0 {
		return nil
	}
	return &packet{
		from: bytes[12:16], to: bytes[16:20], protocol: bytes[9], ttl: bytes[8], id: be.Uint16(bytes[4:]), part: be.Uint16(bytes[6:]),
		payload: bytes[header:total], whole: bytes[:total],
	}
}

func parseIP6(bytes []byte) *packet {
	if len(bytes) < 40 || int(be.Uint16(bytes[4:]))+40 > len(bytes) {
		return nil
	}
	whole := bytes[:40+int(be.Uint16(bytes[4:]))]
	p := &packet{from: whole[8:24], to: whole[24:40], protocol: whole[6], ttl: whole[7], payload: whole[40:], whole: whole}
	if p.protocol == optionsProtocol && len(p.payload) >= 8 {
		length := 8 + 8*int(p.payload[1])
		if length > len(p.payload) {
			return nil
		}
		p.protocol, p.payload = p.payload[0], p.payload[length:]
	}
	if p.protocol == pieceProtocol && len(p.payload) >= 8 {
		place := be.Uint16(p.payload[2:])
		p.part, p.id = place>>3|place&1<<13, be.Uint16(p.payload[6:])
		p.protocol, p.payload = p.payload[0], p.payload[8:]
	}
	return p
}

func writeIP(from, to []byte, protocol byte, id, part uint16, payload []byte) []byte {
	if len(to) == 16 {
		if id != 0 || part != 0 {
			piece := []byte{protocol, 0, 0, 0, 0, 0, byte(id >> 8), byte(id)}
			be.PutUint16(piece[2:], part<<3|part>>13&1)
			payload, protocol = append(piece, payload...), pieceProtocol
		}
		return writeIP6(from, to, protocol, 64, payload)
	}
	out := make([]byte, 20, 20+len(payload))
	out[0], out[8], out[9] = 0x45, 64, protocol
	be.PutUint16(out[2:], uint16(20+len(payload)))
	be.PutUint16(out[4:], id)
	be.PutUint16(out[6:], part)
	copy(out[12:], from)
	copy(out[16:], to)
	be.PutUint16(out[10:], fold(sum(0, out)))
	return append(out, payload...)
}

func writeIP6(from, to []byte, protocol, ttl byte, payload []byte) []byte {
	out := make([]byte, 8, 40+len(payload))
	out[0], out[6], out[7] = 0x60, protocol, ttl
	be.PutUint16(out[4:], uint16(len(payload)))
	return append(append(append(out, from...), to...), payload...)
}

func parseTCP(p *packet) *segment {
	b := p.payload
	if len(b) < 20 || fold(sum(pseudo(p.from, p.to, tcpProtocol, len(b)), b)) != 0 {
		return nil
	}
	header := int(b[12]>>4) * 4
	if header < 20 || header > len(b) {
		return nil
	}
	return &segment{
		from: be.Uint16(b), to: be.Uint16(b[2:]), seq: be.Uint32(b[4:]), ack: be.Uint32(b[8:]), flags: b[13],
		window: be.Uint16(b[14:]), options: b[20:header], data: b[header:], packet: p,
	}
}

func writeTCP(from, to []byte, s segment) []byte {
	for len(s.options)%4 != 0 {
		s.options = append(s.options, 1)
	}
	b := make([]byte, 20, 20+len(s.options)+len(s.data))
	be.PutUint16(b, s.from)
	be.PutUint16(b[2:], s.to)
	be.PutUint32(b[4:], s.seq)
	be.PutUint32(b[8:], s.ack)
	b[12], b[13] = byte(5+len(s.options)/4)<<4, s.flags
	be.PutUint16(b[14:], s.window)
	b = append(append(b, s.options...), s.data...)
	be.PutUint16(b[16:], fold(sum(pseudo(from, to, tcpProtocol, len(b)), b)))
	return b
}

func parseUDP(p *packet) *datagram {
	b := p.payload
	if len(b) < 8 || int(be.Uint16(b[4:])) != len(b) {
		return nil
	}
	if be.Uint16(b[6:]) != 0 && fold(sum(pseudo(p.from, p.to, udpProtocol, len(b)), b)) != 0 {
		return nil
	}
	return &datagram{from: be.Uint16(b), to: be.Uint16(b[2:]), data: b[8:], packet: p}
}

func writeUDP(from, to []byte, fromPort, toPort uint16, data []byte) []byte {
	b := make([]byte, 8, 8+len(data))
	be.PutUint16(b, fromPort)
	be.PutUint16(b[2:], toPort)
	be.PutUint16(b[4:], uint16(8+len(data)))
	b = append(b, data...)
	be.PutUint16(b[6:], fold(sum(pseudo(from, to, udpProtocol, len(b)), b)))
	return b
}

// icmpAbout is a message of ICMP about a packet, of which it quotes the header and eight bytes.
func icmpAbout(kind, code byte, rest uint32, about []byte) []byte {
	quoted := about
	if len(quoted) > 28 {
		quoted = quoted[:28]
	}
	b := make([]byte, 8, 8+len(quoted))
	b[0], b[1] = kind, code
	be.PutUint32(b[4:], rest)
	b = append(b, quoted...)
	be.PutUint16(b[2:], fold(sum(0, b)))
	return b
}

// icmp6 is a message of ICMPv6: a word behind its checksum, and what follows.
func icmp6(from, to []byte, kind, code byte, word uint32, rest []byte) []byte {
	b := []byte{kind, code, 0, 0, 0, 0, 0, 0}
	be.PutUint32(b[4:], word)
	b = append(b, rest...)
	be.PutUint16(b[2:], fold(sum(pseudo(from, to, icmp6Protocol, len(b)), b)))
	return b
}

// mss is the option that says it.
func mss(size uint16) []byte { return []byte{2, 4, byte(size >> 8), byte(size)} }
