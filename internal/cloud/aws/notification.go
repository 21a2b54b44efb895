package aws

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
)

// An object is one in S3. An empty region is the queue's.
type object struct{ bucket, key, region string }

// errNoNotification is that a message is none of the kinds that are expected in a queue.
var errNoNotification = errors.New("message is no notification of the kind that is expected here")

// objectsOf are the new objects that a message tells of: one from S3, directly or through SNS; from EventBridge; or
// from CloudTrail itself, through SNS. Some tell of nothing new, as S3's test does.
func objectsOf(body string) ([]object, error) {
	var m struct {
		// SNS
		Type, Message string
		// S3
		Event   string
		Records []struct {
			EventName string
			AwsRegion string
			S3        struct{ Bucket, Object struct{ Name, Key string } }
		}
		// EventBridge
		DetailType string `json:"detail-type"`
		Region     string
		Detail     struct{ Bucket, Object struct{ Name, Key string } }
		// CloudTrail
		S3Bucket    string
		S3ObjectKey []string
	}
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		return nil, err
	}
	if m.Type == "Notification" && m.Message != "" {
		inner := m.Message
		m.Type, m.Message = "", ""
		if err := json.Unmarshal([]byte(inner), &m); err != nil {
			return nil, err
		}
	}
	var objects []object
	switch {
	case m.S3Bucket != "":
		for _, key := range m.S3ObjectKey {
			objects = append(objects, object{m.S3Bucket, key, ""})
		}
	case m.DetailType != "":
		if m.DetailType == "Object Created" {
			objects = append(objects, object{m.Detail.Bucket.Name, m.Detail.Object.Key, m.Region})
		}
	case m.Records != nil:
		for _, r := range m.Records {
			key, err := url.QueryUnescape(r.S3.Object.Key)
			if err != nil {
				return nil, err
			}
			if strings.HasPrefix(strings.TrimPrefix(r.EventName, "s3:"), "ObjectCreated:") {
				objects = append(objects, object{r.S3.Bucket.Name, key, r.AwsRegion})
			}
		}
	case m.Event == "s3:TestEvent":
	default:
		return nil, errNoNotification
	}
	for _, o := range objects {
		if o.bucket == "" || o.key == "" {
			return nil, errNoNotification
		}
	}
	return objects, nil
}
