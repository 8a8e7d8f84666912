/* SPDX-License-Identifier: Apache-2.0 */
/* "--change" of a commit: what dockerd 20.10.24 answers, instruction by instruction. */
#include "store/change.h"
#include "store/image_internal.h"
#include "support/support.h"

#include <errno.h>
#include <string.h>

static const char container[] =
    "{\"User\":\"\",\"Env\":[\"X=1\",\"E=\"],\"Cmd\":[\"old\"],\"WorkingDir\":\"\","
    "\"Entrypoint\":null,\"OnBuild\":null,\"Labels\":{},\"Volumes\":null}";

/* What one change makes of it: of the given keys, as compact JSON. */
static const struct {
    const char *change, *key, *want;
} made[] = {
    {"CMD echo a  b", "Cmd", "[\"/bin/sh\",\"-c\",\"echo a  b\"]"},
    {"CMD [\"a\",\"b\"]", "Cmd", "[\"a\",\"b\"]"},
    {"CMD [\"a\"] b", "Cmd", "[\"a\"]"},
    {"CMD [\"a\"", "Cmd", "[\"/bin/sh\",\"-c\",\"[\\\"a\\\"\"]"},
    {"CMD", "Cmd", "[\"/bin/sh\",\"-c\"]"},
    {"CMD []", "Cmd", "[\"old\"]"},
    {"cmd lower", "Cmd", "[\"/bin/sh\",\"-c\",\"lower\"]"},
    {"  CMD   indented ", "Cmd", "[\"/bin/sh\",\"-c\",\"indented\"]"},
    {"CMD \"quoted\" $X", "Cmd", "[\"/bin/sh\",\"-c\",\"\\\"quoted\\\" $X\"]"},
    {"CMD # foo", "Cmd", "[\"/bin/sh\",\"-c\",\"# foo\"]"},
    {"ENTRYPOINT foo bar", "Entrypoint", "[\"/bin/sh\",\"-c\",\"foo bar\"]"},
    {"ENTRYPOINT [\"foo\"]", "Cmd", "null"},
    {"ENTRYPOINT []", "Cmd", "[\"old\"]"},
    {"ENTRYPOINT []", "Entrypoint", "null"},
    {"ENTRYPOINT", "Cmd", "[\"old\"]"},
    {"CMD [\"c\"]\nENTRYPOINT [\"e\"]", "Cmd", "[\"c\"]"},
    {"ENTRYPOINT [\"e\"]\nCMD [\"c\"]", "Cmd", "[\"c\"]"},
    {"ENV A=b C=\"d e\"", "Env", "[\"X=1\",\"E=\",\"A=b\",\"C=d e\"]"},
    {"ENV A b c", "Env", "[\"X=1\",\"E=\",\"A=b c\"]"},
    {"ENV A b=c", "Env", "[\"X=1\",\"E=\",\"A=b=c\"]"},
    {"ENV A=$NOPE", "Env", "[\"X=1\",\"E=\",\"A=\"]"},
    {"ENV X=2 Y=$X", "Env", "[\"X=2\",\"E=\",\"Y=1\"]"},
    {"ENV $X=y", "Env", "[\"X=1\",\"E=\",\"1=y\"]"},
    {"ENV A='x y' B=x\\ y", "Env", "[\"X=1\",\"E=\",\"A=x y\",\"B=x y\"]"},
    {"ENV A=${X:+yes} B=${Y:-no$X}", "Env", "[\"X=1\",\"E=\",\"A=yes\",\"B=no1\"]"},
    {"ENV B=${E:-d} C=${E:+d}", "Env", "[\"X=1\",\"E=\",\"B=d\",\"C=\"]"},
    {"ENV A=${X:?e}", "Env", "[\"X=1\",\"E=\",\"A=1\"]"},
    {"ENV C=\"a\\$b\\\"c\" D='$X\\'", "Env", "[\"X=1\",\"E=\",\"C=a$b\\\"c\",\"D=$X\\\\\"]"},
    {"ENV A=$ B=$1 C=a$", "Env", "[\"X=1\",\"E=\",\"A=$\",\"B=\",\"C=a$\"]"},
    {"ENV A=\"a\\xb\" B=a\\xb", "Env", "[\"X=1\",\"E=\",\"A=a\\\\xb\",\"B=axb\"]"},
    {"ENV A=b \\\n C=d", "Env", "[\"X=1\",\"E=\",\"A=b\",\"C=d\"]"},
    {"ENV A B \\\n   C", "Env", "[\"X=1\",\"E=\",\"A=B    C\"]"},
    {"# comment\n\nENV A=\"b\"c", "Env", "[\"X=1\",\"E=\",\"A=bc\"]"},
    {"EXPOSE 80 443/TCP", "ExposedPorts", "{\"80/tcp\":{},\"443/tcp\":{}}"},
    {"EXPOSE 80-82/udp", "ExposedPorts", "{\"80/udp\":{},\"81/udp\":{},\"82/udp\":{}}"},
    {"EXPOSE 1:2 $X :7/sctp 9/", "ExposedPorts",
     "{\"2/tcp\":{},\"1/tcp\":{},\"7/sctp\":{},\"9/tcp\":{}}"},
    {"EXPOSE 1-2:3-4", "ExposedPorts", "{\"3/tcp\":{},\"4/tcp\":{}}"},
    {"LABEL a=b \"a b\"=\"c d\"", "Labels", "{\"a\":\"b\",\"a b\":\"c d\"}"},
    {"LABEL a $X", "Labels", "{\"a\":\"1\"}"},
    {"ONBUILD RUN  x", "OnBuild", "[\"RUN  x\"]"},
    {"USER u:g", "User", "\"u:g\""},
    {"USER $NOPE", "User", "\"\""},
    {"VOLUME /a $X", "Volumes", "{\"/a\":{},\"1\":{}}"},
    {"VOLUME [\"/a b\"]", "Volumes", "{\"/a b\":{}}"},
    {"WORKDIR rel", "WorkingDir", "\"/rel\""},
    {"WORKDIR /a\nWORKDIR b/../../c", "WorkingDir", "\"/c\""},
    {"WORKDIR /abs/../x", "WorkingDir", "\"/abs/../x\""},
    {"WORKDIR \"a b\"", "WorkingDir", "\"/a b\""},
    {"HEALTHCHECK NONE", "Healthcheck", "{\"Test\":[\"NONE\"]}"},
    {"HEALTHCHECK --interval=3s none", "Healthcheck", "{\"Test\":[\"NONE\"]}"},
    {"HEALTHCHECK CMD x y", "Healthcheck", "{\"Test\":[\"CMD-SHELL\",\"x y\"]}"},
    {"HEALTHCHECK --interval=1.5m --timeout=\"1m\" --retries=3 --start-period=1h2s CMD [\"x\"]",
     "Healthcheck",
     "{\"Interval\":90000000000,\"Timeout\":60000000000,\"Retries\":3,"
     "\"StartPeriod\":3602000000000,\"Test\":[\"CMD\",\"x\"]}"},
};

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

static const struct {
    const char *change, *why;
} refused[] = {
    {"FOO x", "foo is not a valid change command"},
    {"RUN x", "run is not a valid change command"},
    {"STOPSIGNAL 9", "stopsignal is not a valid change command"},
    {"ENV A=b\nCOPY a b", "copy is not a valid change command"},
    {"", "no instruction in it"},
    {"# comment", "no instruction in it"},
    {"CMD [\"a\",1]", "arrays must be comprised of strings only"},
    {"CMD --foo x", "Unknown flag: foo"},
    {"ENV A", "ENV must have two arguments"},
    {"ENV", "ENV requires at least one argument"},
    {"ENV A=b c", "can't find = in 'c'"},
    {"ENV =x", "ENV names can not be blank"},
    {"LABEL =x", "LABEL names can not be blank"},
    {"ENV A=${B", "failed to process '${B': missing ':' in substitution"},
    {"ENV A=${X%y}", "missing ':' in substitution"},
    {"ENV A=${", "syntax error: missing '}'"},
    {"ENV A=${}", "syntax error: bad substitution"},
    {"ENV A=${X:*}", "unsupported modifier (*) in substitution"},
    {"ENV A=${N:?e}", "N: e"},
    {"ENV A=\"x", "looking for matching double-quote"},
    {"ENV A='x", "looking for matching single-quote"},
    {"LABEL \"=b", "failed to process '\"'"},
    {"EXPOSE foo", "Invalid containerPort: foo"},
    {"EXPOSE 70000", "Invalid containerPort: 70000"},
    {"EXPOSE 82-80", "Invalid containerPort: 82-80"},
    {"EXPOSE 80/foo", "Invalid proto: foo"},
    {"EXPOSE", "EXPOSE requires at least one argument"},
    {"ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"},
    {"ONBUILD ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"},
    {"ONBUILD  ", "ONBUILD requires at least one argument"},
    {"USER", "USER requires exactly one argument"},
    {"VOLUME []", "VOLUME requires at least one argument"},
    {"VOLUME \"\"", "VOLUME specified can not be an empty string"},
    {"WORKDIR", "WORKDIR requires exactly one argument"},
    {"WORKDIR $NOPE", "cannot normalize nothing"},
    {"HEALTHCHECK", "HEALTHCHECK requires at least one argument"},
    {"HEALTHCHECK FOO", "Unknown type 'FOO' in HEALTHCHECK (try CMD)"},
    {"HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"},
    {"HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"},
    {"HEALTHCHECK --foo=1 CMD x", "Unknown flag: foo"},
    {"HEALTHCHECK --interval CMD x", "Missing a value on flag: interval"},
    {"HEALTHCHECK --interval=x CMD y", "time: invalid duration 'x'"},
    {"HEALTHCHECK --interval=1us CMD y", "cannot be less than 1ms"},
    {"HEALTHCHECK --interval=1s --interval=2s CMD y", "Duplicate flag specified: interval"},
    {"HEALTHCHECK --retries=0 CMD y", "--retries must be at least 1 (not 0)"},
    {"LABEL a=\xff", "is not UTF-8"},
};

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
