/* SPDX-License-Identifier: Apache-2.0 */
/* See containers_fixture.h. */
#include "containers_fixture.h"
#include "image_builder.h"
#include "images_fixture.h"

#include "drivers/rootfs.h"
#include "store/check.h"

void containers_init(struct containers_fixture *f, const char *driver, enum ol_view view)
{
    *f = (struct containers_fixture){.driver = driver, .view = view};
    test_dir_make(&f->dir);
    f->root = text_of("%s/root", f->dir.path);
    containers_reopen(f);
    containers_put_base(f);
}

void containers_put_base(struct containers_fixture *f)
{
    images_put_into(f->images, "base", NULL, "base:1", f->base);
}

void containers_fini(struct containers_fixture *f)
{
    containers_shut(f);
    free(f->root);
    test_dir_remove(&f->dir);
}

int containers_setup(void **state)
{
    struct containers_fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    containers_init(f, "vfs", OL_VIEW_DIRECT);
    *state = f;
    return 0;
}

int containers_teardown(void **state)
{
    containers_fini(*state);
    free(*state);
    return 0;
}

int containers_try_open(struct containers_fixture *f, struct ol_error *err)
{
    const struct ol_engine_config config = {.root = f->root,
                                            .driver = f->driver,
                                            .view = f->view,
                                            .keep_owner = geteuid() == 0,
                                            .sync = true};
    int r = ol_engine_open(&config, &f->engine, err);

    if (r < 0)
        return r;
    f->containers = ol_engine_containers(f->engine);
    f->images = ol_engine_images(f->engine);
    return 0;
}

void containers_shut(struct containers_fixture *f)
{
    ol_engine_close(f->engine);
    f->engine = NULL;
    f->containers = NULL;
    f->images = NULL;
}

void containers_reopen(struct containers_fixture *f)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    containers_shut(f);
    assert_ok(containers_try_open(f, &err), &err);
}

static int create(struct containers_fixture *f, const char *name, char *ret_id,
                  struct ol_error *err)
{
    const struct ol_container_spec spec = {
        .image = "base:1", .name = name, .created = {.tv_sec = 1700000000}};
    ol_auto_container struct ol_container made = OL_CONTAINER_INIT;
    int r = ol_containers_create(f->containers, &spec, &made, err);

    if (r == 0)
        memcpy(ret_id, made.id, sizeof made.id);
    return r;
}

int containers_try_add(struct containers_fixture *f, const char *name, struct ol_error *err)
{
    char id[OL_HEX_SIZE];

    return create(f, name, id, err);
}

char *containers_add(struct containers_fixture *f, const char *name)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    char id[OL_HEX_SIZE] = "";

    assert_ok(create(f, name, id, &err), &err);
    return text_of("%s", id);
}

void containers_make(struct containers_fixture *f, const char *name)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_ok(containers_try_add(f, name, &err), &err);
}

void containers_write(struct containers_fixture *f, const char *name, const char *path,
                      const char *content)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_container struct ol_container container = OL_CONTAINER_INIT;
    struct ol_rootfs *fs = NULL;
    char layer[OL_HEX_SIZE];

    assert_ok(ol_containers_find(f->containers, name, &container, &err), &err);
    assert_ok(ol_containers_layer(f->containers, &container, layer, &err), &err);
    assert_ok(ol_driver_rootfs(ol_engine_driver(f->engine), layer, &fs, &err), &err);
    assert_ok(ol_rootfs_create(fs, path, 0644, content, strlen(content), &err), &err);
    assert_ok(ol_rootfs_close(fs, &err), &err);
}

static int note_name(const struct ol_container *container, void *data)
{
    return ol_buf_printf(data, "%s ", container->name);
}

char *containers_names(struct containers_fixture *f)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_buf struct ol_buf names = OL_BUF_INIT;

    assert_ok(ol_containers_list(f->containers, note_name, &names, &err), &err);
    return text_of("%s", ol_buf_str(&names));
}

static void note_problem(const char *text, void *data)
{
    assert_null(strchr(text, '\n'));
    assert_int_equal(ol_buf_printf(data, "%s\n", text), 0);
}

char *containers_check(struct containers_fixture *f, bool content)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_buf struct ol_buf told = OL_BUF_INIT;
    const struct ol_check_options how = {.content = content};
    const struct ol_engine_config config = {.root = f->root,
                                            .driver = f->driver,
                                            .view = f->view,
                                            .problem = note_problem,
                                            .problem_data = &told};
    struct ol_engine *engine = NULL;

    containers_shut(f);
    assert_ok(ol_engine_open(&config, &engine, &err), &err);
    assert_ok(ol_images_check(ol_engine_images(engine), ol_engine_containers(engine), &how,
                              note_problem, &told, &err),
              &err);
    ol_engine_close(engine);
    return text_of("%s", ol_buf_str(&told));
}
