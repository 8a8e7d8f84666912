/* SPDX-License-Identifier: Apache-2.0 */
/* The overlay2 driver's instance, shared by its source files. */
#ifndef OL_DRIVERS_OVERLAY2_OVERLAY2_H
#define OL_DRIVERS_OVERLAY2_OVERLAY2_H

#include "common/buf.h"
#include "drivers/mounted.h"

#include <pthread.h>

enum { OVERLAY2_LINK_LEN = 26 }; /* characters of a short name in l/ */

struct overlay2 {
    struct ol_mounted mounted;
    int links_fd;         /* owned: <home>/l */
    bool force_naive;     /* option diff=naive */
    bool has_index;       /* the kernel knows index=off */
    pthread_mutex_t once; /* guards the two below */
    bool native_known;
    bool native;      /* the upper directory may be taken for the diff (check.c) */
    char *native_why; /* owned: why not, or NULL */
};

struct overlay2 *overlay2_from(struct ol_driver *drv);

/* links.c: l/<26 characters> -> ../<id>/diff, and the files that name them */

/** Make a fresh short link to id; writes its name. */
int overlay2_link_make(struct overlay2 *o, const char *id, char ret[static OVERLAY2_LINK_LEN + 1],
                       struct ol_error *err);
/** The name in <layer>/link; -EUCLEAN when it is no short name. */
int overlay2_link_read(int layer_fd, char ret[static OVERLAY2_LINK_LEN + 1], struct ol_error *err);
/** Append "l/<name>:l/<name>…" of the layer's lower directories; nothing for a base layer. */
int overlay2_lower_read(int layer_fd, struct ol_buf *ret, struct ol_error *err);
/** Entries of such a list. */
size_t overlay2_lower_count(const char *lower);
/** The layer a short link ("l/<name>") leads to; owned by the caller. */
int overlay2_link_target(struct overlay2 *o, const char *entry, char **ret, struct ol_error *err);
/** Remove links that lead nowhere. */
int overlay2_links_clean(struct overlay2 *o, struct ol_error *err);

/* check.c */

/** Whether native diff may be used; tried once, with a real mount (moby doesSupportNativeDiff). */
bool overlay2_native(struct overlay2 *o);

/* diff.c */
int overlay2_diff(struct ol_driver *drv, const char *id, const char *parent, int *out_fd,
                  struct ol_tar_result *ret, struct ol_error *err);
int overlay2_apply_diff(struct ol_driver *drv, const char *id, const char *parent,
                        const struct ol_input *tar, struct ol_apply_result *ret,
                        struct ol_error *err);
int overlay2_diff_size(struct ol_driver *drv, const char *id, const char *parent, uint64_t *ret,
                       struct ol_error *err);

#endif
