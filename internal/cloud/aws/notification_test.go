package aws

import (
	"encoding/json"
	"testing"
)

// What a message holds, which anyone may have sent, is parsed or refused.
func FuzzMessages(f *testing.F) {
	for _, body := range []string{
		s3Message("a", "b c"), snsMessage(s3Message("a")), eventBridgeMessage("a"), cloudTrailMessage("a"), bridged(full),
		`{"Event":"s3:TestEvent"}`, `{"Records":[{"s3":null}]}`, `{"Type":"Notification","Message":"x"}`, `[]`, `null`,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		objects, err := objectsOf(body)
		for _, o := range objects {
			if err != nil || o.bucket == "" || o.key == "" {
				t.Errorf("%q: %+v, %v", body, objects, err)
			}
		}
		event, err := eventOf(body)
		if event != nil && (err != nil || !json.Valid(event)) {
			t.Errorf("%q: %q, %v", body, event, err)
		}
	})
}
