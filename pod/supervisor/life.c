// SPDX-License-Identifier: Apache-2.0
/* From the machine's start to the program's: see supervisor.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "pod/supervisor/supervisor.h"

/* How long a guest may take to boot; one that stops is noticed at once. */
#define BOOT_TIMEOUT_MS 120000u
/* How long the machine's own reason is waited for when its agent has gone. */
#define REASON_NS       (5000 * MS_NS)

static void on_ready(void *arg, const struct agent_hello *hello)
{
    struct supervisor *s = arg;
    struct husk_error error;
    int ret;

    (void)hello;
    if (s->phase != PHASE_BOOTING)
        return;
    s->phase = PHASE_PREPARING;
    ret = prepare_begin(s);
    if (ret) {
        error_set(&error, -ret, s->record.name, "cannot be prepared", NULL);
        life_fail(s, &error, STATUS_HUSK);
    }
}

static void on_event(void *arg, const struct agent_event *event)
{
    struct supervisor *s = arg;

    if (event->kind != AGENT_EVENT_OOM || strcmp(event->container, s->record.name) != 0 ||
        s->phase >= PHASE_OVER || event->kills <= s->state.oom_kills || event->kills > INT64_MAX)
        return;
    s->state.oom_kills = event->kills;
    state_save_soon(s); /* a guest can make many of these */
    server_tell(s->server,
                json_pack("{s:s, s:I}", "event", "oom", "kills", (json_int_t)s->state.oom_kills));
}

/* What the guest said last tells more than that it says nothing any more. */
static void on_lost(void *arg, const struct husk_error *why)
{
    struct supervisor *s = arg;
    struct husk_error error = *why;
    char words[1024] = "";

    if (s->phase >= PHASE_POWER_OFF)
        return;
    s->ops->last_words(s->machine, words, sizeof(words));
    if (words[0])
        log_error(s->log, "supervisor", "the guest's last words: %s", words);
    if (s->phase == PHASE_BOOTING)
        error_set(&error, why->code, "the virtual machine", "has not come up", "%s%s%.100s",
                  why->why, words[0] ? "; its last words: " : "", words);
    life_fail(s, &error, s->phase < PHASE_RUNNING ? STATUS_HUSK : STATUS_LOST);
}

int life_begin(struct supervisor *s, struct husk_error *err)
{
    const struct agent_client_callbacks callbacks = {
        .ready = on_ready, .event = on_event, .lost = on_lost, .arg = s};
    int ret = boot_machine(s, err);

    if (ret)
        return ret;
    ret = agent_client_open(s->loop, s->ops->connector(s->machine), BOOT_TIMEOUT_MS, &callbacks,
                            &s->agent, err);
    s->processes.agent = s->agent;
    s->processes.connector = s->ops->connector(s->machine);
    if (ret == 0)
        state_changed(s);
    return ret;
}

/* ---- the end of the program ---- */

static void on_program_exit(void *arg, const json_t *result, const struct husk_error *error)
{
    struct supervisor *s = arg;
    struct husk_error wrong;
    struct agent_exit exit;

    if (s->phase >= PHASE_DRAINING)
        return;
    if (!error && agent_read_exit(result, "wait", &exit, &wrong))
        error = &wrong;
    if (error) {
        life_fail(s, error, STATUS_LOST);
    } else if (s->phase == PHASE_STARTING) {
        s->ended_early = true;
        s->early = exit;
    } else {
        ending_exited(s, &exit);
    }
}

static int await_exit(struct supervisor *s, struct husk_error *err)
{
    json_t *params = json_pack("{s:s}", "container", s->record.name);

    return agent_client_call(s->agent, "wait", params, 0, on_program_exit, s, err);
}

/* ---- its start ---- */

static void on_started(void *arg, const json_t *result, const struct husk_error *error)
{
    struct supervisor *s = arg;

    (void)result;
    if (s->phase >= PHASE_DRAINING)
        return;
    if (error) {
        life_fail(s, error, exec_status_of(error));
        return;
    }
    s->phase = PHASE_RUNNING;
    s->state.status = CONTAINER_RUNNING;
    s->state.started_ns = process_now_ns();
    state_changed(s);
    server_answer(s->server, s->start, json_object());
    s->start = (struct ticket){.connection = 0};
    stop_timeout_arm(s);
    if (s->ended_early)
        ending_exited(s, &s->early);
}

static void start_now(struct supervisor *s)
{
    struct husk_error error;
    json_t *params = json_pack("{s:s}", "container", s->record.name);
    int ret;

    s->phase = PHASE_STARTING;
    ret = agent_client_call(s->agent, "start", params, AGENT_CLIENT_TIMEOUT_MS, on_started, s,
                            &error);
    if (ret)
        life_fail(s, &error, STATUS_HUSK);
}

void life_prepared(struct supervisor *s)
{
    struct husk_error error;

    if (s->phase != PHASE_PREPARING)
        return;
    s->phase = PHASE_READY;
    if (await_exit(s, &error)) {
        life_fail(s, &error, STATUS_HUSK);
        return;
    }
    exec_begin_all(&s->processes);
    if (s->start_asked)
        start_now(s);
}

void life_start(struct supervisor *s, struct ticket ticket)
{
    struct husk_error error;

    if (!s->start_asked && s->failure.code) {
        s->start_asked = true;
        server_refuse(s->server, ticket, &s->failure, s->state.exit.status);
        return;
    }
    if (s->start_asked || s->phase >= PHASE_DRAINING) {
        error_set(&error, EBUSY, "start", "is not possible", "%s",
                  s->phase >= PHASE_DRAINING ? "the container has ended" : "it was asked already");
        server_refuse(s->server, ticket, &error, 0);
        return;
    }
    s->start_asked = true;
    s->start = ticket;
    if (s->phase == PHASE_READY)
        start_now(s);
}

void life_refuse_start(struct supervisor *s, const struct husk_error *error, uint8_t status)
{
    s->failure = *error;
    if (s->start.connection)
        server_refuse(s->server, s->start, error, status);
    s->start = (struct ticket){.connection = 0};
}

/* A machine that ends takes its agent along, which is heard of first and explains nothing. */
static bool waits_for_reason(struct supervisor *s, const struct husk_error *error, uint8_t status)
{
    if (error->code != ECONNRESET || s->phase >= PHASE_DRAINING || !s->machine)
        return false;
    if (!s->lost.code) {
        s->lost = *error;
        s->lost_status = status;
        event_timer_arm(s->phase_timer, REASON_NS);
    }
    return true;
}

void life_lost(struct supervisor *s)
{
    struct husk_error error = s->lost;

    if (!error.code)
        return;
    error.code = EIO;
    life_fail(s, &error, s->lost_status);
}

void life_fail(struct supervisor *s, const struct husk_error *error, uint8_t status)
{
    char text[sizeof(s->state.error)];

    if (s->phase >= PHASE_POWER_OFF || waits_for_reason(s, error, status))
        return;
    error_format(error, text, sizeof(text));
    log_error(s->log, "supervisor", "%s", text);
    if (!s->state.ended) {
        s->state.ended = true;
        s->state.exit = (struct container_exit){.status = status};
        s->state.finished_ns = process_now_ns();
        state_set_error(s, text);
        state_changed(s);
    }
    life_refuse_start(s, error, s->state.exit.status);
    ending_power_off(s);
}
