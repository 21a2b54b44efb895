package aws

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"crossplane-exporter/internal/cloud"
	"crossplane-exporter/internal/cloud/aws/awstest"
)

func TestDirectory(t *testing.T) {
	credentials(t)
	dir := t.TempDir()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	events := awstest.Generate(1, 4000, now, now.Add(time.Hour))
	put := func(name string, data []byte) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+".tmp", data, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".tmp", path); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{}
	session := w.open(t, &Principals{})
	d := &disk{}
	run := func() (*process, cloud.Source) {
		s := session.Directory(DirectoryConfig{Path: dir, Pause: 10 * time.Millisecond})
		return start(t, d, s), s
	}
	counted := func(p *process, n int) func() bool {
		return func() bool { return len(p.clone().IDs) == n }
	}

	put("a.json.gz", logFileOf(t, events[:1000]))
	put(awstest.LogName("111111111111", "eu-west-1", now, 1), logFileOf(t, events[900:2000])) // some of them again
	put("CloudTrail-Digest/b.json.gz", []byte("x"))
	put("readme.txt", []byte("x"))
	put("digest.json", []byte(`{"digestStartTime":"x"}`))
	p, s := run()
	within(t, 10*time.Second, "the first files are counted", counted(p, 2000))
	p.save(t)
	put("torn.json.gz", logFileOf(t, events[2000:3000])[:9000])
	within(t, 10*time.Second, "the torn file is noticed", func() bool { return s.Status().Broken == 1 })
	if st := s.Status(); st.Files != 2 || st.Skipped != 1 || st.Err != nil || st.Coverage != cloud.CoversAll {
		t.Errorf("status %+v", st)
	}
	p.die() // the torn file is in no checkpoint

	put("torn.json.gz", logFileOf(t, events[2000:3000])) // and whole now
	p, s = run()
	within(t, 10*time.Second, "what came meanwhile is counted", counted(p, 3000))
	put("later.json.gz", logFileOf(t, events[3000:]))
	within(t, 10*time.Second, "a new file is counted", counted(p, 4000))
	if st := s.Status(); st.Files != 2 {
		t.Errorf("files that were counted in an earlier life were read again: %+v", st)
	}
	if err := os.Remove(filepath.Join(dir, "a.json.gz")); err != nil {
		t.Fatal(err)
	}
	within(t, 10*time.Second, "the removed file is forgotten", func() bool { return len(p.Marks(s.Name())) == 4 })
	exactly(t, p.clone().IDs, events)

	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	within(t, 10*time.Second, "it says that the directory is gone", func() bool { return errors.Is(s.Status().Err, fs.ErrNotExist) })
	if !strings.Contains(s.Status().Err.Error(), dir) {
		t.Errorf("%v does not say which", s.Status().Err)
	}
}
