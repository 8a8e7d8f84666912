/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a data root has to offer for completion. The files are read as they are, without locks and
 * without entering a view: nothing is made, waited for or repaired for somebody who pressed a key.
 */
#include "cli/complete.h"

#include "common/cleanup.h"
#include "common/fs/dirents.h"
#include "common/fs/file.h"
#include "common/limits.h"
#include "common/metadb/metadb.h"
#include "drivers/driver.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>

/* Names a shell would want quoted are left out: they are rare, and half a quote is worse. */
static bool is_plain(const char *name)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                "_.-/:@%+,=";

    return name[0] != '\0' && name[strspn(name, plain)] == '\0';
}

static void add_name(struct complete *c, const char *name)
{
    if (is_plain(name))
        complete_add(c, name);
}

/* Bytes of the driver's name, without its options. */
static size_t driver_len(const struct complete *c)
{
    return strcspn(c->driver, ":");
}

/* <root>/<first><driver><last>; -1 when there is none. The caller closes it. */
static int open_of_driver(const struct complete *c, const char *first, const char *last)
{
    ol_auto_free char *path = NULL;

    if (asprintf(&path, "%s/%s%.*s%s", c->root, first, (int)driver_len(c), c->driver, last) < 0) {
        path = NULL;
        return -1;
    }
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static json_t *load(int dir_fd, const char *name, size_t max)
{
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;

    if (ol_fs_read_file(dir_fd, name, max, &text, NULL) < 0)
        return NULL;
    return json_loadb(ol_buf_str(&text), text.len, 0, NULL);
}

void complete_images(struct complete *c)
{
    ol_auto_fd int fd = open_of_driver(c, "image/", "");
    json_t *file = fd >= 0 ? load(fd, "repositories.json", OL_REPOSITORIES_MAX) : NULL;
    const char *repository;
    const char *name;
    json_t *names;
    json_t *id;

    json_object_foreach(json_object_get(file, "Repositories"), repository, names)
    {
        json_object_foreach(names, name, id)
        {
            add_name(c, name);
        }
    }
    json_decref(file);
}

static void add_container(struct complete *c, int containers_fd, const char *id)
{
    ol_auto_fd int fd = ol_fs_open_dir(containers_fd, id);
    json_t *record = fd >= 0 ? load(fd, "config.json", OL_IMAGE_JSON_MAX) : NULL;
    const char *name = json_string_value(json_object_get(record, "name"));
    const char *driver = json_string_value(json_object_get(record, "driver"));

    if (name != NULL && driver != NULL && strlen(driver) == driver_len(c) &&
        strncmp(driver, c->driver, driver_len(c)) == 0)
        add_name(c, name);
    json_decref(record);
}

/* The entries of a directory in byte order; none when it cannot be read. */
static void list(struct ol_dirents *entries, int fd)
{
    if (fd < 0 || ol_dirents_read(entries, fd, true) < 0)
        entries->count = 0;
}

void complete_containers(struct complete *c)
{
    ol_auto_fd int root_fd = open(c->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ol_auto_fd int fd = root_fd >= 0 ? ol_fs_open_dir(root_fd, "containers") : -1;
    ol_auto_dirents struct ol_dirents entries = OL_DIRENTS_INIT;

    list(&entries, fd);
    for (size_t i = 0; i < entries.count; i++)
        add_container(c, fd, entries.items[i].name);
}

void complete_layers(struct complete *c)
{
    bool in_dir = driver_len(c) == 3 && strncmp(c->driver, "vfs", 3) == 0; /* moby's layout */
    ol_auto_fd int fd = open_of_driver(c, "", in_dir ? "/dir" : "");
    ol_auto_dirents struct ol_dirents entries = OL_DIRENTS_INIT;

    list(&entries, fd);
    for (size_t i = 0; i < entries.count; i++) {
        if (entries.items[i].type == DT_DIR && ol_driver_id_valid(entries.items[i].name))
            add_name(c, entries.items[i].name);
    }
}

struct wanted {
    struct complete *c;
    enum complete_snapshots which;
};

static int add_snapshot(uint64_t id, const struct ol_snapshot_info *info,
                        const struct ol_snapshot_usage *usage, void *data, struct ol_error *err)
{
    const struct wanted *wanted = data;

    (void)id, (void)usage, (void)err; /* the name is all that is printed */
    if (wanted->which == COMPLETE_SNAPSHOTS ||
        (wanted->which == COMPLETE_COMMITTED) == (info->kind == OL_SNAPSHOT_COMMITTED))
        add_name(wanted->c, info->name);
    return 0;
}

void complete_snapshots(struct complete *c, enum complete_snapshots which)
{
    ol_auto_free char *path = NULL;
    struct ol_metadb *db = NULL;
    ol_auto_metatxn struct ol_metatxn *txn = NULL;
    struct wanted wanted = {c, which};

    if (asprintf(&path, "%s/snapshot/metadata.mdb", c->root) < 0) {
        path = NULL;
        return;
    }
    if (access(path, R_OK | W_OK) < 0) /* opening would make it */
        return;
    if (ol_metadb_open(&(struct ol_metadb_config){.path = path}, &db, NULL) < 0)
        return;
    if (ol_metadb_begin(db, false, &txn, NULL) == 0)
        (void)ol_meta_walk(txn, add_snapshot, &wanted, NULL); /* damage is for other commands */
    ol_metatxn_abort(ol_ptr_steal(txn));
    ol_metadb_close(db);
}
