/* SPDX-License-Identifier: Apache-2.0 */
/* bench/harness/replay_tars.c and replay_headers.c: why two layers of one tree are not the same
 * bytes. A table of pairs of tars; each tells its one reason and no other. */
#include "support/support.h"
#include "support/tarball.h"

#include "bench/harness/replay_check.h"

#include <string.h>

enum { TIME = 1000000000 };

typedef void make_fn(struct tarball *tar);

static void plain(struct tarball *tar)
{
    tarball_add_dir(tar, "d/");
    tarball_add_file(tar, "d/f", "content");
    tarball_end(tar);
}

/* "d/f" of plain(), to be changed in one thing. */
static struct tarball_entry entry_of_f(void)
{
    return (struct tarball_entry){.name = "d/f",
                                  .type = '0',
                                  .mode = TARBALL_UNSET,
                                  .mtime = TIME,
                                  .content = "content",
                                  .content_len = 7};
}

static void other_file(struct tarball *tar, const struct tarball_entry *entry)
{
    tarball_add_dir(tar, "d/");
    tarball_add(tar, entry);
    tarball_end(tar);
}

static void later(struct tarball *tar)
{
    struct tarball_entry entry = entry_of_f();

    entry.mtime++;
    other_file(tar, &entry);
}

static void fraction(struct tarball *tar)
{
    tarball_add_dir(tar, "d/");
    tarball_pax_text(tar, "mtime", "1000000000.5");
    tarball_add_file(tar, "d/f", "content");
    tarball_end(tar);
}

static void later_directory(struct tarball *tar)
{
    tarball_add(tar, &(struct tarball_entry){
                         .name = "d/", .type = '5', .mode = TARBALL_UNSET, .mtime = TIME + 1});
    tarball_add_file(tar, "d/f", "content");
    tarball_end(tar);
}

static void readable(struct tarball *tar)
{
    struct tarball_entry entry = entry_of_f();

    entry.mode = 0600;
    other_file(tar, &entry);
}

static void owned(struct tarball *tar)
{
    struct tarball_entry entry = entry_of_f();

    entry.uid = 7;
    other_file(tar, &entry);
}

static void other_content(struct tarball *tar)
{
    struct tarball_entry entry = entry_of_f();

    entry.content = "CONTENT";
    other_file(tar, &entry);
}

static void with_xattr(struct tarball *tar)
{
    tarball_add_dir(tar, "d/");
    tarball_xattr(tar, "user.note", "x", 1);
    tarball_add_file(tar, "d/f", "content");
    tarball_end(tar);
}

static void symlink_to_f(struct tarball *tar)
{
    tarball_add_symlink(tar, "s", "f");
    tarball_end(tar);
}

static void symlink_to_g(struct tarball *tar)
{
    tarball_add_symlink(tar, "s", "g");
    tarball_end(tar);
}

static void device_1(struct tarball *tar)
{
    tarball_add_device(tar, "c", '3', 1, 3);
    tarball_end(tar);
}

static void block_device(struct tarball *tar)
{
    tarball_add_device(tar, "c", '4', 1, 3);
    tarball_end(tar);
}

static void device_2(struct tarball *tar)
{
    tarball_add_device(tar, "c", '3', 1, 5);
    tarball_end(tar);
}

static void with_root(struct tarball *tar)
{
    tarball_add_dir(tar, "./");
    plain(tar);
}

static void with_opaque(struct tarball *tar)
{
    tarball_add_dir(tar, "d/");
    tarball_add_file(tar, "d/.wh..wh..opq", "");
    tarball_add_file(tar, "d/f", "content");
    tarball_end(tar);
}

static void whiteout(struct tarball *tar, int mode, int64_t mtime)
{
    tarball_add_dir(tar, "d/");
    tarball_add(
        tar, &(struct tarball_entry){.name = "d/.wh.f", .type = '0', .mode = mode, .mtime = mtime});
    tarball_end(tar);
}

static void native_whiteout(struct tarball *tar)
{
    whiteout(tar, 0600, TIME);
}

static void naive_whiteout(struct tarball *tar)
{
    whiteout(tar, 0, TIME);
}

static void later_whiteout(struct tarball *tar)
{
    whiteout(tar, 0600, TIME + 1);
}

static void lone_directory(struct tarball *tar)
{
    tarball_add_dir(tar, "d/");
    tarball_end(tar);
}

static void lone_file(struct tarball *tar)
{
    tarball_add_file(tar, "d/f", "content");
    tarball_end(tar);
}

static void file_twice(struct tarball *tar)
{
    tarball_add_dir(tar, "d/");
    tarball_add_file(tar, "d/f", "first");
    tarball_add_file(tar, "d/f", "content");
    tarball_end(tar);
}

static void by_paths(struct tarball *tar)
{
    tarball_add_dir(tar, "d/");
    tarball_add_file(tar, "d.conf", "");
    tarball_add_file(tar, "d/.wh.a", "");
    tarball_add_file(tar, "d/f", "");
    tarball_end(tar);
}

static void by_directories(struct tarball *tar)
{
    tarball_add_dir(tar, "d/");
    tarball_add_file(tar, "d/.wh.a", "");
    tarball_add_file(tar, "d/f", "");
    tarball_add_file(tar, "d.conf", "");
    tarball_end(tar);
}

static void by_chance(struct tarball *tar)
{
    tarball_add_file(tar, "d/f", "");
    tarball_add_file(tar, "d.conf", "");
    tarball_add_dir(tar, "d/");
    tarball_add_file(tar, "d/.wh.a", "");
    tarball_end(tar);
}

static void dotted(struct tarball *tar)
{
    tarball_add_dir(tar, "./d/");
    tarball_add_file(tar, "d/f", "content");
    tarball_end(tar);
}

static void with_pax(struct tarball *tar)
{
    tarball_add_dir(tar, "d/");
    tarball_pax_text(tar, "comment", "nothing that counts");
    tarball_add_file(tar, "d/f", "content");
    tarball_end(tar);
}

static void in_gnu(struct tarball *tar)
{
    tar->dialect = TARBALL_GNU;
    plain(tar);
}

/* The header of d/f with one more field. */
static void touched(struct tarball *tar, size_t at, const char *text)
{
    tarball_add_dir(tar, "d/");
    tarball_add_file(tar, "d/f", "content");
    memcpy(tarball_header(tar) + at, text, strlen(text));
    tarball_fix_checksum(tar);
    tarball_end(tar);
}

static void named(struct tarball *tar)
{
    touched(tar, 265, "root");
}

static void typed_mode(struct tarball *tar)
{
    touched(tar, 100, "0100644");
}

static void odd_bytes(struct tarball *tar)
{
    touched(tar, 500, "odd");
}

static void padded(struct tarball *tar)
{
    plain(tar);
    tarball_zeros(tar, 512);
}

static const struct {
    make_fn *original, *committed;
    enum ol_replay_reason_kind kind;
    const char *example; /* part of it */
} cases[] = {
    {native_whiteout, later_whiteout, OL_REASON_WHITEOUT_TIME, "d/.wh.f"},
    {native_whiteout, naive_whiteout, OL_REASON_WHITEOUT_MODE, "d/.wh.f"},
    {plain, later_directory, OL_REASON_DIRECTORY_TIME, "d"},
    {plain, later, OL_REASON_TIME, "d/f"},
    {plain, readable, OL_REASON_MODE, "d/f"},
    {plain, owned, OL_REASON_OWNER, "d/f"},
    {device_1, block_device, OL_REASON_TYPE, "c"},
    {symlink_to_f, symlink_to_g, OL_REASON_LINK, "s"},
    {device_1, device_2, OL_REASON_DEVICE, "c"},
    {plain, other_content, OL_REASON_CONTENT, "d/f"},
    {with_root, plain, OL_REASON_MISSING_ROOT, "/"},
    {with_opaque, plain, OL_REASON_MISSING_OPAQUE, "d/.wh..wh..opq"},
    {native_whiteout, lone_directory, OL_REASON_MISSING_WHITEOUT, "d/.wh.f"},
    {plain, lone_file, OL_REASON_MISSING_DIRECTORY, "d"},
    {plain, lone_directory, OL_REASON_MISSING, "d/f"},
    {lone_file, plain, OL_REASON_EXTRA_DIRECTORY, "d"},
    {lone_directory, native_whiteout, OL_REASON_EXTRA_WHITEOUT, "d/.wh.f"},
    {plain, with_opaque, OL_REASON_EXTRA_OPAQUE, "d/.wh..wh..opq"},
    {lone_directory, plain, OL_REASON_EXTRA, "d/f"},
    {file_twice, plain, OL_REASON_DUPLICATE, "d/f"},
    {by_paths, by_directories, OL_REASON_ORDER,
     "the original is sorted by whole paths, the commit directory by directory"},
    {by_chance, by_paths, OL_REASON_ORDER, "the original is sorted in an order of its own"},
    {dotted, plain, OL_REASON_SPELLING, "d"},
    {with_pax, plain, OL_REASON_PAX, "1 in the original (comment), 0 in the commit"},
    {in_gnu, plain, OL_REASON_GNU, "2 in the original, 0 in the commit"},
    {named, plain, OL_REASON_OWNER_NAMES, "1 in the original, 0 in the commit"},
    {typed_mode, plain, OL_REASON_MODE_BITS, "1 in the original, 0 in the commit"},
    {padded, plain, OL_REASON_PADDING, "1536 in the original, 1024 in the commit"},
    {odd_bytes, plain, OL_REASON_BYTES, ""},
};

/* Pairs that cannot differ in one thing alone: the record is a PAX header, too. */
static const struct {
    make_fn *original;
    enum ol_replay_reason_kind kind;
} with_record[] = {
    {fraction, OL_REASON_TIME_FRACTION},
    {with_xattr, OL_REASON_XATTRS},
};

static void compare(make_fn *original, make_fn *committed, struct ol_replay_verdict *ret)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct tarball tars[2] = {TARBALL_INIT, TARBALL_INIT};
    char diff_id[OL_DIGEST_SIZE];

    original(&tars[0]);
    committed(&tars[1]);
    assert_int_equal(ol_digest_of(tars[0].data, tars[0].len, diff_id, NULL), 0);
    const struct ol_input inputs[2] = {{tarball_fd(&tars[0]), 0, tars[0].len},
                                       {tarball_fd(&tars[1]), 0, tars[1].len}};
    assert_ok(ol_replay_compare_tars(&inputs[0], diff_id, &inputs[1], ret, &err), &err);
    tarball_fini(&tars[0]);
    tarball_fini(&tars[1]);
}

static void replay_reasons__each_is_told_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < OL_ARRAY_LEN(cases); i++) {
        struct ol_replay_verdict verdict = {0};
        const char *example;

        compare(cases[i].original, cases[i].committed, &verdict);
        assert_false(verdict.same_diff);
        for (unsigned kind = 0; kind < OL_REASONS; kind++) {
            if ((verdict.reasons[kind].count > 0) != (kind == cases[i].kind))
                fail_msg("%s: %ju x %s", ol_replay_reason_name(cases[i].kind),
                         (uintmax_t)verdict.reasons[kind].count, ol_replay_reason_name(kind));
        }
        example = verdict.reasons[cases[i].kind].example;
        if (strstr(example != NULL ? example : "", cases[i].example) == NULL)
            fail_msg("%s: the example is '%s'", ol_replay_reason_name(cases[i].kind), example);
        ol_replay_verdict_fini(&verdict);
    }
}

static void replay_reasons__a_record_is_told_with_what_it_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < OL_ARRAY_LEN(with_record); i++) {
        struct ol_replay_verdict verdict = {0};

        compare(with_record[i].original, plain, &verdict);
        for (unsigned kind = 0; kind < OL_REASONS; kind++)
            assert_int_equal(verdict.reasons[kind].count,
                             kind == with_record[i].kind || kind == OL_REASON_PAX);
        ol_replay_verdict_fini(&verdict);
    }
}

static void replay_reasons__the_same_bytes_have_none(void **state)
{
    struct ol_replay_verdict verdict = {0};

    (void)state;
    compare(plain, plain, &verdict);
    assert_true(verdict.same_diff && verdict.same_tree);
    for (unsigned kind = 0; kind < OL_REASONS; kind++)
        assert_int_equal(verdict.reasons[kind].count, 0);
    ol_replay_verdict_fini(&verdict);
}

/* Every reason but the trees', which the replay of a whole image tells, is in one of the tables. */
static void replay_reasons__all_are_tried(void **state)
{
    bool tried[OL_REASONS] = {[OL_REASON_TREE] = true};

    (void)state;
    for (size_t i = 0; i < OL_ARRAY_LEN(cases); i++)
        tried[cases[i].kind] = true;
    for (size_t i = 0; i < OL_ARRAY_LEN(with_record); i++)
        tried[with_record[i].kind] = true;
    for (unsigned kind = 0; kind < OL_REASONS; kind++) {
        if (!tried[kind])
            fail_msg("nothing has the reason '%s'", ol_replay_reason_name(kind));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(replay_reasons__each_is_told_alone),
        cmocka_unit_test(replay_reasons__a_record_is_told_with_what_it_says),
        cmocka_unit_test(replay_reasons__the_same_bytes_have_none),
        cmocka_unit_test(replay_reasons__all_are_tried),
    };

    return cmocka_run_group_tests_name("replay_reasons", tests, NULL, NULL);
}
