// Pubsub-standin serves Google's own in-memory Pub/Sub fake with the IAM calls that it lacks.
//
// Clients reach it through PUBSUB_EMULATOR_HOST, as they would reach Google's emulator. Policies are
// kept by resource name and go with their topic or subscription; nobody's permissions are enforced.
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"

	"cloud.google.com/go/iam/apiv1/iampb"
	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8085", "address to serve gRPC on; port 0 takes a free one")
	flag.Parse()

	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatalf("pubsub-standin: %v", err)
	}
	server := newServer(pstest.NewServer())

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-signals
		// Streaming pulls never end by themselves, so a graceful stop would wait for ever.
		server.Stop()
	}()

	log.Printf("pubsub-standin: serving on %s", listener.Addr())
	if err := server.Serve(listener); err != nil {
		log.Fatalf("pubsub-standin: %v", err)
	}
}

// newServer serves the fake's calls and IAM on a server of our own, since the fake's own server
// listens on loopback only and forgets no policy.
func newServer(fake *pstest.Server) *grpc.Server {
	idle := newIdle(&fake.GServer)
	policies := newPolicies(idle)
	server := grpc.NewServer(
		grpc.ChainUnaryInterceptor(policies.forgetDeleted, idle.intercept),
		grpc.StreamInterceptor(idle.stream),
		grpc.MaxRecvMsgSize(20<<20),
	)
	pb.RegisterPublisherServer(server, &fake.GServer)
	pb.RegisterSubscriberServer(server, &fake.GServer)
	iampb.RegisterIAMPolicyServer(server, policies)
	healthpb.RegisterHealthServer(server, health.NewServer())
	return server
}

// forgetDeleted drops the policy of what a call has just deleted.
func (p *policies) forgetDeleted(
	ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
) (any, error) {
	answer, err := handler(ctx, request)
	if err == nil {
		switch deleted := request.(type) {
		case *pb.DeleteTopicRequest:
			p.forget(deleted.Topic)
		case *pb.DeleteSubscriptionRequest:
			p.forget(deleted.Subscription)
		}
	}
	return answer, err
}
