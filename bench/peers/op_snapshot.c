/* SPDX-License-Identifier: Apache-2.0 */
/* The snapshotter on a chain of layers, as mobyops drives containerd's. Metadata is synced. */
#include "bench/peers/op.h"
#include "common/cleanup.h"
#include "drivers/snapshot/snapshot.h"

#include <string.h>

enum { NAME_SIZE = 32 };

static int open_root(const char *root, struct ol_snapshots **ret, struct ol_error *err)
{
    const struct ol_snapshots_config config = {
        .root = root, .view = OL_VIEW_KERNEL, .async_remove = true};

    return ol_snapshots_open(&config, ret, err);
}

/* layer-0 … layer-<LAYERS - 1>, each on the one before, and EXTRA active snapshots beside them. */
static int op_chain(char **operands, struct ol_error *err)
{
    unsigned layers = (unsigned)strtoul(operands[1], NULL, 10);
    unsigned extra = (unsigned)strtoul(operands[2], NULL, 10);
    struct ol_snapshots *sn = NULL;
    char parent[NAME_SIZE] = "";
    char name[NAME_SIZE];
    int r = open_root(operands[0], &sn, err);

    for (unsigned i = 0; i < layers && r == 0; i++) {
        (void)snprintf(name, sizeof name, "layer-%u", i);
        r = ol_snapshots_prepare(sn, "key", parent, NULL, NULL, err);
        if (r == 0)
            r = ol_snapshots_commit(sn, name, "key", NULL, NULL, err);
        memcpy(parent, name, sizeof parent);
    }
    for (unsigned i = 0; i < extra && r == 0; i++) {
        (void)snprintf(name, sizeof name, "extra-%u", i);
        r = ol_snapshots_prepare(sn, name, NULL, NULL, NULL, err);
    }
    ol_snapshots_free(sn);
    return r;
}

/* ROUNDS times prepare on PARENT, commit, remove. */
static int op_cycles(char **operands, struct ol_error *err)
{
    unsigned rounds = (unsigned)strtoul(operands[2], NULL, 10);
    struct ol_snapshots *sn = NULL;
    int r = open_root(operands[0], &sn, err);

    for (unsigned i = 0; i < rounds && r == 0; i++) {
        ol_auto_snapshot_mount struct ol_snapshot_mount mount = {0};

        r = ol_snapshots_prepare(sn, "key", operands[1], NULL, &mount, err);
        if (r == 0)
            r = ol_snapshots_commit(sn, "name", "key", NULL, NULL, err);
        if (r == 0)
            r = ol_snapshots_remove(sn, "name", err);
    }
    ol_snapshots_free(sn);
    return r;
}

static int count_one(const struct ol_snapshot_info *info, void *data, struct ol_error *err)
{
    (void)info;
    (void)err;
    ++*(unsigned *)data;
    return 0;
}

/* ROUNDS times all snapshots. */
static int op_walk(char **operands, struct ol_error *err)
{
    unsigned rounds = (unsigned)strtoul(operands[1], NULL, 10);
    struct ol_snapshots *sn = NULL;
    unsigned found = 0;
    int r = open_root(operands[0], &sn, err);

    for (unsigned i = 0; i < rounds && r == 0; i++)
        r = ol_snapshots_walk(sn, NULL, 0, count_one, &found, err);
    if (r == 0)
        (void)printf("%u\n", found);
    ol_snapshots_free(sn);
    return r;
}

const struct bench_op bench_snapshot_ops[] = {
    {"snapshot-chain", "ROOT LAYERS EXTRA", 3, op_chain},
    {"snapshot-cycles", "ROOT PARENT ROUNDS", 3, op_cycles},
    {"snapshot-walk", "ROOT ROUNDS", 2, op_walk},
    {0},
};
