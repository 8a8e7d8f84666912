/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directories of each engine after the last phase, drawn: a column per engine, a box per layer,
 * a line of text per name, and a curve between the names of one inode. Nothing outside the file is
 * referred to.
 */
#include "bench/teach/explain_internal.h"

#include "bench/report/human.h"
#include "common/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { /* pixels */
       MARGIN = 16,
       HEADING = 640, /* the legend is as wide */
       BOX = 316,
       CURVES = 56,     /* the room beside a box */
       CURVE_NEAR = 10, /* how far out the control points are: of the shortest curve */
       CURVE_FAR = 64,  /* and of the longest, which itself goes three quarters of that */
       NUMBER = 62,     /* right edge of an inode's number, */
       NUMBER_DIGITS = 9,
       DIGIT = 6, /* and what each digit more takes */
       LINE = 15,
       BOX_HEAD = 22,
       BOX_GAP = 10,
       TOP = 112, /* above the first box */
       INDENT = 12,
};

/* One column while it is laid out. */
struct drawing {
    const struct ol_explanation *ex;
    const struct ol_explain_column *column;
    const struct ol_moment *moment;
    FILE *out;
    int x;     /* of the boxes */
    int wider; /* than most: for numbers of many digits */
    int *y;    /* owned; of each row's text, 0: it is not drawn */
    int next;  /* where the next box begins */
};

static void put_escaped(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '&' || c == '<' || c == '>' || c == '"')
            fprintf(out, "&#%u;", c);
        else
            fputc(c < 0x20 || c >= 0x7f ? '?' : c, out);
    }
}

static const char *class_of(const struct ol_tree_row *row)
{
    const struct ol_capture_entry *entry = ol_tree_row_entry(row);

    if (row->change == OL_TREE_GONE)
        return "gone";
    if (entry->whiteout)
        return "whiteout";
    if (entry->opaque != NULL)
        return "opaque";
    if (row->copy_of != NULL)
        return "copied";
    if (row->change == OL_TREE_LINKED || row->shared)
        return "shared";
    return row->change == OL_TREE_SAME ? "same" : "new";
}

static int put_label(const struct drawing *d, const struct ol_tree_row *row)
{
    const struct ol_capture_entry *entry = ol_tree_row_entry(row);
    ol_auto_buf struct ol_buf text = OL_BUF_INIT;
    int r = ol_explain_shorten(d->ex, entry->name, &text);

    if (r == 0 && S_ISDIR(entry->mode))
        r = ol_buf_putc(&text, '/');
    if (r == 0 && entry->target != NULL) {
        r = ol_buf_puts(&text, " -> ");
        if (r == 0)
            r = ol_explain_shorten(d->ex, entry->target, &text);
    }
    if (r == 0 && entry->whiteout)
        r = ol_buf_puts(&text, "  char 0,0");
    if (r == 0 && entry->opaque != NULL)
        r = ol_buf_printf(&text, "  %s", entry->opaque);
    if (r == 0 && row->copy_of != NULL)
        r = ol_buf_printf(&text, "  copy of %" PRIu64, row->copy_of->ino);
    if (r == 0)
        put_escaped(d->out, ol_buf_str(&text));
    return r;
}

/* "12345 x2  name": the number, the links of what has several names, the name. */
static int draw_row(struct drawing *d, size_t index, int y)
{
    const struct ol_tree_row *row = &d->moment->rows.rows[index];
    const struct ol_capture_entry *entry = ol_tree_row_entry(row);
    int r;

    d->y[index] = y;
    fprintf(d->out, "<text class=\"ino %s\" x=\"%d\" y=\"%d\">%" PRIu64, class_of(row),
            d->x + NUMBER + d->wider, y, entry->ino);
    fprintf(d->out, "</text><text class=\"%s\" x=\"%d\" y=\"%d\">", class_of(row),
            d->x + NUMBER + d->wider + 10 + INDENT * ((int)entry->depth - 2), y);
    r = put_label(d, row);
    if (!S_ISDIR(entry->mode) && entry->links > 1)
        fprintf(d->out, "<tspan class=\"links\" dx=\"8\">x%" PRIu64 "</tspan>", entry->links);
    fputs("</text>\n", d->out);
    return r;
}

static size_t group_end(const struct ol_tree_rows *rows, size_t first)
{
    while (++first < rows->count && ol_tree_row_entry(&rows->rows[first])->depth > 1)
        continue;
    return first;
}

/* The box's frame and title. What an init layer holds is not drawn: it is always the same. */
static int draw_box(struct drawing *d, size_t first, size_t end)
{
    const struct ol_tree_row *row = &d->moment->rows.rows[first];
    const struct ol_capture_entry *entry = ol_tree_row_entry(row);
    const char *nickname = ol_scene_nickname(d->column->scene, entry->name);
    const size_t suffix = nickname != NULL ? ol_explain_init_suffix(nickname) : 0;
    const size_t shown = suffix > 0 || row->change == OL_TREE_GONE ? 0 : end - first - 1;
    const int text_x = d->x + NUMBER + d->wider;
    const int height = BOX_HEAD + (int)shown * LINE + (shown > 0 ? 8 : 4);
    ol_auto_buf struct ol_buf title = OL_BUF_INIT;
    int r = ol_explain_shorten(d->ex, entry->name, &title);

    if (r == 0 && nickname != NULL)
        r = ol_buf_printf(&title, "/  %.*s", (int)(strlen(nickname) - suffix), nickname);
    if (r == 0 && shown == 0)
        r = ol_buf_printf(&title, "  (%zu names)", end - first - 1);
    fprintf(d->out,
            "<rect class=\"box box-%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"5\"/>\n"
            "<text class=\"ino %s\" x=\"%d\" y=\"%d\">%" PRIu64 "</text>"
            "<text class=\"title %s\" x=\"%d\" y=\"%d\">",
            class_of(row), d->x, d->next, BOX + d->wider, height, class_of(row), text_x,
            d->next + 16, entry->ino, class_of(row), text_x + 10, d->next + 16);
    put_escaped(d->out, ol_buf_str(&title));
    fputs("</text>\n", d->out);
    for (size_t i = 0; i < shown && r == 0; i++)
        r = draw_row(d, first + 1 + i, d->next + BOX_HEAD + LINE * (int)(i + 1) - 2);
    d->next += height + BOX_GAP;
    return r;
}

static bool same_inode(const struct ol_tree_row *a, const struct ol_tree_row *b)
{
    return a->now != NULL && b->now != NULL && a->now->ino == b->now->ino &&
           a->now->dev == b->now->dev;
}

/* From a name to the next one of its inode. */
struct curve {
    int from, to; /* y */
};

static int by_length(const void *a, const void *b)
{
    const struct curve *x = a;
    const struct curve *y = b;
    const int longer = (x->to - x->from) - (y->to - y->from);

    return longer != 0 ? longer : x->from - y->from;
}

static size_t collect_curves(const struct drawing *d, struct curve *curves)
{
    const struct ol_tree_rows *rows = &d->moment->rows;
    size_t count = 0;

    for (size_t i = 0; i < rows->count; i++) {
        size_t j = i + 1;

        if (!rows->rows[i].shared || d->y[i] == 0)
            continue;
        while (j < rows->count && (d->y[j] == 0 || !same_inode(&rows->rows[i], &rows->rows[j])))
            j++;
        if (j < rows->count)
            curves[count++] = (struct curve){d->y[i] - 4, d->y[j] - 4};
    }
    return count;
}

/* The longer, the further out, and no two equally far: what lies on another could not be followed.
 */
static int draw_links(const struct drawing *d)
{
    const int x = d->x + BOX + d->wider;
    ol_auto_free struct curve *curves = calloc(d->moment->rows.count + 1, sizeof *curves);
    size_t count;

    if (curves == NULL)
        return -ENOMEM;
    count = collect_curves(d, curves);
    qsort(curves, count, sizeof *curves, by_length);
    for (size_t i = 0; i < count; i++) {
        const double out = CURVE_NEAR + (CURVE_FAR - CURVE_NEAR) * (double)(i + 1) / (double)count;

        fprintf(d->out, "<path class=\"link\" d=\"M%d %d C%.1f %d %.1f %d %d %d\"/>\n", x,
                curves[i].from, x + out, curves[i].from, x + out, curves[i].to, x, curves[i].to);
    }
    return 0;
}

static int draw_head(const struct drawing *d)
{
    ol_auto_buf struct ol_buf totals = OL_BUF_INIT;
    int r = ol_buf_printf(&totals, "%" PRId64 " inodes (%+" PRId64 "), ", d->moment->usage.inodes,
                          d->moment->added_inodes);

    if (r == 0)
        r = ol_human_bytes(&totals, d->moment->usage.bytes);
    fprintf(d->out, "<text class=\"engine\" x=\"%d\" y=\"%d\">", d->x, TOP - 26);
    put_escaped(d->out, ol_scene_name(d->column->scene));
    fprintf(d->out, "</text><text class=\"small\" x=\"%d\" y=\"%d\">", d->x, TOP - 10);
    put_escaped(d->out, ol_buf_str(&totals));
    fputs("</text>\n", d->out);
    return r;
}

/* What the longest inode number takes beyond the room there is for most. */
static int wider_by(const struct ol_explanation *ex)
{
    uint64_t most = 0;
    int digits;

    for (size_t c = 0; c < ex->options.n_engines; c++) {
        const struct ol_tree_rows *rows = &ex->columns[c].moments[ex->n_done - 1].rows;

        for (size_t i = 0; i < rows->count; i++) {
            uint64_t ino = ol_tree_row_entry(&rows->rows[i])->ino;

            most = ino > most ? ino : most;
        }
    }
    digits = snprintf(NULL, 0, "%" PRIu64, most);
    return digits > NUMBER_DIGITS ? (digits - NUMBER_DIGITS) * DIGIT : 0;
}

/* @return the height it took, or -ENOMEM */
static int draw_column(const struct ol_explanation *ex, size_t index, int wider, FILE *out)
{
    struct drawing d = {
        .ex = ex,
        .column = &ex->columns[index],
        .moment = &ex->columns[index].moments[ex->n_done - 1],
        .out = out,
        .x = MARGIN + (int)index * (BOX + CURVES + wider),
        .wider = wider,
        .next = TOP,
    };
    const struct ol_tree_rows *rows = &d.moment->rows;
    ol_auto_free int *y = calloc(rows->count + 1, sizeof *y);
    int r = y == NULL ? -ENOMEM : draw_head(&d);

    d.y = y;
    for (size_t i = 0; i < rows->count && r == 0; i = group_end(rows, i))
        r = draw_box(&d, i, group_end(rows, i));
    if (r == 0)
        r = draw_links(&d);
    return r < 0 ? r : d.next;
}

static const char style[] =
    "text{font:11px monospace;fill:#333}"
    ".ino{text-anchor:end;fill:#888;font-size:10px}.links,.small{fill:#777}"
    ".engine{font:bold 16px sans-serif}.head{font:bold 18px sans-serif}.why{font:12px sans-serif}"
    ".title{font-weight:bold}.box{fill:#fafafa;stroke:#bbb}.box-new{stroke:#1a7f37}"
    ".box-gone{stroke-dasharray:4}"
    ".new{fill:#1a7f37}.shared{fill:#0e7490}.copied{fill:#9a6700}.whiteout{fill:#cf222e}"
    ".opaque{fill:#8250df}.gone{fill:#bbb;text-decoration:line-through}"
    ".link{fill:none;stroke:#0e7490;stroke-opacity:.6}";

static void draw_legend(FILE *out)
{
    static const char *const words[][2] = {
        {"new", "new inode"},         {"shared", "one inode, several names"},
        {"copied", "copied content"}, {"whiteout", "whiteout"},
        {"opaque", "opaque"},         {"gone", "gone"},
    };

    fprintf(out, "<text x=\"%d\" y=\"%d\">", MARGIN, 56);
    for (size_t i = 0; i < OL_ARRAY_LEN(words); i++)
        fprintf(out, "<tspan class=\"%s\">%s</tspan>%s", words[i][0], words[i][1],
                i + 1 < OL_ARRAY_LEN(words) ? "&#160;&#160; " : "");
    fputs("</text>\n", out);
}

static void draw_title(const struct ol_explanation *ex, FILE *out)
{
    const struct ol_step *step = ex->options.step;

    fprintf(out, "<text class=\"head\" x=\"%d\" y=\"24\">", MARGIN);
    put_escaped(out, step->name);
    fprintf(out, "</text><text class=\"why\" x=\"%d\" y=\"40\">", MARGIN);
    if (ex->n_done > 1)
        put_escaped(out, step->phases[ex->n_done - 2].caption);
    fprintf(out, " (view %s)</text>\n", ol_view_name(ex->options.view));
}

int ol_explain_print_svg(const struct ol_explanation *ex, FILE *out)
{
    const int wider = wider_by(ex);
    const int columns = 2 * MARGIN + (int)ex->options.n_engines * (BOX + CURVES + wider);
    const int width = columns < HEADING ? HEADING : columns;
    ol_auto_free char *body = NULL;
    size_t len = 0;
    FILE *in_memory = open_memstream(&body, &len);
    int height = TOP;
    int r = in_memory == NULL ? -ENOMEM : 0;

    for (size_t i = 0; i < ex->options.n_engines && r >= 0; i++) {
        r = draw_column(ex, i, wider, in_memory);
        height = r > height ? r : height;
    }
    if (in_memory != NULL && fclose(in_memory) != 0)
        r = -ENOMEM;
    if (r < 0)
        return r;
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
            "viewBox=\"0 0 %d %d\">\n<style>%s</style>\n"
            "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n",
            width, height, width, height, style, width, height);
    draw_title(ex, out);
    draw_legend(out);
    fwrite(body, 1, len, out);
    fputs("</svg>\n", out);
    return 0;
}
