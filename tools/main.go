// Command tools builds the programs this project runs and is checked with, from their Go modules and nothing else.
//
//	go -C tools run . [-bin DIR] NAME...
//
// builds each named tool into DIR (../bin), once: a binary that says of itself that it was built from the wanted version
// with the wanted flags is left alone. Without a name it lists the tools.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "tools:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("tools", flag.ContinueOnError)
	bin := flags.String("bin", filepath.Join("..", "bin"), "directory the programs are built into")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), "usage: go -C tools run . [-bin DIR] NAME...\n\nBuilds the named tools (\"all\": every one):\n\n")
		list(flags.Output())
		fmt.Fprintln(flags.Output())
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		flags.Usage()
		return nil
	}
	wanted, err := find(flags.Args())
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(*bin)
	if err != nil {
		return fmt.Errorf("directory for the programs: %w", err)
	}
	return builder{bin: dir, say: newProgress(os.Stderr)}.build(ctx, wanted)
}

// find returns the tools of the given names, each once, in the order of the table.
func find(names []string) ([]tool, error) {
	want := make(map[string]bool)
	for _, n := range names {
		want[n] = true
	}
	all := want["all"]
	delete(want, "all")
	var found []tool
	known := make([]string, 0, len(tools))
	for _, t := range tools {
		if all || want[t.name] {
			found = append(found, t)
		}
		delete(want, t.name)
		known = append(known, t.name)
	}
	for _, n := range names {
		if want[n] {
			return nil, fmt.Errorf("no tool is called %q: there are %s", n, strings.Join(known, ", "))
		}
	}
	return found, nil
}

func list(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, tool := range tools {
		fmt.Fprintf(t, "  %s\t%s\t%s\n", tool.name, tool.version, tool.pkg)
	}
	_ = t.Flush()
}
