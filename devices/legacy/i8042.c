// SPDX-License-Identifier: Apache-2.0
/*
 * The keyboard controller (Intel 8042) with a keyboard that types one thing only, Ctrl-Alt-Del, and
 * the reset pulse that PC kernels fall back to. Data at 0x60, status and command at 0x64.
 *
 * Just enough protocol for Linux's i8042 and atkbd drivers to find a translated AT keyboard
 * quickly: controller commands 0x20, 0x60, 0xa7-0xae, 0xd0-0xd4, 0xf0-0xff; every keyboard command
 * is acknowledged. There is no mouse: its port test answers with an error at once.
 *
 * Threads: vCPU threads, and any thread for i8042_ctrl_alt_del(); `lock` guards everything.
 * Requests to the machine are made without it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "devices/legacy/legacy.h"
#include "vmm/bus.h"

#define STATUS_OUTPUT_FULL 0x01
#define STATUS_SYSTEM      0x04 /* passed its self test */
#define STATUS_COMMAND     0x08 /* the last write was to the command port */
#define STATUS_UNLOCKED    0x10

#define CTR_KEYBOARD_IRQ      0x01
#define CTR_KEYBOARD_DISABLED 0x10
#define CTR_TRANSLATE         0x40

#define OUTPUT_BYTES 32u

struct i8042 {
    struct device device;
    struct bus *ports;
    struct irq_line irq;
    struct guest_request_sink sink;

    pthread_mutex_t lock;
    /* Below: guarded by lock. */
    uint8_t ctr;            /* controller command byte */
    uint8_t last_command;   /* controller command that waits for its data byte, or 0 */
    uint8_t keyboard_wants; /* keyboard command that waits for its argument, or 0 */
    bool wrote_command;
    uint8_t output[OUTPUT_BYTES];
    unsigned output_start, output_used;
};

/* Bytes that do not fit are lost, as a keyboard's are. */
static void put_output(struct i8042 *kbd, uint8_t byte)
{
    if (kbd->output_used == OUTPUT_BYTES)
        return;
    kbd->output[(kbd->output_start + kbd->output_used) % OUTPUT_BYTES] = byte;
    kbd->output_used++;
}

static void update_interrupt(struct i8042 *kbd)
{
    if (kbd->output_used > 0 && (kbd->ctr & CTR_KEYBOARD_IRQ))
        irq_line_raise(&kbd->irq);
}

/* What a keyboard answers (IBM PS/2 technical reference, keyboard commands). */
static void keyboard_command(struct i8042 *kbd, uint8_t value)
{
    put_output(kbd, 0xfa); /* acknowledge */
    if (kbd->keyboard_wants) {
        /* The argument of set LEDs, rate or scan code set; 0 asks for the current set. */
        if (kbd->keyboard_wants == 0xf0 && value == 0)
            put_output(kbd, kbd->ctr & CTR_TRANSLATE ? 0x41 : 0x02);
        kbd->keyboard_wants = 0;
        return;
    }
    switch (value) {
    case 0xed: /* set LEDs */
    case 0xf0: /* scan code set */
    case 0xf3: /* repeat rate */
        kbd->keyboard_wants = value;
        break;
    case 0xf2: /* identify: MF2 keyboard, second byte translated or not */
        put_output(kbd, 0xab);
        put_output(kbd, kbd->ctr & CTR_TRANSLATE ? 0x41 : 0x83);
        break;
    case 0xff: /* reset and self test */
        put_output(kbd, 0xaa);
        break;
    default:
        break;
    }
}

/* A controller command. Returns true when it resets the machine. */
static bool controller_command(struct i8042 *kbd, uint8_t value)
{
    kbd->last_command = 0;
    switch (value) {
    case 0x20: /* read command byte */
        put_output(kbd, kbd->ctr);
        break;
    case 0x60: /* write command byte */
    case 0xd1: /* write output port */
    case 0xd2: /* write keyboard output buffer */
    case 0xd3: /* write mouse output buffer */
    case 0xd4: /* write to mouse */
        kbd->last_command = value;
        break;
    case 0xa9: /* mouse port test: clock line stuck, there is no mouse */
        put_output(kbd, 0x01);
        break;
    case 0xaa: /* self test */
        put_output(kbd, 0x55);
        break;
    case 0xab: /* keyboard port test */
        put_output(kbd, 0x00);
        break;
    case 0xad:
        kbd->ctr |= CTR_KEYBOARD_DISABLED;
        break;
    case 0xae:
        kbd->ctr &= (uint8_t)~CTR_KEYBOARD_DISABLED;
        break;
    case 0xd0: /* read output port: reset line high, A20 on */
        put_output(kbd, 0x03);
        break;
    default:
        /* 0xf0..0xff pulse the low four output lines for which the bit is 0; bit 0 is reset. */
        return value >= 0xf0 && !(value & 1);
    }
    return false;
}

/* A byte to the data port. Returns true when it resets the machine. */
static bool data_write(struct i8042 *kbd, uint8_t value)
{
    uint8_t command = kbd->last_command;

    kbd->last_command = 0;
    switch (command) {
    case 0x60:
        kbd->ctr = value;
        return false;
    case 0xd1: /* bit 0 low holds the processor in reset */
        return !(value & 1);
    case 0xd2:
        put_output(kbd, value);
        return false;
    case 0xd3:
    case 0xd4:
        return false; /* nobody there */
    default:
        kbd->ctr &= (uint8_t)~CTR_KEYBOARD_DISABLED;
        keyboard_command(kbd, value);
        return false;
    }
}

static uint8_t read_status(const struct i8042 *kbd)
{
    return STATUS_SYSTEM | STATUS_UNLOCKED | (kbd->wrote_command ? STATUS_COMMAND : 0) |
           (kbd->output_used > 0 ? STATUS_OUTPUT_FULL : 0);
}

static void i8042_read_data(void *device, uint64_t offset, void *data, unsigned size)
{
    struct i8042 *kbd = device;

    pthread_mutex_lock(&kbd->lock);
    *(uint8_t *)data = kbd->output[kbd->output_start];
    if (kbd->output_used > 0) {
        kbd->output_start = (kbd->output_start + 1) % OUTPUT_BYTES;
        kbd->output_used--;
        update_interrupt(kbd);
    }
    pthread_mutex_unlock(&kbd->lock);
}

static void i8042_read_status(void *device, uint64_t offset, void *data, unsigned size)
{
    struct i8042 *kbd = device;

    pthread_mutex_lock(&kbd->lock);
    *(uint8_t *)data = read_status(kbd);
    pthread_mutex_unlock(&kbd->lock);
}

static void handle_write(struct i8042 *kbd, uint8_t value, bool is_command)
{
    bool resets;

    pthread_mutex_lock(&kbd->lock);
    kbd->wrote_command = is_command;
    resets = is_command ? controller_command(kbd, value) : data_write(kbd, value);
    update_interrupt(kbd);
    pthread_mutex_unlock(&kbd->lock);
    if (resets)
        kbd->sink.request(kbd->sink.arg, GUEST_REQUEST_RESET, value);
}

static void i8042_write_data(void *device, uint64_t offset, const void *data, unsigned size)
{
    handle_write(device, *(const uint8_t *)data, false);
}

static void i8042_write_command(void *device, uint64_t offset, const void *data, unsigned size)
{
    handle_write(device, *(const uint8_t *)data, true);
}

static const struct bus_ops data_port_ops = {.read = i8042_read_data, .write = i8042_write_data};
static const struct bus_ops command_port_ops = {.read = i8042_read_status,
                                                .write = i8042_write_command};

void i8042_ctrl_alt_del(struct device *device)
{
    /* Make and break codes of left Ctrl, left Alt, keypad Delete in scan code sets 1 and 2. */
    static const uint8_t set1[] = {0x1d, 0x38, 0x53, 0xd3, 0xb8, 0x9d};
    static const uint8_t set2[] = {0x14, 0x11, 0x71, 0xf0, 0x71, 0xf0, 0x11, 0xf0, 0x14};
    struct i8042 *kbd = (struct i8042 *)device;

    pthread_mutex_lock(&kbd->lock);
    if (!(kbd->ctr & CTR_KEYBOARD_DISABLED)) {
        bool translated = kbd->ctr & CTR_TRANSLATE;
        const uint8_t *codes = translated ? set1 : set2;
        size_t count = translated ? ARRAY_SIZE(set1) : ARRAY_SIZE(set2);

        for (size_t i = 0; i < count; i++)
            put_output(kbd, codes[i]);
        update_interrupt(kbd);
    }
    pthread_mutex_unlock(&kbd->lock);
}

static void i8042_pause(struct device *device)
{
}

static void i8042_describe(const struct device *device, struct device_description *out)
{
    const struct i8042 *kbd = (const struct i8042 *)device;

    *out = (struct device_description){
        .kind = DEVICE_I8042,
        .is_port = true,
        .base = I8042_DATA_PORT,
        .size = 5, /* 0x60 and 0x64; those between belong to others */
        .gsi = kbd->irq.gsi,
        .has_gsi = true,
    };
}

static void i8042_destroy(struct device *device)
{
    struct i8042 *kbd = (struct i8042 *)device;

    bus_detach(kbd->ports, I8042_DATA_PORT);
    bus_detach(kbd->ports, I8042_COMMAND_PORT);
    pthread_mutex_destroy(&kbd->lock);
    free(kbd);
}

static const struct device_ops i8042_ops = {
    .name = "i8042",
    .pause = i8042_pause,
    .resume = i8042_pause,
    .describe = i8042_describe,
    .destroy = i8042_destroy,
};

int i8042_create(const struct device_env *env, const struct irq_line *irq,
                 const struct guest_request_sink *sink, struct device **out)
{
    struct i8042 *kbd = calloc(1, sizeof(*kbd));
    int ret;

    if (!kbd)
        return -ENOMEM;
    kbd->device.ops = &i8042_ops;
    kbd->ports = env->ports;
    kbd->irq = *irq;
    kbd->sink = *sink;
    kbd->ctr = CTR_TRANSLATE | CTR_KEYBOARD_IRQ;
    pthread_mutex_init(&kbd->lock, NULL);
    ret = bus_attach(env->ports, I8042_DATA_PORT, 1, &data_port_ops, kbd, i8042_ops.name);
    if (!ret) {
        ret = bus_attach(env->ports, I8042_COMMAND_PORT, 1, &command_port_ops, kbd, i8042_ops.name);
        if (ret)
            bus_detach(env->ports, I8042_DATA_PORT);
    }
    if (ret) {
        pthread_mutex_destroy(&kbd->lock);
        free(kbd);
        return ret;
    }
    *out = &kbd->device;
    return 0;
}
