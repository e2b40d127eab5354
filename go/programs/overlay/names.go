//go:build go1.25

package main

import (
	"fmt"
	"os"
)

// manyTimes looks a thousand names up again and again: more than are kept where memory is small, so each time most of them
// are asked for anew, and nothing may stay of those that were forgotten.
func manyTimes() {
	entries, err := os.ReadDir("many")
	check(err)
	total := int64(0)
	for range 40 {
		for _, entry := range entries {
			info, err := os.Lstat("many/" + entry.Name())
			check(err)
			total += info.Size()
		}
	}
	fmt.Println(len(entries), total)
}
