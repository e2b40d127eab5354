// Hello is the smallest program: what the boot, a write and an exit take.
package main

import "fmt"

func main() { fmt.Println("hello, world") }
