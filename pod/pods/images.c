// SPDX-License-Identifier: Apache-2.0
/* A pod's images: see images.h. */
#include "pod/pods/images.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/image/reference.h"
#include "pod/image/store.h"
#include "pod/pods/pull_secrets.h"
#include "pod/pods/puller.h"

static void try_next(struct images *images);

static enum image_policy policy_of(const json_t *container)
{
    const char *text = json_string_value(json_object_get(container, "imagePullPolicy"));

    if (text && !strcmp(text, "Always"))
        return IMAGE_ALWAYS;
    return text && !strcmp(text, "Never") ? IMAGE_NEVER : IMAGE_IF_NOT_PRESENT;
}

unsigned images_index(const struct images *images, const char *reference)
{
    unsigned index = 0;

    for (; index < images->count; index++) {
        const char *one = images->list[index].reference;

        if (one && !strcmp(one, reference))
            break;
    }
    return index;
}

/* One image of several containers is pulled when one of them wants it, and looked for only once. */
static int add(struct images *images, const json_t *containers)
{
    for (size_t i = 0; i < json_array_size(containers); i++) {
        const json_t *container = json_array_get(containers, i);
        const char *image = json_string_value(json_object_get(container, "image"));
        const char *reference = image ? image : "";
        enum image_policy policy = policy_of(container);
        unsigned index = images_index(images, reference);

        if (index == images->count) {
            char *own = strdup(reference);

            if (!own)
                return -ENOMEM;
            images->list[images->count++] =
                (struct pod_image){.reference = own, .policy = policy, .reason = ""};
        } else if (policy == IMAGE_ALWAYS || images->list[index].policy == IMAGE_NEVER) {
            images->list[index].policy = policy;
        }
    }
    return 0;
}

static void on_again(void *arg)
{
    try_next(arg);
}

int images_create(struct images *images, const json_t *pod)
{
    const json_t *spec = json_object_get(pod, "spec");
    const json_t *first = json_object_get(spec, "initContainers");
    const json_t *others = json_object_get(spec, "containers");
    int ret;

    images->pull = images->words = -1;
    images->list =
        calloc(json_array_size(first) + json_array_size(others) + 1, sizeof(*images->list));
    if (!images->list)
        return -ENOMEM;
    ret = add(images, first);
    if (ret == 0)
        ret = add(images, others);
    return ret ? ret : event_loop_add_timer(images->loop, on_again, images, &images->again);
}

/* ---- looking ---- */

static int read_image(struct image_store *store, struct pod_image *image, struct husk_error *err)
{
    struct image_record *record = calloc(1, sizeof(*record));
    char *bytes = NULL;
    size_t len;
    int ret = record ? image_store_find(store, image->reference, record, err)
                     : error_set(err, ENOMEM, image->reference, "cannot be looked for", NULL);

    if (ret == 0)
        ret = image_store_get_blob(store, &record->config, &bytes, &len, err);
    if (ret == 0) {
        image_config_clear(&image->config);
        ret = image_config_parse(bytes, len, image->reference, &image->config, err);
    }
    if (ret == 0)
        snprintf(image->id, sizeof(image->id), "%s", record->manifest.text);
    free(bytes);
    free(record);
    return ret;
}

static int find(struct images *images, struct pod_image *image, struct husk_error *err)
{
    struct image_store *store = NULL;
    char path[4096];
    int ret = images->store[0] ? 0 : image_store_default(path, sizeof(path), err);

    if (ret == 0)
        ret = image_store_open(images->store[0] ? images->store : path, false, &store, err);
    if (ret == 0)
        ret = read_image(store, image, err);
    image_store_close(store);
    return ret;
}

/* ---- what becomes of one ---- */

static void say(struct images *images, const char *reason, const char *message)
{
    images->changed(images->arg, images->next, reason, message);
}

static void fail(struct images *images, const char *reason, const char *message)
{
    struct pod_image *image = &images->list[images->next];

    image->reason = reason;
    snprintf(image->message, sizeof(image->message), "%s", message);
    make_printable(image->message);
    say(images, "Failed", image->message);
}

static void fail_by(struct images *images, const char *reason, const struct husk_error *error)
{
    char text[512];

    fail(images, reason, error_format(error, text, sizeof(text)));
}

/* Kubelets show the error for a while, and then say that they wait before the next try. */
#define SHOWN_NS (UINT64_C(2) * 1000000000)

static void wait_again(struct images *images)
{
    struct pod_image *image = &images->list[images->next];
    uint64_t delay_ns = backoff_failed(&image->backoff, 0);

    if (delay_ns < BACKOFF_FIRST_NS)
        delay_ns = BACKOFF_FIRST_NS;
    image->wait_ns = !strcmp(image->reason, "ErrImagePull") ? delay_ns - SHOWN_NS : 0;
    event_timer_arm(images->again, image->wait_ns ? SHOWN_NS : delay_ns);
}

static void took(struct images *images)
{
    struct pod_image *image = &images->list[images->next];

    image->there = true;
    image->reason = "";
    image->message[0] = '\0';
    images->changed(images->arg, images->next, NULL, NULL);
    images->next++;
    event_timer_arm(images->again, 0);
}

/* ---- pulling ---- */

static void read_words(struct images *images)
{
    char bytes[1024];
    ssize_t len;

    /* What was said last is what went wrong. */
    while ((len = read(images->words, bytes, sizeof(bytes) - 1)) > 0) {
        char *line;

        bytes[len] = '\0';
        while (len > 0 && bytes[len - 1] == '\n')
            bytes[--len] = '\0';
        line = strrchr(bytes, '\n');
        line = line ? line + 1 : bytes;
        if (line[0])
            snprintf(images->said, sizeof(images->said), "%.255s", line);
    }
}

static void end_pull(struct images *images)
{
    event_source_remove(images->source);
    images->source = NULL;
    close_fd(&images->pull);
    close_fd(&images->words);
}

static void on_pulled(void *arg, uint32_t events)
{
    struct images *images = arg;
    struct pod_image *image = &images->list[images->next];
    struct husk_error error;
    int status = puller_reap(images->pid), ret;

    (void)events;
    read_words(images);
    end_pull(images);
    ret = status ? -ECHILD : find(images, image, &error);
    if (ret == 0) {
        say(images, "Pulled", image->reference);
        took(images);
        return;
    }
    if (status)
        fail(images, "ErrImagePull", images->said[0] ? images->said : "the image cannot be pulled");
    else
        fail_by(images, "ErrImagePull", &error);
    wait_again(images);
}

static void pull(struct images *images)
{
    struct pod_image *image = &images->list[images->next];
    struct husk_error error;
    char *auths;
    int ret;

    images->said[0] = '\0';
    auths = pull_secrets_for(images->auths, image->reference);
    ret = puller_start(image->reference, images->store, auths, &images->pid, &images->pull,
                       &images->words, &error);
    pull_secrets_free(auths);
    if (ret == 0) {
        ret =
            event_loop_add(images->loop, images->pull, EPOLLIN, on_pulled, images, &images->source);
        if (ret) {
            error_set(&error, -ret, image->reference, "cannot be pulled", NULL);
            puller_kill(images->pid);
            end_pull(images);
        }
    }
    if (ret) {
        fail_by(images, "ErrImagePull", &error);
        wait_again(images);
        return;
    }
    say(images, "Pulling", image->reference);
}

/* ---- the order ---- */

static bool backs_off(struct images *images)
{
    struct pod_image *image = &images->list[images->next];

    if (!image->wait_ns)
        return false;
    image->reason = "ImagePullBackOff";
    say(images, "BackOff", image->message);
    event_timer_arm(images->again, image->wait_ns);
    image->wait_ns = 0;
    return true;
}

static void try_next(struct images *images)
{
    struct pod_image *image = &images->list[images->next];
    struct reference reference;
    struct husk_error error;
    int ret = -ENOENT;

    if (images->next == images->count) {
        images->all_there(images->arg);
        return;
    }
    if (backs_off(images))
        return;
    if (image->policy != IMAGE_ALWAYS)
        ret = find(images, image, &error);
    if (ret == 0) {
        took(images);
    } else if (image->policy == IMAGE_NEVER) {
        fail_by(images, "ErrImageNeverPull", &error);
        wait_again(images);
    } else if (reference_parse(image->reference, &reference, &error)) {
        fail_by(images, "InvalidImageName", &error); /* it will not become one */
    } else {
        pull(images);
    }
}

void images_begin(struct images *images)
{
    event_timer_arm(images->again, 0);
}

void images_cancel(struct images *images)
{
    event_timer_disarm(images->again);
    if (images->pull < 0)
        return;
    puller_kill(images->pid);
    end_pull(images);
}

void images_destroy(struct images *images)
{
    json_decref(images->auths);
    images->auths = NULL;
    if (!images->list)
        return;
    images_cancel(images);
    event_timer_remove(images->again);
    for (unsigned i = 0; i < images->count; i++) {
        image_config_clear(&images->list[i].config);
        free(images->list[i].reference);
    }
    free(images->list);
    images->list = NULL;
}
