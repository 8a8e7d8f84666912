/* SPDX-License-Identifier: Apache-2.0 */
/* Inside bench/engines: dockerd as an engine (docker.c) and its API (docker_api.c). */
#ifndef OL_BENCH_ENGINES_DOCKER_H
#define OL_BENCH_ENGINES_DOCKER_H

#include "bench/engines/daemon.h"
#include "bench/engines/engines.h"
#include "bench/engines/http.h"
#include "bench/engines/load_archive.h"
#include "bench/engines/mount.h"

struct docker {
    struct ol_engine base;
    struct ol_engine_config config;
    const char *driver;                   /* "overlay2": the end of config.name */
    char *data;                           /* owned; --data-root */
    char *home;                           /* owned; the driver's directory in it */
    struct ol_daemon *daemon;             /* owned */
    struct ol_http *http;                 /* owned */
    char *socket_path;                    /* owned */
    int home_fd, image_fd, containers_fd; /* owned; of data: the driver's, and the metadata */
    struct ol_load_archive next;          /* owned; made before it is loaded */
    struct ol_engine_mount mount;         /* owned; of the newest container */

    char (*diff_ids)[OL_DIGEST_SIZE]; /* owned; n_layers of the imported image */
    char (*images)[OL_DIGEST_SIZE];   /* owned; one per layer imported, then one per commit */
    char (*containers)[OL_HEX_SIZE];  /* owned */
    unsigned n_layers, n_images, n_imported, n_containers;
};

/** Ask for the version, into base.version. */
int ol_docker_version(struct docker *d, struct ol_error *err);

/** Load d->next. */
int ol_docker_load(struct docker *d, struct ol_error *err);
int ol_docker_create(struct docker *d, const char *image, char ret[static OL_HEX_SIZE],
                     struct ol_error *err);
int ol_docker_commit(struct docker *d, const char *container, char ret[static OL_DIGEST_SIZE],
                     struct ol_error *err);
/** DELETE path, in which %s is the id. */
int ol_docker_delete(struct docker *d, const char *path, const char *id, struct ol_error *err);

/** DiffID and ChainID of the image's topmost layer. */
int ol_docker_describe_image(struct docker *d, const char *image, struct ol_engine_report *ret,
                             struct ol_error *err);
/** Where the container would be mounted, into d->mount. */
int ol_docker_describe_mount(struct docker *d, const char *container, struct ol_error *err);

#endif
