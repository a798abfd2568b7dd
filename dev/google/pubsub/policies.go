package main

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"cloud.google.com/go/iam/apiv1/iampb"
	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// resources tells whether a topic or a subscription exists.
type resources interface {
	GetTopic(context.Context, *pb.GetTopicRequest) (*pb.Topic, error)
	GetSubscription(context.Context, *pb.GetSubscriptionRequest) (*pb.Subscription, error)
}

// policies keeps IAM policies in memory, with the etags that guard against lost updates:
// https://cloud.google.com/iam/docs/reference/rest/v1/Policy
type policies struct {
	iampb.UnimplementedIAMPolicyServer
	resources resources
	mutex     sync.Mutex
	byName    map[string]*iampb.Policy
	version   int
}

func newPolicies(known resources) *policies {
	return &policies{resources: known, byName: map[string]*iampb.Policy{}}
}

func (p *policies) forget(name string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	delete(p.byName, name)
}

func (p *policies) exists(ctx context.Context, name string) error {
	var err error
	switch {
	case strings.Contains(name, "/topics/"):
		_, err = p.resources.GetTopic(ctx, &pb.GetTopicRequest{Topic: name})
	case strings.Contains(name, "/subscriptions/"):
		_, err = p.resources.GetSubscription(ctx, &pb.GetSubscriptionRequest{Subscription: name})
	default:
		err = status.Errorf(codes.InvalidArgument, "resource %q is neither a topic nor a subscription", name)
	}
	return err
}

// SetIamPolicy replaces the policy, or refuses when the etag given is not the present one.
func (p *policies) SetIamPolicy(ctx context.Context, in *iampb.SetIamPolicyRequest) (*iampb.Policy, error) {
	if err := p.exists(ctx, in.Resource); err != nil {
		return nil, err
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	given := string(in.GetPolicy().GetEtag())
	if present, ok := p.byName[in.Resource]; ok && given != "" && given != string(present.Etag) {
		return nil, status.Error(codes.Aborted, "there were concurrent policy changes: read it again and retry")
	}
	p.version++
	policy := &iampb.Policy{}
	if in.Policy != nil {
		policy = proto.Clone(in.Policy).(*iampb.Policy)
	}
	policy.Etag = []byte(fmt.Sprintf("%08x", p.version))
	p.byName[in.Resource] = policy
	return policy, nil
}

// GetIamPolicy returns the policy; one that was never set is empty.
func (p *policies) GetIamPolicy(ctx context.Context, in *iampb.GetIamPolicyRequest) (*iampb.Policy, error) {
	if err := p.exists(ctx, in.Resource); err != nil {
		return nil, err
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if policy, ok := p.byName[in.Resource]; ok {
		return policy, nil
	}
	return &iampb.Policy{Etag: []byte("00000000")}, nil
}

// TestIamPermissions grants everything: the stand-in knows no callers.
func (p *policies) TestIamPermissions(
	_ context.Context, in *iampb.TestIamPermissionsRequest,
) (*iampb.TestIamPermissionsResponse, error) {
	return &iampb.TestIamPermissionsResponse{Permissions: in.Permissions}, nil
}
