/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An explanation as text: one column per engine where the terminal is wide enough, one below the
 * other where it is not. A moment is printed section by section, so that the same thing stands
 * beside the same thing.
 */
#include "bench/teach/explain_internal.h"

#include "bench/report/human.h"
#include "common/cleanup.h"

#include <inttypes.h>
#include <string.h>

enum {
    COLUMN_MIN = 50, /* narrower ones are printed one below the other */
    GAP = 2,
    LABEL = 9, /* columns of "mounted  " */
};

struct printer {
    const struct ol_explanation *ex;
    const struct ol_explain_style *style;
    FILE *out;
    unsigned index; /* of the moment */
};

/* What a section is made from. */
struct part {
    const struct printer *p;
    const struct ol_explain_column *column;
    const struct ol_moment *moment;
    const struct ol_moment *before; /* NULL for the first */
    struct ol_page *page;
};

/* ---- the tree ---- */

static char change_mark(enum ol_tree_change change)
{
    static const char marks[] = {
        [OL_TREE_SAME] = ' ',  [OL_TREE_NEW] = '+',     [OL_TREE_LINKED] = '=',
        [OL_TREE_MOVED] = '>', [OL_TREE_CHANGED] = '~', [OL_TREE_GONE] = '-',
    };

    return marks[change];
}

static char nature_mark(const struct ol_tree_row *row)
{
    const struct ol_capture_entry *entry = ol_tree_row_entry(row);

    if (entry->whiteout)
        return 'w';
    if (entry->opaque != NULL)
        return 'o';
    return row->copy_of != NULL ? 'c' : ' ';
}

static bool has_other_links(const struct ol_tree_row *row)
{
    return row->was != NULL && row->now != NULL && !S_ISDIR(row->now->mode) &&
           row->was->links != row->now->links;
}

static enum ol_ink ink_of(const struct ol_tree_row *row)
{
    if (row->change == OL_TREE_GONE)
        return OL_INK_DIM;
    switch (nature_mark(row)) {
    case 'w':
        return OL_INK_WHITEOUT;
    case 'o':
        return OL_INK_OPAQUE;
    case 'c':
        return OL_INK_COPIED;
    default:
        break;
    }
    if (row->change == OL_TREE_LINKED || row->shared)
        return OL_INK_SHARED;
    return row->change == OL_TREE_SAME ? OL_INK_PLAIN : OL_INK_NEW;
}

static int ino_width(const struct ol_tree_rows *rows)
{
    uint64_t most = 1000000; /* room for seven digits, so that columns seldom move */

    for (size_t i = 0; i < rows->count; i++) {
        uint64_t ino = ol_tree_row_entry(&rows->rows[i])->ino;

        most = ino > most ? ino : most;
    }
    return snprintf(NULL, 0, "%" PRIu64, most);
}

static void put_numbers(struct ol_page *page, const struct ol_tree_row *row, int width)
{
    const struct ol_capture_entry *entry = ol_tree_row_entry(row);
    char links[24] = "-";
    char size[24] = "-";

    if (has_other_links(row))
        (void)snprintf(links, sizeof links, "%" PRIu64 ">%" PRIu64, row->was->links,
                       row->now->links);
    else if (entry->links > 0)
        (void)snprintf(links, sizeof links, "%" PRIu64, entry->links);
    if (!S_ISDIR(entry->mode))
        (void)snprintf(size, sizeof size, "%" PRIu64, entry->size_bytes);
    ol_page_put(page, ink_of(row), "%c%c %*" PRIu64 " %3s %c %5s ", change_mark(row->change),
                nature_mark(row), width, entry->ino, links, ol_capture_letter(entry), size);
}

static void put_name(const struct part *part, const struct ol_tree_row *row)
{
    const struct ol_capture_entry *entry = ol_tree_row_entry(row);
    const char *nickname = entry->depth == 1 ? ol_scene_nickname(part->column->scene, entry->name)
                                             : NULL;
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    int r = ol_explain_shorten(part->p->ex, entry->name, &text);

    if (r == 0 && S_ISDIR(entry->mode))
        r = ol_buf_putc(&text, '/');
    if (r == 0 && nickname != NULL)
        r = ol_buf_printf(&text, " (%.*s)",
                          (int)(strlen(nickname) - ol_explain_init_suffix(nickname)), nickname);
    if (r == 0 && entry->target != NULL) {
        r = ol_buf_puts(&text, " -> ");
        if (r == 0)
            r = ol_explain_shorten(part->p->ex, entry->target, &text);
    }
    if (r < 0)
        part->page->r = r;
    ol_page_put(part->page, entry->depth == 1 ? OL_INK_BOLD : ink_of(row), "%*s%s",
                2 * ((int)entry->depth - 1), "", ol_buf_str(&text));
}

static void put_remark(const struct part *part, const struct ol_tree_row *row)
{
    const struct ol_capture_entry *entry = ol_tree_row_entry(row);

    if (row->copy_of != NULL)
        ol_page_put(part->page, ink_of(row), "  copy of %" PRIu64, row->copy_of->ino);
    else if (entry->whiteout)
        ol_page_put(part->page, ink_of(row), "  char 0,0");
    else if (entry->opaque != NULL)
        ol_page_put(part->page, ink_of(row), "  opaque");
    else if (entry->mounted)
        ol_page_put(part->page, OL_INK_BOLD, "  mounted");
}

/* The row after everything below row i. */
static size_t after(const struct ol_tree_rows *rows, size_t i)
{
    unsigned depth = ol_tree_row_entry(&rows->rows[i])->depth;

    while (++i < rows->count && ol_tree_row_entry(&rows->rows[i])->depth > depth)
        continue;
    return i;
}

static bool is_init_layer(const struct part *part, const struct ol_capture_entry *entry)
{
    const char *nickname = entry->depth == 1 ? ol_scene_nickname(part->column->scene, entry->name)
                                             : NULL;

    return nickname != NULL && ol_explain_init_suffix(nickname) > 0;
}

/* Whose insides are not shown: what went, what is as before, and, before it all, init layers. */
static const char *folded(const struct part *part, const struct ol_tree_row *row)
{
    const struct ol_capture_entry *entry = ol_tree_row_entry(row);

    if (!S_ISDIR(entry->mode))
        return NULL;
    if (row->change == OL_TREE_GONE)
        return "gone";
    if (part->before == NULL)
        return is_init_layer(part, entry) ? "inside" : NULL;
    return row->touched ? NULL : "same";
}

/* Names in a directory that stay as they are, in one line. */
static size_t skip_same(const struct part *part, size_t i, int width)
{
    const struct ol_tree_rows *rows = &part->moment->rows;
    unsigned depth = ol_tree_row_entry(&rows->rows[i])->depth;
    size_t end = i;

    while (end < rows->count && ol_tree_row_entry(&rows->rows[end])->depth >= depth &&
           !rows->rows[end].touched)
        end++;
    ol_page_line(part->page);
    ol_page_put(part->page, OL_INK_DIM, "%*s%zu same", 3 + width + 13 + 2 * ((int)depth - 1), "",
                end - i);
    return end;
}

static void make_tree(const struct part *part)
{
    const struct ol_tree_rows *rows = &part->moment->rows;
    const int width = ino_width(rows);

    ol_page_line(part->page);
    ol_page_put(part->page, OL_INK_DIM, "   %*s lnk k  size name", width, "inode");
    for (size_t i = 0; i < rows->count;) {
        const struct ol_tree_row *row = &rows->rows[i];
        const struct ol_capture_entry *entry = ol_tree_row_entry(row);
        const char *why = folded(part, row);

        if (part->before != NULL && !row->touched && entry->depth > 1) {
            i = skip_same(part, i, width);
            continue;
        }
        ol_page_line(part->page);
        put_numbers(part->page, row, width);
        put_name(part, row);
        put_remark(part, row);
        if (why != NULL && after(rows, i) > i + 1)
            ol_page_put(part->page, OL_INK_DIM, " %zu %s", after(rows, i) - i - 1, why);
        else if (why != NULL)
            ol_page_put(part->page, OL_INK_DIM, " %s", why);
        i = why != NULL ? after(rows, i) : i + 1;
    }
}

/* ---- calls ---- */

static void make_call(const struct part *part, const struct ol_scene_call *call, bool first)
{
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    int r = ol_explain_call_words(part->column->scene, call, part->p->ex->options.view, &text);

    if (r < 0)
        part->page->r = r;
    ol_page_wrap(part->page, call->result < 0 ? OL_INK_WARN : OL_INK_PLAIN, first ? "calls" : "",
                 LABEL, " ", ol_buf_str(&text));
}

static void make_calls(const struct part *part)
{
    const struct ol_moment *moment = part->moment;

    if (part->before == NULL)
        return;
    for (size_t i = 0; i < moment->n_calls; i++)
        make_call(part, &moment->calls[i], i == 0);
    if (moment->n_calls == 0)
        ol_page_wrap(part->page, OL_INK_PLAIN, "calls", LABEL, " ",
                     "none: this goes past the driver");
}

/* ---- mounts ---- */

static bool same_mounts(const struct ol_moment *a, const struct ol_moment *b)
{
    if (a->n_mounts != b->n_mounts)
        return false;
    for (size_t i = 0; i < a->n_mounts; i++) {
        if (strcmp(a->mounts[i].target, b->mounts[i].target) != 0 ||
            strcmp(a->mounts[i].options, b->mounts[i].options) != 0)
            return false;
    }
    return true;
}

static bool does_mount(const struct part *part)
{
    const struct ol_act *act = part->before == NULL
                                   ? part->p->ex->options.step->before
                                   : part->p->ex->options.step->phases[part->p->index - 1].acts;

    for (; act->kind != OL_ACT_END; act++) {
        if (act->kind == OL_ACT_MOUNT || act->kind == OL_ACT_UNMOUNT)
            return true;
    }
    return false;
}

static void make_mount(const struct part *part, const struct ol_scene_mount *mount)
{
    ol_auto_buf struct ol_buf target = OL_BUF_INIT;
    ol_auto_buf struct ol_buf options = OL_BUF_INIT;
    int r = ol_explain_shorten(part->p->ex, mount->target, &target);

    if (r == 0)
        r = ol_buf_printf(&options, "type %s, ", mount->type);
    if (r == 0)
        r = ol_explain_shorten(part->p->ex, mount->options, &options);
    if (r < 0)
        part->page->r = r;
    ol_page_wrap(part->page, OL_INK_PLAIN, "mounted", LABEL, "/", ol_buf_str(&target));
    ol_page_wrap(part->page, OL_INK_PLAIN, "", LABEL, ",: ", ol_buf_str(&options));
}

static void make_mounts(const struct part *part)
{
    const struct ol_moment *moment = part->moment;

    if (moment->n_mounts == 0 && does_mount(part))
        ol_page_wrap(part->page, OL_INK_PLAIN, "mounted", LABEL, " ",
                     part->p->ex->options.view == OL_VIEW_DIRECT
                         ? "nothing: the direct view reads and writes the directories itself"
                         : "nothing");
    if (part->before != NULL && same_mounts(part->before, moment))
        return;
    for (size_t i = 0; i < moment->n_mounts; i++)
        make_mount(part, &moment->mounts[i]);
}

/* ---- tar and dialects ---- */

static void make_tar(const struct part *part)
{
    const struct ol_moment *moment = part->moment;

    for (size_t i = 0; i < moment->n_tar; i++) {
        const struct ol_scene_tar *entry = &moment->tar[i];

        ol_page_line(part->page);
        ol_page_put(part->page, OL_INK_BOLD, "%-*s", LABEL, i == 0 ? "tar" : "");
        ol_page_put(part->page,
                    ol_explain_tar_kind(entry) != OL_WH_NONE ? OL_INK_WHITEOUT : OL_INK_PLAIN,
                    "%c %5" PRIu64 " %s%s", entry->type, entry->size_bytes, entry->path,
                    entry->type == 'd' ? "/" : "");
    }
}

static void put_dialect(const struct ol_dialect *dialect, void *data)
{
    const struct part *part = data;
    struct ol_page *page = part->page;

    if (page->count == 0) {
        ol_page_line(page);
        ol_page_put(page, OL_INK_BOLD, "one thing in three dialects");
    }
    ol_page_line(page);
    switch (dialect->kind) {
    case OL_DIALECT_TAR:
        ol_page_put(page, OL_INK_WHITEOUT, "  tar        %s, an empty file", dialect->path);
        break;
    case OL_DIALECT_DEVICE:
        ol_page_put(page, OL_INK_WHITEOUT,
                    "  device     %s, char 0,0, inode %" PRIu64 ", %" PRIu64 " links",
                    dialect->path, dialect->entry->ino, dialect->entry->links);
        break;
    case OL_DIALECT_ATTRIBUTE:
        ol_page_put(page, OL_INK_OPAQUE, "  attribute  %s/, %s=\"y\"", dialect->path,
                    dialect->entry->opaque);
        break;
    }
}

static void make_dialects(const struct part *part)
{
    if (part->moment->n_tar == 0)
        return;
    ol_explain_dialects(part->column->scene, part->moment, put_dialect, (void *)(uintptr_t)part);
}

/* ---- totals and why ---- */

static void make_totals(const struct part *part)
{
    const struct ol_moment *moment = part->moment;
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    int64_t law = ol_inode_kinds_total(&moment->law);
    int r = ol_human_count(&text, moment->usage.inodes);

    if (r == 0 && part->before != NULL)
        r = ol_buf_printf(&text, " inodes (%+" PRId64, moment->added_inodes);
    else if (r == 0)
        r = ol_buf_puts(&text, " inodes");
    if (r == 0 && part->before != NULL && moment->has_law)
        r = ol_buf_printf(&text, ", by law %+" PRId64, law);
    if (r == 0)
        r = ol_buf_puts(&text, part->before != NULL ? "), " : ", ");
    if (r == 0)
        r = ol_human_bytes(&text, moment->usage.bytes);
    if (r == 0 && part->before != NULL)
        r = ol_buf_puts(&text, moment->added_bytes < 0 ? " (-" : " (+");
    if (r == 0 && part->before != NULL)
        r = ol_human_bytes(&text,
                           moment->added_bytes < 0 ? -moment->added_bytes : moment->added_bytes);
    if (r == 0 && part->before != NULL)
        r = ol_buf_putc(&text, ')');
    if (r < 0)
        part->page->r = r;
    ol_page_wrap(part->page, OL_INK_BOLD, "total", LABEL, " ", ol_buf_str(&text));
    if (moment->has_law && law != moment->added_inodes)
        ol_page_wrap(part->page, OL_INK_WARN, "", LABEL, " ",
                     "MEASURED IS NOT WHAT THE LAW SAYS: please report this");
}

static void make_why(const struct part *part)
{
    const struct ol_step_note *note;
    ol_auto_buf struct ol_buf source = OL_BUF_INIT;
    enum ol_law law = OL_LAW_NULL;
    bool has_law = ol_scene_law(part->column->scene, &law);

    if (part->before == NULL)
        return;
    note = ol_step_note(&part->p->ex->options.step->phases[part->p->index - 1], has_law, law);
    if (note == NULL)
        return;
    ol_page_wrap(part->page, OL_INK_PLAIN, "why", LABEL, " ", note->why);
    if (strchr(ol_scene_name(part->column->scene), ':') != NULL)
        ol_page_wrap(part->page, OL_INK_DIM, "", LABEL, " ",
                     "(said of the driver without its options)");
    if (part->p->ex->options.view == OL_VIEW_DIRECT && does_mount(part))
        ol_page_wrap(part->page, OL_INK_DIM, "", LABEL, " ",
                     "(said of the views that mount; nothing is mounted here)");
    if (ol_buf_printf(&source, "%s: %s()", note->file, note->function) < 0)
        part->page->r = -ENOMEM;
    ol_page_wrap(part->page, OL_INK_DIM, "source", LABEL, " /", ol_buf_str(&source));
}

/* ---- a moment ---- */

static void make_title(const struct part *part)
{
    ol_page_line(part->page);
    ol_page_put(part->page, OL_INK_BOLD, "--- %s ", ol_scene_name(part->column->scene));
    for (size_t i = strlen(ol_scene_name(part->column->scene)) + 5; i < part->page->width; i++)
        ol_page_put(part->page, OL_INK_BOLD, "-");
}

typedef void section_fn(const struct part *part);

static section_fn *const sections[] = {
    make_title, make_tree, make_calls, make_mounts, make_tar, make_dialects, make_totals, make_why,
};

static void make(const struct printer *p, size_t column, section_fn *section, size_t width,
                 struct ol_page *page)
{
    const struct ol_explain_column *of = &p->ex->columns[column];
    const struct part part = {
        .p = p,
        .column = of,
        .moment = &of->moments[p->index],
        .before = p->index > 0 ? &of->moments[p->index - 1] : NULL,
        .page = page,
    };

    ol_page_init(page, width, p->style->color);
    section(&part);
}

static int print_section(const struct printer *p, size_t first, size_t count, section_fn *section,
                         size_t width)
{
    ol_auto_free struct ol_page *pages = calloc(count, sizeof *pages);
    int r;

    if (pages == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        make(p, first + i, section, width, &pages[i]);
    r = ol_pages_print(pages, count, GAP, p->out);
    for (size_t i = 0; i < count; i++)
        ol_page_fini(&pages[i]);
    return r;
}

static int print_columns(const struct printer *p)
{
    const size_t n = p->ex->options.n_engines;
    const size_t beside = (p->style->width - (n - 1) * GAP) / n;
    const size_t at_once = beside >= COLUMN_MIN ? n : 1;
    int r = 0;

    for (size_t i = 0; i < n && r == 0; i += at_once) {
        for (size_t s = 0; s < OL_ARRAY_LEN(sections) && r == 0; s++)
            r = print_section(p, i, at_once, sections[s], at_once > 1 ? beside : p->style->width);
        fputc('\n', p->out);
    }
    return r;
}

static int put_acts(const struct ol_act *acts, struct ol_buf *buf)
{
    int r = 0;

    for (const struct ol_act *act = acts; act->kind != OL_ACT_END && r == 0; act++) {
        r = act > acts ? ol_buf_puts(buf, "; ") : 0;
        if (r == 0)
            r = ol_act_words(act, buf);
    }
    return r;
}

static int print_heading(const struct printer *p)
{
    const struct ol_step *step = p->ex->options.step;
    const struct ol_step_phase *phase = p->index > 0 ? &step->phases[p->index - 1] : NULL;
    ol_auto_buf struct ol_buf acts = OL_BUF_INIT;
    char number[32];
    struct ol_page page;
    int r = put_acts(phase != NULL ? phase->acts : step->before, &acts);

    if (r < 0)
        return r;
    ol_page_init(&page, p->style->width, p->style->color);
    (void)snprintf(number, sizeof number, "[%u/%u]", p->index, p->ex->n_phases);
    if (phase != NULL)
        ol_page_wrap(&page, OL_INK_BOLD, number, strlen(number) + 1, " ", phase->caption);
    else
        ol_page_wrap(&page, OL_INK_BOLD, "", 0, " ", "Before");
    if (acts.len > 0)
        ol_page_wrap(&page, OL_INK_PLAIN, phase != NULL ? "  done:" : "  so far:", 11, " ",
                     ol_buf_str(&acts));
    r = ol_pages_print(&page, 1, 0, p->out);
    ol_page_fini(&page);
    return r;
}

int ol_explain_print_moment(const struct ol_explanation *ex, unsigned index,
                            const struct ol_explain_style *style, FILE *out)
{
    const struct printer p = {.ex = ex, .style = style, .out = out, .index = index};
    int r = print_heading(&p);

    return r < 0 ? r : print_columns(&p);
}

/* ---- the head ---- */

static void put_legend(struct ol_page *page)
{
    ol_page_line(page);
    ol_page_put(page, OL_INK_NEW, "+ new inode");
    ol_page_put(page, OL_INK_SHARED, "  = one more name of an inode (hard link)");
    ol_page_put(page, OL_INK_NEW, "  > moved  ~ changed");
    ol_page_line(page);
    ol_page_put(page, OL_INK_COPIED, "c copied content");
    ol_page_put(page, OL_INK_WHITEOUT, "  w whiteout");
    ol_page_put(page, OL_INK_OPAQUE, "  o opaque");
    ol_page_put(page, OL_INK_DIM, "  - gone");
    ol_page_put(page, OL_INK_PLAIN, "  1>2 links before and after");
}

int ol_explain_print_head(const struct ol_explanation *ex, const struct ol_explain_style *style,
                          FILE *out)
{
    const size_t width = style->width < 100 ? style->width : 100;
    struct ol_page page;
    int r;

    ol_page_init(&page, width, style->color);
    ol_page_wrap(&page, OL_INK_BOLD, ex->options.step->name, strlen(ex->options.step->name) + 2,
                 " ", ex->options.step->summary);
    ol_page_wrap(&page, OL_INK_PLAIN, "view", LABEL, " ", ol_explain_view_words(ex->options.view));
    ol_page_wrap(&page, OL_INK_PLAIN, "$S", LABEL, "/", ex->options.dir);
    put_legend(&page);
    ol_page_line(&page);
    r = ol_pages_print(&page, 1, 0, out);
    ol_page_fini(&page);
    return r;
}
