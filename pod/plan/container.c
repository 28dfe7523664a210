// SPDX-License-Identifier: Apache-2.0
/* One container: its "create", made by pod/spec of what the Pod object says. No state. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "pod/plan/environment.h"
#include "pod/plan/expand.h"
#include "pod/plan/mounts.h"
#include "pod/plan/resources.h"
#include "pod/plan/security.h"

struct making {
    struct plan *plan;
    const json_t *object; /* of the Pod */
    const struct image_config *image;
    struct plan_container *out;
    json_t *variables, *resources;
    struct security_plan security;
    struct mounts_plan mounts;
    char **words; /* the command, ours */
    unsigned word_count;
    size_t word_bytes;
    char **env; /* NAME=VALUE, ours */
    unsigned env_count;
};

static void clear(struct making *m)
{
    for (unsigned i = 0; i < m->word_count; i++)
        free(m->words[i]);
    for (unsigned i = 0; i < m->env_count; i++)
        free(m->env[i]);
    free(m->words);
    free(m->env);
    mounts_clear(&m->mounts);
    json_decref(m->variables);
    json_decref(m->resources);
    free(m);
}

static int find_image(struct making *m, struct husk_error *err)
{
    const struct plan_input *in = m->plan->in;
    const char *reference = plan_text(m->object, "image");
    char where[PLAN_WHERE_BYTES];

    for (unsigned i = 0; i < in->image_count; i++) {
        if (!strcmp(in->images[i].reference, reference)) {
            m->image = in->images[i].config;
            m->out->image = i;
            return 0;
        }
    }
    return plan_refuse(err, ENOENT, plan_where(where, "%s.image", m->out->field),
                       "the image is not there");
}

/* ---- the command ---- */

/* Words can be made of values many times over; "create" has to hold them all. */
static int add_word(struct making *m, const json_t *word, const char *where, struct husk_error *err)
{
    char **place = &m->words[m->word_count];
    int ret = expand(json_string_value(word), m->variables, place, NULL, NULL);

    if (ret)
        return plan_refuse(err, -ret, where, "is longer than %u bytes with what it refers to",
                           EXPAND_MAX);
    m->word_count++;
    m->word_bytes += strlen(*place) + 1;
    return m->word_bytes <= HUSK_AGENT_FRAME_MAX
               ? 0
               : plan_refuse(err, E2BIG, where, "is more than %u bytes with what it refers to",
                             HUSK_AGENT_FRAME_MAX);
}

static int add_own(struct making *m, const json_t *list, const char *name, struct husk_error *err)
{
    char where[PLAN_WHERE_BYTES];
    const json_t *word;
    size_t index;
    int ret = 0;

    plan_where(where, "%s.%s", m->out->field, name);
    json_array_foreach(list, index, word)
    {
        if (!ret)
            ret = add_word(m, word, where, err);
    }
    return ret;
}

static int add_images(struct making *m, const struct image_words *list, struct husk_error *err)
{
    for (unsigned i = 0; i < list->count; i++) {
        m->words[m->word_count] = strdup(list->words[i]);
        if (!m->words[m->word_count])
            return plan_no_memory(err);
        m->word_count++;
    }
    return 0;
}

/* "Define a Command and Arguments for a Container": a command takes the image's arguments away,
 * too. References to variables are not looked for in the image's. */
static int make_command(struct making *m, struct husk_error *err)
{
    const json_t *command = json_object_get(m->object, "command");
    const json_t *args = json_object_get(m->object, "args");
    size_t count = json_array_size(command) + json_array_size(args) + m->image->entrypoint.count +
                   m->image->command.count;
    char where[PLAN_WHERE_BYTES];
    int ret;

    m->words = calloc(count + 1, sizeof(*m->words));
    if (!m->words)
        return plan_no_memory(err);
    ret = json_array_size(command) ? add_own(m, command, "command", err)
                                   : add_images(m, &m->image->entrypoint, err);
    if (!ret && json_array_size(args))
        ret = add_own(m, args, "args", err);
    else if (!ret && !json_array_size(command))
        ret = add_images(m, &m->image->command, err);
    if (!ret && !m->word_count)
        ret = plan_refuse(err, EINVAL, plan_where(where, "%s.command", m->out->field),
                          "is missing, and the image does not say what to run");
    return ret;
}

static int make_environment(struct making *m, struct husk_error *err)
{
    const char *name;
    json_t *value;
    int ret = environment_of(m->plan, m->object, m->out->field, &m->variables, err);

    if (ret)
        return ret;
    m->env = calloc(json_object_size(m->variables) + 1, sizeof(*m->env));
    if (!m->env)
        return plan_no_memory(err);
    json_object_foreach(m->variables, name, value)
    {
        if (asprintf(&m->env[m->env_count], "%s=%s", name, json_string_value(value)) < 0)
            return plan_no_memory(err);
        m->env_count++;
    }
    return 0;
}

static int make_resources(struct making *m, struct spec_member *member, struct husk_error *err)
{
    const struct pod_plan *out = m->plan->out;
    struct resources resources;
    int ret = resources_read(m->object, m->out->field, &resources, err);

    if (ret)
        return ret;
    m->resources = resources_json(&resources, false);
    m->out->resources = resources_json(&resources, true);
    member->resources = m->resources;
    member->oom_score_adj =
        resources_oom_score(out->qos_class, &resources, out->machine->memory_bytes);
    return m->resources && m->out->resources ? 0 : plan_no_memory(err);
}

/* ---- its "create" ---- */

/* spec_build() knows options of a command line; here they come from fields. */
static int by_field(const struct making *m, int code, const struct husk_error *inner,
                    struct husk_error *err)
{
    static const struct {
        const char *option, *field;
    } names[] = {
        {"--hostname", "hostname"},
        {"--env", "env"},
        {"--workdir", "workingDir"},
        {"--user", "securityContext.runAsUser"},
        {"--cap-add", "securityContext.capabilities.add"},
        {"--cap-drop", "securityContext.capabilities.drop"},
        {"--security-opt seccomp=", "securityContext.seccompProfile.localhostProfile"},
        {"--tty", "tty"},
        {"mount", "volumeMounts"},
        {"the command", "command"},
        {"the environment", "env"},
        {"the image", "image"},
    };
    char where[PLAN_WHERE_BYTES];

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        size_t len = strlen(names[i].option);

        if (!strncmp(inner->where, names[i].option, len))
            return error_set(
                err, -code,
                plan_where(where, "%s.%s%s", m->out->field, names[i].field, inner->where + len),
                inner->what, "%s", inner->why);
    }
    return error_set(err, -code, plan_where(where, "%s: %s", m->out->field, inner->where),
                     inner->what, "%s", inner->why);
}

static int build_spec(struct making *m, struct spec_member *member, struct spec *spec,
                      struct husk_error *err)
{
    const struct security_plan *security = &m->security;
    const char *words[] = {security->seccomp, "no-new-privileges"};
    const struct plan_input *in = m->plan->in;
    const json_t *lifecycle = json_object_get(m->object, "lifecycle");
    struct husk_error inner = {.code = 0};
    const struct spec_options options = {
        .hostname = m->plan->hostname,
        .command = {(const char *const *)m->words, m->word_count},
        .entrypoint = "",
        .tty = m->out->tty,
        .env = {(const char *const *)m->env, m->env_count},
        .directory = plan_text(m->object, "workingDir"),
        .user = security->user,
        .stop_signal = plan_text(lifecycle, "stopSignal"),
        .read_only = security->read_only,
        .cap_add = {security->add, security->add_count},
        .cap_drop = {security->drop, security->drop_count},
        .security = {words, security->no_new_privileges ? 2 : 1},
        .kernel_major = in->kernel_major,
        .kernel_minor = in->kernel_minor,
        .member = member,
    };
    int ret;

    member->mounts = m->mounts.list;
    member->mount_count = m->mounts.count;
    member->groups = security->groups;
    member->group_count = security->group_count;
    member->privileged = security->privileged;
    member->unmasked = security->unmasked;
    ret = spec_build(m->image, &options, spec, &inner);
    return ret ? by_field(m, ret, &inner, err) : 0;
}

/* The image's volumes are new ones at each start, and filled with what the image has there. */
static int ask_image_volumes(struct plan_container *out, const struct spec *spec, json_t *fill,
                             struct husk_error *err)
{
    int ret = 0;

    for (unsigned i = 0; i < spec->volume_count && !ret; i++) {
        const char *name = spec->volumes[i].name;

        ret = plan_ask(out->before, "volume.add",
                       json_pack("{s:s, s:s}", "volume", name, "directory", "scratch"), err);
        if (!ret)
            ret = plan_ask(out->after, "volume.remove", json_pack("{s:s}", "volume", name), err);
        if (!ret)
            ret = plan_append(fill, json_string(name), err);
    }
    return ret;
}

static int make_create(struct making *m, const struct spec *spec, struct husk_error *err)
{
    struct plan_container *out = m->out;
    json_t *fill = json_array();
    int ret = fill ? ask_image_volumes(out, spec, fill, err) : plan_no_memory(err);

    out->stop_signal = spec->stop_signal;
    if (!ret) {
        out->create = json_pack("{s:s, s:O, s:b, s:s}", "container", out->name, "config",
                                spec->config, "stdin", (int)out->stdin_open, "user", spec->user);
        ret = out->create ? 0 : plan_no_memory(err);
    }
    if (!ret && json_array_size(fill))
        ret = plan_put(out->create, "fill", json_incref(fill), err);
    json_decref(fill);
    return ret;
}

static int make(struct making *m, struct husk_error *err)
{
    struct plan_container *out = m->out;
    struct spec_member member = {
        .share_pid = json_is_true(json_object_get(m->plan->spec, "shareProcessNamespace"))};
    char prefix[9];
    struct spec spec;
    int ret = find_image(m, err);

    snprintf(prefix, sizeof(prefix), "c%u-", (unsigned)(out - m->plan->out->containers) % 1000);
    member.prefix = prefix;
    if (!ret)
        ret = make_environment(m, err);
    if (!ret)
        ret = make_command(m, err);
    if (!ret)
        ret = security_of(m->plan, m->object, m->image, out->field, &m->security, err);
    if (!ret)
        ret = mounts_of(m->plan, m->object, m->variables, m->security.read_only, out, &m->mounts,
                        err);
    if (!ret)
        ret = make_resources(m, &member, err);
    if (!ret)
        ret = build_spec(m, &member, &spec, err);
    if (ret)
        return ret;
    ret = make_create(m, &spec, err);
    spec_clear(&spec);
    return ret;
}

int plan_container(struct plan *plan, const json_t *object, struct plan_container *out,
                   struct husk_error *err)
{
    struct making *m = calloc(1, sizeof(*m));
    int ret;

    out->before = json_array();
    out->after = json_array();
    out->tty = json_is_true(json_object_get(object, "tty"));
    out->stdin_open = json_is_true(json_object_get(object, "stdin"));
    out->stdin_once = json_is_true(json_object_get(object, "stdinOnce"));
    if (!m)
        return plan_no_memory(err);
    m->plan = plan;
    m->object = object;
    m->out = out;
    ret = out->before && out->after ? make(m, err) : plan_no_memory(err);
    clear(m);
    return ret;
}
