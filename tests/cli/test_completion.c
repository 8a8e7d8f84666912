/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Completion, as somebody at a terminal has it: an interactive bash on a pseudo-terminal gets keys,
 * ends each line with readline's insert-completions, and what then stands on the line is compared.
 */
#include "cli/program.h"

#include "common/buf.h"

#include <fcntl.h>
#include <libgen.h>
#include <pty.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define INSERT_COMPLETIONS "\033*"
#define LINE_BEGIN         "\001"
#define LINE_END           "\005"

enum { SHELL_TIMEOUT_S = 60 };

struct shell {
    struct test_dir dir; /* its working directory, with "out", a FIFO */
    char *root;          /* owned; a data root with something in it */
    pid_t pid;
    int tty;
};

static void make(const char *const *args)
{
    auto_result struct program_result result = {0};

    program_args(&result, args);
    if (result.status != 0)
        fail_msg("%s %s: %s", args[2], args[3], result.err);
}
#define make_with(...) make((const char *const[]){"--root", s->root, __VA_ARGS__, NULL})

static void fill_root(struct shell *s)
{
    ol_auto_free char *tree = NULL;

    assert_int_equal(mkdirat(s->dir.fd, "tree", 0755), 0);
    assert_int_equal(mkdirat(s->dir.fd, "tree/etc", 0755), 0);
    assert_true(asprintf(&tree, "%s/tree", s->dir.path) > 0);
    make_with("image", "import", "--tag", "debian:12", "--tag", "alpine:3", tree);
    make_with("container", "create", "--name", "box", "debian:12");
    make_with("layer", "create", "-d", "vfs", "base");
    make_with("layer", "create", "-d", "vfs", "work", "base");
    make_with("snapshot", "prepare", "first");
    make_with("snapshot", "commit", "base", "first");
    make_with("snapshot", "prepare", "second", "base");
    make_with("snapshot", "prepare", "with blank", "base");
}

/* What the shell writes into the FIFO next. Owned by the caller. */
static char *listen_to_shell(const struct shell *s)
{
    ol_auto_fd int fd = openat(s->dir.fd, "out", O_RDONLY | O_CLOEXEC); /* waits for the writer */
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    char block[4096];
    ssize_t n;

    assert_true(fd >= 0);
    while ((n = read(fd, block, sizeof block)) > 0)
        assert_int_equal(ol_buf_append(&text, block, (size_t)n), 0);
    return ol_buf_steal(&text);
}

/* What it echoes must be taken away, or it will wait. */
static void drain(const struct shell *s)
{
    char block[4096];

    while (read(s->tty, block, sizeof block) > 0)
        continue;
}

static void type(const struct shell *s, const char *keys)
{
    assert_int_equal(write(s->tty, keys, strlen(keys)), (ssize_t)strlen(keys));
}

static void become_bash(const struct shell *s)
{
    ol_auto_free char *program = strdup(program_path());
    ol_auto_free char *path = NULL;

    if (chdir(s->dir.path) < 0 || program == NULL ||
        asprintf(&path, "%s:/usr/bin:/bin", dirname(program)) < 0)
        _exit(126);
    (void)setenv("PATH", path, 1);
    (void)setenv("TERM", "dumb", 1);
    (void)setenv("ROOT", s->root, 1);
    (void)execlp("bash", "bash", "--norc", "--noprofile", "-i", (char *)NULL);
    _exit(127);
}

static int start_shell(void **state)
{
    struct shell *s = calloc(1, sizeof *s);
    ol_auto_free char *ready = NULL;
    struct winsize size = {.ws_row = 24, .ws_col = 1000};

    assert_non_null(s);
    test_dir_make(&s->dir);
    assert_true(asprintf(&s->root, "%s/root", s->dir.path) > 0);
    fill_root(s);
    test_write(s->dir.fd, "some-file.tar", "");
    assert_int_equal(mkfifoat(s->dir.fd, "out", 0600), 0);
    (void)alarm(SHELL_TIMEOUT_S); /* a shell that does not answer must not hold up the suite */
    s->pid = forkpty(&s->tty, NULL, NULL, &size);
    assert_true(s->pid >= 0);
    if (s->pid == 0)
        become_bash(s);
    assert_int_equal(fcntl(s->tty, F_SETFL, O_NONBLOCK), 0);
    type(s,
         "source <(overlab completion bash); bind 'set enable-bracketed-paste off'; echo > out\n");
    ready = listen_to_shell(s);
    drain(s);
    *state = s;
    return 0;
}

static int end_shell(void **state)
{
    struct shell *s = *state;

    type(s, "\nexit\n");
    close(s->tty);
    (void)waitpid(s->pid, NULL, 0);
    (void)alarm(0);
    test_dir_remove(&s->dir);
    free(s->root);
    free(s);
    return 0;
}

struct completion_case {
    const char *typed;
    const char *want; /* the line's words, each in angles */
};

static void assert_completes(const struct shell *s, const struct completion_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ol_auto_free char *got = NULL;

        type(s, cases[i].typed);
        type(s, INSERT_COMPLETIONS LINE_BEGIN "printf '<%s>' " LINE_END " > out\n");
        got = listen_to_shell(s);
        drain(s);
        if (strcmp(got, cases[i].want) != 0)
            fail_msg("'%s'\n  is   %s\n  want %s", cases[i].typed, got, cases[i].want);
    }
}
#define assert_all_complete(s, cases) assert_completes((s), (cases), OL_ARRAY_LEN(cases))

static void completion__of_names(void **state)
{
    static const struct completion_case cases[] = {
        {"overlab lay", "<overlab><layer>"},
        {"overlab co", "<overlab><commit><compare><completion><container>"},
        {"overlab layer m", "<overlab><layer><mount>"},
        {"overlab -q --root /x layer um", "<overlab><-q><--root></x><layer><umount>"},
        {"overlab --root=/x layer um", "<overlab><--root=/x><layer><umount>"},
        {"overlab nothing x", "<overlab><nothing><x>"},
        {"overlab help whi", "<overlab><help><whiteouts>"},
        {"overlab help layer ap", "<overlab><help><layer><apply>"},
        {"overlab help whiteouts ap", "<overlab><help><whiteouts><ap>"},
        {"overlab completion ", "<overlab><completion><bash>"},
    };

    assert_all_complete(*state, cases);
}

static void completion__of_options(void **state)
{
    static const struct completion_case cases[] = {
        {"overlab --no", "<overlab><--no-color>"},
        {"overlab layer create --r", "<overlab><layer><create><--root=><--rw>"},
        {"overlab layer apply --r", "<overlab><layer><apply><--root=>"},
        {"overlab layer apply --j", "<overlab><layer><apply><--json>"},
        {"overlab layer rm --j", "<overlab><layer><rm><--j>"}, /* it has no JSON */
        {"overlab compare --change", "<overlab><compare><--change-bytes=><--changes=>"},
        {"overlab container exec box ls --", "<overlab><container><exec><box><ls><-->"},
        {"overlab layer rm -- --", "<overlab><layer><rm><--><-->"},
    };

    assert_all_complete(*state, cases);
}

static void completion__of_values(void **state)
{
    static const struct completion_case cases[] = {
        {"overlab layer ls -d over", "<overlab><layer><ls><-d><overlay><overlay2>"},
        {"overlab layer ls --driver=n", "<overlab><layer><ls><--driver=null>"},
        {"overlab layer ls --driver v", "<overlab><layer><ls><--driver><vfs>"},
        {"overlab layer ls --driver=overlay:cl",
         "<overlab><layer><ls><--driver=overlay:clone=all><clone=files>"},
        {"overlab layer ls -d overlay:clone=a", "<overlab><layer><ls><-d><overlay:clone=all>"},
        {"overlab compare --drivers overlay,sn", "<overlab><compare><--drivers><overlay,snapshot>"},
        {"overlab compare --drivers=overlay:diff=upper,clone=al",
         "<overlab><compare><--drivers=overlay:diff=upper,clone=all>"},
        {"overlab compare --with dockerd", "<overlab><compare><--with><dockerd>"},
        {"overlab compare --with docker/overlay2,contai",
         "<overlab><compare><--with><docker/overlay2,containerd>"
         "<docker/overlay2,containers-storage>"},
        {"overlab compare --view=k", "<overlab><compare><--view=kernel>"},
        {"overlab compare --view ", "<overlab><compare><--view><auto><direct><kernel><userns>"},
        {"overlab --debug=fs,mo", "<overlab><--debug=fs,mount>"},
        {"overlab compare --changes add=5,mk", "<overlab><compare><--changes><add=5,mkdir=>"},
        {"overlab compare --backing=xf", "<overlab><compare><--backing=xfs:>"},
        {"overlab image export --compress=z", "<overlab><image><export><--compress=zstd>"},
        {"overlab image history --sort ",
         "<overlab><image><history><--sort><bytes><inodes><order>"},
        {"overlab commit -c W", "<overlab><commit><-c><WORKDIR>"},
        {"overlab compare --rounds ", "<overlab><compare><--rounds>"},
    };

    assert_all_complete(*state, cases);
}

static void completion__of_files(void **state)
{
    static const struct completion_case cases[] = {
        {"overlab compare some", "<overlab><compare><some-file.tar>"},
        {"overlab compare --output=some", "<overlab><compare><--output=some-file.tar>"},
        {"overlab image import tr", "<overlab><image><import><tree>"},
        {"overlab --root tr", "<overlab><--root><tree>"},
        {"overlab doctor so", "<overlab><doctor><so>"}, /* wants a directory */
        {"overlab layer apply base 2> some", "<overlab><layer><apply><base>"},
        {"overlab layer apply base 2>some", "<overlab><layer><apply><base>"},
    };
    const struct shell *s = *state;

    assert_all_complete(s, cases);
    assert_absent(s->dir.fd, "some"); /* the last two wrote to "some-file.tar" */
}

static void completion__of_what_is_in_the_data_root(void **state)
{
    static const struct completion_case cases[] = {
        {"overlab --root root image rm deb", "<overlab><--root><root><image><rm><debian:12>"},
        {"overlab --root root image rm debian:", "<overlab><--root><root><image><rm><debian:12>"},
        {"overlab --root root image rm ",
         "<overlab><--root><root><image><rm><alpine:3><debian:12>"},
        {"overlab --root root image rm -d overlay ",
         "<overlab><--root><root><image><rm><-d><overlay>"},
        {"overlab --root root container mount ", "<overlab><--root><root><container><mount><box>"},
        {"overlab --root root commit b", "<overlab><--root><root><commit><box>"},
        {"overlab --root root layer du -d vfs ",
         "<overlab><--root><root><layer><du><-d><vfs><base><work>"},
        {"overlab --root root layer create -d vfs new w",
         "<overlab><--root><root><layer><create><-d><vfs><new><work>"},
        {"overlab --root root layer create -d vfs ",
         "<overlab><--root><root><layer><create><-d><vfs>"},
        {"overlab --root=root snapshot info ",
         "<overlab><--root=root><snapshot><info><base><second>"},
        {"overlab --root root snapshot commit new ",
         "<overlab><--root><root><snapshot><commit><new><second>"},
        {"overlab --root root snapshot prepare new ",
         "<overlab><--root><root><snapshot><prepare><new><base>"},
        {"overlab --root absent snapshot info ", "<overlab><--root><absent><snapshot><info>"},
    };
    const struct shell *s = *state;

    assert_all_complete(s, cases);
    assert_absent(s->dir.fd, "absent"); /* looking makes nothing */
}

/* ---- every placeholder ---- */

/* The value of this word is asked for; an unknown placeholder fails. */
static void assert_known(const char *command, const char *last)
{
    ol_auto_free char *words = strdup(command);
    const char *args[16] = {"completion", "--for", "bash", "--"};
    auto_result struct program_result result = {0};
    char *save = NULL;
    size_t n = 4;

    assert_non_null(words);
    for (char *w = strtok_r(words, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
        args[n++] = w;
    args[n] = last;
    program_args(&result, args);
    if (result.status != 0)
        fail_msg("completing '%s' after 'overlab %s': status %d", last, command, result.status);
    if (strstr(result.out, ":unknown") != NULL)
        fail_msg("'overlab %s': say in cli/complete_values.c what '%s' stands for", command, last);
}

/* "*-d*, *--driver*=_DRIVER_": the option's value. */
static void check_option(const char *command, const char *line)
{
    const char *name = strstr(line, "*--");
    ol_auto_free char *option = NULL;
    size_t len;

    if (name == NULL || strchr(line, '=') == NULL)
        return;
    name++;
    len = strcspn(name, "*");
    assert_true(asprintf(&option, "%.*s=", (int)len, name) > 0);
    assert_known(command, option);
}

/* Three arguments; those that are not there have nothing to complete. */
static void check_arguments(const char *command)
{
    ol_auto_free char *two = NULL;
    ol_auto_free char *three = NULL;

    assert_true(asprintf(&two, "%s x", command) > 0);
    assert_true(asprintf(&three, "%s x x", command) > 0);
    assert_known(command, "");
    assert_known(two, "");
    assert_known(three, "");
}

static void completion__knows_every_placeholder(void **state)
{
    auto_result struct program_result table = {0};
    char command[64] = "";
    unsigned commands = 0;
    char *save = NULL;

    (void)state;
    program(&table, "help", "--scd");
    assert_int_equal(table.status, 0);
    for (char *line = strtok_r(table.out, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        if (sscanf(line, "@options %63[^\n]", command) == 1) {
            commands++;
            check_arguments(command);
        } else if (command[0] != '\0' && line[0] == '*') {
            check_option(command, line);
        } else if (line[0] == '@') {
            command[0] = '\0';
        }
    }
    assert_true(commands > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(completion__of_names),
        cmocka_unit_test(completion__of_options),
        cmocka_unit_test(completion__of_values),
        cmocka_unit_test(completion__of_files),
        cmocka_unit_test(completion__of_what_is_in_the_data_root),
        cmocka_unit_test(completion__knows_every_placeholder),
    };

    return cmocka_run_group_tests(tests, start_shell, end_shell);
}
