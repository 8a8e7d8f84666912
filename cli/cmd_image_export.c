/* SPDX-License-Identifier: Apache-2.0 */
/* "overlab image export": images out, for docker, ctr, umoci and whoever reads what they write. */
#include "cli/image.h"

#include "store/image_export.h"

#include <unistd.h>

struct job {
    struct ol_cli *cli;
    const struct image_args *args;
    struct ol_images *images;
    struct ol_export_result result;
};

static void tell_rewritten(const struct ol_export_rewritten *layer, void *data)
{
    struct job *job = data;

    ol_cli_warn(job->cli,
                "layer %zu of '%s' was written anew, as its own tar was not kept: its DiffID is %s "
                "there, not %s",
                layer->index + 1, layer->image, layer->after, layer->before);
}

static int write_archive(int fd, void *data, struct ol_error *err)
{
    struct job *job = data;
    const struct ol_export_options options = {
        .compression = job->args->compression,
        .cancelled = ol_cli_cancelled,
        .rewritten = tell_rewritten,
        .data = job,
    };

    return ol_images_export(job->images, job->args->words, job->args->n_words, fd, &options,
                            &job->result, err);
}

static int export_images(struct ol_cli *cli, const struct image_args *args,
                         struct ol_images *images, struct ol_error *err)
{
    struct job job = {.cli = cli, .args = args, .images = images};
    bool to_stdout = args->output == NULL || strcmp(args->output, "-") == 0;
    int r = to_stdout ? write_archive(STDOUT_FILENO, &job, err)
                      : ol_cli_replace_file(args->output, write_archive, &job, err);

    if (r == 0)
        ol_cli_detail(cli, "%zu images in %zu blobs, %llu bytes", job.result.images,
                      job.result.blobs, (unsigned long long)job.result.bytes);
    return r;
}

int cmd_image_export(struct ol_cli *cli, int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"compress", IMAGE_KEY_COMPRESS, "gzip|zstd|none", 0,
         "of the layers in it; default none, as docker save does. docker before 23 and umoci read "
         "no zstd",
         0},
        ENGINE_OPTION_DRIVER,
        {"output", IMAGE_KEY_OUTPUT, "FILE", 0, "write to FILE, whole or not at all; -: stdout", 0},
        ENGINE_OPTION_VIEW,
        {0},
    };
    struct image_args args;

    if (!image_parse(cli, argc, argv, options, 1, 4096,
                     "Writes one archive that docker load, ctr images import and, unpacked, umoci "
                     "and skopeo read: an OCI layout with Docker's manifest.json. Layers have the "
                     "bytes they came with, shared ones are in it once, and the same images give "
                     "the same archive. IMAGE is a name, which goes with the image, or an id.",
                     &args))
        return cli->status;
    if ((args.output == NULL || strcmp(args.output, "-") == 0) && isatty(STDOUT_FILENO)) {
        image_args_fini(&args);
        return ol_cli_usage(cli, "an archive is not written to a terminal: '-o FILE'");
    }
    return image_run(cli, &args, LAYER_READ, export_images);
}
