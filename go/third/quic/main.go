// Quic has streams, datagrams and a large transfer over UDP on loopback, with TLS certificates made here.
package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
)

func must(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

func certificate() (tls.Certificate, *x509.CertPool) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	must(err)
	parsed, err := x509.ParseCertificate(der)
	must(err)
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, pool
}

func serve(listener *quic.Listener) {
	for {
		conn, err := listener.Accept(context.Background())
		if err != nil {
			return
		}
		go func() {
			for {
				stream, err := conn.AcceptStream(context.Background())
				if err != nil {
					return
				}
				go func() {
					hash := sha256.New()
					n, err := io.Copy(hash, stream)
					if err == nil {
						fmt.Fprintf(stream, "%d %x", n, hash.Sum(nil)[:8])
					}
					stream.Close()
				}()
			}
		}()
		go func() {
			for {
				message, err := conn.ReceiveDatagram(context.Background())
				if err != nil {
					return
				}
				conn.SendDatagram(append([]byte("got "), message...))
			}
		}()
	}
}

func send(conn *quic.Conn, size int) string {
	stream, err := conn.OpenStreamSync(context.Background())
	must(err)
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i * i)
	}
	_, err = stream.Write(data)
	must(err)
	must(stream.Close())
	answer, err := io.ReadAll(stream)
	must(err)
	return string(answer)
}

func main() {
	own, pool := certificate()
	config := &quic.Config{EnableDatagrams: true, MaxIdleTimeout: time.Minute, HandshakeIdleTimeout: 20 * time.Second}
	listener, err := quic.ListenAddr("127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{own}, NextProtos: []string{"ringo"}}, config)
	must(err)
	go serve(listener)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := quic.DialAddr(ctx, listener.Addr().String(), &tls.Config{RootCAs: pool, NextProtos: []string{"ringo"}}, config)
	must(err)
	fmt.Println("protocol:", conn.ConnectionState().TLS.NegotiatedProtocol)
	for _, size := range []int{0, 1, 1200, 5_000_000} {
		fmt.Println("stream:", send(conn, size))
	}
	var all sync.WaitGroup
	answers := make([]string, 50)
	for i := range answers {
		all.Go(func() { answers[i] = send(conn, i*100) })
	}
	all.Wait()
	fmt.Println("many:", answers[0], answers[49])
	must(conn.SendDatagram([]byte("a datagram")))
	message, err := conn.ReceiveDatagram(ctx)
	must(err)
	fmt.Println(string(message))
	must(conn.CloseWithError(0, "done"))
	must(listener.Close())
}
