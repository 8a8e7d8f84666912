/* SPDX-License-Identifier: Apache-2.0 */
/* The verdicts on all replayed layers of all engines; see replay_check.h. */
#include "bench/harness/replay_check.h"

#include "common/cleanup.h"
#include "common/fs/file.h"
#include "common/fs/tree.h"
#include "common/layer/changes.h"
#include "common/layer/layer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static const struct {
    const char *name, *text;
} reasons[OL_REASONS] = {
    [OL_REASON_WHITEOUT_TIME] = {"whiteout-times", "a whiteout has the time of the deletion"},
    [OL_REASON_WHITEOUT_MODE] = {"whiteout-modes",
                                 "a whiteout's mode: naive diffs write 0, native ones 0600"},
    [OL_REASON_DIRECTORY_TIME] = {"directory-times", "another time of a directory"},
    [OL_REASON_TIME] = {"times", "another time"},
    [OL_REASON_TIME_FRACTION] = {"time-fractions", "another fraction of the second"},
    [OL_REASON_MODE] = {"modes", "another mode"},
    [OL_REASON_OWNER] = {"owners", "another owner"},
    [OL_REASON_XATTRS] = {"xattrs", "other extended attributes"},
    [OL_REASON_TYPE] = {"types", "another type (of linked names another one comes first)"},
    [OL_REASON_LINK] = {"links", "another link target"},
    [OL_REASON_DEVICE] = {"devices", "another device number"},
    [OL_REASON_CONTENT] = {"contents", "another content"},
    [OL_REASON_MISSING_ROOT] = {"root-entry", "an entry for the root, which a diff has not"},
    [OL_REASON_MISSING_OPAQUE] = {"opaque-markers", "an opaque marker the diff has not"},
    [OL_REASON_MISSING_WHITEOUT] = {"whiteouts-of-nothing", "a whiteout the diff has not"},
    [OL_REASON_MISSING_DIRECTORY] = {"unchanged-directories", "a directory the diff has not"},
    [OL_REASON_MISSING] = {"unchanged-entries", "an entry the diff has not"},
    [OL_REASON_EXTRA_DIRECTORY] = {"implied-directories", "a directory only the diff has"},
    [OL_REASON_EXTRA_WHITEOUT] = {"extra-whiteouts", "a whiteout only the diff has"},
    [OL_REASON_EXTRA_OPAQUE] = {"extra-opaque-markers", "an opaque marker only the diff has"},
    [OL_REASON_EXTRA] = {"extra-entries", "an entry only the diff has"},
    [OL_REASON_DUPLICATE] = {"duplicate-entries", "a name is there twice"},
    [OL_REASON_ORDER] = {"order", "the entries come in another order"},
    [OL_REASON_SPELLING] = {"spelling", "the name is spelled another way"},
    [OL_REASON_PAX] = {"pax-headers", "PAX headers"},
    [OL_REASON_GNU] = {"gnu-headers", "GNU headers"},
    [OL_REASON_OWNER_NAMES] = {"owner-names",
                               "names of owners (the option names=host writes them)"},
    [OL_REASON_MODE_BITS] = {"mode-type-bits", "file-type bits in the mode field"},
    [OL_REASON_PADDING] = {"padding", "bytes behind the last entry"},
    [OL_REASON_BYTES] = {"other-bytes", "header bytes that no field shows"},
    [OL_REASON_TREE] = {"tree", "a difference of the unpacked trees"},
};

const char *ol_replay_reason_name(enum ol_replay_reason_kind kind)
{
    return reasons[kind].name;
}

const char *ol_replay_reason_text(enum ol_replay_reason_kind kind)
{
    return reasons[kind].text;
}

void ol_replay_verdict_fini(struct ol_replay_verdict *verdict)
{
    for (size_t i = 0; i < OL_REASONS; i++) {
        free(verdict->reasons[i].example);
        verdict->reasons[i].example = NULL;
    }
}

int ol_replay_reason_add(struct ol_replay_verdict *verdict, enum ol_replay_reason_kind kind,
                         uint64_t count, const char *example)
{
    struct ol_replay_reason *reason = &verdict->reasons[kind];

    if (reason->count == 0 && example != NULL) {
        reason->example = strdup(example);
        if (reason->example == NULL)
            return -ENOMEM;
    }
    reason->count += count;
    return 0;
}

/* ---- trees ---- */

static const char base_name[] = "original";
static const char copy_name[] = "committed";

struct trees {
    const struct ol_replay_check *check;
    struct ol_replay_verdict *verdicts;
    int dir_fd;  /* owned */
    int base_fd; /* owned; the layers so far, as they came */
};

static struct ol_replay_verdict *verdict_of(const struct trees *t, size_t engine, size_t layer)
{
    return &t->verdicts[engine * (t->check->n_layers - 1) + layer - 1];
}

static struct ol_input committed_of(const struct ol_replay_check *check, size_t engine,
                                    size_t layer)
{
    int fd = check->committed[engine * (check->n_layers - 1) + layer - 1];
    struct stat st;
    struct ol_input input = {.fd = fd, .offset = 0};

    if (fd >= 0 && fstat(fd, &st) == 0)
        input.length = (uint64_t)st.st_size;
    return input;
}

/* @param ret  may be NULL */
static int apply(const struct trees *t, int fd, const struct ol_input *input,
                 struct ol_layer_result *ret, struct ol_error *err)
{
    const struct ol_layer_options options = {.target = OL_LAYER_TREE,
                                             .keep_owner = t->check->keep_owner,
                                             .shared_inodes = true,
                                             .no_digest = true};

    return ol_layer_apply(fd, input, &options, ret, err);
}

static int make_tree(const struct trees *t, const char *name, int *ret_fd, struct ol_error *err)
{
    int r = ol_fs_mkdir(t->dir_fd, name, 0755, err);

    if (r < 0)
        return r;
    *ret_fd = ol_fs_open_dir(t->dir_fd, name);
    return *ret_fd < 0 ? ol_error_sys(err, -*ret_fd, "cannot open '%s'", name) : 0;
}

/* moby's own idea of a difference: mode, owner, device, capability, and of files size and time. */
static int compare_trees(int ours, int theirs, struct ol_replay_verdict *verdict,
                         struct ol_error *err)
{
    const struct ol_stack new_side = {.fds = &ours, .count = 1};
    const struct ol_stack old_side = {.fds = &theirs, .count = 1};
    ol_auto_changes struct ol_changes changes = OL_CHANGES_INIT;
    int r = ol_changes_compare(&new_side, &old_side, 0, &changes, err);

    if (r < 0)
        return r;
    if (changes.count > 0 && ol_replay_reason_add(verdict, OL_REASON_TREE, changes.count,
                                                  changes.items[changes.count - 1].path) < 0)
        return ol_error_nomem(err);
    verdict->same_tree = changes.count == 0 && verdict->reasons[OL_REASON_CONTENT].count == 0 &&
                         verdict->reasons[OL_REASON_XATTRS].count == 0;
    return 0;
}

/* What could not be given to the files here does not show in the trees: the entries tell it. */
static void look_at_squashed(const struct ol_layer_result *applied,
                             struct ol_replay_verdict *verdict)
{
    if (applied->squashed_owners > 0 && verdict->reasons[OL_REASON_OWNER].count > 0)
        verdict->same_tree = false;
    if (applied->skipped_devices > 0 && verdict->reasons[OL_REASON_MISSING].count > 0)
        verdict->same_tree = false;
}

/* The committed layer on a clone of the layers below, and the original on another: compared. */
static int judge_on(struct trees *t, size_t engine, size_t layer, int copy_fd, int next_fd,
                    struct ol_error *err)
{
    const struct ol_clone_options clone = {
        .mode = OL_CLONE_LINK, .all_xattrs = true, .keep_owner = t->check->keep_owner};
    const struct ol_input input = committed_of(t->check, engine, layer);
    struct ol_layer_result applied = {0};
    int r = ol_tree_clone(t->base_fd, copy_fd, &clone, NULL, err);

    if (r == 0)
        r = apply(t, copy_fd, &input, NULL, err);
    if (r == 0)
        r = ol_tree_clone(t->base_fd, next_fd, &clone, NULL, err);
    if (r == 0)
        r = apply(t, next_fd, &t->check->layers[layer], &applied, err);
    if (r == 0)
        r = compare_trees(copy_fd, next_fd, verdict_of(t, engine, layer), err);
    if (r == 0)
        look_at_squashed(&applied, verdict_of(t, engine, layer));
    return r;
}

static int judge(struct trees *t, size_t engine, size_t layer, struct ol_error *err)
{
    static const char next_name[] = "next";
    ol_auto_fd int copy_fd = -1;
    ol_auto_fd int next_fd = -1;
    int r = make_tree(t, copy_name, &copy_fd, err);
    int removed;

    if (r == 0)
        r = make_tree(t, next_name, &next_fd, err);
    if (r == 0)
        r = judge_on(t, engine, layer, copy_fd, next_fd, err);
    removed = ol_tree_remove(t->dir_fd, copy_name, r < 0 ? NULL : err);
    if (r == 0)
        r = removed;
    removed = ol_tree_remove(t->dir_fd, next_name, r < 0 ? NULL : err);
    return r < 0 ? r : removed;
}

static bool is_open(const struct ol_replay_verdict *verdict)
{
    return verdict->checked && !verdict->same_diff;
}

/* Engines that committed the same bytes get the same answer. */
static bool take_answer(struct trees *t, size_t engine, size_t layer)
{
    struct ol_replay_verdict *verdict = verdict_of(t, engine, layer);

    for (size_t i = 0; i < engine; i++) {
        const struct ol_replay_verdict *other = verdict_of(t, i, layer);

        if (other->checked && strcmp(other->diff_id, verdict->diff_id) == 0 && other->same_tree) {
            verdict->same_tree = other->same_tree;
            return true;
        }
    }
    return false;
}

static int judge_layer(struct trees *t, size_t layer, struct ol_error *err)
{
    int r = 0;

    for (size_t i = 0; i < t->check->n_engines && r == 0; i++) {
        if (is_open(verdict_of(t, i, layer)) && !take_answer(t, i, layer))
            r = judge(t, i, layer, err);
    }
    return r < 0 ? ol_error_wrap(err, r, "comparing the trees of layer %zu", layer) : 0;
}

/* The last layer about which something is open; 0: none. */
static size_t last_open(const struct trees *t)
{
    size_t last = 0;

    for (size_t layer = 1; layer < t->check->n_layers; layer++) {
        for (size_t i = 0; i < t->check->n_engines; i++) {
            if (is_open(verdict_of(t, i, layer)))
                last = layer;
        }
    }
    return last;
}

static bool is_cancelled(const struct ol_replay_check *check)
{
    return check->cancelled != NULL && check->cancelled(check->data);
}

static int judge_trees(struct trees *t, struct ol_error *err)
{
    size_t last = last_open(t);
    int removed;
    int r;

    if (last == 0)
        return 0;
    r = make_tree(t, base_name, &t->base_fd, err);
    for (size_t layer = 0; layer <= last && r == 0; layer++) {
        if (is_cancelled(t->check))
            r = ol_error_set(err, -ECANCELED, "interrupted");
        if (r == 0 && layer > 0)
            r = judge_layer(t, layer, err);
        if (r == 0 && layer < last)
            r = apply(t, t->base_fd, &t->check->layers[layer], NULL, err);
    }
    ol_fd_close(&t->base_fd);
    removed = ol_tree_remove(t->dir_fd, base_name, r < 0 ? NULL : err);
    return r < 0 ? r : removed;
}

static int compare_tars(const struct trees *t, struct ol_error *err)
{
    const struct ol_replay_check *check = t->check;
    int r = 0;

    for (size_t i = 0; i < check->n_engines && r == 0; i++) {
        for (size_t layer = 1; layer < check->n_layers && r == 0; layer++) {
            const struct ol_input input = committed_of(check, i, layer);

            if (is_cancelled(check))
                return ol_error_set(err, -ECANCELED, "interrupted");
            if (input.fd >= 0)
                r = ol_replay_compare_tars(&check->layers[layer], check->diff_ids[layer], &input,
                                           verdict_of(t, i, layer), err);
        }
    }
    return r < 0 ? ol_error_wrap(err, r, "comparing the replayed layers") : 0;
}

int ol_replay_check_all(const struct ol_replay_check *check, struct ol_replay_verdict *ret,
                        struct ol_error *err)
{
    struct trees t = {.check = check, .verdicts = ret, .base_fd = -1};
    int r;

    t.dir_fd = ol_fs_open_dir(AT_FDCWD, check->dir);
    if (t.dir_fd < 0)
        return ol_error_sys(err, -t.dir_fd, "cannot open '%s'", check->dir);
    r = compare_tars(&t, err);
    if (r == 0)
        r = judge_trees(&t, err);
    ol_fd_close(&t.dir_fd);
    return r;
}
