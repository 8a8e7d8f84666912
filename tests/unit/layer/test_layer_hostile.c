/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archives that attack: one test for each row of the list of vulnerabilities of other engines that
 * a layer archive can express (CVE numbers) and for the weaknesses of the reference engine that
 * have none (W numbers; docs/divergences.md). Each runs on every target, short (all in one thread)
 * and behind a large file (reader thread and writers at work). The fixture's teardown proves that
 * the canary directory beside the root has kept content, owner, mode, times and link counts.
 */
#include "layer_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

typedef void hostile_fn(struct layer_fixture *f);

static const enum ol_layer_target targets[] = {OL_LAYER_TREE, OL_LAYER_UPPER, OL_LAYER_ASIS};

/* A file in front that makes the stream long enough for all threads. */
static void add_ballast(struct layer_fixture *f)
{
    char *zeros = calloc(1, 2 << 20);

    assert_non_null(zeros);
    tarball_add_bytes(&f->tar, "ballast", zeros, 2 << 20);
    free(zeros);
}

static void on_every_target(void **state, hostile_fn *fn)
{
    struct layer_fixture *f = *state;

    f->options.threads = 3;
    for (size_t i = 0; i < OL_ARRAY_LEN(targets); i++) {
        for (int ballast = 0; ballast < 2; ballast++) {
            f->options.target = targets[i];
            if (ballast)
                add_ballast(f);
            fn(f);
            layer_clear(f);
            tarball_fini(&f->tar);
        }
    }
}

#define HOSTILE(name)                                                                              \
    static void name##_(struct layer_fixture *f);                                                  \
    static void layer_hostile__##name(void **state)                                                \
    {                                                                                              \
        on_every_target(state, name##_);                                                           \
    }                                                                                              \
    static void name##_(struct layer_fixture *f)

static void add_symlink_out(struct layer_fixture *f, const char *name, const char *below)
{
    ol_auto_free char *target = layer_out_path(f, below);

    tarball_add_symlink(&f->tar, name, target);
}

/* ---- links out of the root ---- */

HOSTILE(cve_2014_6407_file_below_symlink_out)
{
    add_symlink_out(f, "a", "");
    tarball_add_file(&f->tar, "a/f", "escaped");
    layer_apply_fails(f, -ENOENT, "'a/f'"); /* the absolute target does not exist inside */
}

HOSTILE(cve_2014_6407_overwrite_through_hard_link)
{
    tarball_add_hardlink(&f->tar, "h", "../../out/canary");
    tarball_add_file(&f->tar, "h", "overwritten");
    layer_apply_fails(f, -EXDEV, "'h'");
}

HOSTILE(cve_2014_6407_hard_link_to_absolute_path_out)
{
    ol_auto_free char *target = layer_out_path(f, "canary");

    tarball_add_hardlink(&f->tar, "h", target);
    layer_apply_fails(f, -ENOENT, "h");
}

HOSTILE(cve_2014_9356_absolute_symlink)
{
    add_symlink_out(f, "l", "sub");
    tarball_add_file(&f->tar, "l/inner", "overwritten");
    layer_apply_fails(f, -ENOENT, "'l/inner'");
}

HOSTILE(cve_2020_10696_name_climbs)
{
    tarball_add_file(&f->tar, "../out/x", "escaped");
    layer_apply_fails(f, -EXDEV, "'../out/x'");
}

HOSTILE(name_climbs_in_the_middle)
{
    tarball_add_file(&f->tar, "a/../../out/x", "escaped");
    layer_apply_fails(f, -EXDEV, "'a/../../out/x'");
}

HOSTILE(cve_2021_32760_no_chmod_through_symlink)
{
    add_symlink_out(f, "s", "canary");
    tarball_add_hardlink_mode(&f->tar, "h", "s", 0777, 0);
    layer_apply_ok(f);
    assert_true(S_ISLNK(layer_stat(f->root_fd, "h").st_mode));
}

HOSTILE(cve_2025_47290_parent_replaced_by_symlink)
{
    tarball_add_dir(&f->tar, "d");
    tarball_add_file(&f->tar, "d/a", "x");
    add_symlink_out(f, "d", "");
    tarball_add_file(&f->tar, "d/b", "escaped");
    layer_apply_fails(f, -ENOENT, "'d/b'");
}

HOSTILE(parent_replaced_by_symlink_inside)
{
    tarball_add_dir(&f->tar, "d");
    tarball_add_dir(&f->tar, "other");
    tarball_add_file(&f->tar, "d/a", "x");
    tarball_add_symlink(&f->tar, "d", "other");
    tarball_add_file(&f->tar, "d/b", "x");
    layer_apply_ok(f);
    assert_content(f->root_fd, "other/b", "x");
    assert_absent(f->root_fd, "other/a");
}

HOSTILE(alias_of_a_parent_retargeted)
{
    tarball_add_dir(&f->tar, "one");
    tarball_add_dir(&f->tar, "two");
    tarball_add_symlink(&f->tar, "s", "one");
    tarball_add_file(&f->tar, "s/a", "1");
    tarball_add_symlink(&f->tar, "s", "two");
    tarball_add_file(&f->tar, "s/a", "2");
    tarball_add_file(&f->tar, "one/a", "3");
    layer_apply_ok(f);
    assert_content(f->root_fd, "two/a", "2");
    assert_content(f->root_fd, "one/a", "3");
}

HOSTILE(cve_2026_17106_chain_of_symlinks_climbs)
{
    tarball_add_symlink(&f->tar, "s", "..");
    tarball_add_symlink(&f->tar, "s2", "s/..");
    tarball_add_symlink(&f->tar, "s3", "s2/../../out");
    tarball_add_file(&f->tar, "s3/x", "escaped");
    layer_apply_fails(f, -ENOENT, "'s3/x'");
}

HOSTILE(cve_2026_17106_climbing_symlink_ends_in_the_root)
{
    tarball_add_symlink(&f->tar, "s", "../../..");
    tarball_add_file(&f->tar, "s/f", "inside");
    layer_apply_ok(f);
    assert_content(f->root_fd, "f", "inside");
}

HOSTILE(cve_2026_17106_hard_link_through_symlink_out)
{
    add_symlink_out(f, "s", "");
    tarball_add_hardlink(&f->tar, "h", "s/canary");
    tarball_add_file(&f->tar, "h", "overwritten");
    layer_apply_fails(f, -ENOENT, "h");
}

HOSTILE(cve_2026_17106_absolute_link_names_are_legal)
{
    tarball_add_file(&f->tar, "f", "x");
    tarball_add_hardlink(&f->tar, "h", "/f");
    layer_apply_ok(f);
    assert_int_equal(layer_stat(f->root_fd, "f").st_nlink, 2);
}

HOSTILE(cve_2026_50163_link_name_is_not_relative_to_the_working_directory)
{
    int r;

    assert_int_equal(fchdir(f->out_fd), 0);
    tarball_add_hardlink(&f->tar, "h", "canary");
    r = layer_apply(f);
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(r, -ENOENT);
}

HOSTILE(symlink_loop_as_parent)
{
    tarball_add_symlink(&f->tar, "a", "b");
    tarball_add_symlink(&f->tar, "b", "a");
    tarball_add_file(&f->tar, "a/f", "x");
    layer_apply_fails(f, -ELOOP, "'a/f'");
}

HOSTILE(file_as_parent)
{
    tarball_add_file(&f->tar, "a", "x");
    tarball_add_file(&f->tar, "a/f", "x");
    layer_apply_fails(f, -ENOTDIR, "'a/f'");
}

HOSTILE(implied_directory_replaced_by_file)
{
    tarball_add_dir(&f->tar, "d");
    tarball_add_file(&f->tar, "d/implied/f", "x");
    tarball_add_file(&f->tar, "d/implied", "now a file");
    layer_apply_ok(f);
    assert_content(f->root_fd, "d/implied", "now a file");
}

HOSTILE(hard_link_to_directory)
{
    tarball_add_dir(&f->tar, "d");
    tarball_add_hardlink(&f->tar, "h", "d");
    layer_apply_fails(f, -EPERM, "'h'");
}

HOSTILE(hard_link_to_itself)
{
    tarball_add_file(&f->tar, "f", "x");
    tarball_add_hardlink(&f->tar, "f", "f");
    layer_apply_fails(f, -EINVAL, "'f'");
    assert_content(f->root_fd, "f", "x");
}

HOSTILE(hard_link_over_another_name_of_its_target)
{
    tarball_add_file(&f->tar, "f", "x");
    tarball_add_hardlink(&f->tar, "h", "f");
    tarball_add_hardlink(&f->tar, "h", "f");
    layer_apply_ok(f);
    assert_int_equal(layer_stat(f->root_fd, "f").st_nlink, 2);
}

/* ---- the root itself ---- */

static void root_as(struct layer_fixture *f, const char *name)
{
    test_write(f->root_fd, "keep", "x");
    add_symlink_out(f, name, "");
    tarball_add_file(&f->tar, "f", "escaped");
    layer_apply_fails(f, -EINVAL, "root");
    assert_content(f->root_fd, "keep", "x");
}

HOSTILE(cve_2021_29136_root_as_symlink)
{
    static const char *const names[] = {".", "/", "./", "a/.."};

    for (size_t i = 0; i < OL_ARRAY_LEN(names); i++)
        root_as(f, names[i]);
}

HOSTILE(w5_root_as_file)
{
    test_write(f->root_fd, "keep", "x");
    tarball_add_file(&f->tar, ".", "x");
    layer_apply_fails(f, -EINVAL, "root");
    assert_content(f->root_fd, "keep", "x");
}

/* ---- whiteouts ---- */

HOSTILE(w3_whiteout_of_no_name)
{
    static const char *const names[] = {"a/b/.wh...", ".wh.", "a/.wh..", ".wh..."};

    if (f->options.target == OL_LAYER_ASIS)
        return; /* there they are only odd names */
    for (size_t i = 0; i < OL_ARRAY_LEN(names); i++) {
        test_mkdir(f->root_fd, "a", 0755);
        test_mkdir(f->root_fd, "a/b", 0755);
        test_write(f->root_fd, "a/b/keep", "x");
        tarball_add_file(&f->tar, names[i], "");
        layer_apply_fails(f, -EINVAL, names[i]);
        assert_content(f->root_fd, "a/b/keep", "x");
        layer_clear(f);
    }
}

HOSTILE(w4_whiteout_through_symlink_out)
{
    int r;

    add_symlink_out(f, "s", "");
    tarball_add_file(&f->tar, "s/.wh.canary", "");
    r = layer_apply(f);
    assert_int_equal(r, -ENOENT);
}

HOSTILE(w4_whiteout_through_symlink_inside)
{
    test_mkdir(f->root_fd, "a", 0755);
    test_write(f->root_fd, "a/f", "x");
    test_symlink(f->root_fd, "a", "sd");
    tarball_add_file(&f->tar, "sd/.wh.g", "");
    tarball_add_file(&f->tar, "sd/.wh.f", "");
    if (f->options.target == OL_LAYER_UPPER)
        layer_apply_fails(f, -EEXIST, "f"); /* it is in the upper already */
    else
        layer_apply_ok(f);
    if (f->options.target == OL_LAYER_TREE)
        assert_absent(f->root_fd, "a/f");
}

HOSTILE(whiteout_of_symlink_out_deletes_the_link)
{
    ol_auto_free char *target = layer_out_path(f, "sub");

    if (f->options.target != OL_LAYER_TREE)
        return;
    test_symlink(f->root_fd, target, "s");
    tarball_add_file(&f->tar, ".wh.s", "");
    layer_apply_ok(f);
    assert_absent(f->root_fd, "s");
}

HOSTILE(opaque_through_symlink_out)
{
    add_symlink_out(f, "s", "sub");
    tarball_add_file(&f->tar, "s/.wh..wh..opq", "");
    layer_apply_fails(f, -ENOENT, "s/.wh..wh..opq");
}

HOSTILE(opaque_does_not_follow_symlinks_below)
{
    ol_auto_free char *target = layer_out_path(f, "sub");

    test_mkdir(f->root_fd, "d", 0755);
    test_symlink(f->root_fd, target, "d/s");
    test_symlink(f->root_fd, target, "d/kept");
    tarball_add_symlink(&f->tar, "d/kept", target);
    tarball_add_file(&f->tar, "d/.wh..wh..opq", "");
    if (f->options.target == OL_LAYER_UPPER && !can_mount_overlay())
        return; /* no trusted.* attributes here */
    layer_apply_ok(f);
    if (f->options.target == OL_LAYER_TREE)
        assert_absent(f->root_fd, "d/s");
    assert_true(S_ISLNK(layer_stat(f->root_fd, "d/kept").st_mode));
}

/* ---- metadata ---- */

HOSTILE(w2_times_of_a_directory_that_became_a_symlink)
{
    tarball_add_dir(&f->tar, "d");
    add_symlink_out(f, "d", "canary");
    tarball_add_dir(&f->tar, "e");
    tarball_add_file(&f->tar, "e", "now a file");
    tarball_add_dir(&f->tar, "g");
    tarball_add_file(&f->tar, "g", "gone");
    tarball_pax_text(&f->tar, "mtime", "77");
    tarball_add_dir(&f->tar, "g");
    layer_apply_ok(f);
    assert_true(S_ISLNK(layer_stat(f->root_fd, "d").st_mode));
    assert_mtime(f->root_fd, "e", 1000000000);
    assert_mtime(f->root_fd, "g", 77);
}

static void refuses_owner(struct layer_fixture *f, int64_t uid, int64_t gid)
{
    tarball_add(&f->tar, &(struct tarball_entry){
                             .name = "f", .type = '0', .mode = 0644, .uid = uid, .gid = gid});
    layer_apply_fails(f, -EINVAL, "'f'");
    assert_absent(f->root_fd, "f");
}

HOSTILE(w7_owners_out_of_range)
{
    refuses_owner(f, 1ll << 32, 0);
    refuses_owner(f, 0, 1ll << 32);
    refuses_owner(f, 0xffffffff, 0);
    refuses_owner(f, 0, 0xffffffff);
    refuses_owner(f, -1, 0);
    refuses_owner(f, 0, -(1ll << 40));
    tarball_pax_text(&f->tar, "uid", "4294967296");
    refuses_owner(f, 0, 0);
    tarball_pax_text(&f->tar, "gid", "99999999999999999999999");
    refuses_owner(f, 0, 0);
}

static void refuses_device(struct layer_fixture *f, char type, int64_t dev_major, int64_t dev_minor)
{
    tarball_add_device(&f->tar, "dev", type, dev_major, dev_minor);
    layer_apply_fails(f, -EINVAL, "'dev'");
    assert_absent(f->root_fd, "dev");
}

HOSTILE(w7_device_numbers_out_of_range)
{
    refuses_device(f, '3', 1ll << 32, 0); /* cut to 32 bits it would be a whiteout */
    refuses_device(f, '3', 0, 1ll << 32);
    refuses_device(f, '4', 4096, 0);
    refuses_device(f, '4', 0, 1 << 20);
    refuses_device(f, '3', -1, 0);
    refuses_device(f, '3', 0, 0); /* an overlay whiteout in disguise */
}

HOSTILE(w6_overlay_attributes_are_dropped)
{
    tarball_xattr(&f->tar, "trusted.overlay.redirect", "/etc", 4);
    tarball_xattr(&f->tar, "trusted.overlay.metacopy", "", 0);
    tarball_xattr(&f->tar, "user.overlay.whiteout", "y", 1);
    tarball_xattr(&f->tar, "security.evil", "y", 1);
    tarball_add_dir(&f->tar, "d");
    layer_apply_ok(f);
    assert_int_equal(f->res.dropped_xattrs, 4);
}

/* ---- broken and bounded ---- */

HOSTILE(w10_cut_at_every_block)
{
    size_t whole;

    tarball_fini(&f->tar);
    for (size_t cut = 0;; cut += TARBALL_BLOCK) {
        int r;
        tarball_add_dir(&f->tar, "d");
        tarball_pax_text(&f->tar, "comment", "x");
        tarball_add_file(&f->tar, "d/f", "content");
        tarball_add_file(&f->tar, "d/empty", "");
        whole = f->tar.len;
        tarball_end(&f->tar);
        if (cut > f->tar.len)
            break;
        tarball_cut(&f->tar, f->tar.len - cut);
        r = layer_apply_raw(f);
        /* 0 empty, 1 d, 2-3 pax, 4 header, 5 content, 6 empty, 7-8 zero blocks */
        if (cut == 0 || cut == 512 || cut >= 512 * 5)
            assert_int_equal(r, 0);
        else if (r != -EBADMSG)
            fail_msg("cut at %zu: %d", cut, r);
        if (r < 0)
            assert_message(&f->err, "truncated");
        layer_clear(f);
    }
    assert_int_equal(whole, 512 * 6);
}

HOSTILE(w10_cut_at_every_odd_place)
{
    size_t len;

    tarball_fini(&f->tar);
    tarball_add_file(&f->tar, "f", "content");
    len = f->tar.len;
    tarball_fini(&f->tar);
    for (size_t keep = 1; keep < len; keep += 37) {
        bool content = keep >= TARBALL_BLOCK + strlen("content");

        tarball_add_file(&f->tar, "f", "content");
        tarball_cut(&f->tar, len - keep);
        assert_int_equal(layer_apply_raw(f), content ? 0 : -EBADMSG);
        if (content) /* the end is in the padding, as "umoci insert" writes it */
            assert_content(f->root_fd, "f", "content");
        else
            assert_message(&f->err, "truncated");
        layer_clear(f);
    }
}

HOSTILE(bad_checksum)
{
    tarball_add_file(&f->tar, "good", "x");
    tarball_add_file(&f->tar, "bad", "x");
    tarball_header(&f->tar)[0] = 'B';
    layer_apply_fails(f, -EBADMSG, "'good'");
}

HOSTILE(garbage_is_no_archive)
{
    tarball_fini(&f->tar);
    for (int i = 0; i < 100; i++)
        tarball_raw(&f->tar, "this is not a tar archive, whatever its name says. ", 51);
    assert_int_equal(layer_apply_raw(f), -EBADMSG);
    assert_message(&f->err, "not a tar archive");
}

HOSTILE(lone_zero_block_hides_nothing)
{
    tarball_add_file(&f->tar, "seen", "x");
    tarball_zeros(&f->tar, TARBALL_BLOCK);
    tarball_add_file(&f->tar, "hidden", "x");
    layer_apply_fails(f, -EBADMSG, "lone zero block");
    tarball_add_file(&f->tar, "seen", "x");
    tarball_zeros(&f->tar, TARBALL_BLOCK);
    assert_ok(layer_apply_raw(f), &f->err);
}

/* docker load and ctr take one zero block for the end, but not one and a piece of another */
HOSTILE(cut_in_the_second_zero_block)
{
    for (size_t piece = 1; piece < TARBALL_BLOCK; piece += 170) {
        tarball_add_file(&f->tar, "seen", "x");
        tarball_zeros(&f->tar, TARBALL_BLOCK + piece);
        assert_int_equal(layer_apply_raw(f), -EBADMSG);
        assert_message(&f->err, "lone zero block");
        layer_clear(f);
    }
}

HOSTILE(malformed_pax_records)
{
    static const char *const bodies[] = {
        "5 a=b",         "99 path=x\n", "0 path=x\n", "path=x\n",      "-5 path=x\n",
        "8 path=\n\n\n", "9 =value\n",  "7 path\n",   "9999999 p=x\n", "11 size=-5\n",
    };

    for (size_t i = 0; i < OL_ARRAY_LEN(bodies); i++) {
        int r;
        tarball_add_special(&f->tar, 'x', bodies[i], strlen(bodies[i]));
        tarball_add_file(&f->tar, "f", "x");
        r = layer_apply(f);
        if (r != -EBADMSG)
            fail_msg("'%s' gave %d, %s", bodies[i], r, ol_error_text(&f->err));
        layer_clear(f);
    }
}

HOSTILE(unknown_type_is_refused)
{
    tarball_add(&f->tar, &(struct tarball_entry){.name = "f", .type = 'Z', .mode = 0644});
    layer_apply_fails(f, -EINVAL, "'Z'");
    tarball_add(&f->tar, &(struct tarball_entry){.name = "f", .type = 'M', .mode = 0644});
    layer_apply_fails(f, -EINVAL, "'f'");
}

HOSTILE(negative_and_overflowing_sizes)
{
    tarball_add(&f->tar, &(struct tarball_entry){.name = "f", .type = '0', .size = -1});
    layer_apply_fails(f, -EBADMSG, "size");
    tarball_add_file(&f->tar, "f", "x");
    memset(tarball_header(&f->tar) + 124, '\x7f', 12);
    tarball_header(&f->tar)[124] = (char)0x80;
    tarball_fix_checksum(&f->tar);
    assert_true(layer_apply(f) < 0);
}

HOSTILE(cve_2022_2879_huge_extended_header)
{
    tarball_add(&f->tar,
                &(struct tarball_entry){.name = "x", .type = 'x', .mode = 0644, .size = 4ll << 30});
    tarball_zeros(&f->tar, 4 << 20);
    layer_apply_fails(f, -EBADMSG, "too large");
}

HOSTILE(many_extended_headers_in_a_row)
{
    for (int i = 0; i < 10000; i++)
        tarball_add_special(&f->tar, i % 2 ? 'L' : 'g', "11 p=valu\n", 10);
    tarball_add_file(&f->tar, "f", "x");
    layer_apply_fails(f, -EBADMSG, "special headers");
}

HOSTILE(cve_2025_58183_endless_sparse_map)
{
    enum { MAP = 8 << 20 };
    char *map = malloc(MAP);

    assert_non_null(map);
    for (size_t i = 0; i < MAP; i += 2)
        memcpy(map + i, "0\n", 2);
    memcpy(map, "100000000\n", 10);
    tarball_pax_text(&f->tar, "GNU.sparse.major", "1");
    tarball_pax_text(&f->tar, "GNU.sparse.minor", "0");
    tarball_pax_text(&f->tar, "GNU.sparse.realsize", "5");
    tarball_add_bytes(&f->tar, "f", map, MAP);
    free(map);
    layer_apply_fails(f, -E2BIG, "header_bytes");
}

HOSTILE(endless_old_gnu_sparse_headers)
{
    char block[TARBALL_BLOCK];

    memset(block, '0', sizeof block);
    block[504] = 1; /* isextended */
    f->tar.dialect = TARBALL_GNU;
    tarball_add(&f->tar, &(struct tarball_entry){.name = "f", .type = 'S', .mode = 0644});
    memset(tarball_header(&f->tar) + 386, '0', 4 * 24);
    tarball_header(&f->tar)[482] = 1;
    tarball_fix_checksum(&f->tar);
    for (int i = 0; i < 16384; i++)
        tarball_raw(&f->tar, block, sizeof block);
    layer_apply_fails(f, -E2BIG, "header_bytes");
}

HOSTILE(sparse_ranges_outside_the_file)
{
    int r;

    tarball_pax_text(&f->tar, "GNU.sparse.size", "10");
    tarball_pax_text(&f->tar, "GNU.sparse.map", "1000,5");
    tarball_add_file(&f->tar, "f", "12345");
    r = layer_apply(f);
    assert_int_equal(r, -EBADMSG);
    assert_message(&f->err, "'f'");
}

static void limited(struct layer_fixture *f, struct ol_layer_limits limits, const char *name)
{
    f->options.limits = &limits;
    layer_apply_fails(f, -E2BIG, name);
    f->options.limits = NULL;
    layer_clear(f);
}

HOSTILE(w12_limits_are_kept_and_named)
{
    struct ol_layer_limits limits = OL_LAYER_LIMITS_DEFAULT;
    char name[5000];

    for (int i = 0; i < 10; i++)
        tarball_add_file(&f->tar, "f", "x");
    limits.entries = 9;
    limited(f, limits, "entries");

    limits = OL_LAYER_LIMITS_DEFAULT;
    memset(name, 'n', sizeof name);
    for (size_t i = 100; i < sizeof name; i += 100)
        name[i] = '/';
    name[4097] = '\0';
    tarball_add_file(&f->tar, name, "x");
    limited(f, limits, "path_bytes");

    for (size_t i = 1; i < 4000; i += 2)
        name[i] = '/';
    name[4000] = '\0';
    tarball_add_file(&f->tar, name, "x");
    limits.depth = 100;
    limited(f, limits, "depth");

    limits = OL_LAYER_LIMITS_DEFAULT;
    tarball_pax_text(&f->tar, "GNU.sparse.size", "1099511627777");
    tarball_pax_text(&f->tar, "GNU.sparse.map", "0,1");
    tarball_add_file(&f->tar, "bomb", "x");
    limited(f, limits, "file_bytes");

    limits.xattrs = 3;
    for (int i = 0; i < 4; i++)
        tarball_xattr(&f->tar, i % 2 ? "user.a" : "user.b", "x", 1);
    tarball_add_file(&f->tar, "f", "x");
    limited(f, limits, "xattrs");

    limits = OL_LAYER_LIMITS_DEFAULT;
    tarball_pax_text(&f->tar, "GNU.sparse.size", "100");
    tarball_pax_text(&f->tar, "GNU.sparse.map", "0,1,2,1,4,1");
    tarball_add_file(&f->tar, "f", "123");
    limits.sparse_ranges = 2;
    limited(f, limits, "sparse_ranges");

    limits = OL_LAYER_LIMITS_DEFAULT;
    limits.header_bytes = 4096;
    tarball_pax(&f->tar, "comment", name, 4500);
    tarball_add_file(&f->tar, "f", "x");
    limited(f, limits, "header_bytes");

    limits = OL_LAYER_LIMITS_DEFAULT;
    limits.total_bytes = 1000;
    tarball_add_file(&f->tar, "f", "x");
    limited(f, limits, "total_bytes");
}

HOSTILE(w15_specials_are_never_opened)
{
    struct stat st;

    tarball_add_fifo(&f->tar, "p");
    tarball_add_hardlink(&f->tar, "p2", "p");
    tarball_add_fifo(&f->tar, "p");
    tarball_add_file(&f->tar, "p2", "a file now");
    layer_apply_ok(f); /* opening the fifo would wait for ever */
    st = layer_stat(f->root_fd, "p");
    assert_true(S_ISFIFO(st.st_mode));
    assert_content(f->root_fd, "p2", "a file now");
}

HOSTILE(deep_paths_work)
{
    char name[4096];
    ol_auto_fd int fd = -1;

    memset(name, 'd', sizeof name);
    for (size_t i = 1; i < 2000; i += 2)
        name[i] = '/';
    name[2001] = '\0';
    tarball_add_file(&f->tar, name, "deep");
    layer_apply_ok(f);
    fd = openat(f->root_fd, name, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
}

/* A megabyte of compressed zeros behind the archive: digested, never stored (CVE-2017-14992). */
static void layer_hostile__cve_2017_14992_long_padding(void **state)
{
    struct layer_fixture *f = *state;

    tarball_add_file(&f->tar, "f", "x");
    tarball_zeros(&f->tar, 64 << 20);
    tarball_compress(&f->tar, TARBALL_ZSTD);
    assert_ok(layer_apply_raw(f), &f->err);
    assert_int_equal(f->res.stream_bytes, (64 << 20) + 1024);
}

int main(void)
{
#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(layer_hostile__##name, layer_setup, layer_teardown)
    const struct CMUnitTest tests[] = {
        TEST(cve_2014_6407_file_below_symlink_out),
        TEST(cve_2014_6407_overwrite_through_hard_link),
        TEST(cve_2014_6407_hard_link_to_absolute_path_out),
        TEST(cve_2014_9356_absolute_symlink),
        TEST(cve_2020_10696_name_climbs),
        TEST(name_climbs_in_the_middle),
        TEST(cve_2021_32760_no_chmod_through_symlink),
        TEST(cve_2025_47290_parent_replaced_by_symlink),
        TEST(parent_replaced_by_symlink_inside),
        TEST(alias_of_a_parent_retargeted),
        TEST(cve_2026_17106_chain_of_symlinks_climbs),
        TEST(cve_2026_17106_climbing_symlink_ends_in_the_root),
        TEST(cve_2026_17106_hard_link_through_symlink_out),
        TEST(cve_2026_17106_absolute_link_names_are_legal),
        TEST(cve_2026_50163_link_name_is_not_relative_to_the_working_directory),
        TEST(symlink_loop_as_parent),
        TEST(file_as_parent),
        TEST(implied_directory_replaced_by_file),
        TEST(hard_link_to_directory),
        TEST(hard_link_to_itself),
        TEST(hard_link_over_another_name_of_its_target),
        TEST(cve_2021_29136_root_as_symlink),
        TEST(w5_root_as_file),
        TEST(w3_whiteout_of_no_name),
        TEST(w4_whiteout_through_symlink_out),
        TEST(w4_whiteout_through_symlink_inside),
        TEST(whiteout_of_symlink_out_deletes_the_link),
        TEST(opaque_through_symlink_out),
        TEST(opaque_does_not_follow_symlinks_below),
        TEST(w2_times_of_a_directory_that_became_a_symlink),
        TEST(w7_owners_out_of_range),
        TEST(w7_device_numbers_out_of_range),
        TEST(w6_overlay_attributes_are_dropped),
        TEST(w10_cut_at_every_block),
        TEST(w10_cut_at_every_odd_place),
        TEST(bad_checksum),
        TEST(garbage_is_no_archive),
        TEST(lone_zero_block_hides_nothing),
        TEST(cut_in_the_second_zero_block),
        TEST(malformed_pax_records),
        TEST(unknown_type_is_refused),
        TEST(negative_and_overflowing_sizes),
        TEST(cve_2022_2879_huge_extended_header),
        TEST(many_extended_headers_in_a_row),
        TEST(cve_2025_58183_endless_sparse_map),
        TEST(endless_old_gnu_sparse_headers),
        TEST(sparse_ranges_outside_the_file),
        TEST(w12_limits_are_kept_and_named),
        TEST(w15_specials_are_never_opened),
        TEST(deep_paths_work),
        TEST(cve_2017_14992_long_padding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
