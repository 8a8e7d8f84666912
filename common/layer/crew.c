/* SPDX-License-Identifier: Apache-2.0 */
/* Batches of files, the queue and the threads; see crew.h. */
#include "common/layer/crew.h"

#include "common/cleanup.h"
#include "common/layer/sys.h"
#include "common/limits.h"

#include <errno.h>
#include <pthread.h>

enum {
    QUEUE_MAX = 16,     /* batches that wait; then the reading thread works too */
    SEQ_WINDOW = 64,    /* more than can be unfinished: QUEUE_MAX, one per thread, one in hand */
    PENDING_SIZE = 8192 /* slots of the table of files not known to be done; a power of two */
};
_Static_assert(QUEUE_MAX + OL_THREADS_MAX + 2 < SEQ_WINDOW, "sequence numbers would collide");

/* A piece of content, in a block of the stream or in a copy of its own. */
struct piece {
    const char *data;
    size_t len;
    struct ol_block *block; /* one reference; NULL: data is owned */
};

struct file {
    struct ol_dir *dir; /* one reference */
    size_t name;        /* offset in the batch's names */
    struct ol_meta meta;
    size_t first_piece, n_pieces;
};

struct batch {
    struct batch *next;
    uint64_t seq;
    struct file files[OL_CREW_BATCH_FILES];
    size_t n_files;
    struct piece *pieces; /* owned array */
    size_t n_pieces, pieces_cap;
    struct ol_buf names;
    size_t bytes;
};

struct pending {
    uint64_t key;
    uint64_t seq;
};

struct ol_crew {
    bool keep_owner;
    struct batch *open;    /* the one being filled; reading thread's */
    bool in_file;          /* its last file is not complete */
    struct pending *table; /* owned; reading thread's; NULL without threads */
    uint64_t overflow;     /* a batch up to this number may hold a file that lost its slot */
    uint64_t next_seq;     /* of the batch being filled; from 1 */

    unsigned n_threads;
    pthread_t threads[OL_THREADS_MAX];
    pthread_mutex_t lock;
    pthread_cond_t work;   /* a batch waits, or stop */
    pthread_cond_t change; /* a batch is done */
    /* guarded by lock */
    struct batch *head, *tail; /* oldest first */
    unsigned queued, active;
    uint64_t done_seq[SEQ_WINDOW]; /* batch n is done when done_seq[n % SEQ_WINDOW] >= n */
    struct batch *spare;           /* emptied, for reuse */
    bool stop;
    int result; /* first failure */
    struct ol_error error;
    struct ol_meta_counts counts;
};

static void batch_clear(struct batch *b)
{
    for (size_t i = 0; i < b->n_pieces; i++) {
        struct piece *p = &b->pieces[i];
        if (p->block != NULL)
            ol_block_unref(p->block);
        else
            free((void *)(uintptr_t)p->data); /* owned, and only const for the writers */
    }
    for (size_t i = 0; i < b->n_files; i++)
        ol_dir_unref(b->files[i].dir);
    ol_buf_truncate(&b->names, 0);
    b->n_files = b->n_pieces = b->bytes = 0;
}

static void batch_free(struct batch *b)
{
    if (b == NULL)
        return;
    batch_clear(b);
    free(b->pieces);
    ol_buf_fini(&b->names);
    free(b);
}

static int write_pieces(int fd, const struct batch *b, const struct file *f)
{
    uint64_t offset = 0;
    int r = 0;

    for (size_t i = 0; i < f->n_pieces && r == 0; i++) {
        const struct piece *p = &b->pieces[f->first_piece + i];
        r = ol_sys_pwrite(fd, p->data, p->len, offset);
        offset += p->len;
    }
    return r;
}

static int make_file(const struct batch *b, const struct file *f, struct ol_meta_counts *counts,
                     struct ol_error *err)
{
    const char *name = ol_buf_str(&b->names) + f->name;
    ol_auto_fd int fd = ol_sys_create(f->dir->fd, name, f->meta.mode & 0777);
    struct stat st;
    int r;

    r = fd < 0 ? fd : write_pieces(fd, b, f);
    if (r == 0 && fstat(fd, &st) < 0)
        r = -errno;
    if (r == 0)
        r = ol_meta_apply(fd, "", &st, &f->meta, counts);
    if (r < 0)
        return ol_error_sys(err, -r, "cannot create '%s%s%s'", f->dir->path,
                            f->dir->len > 0 ? "/" : "", name);
    return 0;
}

static int make_files(const struct batch *b, struct ol_meta_counts *counts, struct ol_error *err)
{
    int r = 0;

    for (size_t i = 0; i < b->n_files && r == 0; i++)
        r = make_file(b, &b->files[i], counts, err);
    return r;
}

/* Do one batch. Called and left with the lock held; the crew's failure stops the rest. */
static void run_batch(struct ol_crew *c, struct batch *b)
{
    ol_auto_error struct ol_error err = OL_ERROR_INIT;
    struct ol_meta_counts counts = {0, 0};
    bool skip = c->stop || c->result < 0;
    int r = 0;

    c->active++;
    pthread_mutex_unlock(&c->lock);
    if (!skip)
        r = make_files(b, &counts, &err);
    batch_clear(b);
    pthread_mutex_lock(&c->lock);
    c->active--;
    c->counts.squashed_owners += counts.squashed_owners;
    c->counts.dropped_xattrs += counts.dropped_xattrs;
    c->done_seq[b->seq % SEQ_WINDOW] = b->seq;
    if (r < 0 && c->result == 0) {
        c->result = r;
        ol_error_move(&c->error, &err);
    }
    b->next = c->spare;
    c->spare = b;
    pthread_cond_broadcast(&c->change);
}

static struct batch *pop(struct ol_crew *c)
{
    struct batch *b = c->head;

    if (b != NULL) {
        c->head = b->next;
        c->queued--;
    }
    return b;
}

static void *worker_main(void *arg)
{
    struct ol_crew *c = arg;

    pthread_mutex_lock(&c->lock);
    for (;;) {
        struct batch *b = pop(c);
        if (b != NULL)
            run_batch(c, b);
        else if (c->stop)
            break;
        else
            pthread_cond_wait(&c->work, &c->lock);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

int ol_crew_new(bool keep_owner, struct ol_crew **ret, struct ol_error *err)
{
    struct ol_crew *c = calloc(1, sizeof *c);

    if (c == NULL)
        return ol_error_nomem(err);
    c->keep_owner = keep_owner;
    c->next_seq = 1;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->work, NULL);
    pthread_cond_init(&c->change, NULL);
    *ret = c;
    return 0;
}

void ol_crew_start(struct ol_crew *crew, unsigned threads)
{
    if (crew->table == NULL)
        crew->table = calloc(PENDING_SIZE, sizeof *crew->table);
    if (crew->table == NULL)
        return;
    while (crew->n_threads < threads && crew->n_threads < OL_THREADS_MAX) {
        if (pthread_create(&crew->threads[crew->n_threads], NULL, worker_main, crew) != 0)
            break;
        crew->n_threads++;
    }
}

void ol_crew_free(struct ol_crew *crew)
{
    struct ol_crew *c = crew;
    struct batch *b;

    if (c == NULL)
        return;
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    pthread_cond_broadcast(&c->work);
    pthread_mutex_unlock(&c->lock);
    for (unsigned i = 0; i < c->n_threads; i++)
        (void)pthread_join(c->threads[i], NULL); /* cannot fail for a thread of ours */
    while ((b = pop(c)) != NULL)
        batch_free(b);
    while ((b = c->spare) != NULL) {
        c->spare = b->next;
        batch_free(b);
    }
    batch_free(c->open);
    free(c->table);
    ol_error_fini(&c->error);
    pthread_cond_destroy(&c->work);
    pthread_cond_destroy(&c->change);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* The batch to add to. */
static struct batch *open_batch(struct ol_crew *c)
{
    struct batch *b = c->open;

    if (b != NULL)
        return b;
    pthread_mutex_lock(&c->lock);
    b = c->spare;
    if (b != NULL)
        c->spare = b->next;
    pthread_mutex_unlock(&c->lock);
    if (b == NULL)
        b = calloc(1, sizeof *b);
    if (b != NULL)
        b->seq = c->next_seq;
    c->open = b;
    return b;
}

static bool is_done(const struct ol_crew *c, uint64_t seq)
{
    return c->done_seq[seq % SEQ_WINDOW] >= seq;
}

/* Two files may want one slot: the older one is only forgotten once its batch is done. */
static void remember(struct ol_crew *c, uint64_t key)
{
    struct pending *p;

    if (c->table == NULL)
        return;
    p = &c->table[key & (PENDING_SIZE - 1)];
    if (p->key != 0 && p->key != key && p->seq + SEQ_WINDOW > c->next_seq) {
        pthread_mutex_lock(&c->lock);
        if (!is_done(c, p->seq) && p->seq > c->overflow)
            c->overflow = p->seq;
        pthread_mutex_unlock(&c->lock);
    }
    *p = (struct pending){key, c->next_seq};
}

int ol_crew_file_begin(struct ol_crew *crew, struct ol_dir *dir, const char *name, uint64_t key,
                       const struct ol_entry *entry, struct ol_error *err)
{
    struct batch *b = open_batch(crew);
    struct file *f;

    if (b == NULL)
        return ol_error_nomem(err);
    f = &b->files[b->n_files];
    *f = (struct file){.name = b->names.len,
                       .meta = ol_meta_of(entry, crew->keep_owner),
                       .first_piece = b->n_pieces};
    if (ol_buf_append(&b->names, name, strlen(name) + 1) < 0)
        return ol_error_nomem(err);
    ol_dir_ref(dir);
    f->dir = dir;
    b->n_files++;
    crew->in_file = true;
    remember(crew, key);
    return 0;
}

int ol_crew_file_piece(struct ol_crew *crew, const struct ol_reader_piece *piece,
                       struct ol_error *err)
{
    struct batch *b = crew->open;
    struct piece p = {.data = piece->data, .len = piece->len, .block = piece->block};

    if (b->n_pieces == b->pieces_cap) {
        size_t cap = b->pieces_cap == 0 ? OL_CREW_BATCH_FILES : b->pieces_cap * 2;
        struct piece *pieces = reallocarray(b->pieces, cap, sizeof *pieces);
        if (pieces == NULL)
            return ol_error_nomem(err);
        b->pieces = pieces;
        b->pieces_cap = cap;
    }
    if (p.block != NULL) {
        ol_block_ref(p.block);
    } else {
        char *copy = malloc(p.len);
        if (copy == NULL)
            return ol_error_nomem(err);
        memcpy(copy, p.data, p.len);
        p.data = copy;
    }
    b->pieces[b->n_pieces++] = p;
    b->files[b->n_files - 1].n_pieces++;
    b->bytes += p.len;
    return 0;
}

static int first_failure(struct ol_crew *c, struct ol_error *err)
{
    int r = c->result;

    if (r < 0 && c->error.message != NULL)
        ol_error_move(err, &c->error);
    else if (r < 0)
        ol_error_set(err, r, "%s", strerror(-r));
    return r;
}

/* Put the open batch into the queue; with too many there, do the oldest here. */
static void hand_over(struct ol_crew *c)
{
    struct batch *b = c->open;

    c->open = NULL;
    c->next_seq++;
    pthread_mutex_lock(&c->lock);
    b->next = NULL;
    if (c->head == NULL)
        c->head = b;
    else
        c->tail->next = b;
    c->tail = b;
    c->queued++;
    pthread_cond_signal(&c->work);
    if (c->n_threads == 0 || c->queued > QUEUE_MAX)
        run_batch(c, pop(c));
    pthread_mutex_unlock(&c->lock);
}

int ol_crew_file_end(struct ol_crew *crew, struct ol_error *err)
{
    struct batch *b = crew->open;
    int r = 0;

    crew->in_file = false;
    if (crew->n_threads > 0 && b->n_files < OL_CREW_BATCH_FILES && b->bytes < OL_CREW_BATCH_BYTES)
        return 0;
    hand_over(crew);
    pthread_mutex_lock(&crew->lock);
    r = first_failure(crew, err);
    pthread_mutex_unlock(&crew->lock);
    return r;
}

/* Only whole files can go: when one is being filled, the others wait with it. */
void ol_crew_flush(struct ol_crew *crew)
{
    if (crew->open != NULL && crew->open->n_files > 0 && !crew->in_file)
        hand_over(crew);
}

/* Work or wait until the batch is done. */
static int wait_seq(struct ol_crew *c, uint64_t seq, struct ol_error *err)
{
    int r;

    pthread_mutex_lock(&c->lock);
    while (!is_done(c, seq)) {
        struct batch *b = pop(c);
        if (b != NULL)
            run_batch(c, b);
        else
            pthread_cond_wait(&c->change, &c->lock);
    }
    r = first_failure(c, err);
    pthread_mutex_unlock(&c->lock);
    return r;
}

int ol_crew_wait_for(struct ol_crew *crew, uint64_t key, struct ol_error *err)
{
    const struct pending *p;

    if (crew->table == NULL)
        return 0;
    p = &crew->table[key & (PENDING_SIZE - 1)];
    if (p->key == key) {
        if (p->seq == crew->next_seq)
            ol_crew_flush(crew);
        return wait_seq(crew, p->seq, err);
    }
    if (crew->overflow != 0 && crew->overflow + SEQ_WINDOW >= crew->next_seq)
        return ol_crew_wait_all(crew, err); /* it may have lost its slot to another file */
    return 0;
}

bool ol_crew_is_busy(struct ol_crew *crew)
{
    bool busy;

    pthread_mutex_lock(&crew->lock);
    busy = crew->queued > 0 || crew->active > 0;
    pthread_mutex_unlock(&crew->lock);
    return busy || (crew->open != NULL && crew->open->n_files > 0);
}

int ol_crew_wait_all(struct ol_crew *crew, struct ol_error *err)
{
    int r;

    ol_crew_flush(crew);
    pthread_mutex_lock(&crew->lock);
    while (crew->queued > 0 || crew->active > 0) {
        struct batch *b = pop(crew);
        if (b != NULL)
            run_batch(crew, b);
        else
            pthread_cond_wait(&crew->change, &crew->lock);
    }
    r = first_failure(crew, err);
    pthread_mutex_unlock(&crew->lock);
    return r;
}

struct ol_meta_counts ol_crew_counts(struct ol_crew *crew)
{
    struct ol_meta_counts counts;

    pthread_mutex_lock(&crew->lock);
    counts = crew->counts;
    pthread_mutex_unlock(&crew->lock);
    return counts;
}
