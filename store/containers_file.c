/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of containers: <root>/containers/<id>/config.json, written aside as tmp-<id> and
 * renamed. All drivers share the directory, and with it the names: it is flock(2)ed, waiting, for
 * the moment of a change only.
 */
#include "store/containers_internal.h"

#include "common/cleanup.h"
#include "common/fs/dirents.h"
#include "common/fs/file.h"
#include "common/fs/tree.h"
#include "common/limits.h"
#include "store/image_internal.h"
#include "store/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define ASIDE  "tmp-"
#define RECORD "config.json"
#define SCHEMA "overlab.container/1"

enum { RECORD_MAX = OL_IMAGE_JSON_MAX + OL_SMALL_FILE_MAX }; /* a config, and what is around it */

/* --- the lock of the moment --- */

/* A descriptor of its own: a lock belongs to the open file. */
static int lock_all(const struct ol_containers *containers, int *ret_fd, struct ol_error *err)
{
    ol_auto_fd int fd = openat(containers->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r;

    if (fd < 0)
        return ol_error_sys(err, errno, "cannot open '%s'", containers->path);
    do
        r = flock(fd, LOCK_EX);
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return ol_error_sys(err, errno, "cannot lock '%s'", containers->path);
    *ret_fd = ol_fd_steal(&fd);
    return 0;
}

struct aside {
    char name[sizeof ASIDE + OL_HEX_SIZE];
};

static struct aside aside(const char *id)
{
    struct aside aside;

    (void)snprintf(aside.name, sizeof aside.name, ASIDE "%.64s", id); /* ids have 64 digits */
    return aside;
}

bool ol_container_file_is_aside(const char *name)
{
    return strncmp(name, ASIDE, strlen(ASIDE)) == 0;
}

static int remove_aside(const struct ol_containers *containers, struct ol_error *err)
{
    ol_auto_dirents struct ol_dirents names = OL_DIRENTS_INIT;
    int r = ol_dirents_read(&names, containers->dir_fd, true);

    if (r < 0)
        return ol_error_sys(err, -r, "cannot read '%s'", containers->path);
    for (size_t i = 0; r == 0 && i < names.count; i++)
        if (ol_container_file_is_aside(names.items[i].name))
            r = ol_tree_remove(containers->dir_fd, names.items[i].name, err);
    return r;
}

int ol_container_files_open(struct ol_containers *containers, enum ol_containers_mode mode,
                            struct ol_error *err)
{
    bool use = mode == OL_CONTAINERS_USE;
    ol_auto_fd int lock = -1;
    int r = use ? ol_fs_mkdir_path(containers->path, 0700, err) : 0;

    if (r < 0)
        return ol_error_wrap(err, r, "cannot make '%s'", containers->path);
    containers->dir_fd = open(containers->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (containers->dir_fd < 0 && !use && errno == ENOENT)
        return 0;
    if (containers->dir_fd < 0)
        return ol_error_sys(err, errno, "cannot open '%s'", containers->path);
    if (!use)
        return 0;
    r = lock_all(containers, &lock, err);
    return r < 0 ? r : remove_aside(containers, err);
}

bool ol_container_file_exists(const struct ol_containers *containers, const char *id)
{
    struct stat st;

    return fstatat(containers->dir_fd, id, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

/* --- reading --- */

void ol_container_fini(struct ol_container *container)
{
    json_decref(container->json);
    *container = (struct ol_container)OL_CONTAINER_INIT;
}

int ol_container_parse(struct ol_container *container, const char *what, struct ol_error *err)
{
    const json_t *json = container->json;
    const char *schema = ol_json_string(json, "schema");
    const char *id = ol_json_string(json, "id");

    container->name = ol_json_string(json, "name");
    container->driver = ol_json_string(json, "driver");
    container->image = ol_json_string(json, "image");
    container->image_name = ol_json_string(json, "image_name");
    container->created = ol_json_string(json, "created");
    container->config = json_object_get(json, "config");
    if (schema == NULL || strcmp(schema, SCHEMA) != 0)
        return ol_error_set(err, -EBADMSG, "'%s' is no record of schema '%s'", what, SCHEMA);
    if (id == NULL || strcmp(id, container->id) != 0 || container->name == NULL ||
        !ol_container_name_valid(container->name) || container->driver == NULL ||
        container->image == NULL || !ol_digest_valid(container->image) ||
        container->image_name == NULL || container->created == NULL ||
        !json_is_object(container->config))
        return ol_error_set(err, -EBADMSG, "'%s' is no record of container '%s'", what,
                            container->id);
    return 0;
}

int ol_container_file_read(const struct ol_containers *containers, const char *id,
                           struct ol_container *ret, struct ol_error *err)
{
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    ol_auto_free char *what = NULL;
    ol_auto_fd int fd = ol_fs_open_dir(containers->dir_fd, id);
    int r;

    if (asprintf(&what, "%s/%s/%s", containers->path, id, RECORD) < 0) {
        what = NULL;
        return ol_error_nomem(err);
    }
    r = fd < 0 ? fd : ol_fs_read_file(fd, RECORD, RECORD_MAX, &text, NULL);
    if (r < 0)
        return ol_error_sys(err, -r, "cannot read '%s'", what);
    memcpy(ret->id, id, sizeof ret->id);
    r = ol_json_parse(&text, what, &ret->json, err);
    return r < 0 ? r : ol_container_parse(ret, what, err);
}

void ol_container_list_free(struct ol_container *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ol_container_fini(&list[i]);
    free(list);
}

int ol_container_list_read(const struct ol_containers *containers, struct ol_container **ret,
                           size_t *ret_count, struct ol_error *err)
{
    ol_auto_dirents struct ol_dirents names = OL_DIRENTS_INIT;
    ol_auto_error struct ol_error why = OL_ERROR_INIT;
    ol_auto_fd int fd = openat(containers->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = fd < 0 ? -errno : ol_dirents_read(&names, fd, true);
    struct ol_container *list;
    size_t count = 0;

    if (r < 0)
        return ol_error_sys(err, -r, "cannot read '%s'", containers->path);
    list = calloc(names.count + 1, sizeof *list);
    if (list == NULL)
        return ol_error_nomem(err);
    for (size_t i = 0; r == 0 && i < names.count; i++) {
        if (!ol_layerdb_id_valid(names.items[i].name))
            continue;
        r = ol_container_file_read(containers, names.items[i].name, &list[count], &why);
        if (r == 0) {
            count++;
            continue;
        }
        ol_container_fini(&list[count]);
        if (!ol_container_file_exists(containers, names.items[i].name))
            r = 0; /* removed meanwhile, by a command on another driver */
        else
            ol_error_move(err, &why);
    }
    if (r < 0) {
        ol_container_list_free(list, count);
        return r;
    }
    *ret = list;
    *ret_count = count;
    return 0;
}

/* --- changing --- */

int ol_container_name_free(const struct ol_containers *containers, const char *name,
                           struct ol_error *err)
{
    struct ol_container *list = NULL;
    size_t count = 0;
    int r = ol_container_list_read(containers, &list, &count, err);

    for (size_t i = 0; r == 0 && i < count; i++)
        if (strcmp(list[i].name, name) == 0)
            r = ol_error_set(err, -EEXIST,
                             "the name '%s' is taken by container %.12s of driver '%s'", name,
                             list[i].id, list[i].driver);
    if (list != NULL)
        ol_container_list_free(list, count);
    return r;
}

static int write_aside(const struct ol_containers *containers, const struct ol_container *container,
                       const char *name, struct ol_error *err)
{
    ol_auto_free char *text = json_dumps(container->json, JSON_COMPACT);
    ol_auto_fd int fd = -1;
    int r;

    if (text == NULL)
        return ol_error_nomem(err);
    if (strlen(text) > RECORD_MAX)
        return ol_error_set(err, -E2BIG, "the container's record would have more than %d bytes",
                            RECORD_MAX);
    r = ol_fs_mkdir(containers->dir_fd, name, 0700, err);
    if (r < 0)
        return r;
    fd = ol_fs_open_dir(containers->dir_fd, name);
    if (fd < 0)
        return ol_error_sys(err, -fd, "cannot open '%s/%s'", containers->path, name);
    return ol_fs_write_file_atomic(fd, RECORD, text, strlen(text), 0600, err);
}

int ol_container_file_write(struct ol_containers *containers, const struct ol_container *container,
                            struct ol_error *err)
{
    const struct aside temporary = aside(container->id);
    ol_auto_fd int lock = -1;
    int r = lock_all(containers, &lock, err);

    if (r == 0)
        r = ol_container_name_free(containers, container->name, err);
    if (r < 0)
        return r;
    r = write_aside(containers, container, temporary.name, err);
    if (r == 0)
        r = ol_fs_rename_new(containers->dir_fd, temporary.name, containers->dir_fd, container->id,
                             err);
    if (r < 0) {
        (void)ol_tree_remove(containers->dir_fd, temporary.name, NULL); /* the first error counts */
        return r;
    }
    r = ol_fs_sync(containers->dir_fd, containers->path, err);
    if (r < 0) /* what the caller is told and what is there must agree */
        (void)ol_tree_remove(containers->dir_fd, container->id, NULL);
    return r;
}

int ol_container_file_remove(struct ol_containers *containers, const char *id, struct ol_error *err)
{
    const struct aside temporary = aside(id);
    ol_auto_fd int lock = -1;
    int r = lock_all(containers, &lock, err);

    if (r == 0)
        r = ol_fs_rename_new(containers->dir_fd, id, containers->dir_fd, temporary.name, err);
    if (r < 0)
        return r;
    r = ol_fs_sync(containers->dir_fd, containers->path, err);
    if (r < 0) { /* what the caller is told and what is there must agree */
        (void)ol_fs_rename_new(containers->dir_fd, temporary.name, containers->dir_fd, id, NULL);
        return r;
    }
    return ol_tree_remove(containers->dir_fd, temporary.name, err);
}
