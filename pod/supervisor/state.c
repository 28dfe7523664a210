// SPDX-License-Identifier: Apache-2.0
/*
 * The supervisor's record of its container: see supervisor.h. What is in memory is the truth, and
 * what clients are told; the file follows, at once where the disk allows it.
 */
#include <stdio.h>

#include "base/error.h"
#include "pod/supervisor/supervisor.h"

#define AGAIN_NS (1000 * MS_NS)

void state_set_error(struct supervisor *s, const char *text)
{
    snprintf(s->state.error, sizeof(s->state.error), "%s", text);
    make_printable(s->state.error);
}

static void update_log(struct supervisor *s)
{
    int code;

    s->state.log_lost_lines = log_file_lost(s->log_file, &code);
    snprintf(s->state.log_error, sizeof(s->state.log_error), "%s", code ? error_text(code) : "");
}

json_t *state_json(struct supervisor *s)
{
    json_t *json;

    update_log(s);
    json = container_state_encode(&s->state, s->record.created_ns);
    if (json)
        json_object_del(json, "version");
    return json;
}

int state_save(struct supervisor *s)
{
    struct husk_error error;
    char text[512];
    int ret;

    s->save_soon = false;
    update_log(s);
    ret = container_save_state(s->container, &s->state, s->record.created_ns, &error);
    if (ret == 0) {
        event_timer_disarm(s->save_timer);
        s->save_failures = 0;
        return 0;
    }
    if (s->save_failures++ == 0)
        log_error(s->log, "supervisor", "%s; it is tried again every second",
                  error_format(&error, text, sizeof(text)));
    event_timer_arm(s->save_timer, AGAIN_NS);
    return ret;
}

void state_save_soon(struct supervisor *s)
{
    if (!s->save_soon)
        event_timer_arm(s->save_timer, AGAIN_NS);
    s->save_soon = true;
}

void state_save_again(void *arg)
{
    struct supervisor *s = arg;

    if (s->phase == PHASE_OVER)
        ending_timer(s);
    else if (state_save(s) && entry_is_gone(s->container))
        stop_begin(s, (int)s->record.stop_signal, s->record.stop_grace_ms); /* nobody else could */
}

void state_changed(struct supervisor *s)
{
    (void)state_save(s);
    server_tell(s->server, json_pack("{s:s, s:o}", "event", "state", "state", state_json(s)));
}
