// Guest is what the wazero case runs: a Go program with goroutines, garbage, a panic that is recovered, and an exit code.
package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"sort"
)

func main() {
	fmt.Println(os.Args[1:])
	results := make(chan string)
	for i := 0; i < 10; i++ {
		go func() {
			sum := sha256.Sum256([]byte(fmt.Sprint(i)))
			results <- fmt.Sprintf("%d %x", i, sum[:6])
		}()
	}
	var all []string
	for i := 0; i < 10; i++ {
		all = append(all, <-results)
	}
	sort.Strings(all)
	fmt.Println(all)
	tree := map[int][]int{}
	for i := 0; i < 20000; i++ {
		tree[i%1000] = append(tree[i%1000], i)
	}
	fmt.Println(len(tree), len(tree[7]))
	func() {
		defer func() { fmt.Println("recovered:", recover()) }()
		var nothing []int
		_ = nothing[len(os.Args)]
	}()
	os.Exit(5)
}
