// Wazero compiles WebAssembly to machine code in memory that it makes executable. The module is the program named by its
// argument, built by Go for wasip1; `-interpret` runs the same without making code.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"
)

func main() {
	interpret := flag.Bool("interpret", false, "make no machine code")
	flag.Parse()
	code, err := os.ReadFile(flag.Arg(0))
	must(err)
	ctx := context.Background()
	config := wazero.NewRuntimeConfigCompiler()
	if *interpret {
		config = wazero.NewRuntimeConfigInterpreter()
	}
	runtime := wazero.NewRuntimeWithConfig(ctx, config)
	defer runtime.Close(ctx)
	wasi_snapshot_preview1.MustInstantiate(ctx, runtime)
	module := wazero.NewModuleConfig().WithStdout(os.Stdout).WithStderr(os.Stderr).WithStdin(os.Stdin).
		WithArgs(flag.Args()...).WithSysWalltime().WithSysNanotime()
	_, err = runtime.InstantiateWithConfig(ctx, code, module)
	if exit, ok := err.(*sys.ExitError); ok {
		fmt.Println("exit code", exit.ExitCode())
	} else {
		must(err)
		fmt.Println("it returned")
	}
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
