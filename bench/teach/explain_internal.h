/* SPDX-License-Identifier: Apache-2.0 */
/* What the printers of an explanation share: words, short names, whiteouts in their dialects. */
#ifndef OL_BENCH_TEACH_EXPLAIN_INTERNAL_H
#define OL_BENCH_TEACH_EXPLAIN_INTERNAL_H

#include "bench/teach/explain.h"
#include "bench/teach/page.h"
#include "common/fs/whiteout.h"

/**
 * Text with paths, as short as it is still known: the place is "$S", of a random name the first
 * characters stand, with a '~'.
 */
int ol_explain_shorten(const struct ol_explanation *ex, const char *text, struct ol_buf *ret);

/** Length of the "-init" at the end of a nickname, which its directory has in its own name, too. */
size_t ol_explain_init_suffix(const char *nickname);

/** A call in words: "Create barn on base: an empty layer". */
int ol_explain_call_words(const struct ol_scene *scene, const struct ol_scene_call *call,
                          enum ol_view view, struct ol_buf *ret);

/** The view, and what differs in it. */
const char *ol_explain_view_words(enum ol_view view);

/** What the name of a tar entry says. */
enum ol_wh_kind ol_explain_tar_kind(const struct ol_scene_tar *entry);

/* "This is not here any more", as it lies somewhere. */
struct ol_dialect {
    enum { OL_DIALECT_TAR, OL_DIALECT_DEVICE, OL_DIALECT_ATTRIBUTE } kind;
    const char *path;                     /* in the image; of the tar: with the whiteout's name */
    const struct ol_capture_entry *entry; /* of device and attribute */
};
typedef void ol_dialect_fn(const struct ol_dialect *dialect, void *data);

/** All of them in the moment's tar and in the container's own directory, dialect by dialect. */
void ol_explain_dialects(const struct ol_scene *scene, const struct ol_moment *moment,
                         ol_dialect_fn *fn, void *data);

#endif
