/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store whose metadata is damaged, byte by byte and page by page. Each damaged store is used in a
 * child process, since what is looked for is death by a signal; and a snapshot that is there must
 * have its directory, whatever was removed and cleaned up meanwhile.
 */
#include "support.h"

#include "support/crash.h"
#include "support/metadb_edit.h"

#include "common/fs/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum {
    PAGE = 4096,
    CHAIN = 60,       /* enough for a tree of two levels */
    HEAD_BYTES = 40,  /* of a page: its header and first offsets; all of them */
    META_BYTES = 160, /* of a meta page */
    STEP = 113,       /* behind those: every so many bytes */
};

/* Where the child is, for the parent to tell; shared memory. */
struct progress {
    off_t at;
    unsigned flip;
    unsigned tried, opened, refused;
    char complaint[256];
};

struct damage {
    struct snap *s;
    char *file;  /* owned; path of the database */
    char *whole; /* owned; its bytes */
    size_t size;
    struct progress *progress; /* owned mapping */
};

/* A chain, views, labels large enough for overflow pages, and free pages of what was removed. */
static void populate(struct snap *s)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_labels struct ol_labels labels = {0};
    ol_auto_free char *big = malloc(3 * PAGE);
    char parent[32] = "";

    assert_non_null(big);
    memset(big, 'x', 3 * PAGE - 1);
    big[3 * PAGE - 1] = '\0';
    assert_int_equal(ol_labels_set(&labels, "big", big), 0);
    for (unsigned i = 0; i < CHAIN; i++) {
        char key[32];
        char name[32];

        (void)snprintf(key, sizeof key, "key-%u", i);
        (void)snprintf(name, sizeof name, "layer-%u", i);
        assert_ok(
            ol_snapshots_prepare(s->sn, key, parent, i % 20 == 0 ? &labels : NULL, NULL, &err),
            &err);
        if (i % 3 == 0) {
            assert_ok(
                ol_snapshots_commit(s->sn, name, key, i % 15 == 0 ? &labels : NULL, NULL, &err),
                &err);
            memcpy(parent, name, sizeof parent);
        }
    }
    snap_remove(s, "key-20"); /* with its overflow pages */
    snap_remove(s, "key-1");
}

static void damage_init(struct damage *d, struct snap *s)
{
    ol_auto_fd int fd = -1;
    struct stat st;

    *d = (struct damage){.s = s};
    populate(s);
    ol_snapshots_free(s->sn);
    s->sn = NULL;
    assert_true(asprintf(&d->file, "%s/metadata.mdb", s->root) > 0);
    fd = open(d->file, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    d->size = (size_t)st.st_size;
    d->whole = malloc(d->size);
    assert_non_null(d->whole);
    assert_int_equal(pread(fd, d->whole, d->size, 0), d->size);
    d->progress = mmap(NULL, sizeof *d->progress, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(d->progress != MAP_FAILED);
}

static void damage_fini(struct damage *d)
{
    (void)munmap(d->progress, sizeof *d->progress); /* a mapping of ours */
    free(d->file);
    free(d->whole);
}

/* The store as it was, file and directories. */
static int restore(const struct damage *d)
{
    static const char *const subs[] = {"", "/fs", "/work"};
    ol_auto_fd int fd = open(d->file, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || pwrite(fd, d->whole, d->size, 0) != (ssize_t)d->size ||
        ftruncate(fd, (off_t)d->size) < 0)
        return -EIO;
    for (unsigned id = 1; id <= CHAIN; id++) {
        for (size_t i = 0; i < OL_ARRAY_LEN(subs); i++) {
            char path[64];

            (void)snprintf(path, sizeof path, "root/snapshots/%u%s", id, subs[i]);
            if (mkdirat(d->s->dir.fd, path, 0755) < 0 && errno != EEXIST)
                return -EIO;
        }
    }
    return 0;
}

static int keep_name(const struct ol_snapshot_info *info, void *data, struct ol_error *err)
{
    struct progress *progress = data;

    (void)err;
    (void)snprintf(progress->complaint, sizeof progress->complaint, "%.200s", info->name);
    return 0;
}

/* Each snapshot that is there must have its directory. */
static int look(const struct ol_snapshot_info *info, void *data, struct ol_error *err)
{
    struct damage *d = data;
    ol_auto_snapshot_info struct ol_snapshot_info found = {0};
    ol_auto_free char *path = NULL;
    struct stat st;

    (void)err;
    if (ol_snapshots_stat(d->s->sn, info->name, &found, NULL) < 0)
        return 0; /* filed where nobody finds it */
    path = strdup(ol_labels_get(&found.labels, OL_SNAPSHOT_UPPERDIR_LABEL));
    if (path == NULL || stat(path, &st) == 0)
        return 0;
    (void)snprintf(d->progress->complaint, sizeof d->progress->complaint,
                   "snapshot '%.100s' lost its directory", info->name);
    return -EPROTO;
}

/* Everything a user would do to a store. @return false when a snapshot has no directory */
static bool use_store(struct damage *d)
{
    const struct ol_snapshots_config config = {
        .root = d->s->root, .no_sync = true, .upperdir_label = true};
    struct ol_snapshots *sn = NULL;
    struct ol_snapshot_usage usage;
    unsigned orphans;
    int r = ol_snapshots_open(&config, &sn, NULL);

    d->progress->tried++;
    if (r < 0) {
        d->progress->refused++;
        return true;
    }
    d->progress->opened++;
    d->s->sn = sn;
    (void)ol_snapshots_check(sn, NULL, NULL, &orphans, NULL);
    (void)ol_snapshots_walk(sn, NULL, 0, keep_name, d->progress, NULL);
    (void)ol_snapshots_usage(sn, "key-2", &usage, NULL);
    (void)ol_snapshots_cleanup(sn, NULL, NULL);
    (void)ol_snapshots_prepare(sn, "new", "layer-57", NULL, NULL, NULL);
    (void)ol_snapshots_commit(sn, "newer", "key-4", NULL, NULL, NULL);
    (void)ol_snapshots_remove(sn, "key-5", NULL);
    (void)ol_snapshots_remove(sn, "layer-30", NULL);
    (void)ol_snapshots_cleanup(sn, NULL, NULL);
    r = ol_snapshots_walk(sn, NULL, 0, look, d, NULL);
    (void)ol_snapshots_remove(sn, "new", NULL);
    ol_snapshots_free(sn);
    d->s->sn = NULL;
    return r != -EPROTO;
}

/* One damaged byte after the other in one page. */
static int flip_page(struct damage *d, off_t page)
{
    static const unsigned flips[] = {0xff, 0x01, 0x80};
    const off_t head = page < 2 * PAGE ? META_BYTES : HEAD_BYTES;

    for (off_t at = page; at < page + PAGE; at += at < page + head ? 1 : STEP) {
        ol_auto_fd int fd = -1;
        char byte;

        d->progress->at = at;
        d->progress->flip = flips[(size_t)at % OL_ARRAY_LEN(flips)];
        byte = (char)(d->whole[at] ^ (char)d->progress->flip);
        if (restore(d) < 0)
            return 3;
        fd = open(d->file, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || pwrite(fd, &byte, 1, at) != 1)
            return 3;
        ol_fd_close(&fd);
        if (!use_store(d))
            return 4;
    }
    return 0;
}

/* Only the first page_bytes of the file are left. */
static int cut_page(struct damage *d, off_t page)
{
    d->progress->at = page;
    if (restore(d) < 0 || truncate(d->file, page) < 0)
        return 3;
    return use_store(d) ? 0 : 4;
}

/* Random bytes in the place of a page. */
static int scramble_page(struct damage *d, off_t page)
{
    ol_auto_fd int fd = -1;
    uint64_t random = (uint64_t)page + 1;
    unsigned char bytes[PAGE];

    for (size_t i = 0; i < sizeof bytes; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        bytes[i] = (unsigned char)(random >> 56);
    }
    d->progress->at = page;
    if (restore(d) < 0)
        return 3;
    fd = open(d->file, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || pwrite(fd, bytes, sizeof bytes, page) != (ssize_t)sizeof bytes)
        return 3;
    ol_fd_close(&fd);
    return use_store(d) ? 0 : 4;
}

/* Another page of the file in its place: everything in it is right, but not here. */
static int swap_page(struct damage *d, off_t page)
{
    off_t other = (page + 7 * (off_t)PAGE) % (off_t)d->size;
    ol_auto_fd int fd = -1;

    d->progress->at = page;
    if (restore(d) < 0)
        return 3;
    fd = open(d->file, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || pwrite(fd, d->whole + other, PAGE, page) != PAGE)
        return 3;
    ol_fd_close(&fd);
    return use_store(d) ? 0 : 4;
}

static void in_child(struct damage *d, int (*body)(struct damage *d, off_t page), off_t page)
{
    pid_t pid = fork();
    int status = 0;

    assert_true(pid >= 0);
    if (pid == 0) {
        crash_in_child();
        _exit(body(d, page));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status))
        fail_msg("killed by signal %d with byte %#jx (page %jd, offset %jd) flipped by %#x",
                 WTERMSIG(status), (uintmax_t)d->progress->at, (intmax_t)(d->progress->at / PAGE),
                 (intmax_t)(d->progress->at % PAGE), d->progress->flip);
    if (WEXITSTATUS(status) != 0)
        fail_msg("status %d with byte %#jx (page %jd, offset %jd) flipped by %#x: %s",
                 WEXITSTATUS(status), (uintmax_t)d->progress->at,
                 (intmax_t)(d->progress->at / PAGE), (intmax_t)(d->progress->at % PAGE),
                 d->progress->flip, d->progress->complaint);
}

/* Over every page; afterwards the store is whole again. */
static void every_page(struct snap *s, int (*body)(struct damage *d, off_t page), unsigned refused)
{
    struct damage d;

    damage_init(&d, s);
    assert_true(d.size / PAGE >= 20);
    for (off_t page = 0; page < (off_t)d.size; page += PAGE)
        in_child(&d, body, page);
    assert_true(d.progress->refused >= refused); /* it was damage, indeed */
    assert_int_equal(restore(&d), 0);
    damage_fini(&d);
    snap_open(s);
}

static void damage__of_any_byte_is_an_error_or_harmless(void **state)
{
    every_page(*state, flip_page, 200);
}

static void damage__a_file_cut_off_at_any_page_is_an_error_or_harmless(void **state)
{
    every_page(*state, cut_page, 10);
}

static void damage__random_bytes_for_any_page_are_an_error_or_harmless(void **state)
{
    every_page(*state, scramble_page, 10);
}

static void damage__any_page_in_the_place_of_another_is_an_error_or_harmless(void **state)
{
    every_page(*state, swap_page, 10);
}

/* The index of ids says what directories may be deleted; the records say whether that is true. */
static void cleanup__keeps_what_only_the_index_has_lost(void **state)
{
    struct snap *s = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *path = NULL;
    unsigned char id[8] = {[7] = 1};

    snap_prepare(s, "a", NULL);
    snap_prepare(s, "b", NULL);
    ol_snapshots_free(s->sn);
    s->sn = NULL;
    assert_true(asprintf(&path, "%s/metadata.mdb", s->root) > 0);
    metadb_edit(path, "ids", id, sizeof id, NULL, 0);
    snap_open(s);
    assert_int_equal(ol_snapshots_cleanup(s->sn, NULL, &err), -EUCLEAN);
    assert_message(&err, "snapshot 'a' is missing in the index of ids");
    assert_int_equal(ol_snapshots_remove(s->sn, "b", NULL), -EUCLEAN);
    assert_true(ol_snapshots_check(s->sn, NULL, NULL, NULL, &err) > 0);
    assert_int_equal(snap_dirs(s), 2);
    ol_snapshots_free(s->sn);
    s->sn = NULL;
}

/* A last id that is too low would give a snapshot's directory away as an orphan. */
static void prepare__keeps_a_directory_that_is_used(void **state)
{
    struct snap *s = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *path = NULL;
    unsigned char id[8] = {[7] = 1};
    unsigned char none[8] = {0};

    snap_prepare(s, "a", NULL);
    test_write(s->dir.fd, "root/snapshots/1/fs/kept", "x");
    ol_snapshots_free(s->sn);
    s->sn = NULL;
    assert_true(asprintf(&path, "%s/metadata.mdb", s->root) > 0);
    metadb_edit(path, "ids", id, sizeof id, NULL, 0);
    metadb_edit(path, "state", (char[]){"sequence"}, 8, none, sizeof none);
    snap_open(s);
    assert_int_equal(ol_snapshots_prepare(s->sn, "b", NULL, NULL, NULL, &err), -EUCLEAN);
    assert_message(&err, "snapshot 'a' is missing in the index of ids");
    assert_present(s->dir.fd, "root/snapshots/1/fs/kept");
    ol_snapshots_free(s->sn);
    s->sn = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        snap_test(cleanup__keeps_what_only_the_index_has_lost),
        snap_test(prepare__keeps_a_directory_that_is_used),
        snap_test(damage__of_any_byte_is_an_error_or_harmless),
        snap_test(damage__a_file_cut_off_at_any_page_is_an_error_or_harmless),
        snap_test(damage__random_bytes_for_any_page_are_an_error_or_harmless),
        snap_test(damage__any_page_in_the_place_of_another_is_an_error_or_harmless),
    };
    return cmocka_run_group_tests_name("snapshot damage", tests, NULL, NULL);
}
