// Grpc serves unary calls and all three kinds of streams over TCP and over a Unix socket, with deadlines, cancelled calls,
// errors with a code, and many calls at once on one connection.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

type server struct{}

func (server) upper(ctx context.Context, text string) (string, error) {
	switch text {
	case "fail":
		return "", status.Error(codes.FailedPrecondition, "as was asked")
	case "wait":
		<-ctx.Done()
		return "", status.FromContextError(ctx.Err()).Err()
	}
	return strings.ToUpper(text), nil
}

func unary(srv any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	in := new(wrapperspb.StringValue)
	if err := decode(in); err != nil {
		return nil, err
	}
	out, err := srv.(server).upper(ctx, in.Value)
	return wrapperspb.String(out), err
}

// count sends the numbers below what the client names.
func count(_ any, stream grpc.ServerStream) error {
	in := new(wrapperspb.UInt32Value)
	if err := stream.RecvMsg(in); err != nil {
		return err
	}
	for i := range in.Value {
		if err := stream.SendMsg(wrapperspb.UInt32(i)); err != nil {
			return err
		}
	}
	return nil
}

// sum answers with the sum of what comes; echo with each at once.
func sum(_ any, stream grpc.ServerStream) error {
	total := uint64(0)
	for {
		in := new(wrapperspb.BytesValue)
		err := stream.RecvMsg(in)
		if errors.Is(err, io.EOF) {
			return stream.SendMsg(wrapperspb.UInt64(total))
		}
		if err != nil {
			return err
		}
		for _, b := range in.Value {
			total += uint64(b)
		}
	}
}

func echo(_ any, stream grpc.ServerStream) error {
	for {
		in := new(wrapperspb.BytesValue)
		err := stream.RecvMsg(in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.SendMsg(in); err != nil {
			return err
		}
	}
}

var service = grpc.ServiceDesc{
	ServiceName: "ringo.Test",
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Upper", Handler: unary}},
	Streams: []grpc.StreamDesc{
		{StreamName: "Count", Handler: count, ServerStreams: true},
		{StreamName: "Sum", Handler: sum, ClientStreams: true},
		{StreamName: "Echo", Handler: echo, ServerStreams: true, ClientStreams: true},
	},
}

func must(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

func upper(conn *grpc.ClientConn, ctx context.Context, text string) (string, error) {
	out := new(wrapperspb.StringValue)
	err := conn.Invoke(ctx, "/ringo.Test/Upper", wrapperspb.String(text), out)
	return out.Value, err
}

func exercise(kind string, conn *grpc.ClientConn) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	answer, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
	must(err)
	text, err := upper(conn, ctx, "hello")
	must(err)
	fmt.Println(kind, "health:", answer.Status, "unary:", text)

	_, err = upper(conn, ctx, "fail")
	fmt.Println(kind, "error:", status.Code(err), status.Convert(err).Message())
	short, stop := context.WithTimeout(ctx, 50*time.Millisecond)
	_, err = upper(conn, short, "wait")
	stop()
	fmt.Println(kind, "deadline:", status.Code(err))

	stream, err := conn.NewStream(ctx, &service.Streams[0], "/ringo.Test/Count")
	must(err)
	must(stream.SendMsg(wrapperspb.UInt32(10_000)))
	must(stream.CloseSend())
	received, in := 0, new(wrapperspb.UInt32Value)
	for err = stream.RecvMsg(in); err == nil; err = stream.RecvMsg(in) {
		received += int(in.Value)
	}
	fmt.Println(kind, "server's stream:", received, err)

	stream, err = conn.NewStream(ctx, &service.Streams[1], "/ringo.Test/Sum")
	must(err)
	block := make([]byte, 100_000)
	for i := range block {
		block[i] = byte(i)
	}
	for range 100 {
		must(stream.SendMsg(wrapperspb.Bytes(block)))
	}
	must(stream.CloseSend())
	total := new(wrapperspb.UInt64Value)
	must(stream.RecvMsg(total))
	fmt.Println(kind, "client's stream:", total.Value)

	var all sync.WaitGroup
	var good sync.Map
	for i := range 50 {
		all.Go(func() {
			stream, err := conn.NewStream(ctx, &service.Streams[2], "/ringo.Test/Echo")
			must(err)
			for n := range 20 {
				sent := wrapperspb.Bytes(block[:1+i*n])
				must(stream.SendMsg(sent))
				back := new(wrapperspb.BytesValue)
				must(stream.RecvMsg(back))
				if len(back.Value) == len(sent.Value) {
					good.Store(i*20+n, true)
				}
			}
			must(stream.CloseSend())
		})
	}
	all.Wait()
	equal := 0
	good.Range(func(any, any) bool { equal++; return true })
	fmt.Println(kind, "echoed:", equal)
}

func main() {
	folder, err := os.MkdirTemp("", "grpc")
	must(err)
	defer os.RemoveAll(folder)
	for _, kind := range []string{"tcp", "unix"} {
		address := "127.0.0.1:0"
		if kind == "unix" {
			address = filepath.Join(folder, "socket")
		}
		listener, err := net.Listen(kind, address)
		must(err)
		s := grpc.NewServer()
		s.RegisterService(&service, server{})
		healthpb.RegisterHealthServer(s, health.NewServer())
		go s.Serve(listener)
		target := listener.Addr().String()
		if kind == "unix" {
			target = "unix:" + target
		}
		conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
		must(err)
		exercise(kind, conn)
		must(conn.Close())
		s.GracefulStop()
	}
}
