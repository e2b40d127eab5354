package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/rpc"
	"strings"
	"sync"
	"time"

	"ringo.dev/go/internal/prog"
)

func handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/hello", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "hello", r.Method) })
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	mux.HandleFunc("/big", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, strings.Repeat("0123456789", 1<<17)) })
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < 5; i++ {
			fmt.Fprintln(w, i)
			w.(http.Flusher).Flush()
			time.Sleep(5 * time.Millisecond)
		}
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(10 * time.Second):
		}
	})
	return mux
}

func get(client *http.Client, url, body string) string {
	var response *http.Response
	var err error
	if body == "" {
		response, err = client.Get(url)
	} else {
		response, err = client.Post(url, "text/plain", strings.NewReader(body))
	}
	if err != nil {
		var timeout interface{ Timeout() bool }
		if errors.As(err, &timeout) && timeout.Timeout() {
			return "timeout"
		}
		return err.Error()
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if len(got) > 100 {
		return fmt.Sprint(response.Status, " ", response.Proto, " ", len(got), " bytes ", plain(err))
	}
	return fmt.Sprintf("%s %s %q %s", response.Status, response.Proto, got, plain(err))
}

func http1() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	prog.Must(err)
	server := &http.Server{Handler: handler()}
	go server.Serve(l)
	url := "http://" + l.Addr().String()
	client := &http.Client{}
	for _, path := range []string{"/hello", "/big", "/stream", "/nothing"} {
		fmt.Println(path, get(client, url+path, ""))
	}
	fmt.Println(get(client, url+"/echo", "a body"))
	fmt.Println(get(client, url+"/echo", strings.Repeat("long ", 100000)))
	client.Timeout = 50 * time.Millisecond
	fmt.Println(get(client, url+"/slow", ""))
	prog.Must(server.Close())
	client.Timeout = time.Second
	client.CloseIdleConnections()
	text := get(client, url+"/hello", "")
	fmt.Println(text[strings.LastIndex(text, ": ")+2:])
}

func httpMany() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	prog.Must(err)
	go http.Serve(l, handler())
	url := "http://" + l.Addr().String()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	var wg sync.WaitGroup
	var m sync.Mutex
	counts := map[string]int{}
	for i := 0; i < 64; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for j := 0; j < 100; j++ {
				text := get(client, url+"/echo", fmt.Sprint("body ", j))
				m.Lock()
				counts[text]++
				m.Unlock()
			}
		}()
	}
	wg.Wait()
	for j := 0; j < 100; j++ {
		text := fmt.Sprintf("200 OK HTTP/1.1 %q ok", fmt.Sprint("body ", j))
		prog.Check(counts[text] == 64, "%d of %s: %v", counts[text], text, counts)
	}
	fmt.Println(len(counts))
}

func certificate() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	prog.Must(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ringo"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	prog.Must(err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// tls1: HTTP/2 over TLS.
func tls1() {
	pair := certificate()
	root, err := x509.ParseCertificate(pair.Certificate[0])
	prog.Must(err)
	pool := x509.NewCertPool()
	pool.AddCert(root)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	prog.Must(err)
	// The last request fails on purpose; the server's complaint names a port, and may come or not before the end.
	server := &http.Server{Handler: handler(), TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}}, ErrorLog: log.New(io.Discard, "", 0)}
	go server.ServeTLS(l, "", "")
	url := "https://" + l.Addr().String()
	for _, two := range []bool{false, true} {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: two}}
		for _, path := range []string{"/hello", "/big", "/stream"} {
			fmt.Println(path, get(client, url+path, ""))
		}
		var wg sync.WaitGroup
		for i := 0; i < 20; i++ {
			wg.Add(1)
			go func(i int) {
				defer wg.Done()
				text := get(client, url+"/echo", fmt.Sprint("body ", i))
				prog.Check(strings.Contains(text, fmt.Sprintf("%q", fmt.Sprint("body ", i))), "%s", text)
			}(i)
		}
		wg.Wait()
	}
	text := get(&http.Client{}, url+"/hello", "")
	fmt.Println(strings.Contains(text, "certificate"))
}

// Arithmetic is served by rpcCalls.
type Arithmetic struct{}

// Multiply is its one method.
func (Arithmetic) Multiply(args [2]int, product *int) error {
	*product = args[0] * args[1]
	return nil
}

func rpcCalls() {
	server := rpc.NewServer()
	prog.Must(server.Register(Arithmetic{}))
	l, err := net.Listen("tcp", "[::1]:0")
	prog.Must(err)
	go server.Accept(l)
	client, err := rpc.Dial("tcp", l.Addr().String())
	prog.Must(err)
	sum := 0
	for i := 0; i < 500; i++ {
		var product int
		prog.Must(client.Call("Arithmetic.Multiply", [2]int{i, 3}, &product))
		sum += product
	}
	fmt.Println(sum)
}
