/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The builder process: copies what only root may read, gives up its privileges, then keeps as many
 * compilers running as there are processors until every module is built or has failed. It writes
 * its results to a memfd and ends; the master takes them from there.
 */
#include "builder/work.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <apr_strings.h>

#include "builder/compiler.h"
#include "builder/copies.h"
#include "builder/job.h"
#include "config/conf.h"
#include "util/role.h"

enum { SLOTS_MAX = 256, CANNOT_DROP = 3 };

/* A compiler that runs: what poll() watches. */
struct slot {
    struct job *job;
    struct job_step *step;
    bool silent; /* its output has ended */
};

struct crew {
    struct work work;
    struct job *jobs;
    int count;
    int next; /* the first job that may have something to start */
    struct slot slots[SLOTS_MAX];
    int running, limit;
};

static int processors(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0) {
        return CPU_COUNT(&set) < SLOTS_MAX ? CPU_COUNT(&set) : SLOTS_MAX;
    }
    return 1;
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A fixed environment: what is in ours must not decide what is built. */
static char **environment(const struct build_run *run)
{
    char **envp = apr_pcalloc(run->pool, 5 * sizeof(char *));

    envp[0] = apr_pstrcat(run->pool, "PATH=", compiler_search_path(), NULL);
    envp[1] = apr_pstrdup(run->pool, "LC_ALL=C");
    envp[2] = apr_psprintf(run->pool, "TMPDIR=/proc/self/fd/%d", run->work_fd);
    envp[3] = apr_psprintf(run->pool, "HOME=/proc/self/fd/%d", run->work_fd);
    return envp;
}

/* Does any of its steps run? */
static bool is_busy(const struct job *job)
{
    for (int i = 0; i < job->count; i++) {
        if (job->steps[i].started && !job->steps[i].ended) {
            return true;
        }
    }
    return false;
}

static void enlist(struct crew *crew, struct job *job)
{
    for (int i = 0; i < job->count; i++) {
        struct job_step *step = &job->steps[i];
        bool known = false;

        for (int s = 0; s < crew->running; s++) {
            known = known || crew->slots[s].step == step;
        }
        if (step->started && !step->ended && !known) {
            crew->slots[crew->running++] = (struct slot){ .job = job, .step = step };
        }
    }
}

/* Starts what can be started; a job that is left with nothing to do ends here
 * (or begins again). */
static void fill(struct crew *crew)
{
    for (int i = crew->next; i < crew->count && crew->running < crew->limit; i++) {
        struct job *job = &crew->jobs[i];

        while (!job->done && crew->running < crew->limit) {
            if (job_start(job)) {
                enlist(crew, job);
            }
            else if (is_busy(job)) {
                break;
            }
            else {
                job_conclude(job);
            }
        }
        if (job->done && i == crew->next) {
            crew->next++;
        }
    }
}

/* Forgets what has ended. */
static void sweep(struct crew *crew)
{
    int kept = 0;

    for (int i = 0; i < crew->running; i++) {
        if (!crew->slots[i].step->ended) {
            crew->slots[kept++] = crew->slots[i];
        }
    }
    crew->running = kept;
}

static int64_t next_deadline(const struct crew *crew)
{
    int64_t next = INT64_MAX;

    for (int i = 0; i < crew->running; i++) {
        if (crew->slots[i].job->deadline < next) {
            next = crew->slots[i].job->deadline;
        }
    }
    return next;
}

static void expire(struct crew *crew)
{
    int64_t now = now_ms();

    for (int i = 0; i < crew->running; i++) {
        if (crew->slots[i].job->deadline <= now) {
            job_expire(crew->slots[i].job);
        }
    }
}

static void watch(struct crew *crew)
{
    struct pollfd polls[2 * SLOTS_MAX];
    int64_t left = next_deadline(crew) - now_ms();
    int watched = crew->running;

    for (int i = 0; i < watched; i++) {
        const struct slot *slot = &crew->slots[i];

        polls[2 * i] =
            (struct pollfd){ .fd = slot->silent ? -1 : slot->step->process.out, .events = POLLIN };
        polls[2 * i + 1] = (struct pollfd){ .fd = slot->step->process.pidfd, .events = POLLIN };
    }
    left = left < 0 ? 0 : left > 60000 ? 60000 : left;
    if (poll(polls, 2 * (nfds_t)watched, (int)left) < 0 && errno != EINTR) {
        _exit(1);
    }
    for (int i = 0; i < watched; i++) {
        struct slot *slot = &crew->slots[i];

        if (polls[2 * i].revents && !job_read(slot->step)) {
            slot->silent = true;
        }
        if (polls[2 * i + 1].revents) {
            job_step_ended(slot->job, slot->step);
        }
    }
    expire(crew);
    sweep(crew);
}

static void run_all(struct crew *crew)
{
    for (;;) {
        fill(crew);
        if (crew->running == 0 && crew->next == crew->count) {
            return;
        }
        watch(crew);
    }
}

static void crew_init(struct crew *crew, struct builder *b)
{
    struct build_run *run = b->run;
    const struct conf_process *process = &run->conf->process;
    int needed = 0;

    crew->limit = processors();
    crew->work = (struct work){ .b = b,
                                .run = run,
                                .timeout = process->build_timeout,
                                .envp = environment(run),
                                .limits = { .memory = process->build_memory_limit,
                                            .seconds = process->build_timeout / 1000 + 2,
                                            .processes = jail_processes() } };
    crew->jobs = apr_pcalloc(run->pool, (size_t)run->list->needed * sizeof(struct job));
    for (int i = 0; i < run->list->count && needed < run->list->needed; i++) {
        if (run->list->list[i].needed) {
            job_init(&crew->jobs[needed++], &crew->work, i);
        }
    }
    crew->count = needed;
}

static void drop(const struct build_run *run, pid_t master)
{
    const struct conf_process *process = &run->conf->process;

    if (run->dropped && role_drop_privileges(process->build_user, process->build_group,
                                             process->build_user_name) != 0) {
        _exit(CANNOT_DROP);
    }
    /* Behind the change of user, which resets it. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != master) {
        _exit(1);
    }
}

void work_run(struct builder *b, pid_t master)
{
    struct build_run *run = b->run;
    static struct crew crew;

    (void)umask(022);
    if (run->dropped) {
        copies_make(run);
    }
    drop(run, master);
    jail_enter(run->work_fd);
    names_try(&run->names);
    b->memory.names = &run->names;
    crew_init(&crew, b);
    run_all(&crew);
    _exit(0);
}
