/* SPDX-License-Identifier: Apache-2.0 */
/* store/reference.c: what is a name, and how Docker shows it. */
#include "support/support.h"

#include "store/reference.h"

#include <errno.h>
#include <string.h>

static void reference__is_kept_as_docker_shows_it(void **state)
{
    static const char *const cases[][3] = {
        {"debian", "debian:latest", "debian"},
        {"debian:12", "debian:12", "debian"},
        {"docker.io/library/debian:12", "debian:12", "debian"},
        {"index.docker.io/library/debian", "debian:latest", "debian"},
        {"docker.io/me/tool:1", "me/tool:1", "me/tool"},
        {"docker.io/library/a/b:1", "library/a/b:1", "library/a/b"},
        {"library/debian:12", "debian:12", "debian"},
        {"localhost/x", "localhost/x:latest", "localhost/x"},
        {"localhost:5000/x:1", "localhost:5000/x:1", "localhost:5000/x"},
        {"quay.io/a/b__c.d-e---f:V1_2.3-x", "quay.io/a/b__c.d-e---f:V1_2.3-x",
         "quay.io/a/b__c.d-e---f"},
        {"UPPER.example/x", "UPPER.example/x:latest", "UPPER.example/x"},
    };

    (void)state;
    for (size_t i = 0; i < OL_ARRAY_LEN(cases); i++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        struct ol_reference ref;
        assert_ok(ol_reference_parse(cases[i][0], &ref, &err), &err);
        assert_string_equal(ref.text, cases[i][1]);
        assert_string_equal(ref.repository, cases[i][2]);
    }
}

static void reference__refuses_what_is_no_name(void **state)
{
    static const char *const cases[] = {
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        "A",
        "a:",
        "a:-x",
        "a:b:c",
        "a b",
        "../a",
        "a/../b",
        ".",
        "..",
        "-a",
        "a-",
        "a..b",
        "a___b",
        "_a",
        "a\n",
        "a:\n",
        "a:b/",
        "a@sha256:00",
        "\xc3\xa4",
        "a:\xff",
        "-x.io/a",
        "x-.io/a",
        "x:port/a",
        "x:/a",
        "docker.io/",
        "docker.io/library/",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    };

    (void)state;
    for (size_t i = 0; i < OL_ARRAY_LEN(cases); i++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        struct ol_reference ref;
        if (ol_reference_parse(cases[i], &ref, &err) != -EINVAL)
            fail_msg("'%s' was taken", cases[i]);
        assert_message(&err, "is no name of an image");
    }
}

/* The longest that are taken, and one more character. */
static void reference__has_limits(void **state)
{
    char text[OL_REFERENCE_SIZE + 2];
    struct ol_reference ref;

    (void)state;
    memset(text, 'a', sizeof text);
    text[OL_REPOSITORY_MAX] = '\0';
    assert_int_equal(ol_reference_parse(text, &ref, NULL), 0);
    text[OL_REPOSITORY_MAX] = 'a';
    text[OL_REPOSITORY_MAX + 1] = '\0';
    assert_int_equal(ol_reference_parse(text, &ref, NULL), -EINVAL);
    memset(text, 'a', sizeof text);
    text[OL_REPOSITORY_MAX] = ':';
    text[OL_REPOSITORY_MAX + 1 + OL_TAG_MAX] = '\0';
    assert_int_equal(ol_reference_parse(text, &ref, NULL), 0);
    assert_string_equal(ref.text, text);
    text[OL_REPOSITORY_MAX + 1 + OL_TAG_MAX] = 'a';
    text[OL_REPOSITORY_MAX + 2 + OL_TAG_MAX] = '\0';
    assert_int_equal(ol_reference_parse(text, &ref, NULL), -EINVAL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference__is_kept_as_docker_shows_it),
        cmocka_unit_test(reference__refuses_what_is_no_name),
        cmocka_unit_test(reference__has_limits),
    };

    return cmocka_run_group_tests_name("reference", tests, NULL, NULL);
}
