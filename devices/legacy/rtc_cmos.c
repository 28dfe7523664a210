// SPDX-License-Identifier: Apache-2.0
/*
 * A MC146818 real-time clock with its CMOS memory (Motorola MC146818A data sheet, 1984).
 *
 * The time is the host's, in UTC, and cannot be set: writes to the time registers are lost. There
 * are no alarms and no interrupts. A driver never has to wait: "update in progress" is never set,
 * and consistency comes from a snapshot instead. Reading register A (where a driver looks for UIP)
 * or the seconds takes a new one; the other time registers show the last, unless it is old.
 *
 * Of the memory only the shutdown status byte (0x0f) keeps what is written to it, the rest is zero:
 * sizes of memory and disks are not described here.
 *
 * Threads: any vCPU thread, under `lock`.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/calendar.h"
#include "base/checked.h"
#include "devices/legacy/legacy.h"
#include "vmm/bus.h"

#define RTC_PORTS 2u

enum {
    REG_SECONDS = 0x00,
    REG_MINUTES = 0x02,
    REG_HOURS = 0x04,
    REG_DAY_OF_WEEK = 0x06, /* 1: Sunday */
    REG_DAY_OF_MONTH = 0x07,
    REG_MONTH = 0x08,
    REG_YEAR = 0x09, /* of the century */
    REG_A = 0x0a,
    REG_B = 0x0b,
    REG_C = 0x0c, /* interrupt flags: never any */
    REG_D = 0x0d,
    REG_SHUTDOWN_STATUS = 0x0f,
    REG_CENTURY = 0x32, /* as on every PC since the PS/2 */
};

#define INDEX_MASK    0x7fu /* bit 7 masks the NMI on a PC: there is none */
#define A_UIP         0x80u
#define A_DEFAULT     0x26u /* 32.768 kHz, 1024 Hz */
#define B_24_HOURS    0x02u
#define B_BINARY      0x04u
#define B_MASK        (B_24_HOURS | B_BINARY)
#define D_VALID       0x80u
#define HOURS_PM      0x80u
#define STALE_AFTER_S 2 /* a driver takes less to read all registers */

struct rtc_cmos {
    struct device device;
    struct bus *ports;

    pthread_mutex_t lock; /* guards everything below */
    uint8_t index;
    uint8_t reg_a, reg_b;
    uint8_t shutdown_status;
    time_t shown; /* the snapshot */
};

/* A number as register B wants it. */
static uint8_t encode(const struct rtc_cmos *rtc, unsigned number)
{
    return (uint8_t)(rtc->reg_b & B_BINARY ? number : number / 10 << 4 | number % 10);
}

static uint8_t encode_hours(const struct rtc_cmos *rtc, unsigned hours)
{
    uint8_t afternoon = hours >= 12 ? HOURS_PM : 0;

    if (rtc->reg_b & B_24_HOURS)
        return encode(rtc, hours);
    return encode(rtc, hours % 12 ? hours % 12 : 12) | afternoon;
}

static void take_snapshot(struct rtc_cmos *rtc, bool anew)
{
    time_t now = time(NULL);

    if (anew || now < rtc->shown || now - rtc->shown >= STALE_AFTER_S)
        rtc->shown = now;
}

static uint8_t read_time(struct rtc_cmos *rtc)
{
    struct calendar utc;

    take_snapshot(rtc, rtc->index == REG_SECONDS);
    calendar_utc(rtc->shown, &utc);
    switch (rtc->index) {
    case REG_SECONDS:
        return encode(rtc, utc.second);
    case REG_MINUTES:
        return encode(rtc, utc.minute);
    case REG_HOURS:
        return encode_hours(rtc, utc.hour);
    case REG_DAY_OF_WEEK:
        return encode(rtc, utc.weekday + 1);
    case REG_DAY_OF_MONTH:
        return encode(rtc, utc.day);
    case REG_MONTH:
        return encode(rtc, utc.month);
    case REG_YEAR:
        return encode(rtc, (unsigned)(utc.year % 100));
    default:
        return encode(rtc, (unsigned)(utc.year / 100 % 100));
    }
}

static uint8_t read_register(struct rtc_cmos *rtc)
{
    switch (rtc->index) {
    case REG_SECONDS:
    case REG_MINUTES:
    case REG_HOURS:
    case REG_DAY_OF_WEEK:
    case REG_DAY_OF_MONTH:
    case REG_MONTH:
    case REG_YEAR:
    case REG_CENTURY:
        return read_time(rtc);
    case REG_A:
        take_snapshot(rtc, true);
        return rtc->reg_a;
    case REG_B:
        return rtc->reg_b;
    case REG_D:
        return D_VALID;
    case REG_SHUTDOWN_STATUS:
        return rtc->shutdown_status;
    default:
        return 0;
    }
}

static void write_register(struct rtc_cmos *rtc, uint8_t value)
{
    switch (rtc->index) {
    case REG_A:
        rtc->reg_a = value & (uint8_t)~A_UIP;
        break;
    case REG_B:
        rtc->reg_b = value & B_MASK;
        break;
    case REG_SHUTDOWN_STATUS:
        rtc->shutdown_status = value;
        break;
    default:
        break;
    }
}

/* Port 0 is the index, which cannot be read; port 1 the register that it selects. */
static void rtc_read(void *device, uint64_t offset, void *data, unsigned size)
{
    struct rtc_cmos *rtc = device;

    if (size != 1 || offset != 1)
        return;
    pthread_mutex_lock(&rtc->lock);
    *(uint8_t *)data = read_register(rtc);
    pthread_mutex_unlock(&rtc->lock);
}

static void rtc_write(void *device, uint64_t offset, const void *data, unsigned size)
{
    struct rtc_cmos *rtc = device;
    uint8_t value;

    if (size != 1)
        return;
    value = *(const uint8_t *)data;
    pthread_mutex_lock(&rtc->lock);
    if (offset == 0)
        rtc->index = value & INDEX_MASK;
    else
        write_register(rtc, value);
    pthread_mutex_unlock(&rtc->lock);
}

static const struct bus_ops rtc_bus_ops = {.read = rtc_read, .write = rtc_write};

static void rtc_describe(const struct device *device, struct device_description *out)
{
    *out = (struct device_description){
        .kind = DEVICE_RTC_CMOS, .is_port = true, .base = RTC_PORT, .size = RTC_PORTS};
}

static void rtc_destroy(struct device *device)
{
    struct rtc_cmos *rtc = container_of(device, struct rtc_cmos, device);

    bus_detach(rtc->ports, RTC_PORT);
    pthread_mutex_destroy(&rtc->lock);
    free(rtc);
}

static const struct device_ops rtc_device_ops = {
    .name = "rtc",
    .describe = rtc_describe,
    .destroy = rtc_destroy,
};

int rtc_cmos_create(const struct device_env *env, struct device **out)
{
    struct rtc_cmos *rtc = calloc(1, sizeof(*rtc));
    int ret;

    if (!rtc)
        return -ENOMEM;
    rtc->device.ops = &rtc_device_ops;
    rtc->ports = env->ports;
    rtc->reg_a = A_DEFAULT;
    rtc->reg_b = B_24_HOURS;
    pthread_mutex_init(&rtc->lock, NULL);
    ret = bus_attach(env->ports, RTC_PORT, RTC_PORTS, &rtc_bus_ops, rtc, "rtc");
    if (ret) {
        pthread_mutex_destroy(&rtc->lock);
        free(rtc);
        return ret;
    }
    *out = &rtc->device;
    return 0;
}
