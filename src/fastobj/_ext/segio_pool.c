/* A pool of threads with one queue of jobs, one of results, and an eventfd. See segio_impl.h. */
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
    pthread_cond_t wanted; /* a job is queued, or the pool closes */
    queue jobs, done;
    unsigned under_way, capacity; /* under way: submitted and not yet taken */
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

static void hand_in(fo_pool *pool, fo_job *job)
{
    pthread_mutex_lock(&pool->lock);
    const int is_first = !pool->done.first;
    append(&pool->done, job);
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
        hand_in(pool, job);
    }
    return NULL;
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
    for (unsigned index = 0; index < threads && !error; index++) {
        error = pthread_create(&pool->threads[index], &attributes, work, pool);
        if (error)
            break;
        pthread_setname_np(pool->threads[index], "fastobj-io");
        pool->thread_count++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return error;
}

fo_pool *fo_pool_new(unsigned threads, unsigned capacity, int *error)
{
    fo_pool *pool = calloc(1, sizeof *pool + threads * sizeof pool->threads[0]);
    if (!pool) {
        *error = -ENOMEM;
        return NULL;
    }
    pool->capacity = capacity;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wanted, NULL);
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
        append(&pool->jobs, job);
        pthread_cond_signal(&pool->wanted);
    }
    pthread_mutex_unlock(&pool->lock);
    return status;
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
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}
