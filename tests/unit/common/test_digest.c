/* SPDX-License-Identifier: Apache-2.0 */
#include "support/support.h"

#include "common/digest.h"

#include <errno.h>
#include <string.h>

static void digest__of_the_empty_layer_is_dockers(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    char digest[OL_DIGEST_SIZE];
    static const char zeros[1024];

    (void)state;
    assert_ok(ol_digest_of(zeros, sizeof zeros, digest, &err), &err);
    assert_string_equal(digest, OL_EMPTY_DIFF_ID);
}

/* The worked example of a three-layer image: DiffIDs and the ChainIDs docker computed for them. */
static void digest__chain_ids_follow_the_image_spec(void **state)
{
    static const char *const diff[3] = {
        "sha256:5e6d68372447f594b5922e43e73de36be10c60ce806841eb1d26b9aa4e65b18c",
        "sha256:1b7a2b84edd75c3777966909eab56a9563d7c48f6b50e1820280a1d293e9ee6a",
        "sha256:7b711d1c002bf477e554573156c1e80db55e06fc3558a86a96a44c7521135f90"};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    char chain[3][OL_DIGEST_SIZE];

    (void)state;
    assert_ok(ol_chain_id(NULL, diff[0], chain[0], &err), &err);
    assert_string_equal(chain[0], diff[0]);
    assert_ok(ol_chain_id(chain[0], diff[1], chain[1], &err), &err);
    assert_string_equal(chain[1],
                        "sha256:cab9070d17b2cc77c21dc7d3ea6e2a3303980ce9e094d6e432200da0e0343770");
    assert_ok(ol_chain_id(chain[1], diff[2], chain[2], &err), &err);
    assert_string_equal(chain[2],
                        "sha256:3fdf96e22a440dc868385613831b071d9719bfd8fc14c50b34c6169d5019918e");
}

static void digest__accepts_only_full_lower_case_hex(void **state)
{
    (void)state;
    assert_true(ol_digest_valid(OL_EMPTY_DIFF_ID));
    assert_false(ol_digest_valid("sha256:../../x"));
    assert_false(ol_digest_valid("sha256:"));
    assert_false(ol_digest_valid(OL_EMPTY_DIFF_ID "0"));
    assert_false(
        ol_digest_valid("sha256:5F70BF18A086007016E948B04AED3B82103A36BEA41755B6CDDFAF10ACE3C6EF"));
    assert_false(ol_digest_valid("md5:5f70bf18a086007016e948b04aed3b82"));
}

static void digest__chain_refuses_what_is_no_digest(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    char chain[OL_DIGEST_SIZE];

    (void)state;
    assert_int_equal(ol_chain_id("sha256:../..", OL_EMPTY_DIFF_ID, chain, &err), -EINVAL);
    assert_message(&err, "'sha256:../..'");
}

static void digest__random_ids_are_hex_and_differ(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    char a[OL_HEX_SIZE];
    char b[OL_HEX_SIZE];

    (void)state;
    assert_ok(ol_random_id(a, &err), &err);
    assert_ok(ol_random_id(b, &err), &err);
    assert_int_equal(strspn(a, "0123456789abcdef"), 64);
    assert_string_not_equal(a, b);
    assert_true(strspn(a, "0123456789") < 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digest__of_the_empty_layer_is_dockers),
        cmocka_unit_test(digest__chain_ids_follow_the_image_spec),
        cmocka_unit_test(digest__accepts_only_full_lower_case_hex),
        cmocka_unit_test(digest__chain_refuses_what_is_no_digest),
        cmocka_unit_test(digest__random_ids_are_hex_and_differ),
    };
    return cmocka_run_group_tests_name("digest", tests, NULL, NULL);
}
