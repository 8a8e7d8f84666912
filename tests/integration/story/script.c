/* SPDX-License-Identifier: Apache-2.0 */
/* Stories as text and from seeds; see story.h. */
#include "integration/story/story.h"

#include "common/cleanup.h"

#include <stdio.h>
#include <string.h>

void story_fini(struct story *story)
{
    free(story->lines);
    *story = (struct story){NULL, 0, 0};
}

void story_add(struct story *story, const struct story_line *line)
{
    if (story->count == story->cap) {
        story->cap = story->cap * 2 + 64;
        story->lines = reallocarray(story->lines, story->cap, sizeof *story->lines);
        assert_non_null(story->lines);
    }
    story->lines[story->count++] = *line;
}

void story_copy(const struct story *from, struct story *ret)
{
    *ret = (struct story){NULL, 0, 0};
    for (size_t i = 0; i < from->count; i++)
        story_add(ret, &from->lines[i]);
}

bool story_is_entry(enum story_kind kind)
{
    return kind >= STORY_DIR && kind <= STORY_OPAQUE;
}

/* ---- text ---- */

static const struct {
    const char *word;
    const char *fields; /* n name, o other, p path, t target, d decimal, m mode, x mix */
} grammar[STORY_KINDS] = {
    [STORY_LAYER] = {"layer", "no"},
    [STORY_DIR] = {"dir", "pm"},
    [STORY_FILE] = {"file", "pd"},
    [STORY_SYMLINK] = {"symlink", "pt"},
    [STORY_FIFO] = {"fifo", "p"},
    [STORY_LINK] = {"link", "ptm"},
    [STORY_WHITEOUT] = {"whiteout", "p"},
    [STORY_OPAQUE] = {"opaque", "p"},
    [STORY_CONTAINER] = {"container", "no"},
    [STORY_CHANGE] = {"change", "ndx"},
    [STORY_REPLAY] = {"replay", "n"},
    [STORY_COMMIT] = {"commit", "no"},
    [STORY_DROP] = {"drop", "n"},
    [STORY_REMOVE] = {"remove", "n"},
};

static void print_mix(const struct ol_change_mix *mix, struct ol_buf *ret)
{
    const struct {
        const char *key;
        unsigned count;
    } keys[] = {{"add", mix->add},         {"modify", mix->modify}, {"delete", mix->remove},
                {"rename", mix->rename},   {"chmod", mix->chmod},   {"mkdir", mix->mkdir},
                {"symlink", mix->symlink}, {"link", mix->link},     {"replace", mix->replace}};
    bool any = false;

    for (size_t i = 0; i < OL_ARRAY_LEN(keys); i++) {
        if (keys[i].count == 0)
            continue;
        assert_int_equal(ol_buf_printf(ret, "%s%s=%u", any ? "," : " ", keys[i].key, keys[i].count),
                         0);
        any = true;
    }
    if (!any)
        assert_int_equal(ol_buf_puts(ret, " none"), 0);
}

static void print_field(const struct story_line *line, char field, struct ol_buf *ret)
{
    int r = 0;

    switch (field) {
    case 'n':
        r = ol_buf_printf(ret, " %u", line->name);
        break;
    case 'o':
        r = line->other == STORY_NONE ? ol_buf_puts(ret, " -")
                                      : ol_buf_printf(ret, " %u", line->other);
        break;
    case 'p':
        r = ol_buf_printf(ret, " %s", line->path);
        break;
    case 't':
        r = ol_buf_printf(ret, " %s", line->target);
        break;
    case 'd':
        r = ol_buf_printf(ret, " %u", line->number);
        break;
    case 'm':
        r = ol_buf_printf(ret, " %o", line->number);
        break;
    default:
        print_mix(&line->mix, ret);
    }
    assert_int_equal(r, 0);
}

void story_print(const struct story *story, struct ol_buf *ret)
{
    for (size_t i = 0; i < story->count; i++) {
        const struct story_line *line = &story->lines[i];

        assert_int_equal(ol_buf_printf(ret, "%s%s", story_is_entry(line->kind) ? "  " : "",
                                       grammar[line->kind].word),
                         0);
        for (const char *f = grammar[line->kind].fields; *f != '\0'; f++)
            print_field(line, *f, ret);
        assert_int_equal(ol_buf_putc(ret, '\n'), 0);
    }
}

static bool parse_number(const char *word, int base, unsigned max, unsigned *ret)
{
    char *end;
    unsigned long value = strtoul(word, &end, base);

    *ret = (unsigned)value;
    return *word != '\0' && *end == '\0' && value < max;
}

static bool parse_path(const char *word, char ret[static STORY_PATH_MAX])
{
    return snprintf(ret, STORY_PATH_MAX, "%s", word) < STORY_PATH_MAX;
}

static bool parse_field(struct story_line *line, char field, const char *word)
{
    switch (field) {
    case 'n':
        return parse_number(word, 10, STORY_NAMES_MAX, &line->name);
    case 'o':
        line->other = STORY_NONE;
        return strcmp(word, "-") == 0 || parse_number(word, 10, STORY_NAMES_MAX, &line->other);
    case 'p':
        return parse_path(word, line->path);
    case 't':
        return parse_path(word, line->target);
    case 'd':
        return parse_number(word, 10, 1u << 30, &line->number);
    case 'm':
        return parse_number(word, 8, 010000, &line->number);
    default:
        return ol_change_mix_parse(word, &line->mix, NULL) == 0;
    }
}

static bool parse_line(char *text, struct story_line *ret)
{
    char *rest = text;
    const char *word = strtok_r(text, " \t", &rest);

    *ret = (struct story_line){.kind = STORY_KINDS};
    for (unsigned kind = 0; kind < STORY_KINDS; kind++) {
        if (strcmp(word, grammar[kind].word) == 0)
            ret->kind = (enum story_kind)kind;
    }
    if (ret->kind == STORY_KINDS)
        return false;
    for (const char *f = grammar[ret->kind].fields; *f != '\0'; f++) {
        word = strtok_r(NULL, " \t", &rest);
        if (word == NULL || !parse_field(ret, *f, word))
            return false;
    }
    return strtok_r(NULL, " \t", &rest) == NULL;
}

const char *story_parse(const char *text, struct story *ret)
{
    static char wrong[128];
    unsigned number = 0;

    *ret = (struct story){NULL, 0, 0};
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        ol_auto_free char *copy = strndup(text, len);
        struct story_line line;

        assert_non_null(copy);
        number++;
        copy[strcspn(copy, "#")] = '\0';
        if (copy[strspn(copy, " \t")] != '\0') {
            if (!parse_line(copy, &line)) {
                (void)snprintf(wrong, sizeof wrong, "line %u is no line of a story: %.*s", number,
                               (int)(len < 60 ? len : 60), text);
                return wrong;
            }
            story_add(ret, &line);
        }
        text += len + (text[len] == '\n' ? 1 : 0);
    }
    return NULL;
}

/* ---- seeds ---- */

struct maker {
    uint64_t state;
    bool replays; /* layers are repeated in containers, too */
    struct story *story;
    unsigned images, containers;
    struct ol_model *models[STORY_NAMES_MAX]; /* owned; of a committed image that of its container's
                                                 image, as the changes are not known here */
    unsigned image_of[STORY_NAMES_MAX];       /* by container */
};

static unsigned pick(struct maker *m, unsigned n)
{
    m->state = m->state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(m->state >> 33) % n;
}

/* Mostly four names, three deep; now and then what the init step puts into containers. */
static void some_path(struct maker *m, char ret[static STORY_PATH_MAX])
{
    static const char *const names[] = {"a", "b", "c", "d"};
    static const char *const init[] = {"etc",     "etc/hosts",   "etc/mtab",  ".dockerenv",
                                       "dev/pts", "dev/console", "proc/self", "sys"};
    unsigned depth = 1 + pick(m, 3);

    if (pick(m, 12) == 0) {
        (void)snprintf(ret, STORY_PATH_MAX, "%s", init[pick(m, OL_ARRAY_LEN(init))]);
        return;
    }
    *ret = '\0';
    for (unsigned i = 0; i < depth; i++) {
        size_t len = strlen(ret);

        (void)snprintf(ret + len, STORY_PATH_MAX - len, "%s%s", i > 0 ? "/" : "",
                       names[pick(m, OL_ARRAY_LEN(names))]);
    }
}

/* As the tar will have it. */
static void entry_of(const struct story_line *line, char path[static STORY_PATH_MAX + 16],
                     struct ol_entry *ret)
{
    static const enum ol_entry_type types[STORY_KINDS] = {
        [STORY_DIR] = OL_ENTRY_DIRECTORY, [STORY_SYMLINK] = OL_ENTRY_SYMLINK,
        [STORY_FIFO] = OL_ENTRY_FIFO,     [STORY_LINK] = OL_ENTRY_HARDLINK,
        [STORY_FILE] = OL_ENTRY_FILE,     [STORY_WHITEOUT] = OL_ENTRY_FILE,
        [STORY_OPAQUE] = OL_ENTRY_FILE};
    const char *slash = strrchr(line->path, '/');
    const size_t dir = slash != NULL ? (size_t)(slash + 1 - line->path) : 0;

    *ret = (struct ol_entry){.path = path,
                             .link = line->target,
                             .type = types[line->kind],
                             .mode = line->number,
                             .size = line->kind == STORY_FILE ? line->number : 0};
    if (line->kind == STORY_WHITEOUT)
        (void)snprintf(path, STORY_PATH_MAX + 16, "%.*s.wh.%s", (int)dir, line->path,
                       line->path + dir);
    else
        (void)snprintf(path, STORY_PATH_MAX + 16, "%s%s", line->path,
                       line->kind == STORY_OPAQUE ? "/.wh..wh..opq" : "");
}

/* Most entries that would be refused are not told: a layer with one is refused as a whole. */
static bool takes(struct maker *m, struct ol_model **model, const struct story_line *line)
{
    char path[STORY_PATH_MAX + 16];
    struct ol_model *tried = NULL;
    struct ol_entry entry;

    entry_of(line, path, &entry);
    assert_int_equal(ol_model_copy(*model, &tried, NULL), 0);
    if (ol_model_add(tried, &entry, NULL) < 0) {
        ol_model_free(tried);
        return pick(m, 60) == 0;
    }
    ol_model_free(*model);
    *model = tried;
    return true;
}

static void some_entry(struct maker *m, struct ol_model **model)
{
    static const enum story_kind kinds[] = {
        STORY_DIR,      STORY_DIR,  STORY_DIR,    STORY_FILE,   STORY_FILE,
        STORY_FILE,     STORY_FILE, STORY_LINK,   STORY_LINK,   STORY_WHITEOUT,
        STORY_WHITEOUT, STORY_FIFO, STORY_OPAQUE, STORY_SYMLINK};
    struct story_line line = {.kind = kinds[pick(m, OL_ARRAY_LEN(kinds))]};

    some_path(m, line.path);
    if (line.kind == STORY_SYMLINK || line.kind == STORY_LINK)
        some_path(m, line.target);
    if (line.kind == STORY_DIR)
        line.number = pick(m, 2) ? 0755 : 0700;
    if (line.kind == STORY_LINK)
        line.number = pick(m, 2) ? 0644 : 0600;
    if (line.kind == STORY_FILE)
        line.number = pick(m, 50);
    if (takes(m, model, &line))
        story_add(m->story, &line);
}

static unsigned some_image(struct maker *m)
{
    /* mostly the newest: long chains */
    return m->images == 0 ? STORY_NONE : pick(m, 3) > 0 ? m->images - 1 : pick(m, m->images);
}

static void some_layer(struct maker *m)
{
    const unsigned parent = pick(m, 8) ? some_image(m) : STORY_NONE;
    const struct story_line line = {.kind = STORY_LAYER, .name = m->images, .other = parent};
    struct ol_model *model = NULL;

    if (parent != STORY_NONE)
        assert_int_equal(ol_model_copy(m->models[parent], &model, NULL), 0);
    else
        assert_int_equal(ol_model_new(&model, NULL), 0);
    assert_int_equal(ol_model_begin_layer(model, NULL), 0);
    story_add(m->story, &line);
    for (unsigned i = 1 + pick(m, 16); i > 0; i--)
        some_entry(m, &model);
    m->models[m->images++] = model;
}

/* What a layer on the container's image changes. */
static void some_replay(struct maker *m)
{
    const struct story_line line = {.kind = STORY_REPLAY, .name = pick(m, m->containers)};
    struct ol_model *model = NULL;

    assert_int_equal(ol_model_copy(m->models[m->image_of[line.name]], &model, NULL), 0);
    assert_int_equal(ol_model_begin_layer(model, NULL), 0);
    story_add(m->story, &line);
    for (unsigned i = 1 + pick(m, 10); i > 0; i--)
        some_entry(m, &model);
    ol_model_free(model);
}

static void some_change(struct maker *m)
{
    struct story_line line = {
        .kind = STORY_CHANGE, .name = pick(m, m->containers), .number = 1 + pick(m, 1000000)};

    line.mix = (struct ol_change_mix){.add = pick(m, 3),
                                      .modify = pick(m, 3) / 2,
                                      .remove = pick(m, 3) / 2,
                                      .rename = pick(m, 4) / 3,
                                      .chmod = pick(m, 4) / 3,
                                      .mkdir = pick(m, 4) / 3,
                                      .symlink = pick(m, 4) / 3,
                                      .link = pick(m, 4) / 3,
                                      .replace = pick(m, 4) / 3};
    story_add(m->story, &line);
}

static void some_step(struct maker *m)
{
    struct story_line line = {.name = m->containers};
    unsigned what = pick(m, 16);

    if (m->images == 0 || (what < 5 && m->images < STORY_NAMES_MAX / 2)) {
        some_layer(m);
        return;
    }
    if (m->containers == 0 || (what < 8 && m->containers < STORY_NAMES_MAX / 2)) {
        line.kind = STORY_CONTAINER;
        line.other = some_image(m);
        m->image_of[m->containers++] = line.other;
    } else if (what < 11) {
        if (m->replays && pick(m, 5) > 0)
            some_replay(m);
        else
            some_change(m);
        return;
    } else if (what < 13) {
        line.kind = STORY_COMMIT;
        line.name = pick(m, m->containers);
        line.other = m->images;
        assert_int_equal(
            ol_model_copy(m->models[m->image_of[line.name]], &m->models[m->images++], NULL), 0);
    } else {
        line.kind = what < 15 ? STORY_DROP : STORY_REMOVE;
        line.name = pick(m, what < 15 ? m->containers : m->images);
    }
    story_add(m->story, &line);
}

void story_make(uint64_t seed, bool replays, struct story *ret)
{
    struct maker m = {.state = seed * 0x9e3779b97f4a7c15u + 1, .replays = replays, .story = ret};

    *ret = (struct story){NULL, 0, 0};
    for (unsigned i = 6 + pick(&m, 14); i > 0; i--)
        some_step(&m);
    for (unsigned i = 0; i < m.images; i++)
        ol_model_free(m.models[i]);
}
