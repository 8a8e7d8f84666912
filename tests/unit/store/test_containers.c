/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store/containers.c: records of containers, found, listed and removed, damaged, and used by two
 * processes at once. Commands in containers are tests/cli's.
 */
#include "containers_fixture.h"
#include "image_builder.h"

#include "common/fault.h"
#include "common/fs/tree.h"
#include "support/crash.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The name a disk cannot read any more; NULL: it reads all. */
static const char *unreadable;

int fstatat(int dir_fd, const char *name, struct stat *st, int flags)
{
    if (unreadable != NULL && strcmp(name, unreadable) == 0) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_newfstatat, dir_fd, name, st, flags);
}

static const char record_of[] = "root/containers/%s/config.json";

/* A record like those docker create makes, or not quite. */
static void write_record(const struct containers_fixture *f, const char *id, const char *text)
{
    ol_auto_free char *path = text_of(record_of, id);

    test_write(f->dir.fd, path, text);
}

/* An empty container's record with this schema, id and name, and more keys. */
static char *record_text(const struct containers_fixture *f, const char *schema, const char *id,
                         const char *name, const char *more)
{
    return text_of("{\"schema\":\"%s\",\"id\":\"%s\",\"name\":\"%s\",\"driver\":\"vfs\","
                   "\"image\":\"%s\",\"image_name\":\"base:1\",\"created\":\"x\",\"config\":{}%s}",
                   schema, id, name, f->base, more);
}

static const char schema[] = "overlab.container/1";

static int find(struct containers_fixture *f, const char *name, struct ol_container *ret,
                struct ol_error *err)
{
    ol_container_fini(ret);
    return ol_containers_find(f->containers, name, ret, err);
}

static void assert_finds(struct containers_fixture *f, const char *name, const char *id)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_container struct ol_container found = OL_CONTAINER_INIT;

    assert_ok(find(f, name, &found, &err), &err);
    assert_string_equal(found.id, id);
}

static void assert_names(struct containers_fixture *f, const char *want)
{
    ol_auto_free char *names = containers_names(f);

    assert_string_equal(names, want);
}

/* A container made by hand, over the layers of another one: its id is chosen. */
static void rename_container(struct containers_fixture *f, const char *id, const char *new_id,
                             const char *name)
{
    static const char *const parts[] = {"root/containers", "root/image/vfs/layerdb/mounts"};
    ol_auto_free char *text = record_text(f, schema, new_id, name, "");

    containers_shut(f);
    for (size_t i = 0; i < OL_ARRAY_LEN(parts); i++) {
        ol_auto_fd int fd = openat(f->dir.fd, parts[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_int_equal(renameat(fd, id, fd, new_id), 0);
    }
    write_record(f, new_id, text);
    containers_reopen(f);
}

/* ---- create, find, list, remove ---- */

static void create__writes_what_find_reads(void **state)
{
    struct containers_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_container struct ol_container c = OL_CONTAINER_INIT;
    ol_auto_free char *id = containers_add(f, "box");

    for (int again = 0; again < 2; again++) { /* and the next process reads the same */
        assert_ok(find(f, "box", &c, &err), &err);
        assert_string_equal(c.id, id);
        assert_string_equal(c.name, "box");
        assert_string_equal(c.driver, "vfs");
        assert_string_equal(c.image, f->base);
        assert_string_equal(c.image_name, "base:1");
        assert_string_equal(c.created, "2023-11-14T22:13:20Z");
        assert_string_equal(json_string_value(json_object_get(c.config, "WorkingDir")), "/w/x");
        containers_reopen(f);
    }
}

static void create__without_a_name_takes_it_from_the_id(void **state)
{
    struct containers_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_container struct ol_container c = OL_CONTAINER_INIT;
    ol_auto_free char *id = containers_add(f, NULL);

    assert_ok(find(f, id, &c, &err), &err);
    assert_int_equal(strlen(c.name), 12);
    assert_memory_equal(c.name, id, 12);
}

static void create__refuses_names_that_are_none(void **state)
{
    static const char *const names[] = {"",    "a",  "-a",   ".a",  "_a",
                                        "a/b", "..", "../x", "a b", "é1"};
    struct containers_fixture *f = *state;
    char longest[258];

    for (size_t i = 0; i < OL_ARRAY_LEN(names); i++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;

        assert_int_equal(containers_try_add(f, names[i], &err), -EINVAL);
        assert_message(&err, "is no container name");
    }
    memset(longest, 'x', sizeof longest);
    longest[256] = '\0';
    assert_false(ol_container_name_valid(longest));
    longest[255] = '\0';
    assert_true(ol_container_name_valid(longest));
    assert_int_equal(containers_try_add(f, longest, NULL), 0);
}

static void create__refuses_a_name_that_is_taken(void **state)
{
    struct containers_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    containers_make(f, "box");
    assert_int_equal(containers_try_add(f, "box", &err), -EEXIST);
    assert_message(&err, "'box' is taken");
    assert_names(f, "box ");
    f->driver = "overlay2"; /* names are one set for all drivers */
    containers_reopen(f);
    assert_int_equal(containers_try_add(f, "box", NULL), -EEXIST);
    assert_names(f, "");
}

static void create__refuses_an_image_that_is_not_there(void **state)
{
    struct containers_fixture *f = *state;
    const struct ol_container_spec spec = {.image = "nothing:1"};
    ol_auto_container struct ol_container c = OL_CONTAINER_INIT;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;

    assert_int_equal(ol_containers_create(f->containers, &spec, &c, &err), -ENOENT);
    assert_message(&err, "nothing:1");
}

static void find__prefers_id_to_name_and_name_to_prefix(void **state)
{
    static const char a[] = "abaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    static const char b[] = "abbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
    static const char c[] = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc";
    struct containers_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_container struct ol_container found = OL_CONTAINER_INIT;
    ol_auto_free char *one = containers_add(f, "one");
    ol_auto_free char *two = containers_add(f, "two");
    ol_auto_free char *three = containers_add(f, "three");

    rename_container(f, one, a, "one");
    rename_container(f, two, b, a); /* its name is another one's id */
    rename_container(f, three, c, "ab");
    assert_finds(f, a, a);
    assert_finds(f, "ab", c); /* and this the beginning of two ids */
    assert_finds(f, "aba", a);
    assert_finds(f, "c", c);
    assert_int_equal(find(f, "a", &found, &err), -EINVAL);
    assert_message(&err, "several containers have ids that begin with 'a'");
    assert_int_equal(find(f, "", &found, NULL), -ENOENT);
    assert_int_equal(find(f, "abc", &found, NULL), -ENOENT);
    assert_names(f, "one abaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa ab ");
}

static void find__names_the_driver_a_container_is_of(void **state)
{
    struct containers_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_container struct ol_container found = OL_CONTAINER_INIT;
    ol_auto_free char *id = containers_add(f, "box");

    f->driver = "overlay2";
    containers_reopen(f);
    assert_int_equal(find(f, "box", &found, &err), -ENOENT);
    assert_message(&err, "'box' is one of driver 'vfs'");
    ol_error_fini(&err);
    assert_int_equal(find(f, id, &found, &err), -ENOENT);
    assert_message(&err, "'-d vfs'");
}

static void find__of_what_climbs_finds_nothing(void **state)
{
    static const char *const names[] = {"..", "../containers", "/", ".", "box/../box", "box/"};
    struct containers_fixture *f = *state;
    ol_auto_container struct ol_container found = OL_CONTAINER_INIT;

    containers_make(f, "box");
    for (size_t i = 0; i < OL_ARRAY_LEN(names); i++)
        assert_int_equal(find(f, names[i], &found, NULL), -ENOENT);
}

static int fail_at_second(const struct ol_container *container, void *data)
{
    unsigned *count = data;

    (void)container;
    return ++*count == 2 ? -ECANCELED : 0;
}

static void list__ends_where_it_is_told_to(void **state)
{
    struct containers_fixture *f = *state;
    unsigned count = 0;

    containers_make(f, "a1");
    containers_make(f, "b1");
    containers_make(f, "c1");
    assert_int_equal(ol_containers_list(f->containers, fail_at_second, &count, NULL), -ECANCELED);
    assert_int_equal(count, 2);
}

static void remove__leaves_nothing(void **state)
{
    struct containers_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_container struct ol_container c = OL_CONTAINER_INIT;
    struct ol_tree_usage before;
    struct ol_tree_usage after;
    ol_auto_fd int root_fd = openat(f->dir.fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    containers_make(f, "first"); /* makes directories that stay */
    assert_ok(ol_tree_usage(root_fd, false, &before, &err), &err);
    containers_make(f, "box");
    containers_write(f, "box", "new", "text");
    assert_ok(find(f, "box", &c, &err), &err);
    assert_ok(ol_containers_remove(f->containers, &c, &err), &err);
    assert_ok(ol_tree_usage(root_fd, false, &after, &err), &err);
    assert_int_equal(after.inodes, before.inodes);
    assert_names(f, "first ");
    assert_int_equal(containers_try_add(f, "box", NULL), 0); /* the name is free */
}

static void remove__that_fails_says_whether_the_container_is_gone(void **state)
{
    struct containers_fixture *f = *state;
    bool delivered = true;
    unsigned gone = 0;

    OL_REQUIRE(can_inject_faults, "this build has no fault points (OL_FAULTS)");
    for (unsigned long n = 1; delivered; n++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        ol_auto_container struct ol_container c = OL_CONTAINER_INIT;
        int r;

        if (find(f, "box", &c, NULL) < 0) {
            (void)containers_try_add(f, "box", NULL);
            assert_int_equal(find(f, "box", &c, NULL), 0);
        }
        ol_fault_arm(n);
        r = ol_containers_remove(f->containers, &c, &err);
        delivered = ol_fault_delivered();
        ol_fault_arm(0);
        if (r < 0) {
            assert_int_equal(find(f, "box", &c, NULL) < 0,
                             strstr(ol_error_text(&err), "'box' is gone") != NULL);
            gone += strstr(ol_error_text(&err), "'box' is gone") != NULL;
            containers_reopen(f);
        }
    }
    assert_true(gone > 1);
    assert_names(f, "");
}

/* ---- records that are not as they should be ---- */

static void record__that_is_damaged_is_refused_and_named(void **state)
{
    static const struct {
        const char *schema, *id, *name, *more, *told;
    } cases[] = {
        {"overlab.container/2", NULL, "box", "", "is no record of schema"},
        {schema, "../../../x", "box", "", "is no record of container"},
        {schema, NULL, "../x", "", "is no record of container"},
        {schema, NULL, "", "", "is no record of container"},
        {schema, NULL, "box", ",\"name\":\"twice\"", "duplicate"},
        {schema, NULL, "box", "}", "is not valid JSON"},
    };
    struct containers_fixture *f = *state;
    ol_auto_free char *id = containers_add(f, "box");

    for (size_t i = 0; i < OL_ARRAY_LEN(cases); i++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        ol_auto_container struct ol_container c = OL_CONTAINER_INIT;
        ol_auto_free char *text = record_text(f, cases[i].schema,
                                              cases[i].id != NULL ? cases[i].id : id, cases[i].name,
                                              cases[i].more);

        write_record(f, id, text);
        assert_true(find(f, "box", &c, &err) < 0);
        assert_message(&err, id); /* the file */
        assert_message(&err, cases[i].told);
        assert_true(containers_try_add(f, "other", NULL) < 0); /* nobody knows whose name it is */
    }
}

static void record__without_a_key_is_refused(void **state)
{
    static const char *const keys[] = {"schema", "id",         "name",    "driver",
                                       "image",  "image_name", "created", "config"};
    struct containers_fixture *f = *state;
    ol_auto_free char *id = containers_add(f, "box");
    ol_auto_free char *whole = record_text(f, schema, id, "box", "");

    for (size_t i = 0; i < OL_ARRAY_LEN(keys); i++) {
        ol_auto_container struct ol_container c = OL_CONTAINER_INIT;
        ol_auto_free char *text = NULL;
        json_t *json = json_loads(whole, 0, NULL);

        assert_int_equal(json_object_del(json, keys[i]), 0);
        text = json_dumps(json, 0);
        json_decref(json);
        write_record(f, id, text);
        assert_int_equal(find(f, "box", &c, NULL), -EBADMSG);
    }
    write_record(f, id, whole);
    assert_finds(f, "box", id);
}

static void record__with_more_keys_is_read(void **state)
{
    struct containers_fixture *f = *state;
    ol_auto_free char *id = containers_add(f, "box");
    ol_auto_free char *text = record_text(f, schema, id, "box", ",\"later\":{\"a\":[1]}");

    write_record(f, id, text);
    assert_finds(f, "box", id);
}

static void record__that_is_no_file_is_refused(void **state)
{
    struct containers_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_container struct ol_container c = OL_CONTAINER_INIT;
    ol_auto_free char *id = containers_add(f, "box");
    ol_auto_free char *path = text_of(record_of, id);

    assert_int_equal(unlinkat(f->dir.fd, path, 0), 0);
    assert_int_equal(find(f, "box", &c, NULL), -ENOENT);
    test_symlink(f->dir.fd, "/etc/passwd", path);
    assert_true(find(f, "box", &c, &err) < 0);
    assert_message(&err, "config.json");
    assert_int_equal(unlinkat(f->dir.fd, path, 0), 0);
    assert_int_equal(mkfifoat(f->dir.fd, path, 0600), 0);
    assert_int_equal(find(f, "box", &c, NULL), -EINVAL); /* and nobody waits for a writer */
}

static void record__too_long_is_refused(void **state)
{
    struct containers_fixture *f = *state;
    ol_auto_container struct ol_container c = OL_CONTAINER_INIT;
    ol_auto_free char *id = containers_add(f, "box");
    ol_auto_free char *path = text_of(record_of, id);

    ol_auto_fd int fd = openat(f->dir.fd, path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(ftruncate(fd, (off_t)1 << 34), 0); /* 16 GiB, all hole */
    assert_int_equal(find(f, "box", &c, NULL), -E2BIG);
}

/* Names that are no ids are none of ours. */
static void record__in_a_strange_directory_is_passed_over(void **state)
{
    struct containers_fixture *f = *state;

    containers_make(f, "box");
    test_mkdir(f->dir.fd, "root/containers/by-hand", 0700);
    test_mkdir(f->dir.fd, "root/containers/ABCDEF", 0700);
    test_write(f->dir.fd, "root/containers/file", "x");
    assert_names(f, "box ");
    containers_reopen(f);
    assert_names(f, "box ");
    assert_present(f->dir.fd, "root/containers/by-hand");
}

/* ---- layers that are gone ---- */

static void layers__that_are_gone_are_told_and_the_record_can_go(void **state)
{
    struct containers_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_container struct ol_container c = OL_CONTAINER_INIT;
    ol_auto_free char *id = containers_add(f, "box");
    ol_auto_free char *mounts = text_of("root/image/vfs/layerdb/mounts/%s", id);
    char layer[OL_HEX_SIZE];

    containers_shut(f);
    assert_ok(ol_tree_remove(f->dir.fd, mounts, &err), &err);
    containers_reopen(f);
    assert_names(f, "box ");
    assert_ok(find(f, "box", &c, &err), &err);
    assert_int_equal(ol_containers_layer(f->containers, &c, layer, &err), -ENOENT);
    assert_message(&err, "container 'box'");
    assert_message(&err, "overlab container rm -d vfs box");
    assert_ok(ol_containers_remove(f->containers, &c, &err), &err);
    assert_names(f, "");
}

static void layers__without_a_record_go_at_the_next_start(void **state)
{
    struct containers_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *id = containers_add(f, "box");
    ol_auto_free char *record = text_of("root/containers/%s", id);
    ol_auto_free char *mounts = text_of("root/image/vfs/layerdb/mounts/%s", id);

    assert_present(f->dir.fd, mounts);
    containers_shut(f);
    assert_ok(ol_tree_remove(f->dir.fd, record, &err), &err);
    containers_reopen(f);
    assert_absent(f->dir.fd, mounts);
    assert_int_equal(ol_images_remove(f->images, "base:1", false, NULL, NULL, &err), 0);
}

/* A disk that fails says nothing about what is on it. */
static void layers__whose_record_cannot_be_looked_for_stay(void **state)
{
    struct containers_fixture *f = *state;
    ol_auto_free char *id = containers_add(f, "box");
    ol_auto_free char *mounts = text_of("root/image/vfs/layerdb/mounts/%s", id);

    containers_shut(f);
    unreadable = id;
    containers_reopen(f);
    unreadable = NULL;
    assert_present(f->dir.fd, mounts);
    assert_names(f, "box ");
}

/* dockerd refuses, too (tests/integration/test_commit_config_engine.c). */
static void commit__needs_the_image_and_works_when_it_is_back(void **state)
{
    const struct ol_container_commit commit = {.name = "made:1"};
    struct containers_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_container struct ol_container c = OL_CONTAINER_INIT;
    struct ol_container_committed made;
    char before[OL_DIGEST_SIZE];

    containers_make(f, "box");
    memcpy(before, f->base, sizeof before);
    containers_write(f, "box", "new", "text");
    assert_int_equal(ol_images_remove(f->images, "base:1", false, NULL, NULL, NULL), -EBUSY);
    assert_ok(ol_images_remove(f->images, "base:1", true, NULL, NULL, &err), &err);
    containers_reopen(f); /* the layer stays, the container stands on it */
    assert_ok(find(f, "box", &c, &err), &err);
    assert_int_equal(ol_containers_commit(f->containers, &c, &commit, &made, &err), -ENOENT);
    assert_message(&err, "of container 'box' ('base:1') was removed: import it again");
    ol_error_fini(&err);
    containers_put_base(f);
    assert_string_equal(f->base, before);
    assert_ok(ol_containers_commit(f->containers, &c, &commit, &made, &err), &err);
    assert_false(made.layer.empty);
}

/* ---- two processes ---- */

static int in_process(struct containers_fixture *f, int (*body)(struct containers_fixture *f))
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        crash_in_child();
        f->engine = NULL; /* the parent's */
        _exit(body(f));
    }
    status = crash_wait(pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int open_fails(struct containers_fixture *f)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    int r = containers_try_open(f, &err);

    return r == -EBUSY && strstr(ol_error_text(&err), "in use by another process") != NULL ? 0 : 1;
}

static void processes__share_no_store_of_one_driver(void **state)
{
    struct containers_fixture *f = *state;

    assert_int_equal(in_process(f, open_fails), 0);
    containers_shut(f);
    assert_int_equal(in_process(f, open_fails), 1);
}

static int remove_box(struct containers_fixture *f)
{
    ol_auto_container struct ol_container c = OL_CONTAINER_INIT;

    if (containers_try_open(f, NULL) < 0 || find(f, "box", &c, NULL) < 0)
        return 1;
    return -ol_containers_remove(f->containers, &c, NULL);
}

/* As a command that runs in it does: the store is closed, the container stays locked. */
static void processes__do_not_remove_what_another_one_uses(void **state)
{
    struct containers_fixture *f = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_container struct ol_container c = OL_CONTAINER_INIT;
    int lock = -1;

    containers_make(f, "box");
    assert_ok(find(f, "box", &c, &err), &err);
    assert_ok(ol_containers_lock(f->containers, &c, &lock, &err), &err);
    containers_shut(f);
    assert_int_equal(in_process(f, remove_box), EBUSY);
    ol_fd_close(&lock);
    assert_int_equal(in_process(f, remove_box), 0);
}

enum { RACERS = 3, ROUNDS = 40 };

/* One process for each driver and round: all want the same name at once. */
static int race(struct containers_fixture *f, int go_fd)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    char byte;
    int r;

    if (containers_try_open(f, &err) < 0 || read(go_fd, &byte, 1) != 0)
        return 2;
    r = containers_try_add(f, "box", &err);
    return r == 0 ? 0 : r == -EEXIST ? 1 : 2;
}

static void processes__of_several_drivers_give_a_name_once(void **state)
{
    static const char *const drivers[RACERS] = {"vfs", "overlay", "overlay2"};
    struct containers_fixture *f = *state;
    pid_t pids[RACERS];
    unsigned made = 0;
    int go[2];

    assert_int_equal(pipe2(go, O_CLOEXEC), 0);
    for (size_t i = 0; i < RACERS; i++) {
        f->driver = drivers[i];
        containers_reopen(f);
        containers_put_base(f);
        containers_shut(f);
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            crash_in_child();
            ol_fd_close(&go[1]);
            _exit(race(f, go[0]));
        }
    }
    ol_fd_close(&go[1]); /* and off they go */
    ol_fd_close(&go[0]);
    for (size_t i = 0; i < RACERS; i++) {
        int status = crash_wait(pids[i]);

        assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
        made += WEXITSTATUS(status) == 0;
    }
    assert_int_equal(made, 1);
}

/* A container of overlay2 comes and goes, while vfs, which shares the directory, is asked. */
static int come_and_go(struct containers_fixture *f)
{
    f->driver = "overlay2";
    if (containers_try_open(f, NULL) < 0)
        return 1;
    for (unsigned i = 0; i < ROUNDS; i++) {
        ol_auto_container struct ol_container c = OL_CONTAINER_INIT;

        if (containers_try_add(f, "guest", NULL) < 0 || find(f, "guest", &c, NULL) < 0 ||
            ol_containers_remove(f->containers, &c, NULL) < 0)
            return 1;
    }
    return 0;
}

static void processes__that_remove_do_not_disturb_those_that_read(void **state)
{
    struct containers_fixture *f = *state;
    int status = 0;
    pid_t pid;

    containers_make(f, "box");
    f->driver = "overlay2";
    containers_reopen(f);
    containers_put_base(f);
    containers_shut(f);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        crash_in_child();
        _exit(come_and_go(f));
    }
    f->driver = "vfs";
    containers_reopen(f);
    do
        assert_names(f, "box ");
    while (waitpid(pid, &status, WNOHANG) == 0);
    assert_int_equal(status, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, containers_setup, containers_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(create__writes_what_find_reads),
        TEST(create__without_a_name_takes_it_from_the_id),
        TEST(create__refuses_names_that_are_none),
        TEST(create__refuses_a_name_that_is_taken),
        TEST(create__refuses_an_image_that_is_not_there),
        TEST(find__prefers_id_to_name_and_name_to_prefix),
        TEST(find__names_the_driver_a_container_is_of),
        TEST(find__of_what_climbs_finds_nothing),
        TEST(list__ends_where_it_is_told_to),
        TEST(remove__leaves_nothing),
        TEST(remove__that_fails_says_whether_the_container_is_gone),
        TEST(record__that_is_damaged_is_refused_and_named),
        TEST(record__without_a_key_is_refused),
        TEST(record__with_more_keys_is_read),
        TEST(record__that_is_no_file_is_refused),
        TEST(record__too_long_is_refused),
        TEST(record__in_a_strange_directory_is_passed_over),
        TEST(layers__that_are_gone_are_told_and_the_record_can_go),
        TEST(layers__without_a_record_go_at_the_next_start),
        TEST(layers__whose_record_cannot_be_looked_for_stay),
        TEST(commit__needs_the_image_and_works_when_it_is_back),
        TEST(processes__share_no_store_of_one_driver),
        TEST(processes__do_not_remove_what_another_one_uses),
        TEST(processes__of_several_drivers_give_a_name_once),
        TEST(processes__that_remove_do_not_disturb_those_that_read),
    };

    return cmocka_run_group_tests_name("containers", tests, NULL, NULL);
}
