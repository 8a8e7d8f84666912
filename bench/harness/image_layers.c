/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the layers of an image; see image_layers.h. */
#include "bench/harness/image_layers.h"

#include "common/cleanup.h"
#include "common/layer/layer.h"
#include "common/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

int ol_image_layers_init(struct ol_image_layers *layers, struct ol_image *image,
                         struct ol_error *err)
{
    size_t n = ol_image_layer_count(image);

    *layers = (struct ol_image_layers){.image = image};
    if (n == 0)
        return ol_error_set(err, -EINVAL, "image '%s' has no layers", ol_image_source(image));
    layers->streams = calloc(n, sizeof *layers->streams);
    layers->spools = calloc(n, sizeof *layers->spools);
    layers->inputs = calloc(n, sizeof *layers->inputs);
    if (layers->streams == NULL || layers->spools == NULL || layers->inputs == NULL)
        return ol_error_nomem(err);
    for (size_t i = 0; i < n; i++)
        layers->spools[i] = -1;
    layers->count = n;
    return 0;
}

void ol_image_layers_fini(struct ol_image_layers *layers)
{
    for (size_t i = 0; i < layers->count; i++) {
        (void)ol_image_layer_close(&layers->streams[i], NULL); /* its data was read and checked */
        ol_fd_close(&layers->spools[i]);
    }
    free(layers->streams);
    free(layers->spools);
    free(layers->inputs);
    ol_image_free(layers->image);
    *layers = (struct ol_image_layers){0};
}

/* A layer that is generated, or walked out of a directory, is written once to an unnamed file:
 * making it again for every reader costs more, and need not give the same. */
static int spool(struct ol_image_layers *layers, size_t index, const char *dir, char *ret_diff_id,
                 struct ol_error *err)
{
    const char *want = ol_image_layer_diff_id(layers->image, index);
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    struct stat st;
    int r;

    if (fd < 0)
        return ol_error_sys(err, errno, "cannot make a temporary file in '%s'", dir);
    layers->spools[index] = fd;
    r = ol_layer_decompress(&layers->streams[index].input, fd, NULL, ret_diff_id, err);
    if (r < 0)
        return r;
    if (want != NULL && strcmp(want, ret_diff_id) != 0)
        return ol_error_set(err, -EBADMSG, "the layer has DiffID %s, not %s", ret_diff_id, want);
    r = ol_image_layer_close(&layers->streams[index], err);
    if (r < 0)
        return r;
    if (fstat(fd, &st) < 0)
        return ol_error_sys(err, errno, "cannot stat the copy of layer %zu", index);
    layers->inputs[index] = (struct ol_input){
        .fd = fd, .offset = 0, .length = (uint64_t)st.st_size};
    return 0;
}

int ol_image_layers_open(struct ol_image_layers *layers, size_t index,
                         const struct ol_image_layers_want *want,
                         char ret_diff_id[static OL_DIGEST_SIZE], struct ol_error *err)
{
    int r = ol_image_layer_open(layers->image, index, &layers->streams[index], err);

    ret_diff_id[0] = '\0';
    if (r < 0)
        return r;
    if (want->spool_dir != NULL && (want->plain || layers->streams[index].input.offset < 0))
        return spool(layers, index, want->spool_dir, ret_diff_id, err);
    layers->inputs[index] = layers->streams[index].input;
    return 0;
}

int ol_image_layers_close(struct ol_image_layers *layers, size_t index, struct ol_error *err)
{
    int r = ol_image_layer_close(&layers->streams[index], err);

    ol_fd_close(&layers->spools[index]);
    return r;
}

int ol_image_layers_settle(const struct ol_image_layers *layers, struct ol_report_workload *work,
                           struct ol_error *err)
{
    const char *source = ol_image_source(layers->image);

    if (work->replay) {
        work->commits = (unsigned)layers->count - 1;
        return layers->count > 1 ? 0
                                 : ol_error_set(err, -EINVAL,
                                                "image '%s' has one layer: there is no build step "
                                                "to replay",
                                                source);
    }
    if (layers->count + work->commits > OL_MAX_IMAGE_LAYERS)
        return ol_error_set(err, -E2BIG,
                            "image '%s' has %zu layers: with %u commits it passes the %d an image "
                            "may have",
                            source, layers->count, work->commits, OL_MAX_IMAGE_LAYERS);
    return 0;
}
