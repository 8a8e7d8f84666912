/* SPDX-License-Identifier: Apache-2.0 */
#include "support/support.h"

#include "common/layer/owner_names.h"

#include <grp.h>
#include <pwd.h>
#include <string.h>

static int setup(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_owner_names *names = NULL;

    assert_ok(ol_owner_names_new(&names, &err), &err);
    *state = names;
    return 0;
}

static int teardown(void **state)
{
    ol_owner_names_free(*state);
    return 0;
}

static const char *user(struct ol_owner_names *names, uint32_t uid)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    const char *name = NULL;

    assert_ok(ol_owner_names_user(names, uid, &name, &err), &err);
    return name;
}

static const char *group(struct ol_owner_names *names, uint32_t gid)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    const char *name = NULL;

    assert_ok(ol_owner_names_group(names, gid, &name, &err), &err);
    return name;
}

/* Whatever the host calls them. */
static void owner_names__are_those_of_the_host(void **state)
{
    const struct passwd *pw;
    const struct group *gr;

    for (unsigned id = 0; id < 100; id++) {
        ol_auto_free char *want = NULL;
        pw = getpwuid(id);
        want = strdup(pw == NULL ? "" : pw->pw_name);
        assert_non_null(want);
        assert_string_equal(user(*state, id), want);
        free(ol_ptr_steal(want));
        gr = getgrgid(id);
        assert_string_equal(group(*state, id), gr == NULL ? "" : gr->gr_name);
    }
}

static void owner_names__are_empty_for_ids_nobody_has(void **state)
{
    assert_null(getpwuid(4294967294));
    assert_null(getgrgid(4294967294));
    assert_string_equal(user(*state, 4294967294), "");
    assert_string_equal(group(*state, 4294967294), "");
}

/* Headers point at them while other ids come and go. */
static void owner_names__stay_where_they_are(void **state)
{
    const char *first = user(*state, 0);
    ol_auto_free char *copy = strdup(first);

    assert_non_null(copy);
    for (uint32_t id = 3000000000; id < 3000000500; id++)
        assert_string_equal(user(*state, id), "");
    assert_ptr_equal(user(*state, 0), first);
    assert_string_equal(first, copy);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(owner_names__are_those_of_the_host),
        CASE(owner_names__are_empty_for_ids_nobody_has),
        CASE(owner_names__stay_where_they_are),
    };
    return cmocka_run_group_tests_name("owner_names", tests, NULL, NULL);
}
