/* SPDX-License-Identifier: Apache-2.0 */
/* The progress line; see progress.h. */
#include "cli/progress.h"

#include "common/buf.h"
#include "common/cleanup.h"

#include <sys/ioctl.h>

enum { REDRAW_NS = 100000000 };

void ol_progress_init(struct ol_progress *progress, const struct ol_cli *cli)
{
    *progress = (struct ol_progress){
        .on = !cli->quiet && cli->debug == 0 && isatty(STDERR_FILENO),
        .start_ns = ol_clock_ns(),
    };
}

static unsigned terminal_width(void)
{
    struct winsize size = {0};

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* " 42 %  0:12 left  round 3 of 5  overlay: commit" */
static int form(const struct ol_progress *progress, const struct ol_bench_progress *now,
                uint64_t now_ns, struct ol_buf *line)
{
    int r = 0;

    if (now->total == 0)
        return ol_buf_printf(line, "%s: %s", now->engine, now->step);
    r = ol_buf_printf(line, "%3zu %%", 100 * now->done / now->total);
    if (r == 0 && now->done >= 10) {
        uint64_t left = (now_ns - progress->start_ns) / now->done * (now->total - now->done);
        uint64_t seconds = left / 1000000000u;

        r = ol_buf_printf(line, "  %u:%02u left", (unsigned)(seconds / 60),
                          (unsigned)(seconds % 60));
    }
    if (r == 0)
        r = now->round == 0 ? ol_buf_puts(line, "  warm-up")
                            : ol_buf_printf(line, "  round %u of %u", now->round, now->rounds);
    return r < 0 ? r : ol_buf_printf(line, "  %s: %s", now->engine, now->step);
}

void ol_progress_show(const struct ol_bench_progress *now, void *data)
{
    struct ol_progress *progress = data;
    ol_auto_buf struct ol_buf line = OL_BUF_INIT;
    uint64_t now_ns = ol_clock_ns();

    if (!progress->on || now_ns < progress->next_ns)
        return;
    if (form(progress, now, now_ns, &line) < 0)
        return; /* no memory for a hint */
    fprintf(stderr, "\r%.*s\033[K", (int)terminal_width() - 1, ol_buf_str(&line));
    progress->shown = true;
    progress->next_ns = now_ns + REDRAW_NS;
}

void ol_progress_clear(struct ol_progress *progress)
{
    if (progress->shown)
        fputs("\r\033[K", stderr);
    progress->shown = false;
}
