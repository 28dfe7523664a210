// SPDX-License-Identifier: Apache-2.0
/* See pull_secrets.h. The forms are those of kubernetes.io/dockerconfigjson and dockercfg. */
#include "pod/pods/pull_secrets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pod/image/auth.h"
#include "pod/image/json.h"
#include "pod/image/reference.h"
#include "pod/manifest/base64.h"

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

/* "auth", or what is made of "username" and "password". A new reference; NULL: neither. */
static json_t *entry_of(const json_t *given)
{
    const char *auth = text_of(given, "auth");
    struct credentials made;
    json_t *entry;

    if (!auth[0] && credentials_make(text_of(given, "username"), text_of(given, "password"), &made))
        return NULL;
    entry = json_pack("{s:s}", "auth", auth[0] ? auth : made.basic);
    explicit_bzero(&made, sizeof(made));
    return entry;
}

/* Whether there was any. */
static bool take_entries(json_t *all, json_t *auths)
{
    const char *host;
    bool some = false;
    json_t *given;

    json_object_foreach(auths, host, given)
    {
        json_t *entry = entry_of(given);

        some |= entry != NULL;
        if (entry && !json_object_get(all, host))
            json_object_set(all, host, entry);
        json_decref(entry);
    }
    return some;
}

static bool take_secret(json_t *all, const json_t *secret)
{
    const json_t *data = json_object_get(secret, "data");
    const json_t *modern = json_object_get(data, ".dockerconfigjson");
    const json_t *value = modern ? modern : json_object_get(data, ".dockercfg");
    json_t *document;
    uint8_t *bytes;
    size_t len;
    bool some;

    if (!json_is_string(value) ||
        manifest_base64_decode(json_string_value(value), json_string_length(value), &bytes, &len))
        return false;
    document = image_json_parse((const char *)bytes, len, "a secret", NULL);
    explicit_bzero(bytes, len);
    free(bytes);
    some = take_entries(all, modern ? json_object_get(document, "auths") : document);
    json_decref(document);
    return some;
}

int pull_secrets_read(const json_t *spec, const json_t *secrets, json_t **auths,
                      void (*warn)(void *arg, const char *line), void *arg)
{
    json_t *all = json_object(), *one;
    size_t index;

    *auths = NULL;
    if (!all)
        return -ENOMEM;
    json_array_foreach(json_object_get(spec, "imagePullSecrets"), index, one)
    {
        const char *name = text_of(one, "name");
        const json_t *secret = json_object_get(secrets, name);
        char line[400];

        if (secret && take_secret(all, secret))
            continue;
        snprintf(line, sizeof(line),
                 "the image pull secret \"%.253s\" %s; images are pulled without it", name,
                 secret ? "has no credentials for registries in it" : "is not there");
        warn(arg, line);
    }
    if (json_object_size(all))
        *auths = json_pack("{s:O}", "auths", all);
    json_decref(all);
    return 0;
}

char *pull_secrets_for(const json_t *auths, const char *image)
{
    char *text = auths ? json_dumps(auths, JSON_COMPACT) : NULL;
    struct credentials found = {.basic = ""};
    struct reference reference;

    if (text && (reference_parse(image, &reference, NULL) ||
                 credentials_parse(text, strlen(text), "secrets", reference.registry,
                                   reference.repository, &found, NULL) ||
                 !found.basic[0])) {
        pull_secrets_free(text);
        text = NULL;
    }
    explicit_bzero(&found, sizeof(found));
    return text;
}

void pull_secrets_free(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}
