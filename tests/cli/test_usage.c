/* SPDX-License-Identifier: Apache-2.0 */
/* Help, versions, wrong usage: what a user meets first. */
#include "cli/program.h"

#include <string.h>

static void help__lists_every_subcommand(void **state)
{
    auto_result struct program_result top = {0};
    auto_result struct program_result word = {0};

    (void)state;
    program(&top, "--help");
    assert_int_equal(top.status, 0);
    assert_string_equal(top.err, "");
    assert_golden("help.txt", top.out);
    program(&word, "help");
    assert_int_equal(word.status, 0);
    assert_string_equal(word.out, top.out);
}

static void help__of_each_subcommand(void **state)
{
    static const char *const names[][2] = {
        {"check", NULL},         {"compare", NULL},      {"layer", "create"},
        {"layer", "apply"},      {"layer", "diff"},      {"layer", "changes"},
        {"layer", "mount"},      {"layer", "umount"},    {"layer", "rm"},
        {"layer", "ls"},         {"layer", "du"},        {"layer", "show"},
        {"snapshot", "prepare"}, {"snapshot", "view"},   {"snapshot", "apply"},
        {"snapshot", "commit"},  {"snapshot", "mounts"}, {"snapshot", "mount"},
        {"snapshot", "rm"},      {"snapshot", "ls"},     {"snapshot", "tree"},
        {"snapshot", "info"},    {"snapshot", "usage"},  {"snapshot", "label"},
        {"snapshot", "cleanup"}, {"snapshot", "check"},  {"completion", NULL},
        {"image", "import"},     {"image", "ls"},        {"image", "rm"},
        {"image", "export"},     {"check-store", NULL},  {"predict", NULL},
        {"help", NULL},          {"explain", NULL},
    };

    (void)state;
    for (size_t i = 0; i < OL_ARRAY_LEN(names); i++) {
        auto_result struct program_result result = {0};
        ol_auto_free char *golden = NULL;
        const char *second = names[i][1] != NULL ? names[i][1] : "--help";

        program(&result, names[i][0], second, names[i][1] != NULL ? "--help" : NULL);
        assert_int_equal(result.status, 0);
        assert_string_equal(result.err, "");
        assert_true(asprintf(&golden, "help-%s%s%s.txt", names[i][0],
                             names[i][1] != NULL ? "-" : "",
                             names[i][1] != NULL ? names[i][1] : "") > 0);
        assert_golden(golden, result.out);
    }
}

static void help__of_a_group_lists_its_commands(void **state)
{
    auto_result struct program_result result = {0};

    (void)state;
    program(&result, "layer", "--help");
    assert_int_equal(result.status, 0);
    assert_golden("help-layer.txt", result.out);
    program_result_fini(&result);
    program(&result, "snapshot", "--help");
    assert_int_equal(result.status, 0);
    assert_golden("help-snapshot.txt", result.out);
}

static void version__is_one_line(void **state)
{
    auto_result struct program_result result = {0};

    (void)state;
    program(&result, "--version");
    assert_int_equal(result.status, 0);
    assert_memory_equal(result.out, "overlab ", 8);
    assert_ptr_equal(strchr(result.out, '\n'), result.out + strlen(result.out) - 1);
}

/* Wrong usage: status 2, nothing on stdout, one line that says what and one that says where. */
static void usage__says_what_is_wrong(void **state)
{
    static const char *const cases[][7] = {
        {NULL},
        {"frobnicate"},
        {"--frobnicate"},
        {"layer"},
        {"layer", "frobnicate"},
        {"image", "export"},
        {"image", "export", "a", "--compress", "xz"},
        {"compare", "--frobnicate"},
        {"compare", "a", "b"},
        {"compare", "--rounds"},
        {"compare", "--rounds", "0"},
        {"compare", "--rounds", "many"},
        {"compare", "--rounds", "-1"},
        {"check"},
        {"check", "a", "b"},
        {"check", "--format", "yaml", "x.ini"},
        {"check", "--mode", "guess", "x.ini"},
        {"check", "--output", "juint=x.xml", "x.ini"},
        {"predict", "--drivers", "overlay3"},
        {"predict", "--drivers", "overlay,null"},
        {"predict", "--containers", "-1"},
        {"predict", "--containers", "1000001"},
        {"predict", "--containers", "some"},
        {"predict", "--replay", "--commits", "2", "x.tar"},
        {"predict", "--replay", "x.tar", "y.tar"},
        {"predict", "--top", "1001"},
        {"predict", "--fs", "zfs"},
        {"predict", "--headroom", "1001"},
        {"image", "history"},
        {"image", "history", "--sort", "size", "--inodes", "x.tar"},
        {"image", "history", "--top", "5", "x.tar"},
        {"compare", "--replay", "--commits", "2", "x.tar"},
        {"compare", "--changes", "add=1", "--replay", "x.tar"},
        {"compare", "--replay", "--drivers", "overlay,null"},
        {"compare", "--commits", "125"},
        {"compare", "--commits", "1.5"},
        {"compare", "--change-bytes", "1x"},
        {"compare", "--change-bytes", "99999999999999999999"},
        {"compare", "--seed", "99999999999999999999"},
        {"compare", "--drivers", ""},
        {"compare", "--drivers", "overlay,overlay"},
        {"compare", "--drivers", "overlay3"},
        {"compare", "--drivers", "clone=all"},
        {"compare", "--drivers", "overlay:metacopy=on"},
        {"compare", "--drivers", "overlay,overlay:diff=fast"},
        {"compare", "--view", "sideways"},
        {"compare", "--changes", "explode=1"},
        {"compare", "--backing", "ext4:lots"},
        {"explain"},
        {"explain", "copyup"},
        {"explain", "mount", "create"},
        {"explain", "mount", "--drivers", "null"},
        {"explain", "mount", "--drivers", "overlay3"},
        {"explain", "mount", "--width", "10"},
        {"explain", "mount", "--interactive"},
        {"explain", "mount", "--interactive", "--json"},
        {"explain", "mount", "--view", "sideways"},
        {"layer", "create"},
        {"layer", "create", "a", "b", "c"},
        {"layer", "create", "../a"},
        {"layer", "create", ""},
        {"layer", "rm"},
        {"layer", "diff", "--json", "a"},
        {"--json", "layer", "create", "a"},
        {"--debug=everything", "layer", "ls"},
        {"--root=", "layer", "ls"},
        {"snapshot"},
        {"snapshot", "prepare"},
        {"snapshot", "prepare", "a", "b", "c"},
        {"snapshot", "prepare", "--label", "x", "a"},
        {"snapshot", "commit", "name"},
        {"snapshot", "label", "a", "=b"},
        {"snapshot", "mount", "a"},
        {"snapshot", "rm", "--parent=x", "a"},
        {"completion", "fish"},
    };
    FILE *all;
    ol_auto_free char *text = NULL;
    size_t len = 0;

    (void)state;
    all = open_memstream(&text, &len);
    assert_non_null(all);
    for (size_t i = 0; i < OL_ARRAY_LEN(cases); i++) {
        auto_result struct program_result result = {0};

        program_args(&result, cases[i]);
        fprintf(all, "$ overlab");
        for (size_t word = 0; cases[i][word] != NULL; word++)
            fprintf(all, " %s", cases[i][word][0] != '\0' ? cases[i][word] : "''");
        fprintf(all, "\n%s", result.err);
        assert_int_equal(result.status, 2);
        assert_string_equal(result.out, "");
    }
    assert_int_equal(fclose(all), 0);
    assert_golden("usage.txt", text);
}

static void output__a_full_disk_fails_the_command(void **state)
{
    const struct program_run run = {
        .args = (const char *const[]){"--help", NULL},
        .out_path = "/dev/full",
    };
    auto_result struct program_result result = {0};

    (void)state;
    program_run(&run, &result);
    assert_int_equal(result.status, 1);
    assert_non_null(strstr(result.err, "cannot write to standard output: No space left"));
}

static void debug__environment_is_read(void **state)
{
    auto_result struct program_result result = {0};
    const struct program_run run = {
        .args = (const char *const[]){"completion", "bash", NULL},
        .env = (const char *const[]){"OL_DEBUG=mount,nonsense", NULL},
    };

    (void)state;
    program_run(&run, &result);
    assert_int_equal(result.status, 0);
    assert_non_null(strstr(result.err, "no debug area 'nonsense' (in OL_DEBUG)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help__lists_every_subcommand),
        cmocka_unit_test(help__of_each_subcommand),
        cmocka_unit_test(help__of_a_group_lists_its_commands),
        cmocka_unit_test(version__is_one_line),
        cmocka_unit_test(usage__says_what_is_wrong),
        cmocka_unit_test(output__a_full_disk_fails_the_command),
        cmocka_unit_test(debug__environment_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
