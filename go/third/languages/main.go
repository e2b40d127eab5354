// Languages interprets programs in JavaScript (goja), Starlark and Lua (gopher-lua).
package main

import (
	"fmt"
	"log"

	"github.com/dop251/goja"
	lua "github.com/yuin/gopher-lua"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

const javascript = `
class Point { constructor(x, y) { this.x = x; this.y = y } get length() { return Math.hypot(this.x, this.y) } }
function* primes(n) { next: for (let i = 2; i < n; i++) { for (let j = 2; j * j <= i; j++) if (i % j == 0) continue next; yield i } }
const words = "the quick brown fox jumps over the lazy dog".split(" ");
print([...primes(60)].join(), new Point(3, 4).length, words.sort().map(w => w.replace(/^(.)/, c => c.toUpperCase())).join(" "));
print(JSON.stringify({a: [1, {b: null}], c: new Date(0).toISOString(), d: 0.1 + 0.2}));
let sum = 0; for (let i = 0; i < 300000; i++) sum = (sum * 31 + i) % 1000003; print(sum);
try { null.x } catch (e) { print(e instanceof TypeError, e.message) }
`

const star = `
def primes(n):
    return [i for i in range(2, n) if not [j for j in range(2, i) if j * j <= i and i % j == 0]]
print(primes(60), {"a": 1} | {"b": [2, 3]}, "%d %r" % (1 << 70, "text"))
def fib(n):
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a
print(fib(200))
`

const luaText = `
local function primes(n) local all = {} for i = 2, n - 1 do local ok = true
  for j = 2, math.floor(math.sqrt(i)) do if i % j == 0 then ok = false break end end
  if ok then all[#all + 1] = i end end return table.concat(all, ",") end
print(primes(60))
local co = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i * i) end end)
print(co(), co(), co(), string.format("%5.2f|%s", math.pi, ("x"):rep(5)), ("a,b,c"):gsub(",", ";"))
local t = setmetatable({}, {__index = function(_, k) return k .. "!" end})
print(t.hey, select("#", 1, 2, 3), pcall(error, "thrown"))
`

func main() {
	vm := goja.New()
	must(vm.Set("print", func(call goja.FunctionCall) goja.Value {
		for _, argument := range call.Arguments {
			fmt.Print(argument, " ")
		}
		fmt.Println()
		return nil
	}))
	_, err := vm.RunString(javascript)
	must(err)
	thread := &starlark.Thread{Print: func(_ *starlark.Thread, text string) { fmt.Println(text) }}
	_, err = starlark.ExecFileOptions(&syntax.FileOptions{}, thread, "program.star", star, nil)
	must(err)
	state := lua.NewState()
	defer state.Close()
	must(state.DoString(luaText))
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
