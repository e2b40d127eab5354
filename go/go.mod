module ringo.dev/go

go 1.21
