/* SPDX-License-Identifier: Apache-2.0 */
/* "overlab doctor", run as users run it: what it says against what is so. */
#include "support/support.h"

#include "common/fs/dirents.h"
#include "common/fs/file.h"
#include "common/io.h"
#include "common/mount/mount.h"

#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* One run of the program. */
struct run {
    struct test_dir dir;
    int status;        /* exit status */
    struct ol_buf out; /* stdout and stderr */
    json_t *json;      /* of stdout, where it is JSON */
};

static int setup(void **state)
{
    struct run *run = calloc(1, sizeof *run);

    assert_non_null(run);
    test_dir_make(&run->dir);
    *state = run;
    return 0;
}

static int teardown(void **state)
{
    struct run *run = *state;

    test_dir_remove(&run->dir);
    ol_buf_fini(&run->out);
    json_decref(run->json);
    free(run);
    return 0;
}

/* In the child: become uid (0: stay) and run "overlab doctor" with up to three arguments. */
static void child(uid_t uid, int out_fd, const char *const *args)
{
    const char *argv[6] = {OL_PROGRAM,
                           "doctor",
                           args[0],
                           args[0] ? args[1] : NULL,
                           args[0] && args[1] ? args[2] : NULL,
                           NULL};

    if (uid != 0 &&
        (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0))
        _exit(99);
    if (dup2(out_fd, 1) < 0 || dup2(out_fd, 2) < 0)
        _exit(99);
    (void)execv(OL_PROGRAM, (char *const *)(uintptr_t)argv);
    _exit(98);
}

static void doctor_as(struct run *run, uid_t uid, const char *const *args)
{
    char block[4096];
    int status = 0;
    int ends[2];
    ssize_t n;
    pid_t pid;

    ol_buf_truncate(&run->out, 0);
    json_decref(run->json);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        child(uid, ends[1], args);
    (void)close(ends[1]);
    while ((n = ol_io_read(ends[0], block, sizeof block)) > 0)
        assert_int_equal(ol_buf_append(&run->out, block, (size_t)n), 0);
    (void)close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    run->status = WEXITSTATUS(status);
    run->json = json_loads(ol_buf_str(&run->out), 0, NULL);
}

static void doctor(struct run *run, const char *a, const char *b)
{
    const char *const args[] = {a, b, NULL};

    doctor_as(run, 0, args);
}

/* The first finding of a check, or NULL. */
static const json_t *finding(const struct run *run, const char *check)
{
    const json_t *all = json_object_get(run->json, "findings");
    const json_t *one;
    size_t i;

    json_array_foreach(all, i, one)
    {
        if (strcmp(json_string_value(json_object_get(one, "check")), check) == 0)
            return one;
    }
    return NULL;
}

static const char *text_of(const struct run *run, const char *check, const char *key)
{
    const char *text = json_string_value(json_object_get(finding(run, check), key));

    if (text == NULL) {
        print_error("no %s of '%s' in:\n%s\n", key, check, ol_buf_str(&run->out));
        fail();
    }
    return text;
}

static bool view_works(const struct run *run, const char *view)
{
    const json_t *views = json_object_get(run->json, "views");

    return json_is_true(json_object_get(json_object_get(views, view), "works"));
}

static void assert_empty(const struct run *run)
{
    ol_auto_dirents struct ol_dirents list = OL_DIRENTS_INIT;

    assert_int_equal(ol_dirents_read(&list, run->dir.fd, false), 0);
    assert_int_equal(list.count, 0);
}

static void doctor__json_names_its_schema_and_the_views(void **state)
{
    struct run *run = *state;

    doctor(run, "--json", run->dir.path);
    assert_non_null(run->json);
    assert_string_equal(json_string_value(json_object_get(run->json, "schema")),
                        "overlab.doctor/1");
    assert_int_equal(run->status, json_is_null(json_object_get(run->json, "view")) ? 3 : 0);
    assert_int_equal(view_works(run, "kernel"), can_mount_overlay());
    assert_true(view_works(run, "direct") || !can_user_xattr());
    assert_empty(run);
}

static void doctor__every_finding_has_state_and_proof(void **state)
{
    struct run *run = *state;
    const json_t *all, *one;
    size_t i;

    doctor(run, "--json", run->dir.path);
    all = json_object_get(run->json, "findings");
    assert_true(json_array_size(all) > 10);
    json_array_foreach(all, i, one)
    {
        const char *name = json_string_value(json_object_get(one, "state"));

        assert_true(strcmp(name, "ok") == 0 || strcmp(name, "note") == 0 ||
                    strcmp(name, "warning") == 0 || strcmp(name, "no") == 0);
        assert_true(json_string_length(json_object_get(one, "found")) > 0);
        assert_true(json_string_length(json_object_get(one, "proof")) > 0);
    }
}

static void doctor__table_shows_what_the_json_says(void **state)
{
    struct run *run = *state;
    ol_auto_free char *found = NULL;

    doctor(run, "--json", run->dir.path);
    found = strdup(text_of(run, "file system", "found"));
    assert_non_null(found);
    doctor(run, run->dir.path, NULL);
    assert_non_null(strstr(ol_buf_str(&run->out), "CHECK"));
    assert_non_null(strstr(ol_buf_str(&run->out), found));
    assert_non_null(strstr(ol_buf_str(&run->out), "view direct"));
}

static void doctor__looks_above_a_directory_that_is_not_made_yet(void **state)
{
    struct run *run = *state;
    ol_auto_free char *path = NULL;
    const json_t *directory;

    assert_true(asprintf(&path, "%s/not/yet", run->dir.path) > 0);
    doctor(run, "--json", path);
    directory = json_object_get(run->json, "directory");
    assert_string_equal(json_string_value(json_object_get(directory, "path")), path);
    assert_int_equal(run->status, json_is_null(json_object_get(run->json, "view")) ? 3 : 0);
    assert_empty(run);
}

static void doctor__refuses_a_file_and_wrong_usage(void **state)
{
    struct run *run = *state;
    ol_auto_free char *path = NULL;

    test_write(run->dir.fd, "file", "");
    assert_true(asprintf(&path, "%s/file", run->dir.path) > 0);
    doctor(run, path, NULL);
    assert_int_equal(run->status, 1);
    assert_non_null(strstr(ol_buf_str(&run->out), "is not a directory"));
    doctor(run, "one", "two");
    assert_int_equal(run->status, 2);
    doctor(run, "", NULL);
    assert_int_equal(run->status, 2);
}

/* Another user's process cannot write this build's profile, and says so in between its own lines.
 */
static bool quiet_for_other_users(void)
{
#ifdef OL_COVERAGE
    return false;
#else
    return true;
#endif
}

static void doctor__an_ordinary_user_gets_other_views(void **state)
{
    struct run *run = *state;
    const char *const args[] = {"--json", run->dir.path, NULL};

    OL_REQUIRE(can_chown, "needs root to become another user");
    OL_REQUIRE(quiet_for_other_users, "gcov complains where it cannot write its profile");
    assert_int_equal(chown(run->dir.path, 23456, 23456), 0);
    doctor_as(run, 23456, args);
    if (run->status == 98)
        ol_require_failed("other_user", __func__, "the program is closed to other users");
    assert_false(view_works(run, "kernel"));
    assert_non_null(strstr(text_of(run, "view kernel", "remedy"), "root"));
    assert_non_null(strstr(text_of(run, "loop devices", "remedy"), "--backing DIR"));
    assert_int_equal(run->status, 0);
    assert_empty(run);
}

static void doctor__status_3_where_no_view_works(void **state)
{
    struct run *run = *state;
    const char *const args[] = {"--json", run->dir.path, NULL};

    OL_REQUIRE(can_chown, "needs root to become another user");
    OL_REQUIRE(quiet_for_other_users, "gcov complains where it cannot write its profile");
    assert_int_equal(chmod(run->dir.path, 0755), 0);
    doctor_as(run, 23456, args); /* the directory stays root's */
    if (run->status == 98)
        ol_require_failed("other_user", __func__, "the program is closed to other users");
    assert_int_equal(run->status, 3);
    assert_true(json_is_null(json_object_get(run->json, "view")));
    assert_non_null(strstr(text_of(run, "views", "found"), "Permission denied"));
}

static void doctor__warns_of_ext4_without_a_journal(void **state)
{
    struct run *run = *state;
    ol_auto_free char *command = NULL;
    ol_auto_free char *point = NULL;

    OL_REQUIRE(can_loop_mount, "loop devices need root");
    assert_true(asprintf(&command,
                         "cd '%s' && truncate -s 16M i && mkfs.ext4 -q -F -O ^has_journal i && "
                         "mkdir m && mount -o loop i m",
                         run->dir.path) > 0);
    assert_int_equal(system(command), 0);
    assert_true(asprintf(&point, "%s/m", run->dir.path) > 0);
    doctor(run, "--json", point);
    assert_int_equal(ol_mount_detach(point, NULL), 0);
    assert_string_equal(text_of(run, "journal", "state"), "warning");
    assert_non_null(strstr(text_of(run, "journal", "remedy"), "--backing ext4:"));
    assert_string_equal(text_of(run, "space", "state"), "warning");
}

static void doctor__says_that_tmpfs_charges_links(void **state)
{
    struct run *run = *state;

    OL_REQUIRE(can_mount_overlay, "mounting needs CAP_SYS_ADMIN");
    assert_int_equal(mount("tmpfs", run->dir.path, "tmpfs", 0, "size=1m"), 0);
    doctor(run, "--json", run->dir.path);
    assert_int_equal(ol_mount_detach(run->dir.path, NULL), 0);
    assert_non_null(strstr(text_of(run, "inode totals", "found"), "hard links"));
}

static void doctor__finds_what_dead_runs_left(void **state)
{
    struct run *run = *state;

    test_mkdir(run->dir.fd, "overlab-run-0123456789abcdef", 0700);
    test_write(run->dir.fd, "overlab-run-0123456789abcdef/lock", "");
    test_mkdir(run->dir.fd, ".overlab-probe-0123456789abcdef", 0700);
    doctor(run, "--json", run->dir.path);
    assert_non_null(strstr(text_of(run, "dead runs", "found"), "1 killed"));
    assert_non_null(strstr(text_of(run, "dead probes", "remedy"), "rm -r"));
    assert_present(run->dir.fd, "overlab-run-0123456789abcdef/lock"); /* it only looks */
}

static void doctor__finds_overlay_mounts_below(void **state)
{
    struct run *run = *state;
    ol_auto_free char *options = NULL;
    ol_auto_free char *point = NULL;

    OL_REQUIRE(can_mount_overlay, "mounting needs CAP_SYS_ADMIN");
    test_mkdir(run->dir.fd, "l", 0755);
    test_mkdir(run->dir.fd, "u", 0755);
    test_mkdir(run->dir.fd, "w", 0755);
    test_mkdir(run->dir.fd, "m", 0755);
    assert_true(asprintf(&options, "lowerdir=%s/l,upperdir=%s/u,workdir=%s/w", run->dir.path,
                         run->dir.path, run->dir.path) > 0);
    assert_true(asprintf(&point, "%s/m", run->dir.path) > 0);
    assert_int_equal(mount("overlay", point, "overlay", 0, options), 0);
    doctor(run, "--json", run->dir.path);
    assert_int_equal(ol_mount_detach(point, NULL), 0);
    assert_non_null(strstr(text_of(run, "mounts", "found"), "1 overlay mount"));
    assert_non_null(strstr(text_of(run, "mounts", "remedy"), point));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(doctor__json_names_its_schema_and_the_views),
        TEST(doctor__every_finding_has_state_and_proof),
        TEST(doctor__table_shows_what_the_json_says),
        TEST(doctor__looks_above_a_directory_that_is_not_made_yet),
        TEST(doctor__refuses_a_file_and_wrong_usage),
        TEST(doctor__an_ordinary_user_gets_other_views),
        TEST(doctor__status_3_where_no_view_works),
        TEST(doctor__warns_of_ext4_without_a_journal),
        TEST(doctor__says_that_tmpfs_charges_links),
        TEST(doctor__finds_what_dead_runs_left),
        TEST(doctor__finds_overlay_mounts_below),
    };
    return cmocka_run_group_tests_name("doctor", tests, NULL, NULL);
}
