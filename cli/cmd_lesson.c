/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "overlab lesson [N]": guided labs. Each sets a scene with real operations, asks, does what it
 * asked about, and marks the answer by what happened.
 */
#include "cli/lesson.h"
#include "cli/listing.h"
#include "cli/place.h"
#include "cli/workload.h"

#include "bench/report/page.h"
#include "common/cleanup.h"
#include "common/mount/view.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { KEY_ANSWER = 0x500000, KEY_ANSWERS, KEY_RESET, KEY_BACKING, KEY_VIEW };

enum { INDENT = 2 };

struct lesson_args {
    unsigned number; /* 0: none, or all with --answers */
    const char *answer;
    bool answers, reset;
    struct place place;
};

/* One lab being run, as its front end. */
struct session {
    struct ol_cli *cli;
    const struct lesson_args *args;
    const struct ol_lab *lab;
    unsigned number;
    struct ol_page page;
    json_t *said; /* owned; with --json: the paragraphs */
    bool titled;
    const struct place_found *found;
    int64_t answer;
};

/* ---- arguments ---- */

static bool take(struct ol_cli *cli, int key, char *arg, void *data)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct lesson_args *args = data;
    uint64_t number = 0;
    int r = 0;

    switch (key) {
    case OL_CLI_ARGUMENT:
        if (!ol_cli_number(cli, "N", arg, false, 1, OL_LABS, &number))
            return false;
        args->number = (unsigned)number;
        return true;
    case KEY_ANSWER:
        args->answer = arg;
        return true;
    case KEY_ANSWERS:
        args->answers = true;
        return true;
    case KEY_RESET:
        args->reset = true;
        return true;
    case KEY_BACKING:
        r = place_set_backing(&args->place, arg, &err);
        break;
    default:
        r = ol_view_parse(arg, &args->place.view, &err);
        break;
    }
    if (r < 0)
        (void)ol_cli_usage(cli, "%s", ol_error_text(&err));
    return r == 0;
}

static const char *contradiction(const struct ol_cli *cli, const struct lesson_args *args)
{
    if (args->answer != NULL && (args->answers || args->number == 0))
        return args->answers ? "--answer and --answers exclude each other"
                             : "--answer is for one lesson: give its number";
    if (args->reset && (args->answers || args->answer != NULL))
        return "--reset runs no lesson";
    if (cli->json && args->number != 0 && args->answer == NULL && !args->answers && !args->reset)
        return "--json asks nothing: give --answer, or --answers";
    return NULL;
}

static bool parse(struct ol_cli *cli, int argc, char **argv, struct lesson_args *args)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    static const struct argp_option options[] = {
        {"answer", KEY_ANSWER, "ANSWER", 0, "the answer, in place of being asked for it", 0},
        {"answers", KEY_ANSWERS, NULL, 0,
         "for teachers: run the lesson, or all of them, and say what is right without asking", 0},
        {"reset", KEY_RESET, NULL, 0, "forget what was done of the lesson, or of all", 0},
        {"backing", KEY_BACKING, "WHERE", 0,
         "where it runs: a directory, or ext4:SIZE, xfs:SIZE, btrfs:SIZE, tmpfs:SIZE (default: the "
         "data root)",
         0},
        {"view", KEY_VIEW, "VIEW", 0, "auto (default), kernel, userns or direct", 0},
        {0},
    };
    const struct ol_cli_syntax syntax = {
        .options = options,
        .take = take,
        .data = args,
        .max_arguments = 1,
        .help = "Without N the lessons are listed, and how far you got. Every lesson works on real "
                "directories of its own, which are removed afterwards; what is right is what was "
                "measured. The exit status is 0 for a right answer, 1 for a wrong one.",
    };
    const char *wrong;

    if (!ol_cli_parse(cli, &syntax, argc, argv))
        return false;
    wrong = contradiction(cli, args);
    if (wrong == NULL && args->answer != NULL) {
        int64_t answer;

        if (ol_lab_answer_parse(ol_lab_get(args->number), args->answer, &answer, &err) < 0)
            wrong = ol_error_text(&err);
    }
    if (wrong != NULL)
        (void)ol_cli_usage(cli, "%s", wrong);
    return wrong == NULL;
}

/* ---- the list ---- */

static const char *state_of(const struct lesson_mark *mark)
{
    return mark->passed ? "done" : mark->tries > 0 ? "tried" : "not yet";
}

static json_t *list_json(const struct lesson_progress *progress)
{
    json_t *lessons = json_array();

    for (unsigned n = 1; n <= OL_LABS; n++) {
        const struct ol_lab *lab = ol_lab_get(n);
        const struct lesson_mark *mark = &progress->marks[n - 1];

        if (json_array_append_new(
                lessons, json_pack("{s:i, s:s, s:s, s:b, s:i, s:b}", "number", (int)n, "name",
                                   lab->name, "title", lab->title, "needs_mount", lab->needs_mount,
                                   "tries", (int)mark->tries, "passed", mark->passed)) < 0) {
            json_decref(lessons);
            return NULL;
        }
    }
    return json_pack("{s:s, s:o}", "schema", "overlab.lessons/1", "lessons", lessons);
}

static int print_list(const struct lesson_progress *progress, struct ol_error *err)
{
    static const struct ol_listing_column columns[] = {
        {"N", true}, {"LESSON", false}, {"TRIES", true}, {"STATE", false}};
    struct ol_listing *listing = NULL;
    int r = ol_listing_new(columns, OL_ARRAY_LEN(columns), &listing, err);

    for (unsigned n = 1; n <= OL_LABS && r == 0; n++) {
        const struct lesson_mark *mark = &progress->marks[n - 1];

        r = ol_listing_row(listing, err);
        if (r == 0)
            r = ol_listing_cell(listing, err, "%u", n);
        if (r == 0)
            r = ol_listing_cell(listing, err, "%s", ol_lab_get(n)->title);
        if (r == 0)
            r = ol_listing_cell(listing, err, "%u", mark->tries);
        if (r == 0)
            r = ol_listing_cell(listing, err, "%s", state_of(mark));
    }
    if (r == 0)
        r = ol_listing_print(listing, err);
    ol_listing_free(listing);
    return r;
}

static int list(struct ol_cli *cli, struct ol_error *err)
{
    struct lesson_progress progress;
    unsigned next = 1;
    int r = lesson_progress_load(cli->root, &progress, err);

    if (r == 0)
        r = cli->json ? ol_cli_print_json(list_json(&progress), err) : print_list(&progress, err);
    if (r < 0)
        return r;
    while (next <= OL_LABS && progress.marks[next - 1].passed)
        next++;
    if (next <= OL_LABS)
        ol_cli_note(cli, "next: overlab lesson %u", next);
    return 0;
}

static int reset(struct ol_cli *cli, unsigned number, struct ol_error *err)
{
    struct lesson_progress progress = {0};
    int r = number == 0 ? 0 : lesson_progress_load(cli->root, &progress, err);

    if (r < 0)
        return r;
    if (number != 0)
        progress.marks[number - 1] = (struct lesson_mark){0};
    return lesson_progress_save(cli->root, &progress, err);
}

/* ---- one lesson ---- */

static void paragraph(const struct session *s, const char *text)
{
    ol_page_wrapped(&s->page, text, 0);
    fputc('\n', s->page.out);
}

static void heading(const struct session *s, const char *text)
{
    fprintf(s->page.out, "%s%s%s\n", ol_page_bold(&s->page), text, ol_page_plain(&s->page));
}

/* Above the first paragraph: a lab that is not possible here says none. */
static void title(struct session *s)
{
    if (s->titled)
        return;
    s->titled = true;
    fprintf(s->page.out, "%s%u. %s%s\n\n", ol_page_bold(&s->page), s->number, s->lab->title,
            ol_page_plain(&s->page));
    fprintf(s->page.out, "(%s view, in %s)\n\n", ol_view_name(s->found->view), s->found->dir);
}

static void say(const char *text, void *data)
{
    struct session *s = data;

    if (s->said != NULL) {
        /* Without memory the object is incomplete, and printing it says so. */
        if (json_array_append_new(s->said, json_string(text)) < 0) {
            json_decref(s->said);
            s->said = NULL;
        }
    } else if (!s->cli->json) {
        title(s);
        paragraph(s, text);
    }
}

static int put_question(const struct session *s, struct ol_error *err)
{
    heading(s, s->lab->question);
    for (size_t i = 0; s->lab->choices[i] != NULL; i++)
        fprintf(s->page.out, "%*s%c) %s\n", INDENT, "", (char)('a' + i), s->lab->choices[i]);
    return ol_cli_flush(err);
}

/* A line from whoever is there: an answer, "?" for the hint, something else for another try. */
static int read_answer(struct session *s, struct ol_error *err)
{
    ol_auto_free char *line = NULL;
    size_t room = 0;

    ol_cli_cancel_input(STDIN_FILENO); /* a signal just before getline() ends that, too */
    for (;;) {
        ol_auto_error struct ol_error wrong = OL_ERROR_INIT;
        ssize_t len;
        int r;

        fprintf(s->page.out, "Your answer (? for a hint): ");
        r = ol_cli_flush(err);
        if (r < 0)
            return r;
        len = getline(&line, &room, stdin);
        if (ol_cli_cancelled())
            return ol_error_set(err, -ECANCELED, "interrupted");
        if (len < 0) {
            fputc('\n', s->page.out);
            return ol_error_set(err, -ENODATA, "no answer came; --answer gives one");
        }
        line[strcspn(line, "\r\n")] = '\0';
        if (!isatty(STDIN_FILENO)) /* a terminal shows what is typed */
            fprintf(s->page.out, "%s\n", line);
        if (strcmp(line, "?") == 0)
            ol_page_wrapped(&s->page, s->lab->hint, 0);
        else if (ol_lab_answer_parse(s->lab, line, &s->answer, &wrong) == 0)
            return 0;
        else if (*line != '\0')
            ol_page_wrapped(&s->page, ol_error_text(&wrong), 0);
    }
}

static int ask(const struct ol_lab *lab, void *data, struct ol_error *err)
{
    struct session *s = data;
    int r = 0;

    if (!s->cli->json)
        r = put_question(s, err);
    if (r < 0)
        return r;
    if (s->args->answer != NULL)
        r = ol_lab_answer_parse(lab, s->args->answer, &s->answer, err);
    else if (!s->args->answers)
        r = read_answer(s, err);
    if (!s->cli->json)
        fputc('\n', s->page.out);
    return r;
}

/* "13 inodes", or "c) it fails: …". */
static char *answer_text(const struct ol_lab *lab, int64_t answer)
{
    char *text = NULL;
    int len = lab->unit != NULL
                  ? asprintf(&text, "%" PRId64 " %s", answer, lab->unit)
                  : asprintf(&text, "%c) %s", (char)('a' + answer), lab->choices[answer]);

    return len < 0 ? NULL : text;
}

static int print_mark(const struct session *s, int64_t truth, struct ol_error *err)
{
    ol_auto_free char *right = answer_text(s->lab, truth);
    ol_auto_free char *given = answer_text(s->lab, s->answer);

    if (right == NULL || given == NULL)
        return ol_error_nomem(err);
    fputs(ol_page_bold(&s->page), s->page.out);
    if (s->args->answers)
        fprintf(s->page.out, "Answer: %s.", right);
    else if (s->answer == truth)
        fprintf(s->page.out, "Right: %s.", right);
    else
        fprintf(s->page.out, "Not this time. You said %s; it is %s.", given, right);
    fprintf(s->page.out, "%s\n\n", ol_page_plain(&s->page));
    ol_page_wrapped(&s->page, s->lab->why, 0);
    return 0;
}

static json_t *json_answer(const struct ol_lab *lab, int64_t answer)
{
    char letter[2] = {(char)('a' + answer), '\0'};

    return lab->unit != NULL ? json_integer(answer) : json_string(letter);
}

static json_t *mark_json(struct session *s, enum ol_view view, int64_t truth)
{
    const struct ol_lab *lab = s->lab;
    json_t *choices = json_array();
    json_t *json;

    for (size_t i = 0; lab->choices[i] != NULL; i++)
        (void)json_array_append_new(choices, json_string(lab->choices[i]));
    json = json_pack("{s:s, s:i, s:s, s:s, s:s, s:O, s:s, s:s?, s:o, s:o, s:s}", "schema",
                     "overlab.lesson/1", "number", (int)s->number, "name", lab->name, "title",
                     lab->title, "view", ol_view_name(view), "said", s->said, "question",
                     lab->question, "unit", lab->unit, "choices", choices, "right_answer",
                     json_answer(lab, truth), "why", lab->why);
    if (json == NULL || s->args->answers)
        return json;
    if (json_object_set_new(json, "answer", json_answer(lab, s->answer)) < 0 ||
        json_object_set_new(json, "right", json_boolean(s->answer == truth)) < 0) {
        json_decref(json);
        return NULL;
    }
    return json;
}

static int record(struct ol_cli *cli, unsigned number, bool right, struct ol_error *err)
{
    struct lesson_progress progress;
    int r = lesson_progress_load(cli->root, &progress, err);

    if (r < 0)
        return r;
    progress.marks[number - 1].tries++;
    progress.marks[number - 1].passed = progress.marks[number - 1].passed || right;
    return lesson_progress_save(cli->root, &progress, err);
}

static int run_lab(struct session *s, int64_t *ret_truth, struct ol_error *err)
{
    const struct ol_lab_front front = {
        .say = say, .ask = ask, .cancelled = ol_cli_is_cancelled, .data = s};
    const struct ol_lab_run where = {
        .dir = s->found->dir,
        .view = s->found->view,
        .keep_owner = ol_view_can_keep_owner(s->found->dir),
        .front = &front,
    };

    return ol_lab_run(s->lab, &where, ret_truth, err);
}

static int run_one(struct ol_cli *cli, const struct lesson_args *args, unsigned number,
                   const struct place_found *found, bool *ret_right, json_t **ret_json,
                   struct ol_error *err)
{
    const struct ol_report_style style = workload_style(cli, true);
    struct session s = {
        .cli = cli,
        .args = args,
        .lab = ol_lab_get(number),
        .number = number,
        .found = found,
        .page = {.style = &style, .out = stdout},
        .said = cli->json ? json_array() : NULL,
    };
    int64_t truth = 0;
    int r = run_lab(&s, &truth, err);

    *ret_right = args->answers || s.answer == truth;
    if (r == 0 && cli->json) {
        *ret_json = mark_json(&s, found->view, truth);
        r = *ret_json == NULL ? ol_error_nomem(err) : 0;
    } else if (r == 0) {
        r = print_mark(&s, truth, err);
    }
    json_decref(s.said);
    if (r == 0 && !args->answers)
        r = record(cli, number, *ret_right, err);
    return r;
}

/* --answers without a number: what is not possible here is said, and the next one comes. */
static int run_all(struct ol_cli *cli, const struct lesson_args *args,
                   const struct place_found *found, struct ol_error *err)
{
    json_t *all = json_array();
    int r = 0;

    for (unsigned n = 1; n <= OL_LABS && r == 0; n++) {
        json_t *one = NULL;
        bool right;

        if (n > 1 && !cli->json)
            fputc('\n', stdout);
        r = run_one(cli, args, n, found, &right, &one, err);
        if (r == -EOPNOTSUPP) {
            ol_cli_warn(cli, "lesson %u is left out: %s", n, ol_error_text(err));
            ol_error_fini(err);
            r = 0;
        } else if (r == 0 && one != NULL && json_array_append_new(all, one) < 0) {
            r = ol_error_nomem(err);
        }
    }
    if (r == 0 && cli->json)
        return ol_cli_print_json(
            json_pack("{s:s, s:o}", "schema", "overlab.lesson_answers/1", "lessons", all), err);
    json_decref(all);
    return r;
}

static int run(struct ol_cli *cli, const struct place_found *found, void *data, int *ret_status,
               struct ol_error *err)
{
    const struct lesson_args *args = data;
    json_t *json = NULL;
    bool right = true;
    int r;

    if (args->number == 0)
        return run_all(cli, args, found, err);
    r = run_one(cli, args, args->number, found, &right, &json, err);
    if (r == 0 && cli->json)
        r = ol_cli_print_json(json, err);
    if (r == -EOPNOTSUPP) { /* what this host does not give is no failure of the lesson */
        *ret_status = OL_EXIT_IMPOSSIBLE;
        ol_cli_complain(cli, ol_error_text(err));
        ol_error_fini(err);
        return 0;
    }
    *ret_status = right ? OL_EXIT_OK : OL_EXIT_FAILED;
    return r;
}

int cmd_lesson(struct ol_cli *cli, int argc, char **argv)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct lesson_args args = {0};
    int status = OL_EXIT_OK;
    int r = 0;

    if (!parse(cli, argc, argv, &args)) {
        place_fini(&args.place);
        return cli->status;
    }
    if (args.reset)
        r = reset(cli, args.number, &err);
    else if (args.number == 0 && !args.answers)
        r = list(cli, &err);
    else
        r = place_run(cli, &args.place, run, &args, &status, &err);
    place_fini(&args.place);
    return r < 0 ? ol_cli_fail(cli, r, &err) : status;
}
