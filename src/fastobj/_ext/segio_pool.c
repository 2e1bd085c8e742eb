/* A pool of threads with a queue of jobs, one of what is to be hashed, one of results, and an
 * eventfd. See segio_impl.h. */
#define _GNU_SOURCE
#include "segio_impl.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { STACK_BYTES = 256 << 10 };

typedef struct {
    fo_job *first, *last;
} queue;

struct fo_pool {
    pthread_mutex_t lock;
    pthread_cond_t wanted, hash_wanted; /* a job is queued, or the pool closes */
    queue jobs, hashes, done;
    unsigned under_way, capacity; /* under way: submitted and not yet taken */
    int streams, pressed;         /* see fo_pool_streams and fo_pool_press */
    int closing;
    int eventfd;
    unsigned thread_count;
    pthread_t threads[];
};

static void append(queue *to, fo_job *job)
{
    job->next = NULL;
    if (to->first)
        to->last->next = job;
    else
        to->first = job;
    to->last = job;
}

static fo_job *remove_first(queue *from)
{
    fo_job *job = from->first;
    if (job)
        from->first = job->next;
    return job;
}

/* The next job, or NULL when the pool closes and no job is left. */
static fo_job *wait_for_job(fo_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    while (!pool->jobs.first && !pool->closing)
        pthread_cond_wait(&pool->wanted, &pool->lock);
    fo_job *job = remove_first(&pool->jobs);
    pthread_mutex_unlock(&pool->lock);
    return job;
}

/* Takes jobs that are linked by `next`. */
static void hand_in(fo_pool *pool, fo_job *job)
{
    pthread_mutex_lock(&pool->lock);
    const int is_first = !pool->done.first;
    for (fo_job *next; job; job = next) {
        next = job->next;
        append(&pool->done, job);
    }
    pthread_mutex_unlock(&pool->lock);
    /* Who takes the results between these lines is woken once for nothing: harmless. */
    if (is_first)
        (void)eventfd_write(pool->eventfd, 1);
}

static void *work(void *argument)
{
    fo_pool *pool = argument;
    fo_job *job;
    while ((job = wait_for_job(pool))) {
        job->status = fo_job_run(job);
        job->next = NULL;
        hand_in(pool, job);
    }
    return NULL;
}

/* Whether a job from `jobs` to `end` is of the same stream. */
static int has_stream(const fo_job *jobs, const fo_job *end, const fo_job *of)
{
    while (jobs != end && jobs->sums[0].state != of->sums[0].state)
        jobs = jobs->next;
    return jobs != end;
}

/* The oldest jobs, but one of each stream; the rest keeps its order. */
static fo_job *take_batch(queue *from)
{
    const unsigned most = fo_hash_jobs_best();
    queue taken = {NULL, NULL}, left = {NULL, NULL};
    unsigned count = 0;
    for (fo_job *job; (job = remove_first(from));) {
        if (count == most || has_stream(taken.first, NULL, job))
            append(&left, job);
        else {
            append(&taken, job);
            count++;
        }
    }
    *from = left;
    return taken.first;
}

/* Whether a batch is worth its while, or somebody waits for one. */
static int is_due(const fo_pool *pool)
{
    const fo_job *first = pool->hashes.first;
    const unsigned best = fo_hash_jobs_best();
    const int wanted = pool->streams < (int)best ? pool->streams : (int)best;
    int found = 0;
    if (pool->closing || (first && pool->pressed > 0))
        return 1;
    for (const fo_job *job = first; job; job = job->next) {
        found += !has_stream(first, job, job);
        if (job->urgent || found >= wanted)
            return 1;
    }
    return 0;
}

static fo_job *wait_for_batch(fo_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    while (!is_due(pool))
        pthread_cond_wait(&pool->hash_wanted, &pool->lock);
    fo_job *batch = take_batch(&pool->hashes);
    pthread_mutex_unlock(&pool->lock);
    return batch;
}

static void *hash(void *argument)
{
    fo_pool *pool = argument;
    fo_job *batch;
    while ((batch = wait_for_batch(pool))) {
        fo_hash_jobs(batch);
        for (fo_job *job = batch; job; job = job->next)
            job->status = 0;
        hand_in(pool, batch);
    }
    return NULL;
}

static int start_thread(fo_pool *pool, const pthread_attr_t *attributes, void *(*run)(void *),
                        const char *name)
{
    pthread_t *thread = &pool->threads[pool->thread_count];
    const int error = pthread_create(thread, attributes, run, pool);
    if (error)
        return error;
    pthread_setname_np(*thread, name);
    pool->thread_count++;
    return 0;
}

/* Signals belong to the threads of the program. Returns 0 or a positive errno. */
static int start_threads(fo_pool *pool, unsigned threads)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);
    if (error)
        return error;
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = start_thread(pool, &attributes, hash, "fastobj-hash");
    for (unsigned index = 0; index < threads && !error; index++)
        error = start_thread(pool, &attributes, work, "fastobj-io");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return error;
}

fo_pool *fo_pool_new(unsigned threads, unsigned capacity, int *error)
{
    fo_pool *pool = calloc(1, sizeof *pool + (threads + 1) * sizeof pool->threads[0]);
    if (!pool) {
        *error = -ENOMEM;
        return NULL;
    }
    pool->capacity = capacity;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wanted, NULL);
    pthread_cond_init(&pool->hash_wanted, NULL);
    pool->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    *error = pool->eventfd < 0 ? -errno : -start_threads(pool, threads);
    if (*error) {
        fo_pool_close(pool);
        fo_pool_free(pool);
        return NULL;
    }
    return pool;
}

int fo_pool_eventfd(const fo_pool *pool)
{
    return pool->eventfd;
}

int fo_pool_submit(fo_pool *pool, fo_job *job)
{
    int status = 0;
    pthread_mutex_lock(&pool->lock);
    if (pool->closing)
        status = -ESHUTDOWN;
    else if (pool->under_way == pool->capacity)
        status = -EAGAIN;
    else {
        pool->under_way++;
        append(job->kind == FO_HASH ? &pool->hashes : &pool->jobs, job);
        pthread_cond_signal(job->kind == FO_HASH ? &pool->hash_wanted : &pool->wanted);
    }
    pthread_mutex_unlock(&pool->lock);
    return status;
}

void fo_pool_streams(fo_pool *pool, int change)
{
    pthread_mutex_lock(&pool->lock);
    pool->streams += change;
    pthread_cond_signal(&pool->hash_wanted);
    pthread_mutex_unlock(&pool->lock);
}

void fo_pool_hurry(fo_pool *pool, const void *state)
{
    pthread_mutex_lock(&pool->lock);
    for (fo_job *job = pool->hashes.first; job; job = job->next)
        job->urgent |= job->sums[0].state == state;
    pthread_cond_signal(&pool->hash_wanted);
    pthread_mutex_unlock(&pool->lock);
}

void fo_pool_press(fo_pool *pool, int change)
{
    pthread_mutex_lock(&pool->lock);
    pool->pressed += change;
    pthread_cond_signal(&pool->hash_wanted);
    pthread_mutex_unlock(&pool->lock);
}

fo_job *fo_pool_take(fo_pool *pool)
{
    eventfd_t ignored;
    /* Before the queue is emptied: a job handed in after that signals again. */
    if (pool->eventfd >= 0)
        (void)eventfd_read(pool->eventfd, &ignored);
    pthread_mutex_lock(&pool->lock);
    fo_job *first = pool->done.first;
    pool->done.first = NULL;
    for (const fo_job *job = first; job; job = job->next)
        pool->under_way--;
    pthread_mutex_unlock(&pool->lock);
    return first;
}

void fo_pool_close(fo_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->closing = 1;
    pthread_cond_broadcast(&pool->wanted);
    pthread_cond_broadcast(&pool->hash_wanted);
    pthread_mutex_unlock(&pool->lock);
    for (; pool->thread_count; pool->thread_count--)
        pthread_join(pool->threads[pool->thread_count - 1], NULL);
    if (pool->eventfd >= 0)
        close(pool->eventfd);
    pool->eventfd = -1;
}

void fo_pool_free(fo_pool *pool)
{
    pthread_cond_destroy(&pool->wanted);
    pthread_cond_destroy(&pool->hash_wanted);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}
