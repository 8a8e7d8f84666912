// SPDX-License-Identifier: Apache-2.0

// What a bbolt transaction is after its Commit failed: docs/notes/create-snapshot.md quotes the output.
// The data pages are made to fail by a limit on the size of files.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	bolt "go.etcd.io/bbolt"
)

func limit(bytes uint64) {
	r := syscall.Rlimit{Cur: bytes, Max: ^uint64(0)}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &r); err != nil {
		panic(err)
	}
}

func main() {
	signal.Ignore(syscall.SIGXFSZ)
	dir, err := os.MkdirTemp("", "bbolt")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	db, err := bolt.Open(filepath.Join(dir, "db"), 0600, nil)
	if err != nil {
		panic(err)
	}
	defer db.Close()

	tx, _ := db.Begin(true)
	b, _ := tx.CreateBucket([]byte("snapshots"))
	_ = b.Put([]byte("key"), make([]byte, 1<<20))
	limit(64 << 10)
	fmt.Println("Commit:", filepath.Base(fmt.Sprint(tx.Commit())))
	limit(^uint64(0))
	fmt.Println("Rollback:", tx.Rollback())

	next, err := db.Begin(true) // would wait for ever if the lock were held
	fmt.Println("next writer:", err)
	fmt.Println("the key is there:", next.Bucket([]byte("snapshots")) != nil)
	fmt.Println("Rollback:", next.Rollback())
}
