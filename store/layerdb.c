/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of the layer store, laid out as moby's layerdb (layer/filestore.go): one directory per
 * layer and per container, written aside as tmp/write-set-<id> and renamed into place. The write
 * set is named after the driver layer it stands for and is begun before that layer is made; moby
 * names it at random, begins it later, and so cannot find the driver layer again after a crash.
 */
#include "store/store_internal.h"

#include "common/cleanup.h"
#include "common/fault.h"
#include "common/fs/file.h"
#include "common/fs/tree.h"
#include "common/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#define WRITE_SET "write-set-"
#define RETIRED   "-removing"
#define TAR_SPLIT "tar-split.json.gz"

bool ol_layerdb_id_valid(const char *id)
{
    return strlen(id) == 64 && strspn(id, "0123456789abcdef") == 64;
}

const char *ol_layerdb_write_set_id(const char *name)
{
    if (strncmp(name, WRITE_SET, strlen(WRITE_SET)) != 0)
        return NULL;
    name += strlen(WRITE_SET);
    return ol_layerdb_id_valid(name) ? name : NULL;
}

bool ol_layerdb_is_retired(const char *name)
{
    size_t len = strlen(name);

    return len > 64 + strlen(RETIRED) && strspn(name, "0123456789abcdef") == 64 &&
           name[64] == '-' && strcmp(name + len - strlen(RETIRED), RETIRED) == 0;
}

struct write_set {
    char name[sizeof WRITE_SET + OL_HEX_SIZE];
};

static struct write_set write_set(const char *driver_id)
{
    struct write_set set;

    (void)snprintf(set.name, sizeof set.name, WRITE_SET "%s", driver_id); /* ids have 64 digits */
    return set;
}

struct retired {
    char name[2 * OL_HEX_SIZE + sizeof RETIRED];
};

static struct retired retired(const struct ol_store_layer *layer)
{
    struct retired aside;

    (void)snprintf(aside.name, sizeof aside.name, "%s-%s" RETIRED, ol_digest_hex(layer->chain_id),
                   layer->cache_id);
    return aside;
}

int ol_layerdb_begin(const struct ol_store *store, const char *driver_id, struct ol_error *err)
{
    int r = ol_fs_mkdir(store->tmp_fd, write_set(driver_id).name, 0700, err);

    return r < 0 ? ol_error_wrap(err, r, "layer store '%s'", store->dir) : 0;
}

int ol_layerdb_drop(const struct ol_store *store, const char *driver_id, struct ol_error *err)
{
    return ol_tree_remove(store->tmp_fd, write_set(driver_id).name, err);
}

int ol_layerdb_drop_retired(const struct ol_store *store, const struct ol_store_layer *layer,
                            struct ol_error *err)
{
    return ol_tree_remove(store->layers_fd, retired(layer).name, err);
}

/* What a write set may hold, a layer's or a container's. */
static const char *const set_files[] = {"size",     "parent",  "diff",   "cache-id",
                                        "mount-id", "init-id", TAR_SPLIT};

/* One file of a write set, without a newline as moby writes them. */
static int put(int set_fd, const char *name, const char *text, struct ol_error *err)
{
    return ol_fs_write_file(set_fd, name, text, strlen(text), 0644, err);
}

static int open_set(const struct ol_store *store, const char *driver_id, struct ol_error *err)
{
    int fd = ol_fs_open_dir(store->tmp_fd, write_set(driver_id).name);

    return fd < 0 ? ol_error_sys(err, -fd, "cannot open write set '%s' of layer store '%s'",
                                 write_set(driver_id).name, store->dir)
                  : fd;
}

int ol_layerdb_create_tar_split(const struct ol_store *store, const char *driver_id,
                                struct ol_error *err)
{
    ol_auto_fd int set_fd = open_set(store, driver_id, err);
    int fd = -1;

    if (set_fd < 0)
        return set_fd;
    if (!ol_fault_hit("openat"))
        fd = openat(set_fd, TAR_SPLIT, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    return fd < 0 ? ol_error_sys(err, errno, "cannot create '" TAR_SPLIT "'") : fd;
}

/* Writing all of them is begun before the first is waited for: a journal takes that as one
 * transaction, where a file at a time is one each. */
static int sync_files(int set_fd, struct ol_error *err)
{
    int fd[OL_ARRAY_LEN(set_files)];
    int r = 0;

    for (size_t i = 0; i < OL_ARRAY_LEN(set_files); i++) {
        fd[i] = openat(set_fd, set_files[i], O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd[i] >= 0)
            (void)sync_file_range(fd[i], 0, 0, SYNC_FILE_RANGE_WRITE); /* only a hint */
        else if (errno != ENOENT && r == 0)
            r = ol_error_sys(err, errno, "cannot open '%s' to sync it", set_files[i]);
    }
    for (size_t i = 0; i < OL_ARRAY_LEN(set_files); i++) {
        if (r == 0 && fd[i] >= 0)
            r = ol_fs_sync(fd[i], set_files[i], err);
        ol_fd_close(&fd[i]);
    }
    return r;
}

static int close_set(const struct ol_store *store, int set_fd, struct ol_error *err)
{
    int r;

    if (!store->options.sync)
        return 0;
    r = sync_files(set_fd, err);
    return r < 0 ? r : ol_fs_sync(set_fd, "write set", err);
}

int ol_layerdb_write_layer(const struct ol_store *store, const struct ol_store_layer *layer,
                           struct ol_error *err)
{
    char size[24];
    ol_auto_fd int fd = open_set(store, layer->cache_id, err);
    int r = fd < 0 ? fd : 0;

    (void)snprintf(size, sizeof size, "%" PRIu64, layer->size_bytes);
    if (r == 0)
        r = put(fd, "size", size, err);
    if (r == 0 && layer->parent[0] != '\0')
        r = put(fd, "parent", layer->parent, err);
    if (r == 0)
        r = put(fd, "diff", layer->diff_id, err);
    if (r == 0)
        r = put(fd, "cache-id", layer->cache_id, err);
    return r < 0 ? r : close_set(store, fd, err);
}

int ol_layerdb_write_container(const struct ol_store *store,
                               const struct ol_store_container *container, struct ol_error *err)
{
    char init[OL_HEX_SIZE + 8];
    ol_auto_fd int fd = open_set(store, container->mount_id, err);
    int r = fd < 0 ? fd : 0;

    (void)snprintf(init, sizeof init, "%s-init", container->mount_id);
    if (r == 0)
        r = put(fd, "mount-id", container->mount_id, err);
    if (r == 0)
        r = put(fd, "init-id", init, err);
    if (r == 0 && container->parent[0] != '\0')
        r = put(fd, "parent", container->parent, err);
    return r < 0 ? r : close_set(store, fd, err);
}

/* A rename whose fsync fails is taken back: what the caller is told and what is there must agree.
 */
static int rename_synced(const struct ol_store *store, int old_fd, const char *old_name, int new_fd,
                         const char *new_name, struct ol_error *err)
{
    int r = ol_fs_rename_new(old_fd, old_name, new_fd, new_name, err);

    if (r < 0)
        return ol_error_wrap(err, r, "layer store '%s'", store->dir);
    if (!store->options.sync)
        return 0;
    r = ol_fs_sync(new_fd, new_name, err);
    if (r < 0)
        (void)ol_fs_rename_new(new_fd, new_name, old_fd, old_name,
                               NULL); /* the first error counts */
    return r;
}

int ol_layerdb_commit_layer(const struct ol_store *store, const struct ol_store_layer *layer,
                            struct ol_error *err)
{
    return rename_synced(store, store->tmp_fd, write_set(layer->cache_id).name, store->layers_fd,
                         ol_digest_hex(layer->chain_id), err);
}

int ol_layerdb_commit_container(const struct ol_store *store,
                                const struct ol_store_container *container, struct ol_error *err)
{
    return rename_synced(store, store->tmp_fd, write_set(container->mount_id).name,
                         store->mounts_fd, container->id, err);
}

int ol_layerdb_retire_layer(const struct ol_store *store, const struct ol_store_layer *layer,
                            struct ol_error *err)
{
    return rename_synced(store, store->layers_fd, ol_digest_hex(layer->chain_id), store->layers_fd,
                         retired(layer).name, err);
}

int ol_layerdb_retire_container(const struct ol_store *store,
                                const struct ol_store_container *container, struct ol_error *err)
{
    return rename_synced(store, store->mounts_fd, container->id, store->tmp_fd,
                         write_set(container->mount_id).name, err);
}

/* A file of ours with a value of at most max characters; 1 when optional and missing. */
static int get(int dir_fd, const char *name, bool optional, char *ret, size_t size,
               struct ol_error *err)
{
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    ol_auto_error struct ol_error why = OL_ERROR_INIT;
    int r = ol_fs_read_file(dir_fd, name, OL_SMALL_FILE_MAX, &text, &why);

    ret[0] = '\0';
    if (r == -ENOENT && optional)
        return 1;
    if (r < 0) {
        ol_error_move(err, &why);
        return r;
    }
    if (text.len >= size || strlen(ol_buf_str(&text)) != text.len)
        return ol_error_set(err, -EBADMSG, "'%s' holds %zu bytes, not a value", name, text.len);
    memcpy(ret, ol_buf_str(&text), text.len + 1);
    return 0;
}

static int get_digest(int dir_fd, const char *name, bool optional, char ret[OL_DIGEST_SIZE],
                      struct ol_error *err)
{
    int r = get(dir_fd, name, optional, ret, OL_DIGEST_SIZE, err);

    if (r != 0)
        return r < 0 ? r : 0;
    if (!ol_digest_valid(ret))
        return ol_error_set(err, -EBADMSG, "'%s' holds '%s', not a sha256 digest", name, ret);
    return 0;
}

static int get_id(int dir_fd, const char *name, char ret[OL_HEX_SIZE], struct ol_error *err)
{
    int r = get(dir_fd, name, false, ret, OL_HEX_SIZE, err);

    if (r < 0)
        return r;
    if (!ol_layerdb_id_valid(ret))
        return ol_error_set(err, -EBADMSG, "'%s' holds '%s', not an id of 64 hex digits", name,
                            ret);
    return 0;
}

static int get_size(int dir_fd, uint64_t *ret, struct ol_error *err)
{
    char text[24];
    char *end = NULL;
    int r = get(dir_fd, "size", false, text, sizeof text, err);

    if (r < 0)
        return r;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0)
        return ol_error_set(err, -EBADMSG, "'size' holds '%s', not a number", text);
    return 0;
}

static int open_record(const struct ol_store *store, int dir_fd, const char *name,
                       struct ol_error *err)
{
    int fd = ol_fs_open_dir(dir_fd, name);

    return fd < 0 ? ol_error_sys(err, -fd, "cannot open '%s' in layer store '%s'", name, store->dir)
                  : fd;
}

int ol_layerdb_read_layer(const struct ol_store *store, const char *hex, struct ol_store_layer *ret,
                          struct ol_error *err)
{
    ol_auto_fd int fd = open_record(store, store->layers_fd, hex, err);
    char chain[OL_DIGEST_SIZE];
    int r = fd < 0 ? fd : 0;

    if (r < 0)
        return r;
    memset(ret, 0, sizeof *ret);
    (void)snprintf(ret->chain_id, sizeof ret->chain_id, "sha256:%.64s", hex);
    r = get_digest(fd, "diff", false, ret->diff_id, err);
    if (r == 0)
        r = get_digest(fd, "parent", true, ret->parent, err);
    if (r == 0)
        r = get_id(fd, "cache-id", ret->cache_id, err);
    if (r == 0)
        r = get_size(fd, &ret->size_bytes, err);
    if (r == 0)
        r = ol_chain_id(ret->parent[0] != '\0' ? ret->parent : NULL, ret->diff_id, chain, err);
    if (r == 0 && strcmp(chain, ret->chain_id) != 0)
        r = ol_error_set(err, -EBADMSG, "'diff' and 'parent' make ChainID '%s'", chain);
    if (r < 0)
        return ol_error_wrap(err, r, "layer '%s' in layer store '%s'", ret->chain_id, store->dir);
    return 0;
}

int ol_layerdb_open_tar_split(const struct ol_store *store, const struct ol_store_layer *layer,
                              struct ol_error *err)
{
    ol_auto_fd int dir_fd = open_record(store, store->layers_fd, ol_digest_hex(layer->chain_id),
                                        err);
    int fd = dir_fd < 0 ? dir_fd : ol_fs_open_read(dir_fd, TAR_SPLIT, 0);

    if (dir_fd >= 0 && fd < 0)
        return ol_error_sys(err, -fd, "cannot open '" TAR_SPLIT "' of layer '%s'", layer->chain_id);
    return fd;
}

int ol_layerdb_read_container(const struct ol_store *store, const char *id,
                              struct ol_store_container *ret, struct ol_error *err)
{
    ol_auto_fd int fd = open_record(store, store->mounts_fd, id, err);
    char init[OL_HEX_SIZE + 8];
    int r = fd < 0 ? fd : 0;

    if (r < 0)
        return r;
    memset(ret, 0, sizeof *ret);
    memcpy(ret->id, id, OL_HEX_SIZE);
    r = get_id(fd, "mount-id", ret->mount_id, err);
    if (r == 0)
        r = get(fd, "init-id", false, init, sizeof init, err);
    if (r == 0 && (strncmp(init, ret->mount_id, 64) != 0 || strcmp(init + 64, "-init") != 0))
        r = ol_error_set(err, -EBADMSG, "'init-id' holds '%s', not '%s-init'", init, ret->mount_id);
    if (r == 0)
        r = get_digest(fd, "parent", true, ret->parent, err);
    if (r < 0)
        return ol_error_wrap(err, r, "container '%s' in layer store '%s'", id, store->dir);
    return 0;
}

int ol_layerdb_retired_id(const struct ol_store *store, const char *name, char ret[OL_HEX_SIZE],
                          struct ol_error *err)
{
    ol_auto_fd int fd = open_record(store, store->layers_fd, name, err);

    return fd < 0 ? fd : get_id(fd, "cache-id", ret, err);
}
