/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the oracle says a layer takes on disk, against ext4, xfs and btrfs made for the test: layers
 * with directories of one block are told to the byte, the built-in image's within a few percent.
 */
#include "integration/disk_systems.h"

#include "support/support.h"
#include "support/tarball.h"

#include "bench/harness/home_usage.h"
#include "bench/workloads/workload.h"
#include "common/fs/file.h"
#include "drivers/driver.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { NEAR_PERCENT = 10 };

static const struct {
    const char *name;
    enum ol_law law;
} drivers[] = {{"overlay", OL_LAW_OVERLAY},
               {"overlay:clone=all", OL_LAW_OVERLAY_CLONE_ALL},
               {"overlay2", OL_LAW_OVERLAY2},
               {"vfs", OL_LAW_VFS}};

/* One driver on one file system, filled layer by layer. */
struct disk {
    const struct disk_system *system;
    size_t driver;
    struct ol_backing *backing;
    struct ol_driver *drv;
    struct ol_model *model;
    int home_fd;
    unsigned layers;
    uint64_t bytes;               /* measured so far */
    uint64_t measured, predicted; /* of all layers */
};

static uint64_t measure(const struct disk *d)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_home_usage usage;

    assert_ok(ol_backing_sync(d->backing, &err), &err);
    assert_ok(ol_home_usage_get(d->home_fd, &usage, &err), &err);
    return usage.bytes;
}

static void disk_open(struct disk *d, const char *tmp_dir)
{
    struct ol_driver_config config = {.view = OL_VIEW_DIRECT, .threads = 1, .keep_owner = true};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *home = NULL;

    d->backing = disk_system_open(d->system, tmp_dir);
    assert_true(asprintf(&home, "%s/home", ol_backing_path(d->backing)) > 0);
    config.home = home;
    assert_ok(ol_driver_open(drivers[d->driver].name, &config, &d->drv, &err), &err);
    d->home_fd = ol_fs_open_dir(AT_FDCWD, home);
    assert_true(d->home_fd >= 0);
    assert_ok(ol_model_new(&d->model, &err), &err);
    d->bytes = measure(d);
}

static void disk_close(struct disk *d)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    ol_driver_close(d->drv);
    ol_fd_close(&d->home_fd);
    ol_model_free(d->model);
    assert_ok(ol_backing_close(d->backing, &err), &err);
}

static int feed(const struct ol_entry *entry, void *data, struct ol_error *err)
{
    return ol_model_add(data, entry, err);
}

static void apply(struct disk *d, const struct ol_input *scan, const struct ol_input *input,
                  struct ol_disk_bytes *ret)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_apply_result result;
    char id[65];
    char parent[65];
    const struct ol_layer_spec spec = {.id = id, .parent = d->layers > 0 ? parent : NULL};
    const enum ol_law law = drivers[d->driver].law;
    uint64_t now;

    (void)snprintf(id, sizeof id, "%064u", d->layers + 1);
    (void)snprintf(parent, sizeof parent, "%064u", d->layers);
    assert_ok(ol_model_begin_layer(d->model, &err), &err);
    assert_ok(ol_layer_scan(scan, NULL, feed, d->model, NULL, &err), &err);
    assert_ok(ol_driver_create(d->drv, &spec, &err), &err);
    assert_ok(ol_driver_apply_diff(d->drv, id, spec.parent, input, &result, &err), &err);
    assert_int_equal(ol_law_layer_disk(law, d->model, d->layers == 0, d->system->fs, ret), 0);
    now = measure(d);
    d->measured += now - d->bytes;
    d->predicted += ret->allocated;
    if (!ret->estimate && now - d->bytes != ret->allocated)
        fail_msg("%s, layer %u: %ju bytes measured, %ju predicted", drivers[d->driver].name,
                 d->layers, (uintmax_t)(now - d->bytes), (uintmax_t)ret->allocated);
    d->bytes = now;
    d->layers++;
}

static void add_link(struct tarball *tar, const char *name, size_t len)
{
    char target[256];

    memset(target, 'x', len);
    target[len] = '\0';
    tarball_add_symlink(tar, name, target);
}

static void add_sized(struct tarball *tar, const char *name, size_t len)
{
    ol_auto_free char *content = malloc(len + 1);

    assert_non_null(content);
    memset(content, 'c', len);
    tarball_add_bytes(tar, name, content, len);
}

/* Sizes around blocks, targets around what an inode holds, directories of up to one block. */
static void make_layer(struct tarball *tar, unsigned layer)
{
    static const size_t sizes[] = {0, 1, 2047, 2049, 4095, 4096, 4097, 100000};
    char name[64];

    tarball_fini(tar);
    tarball_add_dir(tar, "a");
    for (size_t i = 0; i < OL_ARRAY_LEN(sizes); i++) {
        (void)snprintf(name, sizeof name, "a/file%zu", i + layer);
        add_sized(tar, name, sizes[i]);
    }
    tarball_add_hardlink(tar, "a/linked", "a/file3");
    add_link(tar, "a/short", 59);
    add_link(tar, "a/long", 60);
    tarball_add_dir(tar, "many");
    for (unsigned i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof name, "many/a-name-of-some-length-%u-%u", layer, i);
        if (layer == 0)
            tarball_add_file(tar, name, "");
    }
    if (layer > 0)
        tarball_add_file(tar, "many/.wh.a-name-of-some-length-0-7", "");
    tarball_end(tar);
}

static void small_on(const struct disk_system *system, const char *tmp_dir)
{
    struct tarball tar = TARBALL_INIT;

    for (size_t i = 0; i < OL_ARRAY_LEN(drivers); i++) {
        struct disk d = {.system = system, .driver = i};
        struct ol_disk_bytes bytes;

        disk_open(&d, tmp_dir);
        for (unsigned layer = 0; layer < 2; layer++) {
            struct ol_input input;

            make_layer(&tar, layer);
            input = (struct ol_input){.fd = tarball_fd(&tar), .offset = 0, .length = UINT64_MAX};
            apply(&d, &input, &input, &bytes);
            assert_true(bytes.estimate == (system->fs == OL_DISK_XFS));
        }
        disk_close(&d);
    }
    tarball_fini(&tar);
}

static void image_on(const struct disk_system *system, const char *tmp_dir)
{
    for (size_t i = 0; i < OL_ARRAY_LEN(drivers); i++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        struct disk d = {.system = system, .driver = i};
        struct ol_disk_bytes bytes;
        struct ol_image *image;
        int64_t off;

        disk_open(&d, tmp_dir);
        assert_ok(ol_builtin_image_new(1, &image, &err), &err);
        for (size_t layer = 0; layer < ol_image_layer_count(image); layer++) {
            struct ol_image_stream scan;
            struct ol_image_stream stream;

            assert_ok(ol_image_layer_open(image, layer, &scan, &err), &err);
            assert_ok(ol_image_layer_open(image, layer, &stream, &err), &err);
            apply(&d, &scan.input, &stream.input, &bytes);
            assert_ok(ol_image_layer_close(&scan, &err), &err);
            assert_ok(ol_image_layer_close(&stream, &err), &err);
        }
        off = (int64_t)d.predicted - (int64_t)d.measured;
        print_message("%.*s, %s: %ju bytes measured, %ju predicted (%+.2f %%)\n",
                      (int)strcspn(system->spec, ":"), system->spec, drivers[i].name,
                      (uintmax_t)d.measured, (uintmax_t)d.predicted,
                      100.0 * (double)off / (double)d.measured);
        assert_true((off < 0 ? -off : off) * 100 <= (int64_t)d.measured * NEAR_PERCENT);
        ol_image_free(image);
        disk_close(&d);
    }
}

static void on_each(void (*fn)(const struct disk_system *system, const char *tmp_dir))
{
    struct test_dir dir;

    test_dir_make(&dir);
    for (size_t i = 0; i < OL_ARRAY_LEN(disk_systems); i++) {
        if (disk_system_is_there(&disk_systems[i], dir.path))
            fn(&disk_systems[i], dir.path);
    }
    test_dir_remove(&dir);
}

static void disk__small_directories_are_told_to_the_byte(void **state)
{
    (void)state;
    OL_REQUIRE(can_loop_mount, "making file systems needs root and loop devices");
    on_each(small_on);
}

static void disk__the_built_in_image_is_near(void **state)
{
    (void)state;
    OL_REQUIRE(can_loop_mount, "making file systems needs root and loop devices");
    on_each(image_on);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(disk__small_directories_are_told_to_the_byte),
        cmocka_unit_test(disk__the_built_in_image_is_near),
    };
    return cmocka_run_group_tests_name("disk", tests, NULL, NULL);
}
