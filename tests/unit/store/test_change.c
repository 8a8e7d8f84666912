/* SPDX-License-Identifier: Apache-2.0 */
/* "--change" of a commit: what dockerd 20.10.24 answers, instruction by instruction. */
#include "store/change.h"
#include "store/image_internal.h"
#include "support/support.h"
#include "unit/store/change_cases.h"

#include <errno.h>
#include <string.h>

static const char container[] =
    "{\"User\":\"\",\"Env\":[\"X=1\",\"E=\"],\"Cmd\":[\"old\"],\"WorkingDir\":\"\","
    "\"Entrypoint\":null,\"OnBuild\":null,\"Labels\":{},\"Volumes\":null}";

static int apply(const char *change, json_t **ret, struct ol_error *err)
{
    json_t *config = json_loads(container, 0, NULL);
    int r;

    assert_non_null(config);
    r = ol_change_apply(config, &change, 1, ret, err);
    json_decref(config);
    return r;
}

static void change__does_what_dockerd_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < OL_ARRAY_LEN(made); i++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        ol_auto_free char *text = NULL;
        ol_auto_json json_t *config = NULL;

        assert_ok(apply(made[i].change, &config, &err), &err);
        text = json_dumps(json_object_get(config, made[i].key), JSON_COMPACT | JSON_ENCODE_ANY);
        assert_non_null(text);
        if (strcmp(text, made[i].want) != 0)
            fail_msg("'%s' made '%s' of %s, not '%s'", made[i].change, text, made[i].key,
                     made[i].want);
    }
}

static void change__refuses_with_the_words_of_the_problem(void **state)
{
    (void)state;
    for (size_t i = 0; i < OL_ARRAY_LEN(refused); i++) {
        ol_auto_error struct ol_error err = OL_ERROR_INIT;
        ol_auto_json json_t *config = NULL;
        int r = apply(refused[i].change, &config, &err);

        if (r != -EINVAL)
            fail_msg("'%s' was answered with %d: %s", refused[i].change, r, ol_error_text(&err));
        assert_message(&err, refused[i].why);
    }
}

static void change__limits_are_named(void **state)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_error struct ol_error nested = OL_ERROR_INIT;
    ol_auto_json json_t *config = NULL;
    ol_auto_free char *text = calloc(1, OL_CHANGE_MAX + 2);

    (void)state;
    assert_non_null(text);
    memset(text, 'x', OL_CHANGE_MAX + 1);
    assert_int_equal(apply(text, &config, &err), -E2BIG);
    memset(text, 0, OL_CHANGE_MAX + 1);
    memcpy(text, "ENV A=", 6);
    for (size_t i = 0; i < 4096; i++)
        memcpy(text + 6 + i * 5, "${A:-", 5);
    assert_int_equal(apply(text, &config, &nested), -EINVAL);
    assert_message(&nested, "substitutions inside each other");
}

static void change__keeps_what_a_healthcheck_does_not_say(void **state)
{
    static const char *const changes[] = {"HEALTHCHECK --retries=3 CMD new"};
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    ol_auto_json json_t *config = json_loads(
        "{\"Healthcheck\":{\"Test\":[\"CMD-SHELL\",\"old\"],\"Interval\":5000000000}}", 0, NULL);
    ol_auto_json json_t *ret = NULL;
    json_t *health;

    (void)state;
    assert_ok(ol_change_apply(config, changes, 1, &ret, &err), &err);
    health = json_object_get(ret, "Healthcheck");
    assert_int_equal(json_integer_value(json_object_get(health, "Interval")), 5000000000);
    assert_int_equal(json_integer_value(json_object_get(health, "Retries")), 3);
    assert_string_equal(json_string_value(json_array_get(json_object_get(health, "Test"), 1)),
                        "new");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(change__does_what_dockerd_does),
        cmocka_unit_test(change__refuses_with_the_words_of_the_problem),
        cmocka_unit_test(change__limits_are_named),
        cmocka_unit_test(change__keeps_what_a_healthcheck_does_not_say),
    };

    return cmocka_run_group_tests_name("change", tests, NULL, NULL);
}
