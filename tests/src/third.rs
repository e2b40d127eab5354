//! Cases with programs that nobody here wrote: libraries under a small main package in go/third, commands as their authors
//! publish them, and the tools of the Go distribution itself.

use std::fs;
use std::io::Result;
use std::path::Path;

use crate::case::Program::{Third, Tool};
use crate::case::{Case, Stdin, case};
use crate::go;
use crate::machine::Engine;

const KVM: &[Engine] = &[Engine::Kvm];

/// Every case of this kind.
pub fn cases() -> Vec<Case> {
    [
        libraries(),
        databases(),
        services(),
        engines(),
        commands(),
        go_tools(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The package of go/third of that name, without arguments.
fn library(name: &'static str, package: &'static str) -> Case {
    case(&format!("third/{name}"), Third(package), &[])
        .cpus(&[2])
        .code(0)
}

fn libraries() -> Vec<Case> {
    let cobra = |name: &str, args: &[&str], code| {
        case(&format!("third/cobra-{name}"), Third("./cobra"), args)
            .env("GREETING", "how are you?")
            .cpus(&[1])
            .engines(KVM)
            .code(code)
    };
    vec![
        library("fsnotify", "./fsnotify"),
        library("gopsutil", "./gopsutil"),
        library("compress", "./compress").limit(40),
        library("goldmark", "./goldmark").stdin(Stdin::Text(MARKDOWN)),
        library("logs", "./logs"),
        library("gonum", "./gonum").limit(40),
        library("maxprocs", "./maxprocs"),
        library("hashes", "./hashes"),
        library("raft", "./raft").limit(60),
        library("highlight", "./highlight").stdin(Stdin::Text(SOURCE)),
        cobra("help", &[], 0),
        cobra("greet", &["greet", "-n3", "--loud", "you", "me"], 0),
        cobra("alias", &["hi", "--times=1", "--", "-n"], 0),
        cobra("mistyped", &["gret"], 3),
        cobra("unknown-flag", &["greet", "--lod", "x"], 3),
        cobra("completion", &["completion", "bash"], 0),
        cobra("fail", &["fail"], 3),
    ]
}

fn databases() -> Vec<Case> {
    vec![
        library("bbolt", "./bbolt"),
        library("sqlite", "./sqlite").limit(40),
        library("pebble", "./pebble").limit(40),
        library("badger", "./badger").memory(1024).limit(40),
    ]
}

/// Servers and their clients in one program, over the machine's own loopback.
fn services() -> Vec<Case> {
    vec![
        library("dns", "./dns"),
        library("redis", "./redis"),
        library("nats", "./nats"),
        library("grpc", "./grpc").limit(40),
        library("quic", "./quic").limit(40),
        library("websocket", "./websocket").limit(40),
        library("web", "./web").engines(KVM).limit(40),
    ]
}

/// Interpreters and compilers of other languages.
fn engines() -> Vec<Case> {
    let wazero = |name: &str, args: &[&str]| {
        case(&format!("third/wazero-{name}"), Third("./wazero"), args)
            .files(|folder| go::wasm("./guest", &folder.join("guest.wasm")))
            .cpus(&[2])
            .limit(60)
            .code(0)
    };
    vec![
        library("languages", "./languages").limit(40),
        wazero("compiler", &["guest.wasm", "a", "b"]),
        wazero("interpreter", &["-interpret", "guest.wasm"]),
        case(
            "third/jsonnet",
            Third("github.com/google/go-jsonnet/cmd/jsonnet"),
            &["--ext-str", "who=ring", "-"],
        )
        .stdin(Stdin::Text(JSONNET))
        .cpus(&[1])
        .code(0),
    ]
}

fn commands() -> Vec<Case> {
    let esbuild = |name: &str, args: &[&str]| {
        case(
            &format!("third/esbuild-{name}"),
            Third("github.com/evanw/esbuild/cmd/esbuild"),
            args,
        )
        .files(javascript)
        .cpus(&[2])
        .limit(40)
    };
    let shfmt = |name: &str, args: &[&str]| {
        case(
            &format!("third/shfmt-{name}"),
            Third("mvdan.cc/sh/v3/cmd/shfmt"),
            args,
        )
        .stdin(Stdin::Text(SHELL))
        .cpus(&[1])
    };
    vec![
        esbuild(
            "bundle",
            &["main.ts", "--bundle", "--minify", "--sourcemap=inline"],
        )
        .code(0),
        esbuild(
            "split",
            &[
                "main.ts",
                "--bundle",
                "--outdir=out",
                "--log-level=info",
                "--color=false",
            ],
        )
        .normalise(crate::compare::Normalise::Times)
        .code(0),
        esbuild("error", &["broken.js", "--bundle", "--color=false"]).code(1),
        shfmt("simplify", &["-i", "4", "-s"]).code(0),
        shfmt("tree", &["--to-json"]).code(0),
        case(
            "third/minify",
            Third("github.com/tdewolff/minify/v2/cmd/minify"),
            &["--type=html"],
        )
        .stdin(Stdin::Text(HTML))
        .cpus(&[1])
        .code(0),
    ]
}

/// gofmt, and the compiler, assembler and linker: the largest Go programs every Go user has.
fn go_tools() -> Vec<Case> {
    const COMPILE: &str = "pkg/tool/linux_amd64/compile";
    let format = |name: &str, args: &[&str]| {
        case(&format!("tools/gofmt-{name}"), Tool("bin/gofmt"), args)
            .stdin(Stdin::Text(SOURCE))
            .cpus(&[1])
    };
    let tool = |name: &str, path: &'static str, args: &[&str]| {
        case(&format!("tools/{name}"), Tool(path), args)
            .files(sources)
            .cpus(&[2])
            .limit(40)
    };
    vec![
        format("plain", &[]).code(0),
        format("simplify", &["-s", "-d"]),
        tool("gofmt-list", "bin/gofmt", &["-l", "."]).code(0),
        tool(
            "compile-parallel",
            COMPILE,
            &[
                "-p",
                "main",
                "-importcfg",
                "importcfg",
                "-c=4",
                "-m=2",
                "-live",
                "main.go",
            ],
        )
        .code(0),
        tool(
            "compile-errors",
            COMPILE,
            &["-p", "main", "-importcfg", "importcfg", "wrong.go"],
        )
        .code(2),
        tool(
            "link",
            "pkg/tool/linux_amd64/link",
            &[
                "-importcfg",
                "importcfg",
                "-o",
                "a.out",
                "-dumpdep",
                "main.a",
            ],
        )
        .limit(60)
        .code(0),
        tool(
            "link-errors",
            "pkg/tool/linux_amd64/link",
            &["-importcfg", "importcfg", "-o", "a.out", "main.go"],
        ),
        tool(
            "cover",
            "pkg/tool/linux_amd64/cover",
            &["-mode=set", "-var=counters", "main.go"],
        )
        .code(0),
        case("tools/go-doc", Tool("bin/go"), &["doc", "strings.Builder"])
            .env("GOTOOLCHAIN", "local")
            .env("HOME", "/tmp")
            .exec()
            .cpus(&[2])
            .code(0),
    ]
}

fn sources(folder: &Path) -> Result<()> {
    fs::write(folder.join("main.go"), SOURCE)?;
    fs::write(folder.join("wrong.go"), WRONG)?;
    go::packages(folder)
}

fn javascript(folder: &Path) -> Result<()> {
    for (name, text) in [
        (
            "main.ts",
            "import {greet, type Name} from './greet'\nimport data from './data.json'\nconst who: Name = data.who\nconsole.log(greet(who) ?? `nobody`)\n",
        ),
        (
            "greet.ts",
            "export type Name = string\nexport const unused = () => 1 + 2\nexport const greet = (name?: Name) => name && `hello ${name}`.replace(/l+/g, 'L')\n",
        ),
        ("data.json", "{\"who\": \"ring\", \"list\": [1, 2]}\n"),
        ("broken.js", "import './missing'\nlet a = ;\n"),
    ] {
        fs::write(folder.join(name), text)?;
    }
    Ok(())
}

const MARKDOWN: &str = include_str!("../../README.md");

const SOURCE: &str = "//line /src/main.go:1
package main

type tree struct { left, right *tree }

func build(depth int) *tree {
	if (depth == 0) { return nil }
	return &tree{build(depth - 1), build(depth - 1)}
}

func (t *tree) count() int { if t == nil { return 0 }
	return 1 + t.left.count() + t.right.count()
}

type shape interface { area() float64 }
type square struct { side float64 }
func (s square) area() float64 { return s.side*s.side }

func sum[T int|float64](all ...T) (total T) { for _, one := range all[0:len(all)] { total += one }; return }

func main() {
	defer func() { println(recover() != nil) }()
	shapes := map[string]shape{\"a\": square{2}, \"b\": square{3}}
	done := make(chan bool)
	go func() { for _, s := range shapes { println(s.area() > 1) }; close(done) }()
	<-done
	println(build(16).count(), sum(1, 2, 3), sum(1.5))
	panic(\"over\")
}
";

const WRONG: &str = "//line /src/wrong.go:1
package main

import \"unused\"

func f() int {
	x := 1
	var y string = x
}

func main() { f(1); undefined.call() }
";

const JSONNET: &str = r#"local f(n) = if n <= 1 then 1 else n * f(n - 1);
{ who: std.extVar('who'), factorials: [f(i) for i in std.range(0, 15)], text: std.format('%05.2f|%s', [3.14159, std.md5('x')]),
  nested+: { [k]: std.length(k) for k in ['a', 'bb'] }, sorted: std.sort(std.split('the quick brown fox', ' ')) }
"#;

const SHELL: &str = "#!/bin/bash
if [ \"$x\" = 1 ];then echo `date`; else
for i in $(seq 1 10);do echo \"${i}\"|grep 1 &&{ break; };done;fi
function f(){ local a=([1]=x [2]=y);cat <<-EOF
	text $((1+2))
	EOF
}
case $1 in a|b) f;; *) exit 1;;esac
";

const HTML: &str = "<!doctype html>
<html><head><style>  body { color : #ff0000 ; margin : 0px 0px 0px 0px }  </style>
<script> var  longName = 1 ; function add ( a , b ) { return a + b } console.log( add( longName , 2 ) ) </script></head>
<body>   <p class=\"a\"  id='b'>  Some   text <!-- a comment --> <b> bold </b></p>  <img src=\"x.png\" alt=\"\"/></body></html>
";
