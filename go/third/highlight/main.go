// Highlight colours the Go source on its standard input with chroma, as HTML.
package main

import (
	"io"
	"log"
	"os"

	"github.com/alecthomas/chroma/v2/quick"
)

func main() {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		log.Fatal(err)
	}
	if err := quick.Highlight(os.Stdout, string(text), "go", "html", "github"); err != nil {
		log.Fatal(err)
	}
}
