package awstest

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// An STS answers AssumeRole: it lets anyone into any role, for an hour.
type STS struct {
	// Fail, if not nil, is asked for each role.
	Fail func(role string) *Fault

	mu    sync.Mutex
	roles map[string]string
}

// Role is the role that an access key was given for.
func (s *STS) Role(accessKey string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.roles[accessKey]
}

// ServeHTTP implements http.Handler.
func (s *STS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/xml")
	role := r.FormValue("RoleArn")
	var fault *Fault
	if r.FormValue("Action") != "AssumeRole" {
		fault = &Fault{Status: 400, Code: "InvalidAction", Message: r.FormValue("Action")}
	} else if s.Fail != nil {
		fault = s.Fail(role)
	}
	if fault != nil {
		w.WriteHeader(fault.Status)
		fmt.Fprintf(w, "<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>", fault.Code, escape(fault.Message))
		return
	}
	s.mu.Lock()
	if s.roles == nil {
		s.roles = map[string]string{}
	}
	key := fmt.Sprintf("ASIA%016d", len(s.roles))
	s.roles[key] = role
	s.mu.Unlock()
	fmt.Fprintf(w, `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><AssumedRoleUser><Arn>%s</Arn><AssumedRoleId>AROA:x</AssumedRoleId></AssumedRoleUser>`+
		`<Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>assumed-secret</SecretAccessKey><SessionToken>assumed-token</SessionToken><Expiration>%s</Expiration></Credentials>`+
		`</AssumeRoleResult></AssumeRoleResponse>`, escape(role), key, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // to a Builder it cannot fail
	return b.String()
}
