// SPDX-License-Identifier: Apache-2.0
/*
 * The 8042 keyboard controller (IBM PS/2 Hardware Interface Technical Reference, 1990: "Keyboard
 * and Auxiliary Device Controller", "Keyboard") with a keyboard that types one thing, Ctrl-Alt-Del,
 * and the reset pulse that PC kernels fall back to. Data at 0x60, status and commands at 0x64.
 *
 * Every question that a driver may ask is answered at once, also by what is not there: a driver
 * that has to wait polls the status port for half a second. There is no auxiliary device (mouse).
 *
 * Data: two bounded queues. The controller's own replies go first; the keyboard's bytes wait while
 * its clock is held (CTR bit 4). The front of the queue is the output buffer that status and data
 * port show. Bytes that do not fit are lost, as a keyboard's are.
 *
 * Threads: ports from any vCPU thread, i8042_ctrl_alt_del() from any thread, under `lock`; requests
 * to the machine are made without it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/checked.h"
#include "devices/legacy/legacy.h"
#include "vmm/bus.h"

/* Status register. */
#define STATUS_OUTPUT_FULL 0x01u
#define STATUS_SYSTEM      0x04u /* the self test was passed */
#define STATUS_COMMAND     0x08u /* the last write was a command */
#define STATUS_UNLOCKED    0x10u /* the keyboard is not locked by a key */
#define STATUS_AUX_TIMEOUT 0x60u /* the byte is the auxiliary device's: it did not answer */

/* Controller command byte ("CTR"). */
#define CTR_KEYBOARD_IRQ      0x01u
#define CTR_SYSTEM            0x04u
#define CTR_KEYBOARD_DISABLED 0x10u
#define CTR_AUX_DISABLED      0x20u
#define CTR_TRANSLATE         0x40u

enum controller_command {
    CTL_READ_CTR = 0x20,
    CTL_WRITE_CTR = 0x60,
    CTL_PASSWORD_TEST = 0xa4,
    CTL_AUX_DISABLE = 0xa7,
    CTL_AUX_ENABLE = 0xa8,
    CTL_AUX_TEST = 0xa9,
    CTL_SELF_TEST = 0xaa,
    CTL_KEYBOARD_TEST = 0xab,
    CTL_KEYBOARD_DISABLE = 0xad,
    CTL_KEYBOARD_ENABLE = 0xae,
    CTL_READ_INPUT_PORT = 0xc0,
    CTL_READ_OUTPUT_PORT = 0xd0,
    CTL_WRITE_OUTPUT_PORT = 0xd1,
    CTL_WRITE_KEYBOARD_BUFFER = 0xd2,
    CTL_WRITE_AUX_BUFFER = 0xd3,
    CTL_WRITE_AUX = 0xd4,
    CTL_PULSE_OUTPUT = 0xf0, /* to 0xff: a clear bit of the low four pulses its line */
};

#define OUTPUT_PORT_NO_RESET 0x01u
#define OUTPUT_PORT_A20      0x02u
#define OUTPUT_PORT_IRQ1     0x10u
#define INPUT_PORT_UNLOCKED  0x80u

enum keyboard_command {
    KBD_SET_LEDS = 0xed,
    KBD_ECHO = 0xee,
    KBD_SCAN_CODE_SET = 0xf0,
    KBD_IDENTIFY = 0xf2,
    KBD_SET_RATE = 0xf3,
    KBD_ENABLE = 0xf4,
    KBD_DISABLE = 0xf5,
    KBD_DEFAULTS = 0xf6,
    KBD_RESEND = 0xfe,
    KBD_RESET = 0xff,
};

#define KBD_ACK     0xfau
#define KBD_NAK     0xfeu
#define KBD_TEST_OK 0xaau

#define QUEUE_BYTES 16u

struct queue {
    struct {
        uint8_t byte;
        uint8_t status; /* STATUS_AUX_TIMEOUT or 0 */
    } entries[QUEUE_BYTES];
    unsigned first, count;
};

struct i8042 {
    struct device device;
    struct bus *ports;
    struct irq_line irq;
    struct guest_request_sink sink;

    pthread_mutex_t lock; /* guards everything below */
    struct queue replies, keyboard;
    uint8_t ctr;
    uint8_t last_read;    /* what the data port shows while it is empty */
    uint8_t data_for;     /* the controller command that the next data byte belongs to, or 0 */
    uint8_t argument_for; /* the keyboard command that waits for its argument, or 0 */
    bool wrote_command;
    bool scanning; /* the keyboard sends what is typed */
};

static void queue_put(struct queue *queue, uint8_t byte, uint8_t status)
{
    unsigned slot = (queue->first + queue->count) % QUEUE_BYTES;

    if (queue->count == QUEUE_BYTES)
        return;
    queue->entries[slot].byte = byte;
    queue->entries[slot].status = status;
    queue->count++;
}

/* The queue whose front is the output buffer, or NULL while that is empty. */
static struct queue *output(struct i8042 *i8042)
{
    if (i8042->replies.count > 0)
        return &i8042->replies;
    if (i8042->keyboard.count > 0 && !(i8042->ctr & CTR_KEYBOARD_DISABLED))
        return &i8042->keyboard;
    return NULL;
}

/* The output buffer was filled, or its interrupt was enabled. */
static void update_interrupt(struct i8042 *i8042)
{
    if (output(i8042) && (i8042->ctr & CTR_KEYBOARD_IRQ))
        irq_line_raise(&i8042->irq);
}

static void reply(struct i8042 *i8042, uint8_t byte)
{
    queue_put(&i8042->replies, byte, 0);
}

/* ---- the keyboard ---- */

static void type(struct i8042 *i8042, uint8_t byte)
{
    queue_put(&i8042->keyboard, byte, 0);
}

static void keyboard_argument(struct i8042 *i8042, uint8_t command, uint8_t value)
{
    bool understood = command != KBD_SCAN_CODE_SET || value == 0 || value == 2;

    type(i8042, understood ? KBD_ACK : KBD_NAK);
    /* Set 2 is the only one; like everything from the keyboard its number is translated. */
    if (command == KBD_SCAN_CODE_SET && value == 0)
        type(i8042, i8042->ctr & CTR_TRANSLATE ? 0x41 : 0x02);
}

static void keyboard_command(struct i8042 *i8042, uint8_t value)
{
    switch (value) {
    case KBD_SET_LEDS:
    case KBD_SCAN_CODE_SET:
    case KBD_SET_RATE:
        type(i8042, KBD_ACK);
        i8042->argument_for = value;
        break;
    case KBD_ECHO:
        type(i8042, KBD_ECHO);
        break;
    case KBD_IDENTIFY: /* an MF2 keyboard: 0xab 0x83 */
        type(i8042, KBD_ACK);
        type(i8042, 0xab);
        type(i8042, i8042->ctr & CTR_TRANSLATE ? 0x41 : 0x83);
        break;
    case KBD_ENABLE:
    case KBD_DEFAULTS:
        type(i8042, KBD_ACK);
        i8042->scanning = true;
        break;
    case KBD_DISABLE:
        type(i8042, KBD_ACK);
        i8042->scanning = false;
        break;
    case KBD_RESEND:
        type(i8042, i8042->last_read);
        break;
    case KBD_RESET:
        i8042->keyboard.count = 0;
        i8042->scanning = true;
        type(i8042, KBD_ACK);
        type(i8042, KBD_TEST_OK);
        break;
    default:
        type(i8042, KBD_NAK);
        break;
    }
}

static void write_keyboard(struct i8042 *i8042, uint8_t value)
{
    uint8_t command = i8042->argument_for;

    i8042->argument_for = 0;
    /* A byte to the keyboard lets go of its clock, else it could not answer. */
    i8042->ctr &= (uint8_t)~CTR_KEYBOARD_DISABLED;
    if (command)
        keyboard_argument(i8042, command, value);
    else
        keyboard_command(i8042, value);
}

/* ---- the controller ---- */

/* Returns whether the machine is to be reset, as does write_data(). */
static bool write_command(struct i8042 *i8042, uint8_t value)
{
    i8042->data_for = 0;
    switch (value) {
    case CTL_READ_CTR:
        reply(i8042, i8042->ctr);
        break;
    case CTL_WRITE_CTR:
    case CTL_WRITE_OUTPUT_PORT:
    case CTL_WRITE_KEYBOARD_BUFFER:
    case CTL_WRITE_AUX_BUFFER:
    case CTL_WRITE_AUX:
        i8042->data_for = value;
        break;
    case CTL_PASSWORD_TEST:
        reply(i8042, 0xf1); /* none is set */
        break;
    case CTL_AUX_DISABLE:
        i8042->ctr |= CTR_AUX_DISABLED;
        break;
    case CTL_AUX_ENABLE:
        i8042->ctr &= (uint8_t)~CTR_AUX_DISABLED;
        break;
    case CTL_AUX_TEST:
        reply(i8042, 0x01); /* its clock line is stuck low: there is none */
        break;
    case CTL_SELF_TEST:
        i8042->ctr |= CTR_SYSTEM;
        reply(i8042, 0x55);
        break;
    case CTL_KEYBOARD_TEST:
        reply(i8042, 0x00);
        break;
    case CTL_KEYBOARD_DISABLE:
        i8042->ctr |= CTR_KEYBOARD_DISABLED;
        break;
    case CTL_KEYBOARD_ENABLE:
        i8042->ctr &= (uint8_t)~CTR_KEYBOARD_DISABLED;
        break;
    case CTL_READ_INPUT_PORT:
        reply(i8042, INPUT_PORT_UNLOCKED);
        break;
    case CTL_READ_OUTPUT_PORT:
        reply(i8042,
              OUTPUT_PORT_NO_RESET | OUTPUT_PORT_A20 | (output(i8042) ? OUTPUT_PORT_IRQ1 : 0));
        break;
    default:
        return value >= CTL_PULSE_OUTPUT && !(value & OUTPUT_PORT_NO_RESET);
    }
    return false;
}

static bool write_data(struct i8042 *i8042, uint8_t value)
{
    uint8_t command = i8042->data_for;

    i8042->data_for = 0;
    switch (command) {
    case CTL_WRITE_CTR:
        i8042->ctr = value;
        break;
    case CTL_WRITE_OUTPUT_PORT:
        return !(value & OUTPUT_PORT_NO_RESET);
    case CTL_WRITE_KEYBOARD_BUFFER:
    case CTL_WRITE_AUX_BUFFER: /* without the auxiliary mark: that port does not exist */
        reply(i8042, value);
        break;
    case CTL_WRITE_AUX:
        queue_put(&i8042->replies, KBD_NAK, STATUS_AUX_TIMEOUT);
        break;
    default:
        write_keyboard(i8042, value);
        break;
    }
    return false;
}

static uint8_t read_status(struct i8042 *i8042)
{
    const struct queue *queue = output(i8042);
    uint8_t status = STATUS_UNLOCKED | (i8042->ctr & CTR_SYSTEM);

    if (i8042->wrote_command)
        status |= STATUS_COMMAND;
    if (queue)
        status |= STATUS_OUTPUT_FULL | queue->entries[queue->first].status;
    return status;
}

static uint8_t read_data(struct i8042 *i8042)
{
    struct queue *queue = output(i8042);

    if (queue) {
        i8042->last_read = queue->entries[queue->first].byte;
        queue->first = (queue->first + 1) % QUEUE_BYTES;
        queue->count--;
        update_interrupt(i8042);
    }
    return i8042->last_read;
}

/* ---- the bus ---- */

static void data_port_read(void *device, uint64_t offset, void *data, unsigned size)
{
    struct i8042 *i8042 = device;

    pthread_mutex_lock(&i8042->lock);
    *(uint8_t *)data = read_data(i8042);
    pthread_mutex_unlock(&i8042->lock);
}

static void command_port_read(void *device, uint64_t offset, void *data, unsigned size)
{
    struct i8042 *i8042 = device;

    pthread_mutex_lock(&i8042->lock);
    *(uint8_t *)data = read_status(i8042);
    pthread_mutex_unlock(&i8042->lock);
}

static void port_write(struct i8042 *i8042, uint8_t value, bool is_command)
{
    bool reset, was_full;

    pthread_mutex_lock(&i8042->lock);
    was_full = output(i8042) && (i8042->ctr & CTR_KEYBOARD_IRQ);
    i8042->wrote_command = is_command;
    reset = is_command ? write_command(i8042, value) : write_data(i8042, value);
    if (!was_full)
        update_interrupt(i8042);
    pthread_mutex_unlock(&i8042->lock);
    if (reset)
        i8042->sink.request(i8042->sink.arg, GUEST_REQUEST_RESET, 0);
}

static void data_port_write(void *device, uint64_t offset, const void *data, unsigned size)
{
    port_write(device, *(const uint8_t *)data, false);
}

static void command_port_write(void *device, uint64_t offset, const void *data, unsigned size)
{
    port_write(device, *(const uint8_t *)data, true);
}

/* Two single ports: what lies between them is not the controller's. */
static const struct bus_ops data_port_ops = {.read = data_port_read, .write = data_port_write};
static const struct bus_ops command_port_ops = {.read = command_port_read,
                                                .write = command_port_write};

/* ---- life ---- */

void i8042_ctrl_alt_del(struct device *device)
{
    /* Left Ctrl, left Alt and Delete go down, then up. Set 1 is what the controller makes of set 2
     * while it translates. */
    static const uint8_t set1[] = {0x1d, 0x38, 0xe0, 0x53, 0xe0, 0xd3, 0xb8, 0x9d};
    static const uint8_t set2[] = {0x14, 0x11, 0xe0, 0x71, 0xe0, 0xf0,
                                   0x71, 0xf0, 0x11, 0xf0, 0x14};
    struct i8042 *i8042 = container_of(device, struct i8042, device);
    const uint8_t *codes;
    size_t count;

    pthread_mutex_lock(&i8042->lock);
    codes = i8042->ctr & CTR_TRANSLATE ? set1 : set2;
    count = i8042->ctr & CTR_TRANSLATE ? ARRAY_SIZE(set1) : ARRAY_SIZE(set2);
    /* All or nothing: half of it would leave keys pressed. */
    if (i8042->scanning && count <= QUEUE_BYTES - i8042->keyboard.count) {
        bool was_full = output(i8042);

        for (size_t i = 0; i < count; i++)
            type(i8042, codes[i]);
        if (!was_full)
            update_interrupt(i8042);
    }
    pthread_mutex_unlock(&i8042->lock);
}

static void i8042_describe(const struct device *device, struct device_description *out)
{
    const struct i8042 *i8042 = container_of(device, struct i8042, device);

    *out = (struct device_description){
        .kind = DEVICE_I8042,
        .is_port = true,
        .base = I8042_DATA_PORT,
        .size = I8042_COMMAND_PORT - I8042_DATA_PORT + 1,
        .gsi = i8042->irq.gsi,
        .has_gsi = true,
    };
}

static void i8042_destroy(struct device *device)
{
    struct i8042 *i8042 = container_of(device, struct i8042, device);

    bus_detach(i8042->ports, I8042_DATA_PORT);
    bus_detach(i8042->ports, I8042_COMMAND_PORT);
    pthread_mutex_destroy(&i8042->lock);
    free(i8042);
}

static const struct device_ops i8042_device_ops = {
    .name = "i8042",
    .describe = i8042_describe,
    .destroy = i8042_destroy,
};

static int attach_ports(struct i8042 *i8042)
{
    int ret = bus_attach(i8042->ports, I8042_DATA_PORT, 1, &data_port_ops, i8042, "i8042 data");

    if (ret)
        return ret;
    ret =
        bus_attach(i8042->ports, I8042_COMMAND_PORT, 1, &command_port_ops, i8042, "i8042 command");
    if (ret)
        bus_detach(i8042->ports, I8042_DATA_PORT);
    return ret;
}

int i8042_create(const struct device_env *env, const struct irq_line *irq,
                 const struct guest_request_sink *sink, struct device **out)
{
    struct i8042 *i8042 = calloc(1, sizeof(*i8042));
    int ret;

    if (!i8042)
        return -ENOMEM;
    i8042->device.ops = &i8042_device_ops;
    i8042->ports = env->ports;
    i8042->irq = *irq;
    i8042->sink = *sink;
    /* As firmware leaves it. */
    i8042->ctr = CTR_KEYBOARD_IRQ | CTR_SYSTEM | CTR_AUX_DISABLED | CTR_TRANSLATE;
    i8042->scanning = true;
    pthread_mutex_init(&i8042->lock, NULL);
    ret = attach_ports(i8042);
    if (ret) {
        pthread_mutex_destroy(&i8042->lock);
        free(i8042);
        return ret;
    }
    *out = &i8042->device;
    return 0;
}
