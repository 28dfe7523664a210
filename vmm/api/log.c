// SPDX-License-Identifier: Apache-2.0
/* The log: see log.h. */
#include "vmm/api/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/calendar.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "vmm/api/console.h"

/* At most PIPE_BUF: a FIFO takes such a line whole or not at all. */
#define LINE_MAX_BYTES 1024u

int open_sink(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0644);

    /* A device such as /dev/stdout may be open for writing only. */
    if (fd < 0 && errno == EACCES)
        fd = open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        close(fd);
        return -EISDIR;
    }
    return fd;
}

void log_init(struct api_log *log, const char *id)
{
    struct stat st;

    memset(log, 0, sizeof(*log));
    log->fd = -1;
    /* Who holds the other end of standard error may not read. */
    log->stderr_fd = dup_nonblocking(STDERR_FILENO, O_WRONLY);
    log->stderr_is_socket = fstat(log->stderr_fd, &st) == 0 && S_ISSOCK(st.st_mode);
    log->stderr_blocks = !(fcntl(log->stderr_fd, F_GETFL) & O_NONBLOCK);
    log->max_level = LOG_CHOICE_WARN;
    snprintf(log->id, sizeof(log->id), "%s", id);
}

void log_close(struct api_log *log)
{
    close_fd(&log->fd);
    close_fd(&log->stderr_fd);
}

int log_configure(struct api_log *log, const struct logger_settings *settings)
{
    if (settings->log_path) {
        int fd = open_sink(settings->log_path);

        if (fd < 0)
            return fd;
        close_fd(&log->fd);
        log->fd = fd;
    }
    log->max_level = settings->level.given ? log_level_of[settings->level.value] : LOG_CHOICE_INFO;
    if (settings->show_level.given)
        log->show_level = settings->show_level.value;
    if (settings->show_log_origin.given)
        log->show_origin = settings->show_log_origin.value;
    if (settings->module)
        snprintf(log->module, sizeof(log->module), "%s", settings->module);
    return 0;
}

static unsigned choice_of(enum husk_log_level level)
{
    static const unsigned char choices[] = {LOG_CHOICE_ERROR, LOG_CHOICE_WARN, LOG_CHOICE_INFO,
                                            LOG_CHOICE_DEBUG};

    return choices[level];
}

enum husk_log_level log_vm_level(const struct api_log *log)
{
    switch (log->max_level) {
    case LOG_CHOICE_DEBUG:
        return HUSK_LOG_DEBUG;
    case LOG_CHOICE_INFO:
        return HUSK_LOG_INFO;
    case LOG_CHOICE_WARN:
        return HUSK_LOG_WARN;
    default:
        return HUSK_LOG_ERROR;
    }
}

static int print_time(char *out, size_t size)
{
    struct timespec now;
    struct calendar utc;

    clock_gettime(CLOCK_REALTIME, &now);
    calendar_utc(now.tv_sec, &utc);
    return snprintf(out, size, "%04" PRIu64 "-%02u-%02uT%02u:%02u:%02u.%09u", utc.year, utc.month,
                    utc.day, utc.hour, utc.minute, utc.second, (unsigned)now.tv_nsec % 1000000000u);
}

static bool wanted(const struct api_log *log, enum husk_log_level level, const char *origin,
                   size_t origin_len)
{
    size_t len = strlen(log->module);

    return choice_of(level) <= log->max_level && len <= origin_len &&
           !memcmp(origin, log->module, len);
}

static bool write_line(const struct api_log *log, char *line, size_t len)
{
    struct pollfd ready = {.fd = log->stderr_fd, .events = POLLOUT};
    struct iovec bytes = {line, len};
    struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1};

    if (log->fd >= 0)
        return write(log->fd, line, len) == (ssize_t)len;
    if (log->stderr_is_socket)
        return sendmsg(log->stderr_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len;
    /* A pipe with room at all has room for PIPE_BUF bytes. */
    if (log->stderr_blocks && poll(&ready, 1, 0) != 1)
        return false;
    return write(log->stderr_fd, line, len) == (ssize_t)len;
}

static void emit(struct api_log *log, enum husk_log_level level, const char *thread,
                 const char *origin, size_t origin_len, const char *text)
{
    static const char *const names[] = {"ERROR", "WARN", "INFO", "DEBUG"};
    char line[LINE_MAX_BYTES], time[96];
    int len;

    print_time(time, sizeof(time));
    len =
        snprintf(line, sizeof(line), "%s [%s:%s%s%s%s%.*s] %s", time, log->id, thread,
                 log->show_level ? ":" : "", log->show_level ? names[level] : "",
                 log->show_origin ? ":" : "", log->show_origin ? (int)origin_len : 0, origin, text);
    len = (int)min_u64((uint64_t)len, sizeof(line) - 2);
    line[len] = '\0';
    make_printable(line);
    line[len] = '\n';
    if (!write_line(log, line, (size_t)len + 1))
        atomic_fetch_add_explicit(&log->missed, 1, memory_order_relaxed);
}

void log_vm_line(void *arg, enum husk_log_level level, const char *line)
{
    struct api_log *log = arg;
    const char *colon = strchr(line, ':');
    size_t origin_len = colon ? (size_t)(colon - line) : 0;

    if (wanted(log, level, line, origin_len))
        emit(log, level, "vmm", line, origin_len, line);
}

void log_vprint(struct api_log *log, enum husk_log_level level, const char *format, va_list args)
{
    static const char origin[] = "api";
    char text[LINE_MAX_BYTES];

    if (!wanted(log, level, origin, sizeof(origin) - 1))
        return;
    vsnprintf(text, sizeof(text), format, args);
    emit(log, level, "api", origin, sizeof(origin) - 1, text);
}

void log_print(struct api_log *log, enum husk_log_level level, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_vprint(log, level, format, args);
    va_end(args);
}
