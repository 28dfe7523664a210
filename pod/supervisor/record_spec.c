// SPDX-License-Identifier: Apache-2.0
/* spec.json: see record.h. */
#include <errno.h>

#include "base/checked.h"
#include "pod/supervisor/record_internal.h"

static const char *const stdin_names[] = {
    [CONTAINER_STDIN_NONE] = "none",
    [CONTAINER_STDIN_OPEN] = "open",
    [CONTAINER_STDIN_ONCE] = "once",
};

struct range {
    const char *name;
    uint64_t min, max;
    uint64_t *to;
};

static int decode_numbers(const json_t *document, const struct range *ranges, unsigned count,
                          const char *where, struct husk_error *err)
{
    for (unsigned i = 0; i < count; i++) {
        int ret = image_json_u64(document, ranges[i].name, ranges[i].max, ranges[i].to, where, err);

        if (ret)
            return ret;
        if (*ranges[i].to < ranges[i].min)
            return error_set(err, EINVAL, where, "is not a record of husk", "%s is less than %llu",
                             ranges[i].name, (unsigned long long)ranges[i].min);
    }
    return 0;
}

static int decode_names(const json_t *document, struct container_spec *out, const char *where,
                        struct husk_error *err)
{
    int ret = image_json_text(document, "id", true, out->id, sizeof(out->id), where, err);

    if (ret == 0)
        ret = image_json_text(document, "name", true, out->name, sizeof(out->name), where, err);
    if (ret == 0 && (!container_id_valid(out->id) || !container_name_valid(out->name)))
        ret = error_set(err, EINVAL, where, "is not a record of husk", "the id or name is wrong");
    return ret;
}

static int decode_objects(const json_t *document, struct container_spec *out, const char *where,
                          struct husk_error *err)
{
    const struct {
        const char *name;
        json_t **to;
    } objects[] = {{"image", &out->image},
                   {"spec", &out->spec},
                   {"machine", &out->machine},
                   {"labels", &out->labels}};

    for (unsigned i = 0; i < ARRAY_SIZE(objects); i++) {
        json_t *object = json_object_get(document, objects[i].name);

        if (!json_is_object(object))
            return error_set(err, EINVAL, where, "is not a record of husk", "%s is not an object",
                             objects[i].name);
        *objects[i].to = json_incref(object);
    }
    return 0;
}

static int decode(const json_t *document, struct container_spec *out, const char *where,
                  struct husk_error *err)
{
    uint64_t stop_signal = 0, log_files = 0;
    const struct range ranges[] = {
        {"created_ns", 0, INT64_MAX, &out->created_ns},
        {"stop_signal", 1, 64, &stop_signal},
        {"stop_grace_ms", 0, CONTAINER_MS_MAX, &out->stop_grace_ms},
        {"timeout_ms", 0, CONTAINER_MS_MAX, &out->timeout_ms},
        {"log_file_bytes", 4096, INT64_MAX, &out->log_file_bytes},
        {"log_files", 0, 100, &log_files},
    };
    unsigned stdin_mode = 0;
    int ret = record_version(document, where, err);

    if (ret == 0)
        ret = decode_names(document, out, where, err);
    if (ret == 0)
        ret = decode_numbers(document, ranges, ARRAY_SIZE(ranges), where, err);
    if (ret == 0)
        ret = record_flag(document, "remove", &out->remove, where, err);
    if (ret == 0)
        ret = record_choice(document, "stdin", stdin_names, ARRAY_SIZE(stdin_names), &stdin_mode,
                            where, err);
    if (ret)
        return ret;
    out->stdin_mode = stdin_mode;
    out->stop_signal = (unsigned)stop_signal;
    out->log_files = (unsigned)log_files;
    return decode_objects(document, out, where, err);
}

int container_spec_decode(const void *bytes, size_t len, const char *where,
                          struct container_spec *out, struct husk_error *err)
{
    json_t *document;
    int ret;

    *out = (struct container_spec){.id = ""};
    if (len > CONTAINER_SPEC_MAX)
        return error_set(err, EFBIG, where, "is too long for a record", NULL);
    document = image_json_parse(bytes, len, where, err);
    ret = document ? decode(document, out, where, err) : -EINVAL;
    json_decref(document);
    if (ret)
        container_spec_clear(out);
    return ret;
}

json_t *container_spec_encode(const struct container_spec *spec)
{
    return json_pack("{s:i, s:s, s:s, s:I, s:O, s:O, s:O, s:O, s:b, s:s, s:i, s:I, s:I, s:I, s:i}",
                     "version", (int)RECORD_VERSION, "id", spec->id, "name", spec->name,
                     "created_ns", (json_int_t)spec->created_ns, "image", spec->image, "spec",
                     spec->spec, "machine", spec->machine, "labels", spec->labels, "remove",
                     (int)spec->remove, "stdin", stdin_names[spec->stdin_mode], "stop_signal",
                     (int)spec->stop_signal, "stop_grace_ms", (json_int_t)spec->stop_grace_ms,
                     "timeout_ms", (json_int_t)spec->timeout_ms, "log_file_bytes",
                     (json_int_t)spec->log_file_bytes, "log_files", (int)spec->log_files);
}

void container_spec_clear(struct container_spec *spec)
{
    json_decref(spec->image);
    json_decref(spec->spec);
    json_decref(spec->machine);
    json_decref(spec->labels);
    *spec = (struct container_spec){.id = ""};
}
