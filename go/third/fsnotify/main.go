// Fsnotify watches a directory by inotify while files in it come, change and go.
package main

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

func main() {
	dir, err := os.MkdirTemp("", "fsnotify")
	must(err)
	defer os.RemoveAll(dir)
	watcher, err := fsnotify.NewWatcher()
	must(err)
	must(watcher.Add(dir))
	file := filepath.Join(dir, "file")
	steps := []struct {
		name string
		do   func() error
	}{
		{"create", func() error { return os.WriteFile(file, nil, 0o644) }},
		{"write", func() error { return os.WriteFile(file, []byte("text"), 0o644) }},
		{"chmod", func() error { return os.Chmod(file, 0o600) }},
		{"rename", func() error { return os.Rename(file, file+"2") }},
		{"mkdir", func() error { return os.Mkdir(filepath.Join(dir, "sub"), 0o755) }},
		{"link", func() error { return os.Symlink("file2", filepath.Join(dir, "link")) }},
		{"truncate", func() error { return os.Truncate(file+"2", 1) }},
		{"remove", func() error { return os.Remove(file + "2") }},
		{"unwatched", func() error { return os.WriteFile(filepath.Join(dir, "sub", "deep"), nil, 0o644) }},
	}
	for _, step := range steps {
		must(step.do())
		fmt.Println(step.name)
		show(watcher)
	}
	fmt.Println(watcher.Add(filepath.Join(dir, "missing")) != nil)
	must(watcher.Remove(dir))
	must(os.WriteFile(file, nil, 0o644))
	show(watcher)
	fmt.Println(len(watcher.WatchList()))
	must(watcher.Close())
}

// show prints the events until none comes any more. How many equal ones the system makes one of is chance.
func show(watcher *fsnotify.Watcher) {
	var last fsnotify.Event
	for {
		select {
		case event := <-watcher.Events:
			if event != last {
				fmt.Println(" ", event.Op, filepath.Base(event.Name))
			}
			last = event
		case err := <-watcher.Errors:
			fmt.Println("  error", err)
		case <-time.After(100 * time.Millisecond):
			return
		}
	}
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
