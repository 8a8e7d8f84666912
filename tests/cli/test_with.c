/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "overlab compare --with": real engines beside our own. What a real engine does wrong is played by
 * fake_dockerd.c, which is found before the real one in a mount namespace of this program's own.
 * With --real the installed engines are run, and their counts are held against ours.
 */
#include "cli/program.h"

#include "common/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

static const char programs[] = "/usr/local/sbin"; /* searched first */

struct fixture {
    struct test_dir dir;
    char *image, *backing, *root; /* arguments */
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    test_dir_make(&f->dir);
    assert_int_equal(fchmod(f->dir.fd, 0755), 0);
    test_mkdir(f->dir.fd, "image", 0755);
    test_mkdir(f->dir.fd, "image/etc", 0755);
    for (unsigned i = 0; i < 40; i++) {
        char name[64];

        (void)snprintf(name, sizeof name, "image/etc/file%u", i);
        test_write(f->dir.fd, name, "content");
    }
    test_mkdir(f->dir.fd, "place", 0777);
    assert_int_equal(fchmodat(f->dir.fd, "place", 0777, 0), 0); /* whatever the umask is */
    assert_true(asprintf(&f->image, "%s/image", f->dir.path) > 0);
    assert_true(asprintf(&f->backing, "--backing=%s/place", f->dir.path) > 0);
    assert_true(asprintf(&f->root, "--root=%s/root", f->dir.path) > 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    test_dir_remove(&f->dir);
    free(f->image);
    free(f->backing);
    free(f->root);
    free(f);
    return 0;
}

/* ---- the fake ---- */

static void copy_file(const char *from, const char *to)
{
    ol_auto_fd int in = open(from, O_RDONLY | O_CLOEXEC);
    ol_auto_fd int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    char block[65536];
    ssize_t n;

    assert_true(in >= 0 && out >= 0);
    while ((n = read(in, block, sizeof block)) > 0)
        assert_int_equal(write(out, block, (size_t)n), n);
    assert_int_equal(n, 0);
}

static void set_mode(const char *mode)
{
    ol_auto_fd int fd = open(programs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(fd >= 0);
    test_write(fd, "dockerd.mode", mode);
}

/* A tmpfs over /usr/local/sbin, for this program and what it starts. */
static int install_fake(void **state)
{
    (void)state;
    if (!can_mount_overlay() || unshare(CLONE_NEWNS) < 0)
        return 0; /* the tests say what they need */
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", programs, "tmpfs", 0, "mode=0755") < 0)
        return -1;
    copy_file(OL_FAKE_DOCKERD, "/usr/local/sbin/dockerd");
    copy_file(OL_FAKE_DOCKERD, "/usr/local/sbin/containerd");
    copy_file(OL_FAKE_DOCKERD, "/usr/local/sbin/ctr");
    return 0;
}

/* Processes anywhere whose program is this run's copy of the fake; its tmpfs tells it from others.
 */
static unsigned fakes_running(void)
{
    struct stat fake;
    ol_auto_dir DIR *proc = opendir("/proc");
    const struct dirent *entry;
    unsigned found = 0;

    assert_non_null(proc);
    if (stat("/usr/local/sbin/dockerd", &fake) < 0)
        return 0; /* it is not installed */
    while ((entry = readdir(proc)) != NULL) {
        char path[sizeof entry->d_name + 16];
        struct stat st;

        (void)snprintf(path, sizeof path, "/proc/%s/exe", entry->d_name);
        if (stat(path, &st) == 0 && st.st_dev == fake.st_dev && st.st_ino == fake.st_ino)
            found++;
    }
    return found;
}

/* ---- running and looking ---- */

#define with(f, ret, ...) with_run((f), (ret), 0, (const char *const[]){__VA_ARGS__, NULL})
static void with_run(struct fixture *f, struct program_result *ret, unsigned uid,
                     const char *const *words)
{
    const char *const first[] = {"compare",     f->image,     f->root,   f->backing,
                                 "--commits=1", "--rounds=1", "--quiet", NULL};

    program_more(&(struct program_run){.args = first, .uid = uid}, words, ret);
}

static json_t *parse(const struct program_result *result)
{
    json_t *json = json_loads(result->out, 0, NULL);

    if (json == NULL)
        fail_msg("no JSON; status %d: %s", result->status, result->err);
    return json;
}

static void assert_nothing_left(const struct fixture *f)
{
    ol_auto_fd int fd = openat(f->dir.fd, "place", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ol_auto_dir DIR *dir = fdopendir(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    const struct dirent *entry;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            fail_msg("'%s' was left behind", entry->d_name);
    }
    assert_int_equal(fakes_running(), 0);
}

/* Our two columns are there and complete; so many of others are left out, for this reason. */
static void assert_left_out(const struct program_result *result, size_t count, const char *reason)
{
    json_t *json = parse(result);
    const json_t *engines = json_object_get(json, "engines");
    const json_t *left_out = json_object_get(json, "left_out");

    assert_int_equal(json_array_size(engines), 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(json_array_size(json_object_get(json_array_get(engines, i), "steps")), 9);
    assert_int_equal(json_array_size(left_out), count);
    for (size_t i = 0; i < count; i++) {
        const json_t *engine = json_array_get(left_out, i);
        const char *name = json_string_value(json_object_get(engine, "name"));
        const char *text = json_string_value(json_object_get(engine, "reason"));
        ol_auto_free char *said = NULL;

        if (strstr(text, reason) == NULL)
            fail_msg("'%s' does not say '%s'", text, reason);
        assert_true(asprintf(&said, "%s is left out: %s", name, text) > 0);
        assert_non_null(strstr(result->err, said));
    }
    json_decref(json);
}

static void assert_misbehaviour(struct fixture *f, const char *mode, const char *reason)
{
    auto_result struct program_result result = {0};

    OL_REQUIRE(can_mount_overlay, "a daemon of our own needs root");
    set_mode(mode);
    with(f, &result, "--with=docker", "--with-timeout=1", "--json");
    assert_int_equal(result.status, 1);
    assert_left_out(&result, 2, reason);
    assert_nothing_left(f);
}

static void with_docker__that_dies_is_left_out(void **state)
{
    assert_misbehaviour(*state, "die",
                        "'dockerd' ended with status 3: fake dockerd: no graph driver fits");
}

static void with_docker__that_never_listens_is_left_out(void **state)
{
    assert_misbehaviour(*state, "silent", "'dockerd' was not ready within 1 s");
}

static void with_docker__that_never_answers_is_left_out(void **state)
{
    assert_misbehaviour(*state, "mute", "dockerd did not answer GET /_ping within 1 s");
}

static void with_docker__that_answers_errors_is_left_out(void **state)
{
    assert_misbehaviour(*state, "refuse",
                        "dockerd answered 500 to GET /version: the fake is out of order");
}

static void with_docker__that_dies_in_a_request_is_left_out(void **state)
{
    assert_misbehaviour(*state, "vanish",
                        "'dockerd' ended with status 7: fake dockerd: a bug bit me");
}

static void with_docker__that_answers_garbage_is_left_out(void **state)
{
    assert_misbehaviour(*state, "garbage", "dockerd's answer to GET /version is no JSON");
}

static void with_docker__its_mounts_and_processes_go_with_it(void **state)
{
    assert_misbehaviour(*state, "litter", "'dockerd' was not ready within 1 s");
}

static void with_containerd__that_dies_is_left_out(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};

    OL_REQUIRE(can_mount_overlay, "a daemon of our own needs root");
    set_mode("die");
    with(f, &result, "--with=containerd", "--with-timeout=1", "--json");
    assert_int_equal(result.status, 1);
    assert_left_out(&result, 1,
                    "'containerd' ended with status 3: fake dockerd: no graph driver fits");
    assert_nothing_left(f);
}

/* A script in the place of the tool. */
static void assert_tool_misbehaviour(struct fixture *f, const char *script, const char *reason)
{
    static const char path[] = "/usr/local/sbin/containers-storage";
    auto_result struct program_result result = {0};
    ol_auto_fd int fd = -1;

    OL_REQUIRE(can_mount_overlay, "the tool needs root");
    fd = open(programs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    test_write(fd, "containers-storage", script);
    assert_int_equal(chmod(path, 0755), 0);
    with(f, &result, "--with=containers-storage", "--with-timeout=1", "--json");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(result.status, 1);
    assert_left_out(&result, 1, reason);
    assert_nothing_left(f);
}

static void with_containers_storage__that_fails_is_left_out(void **state)
{
    assert_tool_misbehaviour(*state, "#!/bin/sh\necho the store is broken >&2\nexit 5\n",
                             "layers: 'containers-storage' failed with status 5: the store is "
                             "broken");
}

static void with_containers_storage__that_hangs_is_left_out(void **state)
{
    assert_tool_misbehaviour(*state, "#!/bin/sh\nexec sleep 1000\n",
                             "layers: 'containers-storage' did not end within 1 s");
}

/* It makes its store, mounts over it, and then says nothing of use. */
static void with_containers_storage__its_mounts_are_taken_back(void **state)
{
    assert_tool_misbehaviour(
        *state,
        "#!/bin/sh\nmkdir -p $3/overlay $3/overlay-layers $3/overlay-images $3/overlay-containers\n"
        "mount -t tmpfs tmpfs $3/overlay\necho garbage\n",
        "import-layer: what 'containers-storage' printed is no JSON");
}

static void with__an_engine_that_is_not_installed_is_named(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};
    bool covered[2];
    static const char *const paths[] = {"/usr/local/sbin/dockerd", "/usr/sbin/dockerd"};

    OL_REQUIRE(can_mount_overlay, "hiding a program needs root");
    test_write(f->dir.fd, "not-a-program", "");
    for (size_t i = 0; i < 2; i++) {
        ol_auto_free char *cover = NULL;

        assert_true(asprintf(&cover, "%s/not-a-program", f->dir.path) > 0);
        covered[i] = mount(cover, paths[i], NULL, MS_BIND, NULL) == 0;
    }
    with(f, &result, "--with=docker", "--json");
    for (size_t i = 0; i < 2; i++)
        assert_true(!covered[i] || umount2(paths[i], 0) == 0);
    assert_int_equal(result.status, 3);
    assert_left_out(&result, 2, "'dockerd' is not installed");
    assert_nothing_left(f);
}

static void with__an_ordinary_user_gets_the_other_columns(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};

    OL_REQUIRE(can_mount_overlay, "becoming another user needs root");
    set_mode("silent");
    with_run(f, &result, 65534, (const char *const[]){"--with=docker", "--json", NULL});
    if (result.status == 127 || result.status == 126)
        ol_require_failed("readable_build", __func__, "another user cannot run the program here");
    assert_int_equal(result.status, 3);
    if (result.out_len == 0)
        ol_require_failed("any_view", __func__, "no view is possible for an ordinary user here");
    assert_left_out(&result, 2, "dockerd needs root");
}

static void assert_signal_ends_it(struct fixture *f, int signal)
{
    auto_result struct program_result result = {0};
    const struct program_run run = {
        .args = (const char *const[]){"compare", f->image, f->root, f->backing, "--quiet",
                                      "--no-warmup", "--with=docker", "--with-timeout=60", NULL},
        .signal = signal,
        .after_ms = 2000, /* by now it waits for a fake that will not listen */
    };

    program_run(&run, &result);
    assert_int_equal(result.status, 128 + signal);
    assert_string_equal(result.out, "");
}

static void with__a_signal_ends_the_daemons_too(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};

    OL_REQUIRE(can_mount_overlay, "a daemon of our own needs root");
    set_mode("silent");
    assert_signal_ends_it(f, SIGINT);
    assert_nothing_left(f);
    /* Nobody is left to clean up: the kernel ends the daemon, the next run empties the place. */
    assert_signal_ends_it(f, SIGKILL);
    for (unsigned i = 0; i < 500 && fakes_running() > 0; i++)
        (void)usleep(10000);
    assert_int_equal(fakes_running(), 0);
    with(f, &result, "--drivers=overlay2");
    assert_int_equal(result.status, 0);
    assert_nothing_left(f);
}

static void with__unknown_engines_are_wrong_usage(void **state)
{
    auto_result struct program_result result = {0};

    with(*state, &result, "--with=docker,podman");
    assert_int_equal(result.status, 2);
    assert_non_null(strstr(result.err, "no real engine 'podman' (there are docker, "));
    program_result_fini(&result);
    with(*state, &result, "--with=docker/overlay,docker");
    assert_int_equal(result.status, 2);
    assert_non_null(strstr(result.err, "'docker/overlay' is named twice"));
}

/* ---- the real ones ---- */

static void assert_same_inodes(const json_t *ours, const json_t *real)
{
    const json_t *our_steps = json_object_get(ours, "steps");
    const json_t *real_steps = json_object_get(real, "steps");

    assert_int_equal(json_array_size(our_steps), json_array_size(real_steps));
    for (size_t i = 0; i < json_array_size(our_steps); i++) {
        const json_t *a = json_array_get(our_steps, i);
        const json_t *b = json_array_get(real_steps, i);

        if (json_integer_value(json_object_get(a, "inodes")) !=
            json_integer_value(json_object_get(b, "inodes")))
            fail_msg("%s, %s: %lld inodes, and ours %lld",
                     json_string_value(json_object_get(real, "name")),
                     json_string_value(json_object_get(b, "op")),
                     (long long)json_integer_value(json_object_get(b, "inodes")),
                     (long long)json_integer_value(json_object_get(a, "inodes")));
        assert_true(json_equal(json_object_get(a, "kinds"), json_object_get(b, "kinds")));
    }
}

static void with_docker__both_drivers_add_the_inodes_ours_add(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result result = {0};
    ol_auto_free char *dockerd = ol_process_find("dockerd");
    json_t *json;
    const json_t *engines;

    OL_REQUIRE(can_mount_overlay, "dockerd needs root");
    if (dockerd == NULL)
        ol_require_failed("docker", __func__, "dockerd is not installed (Debian: docker.io)");
    with(f, &result, "--with=docker", "--json");
    if (result.status != 0)
        fail_msg("ended with %d: %s", result.status, result.err);
    json = parse(&result);
    engines = json_object_get(json, "engines");
    assert_int_equal(json_array_size(engines), 4);
    for (size_t i = 0; i < 2; i++)
        assert_same_inodes(json_array_get(engines, i), json_array_get(engines, i + 2));
    json_decref(json);
    assert_nothing_left(f);
}

static int64_t inodes_at(const json_t *engine, size_t step)
{
    const json_t *steps = json_object_get(engine, "steps");

    return json_integer_value(json_object_get(json_array_get(steps, step), "inodes"));
}

/* One commit on one layer: the steps in order. */
enum { APPLY, CREATE, MOUNT, CHANGE, UNMOUNT, COMMIT, REMOVE, REMOVE_COMMIT, REMOVE_IMAGE };

/* Run it beside overlay2; both columns must be there, and the real one's storage empty at the end.
 */
static json_t *run_beside_overlay2(struct fixture *f, const char *program, const char *option)
{
    auto_result struct program_result result = {0};
    ol_auto_free char *path = ol_process_find(program);
    const json_t *engines;
    json_t *json;

    OL_REQUIRE(can_mount_overlay, "real engines need root");
    if (path == NULL)
        ol_require_failed(program, __func__, "it is not installed");
    with(f, &result, "--drivers=overlay2", option, "--json");
    if (result.status != 0)
        fail_msg("ended with %d: %s", result.status, result.err);
    json = parse(&result);
    engines = json_object_get(json, "engines");
    assert_int_equal(json_array_size(engines), 2);
    assert_int_equal(json_integer_value(json_object_get(
                         json_object_get(json_array_get(engines, 1), "totals"), "left_inodes")),
                     0);
    assert_nothing_left(f);
    return json;
}

static void with_containers_storage__differs_from_overlay2_by_its_bookkeeping(void **state)
{
    json_t *json = run_beside_overlay2(*state, "containers-storage", "--with=containers-storage");
    const json_t *ours = json_array_get(json_object_get(json, "engines"), 0);
    const json_t *real = json_array_get(json_object_get(json, "engines"), 1);

    /* work, merged and empty of a base layer; merged and work/work come and go alike */
    assert_int_equal(inodes_at(real, APPLY), inodes_at(ours, APPLY) + 3);
    assert_int_equal(inodes_at(real, CREATE), 7); /* no init layer */
    assert_int_equal(inodes_at(real, MOUNT), inodes_at(ours, MOUNT));
    assert_int_equal(inodes_at(real, CHANGE), inodes_at(ours, CHANGE));
    assert_int_equal(inodes_at(real, UNMOUNT), inodes_at(ours, UNMOUNT));
    assert_int_equal(inodes_at(real, COMMIT), inodes_at(ours, COMMIT) + 1); /* merged */
    json_decref(json);
}

static void with_containerd__a_commit_adds_nothing(void **state)
{
    json_t *json = run_beside_overlay2(*state, "containerd", "--with=containerd");
    const json_t *ours = json_array_get(json_object_get(json, "engines"), 0);
    const json_t *real = json_array_get(json_object_get(json, "engines"), 1);

    assert_int_equal(inodes_at(real, CREATE), 3);
    assert_int_equal(inodes_at(real, MOUNT), 1);
    assert_int_equal(inodes_at(real, CHANGE), inodes_at(ours, CHANGE));
    assert_int_equal(inodes_at(real, COMMIT), 0);
    assert_int_equal(inodes_at(real, REMOVE_COMMIT), -(3 + 1 + inodes_at(real, CHANGE)));
    json_decref(json);
}

#define with_test(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest real[] = {
        with_test(with_docker__both_drivers_add_the_inodes_ours_add),
        with_test(with_containers_storage__differs_from_overlay2_by_its_bookkeeping),
        with_test(with_containerd__a_commit_adds_nothing),
    };
    const struct CMUnitTest tests[] = {
        with_test(with_docker__that_dies_is_left_out),
        with_test(with_docker__that_never_listens_is_left_out),
        with_test(with_docker__that_never_answers_is_left_out),
        with_test(with_docker__that_answers_errors_is_left_out),
        with_test(with_docker__that_dies_in_a_request_is_left_out),
        with_test(with_docker__that_answers_garbage_is_left_out),
        with_test(with_docker__its_mounts_and_processes_go_with_it),
        with_test(with_containerd__that_dies_is_left_out),
        with_test(with_containers_storage__that_fails_is_left_out),
        with_test(with_containers_storage__that_hangs_is_left_out),
        with_test(with_containers_storage__its_mounts_are_taken_back),
        with_test(with__an_engine_that_is_not_installed_is_named),
        with_test(with__an_ordinary_user_gets_the_other_columns),
        with_test(with__a_signal_ends_the_daemons_too),
        with_test(with__unknown_engines_are_wrong_usage),
    };

    if (argc > 1 && strcmp(argv[1], "--real") == 0)
        return cmocka_run_group_tests(real, NULL, NULL);
    return cmocka_run_group_tests(tests, install_fake, NULL);
}
