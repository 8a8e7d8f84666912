/* SPDX-License-Identifier: Apache-2.0 */
/* "overlab help": topics, subcommands, groups, and what comes close to them. */
#include "cli/program.h"

#include "common/buf.h"
#include "common/fs/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

enum { WIDTH = 80, TEXT_MAX = 1 << 16 };

static void assert_narrow(const char *name, const char *text)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");

        if (len > WIDTH)
            fail_msg("%s: %zu columns: '%.*s'", name, len, (int)len, text);
        text += len + (text[len] == '\n');
    }
}

static void help__of_a_topic_is_its_file(void **state)
{
    ol_auto_fd int fd = open(OL_TOPICS_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = opendir(OL_TOPICS_DIR);
    auto_result struct program_result list = {0};
    const struct dirent *entry;
    unsigned topics = 0;

    (void)state;
    assert_non_null(dir);
    program(&list, "help");
    while ((entry = readdir(dir)) != NULL) {
        auto_result struct program_result result = {0};
        ol_auto_buf struct ol_buf want = OL_BUF_INIT;
        ol_auto_free char *name = strndup(entry->d_name, strcspn(entry->d_name, "."));
        ol_auto_free char *line = NULL;

        if (entry->d_name[0] == '.')
            continue;
        topics++;
        assert_int_equal(ol_fs_read_file(fd, entry->d_name, TEXT_MAX, &want, NULL), 0);
        program(&result, "help", name);
        assert_int_equal(result.status, 0);
        assert_string_equal(result.err, "");
        assert_string_equal(result.out, ol_buf_str(&want));
        assert_narrow(name, result.out);
        assert_true(asprintf(&line, "\n  %-18s %.*s\n", name, (int)strcspn(result.out, "\n"),
                             result.out) > 0);
        if (strstr(list.out, line) == NULL)
            fail_msg("'overlab help' does not list '%s'", name);
    }
    closedir(dir);
    assert_true(topics > 5);
}

static void help__of_a_subcommand_is_its_help(void **state)
{
    auto_result struct program_result word = {0};
    auto_result struct program_result option = {0};

    (void)state;
    program(&word, "help", "layer", "apply");
    program(&option, "layer", "apply", "--help");
    assert_int_equal(word.status, 0);
    assert_string_equal(word.out, option.out);
    program_result_fini(&word);
    program_result_fini(&option);
    program(&word, "help", "compare");
    program(&option, "compare", "--help");
    assert_string_equal(word.out, option.out);
}

static void help__of_a_group_lists_it(void **state)
{
    auto_result struct program_result word = {0};
    auto_result struct program_result option = {0};

    (void)state;
    program(&word, "help", "snapshot");
    program(&option, "snapshot", "--help");
    assert_int_equal(word.status, 0);
    assert_string_equal(word.out, option.out);
}

static void help__of_something_unknown_names_the_nearest(void **state)
{
    static const char *const cases[][4] = {
        {"help", "exit-statsu"}, {"help", "layr"},         {"help", "layer", "crate"},
        {"help", "weather"},     {"help", "layer", "why"}, {"comapre"},
        {"snapshto", "ls"},      {"layer", "aply", "x"},
    };
    ol_auto_buf struct ol_buf all = OL_BUF_INIT;

    (void)state;
    for (size_t i = 0; i < OL_ARRAY_LEN(cases); i++) {
        auto_result struct program_result result = {0};

        program_args(&result, cases[i]);
        assert_int_equal(result.status, 2);
        assert_string_equal(result.out, "");
        assert_int_equal(ol_buf_puts(&all, result.err), 0);
    }
    assert_golden("help-unknown.txt", ol_buf_str(&all));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help__of_a_topic_is_its_file),
        cmocka_unit_test(help__of_a_subcommand_is_its_help),
        cmocka_unit_test(help__of_a_group_lists_it),
        cmocka_unit_test(help__of_something_unknown_names_the_nearest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
