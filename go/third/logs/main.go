// Logs writes structured logs with zap and zerolog, from many goroutines, to files and to both standard streams.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

func main() {
	dir, err := os.MkdirTemp("", "logs")
	must(err)
	defer os.RemoveAll(dir)
	withZap(filepath.Join(dir, "zap.log"))
	withZerolog(filepath.Join(dir, "zero.log"))
}

type frozen struct{}

func (frozen) Now() time.Time                         { return time.Unix(1e9, 0).UTC() }
func (frozen) NewTicker(d time.Duration) *time.Ticker { return time.NewTicker(d) }

func withZap(path string) {
	config := zap.NewProductionConfig()
	config.OutputPaths = []string{"stdout", path}
	config.ErrorOutputPaths = []string{"stderr"}
	config.DisableCaller = true
	config.DisableStacktrace = true
	config.Sampling = nil
	config.EncoderConfig.EncodeTime = zapcore.ISO8601TimeEncoder
	logger, err := config.Build(zap.WithClock(frozen{}))
	must(err)
	logger.Info("started", zap.String("who", "zap"), zap.Duration("took", 1500*time.Millisecond), zap.Error(errors.New("none")))
	logger.Sugar().Warnw("odd", "key", 1, "list", []int{1, 2})
	file := logger.WithOptions(zap.WrapCore(func(zapcore.Core) zapcore.Core {
		out, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		must(err)
		return zapcore.NewCore(zapcore.NewJSONEncoder(config.EncoderConfig), zapcore.Lock(out), zap.InfoLevel)
	}))
	together(func(i int) { file.Info("line", zap.Int("i", i)) })
	// Standard output may be something that cannot be synchronised.
	_ = logger.Sync()
	count(path)
}

func withZerolog(path string) {
	zerolog.TimestampFunc = frozen{}.Now
	logger := zerolog.New(os.Stderr).With().Timestamp().Str("who", "zerolog").Logger()
	logger.Info().Int("n", 3).Err(errors.New("none")).Msg("started")
	console := zerolog.New(zerolog.ConsoleWriter{Out: os.Stdout, NoColor: true, TimeFormat: time.RFC3339}).With().Timestamp().Logger()
	console.Warn().Floats64("f", []float64{1.5, 2}).Msg("odd")
	out, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	must(err)
	file := zerolog.New(out)
	together(func(i int) { file.Info().Int("i", i).Msg("line") })
	must(out.Close())
	count(path)
}

func together(write func(i int)) {
	var wg sync.WaitGroup
	for worker := 0; worker < 8; worker++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := 0; i < 500; i++ {
				write(worker*500 + i)
			}
		}()
	}
	wg.Wait()
}

func count(path string) {
	text, err := os.ReadFile(path)
	must(err)
	seen := map[string]bool{}
	for _, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		if line[0] != '{' || line[len(line)-1] != '}' {
			log.Fatalf("a torn line: %s", line)
		}
		seen[string(line)] = true
	}
	fmt.Println(filepath.Base(path), len(seen), "different lines")
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
