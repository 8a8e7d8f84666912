/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Get/Put counting as moby's counter.go does it, and the per-id mutex its drivers hold in Remove,
 * Get and Put.
 *
 * On the first touch of an id it is asked whether the layer is mounted already (another process
 * mounted it); if so the count starts at one. A count that falls to zero or below is forgotten, so
 * that the next touch asks again and nothing negative can accumulate.
 *
 * One mutex guards the list; an entry lives while its id is locked, waited for, counted or ours.
 * The list is short (layers in use, not layers), so it is searched from its head.
 */
#include "common/cleanup.h"
#include "drivers/driver_ops.h"

#include <errno.h>
#include <pthread.h>

struct ref {
    struct ref *next;
    unsigned holders; /* threads that hold or wait for the id */
    bool locked;
    bool checked; /* is_mounted was asked since the count was last forgotten */
    bool ours;    /* mounted by this process, to be unmounted by close */
    int count;
    char id[];
};

struct ol_refs {
    pthread_mutex_t mutex;
    pthread_cond_t unlocked;
    struct ref *head; /* guarded by mutex; the fields of a locked entry belong to its locker */
};

int ol_refs_new(struct ol_refs **ret, struct ol_error *err)
{
    struct ol_refs *refs = calloc(1, sizeof(*refs));

    if (refs == NULL)
        return ol_error_nomem(err);
    (void)pthread_mutex_init(&refs->mutex, NULL); /* cannot fail with default attributes */
    (void)pthread_cond_init(&refs->unlocked, NULL);
    *ret = refs;
    return 0;
}

void ol_refs_free(struct ol_refs *refs)
{
    if (refs == NULL)
        return;
    while (refs->head != NULL) {
        struct ref *ref = refs->head;
        refs->head = ref->next;
        free(ref);
    }
    (void)pthread_cond_destroy(&refs->unlocked);
    (void)pthread_mutex_destroy(&refs->mutex);
    free(refs);
}

/* Where the entry is linked, or the end of the list. */
static struct ref **find(struct ol_refs *refs, const char *id)
{
    struct ref **link = &refs->head;

    while (*link != NULL && strcmp((*link)->id, id) != 0)
        link = &(*link)->next;
    return link;
}

static struct ref *find_or_add(struct ol_refs *refs, const char *id)
{
    struct ref **link = find(refs, id);
    size_t size = strlen(id) + 1;

    if (*link == NULL) {
        struct ref *ref = calloc(1, sizeof(*ref) + size);
        if (ref == NULL)
            return NULL;
        memcpy(ref->id, id, size);
        *link = ref;
    }
    return *link;
}

int ol_refs_lock(struct ol_refs *refs, const char *id, struct ol_error *err)
{
    struct ref *ref;

    (void)pthread_mutex_lock(&refs->mutex); /* a default mutex of ours: no error is possible */
    ref = find_or_add(refs, id);
    if (ref == NULL) {
        (void)pthread_mutex_unlock(&refs->mutex);
        return ol_error_nomem(err);
    }
    ref->holders++; /* keeps the entry while we wait */
    while (ref->locked)
        (void)pthread_cond_wait(&refs->unlocked, &refs->mutex);
    ref->locked = true;
    (void)pthread_mutex_unlock(&refs->mutex);
    return 0;
}

void ol_refs_unlock(struct ol_refs *refs, const char *id)
{
    struct ref **link;

    (void)pthread_mutex_lock(&refs->mutex);
    link = find(refs, id);
    (*link)->locked = false;
    (*link)->holders--;
    if ((*link)->holders > 0) {
        (void)pthread_cond_broadcast(&refs->unlocked);
    } else if ((*link)->count == 0 && !(*link)->ours) {
        struct ref *ref = *link;
        *link = ref->next;
        free(ref);
    }
    (void)pthread_mutex_unlock(&refs->mutex);
}

/* The entry of an id the caller holds the lock of. */
static struct ref *held(struct ol_refs *refs, const char *id)
{
    struct ref *ref;

    (void)pthread_mutex_lock(&refs->mutex);
    ref = *find(refs, id);
    (void)pthread_mutex_unlock(&refs->mutex);
    return ref;
}

static int change(struct ol_refs *refs, const char *id, bool (*is_mounted)(const char *path),
                  const char *path, int by)
{
    struct ref *ref = held(refs, id);
    int count;

    if (!ref->checked) {
        ref->checked = true;
        if (is_mounted(path))
            ref->count++;
    }
    count = ref->count + by;
    if (count <= 0) {
        ref->count = 0;
        ref->checked = false;
    } else {
        ref->count = count;
    }
    return count;
}

int ol_refs_increment(struct ol_refs *refs, const char *id, bool (*is_mounted)(const char *path),
                      const char *path)
{
    return change(refs, id, is_mounted, path, 1);
}

int ol_refs_decrement(struct ol_refs *refs, const char *id, bool (*is_mounted)(const char *path),
                      const char *path)
{
    return change(refs, id, is_mounted, path, -1);
}

void ol_refs_forget(struct ol_refs *refs, const char *id)
{
    struct ref *ref = held(refs, id);

    ref->count = 0;
    ref->checked = false;
    ref->ours = false;
}

void ol_refs_set_ours(struct ol_refs *refs, const char *id, bool ours)
{
    held(refs, id)->ours = ours;
}

int ol_refs_count(struct ol_refs *refs, const char *id)
{
    return held(refs, id)->count;
}

void ol_refs_reset(struct ol_refs *refs)
{
    struct ref **link = &refs->head;

    (void)pthread_mutex_lock(&refs->mutex);
    while (*link != NULL) {
        struct ref *ref = *link;
        if (ref->holders > 0) { /* its holder is changing it right now */
            link = &ref->next;
            continue;
        }
        *link = ref->next;
        free(ref);
    }
    (void)pthread_mutex_unlock(&refs->mutex);
}

void ol_refs_each_ours(struct ol_refs *refs, void (*fn)(const char *id, void *data), void *data)
{
    for (struct ref *ref = refs->head; ref != NULL; ref = ref->next)
        if (ref->ours)
            fn(ref->id, data);
}
