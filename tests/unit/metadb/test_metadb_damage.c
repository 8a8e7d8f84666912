/* SPDX-License-Identifier: Apache-2.0 */
/* Databases that are cut off, of another version, no database at all, or contradict themselves. */
#include "support.h"

#include "support/metadb_edit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static void cut(struct meta_test *t, off_t size)
{
    assert_int_equal(truncate(t->path, size), 0);
}

static void damage__a_cut_off_file_is_an_error_at_every_length(void **state)
{
    struct meta_test *t = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_free char *whole = NULL;
    struct stat st;
    ol_auto_fd int fd = -1;

    meta_populate(t);
    meta_close(t);
    assert_int_equal(stat(t->path, &st), 0);
    fd = open(t->path, O_RDWR | O_CLOEXEC);
    whole = malloc((size_t)st.st_size);
    assert_true(fd >= 0 && whole != NULL);
    assert_int_equal(pread(fd, whole, (size_t)st.st_size, 0), st.st_size);
    for (off_t size = st.st_size - 2048; size > 0; size -= 2048) {
        int r;

        assert_int_equal(pwrite(fd, whole, (size_t)st.st_size, 0), st.st_size);
        cut(t, size);
        r = meta_open(t, &err);
        if (r == 0) { /* only free pages were cut off: then nothing may be missing */
            struct ol_snapshot_info info = {0};

            meta_assert_sound(t);
            assert_int_equal(meta_info(t, "view-2", NULL, &info, NULL), 0);
            ol_snapshot_info_fini(&info);
            meta_close(t);
            continue;
        }
        assert_true(r == -EUCLEAN || r == -EPROTO || r == -EINVAL || r == -ENOENT);
        assert_message(&err, "metadata.mdb");
        ol_error_fini(&err);
    }
    assert_int_equal(pwrite(fd, whole, (size_t)st.st_size, 0), st.st_size);
    assert_ok(meta_open(t, &err), &err);
}

static void damage__a_file_that_is_no_database_is_refused(void **state)
{
    struct meta_test *t = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    char text[8192];

    meta_close(t);
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    test_write(t->dir.fd, "metadata.mdb", text);
    assert_int_equal(meta_open(t, &err), -EUCLEAN);
    assert_message(&err, "no database");
}

static void damage__a_newer_version_is_refused_by_name(void **state)
{
    struct meta_test *t = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    unsigned char format[8] = {2};

    meta_close(t);
    metadb_edit(t->path, "state", (char[]){"format"}, 6, format, sizeof format);
    assert_int_equal(meta_open(t, &err), -EPROTO);
    assert_message(&err, "format 2");
}

struct findings {
    unsigned count;
    char last[256];
};

static void keep_finding(const char *text, void *data)
{
    struct findings *findings = data;

    findings->count++;
    (void)snprintf(findings->last, sizeof findings->last, "%s", text);
}

static void assert_finding(struct meta_test *t, const char *text)
{
    struct findings findings = {0};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_metatxn struct ol_metatxn *txn = NULL;

    assert_ok(meta_open(t, &err), &err);
    assert_ok(ol_metadb_begin(t->db, false, &txn, &err), &err);
    assert_true(ol_meta_check(txn, keep_finding, &findings, &err) > 0);
    if (strstr(findings.last, text) == NULL)
        fail_msg("the checker says '%s', not '%s'", findings.last, text);
    ol_metatxn_abort(ol_ptr_steal(txn));
    meta_close(t);
}

static void check__finds_a_damaged_record(void **state)
{
    struct meta_test *t = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_metatxn struct ol_metatxn *txn = NULL;
    struct ol_snapshot_info info = {0};

    meta_populate(t);
    meta_close(t);
    metadb_edit(t->path, "snapshots", (char[]){"active-1"}, 8, (char[]){"not a record"}, 12);
    assert_finding(t, "'active-1' is damaged");
    assert_ok(meta_open(t, &err), &err);
    assert_ok(ol_metadb_begin(t->db, false, &txn, &err), &err);
    assert_int_equal(ol_meta_info(txn, "active-1", NULL, &info, NULL, &err), -EUCLEAN);
    assert_message(&err, "'active-1' is damaged");
    ol_metatxn_abort(ol_ptr_steal(txn));
    meta_close(t);
}

static void check__finds_index_entries_missing_and_left_over(void **state)
{
    struct meta_test *t = *state;
    unsigned char id[8] = {[7] = 1};
    unsigned char stray[16] = {[7] = 90, [15] = 91};

    meta_populate(t);
    meta_close(t);
    metadb_edit(t->path, "children", stray, sizeof stray, (char[]){"x"}, 1);
    assert_finding(t, "the index of children has 5 entries, 4 belong there");
    metadb_edit(t->path, "children", stray, sizeof stray, NULL, 0);
    metadb_edit(t->path, "ids", id, sizeof id, (char[]){"other"}, 5);
    assert_finding(t, "'committed-1' has another name in the index of ids");
    metadb_edit(t->path, "ids", id, sizeof id, NULL, 0);
    assert_finding(t, "the index of ids has 6 entries");
}

static void check__finds_a_parent_that_is_gone(void **state)
{
    struct meta_test *t = *state;

    meta_populate(t);
    meta_close(t);
    metadb_edit(t->path, "snapshots", (char[]){"committed-2"}, 11, NULL, 0);
    assert_finding(t, "entries");
}

/* A removal believes the records, not the index alone. */
static void remove__of_a_parent_the_index_has_lost_is_refused(void **state)
{
    struct meta_test *t = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_metatxn struct ol_metatxn *txn = NULL;
    unsigned char child[16] = {[7] = 1, [15] = 2};
    unsigned char other[16] = {[7] = 1};

    assert_int_equal(meta_create(t, OL_SNAPSHOT_ACTIVE, "a", NULL), 0);
    assert_int_equal(meta_commit(t, "a", "base", 1), 0);
    assert_int_equal(meta_create(t, OL_SNAPSHOT_ACTIVE, "child", "base"), 0);
    meta_close(t);
    metadb_edit(t->path, "children", child, sizeof child, NULL, 0);
    other[0] = 1;
    metadb_edit(t->path, "children", other, sizeof other, (char[]){"x"}, 1);
    assert_ok(meta_open(t, &err), &err);
    assert_ok(ol_metadb_begin(t->db, true, &txn, &err), &err);
    assert_int_equal(ol_meta_remove(txn, "base", NULL, &err), -EUCLEAN);
    assert_message(&err, "'child' is missing in the index of children");
    ol_metatxn_abort(ol_ptr_steal(txn));
    meta_close(t);
}

static void create__with_an_id_that_is_used_is_refused(void **state)
{
    struct meta_test *t = *state;
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    unsigned char first[8] = {0};
    unsigned char last[8] = {255, 255, 255, 255, 255, 255, 255, 255};

    assert_int_equal(meta_create(t, OL_SNAPSHOT_ACTIVE, "a", NULL), 0);
    meta_close(t);
    metadb_edit(t->path, "state", (char[]){"sequence"}, 8, first, sizeof first);
    assert_ok(meta_open(t, &err), &err);
    assert_int_equal(meta_create(t, OL_SNAPSHOT_ACTIVE, "b", NULL), -EUCLEAN);
    meta_close(t);
    metadb_edit(t->path, "state", (char[]){"sequence"}, 8, last, sizeof last);
    assert_ok(meta_open(t, &err), &err);
    assert_int_equal(meta_create(t, OL_SNAPSHOT_ACTIVE, "b", NULL), -EUCLEAN);
}

static void open__twice_in_one_process_is_refused(void **state)
{
    struct meta_test *t = *state;
    const struct ol_metadb_config config = {.path = t->path};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_metadb *second = NULL;

    assert_int_equal(ol_metadb_open(&config, &second, &err), -EBUSY);
    assert_message(&err, "open already");
    assert_int_equal(meta_create(t, OL_SNAPSHOT_ACTIVE, "a", NULL), 0);
}

static void open__in_a_directory_that_is_not_there_names_the_file(void **state)
{
    const struct ol_metadb_config config = {.path = "/nonexistent/metadata.mdb"};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_metadb *db = NULL;

    (void)state;
    assert_int_equal(ol_metadb_open(&config, &db, &err), -ENOENT);
    assert_message(&err, "'/nonexistent/metadata.mdb'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        meta_test(damage__a_cut_off_file_is_an_error_at_every_length),
        meta_test(damage__a_file_that_is_no_database_is_refused),
        meta_test(damage__a_newer_version_is_refused_by_name),
        meta_test(check__finds_a_damaged_record),
        meta_test(check__finds_index_entries_missing_and_left_over),
        meta_test(check__finds_a_parent_that_is_gone),
        meta_test(remove__of_a_parent_the_index_has_lost_is_refused),
        meta_test(create__with_an_id_that_is_used_is_refused),
        meta_test(open__twice_in_one_process_is_refused),
        cmocka_unit_test(open__in_a_directory_that_is_not_there_names_the_file),
    };
    return cmocka_run_group_tests_name("metadb_damage", tests, NULL, NULL);
}
