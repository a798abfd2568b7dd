package main

import (
	"context"
	"log"
	"sync"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

// idle keeps subscriptions out of the fake until somebody uses them: the fake looks at each of its own a
// hundred times a second, which for ten thousand takes more than two cores.
type idle struct {
	fake   *pstest.GServer
	mutex  sync.Mutex
	byName map[string]*pb.Subscription
}

func newIdle(fake *pstest.GServer) *idle {
	return &idle{fake: fake, byName: map[string]*pb.Subscription{}}
}

// GetTopic asks the fake.
func (i *idle) GetTopic(ctx context.Context, in *pb.GetTopicRequest) (*pb.Topic, error) {
	return i.fake.GetTopic(ctx, in)
}

// GetSubscription returns a subscription, idle or not.
func (i *idle) GetSubscription(ctx context.Context, in *pb.GetSubscriptionRequest) (*pb.Subscription, error) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	if found, ok := i.byName[in.Subscription]; ok {
		return proto.Clone(found).(*pb.Subscription), nil
	}
	return i.fake.GetSubscription(ctx, in)
}

// intercept answers what is said of idle subscriptions, and wakes those that a call needs.
func (i *idle) intercept(
	ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
) (any, error) {
	switch in := request.(type) {
	case *pb.Subscription:
		return i.create(ctx, in)
	case *pb.GetSubscriptionRequest:
		return i.GetSubscription(ctx, in)
	case *pb.DeleteSubscriptionRequest:
		if i.drop(in.Subscription) {
			return &emptypb.Empty{}, nil
		}
	case *pb.UpdateSubscriptionRequest:
		i.wake(func(each *pb.Subscription) bool { return each.Name == in.GetSubscription().GetName() })
	case *pb.PublishRequest:
		i.wake(func(each *pb.Subscription) bool { return each.Topic == in.Topic })
	case *pb.DeleteTopicRequest:
		// Until it is gone no subscription to it may be made and kept here: nobody could wake that one.
		i.mutex.Lock()
		defer i.mutex.Unlock()
		i.wakeLocked(func(each *pb.Subscription) bool { return each.Topic == in.Topic })
	case *pb.ListSubscriptionsRequest, *pb.ListTopicSubscriptionsRequest:
		i.wake(func(*pb.Subscription) bool { return true })
	case interface{ GetSubscription() string }:
		i.wake(func(each *pb.Subscription) bool { return each.Name == in.GetSubscription() })
	}
	return handler(ctx, request)
}

// create lets the fake check a new subscription, then keeps it.
func (i *idle) create(ctx context.Context, in *pb.Subscription) (*pb.Subscription, error) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	if _, ok := i.byName[in.Name]; ok {
		return nil, status.Errorf(codes.AlreadyExists, "subscription %q", in.Name)
	}
	made, err := i.fake.CreateSubscription(ctx, in)
	if err != nil {
		return nil, err
	}
	kept := proto.Clone(made).(*pb.Subscription)
	if _, err := i.fake.DeleteSubscription(ctx, &pb.DeleteSubscriptionRequest{Subscription: in.Name}); err != nil {
		return nil, err
	}
	i.byName[in.Name] = kept
	return proto.Clone(kept).(*pb.Subscription), nil
}

func (i *idle) drop(name string) bool {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	_, ok := i.byName[name]
	delete(i.byName, name)
	return ok
}

// wake gives the fake the subscriptions that somebody is about to use.
func (i *idle) wake(used func(*pb.Subscription) bool) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	i.wakeLocked(used)
}

func (i *idle) wakeLocked(used func(*pb.Subscription) bool) {
	for name, each := range i.byName {
		if !used(each) {
			continue
		}
		delete(i.byName, name)
		if _, err := i.fake.CreateSubscription(context.Background(), each); err != nil {
			log.Fatalf("pubsub-standin: subscription %s is lost: %v", name, err)
		}
	}
}

// stream wakes the subscription of a streaming pull, whose first message names it.
func (i *idle) stream(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return handler(server, &wakingStream{stream, i})
}

type wakingStream struct {
	grpc.ServerStream
	idle *idle
}

func (s *wakingStream) RecvMsg(message any) error {
	if err := s.ServerStream.RecvMsg(message); err != nil {
		return err
	}
	if pull, ok := message.(*pb.StreamingPullRequest); ok && pull.Subscription != "" {
		s.idle.wake(func(each *pb.Subscription) bool { return each.Name == pull.Subscription })
	}
	return nil
}
