/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers as users know them: a name, the image they were made from and its config, over the
 * layer store's containers. Follows moby 20.10 daemon/create.go, names.go, delete.go and commit.go.
 * On-disk format: docs/formats/containers.md.
 *
 * The layer store's lock keeps a second process out; a container in use (a command runs in it, it
 * is being committed) is locked by itself, so that the layer store need not be.
 */
#ifndef OL_STORE_CONTAINERS_H
#define OL_STORE_CONTAINERS_H

#include "store/imagestore.h"

#include <jansson.h>
#include <time.h>

struct ol_containers;

/* A container's record. The texts point into json. */
struct ol_container {
    char id[OL_HEX_SIZE]; /* also the layer store's */
    json_t *json;         /* owned */
    const char *name, *driver;
    const char *image;      /* id, "sha256:…" */
    const char *image_name; /* as the user gave it */
    const char *created;    /* RFC 3339, UTC */
    const json_t *config;   /* Env, Cmd, … as docker create writes it */
};
#define OL_CONTAINER_INIT                                                                          \
    {                                                                                              \
        "", NULL, NULL, NULL, NULL, NULL, NULL, NULL                                               \
    }
void ol_container_fini(struct ol_container *container);
#define ol_auto_container __attribute__((cleanup(ol_container_fini)))

enum ol_containers_mode {
    OL_CONTAINERS_USE,   /* the directory is made, what a killed process left is removed: records
                            written aside, layers of containers of this driver without a record */
    OL_CONTAINERS_CHECK, /* nothing is made or removed; only for ol_images_check() */
};
/**
 * Open <root>/containers for one driver's image store, which is borrowed and must outlive it.
 * @param driver  its name without options
 */
int ol_containers_open(const char *root, const char *driver, struct ol_images *images,
                       enum ol_containers_mode mode, struct ol_containers **ret,
                       struct ol_error *err);
void ol_containers_close(struct ol_containers *containers); /* accepts NULL */

/** dockerd's rule: a letter or digit, then one or more of these and "_.-". */
bool ol_container_name_valid(const char *name);

struct ol_container_spec {
    const char *image; /* as for ol_images_find() */
    const char *name;  /* NULL: the first 12 characters of the id */
    struct timespec created;
};
/**
 * docker create: init layer, container layer, and in it the working directory the image's config
 * names. Failure leaves nothing.
 * @return 0; -ENOENT no such image; -EINVAL no valid name; -EEXIST the name is taken, by a
 * container of whatever driver
 */
int ol_containers_create(struct ol_containers *containers, const struct ol_container_spec *spec,
                         struct ol_container *ret, struct ol_error *err);

/**
 * Find by id, by name, or by a prefix of the id that only one container has; in this order.
 * @return 0; -ENOENT, also for a container of another driver, which is named; -EINVAL several
 *         containers have this prefix
 */
int ol_containers_find(struct ol_containers *containers, const char *name, struct ol_container *ret,
                       struct ol_error *err);

/** Call fn for every container of this driver, sorted by id, until it fails. */
int ol_containers_list(struct ol_containers *containers,
                       int (*fn)(const struct ol_container *container, void *data), void *data,
                       struct ol_error *err);

/**
 * Use a container alone until the descriptor is closed, also after ol_containers_close().
 * @return 0; -EBUSY another process does
 */
int ol_containers_lock(struct ol_containers *containers, const struct ol_container *container,
                       int *ret_fd, struct ol_error *err);

/** The driver's layer of the container. @return 0; -ENOENT it is gone */
int ol_containers_layer(struct ol_containers *containers, const struct ol_container *container,
                        char ret[static OL_HEX_SIZE], struct ol_error *err);

/**
 * Remove record and layers, as far as they are there.
 * @return 0; -EBUSY it is in use or mounted. After another failure it is as before, or the error
 *         says that it is gone: then the next ol_containers_open() removes the rest.
 */
int ol_containers_remove(struct ol_containers *containers, const struct ol_container *container,
                         struct ol_error *err);

struct ol_container_commit {
    const char *name;             /* of the image, "name[:tag]"; NULL: none */
    const char *message, *author; /* NULL: none */
    const char *const *changes;   /* see change.h */
    size_t n_changes;
    struct timespec created;
};
struct ol_container_committed {
    char id[OL_DIGEST_SIZE]; /* of the image */
    struct ol_store_commit layer;
};
/**
 * docker commit. A container that is mounted is committed as it is at that moment.
 * @return 0; -EINVAL a change or the name is wrong; -EBUSY a command runs in it; -ENOENT its image
 *         was removed by force, and dockerd refuses that, too, or its layers are gone. Failure
 *         leaves nothing.
 */
int ol_containers_commit(struct ol_containers *containers, const struct ol_container *container,
                         const struct ol_container_commit *commit,
                         struct ol_container_committed *ret, struct ol_error *err);

#endif
