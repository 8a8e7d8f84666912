/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, reading, labels, commit; see internal.h for the other files. */
#include "drivers/snapshot/internal.h"

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/fault.h"
#include "common/fs/dirents.h"
#include "common/fs/file.h"
#include "common/fs/tree.h"
#include "common/mount/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>

/* ---- open, close ---- */

/* containerd's check: without entry types overlayfs cannot work here. */
static int check_d_type(int root_fd, const char *root, struct ol_error *err)
{
    ol_auto_dirents struct ol_dirents entries = OL_DIRENTS_INIT;
    int r = ol_dirents_read(&entries, root_fd, false);

    if (r < 0)
        return ol_error_sys(err, -r, "cannot read '%s'", root);
    for (size_t i = 0; i < entries.count; i++) {
        if (entries.items[i].type == DT_UNKNOWN)
            return ol_error_set(err, -ENOTSUP,
                                "the file system of '%s' does not tell the types of entries "
                                "(d_type), which overlay needs: an XFS has to be made with ftype=1",
                                root);
    }
    return 0;
}

static int open_dirs(struct ol_snapshots *sn, const char *root, struct ol_error *err)
{
    ol_auto_fd int root_fd = -1;
    int r = ol_fs_mkdir_path(root, 0700, err);

    if (r < 0)
        return r;
    root_fd = ol_fs_open_dir(AT_FDCWD, root);
    if (root_fd < 0)
        return ol_error_sys(err, -root_fd, "cannot open '%s'", root);
    if (ol_fault_hit("mkdirat") || (mkdirat(root_fd, "snapshots", 0700) < 0 && errno != EEXIST))
        return ol_error_sys(err, errno, "cannot make '%s'", sn->dir);
    sn->dir_fd = ol_fs_open_dir(root_fd, "snapshots");
    if (sn->dir_fd < 0)
        return ol_error_sys(err, -sn->dir_fd, "cannot open '%s'", sn->dir);
    return check_d_type(root_fd, root, err);
}

static int open_db(struct ol_snapshots *sn, const struct ol_snapshots_config *config,
                   struct ol_error *err)
{
    ol_auto_free char *path = NULL;
    struct ol_metadb_config db = {.no_sync = config->no_sync, .now = config->now};

    if (asprintf(&path, "%s/metadata.mdb", config->root) < 0) {
        path = NULL;
        return ol_error_nomem(err);
    }
    db.path = path;
    return ol_metadb_open(&db, &sn->db, err);
}

int ol_snapshots_open(const struct ol_snapshots_config *config, struct ol_snapshots **ret,
                      struct ol_error *err)
{
    struct ol_snapshots *sn;
    int r;

    if (config->root[0] != '/' || strpbrk(config->root, ",:\\\"") != NULL)
        return ol_error_set(err, -EINVAL,
                            "'%s' cannot hold snapshots: their mounts need an absolute path "
                            "without commas, colons, quotes and backslashes",
                            config->root);
    sn = calloc(1, sizeof *sn);
    if (sn == NULL)
        return ol_error_nomem(err);
    sn->dir_fd = -1;
    (void)pthread_mutex_init(&sn->lock, NULL); /* cannot fail for a plain mutex */
    sn->userxattr = config->view == OL_VIEW_USERNS ||
                    (config->view == OL_VIEW_AUTO && ol_view_in_userns());
    sn->index_off = ol_overlay_has_index();
    sn->keep_owner = config->keep_owner;
    sn->async_remove = config->async_remove;
    sn->upperdir_label = config->upperdir_label;
    sn->ns = sn->userxattr || config->view == OL_VIEW_DIRECT ? OL_OVERLAY_USER : OL_OVERLAY_TRUSTED;
    if (asprintf(&sn->dir, "%s/snapshots", config->root) < 0) {
        sn->dir = NULL;
        r = ol_error_nomem(err);
    } else {
        r = open_dirs(sn, config->root, err);
    }
    if (r == 0)
        r = open_db(sn, config, err);
    if (r < 0) {
        ol_snapshots_free(sn);
        return ol_error_wrap(err, r, "snapshots in '%s'", config->root);
    }
    *ret = sn;
    return 0;
}

void ol_snapshots_close(struct ol_snapshots *sn)
{
    ol_metadb_close(sn->db);
    sn->db = NULL;
    ol_fd_close(&sn->dir_fd);
}

void ol_snapshots_free(struct ol_snapshots *sn)
{
    if (sn == NULL)
        return;
    ol_snapshots_close(sn);
    (void)pthread_mutex_destroy(&sn->lock); /* nobody holds it */
    free(sn->dir);
    free(sn);
}

/* ---- transactions ---- */

int ol_snapshots_read(struct ol_snapshots *sn, struct ol_metatxn **ret, struct ol_error *err)
{
    if (sn->db == NULL)
        return ol_error_set(err, -EBADF, "cannot begin a transaction: database not open");
    return ol_metadb_begin(sn->db, false, ret, err);
}

int ol_snapshots_lock(struct ol_snapshots *sn, struct ol_metatxn **ret, struct ol_error *err)
{
    int r;

    if (sn->db == NULL)
        return ol_error_set(err, -EBADF, "cannot begin a transaction: database not open");
    (void)pthread_mutex_lock(&sn->lock); /* a plain mutex does not fail */
    if (ol_fault_hit("flock") || flock(sn->dir_fd, LOCK_EX) < 0) {
        r = ol_error_sys(err, errno, "cannot lock '%s'", sn->dir);
        (void)pthread_mutex_unlock(&sn->lock);
        return r;
    }
    r = ol_metadb_begin(sn->db, true, ret, err);
    if (r < 0)
        ol_snapshots_unlock(sn);
    return r;
}

void ol_snapshots_unlock(struct ol_snapshots *sn)
{
    (void)flock(sn->dir_fd, LOCK_UN);      /* held, and on a descriptor of ours */
    (void)pthread_mutex_unlock(&sn->lock); /* held */
}

/* ---- directories ---- */

void ol_snapshot_name(uint64_t id, const char *sub, char ret[static OL_SNAPSHOT_NAME_SIZE])
{
    (void)snprintf(ret, OL_SNAPSHOT_NAME_SIZE, sub[0] != '\0' ? "%" PRIu64 "/%s" : "%" PRIu64 "%s",
                   id, sub);
}

int ol_snapshot_open_fs(struct ol_snapshots *sn, uint64_t id, struct ol_error *err)
{
    char name[OL_SNAPSHOT_NAME_SIZE];
    int fd;

    ol_snapshot_name(id, "fs", name);
    fd = ol_fs_open_dir(sn->dir_fd, name);
    if (fd == -ENOENT)
        return ol_error_set(err, -EUCLEAN, "directory '%s/%s' is missing", sn->dir, name);
    return fd < 0 ? ol_error_sys(err, -fd, "cannot open '%s/%s'", sn->dir, name) : fd;
}

/* containerd counts what the snapshot holds by itself: "fs", its root included. */
static int measure(struct ol_snapshots *sn, uint64_t id, struct ol_snapshot_usage *ret,
                   struct ol_error *err)
{
    ol_auto_fd int fd = ol_snapshot_open_fs(sn, id, err);
    struct ol_tree_usage usage;
    int r = fd < 0 ? fd : ol_tree_usage(fd, false, &usage, err);

    if (r < 0)
        return r;
    ret->inodes = (int64_t)usage.inodes;
    ret->size_bytes = (int64_t)usage.bytes;
    return 0;
}

/* ---- reading ---- */

static int add_upperdir(const struct ol_snapshots *sn, uint64_t id, struct ol_snapshot_info *info,
                        struct ol_error *err)
{
    ol_auto_free char *path = NULL;

    if (!sn->upperdir_label)
        return 0;
    if (asprintf(&path, "%s/%" PRIu64 "/fs", sn->dir, id) < 0) {
        path = NULL;
        return ol_error_nomem(err);
    }
    return ol_labels_set(&info->labels, OL_SNAPSHOT_UPPERDIR_LABEL, path) < 0 ? ol_error_nomem(err)
                                                                              : 0;
}

int ol_snapshots_stat(struct ol_snapshots *sn, const char *key, struct ol_snapshot_info *ret,
                      struct ol_error *err)
{
    ol_auto_metatxn struct ol_metatxn *txn = NULL;
    ol_auto_snapshot_info struct ol_snapshot_info info = {0};
    uint64_t id;
    int r = ol_snapshots_read(sn, &txn, err);

    if (r == 0)
        r = ol_meta_info(txn, key, &id, &info, NULL, err);
    if (r == 0)
        r = add_upperdir(sn, id, &info, err);
    if (r < 0)
        return r;
    *ret = info;
    info = (struct ol_snapshot_info){0};
    return 0;
}

int ol_snapshots_usage(struct ol_snapshots *sn, const char *key, struct ol_snapshot_usage *ret,
                       struct ol_error *err)
{
    ol_auto_metatxn struct ol_metatxn *txn = NULL;
    ol_auto_snapshot_info struct ol_snapshot_info info = {0};
    struct ol_snapshot_usage usage;
    uint64_t id;
    int r = ol_snapshots_read(sn, &txn, err);

    if (r == 0)
        r = ol_meta_info(txn, key, &id, &info, &usage, err);
    ol_metatxn_abort(ol_ptr_steal(txn)); /* a reader keeps old pages in use: not while measuring */
    if (r == 0 && info.kind == OL_SNAPSHOT_ACTIVE)
        r = measure(sn, id, &usage, err);
    if (r == 0)
        *ret = usage;
    return r;
}

int ol_snapshots_mounts(struct ol_snapshots *sn, const char *key, struct ol_snapshot_mount *ret,
                        struct ol_error *err)
{
    ol_auto_metatxn struct ol_metatxn *txn = NULL;
    ol_auto_meta_snapshot struct ol_meta_snapshot snapshot = {0};
    int r = ol_snapshots_read(sn, &txn, err);

    if (r == 0)
        r = ol_meta_get(txn, key, &snapshot, err);
    return r < 0 ? r : ol_snapshot_mount_of(sn, &snapshot, ret, err);
}

struct walk {
    struct ol_snapshots *sn;
    struct ol_filters *filters;
    ol_snapshots_walk_fn *fn;
    void *data;
};

static int walk_one(uint64_t id, const struct ol_snapshot_info *info,
                    const struct ol_snapshot_usage *usage, void *data, struct ol_error *err)
{
    const struct walk *walk = data;
    struct ol_snapshot_info shown = *info;
    int r;

    (void)usage;
    if (!ol_filters_match(walk->filters, info))
        return 0;
    if (!walk->sn->upperdir_label)
        return walk->fn(info, walk->data, err);
    shown.labels = (struct ol_labels){0}; /* a copy, for one label more */
    r = ol_labels_merge(&shown.labels, &info->labels) < 0 ? ol_error_nomem(err) : 0;
    if (r == 0)
        r = add_upperdir(walk->sn, id, &shown, err);
    if (r == 0)
        r = walk->fn(&shown, walk->data, err);
    ol_labels_fini(&shown.labels);
    return r;
}

int ol_snapshots_walk(struct ol_snapshots *sn, const char *const *filters, size_t n_filters,
                      ol_snapshots_walk_fn *fn, void *data, struct ol_error *err)
{
    ol_auto_metatxn struct ol_metatxn *txn = NULL;
    struct walk walk = {.sn = sn, .fn = fn, .data = data};
    int r = ol_filters_parse(filters, n_filters, &walk.filters, err);

    if (r < 0)
        return r;
    r = ol_snapshots_read(sn, &txn, err);
    if (r == 0)
        r = ol_meta_walk(txn, walk_one, &walk, err);
    ol_filters_free(walk.filters);
    return r;
}

/* ---- changing records ---- */

int ol_snapshots_update(struct ol_snapshots *sn, const struct ol_snapshot_info *info,
                        const char *const *paths, size_t n_paths, struct ol_snapshot_info *ret,
                        struct ol_error *err)
{
    ol_auto_snapshot_info struct ol_snapshot_info updated = {0};
    struct ol_metatxn *txn = NULL;
    uint64_t id;
    int r = ol_snapshots_lock(sn, &txn, err);

    if (r < 0)
        return r;
    r = ol_meta_info(txn, info->name, &id, &updated, NULL, err);
    ol_snapshot_info_fini(&updated);
    if (r == 0)
        r = ol_meta_update(txn, info, paths, n_paths, &updated, err);
    if (r == 0)
        r = add_upperdir(sn, id, &updated, err);
    if (r == 0)
        r = ol_metatxn_commit(txn, err);
    else
        ol_metatxn_abort(txn);
    ol_snapshots_unlock(sn);
    if (r == 0 && ret != NULL) {
        *ret = updated;
        updated = (struct ol_snapshot_info){0};
    }
    return r;
}

struct commit {
    const char *name, *key, *parent;
    const struct ol_labels *labels;
};

static int commit_locked(struct ol_snapshots *sn, struct ol_metatxn *txn,
                         const struct commit *commit, struct ol_snapshot_times *times,
                         struct ol_error *err)
{
    ol_auto_snapshot_info struct ol_snapshot_info info = {0};
    struct ol_snapshot_usage usage;
    uint64_t id;
    int r = ol_meta_info(txn, commit->key, &id, &info, NULL, err);

    if (r == 0) {
        uint64_t start = ol_clock_ns();

        r = measure(sn, id, &usage, err);
        times->usage_ns = ol_clock_ns() - start;
    }
    if (r == 0)
        r = ol_meta_commit(txn, commit->key, commit->name, &usage, commit->labels, commit->parent,
                           err);
    return r;
}

/* The transaction ends here in every case. */
static int finish(struct ol_metatxn *txn, int r, struct ol_snapshot_times *times,
                  struct ol_error *err)
{
    uint64_t start = ol_clock_ns();

    if (r < 0) {
        ol_metatxn_abort(txn);
        return r;
    }
    r = ol_metatxn_commit(txn, err);
    times->sync_ns = ol_clock_ns() - start;
    return r;
}

int ol_snapshots_commit_timed(struct ol_snapshots *sn, const char *name, const char *key,
                              const struct ol_labels *labels, const char *parent,
                              struct ol_snapshot_times *ret, struct ol_error *err)
{
    const struct commit commit = {name, key, parent, labels};
    struct ol_snapshot_times times = {0};
    struct ol_metatxn *txn = NULL;
    uint64_t start = ol_clock_ns();
    int r = ol_snapshots_lock(sn, &txn, err);

    if (r < 0)
        return r;
    r = commit_locked(sn, txn, &commit, &times, err);
    r = finish(txn, r, &times, err);
    ol_snapshots_unlock(sn);
    times.transaction_ns = ol_clock_ns() - start - times.usage_ns - times.sync_ns;
    if (ret != NULL)
        *ret = times;
    return r < 0 ? ol_error_wrap(err, r, "cannot commit snapshot '%s'", key) : 0;
}

int ol_snapshots_commit(struct ol_snapshots *sn, const char *name, const char *key,
                        const struct ol_labels *labels, const char *parent, struct ol_error *err)
{
    return ol_snapshots_commit_timed(sn, name, key, labels, parent, NULL, err);
}

/* ---- layers ---- */

struct lowers {
    struct ol_snapshots *sn;
    const struct ol_meta_snapshot *snapshot;
};

static int open_lower(void *data, size_t index)
{
    const struct lowers *lowers = data;

    return ol_snapshot_open_fs(lowers->sn, lowers->snapshot->parents[index], NULL);
}

/* A parent without its directory is told of before anything is unpacked on it. */
static int check_lowers(const struct lowers *lowers, struct ol_error *err)
{
    for (size_t i = 0; i < lowers->snapshot->n_parents; i++) {
        ol_auto_fd int fd = ol_snapshot_open_fs(lowers->sn, lowers->snapshot->parents[i], err);

        if (fd < 0)
            return ol_error_wrap(err, fd, "a parent's");
    }
    return 0;
}

int ol_snapshots_apply(struct ol_snapshots *sn, const char *key, const struct ol_input *tar,
                       struct ol_layer_result *ret, struct ol_error *err)
{
    ol_auto_metatxn struct ol_metatxn *txn = NULL;
    ol_auto_meta_snapshot struct ol_meta_snapshot snapshot = {0};
    struct lowers lowers = {.sn = sn, .snapshot = &snapshot};
    struct ol_layer_lowers below = {.open = open_lower, .data = &lowers};
    struct ol_layer_options options = {
        .ns = sn->ns, .keep_owner = sn->keep_owner, .ignore_root = true, .lowers = &below};
    ol_auto_fd int fd = -1;
    int r = ol_snapshots_read(sn, &txn, err);

    if (r == 0)
        r = ol_meta_get(txn, key, &snapshot, err);
    ol_metatxn_abort(ol_ptr_steal(txn));
    if (r == 0 && snapshot.kind != OL_SNAPSHOT_ACTIVE)
        r = ol_error_set(err, -EBUSY, "snapshot '%s' is not active, but a view", key);
    if (r == 0)
        r = check_lowers(&lowers, err);
    if (r < 0)
        return r;
    fd = ol_snapshot_open_fs(sn, snapshot.id, err);
    if (fd < 0)
        return fd;
    below.count = snapshot.n_parents;
    /* What containerd unpacks through: a bind mount for a base, an overlay above it. */
    options.target = snapshot.n_parents > 0 ? OL_LAYER_UPPER : OL_LAYER_TREE;
    return ol_layer_apply(fd, tar, &options, ret, err);
}
