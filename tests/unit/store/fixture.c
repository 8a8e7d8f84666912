/* SPDX-License-Identifier: Apache-2.0 */
/* See fixture.h. */
#include "fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

void fixture_open(struct store_fixture *f, const char *spec, enum ol_view view)
{
    memset(f, 0, sizeof *f);
    test_dir_make(&f->dir);
    assert_true(asprintf(&f->home, "%s/home", f->dir.path) > 0);
    assert_true(asprintf(&f->db, "%s/db", f->dir.path) > 0);
    fixture_reopen(f, spec, view);
}

void fixture_reopen(struct store_fixture *f, const char *spec, enum ol_view view)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    const struct ol_driver_config config = {
        .home = f->home, .view = view, .keep_owner = geteuid() == 0};
    struct ol_driver *inner = NULL;

    fixture_shut(f);
    assert_ok(ol_driver_open(spec, &config, &inner, &err), &err);
    assert_ok(ol_driver_fault_new(inner, &f->drv, &err), &err);
    assert_ok(ol_store_open(f->db, f->drv, &f->options, &f->store, &err), &err);
}

void fixture_shut(struct store_fixture *f)
{
    ol_store_close(f->store);
    ol_driver_close(f->drv);
    f->store = NULL;
    f->drv = NULL;
}

void fixture_close(struct store_fixture *f)
{
    fixture_shut(f);
    free(f->home);
    free(f->db);
    test_dir_remove(&f->dir);
}

struct ol_store_layer fixture_register(struct store_fixture *f, const char *parent,
                                       struct tarball *tar)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    const struct ol_input input = OL_INPUT_FD(tarball_fd(tar));
    struct ol_store_layer layer;

    assert_ok(ol_store_register(f->store, parent, &input, NULL, &layer, NULL, NULL, NULL, &err),
              &err);
    return layer;
}

struct ol_store_layer fixture_add(struct store_fixture *f, const char *parent, const char *name,
                                  const char *content)
{
    struct tarball tar = TARBALL_INIT;
    struct ol_store_layer layer;

    tarball_add_file(&tar, name, content);
    tarball_end(&tar);
    layer = fixture_register(f, parent, &tar);
    tarball_fini(&tar);
    return layer;
}

static int count_layer(const char *id, void *data)
{
    (void)id;
    ++*(size_t *)data;
    return 0;
}

size_t fixture_driver_layers(struct store_fixture *f)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    size_t count = 0;

    assert_ok(ol_driver_list(f->drv, count_layer, &count, &err), &err);
    return count;
}

size_t fixture_records(struct store_fixture *f, const char *subdir)
{
    ol_auto_free char *path = NULL;

    assert_true(asprintf(&path, "%s/%s", f->db, subdir) > 0);
    return test_count_names(path);
}

void fixture_assert_holds(struct store_fixture *f, size_t layers, size_t containers)
{
    assert_int_equal(fixture_records(f, "sha256"), layers);
    assert_int_equal(fixture_records(f, "mounts"), containers);
    assert_int_equal(fixture_records(f, "tmp"), 0);
    assert_int_equal(fixture_driver_layers(f), layers + 2 * containers);
}

size_t count_fds(void)
{
    return test_count_names("/proc/self/fd");
}

size_t count_threads(void)
{
    return test_count_names("/proc/self/task");
}
