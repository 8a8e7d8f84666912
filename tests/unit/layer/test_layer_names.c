/* SPDX-License-Identifier: Apache-2.0 */
/* Names are bytes: in every dialect, whatever the locale, long or short, and sparse or not. */
#include "layer_fixture.h"

#include "common/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <unistd.h>

/* Composed, decomposed, ASCII, Latin-1, lone continuation bytes, CESU-8 surrogates, control bytes.
 */
static const char *const odd_names[] = {
    "plain",
    "caf\xc3\xa9",
    "cafe\xcc\x81",
    "caf\xe9",
    "\x80\xff",
    "\xed\xa0\xbd\xed\xb8\x80",
    "\xf0\x9f\x98\x80",
    "new\nline\t\x01\x7f",
};

static const char *const locales[] = {"C", "C.UTF-8"};

/* One file and one link to it for each name, below a directory whose name makes them long or not.
 */
static void add_names(struct tarball *tar, const char *dir)
{
    for (size_t i = 0; i < OL_ARRAY_LEN(odd_names); i++) {
        ol_auto_free char *path = NULL;
        ol_auto_free char *link = NULL;
        assert_true(asprintf(&path, "%s%s", dir, odd_names[i]) > 0);
        assert_true(asprintf(&link, "%s%s.s", dir, odd_names[i]) > 0);
        tarball_add_file(tar, path, odd_names[i]);
        tarball_add_symlink(tar, link, path);
        link[strlen(link) - 1] = 'h';
        tarball_add_hardlink(tar, link, path);
    }
}

static void check_names(int root_fd, const char *dir)
{
    for (size_t i = 0; i < OL_ARRAY_LEN(odd_names); i++) {
        ol_auto_free char *path = NULL;
        ol_auto_free char *link = NULL;
        char target[4096] = "";
        assert_true(asprintf(&path, "%s%s", dir, odd_names[i]) > 0);
        assert_true(asprintf(&link, "%s%s.s", dir, odd_names[i]) > 0);
        assert_content(root_fd, path, odd_names[i]);
        assert_true(readlinkat(root_fd, link, target, sizeof target - 1) > 0);
        assert_string_equal(target, path);
        link[strlen(link) - 1] = 'h';
        assert_int_equal(layer_stat(root_fd, link).st_ino, layer_stat(root_fd, path).st_ino);
    }
}

static void in_every_locale(struct layer_fixture *f, enum tarball_dialect dialect, const char *dir)
{
    for (size_t i = 0; i < OL_ARRAY_LEN(locales); i++) {
        assert_non_null(setlocale(LC_ALL, locales[i]));
        f->tar.dialect = dialect;
        add_names(&f->tar, dir);
        layer_apply_ok(f);
        (void)setlocale(LC_ALL, "C");
        check_names(f->root_fd, dir);
        layer_clear(f);
    }
}

#define LONG_PART "0123456789012345678901234567890123456789012345678"
#define LONG_DIR  LONG_PART "/" LONG_PART "/" LONG_PART "/"

static void layer_names__short_in_ustar(void **state)
{
    in_every_locale(*state, TARBALL_USTAR, "d/");
}

static void layer_names__short_in_v7(void **state)
{
    in_every_locale(*state, TARBALL_V7, "d/");
}

static void layer_names__short_in_gnu(void **state)
{
    in_every_locale(*state, TARBALL_GNU, "d/");
}

static void layer_names__long_in_gnu(void **state)
{
    in_every_locale(*state, TARBALL_GNU, LONG_DIR);
}

static void layer_names__long_in_pax(void **state)
{
    in_every_locale(*state, TARBALL_PAX, LONG_DIR);
}

static void layer_names__prefix_in_ustar(void **state)
{
    struct layer_fixture *f = *state;

    f->tar.dialect = TARBALL_USTAR;
    tarball_add_file(&f->tar, LONG_DIR "caf\xe9", "x");
    layer_apply_ok(f);
    assert_content(f->root_fd, LONG_DIR "caf\xe9", "x");
}

static void layer_names__pax_records_for_everything(void **state)
{
    struct layer_fixture *f = *state;

    for (size_t i = 0; i < OL_ARRAY_LEN(locales); i++) {
        assert_non_null(setlocale(LC_ALL, locales[i]));
        tarball_pax_text(&f->tar, "path", "p\xc3\xa9\xff");
        tarball_pax_text(&f->tar, "linkpath", "l\xcc\x81\xfe");
        tarball_pax_text(&f->tar, "uname", "\xff\xc3\xa9");
        tarball_pax_text(&f->tar, "gname", "\xff\xc3\xa9");
        tarball_add_symlink(&f->tar, "short", "short");
        tarball_pax_text(&f->tar, "hdrcharset", "BINARY");
        tarball_pax_text(&f->tar, "path", "b\xc3\xa9\xff");
        tarball_add_file(&f->tar, "other", "x");
        layer_apply_ok(f);
        (void)setlocale(LC_ALL, "C");
        assert_true(S_ISLNK(layer_stat(f->root_fd, "p\xc3\xa9\xff").st_mode));
        assert_int_equal(layer_stat(f->root_fd, "p\xc3\xa9\xff").st_size, 4);
        assert_content(f->root_fd, "b\xc3\xa9\xff", "x");
        layer_clear(f);
    }
}

static void layer_names__locale_of_the_thread_stays(void **state)
{
    struct layer_fixture *f = *state;
    locale_t utf8 = newlocale(LC_ALL_MASK, "C.UTF-8", (locale_t)0);
    locale_t old;

    assert_true(utf8 != (locale_t)0);
    old = uselocale(utf8);
    tarball_add_file(&f->tar, "f", "x");
    layer_apply_ok(f);
    assert_true(uselocale(old) == utf8);
    freelocale(utf8);
}

static void layer_names__clean_like_moby(void **state)
{
    struct layer_fixture *f = *state;

    tarball_add_file(&f->tar, "a//b/./c/../d", "x");
    tarball_add_file(&f->tar, "/abs/f", "x");
    tarball_add_file(&f->tar, "./dot", "x");
    tarball_add_dir(&f->tar, "a/../");
    layer_apply_ok(f);
    assert_content(f->root_fd, "a/b/d", "x");
    assert_absent(f->root_fd, "a/b/c");
    assert_content(f->root_fd, "abs/f", "x");
    assert_content(f->root_fd, "dot", "x");
}

static void layer_names__component_of_255_bytes_is_the_longest(void **state)
{
    struct layer_fixture *f = *state;
    char name[257];

    memset(name, 'n', sizeof name - 1);
    name[256] = '\0';
    tarball_add_file(&f->tar, name, "too long for one component");
    layer_apply_fails(f, -ENAMETOOLONG, "nnn");
    name[255] = '\0';
    tarball_add_file(&f->tar, name, "x");
    layer_apply_ok(f);
    assert_content(f->root_fd, name, "x");
}

/* A linkpath record on a plain entry: moby's native diff leaves such on shared whiteouts (W13). */
static void layer_names__stale_link_name_is_ignored(void **state)
{
    struct layer_fixture *f = *state;

    test_write(f->root_fd, "gone", "old");
    tarball_pax_text(&f->tar, "linkpath", "stale");
    tarball_add_file(&f->tar, "f", "");
    tarball_pax_text(&f->tar, "linkpath", "stale");
    tarball_add_file(&f->tar, "content", "x");
    tarball_pax_text(&f->tar, "linkpath", "stale");
    tarball_add_file(&f->tar, ".wh.gone", "");
    tarball_add(&f->tar, &(struct tarball_entry){
                             .name = "ustar", .type = '0', .mode = 0644, .link = "stale"});
    layer_apply_ok(f);
    assert_content(f->root_fd, "f", "");
    assert_content(f->root_fd, "content", "x");
    assert_absent(f->root_fd, "gone");
    assert_int_equal(f->res.hardlinks, 0);
    assert_int_equal(f->res.regular, 3);
}

/* Sparse files: data at 0 and at 1 MiB, a hole between and one at the end. */
enum { SPARSE_AT = 1 << 20, SPARSE_SIZE = (2 << 20) + 5 };

static void check_sparse(struct layer_fixture *f, const char *name)
{
    struct stat st;
    ol_auto_fd int fd = -1;
    char text[8] = "";

    layer_apply_ok(f);
    st = layer_stat(f->root_fd, name);
    assert_int_equal(st.st_size, SPARSE_SIZE);
    assert_true(st.st_blocks * 512 < SPARSE_AT);
    fd = openat(f->root_fd, name, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, text, 5, 0), 5);
    assert_string_equal(text, "first");
    assert_int_equal(pread(fd, text, 6, SPARSE_AT), 6);
    assert_memory_equal(text, "second", 6);
    assert_int_equal(pread(fd, text, 1, SPARSE_SIZE - 1), 1);
    assert_int_equal(text[0], 0);
    assert_int_equal(f->res.header_size_sum, SPARSE_SIZE);
}

static void layer_names__sparse_pax_0_0(void **state)
{
    struct layer_fixture *f = *state;

    tarball_pax_text(&f->tar, "GNU.sparse.size", "2097157");
    tarball_pax_text(&f->tar, "GNU.sparse.numblocks", "2");
    tarball_pax_text(&f->tar, "GNU.sparse.offset", "0");
    tarball_pax_text(&f->tar, "GNU.sparse.numbytes", "5");
    tarball_pax_text(&f->tar, "GNU.sparse.offset", "1048576");
    tarball_pax_text(&f->tar, "GNU.sparse.numbytes", "6");
    tarball_add_file(&f->tar, "sp", "firstsecond");
    check_sparse(f, "sp");
}

static void layer_names__sparse_pax_0_1(void **state)
{
    struct layer_fixture *f = *state;

    tarball_pax_text(&f->tar, "GNU.sparse.size", "2097157");
    tarball_pax_text(&f->tar, "GNU.sparse.numblocks", "2");
    tarball_pax_text(&f->tar, "GNU.sparse.map", "0,5,1048576,6");
    tarball_pax_text(&f->tar, "GNU.sparse.name", "sp\xc3\xa9");
    tarball_add_file(&f->tar, "GNUSparseFile.0/sp", "firstsecond");
    check_sparse(f, "sp\xc3\xa9");
}

static void layer_names__sparse_pax_1_0(void **state)
{
    struct layer_fixture *f = *state;
    char body[512 + 11] = "2\n0\n5\n1048576\n6\n";

    memcpy(body + 512, "firstsecond", 11);
    tarball_pax_text(&f->tar, "GNU.sparse.major", "1");
    tarball_pax_text(&f->tar, "GNU.sparse.minor", "0");
    tarball_pax_text(&f->tar, "GNU.sparse.name", "sp");
    tarball_pax_text(&f->tar, "GNU.sparse.realsize", "2097157");
    tarball_add_bytes(&f->tar, "GNUSparseFile.0/sp", body, sizeof body);
    check_sparse(f, "sp");
}

static void layer_names__sparse_old_gnu(void **state)
{
    struct layer_fixture *f = *state;
    char *h;

    f->tar.dialect = TARBALL_GNU;
    tarball_add(
        &f->tar,
        &(struct tarball_entry){
            .name = "sp", .type = 'S', .mode = 0644, .content = "firstsecond", .content_len = 11});
    h = tarball_header(&f->tar);
    tarball_number(h + 386, 12, 0);
    tarball_number(h + 398, 12, 5);
    tarball_number(h + 410, 12, SPARSE_AT);
    tarball_number(h + 422, 12, 6);
    tarball_number(h + 483, 12, SPARSE_SIZE);
    tarball_fix_checksum(&f->tar);
    check_sparse(f, "sp");
}

static void layer_names__sparse_hole_only(void **state)
{
    struct layer_fixture *f = *state;

    tarball_pax_text(&f->tar, "GNU.sparse.major", "1");
    tarball_pax_text(&f->tar, "GNU.sparse.minor", "0");
    tarball_pax_text(&f->tar, "GNU.sparse.realsize", "1000000");
    tarball_add_bytes(&f->tar, "sp",
                      (char[512]){'1', '\n', '1', '0', '0', '0', '0', '0', '0', '\n', '0', '\n'},
                      512);
    layer_apply_ok(f);
    assert_int_equal(layer_stat(f->root_fd, "sp").st_size, 1000000);
    assert_int_equal(layer_stat(f->root_fd, "sp").st_blocks, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, layer_setup, layer_teardown)
    const struct CMUnitTest tests[] = {
        TEST(layer_names__short_in_ustar),
        TEST(layer_names__short_in_v7),
        TEST(layer_names__short_in_gnu),
        TEST(layer_names__long_in_gnu),
        TEST(layer_names__long_in_pax),
        TEST(layer_names__prefix_in_ustar),
        TEST(layer_names__pax_records_for_everything),
        TEST(layer_names__locale_of_the_thread_stays),
        TEST(layer_names__clean_like_moby),
        TEST(layer_names__component_of_255_bytes_is_the_longest),
        TEST(layer_names__stale_link_name_is_ignored),
        TEST(layer_names__sparse_pax_0_0),
        TEST(layer_names__sparse_pax_0_1),
        TEST(layer_names__sparse_pax_1_0),
        TEST(layer_names__sparse_old_gnu),
        TEST(layer_names__sparse_hole_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
