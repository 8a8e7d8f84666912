/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at a scene; see scene.h. */
#include "bench/teach/scene_internal.h"

#include "common/cleanup.h"
#include "common/mount/mount.h"

#include <errno.h>
#include <string.h>

static void mount_fini(struct ol_scene_mount *mount)
{
    free(mount->target);
    free(mount->type);
    free(mount->source);
    free(mount->options);
}

void ol_moment_fini(struct ol_moment *moment)
{
    ol_tree_rows_fini(&moment->rows);
    ol_capture_fini(&moment->tree);
    for (size_t i = 0; i < moment->n_calls; i++)
        ol_scene_call_fini(&moment->calls[i]);
    for (size_t i = 0; i < moment->n_mounts; i++)
        mount_fini(&moment->mounts[i]);
    for (size_t i = 0; i < moment->n_tar; i++)
        free(moment->tar[i].path);
    free(moment->calls);
    free(moment->mounts);
    free(moment->tar);
    *moment = (struct ol_moment){0};
}

/* ---- mounts ---- */

static int describe_mounts(struct ol_moment *moment, char *const *targets, size_t count,
                           struct ol_error *err)
{
    int r = 0;

    moment->mounts = calloc(count + 1, sizeof *moment->mounts);
    if (moment->mounts == NULL)
        return ol_error_nomem(err);
    for (size_t i = count; i-- > 0 && r == 0;) { /* the list has the longest paths first */
        struct ol_scene_mount *mount = &moment->mounts[moment->n_mounts++];

        mount->target = strdup(targets[i]);
        r = mount->target == NULL
                ? ol_error_nomem(err)
                : ol_mount_describe(targets[i], &mount->type, &mount->source, &mount->options, err);
    }
    return r;
}

static int look_at_mounts(const struct ol_scene *scene, struct ol_moment *moment,
                          struct ol_error *err)
{
    char **targets = NULL;
    size_t count = 0;
    int r = ol_mount_list_below(scene->config.dir, &targets, &count, err);

    if (r == 0)
        r = describe_mounts(moment, targets, count, err);
    ol_mount_list_free(targets);
    return r;
}

/* ---- calls ---- */

static bool overlap(const struct ol_scene_call *a, const struct ol_scene_call *b)
{
    return a->start_ns < b->start_ns + b->wall_ns && b->start_ns < a->start_ns + a->wall_ns;
}

/*
 * By when they began. Diff and ApplyDiff of a commit begin together and in any order: the one that
 * writes is told first.
 */
static bool comes_before(const struct ol_scene_call *a, const struct ol_scene_call *b)
{
    if (overlap(a, b) && strcmp(a->op, "diff") == 0 && strcmp(b->op, "apply_diff") == 0)
        return true;
    if (overlap(a, b) && strcmp(b->op, "diff") == 0 && strcmp(a->op, "apply_diff") == 0)
        return false;
    return a->start_ns < b->start_ns;
}

static void sort_calls(struct ol_scene_call *calls, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        for (size_t j = i; j > 0 && comes_before(&calls[j], &calls[j - 1]); j--) {
            struct ol_scene_call swap = calls[j];

            calls[j] = calls[j - 1];
            calls[j - 1] = swap;
        }
    }
}

/* ---- order ---- */

/* Rows that stay together, and where they belong. */
struct group {
    size_t first, count; /* rows */
    size_t rank;
};

/* What has a nickname by age, the rest after it as it comes. */
static size_t rank_of(const struct ol_scene *scene, const char *name, size_t len)
{
    for (size_t i = 0; i < scene->n_nicknames; i++) {
        const char *known = scene->nicknames[i].name;

        if (strlen(known) == len && memcmp(known, name, len) == 0)
            return i;
    }
    return SIZE_MAX;
}

/* A directory by its own name, a link in "l" by that of the layer it leads to, "../<id>/diff". */
static size_t rank_of_row(const struct ol_scene *scene, const struct ol_tree_row *row)
{
    const struct ol_capture_entry *entry = ol_tree_row_entry(row);
    const char *target = entry->target;

    if (entry->depth == 2 && target != NULL && strncmp(target, "../", 3) == 0)
        return rank_of(scene, target + 3, strcspn(target + 3, "/"));
    return rank_of(scene, entry->name, strlen(entry->name));
}

static int by_rank(const void *a, const void *b)
{
    const struct group *x = a;
    const struct group *y = b;

    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    return x->first < y->first ? -1 : x->first > y->first;
}

/*
 * Random names sort at random: the rows from first on, down to those of a smaller depth, are put in
 * the order of age instead, each with what is below it.
 */
static int order_from(const struct ol_scene *scene, struct ol_tree_rows *rows, size_t first,
                      unsigned depth)
{
    ol_auto_free struct group *groups = calloc(rows->count + 1, sizeof *groups);
    ol_auto_free struct ol_tree_row *sorted = calloc(rows->count + 1, sizeof *sorted);
    size_t n_groups = 0;
    size_t n_sorted = 0;
    size_t i = first;

    if (groups == NULL || sorted == NULL)
        return -ENOMEM;
    for (; i < rows->count && ol_tree_row_entry(&rows->rows[i])->depth >= depth; i++) {
        if (ol_tree_row_entry(&rows->rows[i])->depth == depth)
            groups[n_groups++] = (struct group){.first = i,
                                                .rank = rank_of_row(scene, &rows->rows[i])};
        groups[n_groups - 1].count++;
    }
    qsort(groups, n_groups, sizeof *groups, by_rank);
    for (size_t g = 0; g < n_groups; g++) {
        memcpy(sorted + n_sorted, rows->rows + groups[g].first, groups[g].count * sizeof *sorted);
        n_sorted += groups[g].count;
    }
    memcpy(rows->rows + first, sorted, n_sorted * sizeof *sorted);
    return 0;
}

/* Layers, and what stands for them in overlay2's "l". */
static int order_rows(const struct ol_scene *scene, struct ol_tree_rows *rows)
{
    int r = order_from(scene, rows, 0, 1);

    for (size_t i = 0; i + 1 < rows->count && r == 0; i++) {
        if (strcmp(ol_tree_row_entry(&rows->rows[i])->path, "l") == 0 &&
            ol_tree_row_entry(&rows->rows[i + 1])->depth == 2)
            r = order_from(scene, rows, i + 1, 2);
    }
    return r;
}

/* ---- all of it ---- */

/* Nearer to the root lies what the drivers write for themselves: <id>/lower, <id>/link. */
enum { COPY_DEPTH = 3 };

static int compare(const struct ol_scene *scene, const struct ol_moment *before,
                   struct ol_moment *moment, struct ol_error *err)
{
    const struct ol_engine_usage *usage = before != NULL ? &before->usage : &scene->at_open;

    if (ol_tree_compare(before != NULL ? &before->tree : NULL, &moment->tree, COPY_DEPTH,
                        &moment->rows) < 0 ||
        order_rows(scene, &moment->rows) < 0)
        return ol_error_nomem(err);
    moment->added_inodes = moment->usage.inodes - usage->inodes;
    moment->added_bytes = moment->usage.bytes - usage->bytes;
    return 0;
}

/* What was gathered since the last look goes over to the moment. */
static void hand_over(struct ol_scene *scene, struct ol_moment *moment)
{
    moment->has_law = ol_account_take(scene->account, &moment->law);
    moment->calls = ol_ptr_steal(scene->calls);
    moment->n_calls = scene->n_calls;
    moment->tar = ol_ptr_steal(scene->tar);
    moment->n_tar = scene->n_tar;
    sort_calls(moment->calls, moment->n_calls);
    scene->n_calls = 0;
    scene->named_calls = 0;
    scene->n_tar = 0;
}

int ol_scene_look(struct ol_scene *scene, const struct ol_moment *before, struct ol_moment *ret,
                  struct ol_error *err)
{
    struct ol_moment moment = {0};
    int r;

    if (scene->lost_call)
        return ol_error_nomem(err);
    r = ol_capture_take(scene->engine->ops->home(scene->engine), &moment.tree, err);
    if (r == 0)
        r = scene->engine->ops->usage(scene->engine, &moment.usage, err);
    if (r == 0)
        r = look_at_mounts(scene, &moment, err);
    if (r == 0)
        r = compare(scene, before, &moment, err);
    if (r < 0) {
        ol_moment_fini(&moment);
        return ol_error_wrap(err, r, "looking at %s", scene->config.engine);
    }
    hand_over(scene, &moment);
    *ret = moment;
    return 0;
}
