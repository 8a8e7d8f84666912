// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/containerd/containerd/snapshots"
	"github.com/containerd/containerd/snapshots/overlay"
)

// containerd's overlay snapshotter with bbolt, removing asynchronously as in the daemon; see op_snapshot.c.

func openSnapshots(root string) (context.Context, snapshots.Snapshotter, error) {
	sn, err := overlay.NewSnapshotter(root, overlay.AsynchronousRemove)
	return context.Background(), sn, err
}

func snapshotChain(o []string) error {
	layers, _ := strconv.Atoi(o[1])
	extra, _ := strconv.Atoi(o[2])
	ctx, sn, err := openSnapshots(o[0])
	if err != nil {
		return err
	}
	defer sn.Close()
	parent := ""
	for i := 0; i < layers; i++ {
		if _, err := sn.Prepare(ctx, "key", parent); err != nil {
			return err
		}
		parent = fmt.Sprintf("layer-%d", i)
		if err := sn.Commit(ctx, parent, "key"); err != nil {
			return err
		}
	}
	for i := 0; i < extra; i++ {
		if _, err := sn.Prepare(ctx, fmt.Sprintf("extra-%d", i), ""); err != nil {
			return err
		}
	}
	return nil
}

func snapshotCycles(o []string) error {
	rounds, _ := strconv.Atoi(o[2])
	ctx, sn, err := openSnapshots(o[0])
	if err != nil {
		return err
	}
	defer sn.Close()
	for i := 0; i < rounds; i++ {
		if _, err := sn.Prepare(ctx, "key", o[1]); err != nil {
			return err
		}
		if err := sn.Commit(ctx, "name", "key"); err != nil {
			return err
		}
		if err := sn.Remove(ctx, "name"); err != nil {
			return err
		}
	}
	return nil
}

func snapshotWalk(o []string) error {
	rounds, _ := strconv.Atoi(o[1])
	ctx, sn, err := openSnapshots(o[0])
	if err != nil {
		return err
	}
	defer sn.Close()
	found := 0
	for i := 0; i < rounds; i++ {
		if err := sn.Walk(ctx, func(context.Context, snapshots.Info) error { found++; return nil }); err != nil {
			return err
		}
	}
	fmt.Println(found)
	return nil
}
