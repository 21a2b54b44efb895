package crossplane

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"text/template"

	fnv1 "github.com/crossplane/crossplane/v2/proto/fn/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/types/known/structpb"
	"sigs.k8s.io/yaml"
)

// A function is a composition function. Its input has templates of resources, which it renders with the composite resource:
//
//	input:
//	  apiVersion: playground/v1
//	  kind: Templates
//	  resources:
//	    settings: |
//	      apiVersion: v1
//	      …  {{ .metadata.name }}
//
// A composed resource is ready when its condition Ready is True.
type function struct {
	fnv1.UnimplementedFunctionRunnerServiceServer

	server   *grpc.Server
	endpoint string
}

// startFunction serves a function on loopback. The certificates in dir tell it and Crossplane who they are.
func startFunction(dir string) (*function, error) {
	certificate, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
	if err != nil {
		return nil, fmt.Errorf("composition function: %w", err)
	}
	authority, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("composition function: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("composition function: no certificate in %s/ca.crt", dir)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // Nothing to wait for.
	if err != nil {
		return nil, fmt.Errorf("composition function: %w", err)
	}
	f := &function{endpoint: l.Addr().String(), server: grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{certificate}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13,
	})))}
	fnv1.RegisterFunctionRunnerServiceServer(f.server, f)
	go func() { _ = f.server.Serve(l) }() // Until stop.
	return f, nil
}

func (f *function) stop() { f.server.Stop() }

// RunFunction renders the templates in the input. What is wrong with them is a fatal result, as of any function.
func (f *function) RunFunction(_ context.Context, req *fnv1.RunFunctionRequest) (*fnv1.RunFunctionResponse, error) {
	rsp := &fnv1.RunFunctionResponse{
		Meta:    &fnv1.ResponseMeta{Tag: req.GetMeta().GetTag()},
		Desired: req.GetDesired(),
		Context: req.GetContext(),
	}
	if rsp.GetDesired() == nil {
		rsp.Desired = &fnv1.State{}
	}
	rsp.Desired.Resources = make(map[string]*fnv1.Resource)
	composite := req.GetObserved().GetComposite().GetResource().AsMap()
	for name, text := range req.GetInput().GetFields()["resources"].GetStructValue().GetFields() {
		r, err := render(text.GetStringValue(), composite)
		if err != nil {
			rsp.Results = append(rsp.Results, &fnv1.Result{Severity: fnv1.Severity_SEVERITY_FATAL, Message: fmt.Sprintf("cannot render resource %q: %v", name, err)})
			continue
		}
		ready := fnv1.Ready_READY_FALSE
		if isReady(req.GetObserved().GetResources()[name].GetResource()) {
			ready = fnv1.Ready_READY_TRUE
		}
		rsp.Desired.Resources[name] = &fnv1.Resource{Resource: r, Ready: ready}
	}
	return rsp, nil
}

func render(text string, composite map[string]any) (*structpb.Struct, error) {
	t, err := template.New("").Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, composite); err != nil {
		return nil, err
	}
	var resource map[string]any
	if err := yaml.Unmarshal(out.Bytes(), &resource); err != nil {
		return nil, err
	}
	if len(resource) == 0 {
		return nil, errors.New("nothing comes out of it")
	}
	return structpb.NewStruct(resource)
}

func isReady(resource *structpb.Struct) bool {
	conditions := resource.GetFields()["status"].GetStructValue().GetFields()["conditions"].GetListValue().GetValues()
	for _, c := range conditions {
		f := c.GetStructValue().GetFields()
		if f["type"].GetStringValue() == "Ready" {
			return f["status"].GetStringValue() == "True"
		}
	}
	return false
}
