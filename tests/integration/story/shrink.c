/* SPDX-License-Identifier: Apache-2.0 */
/* Making stories small; see story.h. */
#include "integration/story/story.h"

#include "common/cleanup.h"

#include <string.h>

/* All lines but those from..from + count. */
static void without(const struct story *story, size_t from, size_t count, struct story *ret)
{
    *ret = (struct story){NULL, 0, 0};
    for (size_t i = 0; i < story->count; i++) {
        if (i < from || i >= from + count)
            story_add(ret, &story->lines[i]);
    }
}

static bool try_without(struct story *story, size_t from, size_t count, story_fails_fn *fails,
                        void *data)
{
    struct story smaller;

    without(story, from, count, &smaller);
    if (!fails(&smaller, data)) {
        story_fini(&smaller);
        return false;
    }
    story_fini(story);
    *story = smaller;
    return true;
}

static bool drop_pieces(struct story *story, size_t piece, story_fails_fn *fails, void *data)
{
    bool any = false;

    for (size_t at = 0; at < story->count;) {
        if (try_without(story, at, piece, fails, data))
            any = true;
        else
            at += piece;
    }
    return any;
}

/* Pieces of the story, half of it first, then single lines until none can go. */
static void drop_lines(struct story *story, story_fails_fn *fails, void *data)
{
    for (size_t piece = story->count / 2; piece > 1; piece /= 2)
        (void)drop_pieces(story, piece, fails, data);
    while (drop_pieces(story, 1, fails, data))
        continue;
}

static bool try_number(struct story *story, unsigned *number, story_fails_fn *fails, void *data)
{
    unsigned was = *number;

    *number = was - 1;
    if (was > 0 && fails(story, data))
        return true;
    *number = was;
    return false;
}

static void lower_mix(struct story *story, struct ol_change_mix *mix, story_fails_fn *fails,
                      void *data)
{
    unsigned *const counts[] = {&mix->add,   &mix->modify,  &mix->remove, &mix->rename, &mix->chmod,
                                &mix->mkdir, &mix->symlink, &mix->link,   &mix->replace};

    for (size_t i = 0; i < OL_ARRAY_LEN(counts); i++) {
        while (*counts[i] > 0 && try_number(story, counts[i], fails, data))
            continue;
    }
}

void story_shrink(struct story *story, story_fails_fn *fails, void *data)
{
    drop_lines(story, fails, data);
    for (size_t i = 0; i < story->count; i++) {
        if (story->lines[i].kind == STORY_CHANGE)
            lower_mix(story, &story->lines[i].mix, fails, data);
    }
}
