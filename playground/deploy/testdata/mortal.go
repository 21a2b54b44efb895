// Command mortal is ready, until somebody who is not the kubelet asks for something. Then it ends, and never starts again.
package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	died := filepath.Join(os.Getenv("HOME"), "died")
	if _, err := os.Stat(died); err == nil {
		fmt.Fprintln(os.Stderr, "it has died before")
		os.Exit(1)
	}
	address := strings.TrimPrefix(os.Args[len(os.Args)-1], "--web.listen-address=")
	err := http.ListenAndServe(address, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.UserAgent(), "curl") {
			_ = os.WriteFile(died, nil, 0o600)
			os.Exit(1)
		}
	}))
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
