/* SPDX-License-Identifier: Apache-2.0 */
/* store/layer_tar.c: whatever was registered leaves with the bytes it came with. */
#include "fixture.h"
#include "unit/layer/random_archive.h"

#include "common/buf.h"
#include "common/fault.h"
#include "common/fs/file.h"
#include "drivers/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const drivers[] = {"overlay", "overlay2", "vfs"};

static void open_keeping_in(struct store_fixture *f, const char *spec, enum ol_view view)
{
    fixture_open(f, spec, view);
    f->options.tar_split = true;
    fixture_reopen(f, spec, view);
}

static void open_keeping(struct store_fixture *f, const char *spec)
{
    open_keeping_in(f, spec, OL_VIEW_DIRECT);
}

static int keep(void *data, const void *bytes, size_t len, struct ol_error *err)
{
    (void)err;
    return ol_buf_append(data, bytes, len);
}

static int layer_tar(struct store_fixture *f, const char *chain_id, struct ol_buf *out,
                     struct ol_store_tar *ret, struct ol_error *err)
{
    return ol_store_layer_tar(f->store, chain_id, keep, out, ret, err);
}

static void assert_comes_back(struct store_fixture *f, const struct ol_store_layer *layer,
                              const struct tarball *tar)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_buf struct ol_buf out = OL_BUF_INIT;
    struct ol_store_tar got;

    assert_ok(layer_tar(f, layer->chain_id, &out, &got, &err), &err);
    assert_true(got.exact);
    assert_string_equal(got.diff_id, layer->diff_id);
    assert_int_equal(got.bytes, tar->len);
    assert_int_equal(out.len, tar->len);
    assert_memory_equal(out.data, tar->data, tar->len);
}

/* Three layers above each other that replace and delete what is below them, and their own. */
static void chain_comes_back(struct store_fixture *f, uint64_t seed, unsigned wildness)
{
    struct tarball tars[3] = {TARBALL_INIT, TARBALL_INIT, TARBALL_INIT};
    struct ol_store_layer layers[3];
    size_t count = 0;

    for (size_t i = 0; i < 3; i++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        random_archive_make(&tars[i], seed * 3 + i, wildness);
        tarball_end(&tars[i]);
        if (ol_store_register(f->store, count > 0 ? layers[count - 1].chain_id : NULL,
                              &OL_INPUT_FD(tarball_fd(&tars[i])), NULL, &layers[count], NULL, NULL,
                              NULL, &err) == 0) {
            assert_comes_back(f, &layers[count], &tars[i]);
            count++;
        }
    }
    for (size_t i = 0; i < 3; i++)
        tarball_fini(&tars[i]);
}

static void layer_tar__random_layers_come_back_from_every_driver(void **state)
{
    (void)state;
    OL_REQUIRE(can_user_xattr, "opaque marks need user attributes");
    for (size_t i = 0; i < OL_ARRAY_LEN(drivers); i++) {
        struct store_fixture f;
        open_keeping(&f, drivers[i]);
        for (unsigned round = 0; round < 9; round++)
            chain_comes_back(&f, 77 + round, round % 3);
        fixture_close(&f);
    }
}

/* What is applied through a mount goes where a symlink of an older layer leads, and lies in the
 * layer's own directory under another name. */
static void layer_tar__of_layers_applied_through_mounts_comes_back(void **state)
{
    struct tarball base = TARBALL_INIT;
    struct tarball top = TARBALL_INIT;
    struct store_fixture f;
    struct ol_store_layer layer;

    (void)state;
    OL_REQUIRE(can_mount_overlay, "the naive way applies through mounts");
    open_keeping_in(&f, "overlay2:diff=naive", OL_VIEW_KERNEL);
    tarball_add_dir(&base, "d/");
    tarball_add_symlink(&base, "s", "d");
    tarball_end(&base);
    layer = fixture_register(&f, NULL, &base);
    assert_comes_back(&f, &layer, &base);
    tarball_add_file(&top, "s/f", "behind a symlink of the layer below");
    tarball_add_file(&top, "plain", "and not");
    tarball_end(&top);
    layer = fixture_register(&f, layer.chain_id, &top);
    assert_comes_back(&f, &layer, &top);
    for (unsigned round = 0; round < 3; round++)
        chain_comes_back(&f, 770 + round, round);
    tarball_fini(&base);
    tarball_fini(&top);
    fixture_close(&f);
}

static void layer_tar__comes_back_after_opening_again(void **state)
{
    struct store_fixture f;
    struct tarball tar = TARBALL_INIT;
    struct ol_store_layer layer;

    (void)state;
    open_keeping(&f, "vfs");
    tarball_add_file(&tar, "./f", "hello");
    tarball_end(&tar);
    tarball_zeros(&tar, 8192);
    layer = fixture_register(&f, NULL, &tar);
    f.options.tar_split = false; /* it decides about new layers only */
    fixture_reopen(&f, "vfs", OL_VIEW_DIRECT);
    assert_comes_back(&f, &layer, &tar);
    tarball_fini(&tar);
    fixture_close(&f);
}

static void layer_tar__of_a_commit_comes_back(void **state)
{
    (void)state;
    OL_REQUIRE(can_mknod, "the init layer has a device");
    for (size_t i = 0; i < OL_ARRAY_LEN(drivers); i++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        struct store_fixture f;
        struct ol_store_layer base;
        struct ol_store_container container;
        struct ol_store_commit commit;
        ol_auto_buf struct ol_buf out = OL_BUF_INIT;
        struct ol_rootfs *root = NULL;
        struct ol_store_tar got;

        open_keeping(&f, drivers[i]);
        base = fixture_add(&f, NULL, "d/old", "from below");
        assert_ok(ol_store_container_create(f.store, base.chain_id, &container, &err), &err);
        assert_ok(ol_driver_rootfs(f.drv, container.mount_id, &root, &err), &err);
        assert_ok(ol_rootfs_create(root, "d/new", 0644, "content", 7, &err), &err);
        assert_ok(ol_rootfs_unlink(root, "d/old", &err), &err);
        assert_ok(ol_rootfs_create(root, ".wh.odd", 0644, "a whiteout's name", 17, &err), &err);
        assert_ok(ol_rootfs_close(root, &err), &err);
        assert_ok(ol_store_commit(f.store, container.id, &commit, &err), &err);
        assert_ok(layer_tar(&f, commit.layer.chain_id, &out, &got, &err), &err);
        assert_true(got.exact);
        assert_string_equal(got.diff_id, commit.layer.diff_id);
        fixture_close(&f);
    }
}

static void layer_tar__without_a_record_is_written_anew(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_buf struct ol_buf out = OL_BUF_INIT;
    struct store_fixture f;
    struct ol_store_layer layer, again;
    struct ol_store_tar got;

    (void)state;
    fixture_open(&f, "vfs", OL_VIEW_DIRECT);
    layer = fixture_add(&f, NULL, "./odd//name", "hello");
    assert_ok(layer_tar(&f, layer.chain_id, &out, &got, &err), &err);
    assert_false(got.exact);
    assert_int_equal(got.bytes, out.len);
    assert_string_not_equal(got.diff_id, layer.diff_id);
    {
        ol_auto_fd int fd = open(f.dir.path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        assert_int_equal(ol_io_write(fd, out.data, out.len), 0);
        assert_ok(ol_store_register(f.store, NULL, &(struct ol_input){fd, 0, UINT64_MAX},
                                    got.diff_id, &again, NULL, NULL, NULL, &err),
                  &err);
    }
    fixture_close(&f);
}

/* The path with this text in it cannot give back the layer; the message names what. */
static void assert_not_made(struct store_fixture *f, const struct ol_store_layer *layer,
                            const char *path, const char *text, const char *told)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_buf struct ol_buf out = OL_BUF_INIT;

    test_write(AT_FDCWD, path, text);
    assert_int_equal(layer_tar(f, layer->chain_id, &out, NULL, &err), -EBADMSG);
    assert_message(&err, layer->chain_id);
    assert_message(&err, told);
}

static void layer_tar__changed_layer_is_named_and_its_file_too(void **state)
{
    ol_auto_free char *path = NULL;
    struct store_fixture f;
    struct ol_store_layer layer;

    (void)state;
    open_keeping(&f, "overlay2");
    layer = fixture_add(&f, NULL, "d/f", "hello");
    assert_true(asprintf(&path, "%s/%s/diff/d/f", f.home, layer.cache_id) > 0);
    assert_not_made(&f, &layer, path, "HELLO", "'d/f' has changed");
    fixture_close(&f);
}

static void layer_tar__changed_record_is_noticed(void **state)
{
    ol_auto_free char *path = NULL;
    struct store_fixture f;
    struct ol_store_layer layer;

    (void)state;
    open_keeping(&f, "vfs");
    layer = fixture_add(&f, NULL, "f", "hello");
    assert_true(
        asprintf(&path, "%s/sha256/%s/tar-split.json.gz", f.db, ol_digest_hex(layer.chain_id)) > 0);
    assert_not_made(&f, &layer, path, "{\"type\":2,\"payload\":\"AAAA\",\"position\":0}\n",
                    "DiffID");
    fixture_close(&f);
}

static void layer_tar__unknown_layer_is_not_found(void **state)
{
    ol_auto_buf struct ol_buf out = OL_BUF_INIT;
    struct store_fixture f;

    (void)state;
    open_keeping(&f, "vfs");
    assert_int_equal(layer_tar(&f, OL_EMPTY_DIFF_ID, &out, NULL, NULL), -ENOENT);
    fixture_close(&f);
}

static int stop_early(void *data, const void *bytes, size_t len, struct ol_error *err)
{
    (void)data, (void)bytes, (void)len;
    return ol_error_set(err, -ENOSPC, "no room");
}

static void layer_tar__sink_ends_both_ways_of_making_it(void **state)
{
    struct store_fixture f;
    struct ol_store_layer kept, not_kept;

    (void)state;
    open_keeping(&f, "vfs");
    kept = fixture_add(&f, NULL, "f", "hello");
    f.options.tar_split = false;
    fixture_reopen(&f, "vfs", OL_VIEW_DIRECT);
    not_kept = fixture_add(&f, NULL, "g", "hello");
    assert_int_equal(ol_store_layer_tar(f.store, kept.chain_id, stop_early, NULL, NULL, NULL),
                     -ENOSPC);
    assert_int_equal(ol_store_layer_tar(f.store, not_kept.chain_id, stop_early, NULL, NULL, NULL),
                     -ENOSPC);
    fixture_close(&f);
}

static void layer_tar__pipe_that_overwrites_itself_leaves_nothing(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct tarball tar = TARBALL_INIT;
    struct store_fixture f;
    int ends[2];

    (void)state;
    open_keeping(&f, "overlay2");
    tarball_add_file(&tar, "f", "first");
    tarball_add_file(&tar, "f", "second");
    tarball_end(&tar);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(ol_io_write(ends[1], tar.data, tar.len), 0); /* a pipe takes 64 KiB */
    assert_int_equal(close(ends[1]), 0);
    assert_int_equal(
        ol_store_register(f.store, NULL, &OL_INPUT_FD(ends[0]), NULL, NULL, NULL, NULL, NULL, &err),
        -ESPIPE);
    assert_int_equal(close(ends[0]), 0);
    fixture_assert_holds(&f, 0, 0);
    tarball_fini(&tar);
    fixture_close(&f);
}

static void layer_tar__failures_while_recording_leave_nothing(void **state)
{
    struct tarball tar = TARBALL_INIT;
    struct store_fixture f;
    unsigned long nth = 0;
    int r;

    (void)state;
    OL_REQUIRE(can_inject_faults, "this build has no fault points");
    open_keeping(&f, "overlay2");
    tarball_add_file(&tar, "f", "first");
    tarball_add_file(&tar, "f", "second");
    tarball_end(&tar);
    do {
        ol_fault_arm(++nth);
        r = ol_store_register(f.store, NULL, &OL_INPUT_FD(tarball_fd(&tar)), NULL, NULL, NULL, NULL,
                              NULL, NULL);
        ol_fault_arm(0);
        if (r < 0) {
            f.options.tar_split = true;
            fixture_reopen(&f, "overlay2", OL_VIEW_DIRECT);
            fixture_assert_holds(&f, 0, 0);
        }
    } while (r < 0 && nth < 1000);
    assert_int_equal(r, 0);
    assert_true(nth > 10);
    tarball_fini(&tar);
    fixture_close(&f);
}

static void layer_tar__drivers_without_files_are_refused(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    const struct ol_store_options options = {.tar_split = true};
    struct ol_store *store = NULL;
    struct store_fixture f;

    (void)state;
    fixture_open(&f, "null", OL_VIEW_DIRECT);
    ol_store_close(f.store);
    f.store = NULL;
    assert_int_equal(ol_store_open(f.db, f.drv, &options, &store, &err), -ENOTSUP);
    assert_message(&err, "null");
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layer_tar__random_layers_come_back_from_every_driver),
        cmocka_unit_test(layer_tar__of_layers_applied_through_mounts_comes_back),
        cmocka_unit_test(layer_tar__comes_back_after_opening_again),
        cmocka_unit_test(layer_tar__of_a_commit_comes_back),
        cmocka_unit_test(layer_tar__without_a_record_is_written_anew),
        cmocka_unit_test(layer_tar__changed_layer_is_named_and_its_file_too),
        cmocka_unit_test(layer_tar__changed_record_is_noticed),
        cmocka_unit_test(layer_tar__unknown_layer_is_not_found),
        cmocka_unit_test(layer_tar__sink_ends_both_ways_of_making_it),
        cmocka_unit_test(layer_tar__pipe_that_overwrites_itself_leaves_nothing),
        cmocka_unit_test(layer_tar__failures_while_recording_leave_nothing),
        cmocka_unit_test(layer_tar__drivers_without_files_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
