// SPDX-License-Identifier: Apache-2.0
/* A pod's names and its spec.json: see record.h. */
#include "pod/pods/record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/error.h"
#include "pod/image/json.h"
#include "pod/manifest/manifest.h"
#include "pod/pods/record_internal.h"

#define DEFAULT_NAMESPACE "default"

/* ---- names ---- */

/* A DNS label or subdomain of Kubernetes, as far as a file's name is concerned. */
static bool is_part(const char *text, size_t len)
{
    if (len < 1 || len > MANIFEST_NAME_MAX || text[0] == '.' || text[0] == '-')
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!((text[i] >= 'a' && text[i] <= 'z') || (text[i] >= '0' && text[i] <= '9') ||
              text[i] == '-' || text[i] == '.'))
            return false;
    }
    return true;
}

bool pod_key_valid(const char *key)
{
    const char *space = strchr(key, '_');

    if (!space)
        return is_part(key, strlen(key));
    return is_part(key, (size_t)(space - key)) && is_part(space + 1, strlen(space + 1));
}

int pod_key_make(const char *space, const char *name, char key[POD_KEY_BYTES])
{
    bool plain = !space || !space[0] || !strcmp(space, DEFAULT_NAMESPACE);
    int len = snprintf(key, POD_KEY_BYTES, "%s%s%s", plain ? "" : space, plain ? "" : "_", name);

    return len < (int)POD_KEY_BYTES ? 0 : -ENAMETOOLONG;
}

static bool uid_valid(const char *uid)
{
    return strnlen(uid, POD_UID_BYTES) == POD_UID_BYTES - 1 &&
           strspn(uid, "0123456789abcdef") == POD_UID_BYTES - 1;
}

int pod_uid_new(char uid[POD_UID_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t random[(POD_UID_BYTES - 1) / 2];

    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return errno ? -errno : -EIO;
    for (size_t i = 0; i < sizeof(random); i++) {
        uid[2 * i] = digits[random[i] >> 4];
        uid[2 * i + 1] = digits[random[i] & 15];
    }
    uid[2 * sizeof(random)] = '\0';
    return 0;
}

/* ---- spec.json ---- */

int pod_record_version(const json_t *document, const char *where, struct husk_error *err)
{
    uint64_t version;
    int ret = image_json_u64(document, "version", INT64_MAX, &version, where, err);

    if (ret)
        return ret;
    return version == POD_RECORD_VERSION
               ? 0
               : error_set(err, ENOTSUP, where, "is of another version of husk",
                           "version %llu; this one reads %u", (unsigned long long)version,
                           POD_RECORD_VERSION);
}

static int wrong(struct husk_error *err, const char *where, const char *why)
{
    return error_set(err, EINVAL, where, "is not a record of husk", "%s", why);
}

static int decode_texts(const json_t *document, struct pod_record *out, const char *where,
                        struct husk_error *err)
{
    int ret = image_json_text(document, "uid", true, out->uid, sizeof(out->uid), where, err);

    if (ret == 0)
        ret = image_json_text(document, "key", true, out->key, sizeof(out->key), where, err);
    if (ret == 0)
        ret = image_json_text(document, "network", true, out->network, sizeof(out->network), where,
                              err);
    if (ret == 0)
        ret =
            image_json_text(document, "kernel", true, out->kernel, sizeof(out->kernel), where, err);
    if (ret == 0)
        ret = image_json_text(document, "store", false, out->store, sizeof(out->store), where, err);
    if (ret)
        return ret;
    if (!uid_valid(out->uid) || !pod_key_valid(out->key))
        return wrong(err, where, "the uid or key is wrong");
    if ((out->kernel[0] && out->kernel[0] != '/') || (out->store[0] && out->store[0] != '/'))
        return wrong(err, where, "a path is not absolute");
    return 0;
}

/* The key is what the pod's own names make. */
static int check_key(const struct pod_record *record, const char *where, struct husk_error *err)
{
    const json_t *metadata = json_object_get(record->pod, "metadata");
    const char *name = json_string_value(json_object_get(metadata, "name"));
    const char *space = json_string_value(json_object_get(metadata, "namespace"));
    char key[POD_KEY_BYTES];

    if (!name || pod_key_make(space, name, key) || strcmp(key, record->key) != 0)
        return wrong(err, where, "the key is not that of the pod");
    return 0;
}

static int decode(const json_t *document, struct pod_record *out, const char *where,
                  struct husk_error *err)
{
    const json_t *pod, *objects, *remove = json_object_get(document, "remove");
    int ret = pod_record_version(document, where, err);

    if (ret == 0)
        ret = decode_texts(document, out, where, err);
    if (ret == 0)
        ret = image_json_u64(document, "created_ns", INT64_MAX, &out->created_ns, where, err);
    if (ret == 0)
        ret = image_json_member(document, "pod", JSON_OBJECT, true, &pod, where, err);
    if (ret == 0)
        ret = image_json_member(document, "objects", JSON_OBJECT, true, &objects, where, err);
    if (ret == 0 && !json_is_boolean(remove))
        ret = wrong(err, where, "remove is not a boolean");
    if (ret)
        return ret;
    out->remove = json_is_true(remove);
    out->pod = json_incref((json_t *)pod);
    out->objects = json_incref((json_t *)objects);
    ret = manifest_check_pod(pod, where, err);
    if (ret == 0)
        ret = manifest_check_objects(objects, where, err);
    return ret ? ret : check_key(out, where, err);
}

int pod_record_decode(const void *bytes, size_t len, const char *where, struct pod_record *out,
                      struct husk_error *err)
{
    json_t *document = image_json_parse_long(bytes, len, POD_RECORD_MAX, where, err);
    int ret = -EINVAL;

    memset(out, 0, sizeof(*out));
    if (document)
        ret = decode(document, out, where, err);
    json_decref(document);
    if (ret)
        pod_record_clear(out);
    return ret;
}

json_t *pod_record_encode(const struct pod_record *record)
{
    return json_pack("{s:i, s:s, s:s, s:I, s:O, s:O, s:s, s:s, s:s*, s:b}", "version",
                     (int)POD_RECORD_VERSION, "uid", record->uid, "key", record->key, "created_ns",
                     (json_int_t)record->created_ns, "pod", record->pod, "objects", record->objects,
                     "network", record->network, "kernel", record->kernel, "store",
                     record->store[0] ? record->store : NULL, "remove", (int)record->remove);
}

void pod_record_clear(struct pod_record *record)
{
    json_decref(record->pod);
    json_decref(record->objects);
    memset(record, 0, sizeof(*record));
}
