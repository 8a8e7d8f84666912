/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checker's part for containers: their records against the layers of this driver and its
 * images, and mounts nobody will take down. Every problem comes with what can be done about it.
 */
#include "store/check_internal.h"

#include "common/cleanup.h"
#include "common/fs/dirents.h"
#include "common/mount/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* --- one record --- */

static int check_layers(const struct ol_check *c, const struct ol_container *container)
{
    struct ol_store_container layer;
    const struct ol_image_entry *image = ol_images_entry(c->images, container->image);
    int found = ol_store_container_get(c->layers, container->id, &layer, NULL);

    if (found < 0)
        return ol_check_tell(c,
                             "container '%s' has lost its layers: 'overlab container rm -d %s %s' "
                             "removes what is left",
                             container->name, container->driver, container->name);
    if (image == NULL)
        return ol_check_tell(c,
                             "container '%s' was made from image '%s' ('%s'), which is not there: "
                             "'overlab container rm -d %s %s', or import the image again to commit "
                             "it",
                             container->name, container->image, container->image_name,
                             container->driver, container->name);
    if (strcmp(image->image.chain_id, layer.parent) != 0)
        return ol_check_tell(c,
                             "container '%s' stands on layer '%s', and its image '%s' ends with "
                             "'%s': 'overlab container rm -d %s %s'",
                             container->name, layer.parent, container->image, image->image.chain_id,
                             container->driver, container->name);
    return 0;
}

/* Names are one set for all drivers. */
static int check_name(const struct ol_check *c, const struct ol_container *container,
                      struct ol_container *seen, size_t count)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++)
        if (strcmp(seen[i].name, container->name) == 0)
            r = ol_check_tell(c,
                              "containers '%s' and '%s' are both called '%s': 'overlab container "
                              "rm -d %s %s' removes the second",
                              seen[i].id, container->id, container->name, container->driver,
                              container->id);
    return r;
}

/* ret is left empty where the record is none. */
static int check_record(const struct ol_check *c, const char *id, struct ol_container *ret)
{
    const struct ol_containers *all = c->containers;
    ol_auto_error struct ol_error why = OL_ERROR_INIT;
    int r = ol_container_file_read(all, id, ret, &why);

    if (r < 0 && !ol_container_file_exists(all, id))
        return 0; /* removed meanwhile, by a command on another driver */
    if (r < 0)
        return ol_check_tell(c,
                             "%s; no command that reads it works until '%s/%s' is removed, which "
                             "gives the container up",
                             ol_error_text(&why), all->path, id);
    return strcmp(ret->driver, all->driver) == 0 ? check_layers(c, ret) : 0;
}

/* --- all of them --- */

static int check_entry(const struct ol_check *c, const char *name, struct ol_container *seen,
                       size_t *count)
{
    struct ol_container *record = &seen[*count];
    int r;

    if (ol_container_file_is_aside(name))
        return ol_check_tell(c, "'%s/%s' was left by a killed process: the next command removes it",
                             c->containers->path, name);
    if (!ol_layerdb_id_valid(name))
        return ol_check_tell(c, "'%s/%s' belongs to no container, and may be removed",
                             c->containers->path, name);
    r = check_record(c, name, record);
    if (r < 0 || record->name == NULL) {
        ol_container_fini(record);
        return r;
    }
    r = check_name(c, record, seen, *count);
    ++*count;
    return r;
}

static int check_records(const struct ol_check *c)
{
    ol_auto_dirents struct ol_dirents names = OL_DIRENTS_INIT;
    struct ol_container *seen;
    size_t count = 0;
    int r = ol_dirents_read(&names, c->containers->dir_fd, true);

    if (r < 0)
        return ol_error_sys(c->err, -r, "cannot read '%s'", c->containers->path);
    seen = calloc(names.count + 1, sizeof *seen);
    if (seen == NULL)
        return ol_error_nomem(c->err);
    for (size_t i = 0; r == 0 && i < names.count; i++)
        r = check_entry(c, names.items[i].name, seen, &count);
    ol_container_list_free(seen, count);
    return r;
}

static int has_record(const struct ol_store_container *layer, void *data)
{
    const struct ol_check *c = data;

    if (ol_container_file_exists(c->containers, layer->id))
        return 0;
    return ol_check_tell(c,
                         "the layers of container '%s' have no record: the next command removes "
                         "them",
                         layer->id);
}

/* --- mounts --- */

static int is_mount_id(const struct ol_store_container *layer, void *data)
{
    return strcmp(layer->mount_id, data) == 0;
}

/* Those of containers are taken down by "container umount"; layers made by hand have other names.
 */
static int check_mount(const struct ol_check *c, const char *path)
{
    const char *name = path + strlen(ol_driver_home(c->layers->drv));
    char id[OL_HEX_SIZE];
    int len;

    name += strspn(name, "/");
    len = (int)strcspn(name, "/"); /* the layer, also "<id>-init" */
    (void)snprintf(id, sizeof id, "%s", name);
    if (!ol_layerdb_id_valid(id) || ol_store_container_list(c->layers, is_mount_id, id, NULL) != 0)
        return 0;
    return ol_check_tell(c,
                         "'%s' is mounted, and no container's: 'overlab layer umount -d %s %.*s' "
                         "takes it down",
                         path, c->containers->driver, len, name);
}

static int check_mounts(const struct ol_check *c)
{
    char **mounts = NULL;
    size_t count = 0;
    int r = ol_mount_list_below(ol_driver_home(c->layers->drv), &mounts, &count, c->err);

    for (size_t i = 0; r == 0 && i < count; i++)
        r = check_mount(c, mounts[i]);
    ol_mount_list_free(mounts);
    return r;
}

int ol_check_containers(struct ol_check *c)
{
    int r = c->containers->dir_fd < 0 ? 0 : check_records(c); /* there never was one */

    if (r == 0)
        r = ol_store_container_list(c->layers, has_record, c, c->err);
    return r < 0 ? r : check_mounts(c);
}
