/* SPDX-License-Identifier: Apache-2.0 */
/* See images_fixture.h. */
#include "images_fixture.h"
#include "image_builder.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

int images_setup(void **state)
{
    struct images_fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    test_dir_make(&f->dir);
    f->home = text_of("%s/home", f->dir.path);
    f->dir_path = text_of("%s/images", f->dir.path);
    images_reopen(f);
    *state = f;
    return 0;
}

int images_teardown(void **state)
{
    struct images_fixture *f = *state;

    images_shut(f);
    free(f->home);
    free(f->dir_path);
    test_dir_remove(&f->dir);
    free(f);
    return 0;
}

void images_shut(struct images_fixture *f)
{
    ol_images_close(f->images);
    ol_driver_close(f->drv);
    f->images = NULL;
    f->drv = NULL;
}

int images_try_open(struct images_fixture *f, struct ol_error *err)
{
    const struct ol_driver_config config = {
        .home = f->home, .view = OL_VIEW_DIRECT, .keep_owner = geteuid() == 0};
    struct ol_driver *inner = NULL;
    int r = ol_driver_open("vfs", &config, &inner, err);

    if (r == 0)
        r = ol_driver_fault_new(inner, &f->drv, err);
    if (r == 0)
        r = ol_images_open(f->dir_path, f->drv, &f->options, &f->images, err);
    if (r < 0)
        images_shut(f);
    return r;
}

void images_reopen(struct images_fixture *f)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    images_shut(f);
    assert_ok(images_try_open(f, &err), &err);
}

void images_config(const char *author, const char *diff_id, struct ol_image_config *ret)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_buf struct ol_buf bytes = OL_BUF_INIT;

    assert_int_equal(ol_buf_printf(&bytes,
                                   "{\"author\":\"%s\",\"config\":{\"WorkingDir\":\"/w/"
                                   "x\"},\"os\":\"linux\",\"rootfs\":{\"type\":"
                                   "\"layers\",\"diff_ids\":[\"%s\"]}}",
                                   author, diff_id),
                     0);
    assert_ok(ol_image_config_parse(&bytes, ret, &err), &err);
}

void images_put_into(struct ol_images *images, const char *author, const char *parent,
                     const char *name, char ret_id[OL_DIGEST_SIZE])
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_image_config struct ol_image_config config = OL_IMAGE_CONFIG_INIT;
    struct tarball tar = TARBALL_INIT;
    struct ol_store_layer layer;

    make_layer(&tar, "d/file");
    const struct ol_input input = OL_INPUT_FD(tarball_fd(&tar));
    assert_ok(ol_store_register(ol_images_layers(images), NULL, &input, NULL, &layer, NULL, NULL,
                                NULL, &err),
              &err);
    tarball_fini(&tar);
    images_config(author, layer.diff_id, &config);
    assert_ok(ol_images_put(images, &config, parent, NULL, &err), &err);
    memcpy(ret_id, config.id, OL_DIGEST_SIZE);
    if (name != NULL)
        assert_ok(ol_images_tag(images, &(struct ol_image_tag){name, config.id}, 1, &err), &err);
}

void images_put(struct images_fixture *f, const char *author, const char *parent, const char *name,
                char ret_id[OL_DIGEST_SIZE])
{
    images_put_into(f->images, author, parent, name, ret_id);
}

static void write_file(const char *path, const void *data, size_t len)
{
    ol_auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), len);
}

void images_overwrite(struct images_fixture *f, const char *what, const char *text)
{
    ol_auto_free char *path = ol_digest_valid(what) ? text_of("%s/imagedb/content/sha256/%s",
                                                              f->dir_path, ol_digest_hex(what))
                                                    : text_of("%s/%s", f->dir_path, what);

    write_file(path, text, strlen(text));
}

char *images_save(struct images_fixture *f, struct tarball *tar, const char *name)
{
    char *path = text_of("%s/%s", f->dir.path, name);

    write_file(path, tar->data, tar->len);
    tarball_fini(tar);
    return path;
}

static size_t count_entries(const struct images_fixture *f, const char *subdir)
{
    ol_auto_free char *path = text_of("%s/%s", f->dir_path, subdir);

    return test_count_names(path);
}

static int count_layer(const char *id, void *data)
{
    (void)id;
    ++*(size_t *)data;
    return 0;
}

void images_assert_holds(struct images_fixture *f, size_t images, size_t layers)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    size_t driver_layers = 0;

    assert_int_equal(count_entries(f, "imagedb/content/sha256"), images);
    assert_in_range(count_entries(f, "imagedb/metadata/sha256"), 0, images);
    assert_int_equal(count_entries(f, "layerdb/sha256"), layers);
    assert_int_equal(count_entries(f, "layerdb/tmp"), 0);
    assert_ok(ol_driver_list(f->drv, count_layer, &driver_layers, &err), &err);
    assert_int_equal(driver_layers, layers);
}
