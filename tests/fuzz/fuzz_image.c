/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the reader of image archives: telling the format, the index of members, the JSON of both
 * formats, configs and names; then every layer is read as an import would, its blob held against
 * its digest. Tar headers get a right checksum first.
 */
#include "place.h"
#include "tar_checksums.h"

#include "common/cleanup.h"
#include "common/layer/layer.h"
#include "store/image.h"
#include "store/image_config.h"
#include "store/reference.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_layer(const struct ol_image *image, size_t index)
{
    struct ol_layer_limits limits = OL_LAYER_LIMITS_DEFAULT;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_image_stream stream;

    limits.total_bytes = 4 << 20;
    if (ol_image_layer_open(image, index, &stream, &err) < 0)
        return;
    (void)ol_layer_decompress(&stream.input, -1, &limits, NULL, &err);
    (void)ol_image_layer_close(&stream, NULL);
}

static void read_image(struct ol_image *image)
{
    ol_image_verify_blobs(image);
    for (size_t i = 0; i < ol_image_name_count(image); i++) {
        struct ol_reference ref;
        if (ol_reference_parse(ol_image_name(image, i), &ref, NULL) == 0) /* stays what it is */
            die_unless(ol_reference_parse(ref.text, &ref, NULL) == 0 &&
                       strstr(ref.repository, "..") == NULL);
    }
    for (size_t i = 0; i < ol_image_layer_count(image); i++)
        read_layer(image, i);
}

static void parse_config(const uint8_t *data, size_t size)
{
    ol_auto_image_config struct ol_image_config config = OL_IMAGE_CONFIG_INIT;
    ol_auto_buf struct ol_buf bytes = OL_BUF_INIT;

    die_unless(ol_buf_append(&bytes, data, size) == 0);
    if (ol_image_config_parse(&bytes, &config, NULL) == 0)
        die_unless(config.layers > 0 && ol_digest_valid(config.chain_id));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *tmp = getenv("TMPDIR");
    ol_auto_fd int fd = memfd_create("image", MFD_CLOEXEC);
    ol_auto_free uint8_t *copy = malloc(size + 1);
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_image_set set = {NULL, 0};
    char path[32];

    die_unless(fd >= 0 && copy != NULL);
    memcpy(copy, data, size);
    tar_fix_checksums(copy, size);
    die_unless(ol_io_write(fd, copy, size) == 0);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (ol_image_open_all(path, tmp != NULL ? tmp : "/tmp", &set, &err) < 0)
        die_unless(err.message != NULL);
    for (size_t i = 0; i < set.count; i++)
        read_image(set.items[i]);
    ol_image_set_fini(&set);
    parse_config(data, size);
    return 0;
}
