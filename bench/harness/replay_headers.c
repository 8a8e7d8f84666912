/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What two tars of the same entries can still differ in: extended headers and which records they
 * hold, GNU's long names and magic, names of owners, file-type bits in the mode, padding. The raw
 * blocks are read; what is no header ends the reading, as the entries were parsed before.
 */
#include "bench/harness/replay_check.h"

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/io.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 512, RECORDS_MAX = 64 << 10, KEYS_MAX = 200 };

struct facts {
    uint64_t pax, global, gnu, named_owners, mode_bits;
    uint64_t tail_bytes; /* behind the last entry */
    struct ol_buf keys;  /* names of the PAX records met, " a b c" */
};

static uint64_t number(const unsigned char *field, size_t len)
{
    uint64_t value = 0;

    if ((field[0] & 0x80) != 0) { /* base 256 */
        for (size_t i = 1; i < len; i++)
            value = value << 8 | field[i];
        return value;
    }
    for (size_t i = 0; i < len; i++) {
        if (field[i] >= '0' && field[i] <= '7')
            value = value * 8 + (uint64_t)(field[i] - '0');
    }
    return value;
}

static bool is_header(const unsigned char *block)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < BLOCK; i++)
        sum += i >= 148 && i < 156 ? ' ' : block[i];
    return sum == number(block + 148, 8) && block[0] != '\0';
}

/* "27 mtime=…" one after the other; only which keys there are is told. */
static int note_records(struct facts *facts, char *text)
{
    ol_auto_free char *word = NULL;
    int r = 0;

    for (char *at = text; *at != '\0' && r == 0 && facts->keys.len < KEYS_MAX;) {
        char *key = strchr(at, ' ');
        char *end = NULL;
        size_t len = strtoul(at, NULL, 10);

        if (key == NULL || (end = strchr(key, '=')) == NULL || len == 0 || len > strlen(at))
            break;
        free(word);
        word = strndup(key, (size_t)(end - key)); /* with the blank before it */
        if (word == NULL)
            return -ENOMEM;
        if (strstr(ol_buf_str(&facts->keys), word) == NULL)
            r = ol_buf_puts(&facts->keys, word);
        at += len;
    }
    return r;
}

static int read_records(struct facts *facts, int fd, uint64_t at, uint64_t size)
{
    ol_auto_free char *text = calloc(1, RECORDS_MAX + 1);
    ssize_t n;

    if (text == NULL)
        return -ENOMEM;
    n = pread(fd, text, size < RECORDS_MAX ? (size_t)size : RECORDS_MAX, (off_t)at);
    return n < 0 ? -errno : note_records(facts, text);
}

static int note_header(struct facts *facts, const unsigned char *block, int fd, uint64_t at)
{
    facts->pax += block[156] == 'x';
    facts->global += block[156] == 'g';
    facts->gnu += block[156] == 'L' || block[156] == 'K' || block[263] == ' ';
    facts->named_owners += block[265] != '\0' || block[297] != '\0';
    if (block[156] != 'x' && block[156] != 'g' && block[156] != 'L' && block[156] != 'K')
        facts->mode_bits += number(block + 100, 8) > 07777;
    return block[156] == 'x' ? read_records(facts, fd, at + BLOCK, number(block + 124, 12)) : 0;
}

static bool has_content(const unsigned char *block)
{
    return block[156] < '1' || block[156] > '6'; /* links, devices, directories have none */
}

static int read_facts(const struct ol_input *input, struct facts *ret)
{
    uint64_t at = (uint64_t)input->offset;
    const uint64_t end = at + input->length;
    unsigned char block[BLOCK];

    while (at + BLOCK <= end) {
        uint64_t size;
        int r;

        if (pread(input->fd, block, BLOCK, (off_t)at) != BLOCK)
            return -EIO;
        if (!is_header(block))
            break;
        r = note_header(ret, block, input->fd, at);
        if (r < 0)
            return r;
        size = has_content(block) ? number(block + 124, 12) : 0;
        if (size > end - at)
            break;
        at += BLOCK + (size + BLOCK - 1) / BLOCK * BLOCK;
    }
    ret->tail_bytes = end > at ? end - at : 0;
    return 0;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

static int tell(struct ol_replay_verdict *verdict, enum ol_replay_reason_kind kind,
                uint64_t original, uint64_t committed, const char *keys)
{
    ol_auto_free char *example = NULL;

    if (original == committed)
        return 0;
    if (asprintf(&example, "%" PRIu64 " in the original%s%s%s, %" PRIu64 " in the commit", original,
                 *keys != '\0' ? " (" : "", *keys != '\0' ? keys + 1 : "", *keys != '\0' ? ")" : "",
                 committed) < 0) {
        example = NULL;
        return -ENOMEM;
    }
    return ol_replay_reason_add(verdict, kind, distance(original, committed), example);
}

static int compare(const struct facts *o, const struct facts *c, struct ol_replay_verdict *verdict)
{
    int r = tell(verdict, OL_REASON_PAX, o->pax + o->global, c->pax + c->global,
                 ol_buf_str(&o->keys));

    if (r == 0)
        r = tell(verdict, OL_REASON_GNU, o->gnu, c->gnu, "");
    if (r == 0)
        r = tell(verdict, OL_REASON_OWNER_NAMES, o->named_owners, c->named_owners, "");
    if (r == 0)
        r = tell(verdict, OL_REASON_MODE_BITS, o->mode_bits, c->mode_bits, "");
    if (r == 0)
        r = tell(verdict, OL_REASON_PADDING, o->tail_bytes, c->tail_bytes, "");
    return r;
}

int ol_replay_compare_headers(const struct ol_input *original, const struct ol_input *committed,
                              struct ol_replay_verdict *verdict, struct ol_error *err)
{
    struct facts o = {.keys = OL_BUF_INIT};
    struct facts c = {.keys = OL_BUF_INIT};
    int r = read_facts(original, &o);

    if (r == 0)
        r = read_facts(committed, &c);
    if (r == 0)
        r = compare(&o, &c, verdict);
    ol_buf_fini(&o.keys);
    ol_buf_fini(&c.keys);
    return r < 0 ? ol_error_sys(err, -r, "cannot compare the headers of two layers") : 0;
}
