// SPDX-License-Identifier: Apache-2.0
/* A client of the API socket: see vm_client.h. */
#include "cli/vm_client.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"

#define PATIENCE_MS  120000u
#define REFUSALS     50 /* 10 ms apart */
#define NS_PER_MS    1000000ull
#define CHUNK_BYTES  16384u
#define HEAD_END     "\r\n\r\n"
#define STATUS_BYTES 12u /* "HTTP/1.1 204" */

static const char no_answer[] = "no answer from the VM";

/* The value of a header in the head, or NULL; `name` ends in ':'. */
static const char *find_header(const char *head, const char *name)
{
    const char *line = strstr(head, "\r\n");
    size_t len = strlen(name);

    for (; line; line = strstr(line + 2, "\r\n")) {
        if (!strncasecmp(line + 2, name, len))
            return line + 2 + len + strspn(line + 2 + len, " \t");
    }
    return NULL;
}

/* Digits up to the end of the line: the length of a body that can be. -1 for anything else. */
static ssize_t parse_length(const char *text)
{
    ssize_t value = 0;

    if (!isdigit((unsigned char)*text))
        return -1;
    for (; isdigit((unsigned char)*text); text++) {
        value = value * 10 + (*text - '0');
        if (value > (ssize_t)VM_ANSWER_MAX)
            return -1;
    }
    text += strspn(text, " \t");
    return *text == '\r' || *text == '\0' ? value : -1;
}

static int parse_status(const char *head)
{
    const char *digits = head + STATUS_BYTES - 3;

    if (strncmp(head, "HTTP/1.", 7) != 0 || !isdigit((unsigned char)head[7]) || head[8] != ' ')
        return -1;
    for (unsigned i = 0; i < 3; i++) {
        if (!isdigit((unsigned char)digits[i]))
            return -1;
    }
    if (digits[0] < '1' || digits[0] > '5')
        return -1;
    return (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0');
}

/* From a whole head, as a string, and what follows it. */
static int parse_whole_head(const char *head, const char *body, size_t body_len, bool ended,
                            struct vm_answer *out)
{
    const char *text = find_header(head, "Content-Length:");
    ssize_t length = text ? parse_length(text) : 0;
    int status = parse_status(head);

    /* No coding of the body is asked for: neither husk nor Firecracker uses one. */
    if (status < 0 || length < 0 || find_header(head, "Transfer-Encoding:"))
        return -EPROTO;
    *out = (struct vm_answer){.status = status, .body = body, .body_len = body_len};
    if (status == 204 || status == 304) /* RFC 9110, 6.4.1 */
        out->body_len = 0;
    else if (!text)
        return ended;
    else if (body_len < (size_t)length)
        return ended ? -EPROTO : 0;
    else
        out->body_len = (size_t)length;
    return 1;
}

int vm_answer_parse(const char *bytes, size_t len, bool ended, struct vm_answer *out)
{
    const char *end = memmem(bytes, len, HEAD_END, strlen(HEAD_END));
    size_t head_len = end ? (size_t)(end - bytes) : 0;
    char *head;
    int ret;

    if (len >= STATUS_BYTES && strncmp(bytes, "HTTP/1.", 7) != 0)
        return -EPROTO;
    if (!end)
        return ended || len >= VM_ANSWER_MAX ? -EPROTO : 0;
    if (head_len < STATUS_BYTES || memchr(bytes, '\0', head_len))
        return -EPROTO;
    head = strndup(bytes, head_len);
    if (!head)
        return -ENOMEM;
    ret = parse_whole_head(head, end + strlen(HEAD_END), len - head_len - strlen(HEAD_END), ended,
                           out);
    free(head);
    return ret == 0 && len >= VM_ANSWER_MAX ? -EPROTO : ret;
}

/* The file is there a moment before the VM listens on it: who has waited for the file is early.
 * Returns 0 or an errno. */
static int connect_soon(int fd, const struct sockaddr_un *address)
{
    const struct timespec pause = {.tv_nsec = 10 * NS_PER_MS};
    int code;

    for (unsigned turn = 0; turn < REFUSALS; turn++) {
        code = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? errno : 0;
        if (code != ECONNREFUSED)
            break;
        nanosleep(&pause, NULL);
    }
    return code;
}

static int connect_to(const char *path, struct husk_error *err)
{
    static const char cannot_connect[] = "cannot connect to the API socket";
    const struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    int fd, code;

    if (len == 0 || len >= sizeof(address.sun_path))
        return error_set(err, ENAMETOOLONG, path, cannot_connect,
                         "the path of a unix socket has 1 to %zu bytes",
                         sizeof(address.sun_path) - 1);
    memcpy(address.sun_path, path, len + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_set(err, errno, path, cannot_connect, NULL);
    /* A queue of connections that is full makes connect() wait. */
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    code = connect_soon(fd, &address);
    if (code == 0)
        return fd;
    close(fd);
    if (code == ECONNREFUSED)
        return error_set(err, code, path, cannot_connect,
                         "nobody listens there: the VM has ended, or the file is no socket");
    return error_set(err, code, path, cannot_connect, NULL);
}

/* Read until *answer is whole: 1 byte more than the limit is room enough to see that it is passed.
 */
static int receive(int fd, char *buffer, struct vm_answer *answer)
{
    uint64_t deadline_ns = monotonic_ns() + PATIENCE_MS * NS_PER_MS;
    size_t len = 0;
    int ret = 0;

    while (ret == 0) {
        uint64_t now_ns = monotonic_ns();
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        ssize_t n;

        if (now_ns >= deadline_ns)
            return -ETIMEDOUT;
        if (poll(&wait, 1, (int)((deadline_ns - now_ns) / NS_PER_MS) + 1) <= 0)
            continue;
        n = recv(fd, buffer + len, min_u64(CHUNK_BYTES, VM_ANSWER_MAX - len), MSG_DONTWAIT);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0)
            return -errno;
        len += (size_t)n;
        ret = vm_answer_parse(buffer, len, n == 0, answer);
        if (ret == 0 && n == 0)
            return -EPROTO;
    }
    return ret < 0 ? ret : 0;
}

static int send_request(int fd, const char *verb, const char *path, const char *body)
{
    char *text = NULL;
    int len = asprintf(&text,
                       "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                       "Accept: application/json\r\n%sContent-Length: %zu\r\n\r\n%s",
                       verb, path, body ? "Content-Type: application/json\r\n" : "",
                       body ? strlen(body) : 0, body ? body : "");
    ssize_t sent;

    if (len < 0)
        return -ENOMEM;
    /* Blocking: all of it, or it is an error. */
    sent = send(fd, text, (size_t)len, MSG_NOSIGNAL);
    free(text);
    if (sent < 0)
        return -errno;
    return sent == len ? 0 : -EIO;
}

/* What an answer means: see vm_request(). */
static int judge(struct vm_socket *vm, const struct vm_answer *answer, json_t **result,
                 struct husk_error *err)
{
    json_t *value = answer->body_len
                        ? json_loadb(answer->body, answer->body_len, JSON_REJECT_DUPLICATES, NULL)
                        : NULL;
    const char *fault = json_string_value(json_object_get(value, "fault_message"));
    int ret = 0;

    if (answer->status == 204 || (answer->status == 200 && value)) {
        *result = json_incref(value);
    } else if (answer->status >= 400 && fault) {
        snprintf(vm->refusal, sizeof(vm->refusal), "%s", fault);
        make_printable(vm->refusal);
        ret = -ECANCELED;
    } else {
        ret = error_set(err, EPROTO, vm->path, no_answer, "it is no API socket: HTTP status %d",
                        answer->status);
    }
    json_decref(value);
    return ret;
}

static int exchange(int fd, struct vm_socket *vm, const char *verb, const char *path,
                    const char *body, json_t **result, struct husk_error *err)
{
    struct vm_answer answer = {0};
    char *buffer = malloc(VM_ANSWER_MAX);
    int ret = buffer ? send_request(fd, verb, path, body) : -ENOMEM;

    if (!ret)
        ret = receive(fd, buffer, &answer);
    if (ret == -EPROTO)
        error_set(err, EPROTO, vm->path, no_answer,
                  "it is no API socket, or the VM has just ended");
    else if (ret)
        error_set(err, -ret, vm->path, no_answer, NULL);
    else
        ret = judge(vm, &answer, result, err);
    free(buffer);
    return ret;
}

int vm_request(struct vm_socket *vm, const char *verb, const char *path, const json_t *body,
               json_t **result, struct husk_error *err)
{
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    int fd, ret;

    *result = NULL;
    if (body && !text)
        return error_set(err, ENOMEM, vm->path, "cannot make the request", NULL);
    fd = connect_to(vm->path, err);
    ret = fd < 0 ? fd : exchange(fd, vm, verb, path, text, result, err);
    if (fd >= 0)
        close(fd);
    free(text);
    return ret;
}
