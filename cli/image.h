/* SPDX-License-Identifier: Apache-2.0 */
/* What the "overlab image" commands share: their arguments and the open image store. */
#ifndef OL_CLI_IMAGE_H
#define OL_CLI_IMAGE_H

#include "cli/engine.h"
#include "common/layer/compress.h"

enum {
    IMAGE_KEY_TAG = 0x600000,
    IMAGE_KEY_FORCE,
    IMAGE_KEY_COMPRESS,
    IMAGE_KEY_OUTPUT = 'o',
};

struct image_args {
    struct engine_args engine;
    bool force;
    const char *output; /* borrowed; NULL: not given */
    enum ol_compression compression;
    const char **tags; /* owned array of borrowed texts */
    size_t n_tags;
    const char **words; /* owned array of borrowed texts */
    size_t n_words;
};

/** Parse options and min to max words. @return false: return cli->status; nothing is owned */
bool image_parse(struct ol_cli *cli, int argc, char **argv, const struct argp_option *options,
                 unsigned min, unsigned max, const char *help, struct image_args *ret);
void image_args_fini(struct image_args *args);

typedef int image_fn(struct ol_cli *cli, const struct image_args *args, struct ol_images *images,
                     struct ol_error *err);

/** Open the data root's image store, run fn, close, release args; an error becomes the exit status.
 */
int image_run(struct ol_cli *cli, struct image_args *args, enum layer_need need, image_fn *fn);

#endif
