/* SPDX-License-Identifier: Apache-2.0 */
/* Overlay mounts in every form, with real mounts where this process may make them. */
#include "support/support.h"

#include "common/fault.h"
#include "common/limits.h"
#include "common/mount/fsconfig.h"
#include "common/mount/mount.h"
#include "common/mount/overlay.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

/* A base directory with layers l/<name> that each hold a file "f<number>". */
struct fixture {
    struct test_dir dir;
    char **lowers;
    size_t n_lowers;
    struct ol_overlay_spec spec;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    test_dir_make(&f->dir);
    test_mkdir(f->dir.fd, "l", 0755);
    test_mkdir(f->dir.fd, "upper", 0755);
    test_mkdir(f->dir.fd, "work", 0755);
    test_mkdir(f->dir.fd, "merged", 0755);
    f->spec = (struct ol_overlay_spec){
        .base = f->dir.path, .upper = "upper", .work = "work", .target = "merged"};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    test_dir_remove(&f->dir);
    for (size_t i = 0; i < f->n_lowers; i++)
        free(f->lowers[i]);
    free(f->lowers);
    free(f);
    return 0;
}

/* n layers with names of 26 characters, as moby's short links are. */
static void add_layers(struct fixture *f, size_t n)
{
    f->lowers = calloc(n, sizeof *f->lowers);
    assert_non_null(f->lowers);
    f->n_lowers = n;
    for (size_t i = 0; i < n; i++) {
        ol_auto_free char *file = NULL;

        assert_true(asprintf(&f->lowers[i], "l/LAYERLAYERLAYERLAYERLA%04zu", i) > 0);
        test_mkdir(f->dir.fd, f->lowers[i], 0755);
        assert_true(asprintf(&file, "%s/f%zu", f->lowers[i], i) > 0);
        test_write(f->dir.fd, file, f->lowers[i]);
    }
    f->spec.lowers = (const char *const *)f->lowers;
    f->spec.n_lowers = n;
}

static void assert_every_layer_visible(struct fixture *f)
{
    for (size_t i = 0; i < f->n_lowers; i++) {
        ol_auto_free char *file = NULL;

        assert_true(asprintf(&file, "%s/f%zu", f->spec.target, i) > 0);
        assert_content(f->dir.fd, file, f->lowers[i]);
    }
}

static void unmount(struct fixture *f)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *path = NULL;

    assert_true(asprintf(&path, "%s/%s", f->spec.base, f->spec.target) > 0);
    assert_true(ol_mount_is_point(path));
    assert_ok(ol_mount_detach(path, &err), &err);
    assert_false(ol_mount_is_point(path));
}

static void mount_and_check(struct fixture *f, size_t n)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    add_layers(f, n);
    assert_ok(ol_overlay_mount(&f->spec, &err), &err);
    assert_every_layer_visible(f);
    test_write(f->dir.fd, "merged/new", "written");
    assert_content(f->dir.fd, "upper/new", "written");
    unmount(f);
}

static void overlay__mounts_one_lower(void **state)
{
    OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    mount_and_check(*state, 1);
}

/* The option string of the absolute form passes the page at about 61 layers here: mount(2) would
 * cut it and "succeed" without the bottom layers. */
static void overlay__shows_the_bottom_of_70_layers(void **state)
{
    struct fixture *f = *state;
    ol_auto_free char *options = NULL;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    mount_and_check(f, 70);
    assert_ok(ol_overlay_options(&f->spec, false, &options, &err), &err);
    assert_true(strlen(options) > 70 * strlen(f->dir.path));
}

static void overlay__shows_the_bottom_of_128_layers(void **state)
{
    struct fixture *f = *state;
    ol_auto_free char *options = NULL;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    mount_and_check(f, OL_MAX_LOWER_DIRS);
    assert_ok(ol_overlay_options(&f->spec, true, &options, &err), &err);
    assert_true(strlen(options) <= OL_MOUNT_OPTIONS_MAX);
}

static bool can_lowerdir_plus(void)
{
    return can_mount_overlay() && ol_fsconfig_has_lowerdir_plus();
}

static void overlay__shows_the_bottom_of_500_layers(void **state)
{
    OL_REQUIRE(can_lowerdir_plus, "needs CAP_SYS_ADMIN and Linux 6.5");
    mount_and_check(*state, 500);
}

/* Length by length across the limit: whatever the form, the bottom layer is there. */
static void overlay__never_cuts_options_around_the_limit(void **state)
{
    struct fixture *f = *state;
    size_t base_len = strlen(f->dir.path);
    size_t per_layer = base_len + 1 + 28 + 1;
    size_t fits = (OL_MOUNT_OPTIONS_MAX - 2 * base_len - 40) / per_layer;
    size_t all = fits + 4;

    OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    add_layers(f, all);
    for (size_t n = fits > 4 ? fits - 4 : 1; n <= all; n++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;

        f->spec.n_lowers = f->n_lowers = n;
        assert_ok(ol_overlay_mount(&f->spec, &err), &err);
        assert_every_layer_visible(f);
        unmount(f);
    }
    f->n_lowers = all;
}

static void overlay__refuses_more_layers_than_the_kernel_takes(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    OL_REQUIRE(can_lowerdir_plus, "needs CAP_SYS_ADMIN and Linux 6.5");
    add_layers(f, 501);
    assert_int_equal(ol_overlay_mount(&f->spec, &err), -EINVAL);
    assert_message(&err, "/merged'");
    assert_message(&err, "lower director");
    assert_false(ol_mount_is_overlay("merged"));
}

/* The base directory is the user's: its name may hold what separates mount options. */
static void overlay__mounts_below_a_base_with_separators(void **state)
{
    static const char *const names[] = {"a,b", "a:b", "a\\b", "a\"b", "a b", "lowerdir=x"};
    struct fixture *f = *state;

    OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    for (size_t i = 0; i < OL_ARRAY_LEN(names); i++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        ol_auto_free char *base = NULL;
        ol_auto_fd int fd = -1;
        const char *lower = "one";

        test_mkdir(f->dir.fd, names[i], 0755);
        fd = openat(f->dir.fd, names[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        test_mkdir(fd, "one", 0755);
        test_mkdir(fd, "upper", 0755);
        test_mkdir(fd, "work", 0755);
        test_mkdir(fd, "merged", 0755);
        test_write(fd, "one/file", names[i]);
        assert_true(asprintf(&base, "%s/%s", f->dir.path, names[i]) > 0);
        f->spec.base = base;
        f->spec.lowers = &lower;
        f->spec.n_lowers = 1;
        assert_ok(ol_overlay_mount(&f->spec, &err), &err);
        assert_content(fd, "merged/file", names[i]);
        unmount(f);
    }
}

static void overlay__refuses_names_the_options_cannot_carry(void **state)
{
    static const char *const bad[] = {"l/a:b", "l/a,b", "l/a\\b", "/abs", ""};
    struct fixture *f = *state;

    f->spec.n_lowers = 1;
    for (size_t i = 0; i < OL_ARRAY_LEN(bad); i++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;

        f->spec.lowers = &bad[i];
        assert_int_equal(ol_overlay_mount(&f->spec, &err), -EINVAL);
        assert_message(&err, bad[i]);
    }
}

static void overlay__keeps_the_working_directory(void **state)
{
    ol_auto_free char *before = getcwd(NULL, 0);
    ol_auto_free char *after = NULL;

    OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    mount_and_check(*state, 100);
    after = getcwd(NULL, 0);
    assert_string_equal(before, after);
}

static void overlay__read_only_mount_refuses_writes(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    add_layers(f, 2);
    f->spec.upper = NULL;
    f->spec.work = NULL;
    assert_ok(ol_overlay_mount(&f->spec, &err), &err);
    assert_every_layer_visible(f);
    assert_int_equal(mkdirat(f->dir.fd, "merged/new", 0755), -1);
    assert_int_equal(errno, EROFS);
    unmount(f);
}

static void overlay__names_the_missing_directory(void **state)
{
    struct fixture *f = *state;
    const char *lowers[] = {"l", "l/gone"};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    f->spec.lowers = lowers;
    f->spec.n_lowers = 2;
    assert_int_equal(ol_overlay_mount(&f->spec, &err), -ENOENT);
    assert_message(&err, "lower directory 'l/gone'");
}

static void overlay__passes_on_what_the_kernel_says(void **state)
{
    struct fixture *f = *state;
    const char *lowers[] = {"l/LAYERLAYERLAYERLAYERLA0000", "l/LAYERLAYERLAYERLAYERLA0001/f1"};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    OL_REQUIRE(can_lowerdir_plus, "needs CAP_SYS_ADMIN and Linux 6.5");
    add_layers(f, 2);
    f->spec.lowers = lowers;
    assert_int_equal(ol_overlay_mount(&f->spec, &err), -EINVAL);
    assert_message(&err, "cannot mount overlay on");
    assert_message(&err, "/merged'");
    assert_message(&err, "lower directory 'l/LAYERLAYERLAYERLAYERLA0001/f1'");
    assert_message(&err, "not a directory"); /* the kernel's own words */
}

static void overlay__points_at_the_kernel_log_where_there_are_no_words(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    test_mkdir(f->dir.fd, "upper/inside", 0755);
    add_layers(f, 1);
    f->spec.work = "upper/inside"; /* inside each other: overlay only logs it */
    assert_int_equal(ol_overlay_mount(&f->spec, &err), -EINVAL);
    assert_message(&err, "dmesg");
}

static void overlay__options_follow_moby(void **state)
{
    const char *lowers[] = {"l/A", "l/B"};
    struct ol_overlay_spec spec = {.base = "/home",
                                   .lowers = lowers,
                                   .n_lowers = 2,
                                   .upper = "id/diff",
                                   .work = "id/work",
                                   .target = "id/merged",
                                   .userxattr = true,
                                   .label = "u:r:t:s0:c1,c2"};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *absolute = NULL;
    ol_auto_free char *relative = NULL;

    (void)state;
    assert_ok(ol_overlay_options(&spec, false, &absolute, &err), &err);
    assert_string_equal(absolute, "userxattr,lowerdir=/home/l/A:/home/l/B,upperdir=/home/id/diff,"
                                  "workdir=/home/id/work,context=\"u:r:t:s0:c1,c2\"");
    assert_ok(ol_overlay_options(&spec, true, &relative, &err), &err);
    assert_string_equal(relative, "userxattr,lowerdir=l/A:l/B,upperdir=id/diff,workdir=id/work,"
                                  "context=\"u:r:t:s0:c1,c2\"");
}

static void overlay__options_refuse_a_base_with_separators(void **state)
{
    const char *lower = "l";
    struct ol_overlay_spec spec = {
        .base = "/a:b", .lowers = &lower, .n_lowers = 1, .target = "merged"};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *options = NULL;

    (void)state;
    assert_int_equal(ol_overlay_options(&spec, false, &options, &err), -EINVAL);
    assert_message(&err, "'/a:b'");
}

static void overlay__fault_leaves_nothing_mounted(void **state)
{
    struct fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *target = NULL;

    if (!OL_FAULTS)
        skip();
    add_layers(f, 1);
    ol_fault_arm(1);
    assert_int_equal(ol_overlay_mount(&f->spec, &err), -EIO);
    assert_true(ol_fault_delivered());
    ol_fault_arm(0);
    assert_true(asprintf(&target, "%s/merged", f->dir.path) > 0);
    assert_false(ol_mount_is_point(target));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(overlay__mounts_one_lower),
        TEST(overlay__shows_the_bottom_of_70_layers),
        TEST(overlay__shows_the_bottom_of_128_layers),
        TEST(overlay__shows_the_bottom_of_500_layers),
        TEST(overlay__never_cuts_options_around_the_limit),
        TEST(overlay__refuses_more_layers_than_the_kernel_takes),
        TEST(overlay__mounts_below_a_base_with_separators),
        TEST(overlay__refuses_names_the_options_cannot_carry),
        TEST(overlay__keeps_the_working_directory),
        TEST(overlay__read_only_mount_refuses_writes),
        TEST(overlay__names_the_missing_directory),
        TEST(overlay__passes_on_what_the_kernel_says),
        TEST(overlay__points_at_the_kernel_log_where_there_are_no_words),
        TEST(overlay__options_follow_moby),
        TEST(overlay__options_refuse_a_base_with_separators),
        TEST(overlay__fault_leaves_nothing_mounted),
    };
    return cmocka_run_group_tests_name("mount_overlay", tests, NULL, NULL);
}
