/* SPDX-License-Identifier: Apache-2.0 */
/* Containers as users know them; see containers.h. Their files are in containers_file.c. */
#include "store/containers_internal.h"

#include "common/cleanup.h"
#include "common/fs/file.h"
#include "common/fs/path.h"
#include "common/mount/mount.h"
#include "common/time_text.h"
#include "common/trace.h"
#include "drivers/rootfs.h"
#include "store/change.h"
#include "store/commit_config.h"
#include "store/image_internal.h"
#include "store/reference.h"
#include "store/store_internal.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

enum { NAME_MAX_CHARS = 255, SHORT_ID = 12 }; /* characters */

bool ol_container_name_valid(const char *name)
{
    size_t len = strlen(name);

    if (len < 2 || len > NAME_MAX_CHARS || !isalnum((unsigned char)name[0]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)name[i]) && strchr("_.-", name[i]) == NULL)
            return false;
    return true;
}

/* --- opening --- */

static struct ol_driver *driver_of(const struct ol_containers *containers)
{
    return ol_images_layers(containers->images)->drv;
}

/* A process that was killed between the layers and the record, or the other way round. */
static int drop_without_record(const struct ol_store_container *layer, void *data)
{
    const struct ol_containers *containers = data;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    int r;

    if (ol_container_file_exists(containers, layer->id))
        return 0;
    r = ol_store_container_remove(ol_images_layers(containers->images), layer->id, &err);
    if (r < 0)
        ol_trace(OL_TRACE_STORE, "left for the next start: container '%s': %s", layer->id,
                 ol_error_text(&err));
    return 0;
}

int ol_containers_open(const char *root, const char *driver, struct ol_images *images,
                       enum ol_containers_mode mode, struct ol_containers **ret,
                       struct ol_error *err)
{
    struct ol_containers *containers = calloc(1, sizeof *containers);
    int r;

    if (containers == NULL)
        return ol_error_nomem(err);
    containers->dir_fd = -1;
    containers->images = images;
    containers->driver = strdup(driver);
    if (asprintf(&containers->path, "%s/containers", root) < 0)
        containers->path = NULL;
    r = containers->driver == NULL || containers->path == NULL
            ? ol_error_nomem(err)
            : ol_container_files_open(containers, mode, err);
    if (r == 0 && mode == OL_CONTAINERS_USE)
        r = ol_store_container_list(ol_images_layers(images), drop_without_record, containers, err);
    if (r < 0) {
        ol_containers_close(containers);
        return r;
    }
    *ret = containers;
    return 0;
}

void ol_containers_close(struct ol_containers *containers)
{
    if (containers == NULL)
        return;
    ol_fd_close(&containers->dir_fd);
    free(containers->path);
    free(containers->driver);
    free(containers);
}

/* --- finding --- */

static int found(struct ol_container *from, struct ol_container *ret)
{
    *ret = *from;
    *from = (struct ol_container)OL_CONTAINER_INIT;
    return 0;
}

static int no_container(const char *name, const struct ol_container *list, size_t count,
                        struct ol_error *err)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].name, name) == 0 || strcmp(list[i].id, name) == 0)
            return ol_error_set(err, -ENOENT, "container '%s' is one of driver '%s': '-d %s'", name,
                                list[i].driver, list[i].driver);
    return ol_error_set(err, -ENOENT, "no container '%s'", name);
}

static int find_in(const struct ol_containers *containers, struct ol_container *list, size_t count,
                   const char *name, struct ol_container *ret, struct ol_error *err)
{
    struct ol_container *with_prefix = NULL;
    size_t len = strlen(name);

    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].driver, containers->driver) == 0 && strcmp(list[i].id, name) == 0)
            return found(&list[i], ret);
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].driver, containers->driver) == 0 && strcmp(list[i].name, name) == 0)
            return found(&list[i], ret);
    for (size_t i = 0; len > 0 && i < count; i++) {
        if (strcmp(list[i].driver, containers->driver) != 0 || strncmp(list[i].id, name, len) != 0)
            continue;
        if (with_prefix != NULL)
            return ol_error_set(err, -EINVAL, "several containers have ids that begin with '%s'",
                                name);
        with_prefix = &list[i];
    }
    return with_prefix != NULL ? found(with_prefix, ret) : no_container(name, list, count, err);
}

int ol_containers_find(struct ol_containers *containers, const char *name, struct ol_container *ret,
                       struct ol_error *err)
{
    struct ol_container *list = NULL;
    size_t count = 0;
    int r = ol_container_list_read(containers, &list, &count, err);

    if (r < 0)
        return r;
    r = find_in(containers, list, count, name, ret, err);
    ol_container_list_free(list, count);
    return r;
}

int ol_containers_list(struct ol_containers *containers,
                       int (*fn)(const struct ol_container *container, void *data), void *data,
                       struct ol_error *err)
{
    struct ol_container *list = NULL;
    size_t count = 0;
    int r = ol_container_list_read(containers, &list, &count, err);

    for (size_t i = 0; r == 0 && i < count; i++)
        if (strcmp(list[i].driver, containers->driver) == 0)
            r = fn(&list[i], data);
    if (list != NULL)
        ol_container_list_free(list, count);
    return r;
}

int ol_containers_lock(struct ol_containers *containers, const struct ol_container *container,
                       int *ret_fd, struct ol_error *err)
{
    ol_auto_fd int fd = ol_fs_open_dir(containers->dir_fd, container->id);

    if (fd < 0)
        return ol_error_sys(err, -fd, "cannot open '%s/%s'", containers->path, container->id);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK
                   ? ol_error_set(err, -EBUSY, "container '%s' is in use by another command",
                                  container->name)
                   : ol_error_sys(err, errno, "cannot lock container '%s'", container->name);
    *ret_fd = ol_fd_steal(&fd);
    return 0;
}

int ol_containers_layer(struct ol_containers *containers, const struct ol_container *container,
                        char ret[static OL_HEX_SIZE], struct ol_error *err)
{
    struct ol_store_container layer;
    int r = ol_store_container_get(ol_images_layers(containers->images), container->id, &layer,
                                   NULL);

    if (r < 0)
        return ol_error_set(err, r,
                            "the layers of container '%s' are gone: 'overlab container rm -d %s "
                            "%s' removes what is left of it",
                            container->name, container->driver, container->name);
    memcpy(ret, layer.mount_id, OL_HEX_SIZE);
    return 0;
}

/* --- create --- */

/* docker create makes the working directory of the image's config (container/container_unix.go). */
static int make_working_directory(struct ol_driver *drv, const char *layer, const json_t *config,
                                  struct ol_error *err)
{
    const char *path = ol_json_string(config, "WorkingDir");
    ol_auto_free char *clean = strdup(path != NULL ? path : "");
    struct ol_rootfs *fs = NULL;
    int closed;
    int r;

    if (clean == NULL)
        return ol_error_nomem(err);
    (void)ol_path_clean(clean, clean); /* what climbs ends at the root */
    if (clean[0] == '\0' || (ol_driver_caps(drv) & OL_CAP_KEEPS_DATA) == 0)
        return 0;
    r = ol_driver_rootfs(drv, layer, &fs, err);
    if (r < 0)
        return r;
    r = ol_store_mkdirs(fs, clean, err);
    closed = ol_rootfs_close(fs, r < 0 ? NULL : err);
    return r < 0 ? ol_error_wrap(err, r, "working directory of the image") : closed;
}

static int make_record(const struct ol_containers *containers, const struct ol_container_spec *spec,
                       const struct ol_stored_image *image, const json_t *image_config,
                       struct ol_container *ret, struct ol_error *err)
{
    char created[OL_TIME_TEXT_SIZE];
    char short_id[SHORT_ID + 1];
    json_t *config = NULL;
    int r = ol_container_config(image_config, ret->id, spec->image, &config, err);

    if (r < 0)
        return r;
    (void)snprintf(short_id, sizeof short_id, "%.12s", ret->id);
    ol_time_text(&spec->created, spec->created.tv_nsec != 0, created);
    ret->json = json_pack("{ss, ss, ss, ss, ss, ss, ss, so}", "schema", "overlab.container/1", "id",
                          ret->id, "name", spec->name != NULL ? spec->name : short_id, "driver",
                          containers->driver, "image", image->id, "image_name", spec->image,
                          "created", created, "config", config);
    return ret->json == NULL ? ol_error_nomem(err) : ol_container_parse(ret, "new record", err);
}

/* The layers are there; the record follows. */
static int finish_create(struct ol_containers *containers, const struct ol_container_spec *spec,
                         const struct ol_stored_image *image, const char *layer,
                         struct ol_container *ret, struct ol_error *err)
{
    ol_auto_image_config struct ol_image_config config = OL_IMAGE_CONFIG_INIT;
    int r = ol_images_config(containers->images, image->id, &config, err);

    if (r == 0)
        r = make_record(containers, spec, image, config.json, ret, err);
    if (r == 0)
        r = make_working_directory(driver_of(containers), layer, ret->config, err);
    return r < 0 ? r : ol_container_file_write(containers, ret, err);
}

static int check_spec(struct ol_containers *containers, const struct ol_container_spec *spec,
                      struct ol_stored_image *image, struct ol_error *err)
{
    int r = 0;

    if (spec->name != NULL && !ol_container_name_valid(spec->name))
        return ol_error_set(err, -EINVAL,
                            "'%s' is no container name: a letter or digit, then one or more of "
                            "letters, digits, '_', '.', '-'",
                            spec->name);
    if (spec->name != NULL)
        r = ol_container_name_free(containers, spec->name, err);
    return r < 0 ? r : ol_images_find(containers->images, spec->image, image, err);
}

int ol_containers_create(struct ol_containers *containers, const struct ol_container_spec *spec,
                         struct ol_container *ret, struct ol_error *err)
{
    ol_auto_container struct ol_container made = OL_CONTAINER_INIT;
    struct ol_store *layers = ol_images_layers(containers->images);
    struct ol_store_container layer;
    struct ol_stored_image image;
    int r = check_spec(containers, spec, &image, err);

    if (r == 0)
        r = ol_store_container_create(layers, image.chain_id, &layer, err);
    if (r < 0)
        return r;
    memcpy(made.id, layer.id, sizeof made.id);
    r = finish_create(containers, spec, &image, layer.mount_id, &made, err);
    if (r < 0) {
        (void)ol_store_container_remove(layers, layer.id, NULL); /* the first error counts */
        return r;
    }
    return found(&made, ret);
}

/* --- remove --- */

static int check_not_mounted(struct ol_containers *containers, const struct ol_container *container,
                             const char *layer, struct ol_error *err)
{
    ol_auto_free char *dir = NULL;
    char **mounts = NULL;
    size_t count = 0;
    int r;

    if (asprintf(&dir, "%s/%s", ol_driver_home(driver_of(containers)), layer) < 0) {
        dir = NULL;
        return ol_error_nomem(err);
    }
    r = ol_mount_list_below(dir, &mounts, &count, err);
    if (r < 0)
        return r;
    if (count > 0)
        r = ol_error_set(err, -EBUSY,
                         "container '%s' is mounted on '%s': 'overlab container umount' first",
                         container->name, mounts[0]);
    ol_mount_list_free(mounts);
    return r;
}

/* The record goes first: what is left without one is removed by the next start. */
int ol_containers_remove(struct ol_containers *containers, const struct ol_container *container,
                         struct ol_error *err)
{
    ol_auto_fd int lock = -1;
    char layer[OL_HEX_SIZE] = "";
    bool lost;
    int r = ol_containers_lock(containers, container, &lock, err);

    if (r < 0)
        return r;
    /* its layers are gone already: only the record is left */
    lost = ol_containers_layer(containers, container, layer, NULL) < 0;
    r = lost ? 0 : check_not_mounted(containers, container, layer, err);
    if (r < 0)
        return r;
    r = ol_container_file_remove(containers, container->id, err);
    if (r == 0 && !lost)
        r = ol_store_container_remove(ol_images_layers(containers->images), container->id, err);
    if (r < 0 && !ol_container_file_exists(containers, container->id))
        return ol_error_wrap(err, r, "container '%s' is gone, the next command clears up the rest",
                             container->name);
    return r;
}

/* --- commit --- */

/* What would be refused is, before any work is done. */
static int check_commit(const struct ol_container *container,
                        const struct ol_container_commit *commit, struct ol_error *err)
{
    struct ol_reference reference;
    json_t *config = NULL;
    int r = commit->name != NULL ? ol_reference_parse(commit->name, &reference, err) : 0;

    if (r == 0)
        r = ol_change_apply(container->config, commit->changes, commit->n_changes, &config, err);
    json_decref(config);
    return r;
}

/* As dockerd, which needs the image's config and history: without them there is no commit. */
static int read_parent(struct ol_containers *containers, const struct ol_container *container,
                       struct ol_image_config *ret, struct ol_error *err)
{
    struct ol_stored_image image;

    if (ol_images_find(containers->images, container->image, &image, NULL) == -ENOENT)
        return ol_error_set(err, -ENOENT,
                            "the image '%s' of container '%s' ('%s') was removed: import it again "
                            "to commit",
                            container->image, container->name, container->image_name);
    return ol_images_config(containers->images, container->image, ret, err);
}

static int put_image(struct ol_containers *containers, const struct ol_container *container,
                     const struct ol_container_commit *commit, const json_t *parent,
                     struct ol_container_committed *ret, struct ol_error *err)
{
    const struct ol_commit_config made = {
        .image = parent,
        .container = container->config,
        .container_id = container->id,
        .message = commit->message,
        .author = commit->author,
        .changes = commit->changes,
        .n_changes = commit->n_changes,
        .diff_id = ret->layer.empty ? NULL : ret->layer.layer.diff_id,
        .created = commit->created,
    };
    ol_auto_image_config struct ol_image_config config = OL_IMAGE_CONFIG_INIT;
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    const struct ol_image_tag tag = {.name = commit->name, .id = ret->id};
    bool existed = false;
    int r = ol_commit_config_make(&made, &text, err);

    if (r == 0)
        r = ol_image_config_parse(&text, &config, err);
    if (r == 0)
        r = ol_images_put(containers->images, &config, container->image, &existed, err);
    if (r < 0)
        return r;
    memcpy(ret->id, config.id, sizeof ret->id);
    if (commit->name != NULL)
        r = ol_images_tag(containers->images, &tag, 1, err);
    if (r < 0 && !existed)
        (void)ol_images_remove(containers->images, ret->id, false, NULL, NULL, NULL); /* as above */
    return r;
}

int ol_containers_commit(struct ol_containers *containers, const struct ol_container *container,
                         const struct ol_container_commit *commit,
                         struct ol_container_committed *ret, struct ol_error *err)
{
    ol_auto_image_config struct ol_image_config parent = OL_IMAGE_CONFIG_INIT;
    struct ol_container_committed made = {.id = ""};
    char layer[OL_HEX_SIZE]; /* asked for only for what is said when it is gone */
    ol_auto_fd int lock = -1;
    int r = check_commit(container, commit, err);

    if (r == 0)
        r = ol_containers_lock(containers, container, &lock, err);
    if (r == 0)
        r = ol_containers_layer(containers, container, layer, err);
    if (r == 0)
        r = read_parent(containers, container, &parent, err);
    if (r == 0)
        r = ol_store_commit(ol_images_layers(containers->images), container->id, &made.layer, err);
    if (r < 0)
        return r;
    r = put_image(containers, container, commit, parent.json, &made, err);
    if (r < 0) { /* the first error counts; the next start tries again */
        (void)ol_images_drop_layers(containers->images, made.layer.layer.chain_id, NULL, NULL,
                                    NULL);
        return r;
    }
    *ret = made;
    return 0;
}
