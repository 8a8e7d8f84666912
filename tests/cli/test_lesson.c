/* SPDX-License-Identifier: Apache-2.0 */
/* "overlab lesson" as learners and teachers run it. What is right is asked of --answers first. */
#include "cli/program.h"
#include "cli/traced.h"

#include "bench/teach/lab.h"
#include "common/mount/mount.h"

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    struct test_dir dir;
    char *root; /* owned */
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    test_dir_make(&f->dir);
    assert_true(asprintf(&f->root, "%s/root", f->dir.path) > 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    test_dir_remove(&f->dir);
    free(f->root);
    free(f);
    return 0;
}

/* Run a lesson; what an earlier run left in the result is released. */
#define lesson(f, ret, ...)                                                                        \
    do {                                                                                           \
        program_result_fini(ret);                                                                  \
        program((ret), "--root", (f)->root, "lesson", __VA_ARGS__);                                \
    } while (0)

/* The names in the data root, sorted, a blank after each; owned by the caller. */
static char *names_in_root(const struct fixture *f)
{
    struct dirent **list = NULL;
    int count = scandir(f->root, &list, NULL, alphasort);
    char *text = strdup("");

    for (int i = 0; i < count; i++) {
        char *longer = NULL;

        if (list[i]->d_name[0] != '.') {
            assert_true(asprintf(&longer, "%s%s ", text, list[i]->d_name) >= 0);
            free(text);
            text = longer;
        }
        free(list[i]);
    }
    free(list);
    return text;
}

static void assert_clean(const struct fixture *f, const char *names)
{
    ol_auto_free char *found = names_in_root(f);
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    char **mounts = NULL;
    size_t n_mounts = 0;

    assert_string_equal(found, names);
    assert_ok(ol_mount_list_below(f->root, &mounts, &n_mounts, &err), &err);
    assert_int_equal(n_mounts, 0);
    ol_mount_list_free(mounts);
}

/* What the lessons measure here: those that are possible. */
static json_t *all_answers(const struct fixture *f)
{
    auto_result struct program_result out = {0};
    json_t *json;

    lesson(f, &out, "--answers", "--json");
    assert_int_equal(out.status, 0);
    json = json_loads(out.out, 0, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "schema")),
                        "overlab.lesson_answers/1");
    return json;
}

/* The right answer of a lesson and a wrong one, as they would be typed; owned by the caller. */
static void typed_answers(const json_t *lesson, char **ret_right, char **ret_wrong)
{
    const json_t *answer = json_object_get(lesson, "right_answer");

    if (json_is_string(answer)) {
        *ret_right = strdup(json_string_value(answer));
        *ret_wrong = strdup(**ret_right == 'a' ? "b" : "a");
        return;
    }
    assert_true(asprintf(ret_right, "%lld", (long long)json_integer_value(answer)) > 0);
    assert_true(asprintf(ret_wrong, "%lld", (long long)json_integer_value(answer) + 1) > 0);
}

static void assert_marked(const struct fixture *f, const char *number, const char *answer,
                          int status, const char *word)
{
    auto_result struct program_result out = {0};

    lesson(f, &out, number, "--answer", answer);
    assert_int_equal(out.status, status);
    assert_non_null(strstr(out.out, word));
}

static void lesson__marks_right_and_wrong_answers(void **state)
{
    const struct fixture *f = *state;
    json_t *json = all_answers(f);
    const json_t *lessons = json_object_get(json, "lessons");

    if (json_array_size(lessons) < OL_LABS)
        print_message("SKIP %zu lessons: they need mounts, which are not possible here\n",
                      OL_LABS - json_array_size(lessons));
    for (size_t i = 0; i < json_array_size(lessons); i++) {
        const json_t *one = json_array_get(lessons, i);
        ol_auto_free char *right = NULL;
        ol_auto_free char *wrong = NULL;
        char number[8];

        (void)snprintf(number, sizeof number, "%d",
                       (int)json_integer_value(json_object_get(one, "number")));
        typed_answers(one, &right, &wrong);
        assert_marked(f, number, right, 0, "Right: ");
        assert_marked(f, number, wrong, 1, "Not this time. You said ");
    }
    json_decref(json);
    assert_clean(f, "lessons.json ");
}

/* All that is said in the kernel view, and where a loop device can be had. */
static char *said_of(const json_t *lessons)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    for (size_t i = 0; i < json_array_size(lessons); i++) {
        const json_t *one = json_array_get(lessons, i);
        const json_t *said = json_object_get(one, "said");

        fprintf(out, "== %s\n", json_string_value(json_object_get(one, "title")));
        for (size_t p = 0; p < json_array_size(said); p++)
            fprintf(out, "%s\n", json_string_value(json_array_get(said, p)));
        fprintf(out, "? %s\n", json_string_value(json_object_get(one, "question")));
        fprintf(out, "! %s\n", json_string_value(json_object_get(one, "why")));
    }
    assert_int_equal(fclose(out), 0);
    return text;
}

static void lesson__says_the_same_to_every_teacher(void **state)
{
    /* The numbers themselves, where they do not depend on the machine. */
    static const struct {
        size_t lesson;
        long long answer;
    } known[] = {{1, 19}, {2, 8}, {3, 0}, {4, 129}, {8, 0}};
    const struct fixture *f = *state;
    ol_auto_free char *text = NULL;
    ol_auto_free char *plain = NULL;
    const json_t *lessons;
    json_t *json;

    OL_REQUIRE(can_mount_overlay, "the golden text is of the kernel view");
    OL_REQUIRE(can_loop_mount, "lesson 9 fills a file system on a loop device");
    json = all_answers(f);
    lessons = json_object_get(json, "lessons");
    assert_int_equal(json_array_size(lessons), OL_LABS);
    for (size_t i = 0; i < OL_ARRAY_LEN(known); i++) {
        const json_t *one = json_array_get(lessons, known[i].lesson - 1);

        assert_int_equal(json_integer_value(json_object_get(one, "right_answer")), known[i].answer);
    }
    text = said_of(lessons);
    json_decref(json);
    plain = normalised(text);
    assert_golden("lesson_answers.txt", plain);
    assert_clean(f, "");
}

static void lesson__is_a_page_of_text(void **state)
{
    const struct fixture *f = *state;
    auto_result struct program_result out = {0};
    char *place;
    char *end;

    lesson(f, &out, "2", "--answer", "7");
    assert_int_equal(out.status, 1);
    place = strchr(out.out, '(');
    assert_non_null(place);
    end = strstr(place, "\n\n");
    assert_non_null(end);
    memmove(place, end + 2, strlen(end + 2) + 1); /* the view and the directory */
    assert_golden("lesson_2.txt", out.out);
}

static void lesson__lists_what_was_done(void **state)
{
    const struct fixture *f = *state;
    auto_result struct program_result first = {0};
    auto_result struct program_result out = {0};
    auto_result struct program_result again = {0};

    lesson(f, &first, "3", "--answer", "1");
    assert_int_equal(first.status, 1);
    lesson(f, &first, "3", "--answer", "0");
    assert_int_equal(first.status, 0);
    lesson(f, &first, "3", "--answer", "2"); /* what is passed stays passed */
    lesson(f, &first, "4", "--answer", "1");
    lesson(f, &out, NULL);
    assert_int_equal(out.status, 0);
    assert_golden("lesson_list.txt", out.out);
    assert_string_equal(out.err, "overlab lesson: next: overlab lesson 1\n");
    lesson(f, &again, "4", "--reset");
    assert_int_equal(again.status, 0);
    lesson(f, &again, "--json");
    assert_non_null(strstr(again.out, "overlab.lessons/1"));
    assert_non_null(strstr(again.out, "\"tries\": 3"));
    assert_null(strstr(again.out, "\"tries\": 1"));
}

static void lesson__takes_the_answer_from_a_pipe_and_gives_a_hint(void **state)
{
    const struct fixture *f = *state;
    const char *const args[] = {"--root", f->root, "lesson", "3", NULL};
    ol_auto_free char *typed = NULL;
    auto_result struct program_result out = {0};

    test_write(f->dir.fd, "typed", "?\n\nnone\n0\n");
    assert_true(asprintf(&typed, "%s/typed", f->dir.path) > 0);
    program_run(&(struct program_run){.args = args, .in_path = typed}, &out);
    assert_int_equal(out.status, 0);
    assert_non_null(strstr(out.out, "What would have to be copied"));
    assert_non_null(strstr(out.out, "'none' is not a number of inodes"));
    assert_non_null(strstr(out.out, "Right: 0 inodes."));
}

/* Not to its process group, as a terminal does: to the process that was started alone. */
static void lesson__in_a_process_of_its_own_ends_with_the_signal(void **state)
{
    const struct fixture *f = *state;
    const char *const args[] = {"--root",    f->root,  "lesson", "1", "--backing",
                                "tmpfs:64M", "--view", "userns", NULL};
    ol_auto_free char *typed = NULL;
    ol_auto_fd int kept = -1;
    auto_result struct program_result out = {0};

    OL_REQUIRE(can_mount_overlay, "mounting a tmpfs needs CAP_SYS_ADMIN");
    assert_int_equal(mkfifoat(f->dir.fd, "typed", 0600), 0);
    kept = openat(f->dir.fd, "typed", O_RDWR | O_CLOEXEC); /* so that nothing comes, and no end */
    assert_true(kept >= 0);
    assert_true(asprintf(&typed, "%s/typed", f->dir.path) > 0);
    program_run(
        &(struct program_run){
            .args = args, .in_path = typed, .awaited = "Your answer", .signal = SIGTERM},
        &out);
    assert_int_equal(out.status, 128 + SIGTERM);
}

static void lesson__without_an_answer_records_nothing(void **state)
{
    const struct fixture *f = *state;
    auto_result struct program_result out = {0};

    lesson(f, &out, "2");
    assert_int_equal(out.status, 1);
    assert_non_null(strstr(out.err, "no answer came; --answer gives one"));
    assert_clean(f, "");
}

static void lesson__that_mounts_is_not_possible_in_the_direct_view(void **state)
{
    const struct fixture *f = *state;
    auto_result struct program_result one = {0};
    auto_result struct program_result all = {0};

    OL_REQUIRE(can_user_xattr, "the direct view keeps user.overlay.* attributes");
    lesson(f, &one, "5", "--view", "direct", "--answer", "61");
    assert_int_equal(one.status, 3);
    assert_string_equal(one.out, "");
    assert_non_null(strstr(one.err, "not possible in the direct view"));
    lesson(f, &all, "--view", "direct", "--answers");
    assert_int_equal(all.status, 0);
    assert_non_null(strstr(all.err, "lesson 10 is left out"));
    assert_non_null(strstr(all.out, "Answer: 19 inodes."));
    assert_clean(f, "");
}

static void lesson__names_a_damaged_file_and_begins_anew(void **state)
{
    const struct fixture *f = *state;
    auto_result struct program_result out = {0};
    auto_result struct program_result reset = {0};

    test_mkdir(f->dir.fd, "root", 0755);
    test_write(f->dir.fd, "root/lessons.json",
               "{\"schema\":\"overlab.lessons/1\",\"lessons\":"
               "{\"depth\":{\"tries\":-1,\"passed\":true}}}");
    lesson(f, &out, NULL);
    assert_int_equal(out.status, 1);
    assert_non_null(strstr(out.err, "lessons.json' is not what a lesson wrote; --reset"));
    lesson(f, &reset, "--reset");
    assert_int_equal(reset.status, 0);
    lesson(f, &out, NULL);
    assert_int_equal(out.status, 0);
}

static void lesson__refuses_wrong_words(void **state)
{
    static const struct {
        const char *args[4], *text;
    } table[] = {
        {{"11"}, "N must be 1 to 10, not '11'"},
        {{"0"}, "N must be 1 to 10, not '0'"},
        {{"1", "--answer", "many"}, "'many' is not a number of inodes"},
        {{"6", "--answer", "e"}, "'e' is none of the letters a to d"},
        {{"--answer", "1"}, "--answer is for one lesson"},
        {{"1", "--answer=1", "--answers"}, "exclude each other"},
        {{"1", "--reset", "--answers"}, "--reset runs no lesson"},
        {{"1", "--json"}, "--json asks nothing"},
        {{"1", "--view", "sideways"}, "sideways"},
    };
    const struct fixture *f = *state;

    for (size_t i = 0; i < OL_ARRAY_LEN(table); i++) {
        auto_result struct program_result out = {0};
        const char *const *a = table[i].args;

        lesson(f, &out, a[0], a[1], a[2], a[3]);
        assert_int_equal(out.status, 2);
        assert_non_null(strstr(out.err, table[i].text));
    }
}

/* Start a lesson with a pipe for answers, and say so: nobody writes into it. */
static pid_t start_lesson(const struct fixture *f, int *ret_in)
{
    const int out = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int in[2];
    pid_t child;

    assert_true(out >= 0);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        program_default_signals();
        if (dup2(in[0], STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
            _exit(126);
        execl(program_path(), "overlab", "--root", f->root, "lesson", "1", NULL);
        _exit(127);
    }
    (void)close(in[0]);
    (void)close(out);
    *ret_in = in[1];
    return child;
}

/* The instant after the question and before the answer is read is the one that can be missed. */
static void lesson__interrupted_at_the_question_leaves_nothing(void **state)
{
    const struct fixture *f = *state;
    ol_auto_fd int in = -1;
    pid_t child = start_lesson(f, &in);

    signal_behind_write(child, "Your answer", SIGINT);
    assert_int_equal(end_of(child), 128 + SIGINT);
    assert_clean(f, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lesson__marks_right_and_wrong_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(lesson__is_a_page_of_text, setup, teardown),
        cmocka_unit_test_setup_teardown(lesson__says_the_same_to_every_teacher, setup, teardown),
        cmocka_unit_test_setup_teardown(lesson__lists_what_was_done, setup, teardown),
        cmocka_unit_test_setup_teardown(lesson__takes_the_answer_from_a_pipe_and_gives_a_hint,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(lesson__in_a_process_of_its_own_ends_with_the_signal, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(lesson__without_an_answer_records_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(lesson__that_mounts_is_not_possible_in_the_direct_view,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(lesson__names_a_damaged_file_and_begins_anew, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(lesson__refuses_wrong_words, setup, teardown),
        cmocka_unit_test_setup_teardown(lesson__interrupted_at_the_question_leaves_nothing, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
