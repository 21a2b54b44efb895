// Command image builds the exporter's container image from its source and nothing else: no container engine is needed, and no base
// image. It has the program, the certificates of Mozilla's trust store, and nothing more.
//
//	go -C tools/image run . -name NAME -version VERSION [-ldflags FLAGS] [-push] DIR
//
// writes into DIR the image for all platforms, as an OCI archive that any tool takes (docker load, ctr images import, skopeo, kind), and
// for each platform a bill of materials (SPDX). With -push it goes to its registry, bills of materials attached. The same source
// makes the same image, byte for byte.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
)

// A config says what to build.
type config struct {
	// name of the image, with its registry unless it is only loaded, and version, its tag.
	name, version string
	// root of the repository.
	root string
	// platforms, as Go and OCI write them: linux/amd64.
	platforms []string
	ldflags   string
	// made is the time that the image carries.
	made time.Time
	// push to the registry.
	push bool
	// dir gets the files.
	dir string
}

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		log.Fatalln("image:", err)
	}
}

func run(ctx context.Context, args []string) error {
	c, err := parse(ctx, args)
	if err != nil {
		return err
	}
	return c.run(ctx)
}

func parse(ctx context.Context, args []string) (config, error) {
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	c := config{}
	flags.StringVar(&c.name, "name", "", "`name` of the image, with its registry if it is pushed")
	flags.StringVar(&c.version, "version", "", "`version` of the exporter, and the image's tag")
	flags.StringVar(&c.root, "source", filepath.Join("..", ".."), "`directory` of the repository")
	flags.StringVar(&c.ldflags, "ldflags", "-s -w", "`flags` of the linker")
	platforms := flags.String("platforms", "linux/amd64,linux/arm64", "what to build for")
	flags.BoolVar(&c.push, "push", false, "push to the registry, with the credentials that docker or podman have")
	if err := flags.Parse(args); err != nil {
		return config{}, err
	}
	c.platforms = strings.Split(*platforms, ",")
	if flags.NArg() != 1 {
		return config{}, errors.New("want one directory to write into")
	}
	if _, err := name.NewTag(c.name + ":" + c.version); err != nil {
		return config{}, fmt.Errorf("-name and -version make no name of an image: %w", err)
	}
	var err error
	if c.dir, err = filepath.Abs(flags.Arg(0)); err != nil {
		return config{}, err
	}
	c.made, err = sourceTime(ctx, c.root)
	return c, err
}

// sourceTime is SOURCE_DATE_EPOCH (https://reproducible-builds.org/specs/source-date-epoch/), or else when the last commit was made.
func sourceTime(ctx context.Context, root string) (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		out, err := exec.CommandContext(ctx, "git", "-C", root, "log", "-1", "--format=%ct").Output()
		if err != nil {
			return time.Time{}, fmt.Errorf("the time of the last commit, which the image carries: %w; without git, set SOURCE_DATE_EPOCH", err)
		}
		text = strings.TrimSpace(string(out))
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	return time.Unix(seconds, 0).UTC(), nil
}
