/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories without a snapshot: of snapshots that were removed, of ones that were being made when
 * their process was killed. They are found and removed as a whole, as containerd does.
 *
 * Ids up to the last one given out are never used again, so those directories can be removed when
 * the lock is free again. One beyond it (a crash between rename and commit) will be given out next:
 * it is removed under the lock.
 */
#include "drivers/snapshot/internal.h"

#include "common/cleanup.h"
#include "common/fs/dirents.h"
#include "common/fs/file.h"
#include "common/fs/tree.h"
#include "common/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

struct garbage {
    char **names; /* owned */
    size_t count;
    unsigned removed;
};

static void garbage_fini(struct garbage *garbage)
{
    for (size_t i = 0; i < garbage->count; i++)
        free(garbage->names[i]);
    free(garbage->names);
}
#define auto_garbage __attribute__((cleanup(garbage_fini)))

/* An id as we write it: no sign, no leading zero. */
static bool parse_id(const char *name, uint64_t *ret)
{
    char again[OL_SNAPSHOT_NAME_SIZE];
    char *end = NULL;

    if (name[0] < '1' || name[0] > '9' || strlen(name) > 20)
        return false;
    errno = 0;
    *ret = strtoull(name, &end, 10);
    ol_snapshot_name(*ret, "", again);
    return errno == 0 && *end == '\0' && strcmp(again, name) == 0;
}

static int remove_one(struct ol_snapshots *sn, const char *name, struct garbage *garbage,
                      struct ol_error *err)
{
    int r = ol_tree_remove(sn->dir_fd, name, err);

    if (r < 0)
        return ol_error_wrap(err, r, "cannot remove '%s/%s'", sn->dir, name);
    garbage->removed++;
    return 0;
}

static int keep_name(struct garbage *garbage, const char *name, struct ol_error *err)
{
    char **grown = reallocarray(garbage->names, garbage->count + 1, sizeof *grown);

    if (grown == NULL)
        return ol_error_nomem(err);
    garbage->names = grown;
    grown[garbage->count] = strdup(name);
    if (grown[garbage->count] == NULL)
        return ol_error_nomem(err);
    garbage->count++;
    return 0;
}

static int list_dir(struct ol_snapshots *sn, struct ol_dirents *entries, struct ol_error *err)
{
    ol_auto_fd int fd = ol_fs_open_dir(sn->dir_fd, "."); /* a position of our own */
    int r = fd < 0 ? fd : ol_dirents_read(entries, fd, true);

    return r < 0 ? ol_error_sys(err, -r, "cannot read '%s'", sn->dir) : 0;
}

/* What no snapshot of the transaction's state owns. */
static int collect(struct ol_snapshots *sn, struct ol_metatxn *txn, struct garbage *ret,
                   struct ol_error *err)
{
    ol_auto_dirents struct ol_dirents entries = OL_DIRENTS_INIT;
    int r = list_dir(sn, &entries, err);

    for (size_t i = 0; i < entries.count && r == 0; i++) {
        const char *name = entries.items[i].name;
        uint64_t id;
        int used = parse_id(name, &id) ? ol_meta_id_used(txn, id, err) : 0;

        r = used < 0 ? used : used > 0 ? 0 : keep_name(ret, name, err);
    }
    return r;
}

/* Those that may be in the way of the next snapshot, under the lock. */
static void sweep_ahead(struct ol_snapshots *sn, uint64_t last, struct garbage *garbage)
{
    for (size_t i = 0; i < garbage->count; i++) {
        uint64_t id;

        if (parse_id(garbage->names[i], &id) && id > last)
            (void)remove_one(sn, garbage->names[i], garbage, NULL); /* create tries again, too */
    }
}

/* Every one, also when some fail. @return the first failure */
static int sweep(struct ol_snapshots *sn, uint64_t last, struct garbage *garbage,
                 struct ol_error *err)
{
    int first = 0;

    for (size_t i = 0; i < garbage->count; i++) {
        uint64_t id;
        int r;

        if (parse_id(garbage->names[i], &id) && id > last)
            continue;
        r = remove_one(sn, garbage->names[i], garbage, first == 0 ? err : NULL);
        if (r < 0)
            ol_trace(OL_TRACE_DRIVER, "cannot remove %s/%s: %s", sn->dir, garbage->names[i],
                     strerror(-r));
        if (first == 0)
            first = r;
    }
    return first;
}

int ol_snapshots_remove(struct ol_snapshots *sn, const char *key, struct ol_error *err)
{
    auto_garbage struct garbage garbage = {0};
    struct ol_metatxn *txn = NULL;
    uint64_t last = 0;
    int r = ol_snapshots_lock(sn, &txn, err);

    if (r < 0)
        return r;
    r = ol_meta_remove(txn, key, NULL, err);
    if (r == 0)
        r = ol_meta_sequence(txn, &last, err);
    if (r == 0 && !sn->async_remove)
        r = collect(sn, txn, &garbage, err);
    if (r == 0)
        r = ol_metatxn_commit(txn, err);
    else
        ol_metatxn_abort(txn);
    if (r == 0)
        sweep_ahead(sn, last, &garbage);
    ol_snapshots_unlock(sn);
    if (r < 0)
        return r;
    (void)sweep(sn, last, &garbage, NULL); /* the snapshot is gone; cleanup reports what stays */
    return 0;
}

int ol_snapshots_cleanup(struct ol_snapshots *sn, unsigned *ret_removed, struct ol_error *err)
{
    auto_garbage struct garbage garbage = {0};
    struct ol_metatxn *txn = NULL;
    uint64_t last = 0;
    int r = ol_snapshots_lock(sn, &txn, err);

    if (r < 0)
        return r;
    r = ol_meta_sequence(txn, &last, err);
    if (r == 0) /* before the index of ids is believed; a removal has done it */
        r = ol_meta_check_indexes(txn, err);
    if (r == 0)
        r = collect(sn, txn, &garbage, err);
    ol_metatxn_abort(txn);
    if (r == 0)
        sweep_ahead(sn, last, &garbage);
    ol_snapshots_unlock(sn);
    if (r == 0)
        r = sweep(sn, last, &garbage, err);
    if (ret_removed != NULL)
        *ret_removed = garbage.removed;
    return r;
}

/* ---- the checker ---- */

struct check {
    struct ol_snapshots *sn;
    void (*problem)(const char *text, void *data);
    void *data;
    int findings;
};

__attribute__((format(printf, 2, 3))) static void found(struct check *c, const char *fmt, ...)
{
    ol_auto_free char *text = NULL;
    va_list ap;

    c->findings++;
    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        text = NULL;
    va_end(ap);
    if (c->problem != NULL)
        c->problem(text != NULL ? text : "a finding there is no memory for", c->data);
}

static int check_dirs(uint64_t id, const struct ol_snapshot_info *info,
                      const struct ol_snapshot_usage *usage, void *data, struct ol_error *err)
{
    static const char *const subs[] = {"fs", "work"};
    struct check *c = data;

    (void)usage;
    (void)err;
    for (size_t i = 0; i < (info->kind == OL_SNAPSHOT_ACTIVE ? 2 : 1); i++) {
        char name[OL_SNAPSHOT_NAME_SIZE];
        struct stat st;

        ol_snapshot_name(id, subs[i], name);
        if (fstatat(c->sn->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
            found(c, "snapshot '%s' has no directory '%s/%s'", info->name, c->sn->dir, name);
    }
    return 0;
}

int ol_snapshots_check(struct ol_snapshots *sn, void (*problem)(const char *text, void *data),
                       void *data, unsigned *ret_orphans, struct ol_error *err)
{
    auto_garbage struct garbage garbage = {0};
    struct check c = {.sn = sn, .problem = problem, .data = data};
    struct ol_metatxn *txn = NULL;
    int r = ol_snapshots_lock(sn, &txn, err); /* nobody changes directories meanwhile */

    if (r < 0)
        return r;
    r = ol_meta_check(txn, problem, data, err);
    if (r == 0) { /* a walk over damaged records ends at the first */
        r = ol_meta_walk(txn, check_dirs, &c, err);
        if (r == -ENOENT)
            r = 0; /* none was ever made */
    } else if (r > 0) {
        c.findings += r;
        r = 0;
    }
    if (r == 0)
        r = collect(sn, txn, &garbage, err);
    ol_metatxn_abort(txn);
    ol_snapshots_unlock(sn);
    if (r < 0)
        return r;
    if (ret_orphans != NULL)
        *ret_orphans = (unsigned)garbage.count;
    return c.findings;
}
