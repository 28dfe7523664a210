// SPDX-License-Identifier: Apache-2.0
/* All plugins of a network: see cni.h. No state. */
#include "pod/network/cni.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "pod/network/cni_exec.h"

static bool put(json_t *object, const char *name, json_t *value)
{
    return value && json_object_set(object, name, value) == 0;
}

/* Those of `runtime` that the plugin has a capability for; NULL when there is no memory. */
static json_t *runtime_of(const json_t *plugin, const json_t *runtime)
{
    const json_t *capabilities = json_object_get(plugin, "capabilities");
    json_t *out = json_object(), *value;
    const char *name;

    json_object_foreach((json_t *)runtime, name, value)
    {
        if (out && json_is_true(json_object_get(capabilities, name)) &&
            json_object_set(out, name, value)) {
            json_decref(out);
            out = NULL;
        }
    }
    return out;
}

/* Section 3, "Deriving request configuration from plugin configuration". */
static json_t *derive(const struct cni_attachment *attachment, const json_t *plugin,
                      const json_t *previous)
{
    json_t *out = json_copy((json_t *)plugin);
    json_t *runtime = runtime_of(plugin, attachment->runtime);
    bool done = out && runtime &&
                put(out, "cniVersion", json_object_get(attachment->list, "cniVersion")) &&
                put(out, "name", json_object_get(attachment->list, "name")) &&
                (!json_object_size(runtime) || put(out, "runtimeConfig", runtime)) &&
                (!previous || put(out, "prevResult", (json_t *)previous));

    json_decref(runtime);
    if (done) {
        (void)json_object_del(out, "capabilities");
        return out;
    }
    json_decref(out);
    return NULL;
}

static int call_plugin(const struct cni_attachment *attachment, const char *command, size_t index,
                       const json_t *previous, json_t **result, struct husk_error *err)
{
    const struct cni_call call = {.command = command,
                                  .container = attachment->container,
                                  .netns = attachment->netns,
                                  .interface = attachment->container ? CNI_INTERFACE : NULL,
                                  .args = attachment->args,
                                  .hold = attachment->hold,
                                  .timeout_ms = attachment->timeout_ms};
    const json_t *plugin = json_array_get(json_object_get(attachment->list, "plugins"), index);
    const char *type = json_string_value(json_object_get(plugin, "type"));
    json_t *configuration = derive(attachment, plugin, previous);
    int ret;

    *result = NULL;
    if (!configuration)
        return error_set(err, ENOMEM, type, "cannot run the CNI plugin", NULL);
    ret = cni_exec(type, &call, configuration, result, err);
    json_decref(configuration);
    return ret;
}

static size_t plugin_count(const struct cni_attachment *attachment)
{
    return json_array_size(json_object_get(attachment->list, "plugins"));
}

int cni_add(const struct cni_attachment *attachment, json_t **result, struct husk_error *err)
{
    struct husk_error second;
    json_t *previous = NULL;
    int ret = 0;

    for (size_t i = 0; !ret && i < plugin_count(attachment); i++) {
        json_t *said;

        ret = call_plugin(attachment, "ADD", i, previous, &said, err);
        if (!ret && !said)
            ret = error_set(err, EPROTO, "plugins", "cannot read the result of the CNI plugin",
                            "plugin %zu of the network said nothing", i + 1);
        json_decref(previous);
        previous = said;
    }
    *result = ret ? NULL : previous;
    if (ret) {
        json_decref(previous);
        (void)cni_delete(attachment, NULL, &second);
    }
    return ret;
}

int cni_delete(const struct cni_attachment *attachment, const json_t *result,
               struct husk_error *err)
{
    struct husk_error later;
    int first = 0;

    for (size_t i = plugin_count(attachment); i-- > 0;) {
        json_t *said;
        int ret = call_plugin(attachment, "DEL", i, result, &said, first ? &later : err);

        json_decref(said);
        first = first ? first : ret;
    }
    return first;
}

/* ---- of a network, without an attachment (section 2, "STATUS" and "GC") ---- */

bool cni_can_collect(const json_t *list)
{
    return !strcmp(json_string_value(json_object_get(list, "cniVersion")), "1.1.0");
}

int cni_status(const struct cni_attachment *attachment, struct husk_error *err)
{
    const struct cni_attachment network = {.list = attachment->list,
                                           .timeout_ms = attachment->timeout_ms};
    int ret = 0;

    if (!cni_can_collect(network.list))
        return 0;
    for (size_t i = 0; !ret && i < plugin_count(&network); i++) {
        json_t *said;

        ret = call_plugin(&network, "STATUS", i, NULL, &said, err);
        json_decref(said);
    }
    return ret;
}

/* The list whose plugins are told which attachments are valid; "cni.dev/attachments" is what a
 * draft had, and some plugins read. */
static json_t *with_valid(const json_t *list, const json_t *valid)
{
    json_t *out = json_deep_copy(list), *plugin;
    size_t i;

    json_array_foreach(json_object_get(out, "plugins"), i, plugin)
    {
        if (!put(plugin, "cni.dev/valid-attachments", (json_t *)valid) ||
            !put(plugin, "cni.dev/attachments", (json_t *)valid)) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

int cni_collect(const json_t *list, const json_t *valid, unsigned timeout_ms,
                struct husk_error *err)
{
    json_t *told = with_valid(list, valid);
    const struct cni_attachment network = {.list = told, .timeout_ms = timeout_ms};
    struct husk_error later;
    int first = told ? 0 : error_set(err, ENOMEM, "GC", "cannot run CNI plugins", NULL);

    for (size_t i = 0; told && i < plugin_count(&network); i++) {
        json_t *said;
        int ret = call_plugin(&network, "GC", i, NULL, &said, first ? &later : err);

        json_decref(said);
        first = first ? first : ret;
    }
    json_decref(told);
    return first;
}

int cni_check(const struct cni_attachment *attachment, const json_t *result, struct husk_error *err)
{
    const char *version = json_string_value(json_object_get(attachment->list, "cniVersion"));
    int ret = 0;

    if (json_is_true(json_object_get(attachment->list, "disableCheck")) ||
        !strcmp(version, "0.3.1"))
        return 0;
    for (size_t i = 0; !ret && i < plugin_count(attachment); i++) {
        json_t *said;

        ret = call_plugin(attachment, "CHECK", i, result, &said, err);
        json_decref(said);
    }
    return ret;
}
