/* SPDX-License-Identifier: Apache-2.0 */
/* Containers and their files: containers.c over containers_file.c. */
#ifndef OL_STORE_CONTAINERS_INTERNAL_H
#define OL_STORE_CONTAINERS_INTERNAL_H

#include "store/containers.h"

struct ol_containers {
    char *path;               /* owned: <root>/containers */
    char *driver;             /* owned; without options */
    int dir_fd;               /* owned; -1 where one that is checked is missing */
    struct ol_images *images; /* borrowed */
};

/* --- containers_file.c: see docs/formats/containers.md --- */
/** Open the directory; to use it, make it where it is missing and remove what was written aside. */
int ol_container_files_open(struct ol_containers *containers, enum ol_containers_mode mode,
                            struct ol_error *err);
/** Write the record, unless its name is taken (-EEXIST). One step makes it exist. */
int ol_container_file_write(struct ol_containers *containers, const struct ol_container *container,
                            struct ol_error *err);
/** From now on it does not exist. */
int ol_container_file_remove(struct ol_containers *containers, const char *id,
                             struct ol_error *err);
/** True for the names of records written aside. */
bool ol_container_file_is_aside(const char *name);
/** Read and check one. ret may hold something after a failure, too: release it. */
int ol_container_file_read(const struct ol_containers *containers, const char *id,
                           struct ol_container *ret, struct ol_error *err);
/** False only where it is known not to be there: what has no record is removed. */
bool ol_container_file_exists(const struct ol_containers *containers, const char *id);

/** All records, of whatever driver, sorted by id. Release with ol_container_list_free(). */
int ol_container_list_read(const struct ol_containers *containers, struct ol_container **ret,
                           size_t *ret_count, struct ol_error *err);
/** -EEXIST where a container has this name. */
int ol_container_name_free(const struct ol_containers *containers, const char *name,
                           struct ol_error *err);
void ol_container_list_free(struct ol_container *list, size_t count);

/** Fill the texts from json, checking them. */
int ol_container_parse(struct ol_container *container, const char *what, struct ol_error *err);

#endif
