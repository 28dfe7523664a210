// SPDX-License-Identifier: Apache-2.0
/* What runs in a container: see processes.h. No state. */
#include "guest/agent/processes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "guest/agent/files.h"

#define USEC 1000000ull

/* ---- one process ---- */

/* proc(5): "Name:\t…" and so on; a name has its newlines escaped. */
static const char *status_line(const char *status, const char *name)
{
    const char *at = strstr(status, name);

    return at && (at == status || at[-1] == '\n') ? at + strlen(name) : NULL;
}

/* The innermost pid namespace comes last. */
static int last_number(const char *text)
{
    int value = 0;

    while (*text && *text != '\n') {
        char *end;
        long number = strtol(text, &end, 10);

        if (end == text)
            break;
        value = (int)number;
        text = end + strspn(end, "\t ");
    }
    return value;
}

static bool read_number(const char *text, uint64_t *out)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    *out = strtoull(text, &end, 10);
    return *end == ' ' || *end == '\t' || *end == '\n' || !*end;
}

/* A field of /proc/PID/stat by its number in proc(5); `rest` begins with the third one. */
static bool stat_number(const char *rest, unsigned field, uint64_t *out)
{
    for (unsigned i = 3; i < field; i++) {
        rest += strcspn(rest, " ");
        rest += strspn(rest, " ");
    }
    return read_number(rest, out);
}

bool processes_parse(const char *stat, const char *status, struct process_numbers *out)
{
    /* The name is in parentheses, and may have some itself: the last one ends it. */
    const char *rest = strrchr(stat, ')'), *uids = status_line(status, "Uid:\t");
    const char *pids = status_line(status, "NSpid:");
    uint64_t parent, user, system, uid;

    if (!rest || !uids || !pids || rest[1] != ' ' || !rest[2])
        return false;
    rest += 2;
    if (!stat_number(rest, 4, &parent) || !stat_number(rest, 14, &user) ||
        !stat_number(rest, 15, &system) || !stat_number(rest, 22, &out->start_ticks) ||
        !stat_number(rest, 24, &out->memory_pages))
        return false;
    uids += strcspn(uids, "\t\n");
    if (*uids != '\t' || !read_number(uids + 1, &uid))
        return false;
    out->state = *rest;
    out->ppid = (int)parent;
    out->cpu_ticks = user + system;
    out->uid = (uint32_t)uid;
    out->pid_inside = last_number(pids);
    return true;
}

/* Its arguments with blanks between them, or its name in brackets when it has none. Bytes that are
 * not printable would not be JSON, or would command a terminal. */
static void read_command(const char *dir, const char *stat, char *out)
{
    const char *name = strchr(stat, '('), *name_end = strrchr(stat, ')');
    char path[64];
    int fd;
    ssize_t len;

    snprintf(path, sizeof(path), "%s/cmdline", dir);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    len = fd < 0 ? 0 : read(fd, out, PROCESSES_COMMAND_MAX);
    close_fd(&fd);
    while (len > 0 && !out[len - 1])
        len--;
    if (len > 0) {
        for (ssize_t i = 0; i < len; i++)
            out[i] = out[i] ? out[i] : ' ';
        out[len] = '\0';
    } else if (name && name_end > name) {
        snprintf(out, PROCESSES_COMMAND_MAX + 1, "[%.*s]", (int)(name_end - name - 1), name + 1);
    } else {
        out[0] = '\0';
    }
    make_printable(out);
}

struct list {
    json_t *array;
    json_int_t left_out;
    uint64_t now_usec, tick_usec, page_bytes;
};

static void add(pid_t pid, void *arg)
{
    struct list *list = arg;
    struct process_numbers numbers;
    char dir[32], path[64], stat[1024], status[4096], command[PROCESSES_COMMAND_MAX + 1];
    uint64_t started, used, memory;
    json_t *item;

    if (json_array_size(list->array) >= PROCESSES_LISTED_MAX) {
        list->left_out++;
        return;
    }
    snprintf(dir, sizeof(dir), "/proc/%d", pid);
    snprintf(path, sizeof(path), "%s/stat", dir);
    if (file_read(AT_FDCWD, path, stat, sizeof(stat)))
        return; /* it has ended meanwhile */
    snprintf(path, sizeof(path), "%s/status", dir);
    if (file_read(AT_FDCWD, path, status, sizeof(status)) ||
        !processes_parse(stat, status, &numbers))
        return;
    read_command(dir, stat, command);
    started = numbers.start_ticks * list->tick_usec;
    memory = numbers.memory_pages * list->page_bytes;
    used = numbers.cpu_ticks * list->tick_usec;
    item = json_pack("{s:i, s:i, s:i, s:I, s:s#, s:I, s:I, s:I, s:s}", "pid", pid, "pid_inside",
                     numbers.pid_inside, "ppid", numbers.ppid, "uid", (json_int_t)numbers.uid,
                     "state", &numbers.state, 1, "cpu_usec", (json_int_t)used, "age_usec",
                     (json_int_t)(list->now_usec > started ? list->now_usec - started : 0),
                     "memory_bytes", (json_int_t)memory, "command", command);
    json_array_append_new(list->array, item);
}

int processes_list(const struct cgroup *cgroup, json_t *result, struct husk_error *err)
{
    struct list list = {.array = json_array()};
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    list.now_usec = (uint64_t)now.tv_sec * USEC + (uint64_t)now.tv_nsec / 1000;
    list.tick_usec = USEC / (uint64_t)sysconf(_SC_CLK_TCK);
    list.page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    if (list.array)
        cgroup_members(cgroup, add, &list);
    if (json_object_set_new(result, "processes", list.array) ||
        json_object_set_new(result, "left_out", json_integer(list.left_out)))
        return error_set(err, ENOMEM, "the processes", "cannot be listed", NULL);
    return 0;
}
