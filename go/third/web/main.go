// Web is a service as many are: gin with middleware, TLS with HTTP/2, static files, streamed and compressed answers, metrics,
// and a graceful end while a request is under way.
package main

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func must(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

var requests = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests_total", Help: "Requests."}, []string{"path"})

func routes(static string, started chan<- struct{}) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.Use(gin.Recovery(), func(c *gin.Context) {
		requests.WithLabelValues(c.FullPath()).Inc()
		c.Header("X-Served-By", "ring 0")
	})
	r.GET("/hello/:name", func(c *gin.Context) { c.JSON(200, gin.H{"hello": c.Param("name")}) })
	r.POST("/sum", func(c *gin.Context) {
		hash := sha256.New()
		n, err := io.Copy(hash, c.Request.Body)
		must(err)
		c.String(200, "%d %x", n, hash.Sum(nil)[:8])
	})
	r.GET("/panic", func(*gin.Context) { panic("as was asked") })
	r.GET("/stream", func(c *gin.Context) {
		for i := range 50 {
			fmt.Fprintf(c.Writer, "line %d\n", i)
			c.Writer.Flush()
		}
	})
	r.GET("/gzip", func(c *gin.Context) {
		c.Header("Content-Encoding", "gzip")
		z := gzip.NewWriter(c.Writer)
		io.WriteString(z, strings.Repeat("all work and no play\n", 10_000))
		z.Close()
	})
	r.GET("/slow", func(c *gin.Context) {
		started <- struct{}{}
		time.Sleep(100 * time.Millisecond)
		c.String(200, "done")
	})
	r.StaticFS("/files", http.Dir(static))
	registry := prometheus.NewRegistry()
	registry.MustRegister(requests)
	r.GET("/metrics", gin.WrapH(promhttp.HandlerFor(registry, promhttp.HandlerOpts{})))
	return r
}

func main() {
	gin.DefaultErrorWriter = io.Discard
	folder, err := os.MkdirTemp("", "web")
	must(err)
	defer os.RemoveAll(folder)
	must(os.WriteFile(filepath.Join(folder, "big"), make([]byte, 3_000_000), 0o644))
	started := make(chan struct{}, 1)
	server := httptest.NewUnstartedServer(routes(folder, started))
	server.EnableHTTP2 = true
	server.StartTLS()
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())

	get := func(c *http.Client, path string) string {
		response, err := c.Get(server.URL + path)
		must(err)
		body, err := io.ReadAll(response.Body)
		must(err)
		response.Body.Close()
		if len(body) > 100 {
			body = fmt.Appendf(nil, "%d %x", len(body), sha256.Sum256(body))[:30]
		}
		return fmt.Sprintf("%s %d %s %q", response.Proto, response.StatusCode, response.Header.Get("X-Served-By"), body)
	}
	for _, http2 := range []bool{false, true} {
		c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: http2}}
		for _, path := range []string{"/hello/gopher", "/panic", "/stream", "/gzip", "/files/big", "/files/none"} {
			fmt.Println(path, get(c, path))
		}
		response, err := c.Post(server.URL+"/sum", "application/octet-stream", io.LimitReader(zeros{}, 10_000_000))
		must(err)
		sum, err := io.ReadAll(response.Body)
		must(err)
		fmt.Println("/sum", string(sum))
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				if got := get(c, fmt.Sprint("/hello/", i)); !strings.Contains(got, fmt.Sprint(i)) {
					fmt.Println("wrong:", got)
				}
			})
		}
		all.Wait()
		if http2 {
			response, err := c.Get(server.URL + "/metrics")
			must(err)
			text, err := io.ReadAll(response.Body)
			must(err)
			fmt.Print(string(text))
			go func() {
				<-started
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				defer cancel()
				must(server.Config.Shutdown(ctx))
			}()
			fmt.Println("/slow", get(c, "/slow"))
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
