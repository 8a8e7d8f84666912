/* SPDX-License-Identifier: Apache-2.0 */
/* Labs about what one small commit costs: the same change, one driver after the other. */
#include "bench/harness/engine.h"
#include "bench/teach/lab.h"
#include "bench/teach/lab_engine.h"
#include "common/buf.h"
#include "common/cleanup.h"

#include <inttypes.h>

static const char egg[] = "an egg\n";

/* What somebody who wants to reckon it has to know of the image. */
static void say_image(const struct ol_lab_run *run, const struct ol_model_counts *counts)
{
    ol_lab_say(run,
               "The image has three layers. Its tree: %" PRIu64
               " directories (the root is one), %" PRIu64 " symlink%s, %" PRIu64 " regular files.",
               counts->directories, counts->specials, counts->specials == 1 ? "" : "s",
               counts->regular);
}

static int lay_egg(struct ol_engine *engine, struct ol_error *err)
{
    ol_auto_free char *path = NULL;
    struct ol_rootfs *root = NULL;
    int r = engine->ops->root(engine, &root, &path, err);

    return r < 0 ? r : ol_rootfs_create(root, "farm/egg", 0644, egg, sizeof egg - 1, err);
}

/* A container with one new file, unmounted again. */
static int change(struct ol_engine *engine, struct ol_error *err)
{
    int r = engine->ops->container_create(engine, err);

    if (r == 0)
        r = engine->ops->mount(engine, err);
    if (r == 0)
        r = lay_egg(engine, err);
    return r < 0 ? r : engine->ops->unmount(engine, err);
}

/* "6 directories, 1 regular file and …": what there is of each kind. */
static int kinds_text(const struct ol_inode_kinds *kinds, struct ol_buf *text)
{
    const struct {
        int64_t count;
        const char *one, *several;
    } words[] = {
        {kinds->directory, "directory", "directories"},
        {kinds->regular, "regular file", "regular files"},
        {kinds->symlink, "symlink", "symlinks"},
        {kinds->whiteout, "whiteout", "whiteouts"},
        {kinds->bookkeeping, "of the driver's own making", "of the driver's own making"},
    };
    const char *before = ": ";
    int r = 0;

    for (size_t i = 0; i < OL_ARRAY_LEN(words) && r == 0; i++) {
        if (words[i].count == 0)
            continue;
        r = ol_buf_printf(text, "%s%" PRId64 " %s", before, words[i].count,
                          words[i].count == 1 ? words[i].one : words[i].several);
        before = ", ";
    }
    return r;
}

static int say_kinds(const struct ol_lab_run *run, const struct ol_inode_kinds *kinds,
                     struct ol_error *err)
{
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    int64_t total = ol_inode_kinds_total(kinds);

    if (kinds_text(kinds, &text) < 0)
        return ol_error_nomem(err);
    ol_lab_say(run,
               "The driver's home was counted before and after. The commit added %" PRId64
               " inode%s%s.",
               total, total == 1 ? "" : "s", ol_buf_str(&text));
    return 0;
}

static int commit_lab(struct ol_lab_run *run, struct ol_lab_engine *lab, struct ol_error *err)
{
    struct ol_engine *engine = lab->engine;
    struct ol_engine_report report = {0};
    struct ol_engine_usage before;
    struct ol_engine_usage after;
    int r = change(engine, err);

    if (r < 0)
        return r;
    say_image(run, &lab->counts);
    ol_lab_say(run,
               "A container of it was made, and in it one new file, farm/egg, %zu bytes. Now "
               "the container is committed.",
               sizeof egg - 1);
    r = engine->ops->usage(engine, &before, err);
    if (r == 0)
        r = ol_lab_ask(run, err);
    if (r == 0)
        r = engine->ops->commit(engine, &report, err);
    if (r == 0)
        r = engine->ops->usage(engine, &after, err);
    if (r < 0)
        return r;
    ol_engine_usage_sum(&after, &before, -1);
    run->truth = after.inodes;
    return say_kinds(run, &after.kinds, err);
}

static int commit_with(struct ol_lab_run *run, const char *name, struct ol_error *err)
{
    struct ol_lab_engine lab;
    int r = ol_lab_engine_open(run, run->dir, name, 1, &lab, err);

    if (r == 0)
        r = commit_lab(run, &lab, err);
    ol_lab_engine_close(&lab);
    return r;
}

int ol_lab_commit_overlay(struct ol_lab_run *run, struct ol_error *err)
{
    return commit_with(run, "overlay", err);
}

int ol_lab_commit_overlay2(struct ol_lab_run *run, struct ol_error *err)
{
    return commit_with(run, "overlay2", err);
}

int ol_lab_commit_snapshot(struct ol_lab_run *run, struct ol_error *err)
{
    return commit_with(run, "snapshot", err);
}
