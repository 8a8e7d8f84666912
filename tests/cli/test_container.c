/* SPDX-License-Identifier: Apache-2.0 */
/* "overlab container …" and "overlab commit", on an image of one static program. */
#include "cli/terminal.h"

#include "common/fs/tree.h"

#include <fcntl.h>
#include <jansson.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>

struct fixture {
    struct test_dir dir;
    char *root;  /* --root=… */
    char *image; /* the directory that is imported */
};

static void copy_tool(struct fixture *f)
{
    ol_auto_fd int in = open(OL_IN_CONTAINER, O_RDONLY | O_CLOEXEC);
    ol_auto_fd int out = -1;
    char block[65536];
    ssize_t n;

    test_mkdir(f->dir.fd, "image", 0755);
    test_mkdir(f->dir.fd, "image/bin", 0755);
    test_mkdir(f->dir.fd, "image/etc", 0755);
    test_write(f->dir.fd, "image/etc/passwd",
               "root:x:0:0::/root:/bin/sh\njoe:x:0:6::/home/joe:\n"
               "nouid:x:4294967295:6::/:\nnogid:x:0:4294967295::/:\n");
    test_write(f->dir.fd, "image/etc/group", "root:x:0:\nstaff:x:0:joe\n");
    out = openat(f->dir.fd, "image/bin/tool", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    assert_true(in >= 0 && out >= 0);
    while ((n = read(in, block, sizeof block)) > 0)
        assert_int_equal(write(out, block, (size_t)n), n);
    assert_int_equal(n, 0);
}

static void fixture_init(struct fixture *f)
{
    test_dir_make(&f->dir);
    assert_true(asprintf(&f->root, "--root=%s/root", f->dir.path) > 0);
    assert_true(asprintf(&f->image, "%s/image", f->dir.path) > 0);
    copy_tool(f);
}

static void fixture_fini(struct fixture *f)
{
    test_dir_remove(&f->dir);
    free(f->root);
    free(f->image);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    fixture_init(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    fixture_fini(f);
    free(f);
    return 0;
}

static const char *const no_env[] = {NULL};

/* Run it with the fixture's root, and expect a status. */
#define run(f, ret, want, ...)                                                                     \
    run_env((f), (ret), (want), no_env, (const char *const[]){__VA_ARGS__, NULL})
static void run_env(struct fixture *f, struct program_result *ret, int want, const char *const *env,
                    const char *const *words)
{
    const char *const root[] = {f->root, NULL};

    program_expect(&(struct program_run){.args = root, .env = env}, words, want, ret);
}

/* An image and a container "box" in this view. */
static void begin(struct fixture *f, const char *view)
{
    auto_result struct program_result r = {0};

    run(f, &r, 0, "image", "import", view, "--tag", "base:1", f->image);
    run(f, &r, 0, "container", "create", "base:1", "--name", "box");
}

static void assert_out(const struct program_result *r, const char *text)
{
    if (strstr(r->out, text) == NULL)
        fail_msg("no '%s' in '%s'", text, r->out);
}

static void assert_err(const struct program_result *r, const char *text)
{
    if (strstr(r->err, text) == NULL)
        fail_msg("no '%s' in '%s'", text, r->err);
}

/* ---- */

static void commit_and_use(struct fixture *f, const char *view)
{
    auto_result struct program_result r = {0};

    begin(f, view);
    run(f, &r, 0, "container", "exec", "box", "tool", "write", "/new", "made in it");
    run(f, &r, 0, "commit", "-m", "msg", "-a", "me", "-c", "ENV A=b", "-c", "WORKDIR /w/x", "box",
        "made:1");
    run(f, &r, 0, "container", "create", "made:1", "--name", "next");
    run(f, &r, 0, "container", "exec", "next", "tool", "print", "/new");
    assert_string_equal(r.out, "made in it");
    run(f, &r, 0, "container", "exec", "-e", "C=d", "next", "tool", "self");
    assert_out(&r, "cwd=/w/x uid=0 gid=0 pid=2");
    assert_out(&r, "\nA=b\n");
    assert_out(&r, "\nC=d\n");
    assert_out(&r, "\nHOME=/root\n");
    run(f, &r, 0, "container", "rm", "box", "next");
    run(f, &r, 0, "image", "rm", "made:1");
    run(f, &r, 0, "image", "rm", "base:1");
    run(f, &r, 0, "layer", "ls");
    assert_string_equal(r.out, "");
}

static void container__exec_writes_what_commit_keeps(void **state)
{
    OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    commit_and_use(*state, "--view=kernel");
}

static void container__exec_works_in_a_user_namespace(void **state)
{
    OL_REQUIRE(can_user_namespace, "the user namespace view");
    OL_REQUIRE(can_user_xattr, "user.* attributes");
    commit_and_use(*state, "--view=userns");
}

static void container__exec_is_refused_in_the_direct_view(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result r = {0};

    OL_REQUIRE(can_user_xattr, "user.* attributes");
    begin(f, "--view=direct");
    run(f, &r, 3, "container", "exec", "box", "tool", "exit", "0");
    assert_err(&r, "view 'direct'");
    run(f, &r, 0, "commit", "box", "same:1");
    run(f, &r, 0, "container", "rm", "box");
}

static void container__exec_passes_the_status_on(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result r = {0};

    OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    begin(f, "--view=kernel");
    run(f, &r, 7, "container", "exec", "box", "tool", "exit", "7");
    run(f, &r, 137, "container", "exec", "box", "tool", "die");
    run(f, &r, 127, "container", "exec", "box", "nothing");
    assert_err(&r, "cannot run 'nothing' in the container: No such file");
    run(f, &r, 126, "container", "exec", "box", "/etc/passwd");
    run(f, &r, 125, "container", "exec", "-u", "nobody", "box", "tool", "self");
    assert_err(&r, "the container has no user 'nobody'");
    run(f, &r, 125, "container", "exec", "nobody", "tool");
    assert_err(&r, "no container 'nobody'");
    run(f, &r, 0, "container", "exec", "-u", "joe:staff", "box", "tool", "self");
    run(f, &r, 2, "container", "exec", "box");
    run(f, &r, 2, "container", "exec", "-e", "nothing", "box", "tool");
}

/* In a mount namespace of the test's own, with something of the host's to write to. */
static void container__exec_does_not_write_below_sys(void **state)
{
    static const char *const views[] = {"--view=kernel", "--view=userns"};

    OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    OL_REQUIRE(can_user_namespace, "the user namespace view");
    OL_REQUIRE(can_user_xattr, "user.* attributes");
    assert_int_equal(unshare(CLONE_NEWNS), 0);
    assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    assert_int_equal(mount("none", "/sys/fs/cgroup", "tmpfs", 0, "mode=0777"), 0);
    for (size_t i = 0; i < OL_ARRAY_LEN(views); i++) {
        struct fixture f = {.root = NULL};
        auto_result struct program_result r = {0};

        fixture_init(&f);
        begin(&f, views[i]);
        run(&f, &r, 1, "container", "exec", "box", "tool", "write", "/sys/new", "x");
        run(&f, &r, 1, "container", "exec", "box", "tool", "write", "/sys/fs/cgroup/new", "x");
        fixture_fini(&f);
    }
    (void)state;
    assert_int_equal(umount("/sys/fs/cgroup"), 0);
}

/* To setresuid(2) these ids mean "as it is", and that is root. */
static void container__exec_refuses_ids_that_are_none(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result r = {0};

    OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    begin(f, "--view=kernel");
    run(f, &r, 125, "container", "exec", "-u", "nouid", "box", "tool", "self");
    assert_err(&r, "4294967295 of 'nouid' is no user id");
    run(f, &r, 125, "container", "exec", "-u", "nogid", "box", "tool", "self");
    assert_err(&r, "4294967295 of 'nogid' is no group id");
}

static void container__exec_leaves_no_trace_but_the_changes(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result r = {0};
    ol_auto_free char *before = NULL;

    OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    begin(f, "--view=kernel");
    run(f, &r, 0, "layer", "du");
    before = strdup(r.out);
    assert_non_null(before);
    run(f, &r, 0, "container", "exec", "box", "tool", "write", "/dev/null", "x");
    run(f, &r, 0, "container", "exec", "box", "tool", "print", "/proc/self/status");
    run(f, &r, 1, "container", "exec", "box", "tool", "write", "/etc/hosts", "x");
    run(f, &r, 0, "layer", "du");
    assert_string_equal(r.out, before);
}

/* What is left when the program is gone: teardown finds mounts, and the container is free again. */
static void container__exec_ends_with_the_signal(void **state)
{
    static const int signals[] = {SIGTERM, SIGKILL};
    struct fixture *f = *state;
    auto_result struct program_result r = {0};

    OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    begin(f, "--view=kernel");
    for (size_t i = 0; i < OL_ARRAY_LEN(signals); i++) {
        const char *const args[] = {f->root, "container", "exec", "box", "tool", "wait", NULL};
        const struct program_run program = {
            .args = args, .awaited = "ready\n", .signal = signals[i]};

        program_result_fini(&r);
        program_run(&program, &r); /* returns when nobody holds its output any more */
        assert_int_equal(r.status, 128 + signals[i]);
    }
    run(f, &r, 0, "container", "exec", "box", "tool", "exit", "0");
}

/* While the command runs nobody else has the container, and everybody the others. */
static void use_meanwhile(pid_t pid, void *data)
{
    static const char *const refused[][6] = {
        {"container", "rm", "box"},
        {"container", "mount", "box"},
        {"commit", "box", "half:1"},
    };
    struct fixture *f = data;
    auto_result struct program_result r = {0};

    (void)pid;
    run(f, &r, 125, "container", "exec", "box", "tool", "exit", "0");
    assert_err(&r, "container 'box' is in use by another command");
    for (size_t i = 0; i < OL_ARRAY_LEN(refused); i++) {
        run_env(f, &r, 1, no_env, refused[i]);
        assert_err(&r, "container 'box' is in use by another command");
    }
    run(f, &r, 7, "container", "exec", "other", "tool", "exit", "7");
    run(f, &r, 0, "commit", "other", "of-other:1");
    run(f, &r, 0, "check-store");
}

static void container__runs_one_command_at_a_time(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result r = {0};
    const char *const args[] = {f->root, "container", "exec", "box", "tool", "wait", NULL};
    const struct program_run program = {.args = args,
                                        .awaited = "ready\n",
                                        .then = use_meanwhile,
                                        .then_data = f,
                                        .signal = SIGTERM};

    OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    begin(f, "--view=kernel");
    run(f, &r, 0, "container", "create", "base:1", "--name", "other");
    program_result_fini(&r);
    program_run(&program, &r);
    assert_int_equal(r.status, 128 + SIGTERM);
    run(f, &r, 0, "container", "exec", "box", "tool", "write", "/after", "x");
    run(f, &r, 0, "commit", "box", "whole:1");
    run(f, &r, 1, "image", "rm", "half:1"); /* which never was */
}

#define BIG_TEXT "50000000" /* bytes: so that the commit is not done before it is stopped */

/* The commit stands still, in the middle. */
static void use_stopped(pid_t pid, void *data)
{
    struct fixture *f = data;
    auto_result struct program_result r = {0};
    int status = 0;

    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    run(f, &r, 125, "container", "exec", "box", "tool", "write", "/late", "x");
    assert_err(&r, "is in use by another process");
    run(f, &r, 1, "commit", "box", "late:1");
    assert_err(&r, "is in use by another process");
    assert_int_equal(kill(pid, SIGCONT), 0);
}

static void commit__keeps_commands_out(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result r = {0};
    const char *const args[] = {f->root, "--debug=mount", "commit", "box", "whole:1", NULL};
    const struct program_run program = {
        .args = args, .awaited = "mount overlay", .then = use_stopped, .then_data = f};

    OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    begin(f, "--view=kernel");
    run(f, &r, 0, "container", "exec", "box", "tool", "fill", "/big", BIG_TEXT);
    program_result_fini(&r);
    program_run(&program, &r);
    if (r.status != 0)
        fail_msg("commit ended with %d: %s", r.status, r.err);
    run(f, &r, 0, "container", "create", "whole:1", "--name", "next");
    run(f, &r, 0, "container", "exec", "next", "tool", "size", "/big");
    assert_string_equal(r.out, BIG_TEXT "\n");
    run(f, &r, 1, "container", "exec", "next", "tool", "print", "/late");
    run(f, &r, 0, "check-store", "--content");
}

/* ---- on a terminal ---- */

static void start_on_terminal_in(struct fixture *f, struct terminal *t, const char *view,
                                 const char *word)
{
    const char *const args[] = {f->root, "container", "exec", "box", "tool", word, NULL};

    begin(f, view);
    terminal_start(t, args, 33, 77);
}

static void start_on_terminal(struct fixture *f, struct terminal *t, const char *word)
{
    start_on_terminal_in(f, t, "--view=kernel", word);
}

static void is_the_commands(struct fixture *f, const char *view)
{
    struct terminal t;

    start_on_terminal_in(f, &t, view, "terminal");
    terminal_await(&t, "terminals 111 foreground 1\r\n");
    terminal_await(&t, "size 33x77\r\n");
    terminal_await(&t, "watching\r\n");
    assert_false(terminal_is_its_own(&t)); /* the command's group has it */
    terminal_resize(&t, 40, 100);
    terminal_await(&t, "size 40x100\r\n");
    terminal_type(&t, "\003"); /* Ctrl-C: the command decides what to do */
    terminal_await(&t, "interrupted\r\n");
    assert_int_equal(terminal_end(&t), 42);
}

static void terminal__is_the_commands(void **state)
{
    OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    is_the_commands(*state, "--view=kernel");
}

static void terminal__is_the_commands_in_a_user_namespace(void **state)
{
    OL_REQUIRE(can_user_namespace, "the user namespace view");
    OL_REQUIRE(can_user_xattr, "user.* attributes");
    is_the_commands(*state, "--view=userns");
}

static void terminal__interrupt_ends_a_command_that_does_not_mind(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result r = {0};
    struct terminal t;

    OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    start_on_terminal(f, &t, "wait");
    terminal_await(&t, "ready\r\n");
    terminal_type(&t, "\003");
    assert_int_equal(terminal_end(&t), 128 + SIGINT);
    run(f, &r, 0, "container", "exec", "box", "tool", "exit", "0"); /* it is free again */
}

static void terminal__that_is_closed_ends_the_command(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result r = {0};
    struct terminal t;
    int status = 0;

    OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    start_on_terminal(f, &t, "wait");
    terminal_await(&t, "ready\r\n");
    ol_fd_close(&t.fd); /* SIGHUP */
    ol_buf_fini(&t.seen);
    assert_int_equal(waitpid(t.pid, &status, 0), t.pid);
    assert_int_equal(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
                     128 + SIGHUP);
    run(f, &r, 0, "container", "exec", "box", "tool", "exit", "0");
}

/* There is no shell of ours that could wake it. */
static void terminal__does_not_stop_the_command(void **state)
{
    struct terminal t;

    OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    start_on_terminal(*state, &t, "terminal");
    terminal_await(&t, "watching\r\n");
    terminal_type(&t, "\032"); /* Ctrl-Z */
    terminal_await(&t, "goes on\r\n");
    terminal_type(&t, "\003");
    assert_int_equal(terminal_end(&t), 42);
}

/* Not on a terminal: nothing pretends to be one. */
static void terminal__is_not_made_up(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result r = {0};
    const char *const args[] = {f->root, "container", "exec", "box", "tool", "terminal", NULL};
    const struct program_run program = {.args = args, .awaited = "watching\n", .signal = SIGINT};

    OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    begin(f, "--view=kernel");
    program_run(&program, &r);
    assert_int_equal(r.status, 42);
    assert_out(&r, "terminals 000 foreground 0\n");
}

static void container__mount_is_shared_with_exec_and_commit(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result r = {0};
    ol_auto_fd int fd = -1;

    OL_REQUIRE(can_mount_overlay, "mounting overlayfs needs CAP_SYS_ADMIN");
    begin(f, "--view=kernel");
    run(f, &r, 0, "container", "mount", "box");
    assert_true(r.out_len > 1);
    r.out[r.out_len - 1] = '\0';
    fd = open(r.out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    run(f, &r, 0, "container", "exec", "box", "tool", "write", "/seen", "there");
    assert_content(fd, "seen", "there");
    ol_fd_close(&fd);
    run(f, &r, 0, "commit", "box", "mounted:1");
    run(f, &r, 0, "container", "ls");
    assert_out(&r, "/merged");
    run(f, &r, 1, "container", "rm", "box");
    assert_err(&r, "is mounted on");
    run(f, &r, 1, "image", "rm", "base:1");
    run(f, &r, 0, "container", "umount", "box");
    run(f, &r, 0, "container", "rm", "box");
}

static void container__refuses_with_a_reason(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result r = {0};

    OL_REQUIRE(can_user_xattr, "user.* attributes");
    begin(f, "--view=direct");
    run(f, &r, 1, "container", "create", "base:1", "--name", "box");
    assert_err(&r, "the name 'box' is taken by container");
    run(f, &r, 1, "container", "create", "base:1", "--name", "-box");
    assert_err(&r, "is no container name");
    run(f, &r, 1, "container", "create", "nothing:1");
    assert_err(&r, "nothing:1");
    run(f, &r, 1, "container", "rm", "nobody");
    assert_err(&r, "no container 'nobody'");
    run(f, &r, 1, "container", "mount", "nobody");
    run(f, &r, 1, "commit", "nobody", "x");
    run(f, &r, 1, "commit", "-c", "RUN x", "box", "x");
    assert_err(&r, "run is not a valid change command");
    run(f, &r, 1, "commit", "box", "Upper:1");
    run(f, &r, 1, "image", "rm", "base:1");
    assert_err(&r, "is used by container");
    run(f, &r, 2, "container", "create");
    run(f, &r, 2, "commit");
    run(f, &r, 0, "image", "ls", "--json");
    assert_null(strstr(r.out, "\"x:latest\""));
    run(f, &r, 1, "container", "rm", "-d", "vfs", "box");
    assert_err(&r, "is one of driver 'overlay2'");
}

static void container__ls_json_has_what_was_made(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result r = {0};
    const json_t *list;
    json_t *json;

    OL_REQUIRE(can_user_xattr, "user.* attributes");
    begin(f, "--view=direct");
    run(f, &r, 0, "container", "ls", "--json");
    json = json_loads(r.out, 0, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "schema")),
                        "overlab.container.ls/1");
    list = json_object_get(json, "containers");
    assert_int_equal(json_array_size(list), 1);
    list = json_array_get(list, 0);
    assert_string_equal(json_string_value(json_object_get(list, "name")), "box");
    assert_string_equal(json_string_value(json_object_get(list, "image_name")), "base:1");
    assert_true(json_is_null(json_object_get(list, "mounted_on")));
    json_decref(json);
}

static void commit__is_the_same_at_the_same_time(void **state)
{
    static const char *const env[] = {"SOURCE_DATE_EPOCH=1700000000", NULL};
    static const char *const args[] = {"commit", "-m", "msg", "box", NULL};
    struct fixture *f = *state;
    auto_result struct program_result one = {0};
    auto_result struct program_result two = {0};

    OL_REQUIRE(can_user_xattr, "user.* attributes");
    begin(f, "--view=direct");
    run_env(f, &one, 0, env, args);
    run_env(f, &two, 0, env, args);
    assert_string_equal(one.out, two.out);
}

/* A date no reader of images takes, and so no engine would load the image. */
static void commit__refuses_a_time_past_the_year_9999(void **state)
{
    static const char *const last[] = {"SOURCE_DATE_EPOCH=253402300799", NULL};
    static const char *const past[] = {"SOURCE_DATE_EPOCH=253402300800", NULL};
    static const char *const args[] = {"commit", "box", "x:1", NULL};
    struct fixture *f = *state;
    auto_result struct program_result r = {0};

    OL_REQUIRE(can_user_xattr, "user.* attributes");
    begin(f, "--view=direct");
    run_env(f, &r, 1, past, args);
    assert_err(&r, "SOURCE_DATE_EPOCH is past the year 9999: '253402300800'");
    run_env(f, &r, 0, last, args);
    run(f, &r, 0, "image", "ls");
    assert_out(&r, "9999-12-31T23:59:59Z");
}

/* A create killed before its record is there, and a removal killed after it has gone. */
static void container__without_a_record_is_cleaned_up(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result r = {0};
    ol_auto_free char *id = NULL;
    ol_auto_fd int fd = -1;

    OL_REQUIRE(can_user_xattr, "user.* attributes");
    begin(f, "--view=direct");
    run(f, &r, 0, "container", "create", "base:1");
    id = strndup(r.out, 64);
    assert_non_null(id);
    fd = openat(f->dir.fd, "root/containers", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(renameat(fd, id, fd, "tmp-killed"), 0);
    run(f, &r, 0, "container", "rm", "box");
    run(f, &r, 0, "image", "rm", "base:1");
    assert_absent(fd, "tmp-killed");
    run(f, &r, 0, "layer", "ls");
    assert_string_equal(r.out, "");
}

/* Nothing overlab does: somebody removed files by hand. */
static void container__whose_layers_are_gone_is_listed_and_removed(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result r = {0};
    ol_auto_free char *path = NULL;

    OL_REQUIRE(can_user_xattr, "user.* attributes");
    begin(f, "--view=direct");
    run(f, &r, 0, "container", "create", "base:1", "--name", "lost");
    assert_true(asprintf(&path, "root/image/overlay2/layerdb/mounts/%.64s", r.out) > 0);
    assert_int_equal(ol_tree_remove(f->dir.fd, path, NULL), 0);
    run(f, &r, 0, "container", "ls");
    assert_out(&r, "(its layers are gone)");
    run(f, &r, 1, "check-store");
    assert_out(&r, "container 'lost' has lost its layers");
    run(f, &r, 1, "commit", "lost");
    assert_err(&r, "'overlab container rm -d overlay2 lost' removes what is left");
    run(f, &r, 0, "container", "rm", "lost");
    run(f, &r, 0, "container", "ls");
    assert_null(strstr(r.out, "lost"));
    assert_out(&r, "box");
}

static void container__refuses_a_damaged_record(void **state)
{
    struct fixture *f = *state;
    auto_result struct program_result r = {0};
    ol_auto_free char *path = NULL;

    OL_REQUIRE(can_user_xattr, "user.* attributes");
    begin(f, "--view=direct");
    run(f, &r, 0, "container", "create", "base:1");
    assert_true(asprintf(&path, "root/containers/%.64s/config.json", r.out) > 0);
    test_write(f->dir.fd, path, "{\"schema\":\"overlab.container/1\"}");
    run(f, &r, 1, "container", "ls");
    assert_err(&r, "is no record of container");
    test_write(f->dir.fd, path, "{");
    run(f, &r, 1, "container", "ls");
    assert_err(&r, "is not valid JSON");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(container__exec_writes_what_commit_keeps),
        TEST(container__exec_works_in_a_user_namespace),
        TEST(container__exec_is_refused_in_the_direct_view),
        TEST(container__exec_passes_the_status_on),
        TEST(container__exec_refuses_ids_that_are_none),
        TEST(container__exec_does_not_write_below_sys),
        TEST(container__exec_leaves_no_trace_but_the_changes),
        TEST(container__exec_ends_with_the_signal),
        TEST(container__runs_one_command_at_a_time),
        TEST(commit__keeps_commands_out),
        TEST(terminal__is_the_commands),
        TEST(terminal__is_the_commands_in_a_user_namespace),
        TEST(terminal__interrupt_ends_a_command_that_does_not_mind),
        TEST(terminal__that_is_closed_ends_the_command),
        TEST(terminal__does_not_stop_the_command),
        TEST(terminal__is_not_made_up),
        TEST(container__mount_is_shared_with_exec_and_commit),
        TEST(container__refuses_with_a_reason),
        TEST(container__ls_json_has_what_was_made),
        TEST(container__without_a_record_is_cleaned_up),
        TEST(container__whose_layers_are_gone_is_listed_and_removed),
        TEST(container__refuses_a_damaged_record),
        TEST(commit__is_the_same_at_the_same_time),
        TEST(commit__refuses_a_time_past_the_year_9999),
    };

    return cmocka_run_group_tests_name("cli_container", tests, NULL, NULL);
}
