/* SPDX-License-Identifier: Apache-2.0 */
/* What the "overlab snapshot" commands share: their arguments and an open snapshotter. */
#ifndef OL_CLI_SNAPSHOT_H
#define OL_CLI_SNAPSHOT_H

#include "cli/cli.h"
#include "drivers/snapshot/snapshot.h"

#include <jansson.h>

/* Arguments of every snapshot command; which options there are is said in flags. */
enum snapshot_option {
    SNAPSHOT_LABELS = 1 << 0, /* --label */
    SNAPSHOT_PARENT = 1 << 1, /* --parent */
    SNAPSHOT_ASYNC = 1 << 2,  /* --async */
};

struct snapshot_args {
    enum ol_view view;
    struct ol_labels labels;
    const char *parent; /* borrowed from argv; NULL: none given */
    bool async;
    char **words; /* owned array of borrowed texts; n_words and a NULL */
    unsigned n_words;
};

/** Parse. @return false: return cli->status */
bool snapshot_parse(struct ol_cli *cli, int argc, char **argv, unsigned flags, unsigned min,
                    unsigned max, const char *help, struct snapshot_args *ret);
void snapshot_args_fini(struct snapshot_args *args);
/** args->words[index], or NULL when there are not so many. */
const char *snapshot_word(const struct snapshot_args *args, unsigned index);

typedef int snapshot_fn(struct ol_cli *cli, const struct snapshot_args *args,
                        struct ol_snapshots *sn, struct ol_error *err);
/**
 * Choose and enter the view, open the snapshotter, run, close; the error becomes the exit status.
 * Releases args.
 * @param mounts  fn mounts for others to see: no namespace is entered
 */
int snapshot_run(struct ol_cli *cli, struct snapshot_args *args, bool mounts, snapshot_fn *fn);

/** An info as JSON; NULL without memory. */
json_t *snapshot_info_json(const struct ol_snapshot_info *info);

#endif
