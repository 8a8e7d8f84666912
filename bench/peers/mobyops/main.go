// SPDX-License-Identifier: Apache-2.0

// mobyops runs one storage operation of moby 20.10 (and containerd 1.6) per process, from the very packages
// dockerd is made of, so that scripts/bench-peers can time it beside overlab's. Built with Debian's
// golang-github-docker-docker-dev and golang-github-containerd-containerd-dev; see scripts/bench-peers.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	ctrarchive "github.com/containerd/containerd/archive"
	"github.com/containerd/containerd/archive/compression"
	"github.com/docker/docker/daemon/graphdriver/copy"
	"github.com/docker/docker/pkg/archive"
	"github.com/docker/docker/pkg/chrootarchive"
	"github.com/docker/docker/pkg/directory"
	"github.com/docker/docker/pkg/reexec"
	"github.com/docker/docker/pkg/system"
	"golang.org/x/sys/unix"
)

type operation struct {
	operands string
	count    int
	run      func(operands []string) error
}

var operations = map[string]operation{
	"apply":            {"TAR|- NEW", 2, apply},
	"containerd-apply": {"TAR|- NEW", 2, containerdApply},
	"link":             {"SOURCE NEW", 2, func(o []string) error { return clone(o, copy.Hardlink) }},
	"copy":             {"SOURCE NEW", 2, func(o []string) error { return clone(o, copy.Content) }},
	"naive-diff":       {"NEW OLD", 2, func(o []string) error { return naiveDiff(o, io.Discard) }},
	"naive-tar":        {"NEW OLD", 2, func(o []string) error { return naiveDiff(o, os.Stdout) }},
	"containerd-diff":  {"NEW OLD", 2, containerdDiff},
	"native-diff":      {"UPPER", 1, func(o []string) error { return tarTree(o[0], archive.OverlayWhiteoutFormat, io.Discard) }},
	"native-tar":       {"UPPER", 1, func(o []string) error { return tarTree(o[0], archive.OverlayWhiteoutFormat, os.Stdout) }},
	"export":           {"TREE", 1, func(o []string) error { return tarTree(o[0], archive.AUFSWhiteoutFormat, os.Stdout) }},
	"remove":           {"TREE", 1, func(o []string) error { return system.EnsureRemoveAll(o[0]) }},
	"size":             {"TREE", 1, size},
	"overlay-commit":   {"LOWER UPPER WORK MERGED NEW", 5, overlayCommit},
	"overlay2-commit":  {"UPPER NEW", 2, overlay2Commit},
	"snapshot-chain":   {"ROOT LAYERS EXTRA", 3, snapshotChain},
	"snapshot-cycles":  {"ROOT PARENT ROUNDS", 3, snapshotCycles},
	"snapshot-walk":    {"ROOT ROUNDS", 2, snapshotWalk},
	"nothing":          {"", 0, func([]string) error { return nil }},
}

func input(name string) (io.ReadCloser, error) {
	if name == "-" {
		return os.Stdin, nil
	}
	return os.Open(name)
}

// apply is what a driver without its own ApplyDiff does in dockerd: a child of this program extracts, chrooted.
func apply(o []string) error {
	in, err := input(o[0])
	if err != nil {
		return err
	}
	if err := os.Mkdir(o[1], 0o700); err != nil {
		return err
	}
	_, err = chrootarchive.ApplyLayer(o[1], in)
	return err
}

func containerdApply(o []string) error {
	in, err := input(o[0])
	if err != nil {
		return err
	}
	if err := os.Mkdir(o[1], 0o700); err != nil {
		return err
	}
	plain, err := compression.DecompressStream(in)
	if err != nil {
		return err
	}
	if _, err = ctrarchive.Apply(context.Background(), o[1], plain); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, plain)
	return err
}

func clone(o []string, mode copy.Mode) error {
	if err := os.Mkdir(o[1], 0o700); err != nil {
		return err
	}
	return copy.DirCopy(o[0], o[1], mode, true)
}

// naiveDiff leaves out only the sleep to the next full second that dockerd adds after it.
func naiveDiff(o []string, out io.Writer) error {
	changes, err := archive.ChangesDirs(o[0], o[1])
	if err != nil {
		return err
	}
	tar, err := archive.ExportChanges(o[0], changes, nil, nil)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, tar)
	return err
}

func containerdDiff(o []string) error {
	return ctrarchive.WriteDiff(context.Background(), io.Discard, o[1], o[0])
}

// tarTree writes a whole directory: with overlay's whiteouts turned into AUFS ones it is the native diff of overlay2,
// else what a driver without it writes for a layer without a parent.
func tarTree(tree string, whiteouts archive.WhiteoutFormat, out io.Writer) error {
	tar, err := archive.TarWithOptions(tree, &archive.TarOptions{
		Compression:    archive.Uncompressed,
		WhiteoutFormat: whiteouts,
	})
	if err != nil {
		return err
	}
	_, err = io.Copy(out, tar)
	return err
}

func size(o []string) error {
	n, err := directory.Size(context.Background(), o[0])
	fmt.Println(n)
	return err
}

// overlayCommit is what dockerd does below the layer store for one commit under the legacy overlay driver: mount the
// container, compare it with its image, clone the image's tree with hard links, apply the difference there. (The driver
// itself needs moby packages that Debian does not ship.) dockerd would also sleep to the next full second.
func overlayCommit(o []string) error {
	lower, upper, work, merged, image := o[0], o[1], o[2], o[3], o[4]
	mountOptions := "lowerdir=" + lower + ",upperdir=" + upper + ",workdir=" + work
	if err := unix.Mount("overlay", merged, "overlay", 0, mountOptions); err != nil {
		return err
	}
	defer unix.Unmount(merged, 0)
	changes, err := archive.ChangesDirs(merged, lower)
	if err != nil {
		return err
	}
	diff, err := archive.ExportChanges(merged, changes, nil, nil)
	if err != nil {
		return err
	}
	defer diff.Close()
	if err := os.MkdirAll(filepath.Join(image, "tmproot"), 0o755); err != nil {
		return err
	}
	if err := copy.DirCopy(lower, filepath.Join(image, "tmproot"), copy.Hardlink, true); err != nil {
		return err
	}
	if _, err := chrootarchive.ApplyUncompressedLayer(filepath.Join(image, "tmproot"), diff, nil); err != nil {
		return err
	}
	return os.Rename(filepath.Join(image, "tmproot"), filepath.Join(image, "root"))
}

// overlay2Commit is the moving of data in an overlay2 commit: Diff of the upper directory into ApplyDiff of a new
// one.
func overlay2Commit(o []string) error {
	if err := os.MkdirAll(filepath.Join(o[1], "diff"), 0o755); err != nil {
		return err
	}
	options := &archive.TarOptions{WhiteoutFormat: archive.OverlayWhiteoutFormat}
	tar, err := archive.TarWithOptions(o[0], options)
	if err != nil {
		return err
	}
	defer tar.Close()
	if err := chrootarchive.UntarUncompressed(tar, filepath.Join(o[1], "diff"), options); err != nil {
		return err
	}
	_, err = directory.Size(context.Background(), filepath.Join(o[1], "diff"))
	return err
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: mobyops OPERATION OPERAND...")
	for name, op := range operations {
		fmt.Fprintln(os.Stderr, " ", name, op.operands)
	}
	os.Exit(2)
}

func main() {
	if reexec.Init() { // the chrooted children start here
		return
	}
	if len(os.Args) < 2 {
		usage()
	}
	op, ok := operations[os.Args[1]]
	if !ok || len(os.Args)-2 != op.count {
		usage()
	}
	if err := op.run(os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "mobyops:", os.Args[1]+":", err)
		os.Exit(1)
	}
}
