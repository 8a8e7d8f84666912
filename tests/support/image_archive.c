/* SPDX-License-Identifier: Apache-2.0 */
/* Writing docker-archives; see image_archive.h. */
#include "support/image_archive.h"

#include "common/digest.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void add_member(struct tarball *archive, const struct tarball *layer, size_t index)
{
    char name[32];

    (void)snprintf(name, sizeof name, "layer%zu.tar", index);
    tarball_add_bytes(archive, name, layer->data, layer->len);
}

/* One more item of a JSON list. */
static char *append(char *list, const char *before, const char *text, const char *after)
{
    char *grown = NULL;

    assert_true(asprintf(&grown, "%s%s%s%s%s", list != NULL ? list : "", list != NULL ? "," : "",
                         before, text, after) > 0);
    free(list);
    return grown;
}

char *image_archive_write_as(const struct test_dir *dir, const char *name,
                             const struct tarball *layers, size_t count, const char *history,
                             const char *names)
{
    struct tarball archive = TARBALL_INIT;
    ol_auto_free char *ids = NULL, *members = NULL, *config = NULL, *manifest = NULL;
    char *path = NULL;
    int fd;

    for (size_t i = 0; i < count; i++) {
        char digest[OL_DIGEST_SIZE];
        char number[32];

        (void)snprintf(number, sizeof number, "%zu", i);
        assert_int_equal(ol_digest_of(layers[i].data, layers[i].len, digest, NULL), 0);
        ids = append(ids, "\"", digest, "\"");
        members = append(members, "\"layer", number, ".tar\"");
        add_member(&archive, &layers[i], i);
    }
    assert_true(asprintf(&config,
                         "{\"os\":\"linux\",\"history\":[%s],\"rootfs\":{\"type\":\"layers\","
                         "\"diff_ids\":[%s]}}",
                         history, ids) > 0);
    assert_true(asprintf(&manifest,
                         "[{\"Config\":\"config.json\",\"RepoTags\":%s,\"Layers\":[%s]}]", names,
                         members) > 0);
    tarball_add_file(&archive, "config.json", config);
    tarball_add_file(&archive, "manifest.json", manifest);
    tarball_end(&archive);
    assert_true(asprintf(&path, "%s/%s", dir->path, name) > 0);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, archive.data, archive.len), (ssize_t)archive.len);
    assert_int_equal(close(fd), 0);
    tarball_fini(&archive);
    return path;
}

char *image_archive_write(const struct test_dir *dir, const char *name,
                          const struct tarball *layers, size_t count)
{
    ol_auto_free char *history = NULL;

    for (size_t i = 0; i < count; i++) {
        char number[32];

        (void)snprintf(number, sizeof number, "%zu", i);
        history = append(history, "{\"created_by\":\"RUN step ", number, "\"}");
        if (i == 0)
            history = append(history, "{\"created_by\":\"", "ENV A=1", "\",\"empty_layer\":true}");
    }
    return image_archive_write_as(dir, name, layers, count, history, "null");
}
