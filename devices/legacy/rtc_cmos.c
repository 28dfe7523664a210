// SPDX-License-Identifier: Apache-2.0
/*
 * The MC146818 real-time clock and CMOS memory (Motorola MC146818A data sheet) as far as a guest
 * reads the time from it at boot: index at 0x70, data at 0x71.
 *
 * Time is the host's, in UTC, and cannot be set. It is sampled when register 0 (seconds) is read
 * and kept for the reads that follow, so a driver that reads the registers in order sees one
 * moment. There are no alarms and no periodic interrupts. The other CMOS bytes are plain memory,
 * zero at start.
 *
 * Threads: vCPU threads; `lock` guards everything.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "devices/legacy/legacy.h"
#include "vmm/bus.h"

#define CMOS_BYTES 128u

enum {
    RTC_SECONDS = 0x00,
    RTC_MINUTES = 0x02,
    RTC_HOURS = 0x04,
    RTC_WEEKDAY = 0x06,
    RTC_DAY = 0x07,
    RTC_MONTH = 0x08,
    RTC_YEAR = 0x09,
    RTC_REG_A = 0x0a,
    RTC_REG_B = 0x0b,
    RTC_REG_C = 0x0c,
    RTC_REG_D = 0x0d,
    RTC_CENTURY = 0x32, /* the customary place; the FADT names it to nobody in reduced hardware */
};

#define REG_A_32KHZ_1024HZ 0x26 /* divider running, no update in progress */
#define REG_B_24H          0x02
#define REG_B_BINARY       0x04
#define REG_D_VALID        0x80 /* the battery is fine */

struct rtc_cmos {
    struct device device;
    struct bus *ports;

    pthread_mutex_t lock;
    /* Below: guarded by lock. */
    uint8_t index;
    uint8_t reg_b;
    struct tm now; /* sampled at the last read of the seconds */
    uint8_t memory[CMOS_BYTES];
};

static void sample_time(struct rtc_cmos *rtc)
{
    time_t seconds = time(NULL);

    gmtime_r(&seconds, &rtc->now);
}

/* As register B asks: binary or BCD. */
static uint8_t encode(const struct rtc_cmos *rtc, int value)
{
    if (rtc->reg_b & REG_B_BINARY)
        return (uint8_t)value;
    return (uint8_t)(value / 10 % 10 << 4 | value % 10);
}

static uint8_t encode_hour(const struct rtc_cmos *rtc, int hour)
{
    uint8_t afternoon = hour >= 12 ? 0x80 : 0;

    if (rtc->reg_b & REG_B_24H)
        return encode(rtc, hour);
    return encode(rtc, hour % 12 ? hour % 12 : 12) | afternoon;
}

static uint8_t read_cmos(struct rtc_cmos *rtc)
{
    switch (rtc->index) {
    case RTC_SECONDS:
        sample_time(rtc);
        return encode(rtc, rtc->now.tm_sec);
    case RTC_MINUTES:
        return encode(rtc, rtc->now.tm_min);
    case RTC_HOURS:
        return encode_hour(rtc, rtc->now.tm_hour);
    case RTC_WEEKDAY:
        return encode(rtc, rtc->now.tm_wday + 1);
    case RTC_DAY:
        return encode(rtc, rtc->now.tm_mday);
    case RTC_MONTH:
        return encode(rtc, rtc->now.tm_mon + 1);
    case RTC_YEAR:
        return encode(rtc, rtc->now.tm_year % 100);
    case RTC_CENTURY:
        return encode(rtc, (rtc->now.tm_year + 1900) / 100);
    case RTC_REG_A:
        return REG_A_32KHZ_1024HZ;
    case RTC_REG_B:
        return rtc->reg_b;
    case RTC_REG_C:
        return 0; /* no interrupt is ever pending */
    case RTC_REG_D:
        return REG_D_VALID;
    default:
        return rtc->memory[rtc->index];
    }
}

static void write_cmos(struct rtc_cmos *rtc, uint8_t value)
{
    if (rtc->index == RTC_REG_B)
        rtc->reg_b = value & (REG_B_24H | REG_B_BINARY);
    else if (rtc->index > RTC_REG_D && rtc->index != RTC_CENTURY)
        rtc->memory[rtc->index] = value;
}

static void rtc_read(void *device, uint64_t offset, void *data, unsigned size)
{
    struct rtc_cmos *rtc = device;

    if (offset != 1)
        return; /* the index is write-only */
    pthread_mutex_lock(&rtc->lock);
    *(uint8_t *)data = read_cmos(rtc);
    pthread_mutex_unlock(&rtc->lock);
}

static void rtc_write(void *device, uint64_t offset, const void *data, unsigned size)
{
    struct rtc_cmos *rtc = device;
    uint8_t value = *(const uint8_t *)data;

    pthread_mutex_lock(&rtc->lock);
    if (offset == 0)
        rtc->index = value & (CMOS_BYTES - 1); /* bit 7 gates the NMI, which we do not have */
    else
        write_cmos(rtc, value);
    pthread_mutex_unlock(&rtc->lock);
}

static const struct bus_ops rtc_bus_ops = {.read = rtc_read, .write = rtc_write};

static void rtc_pause(struct device *device)
{
}

static void rtc_describe(const struct device *device, struct device_description *out)
{
    /* No interrupt is ever raised, but drivers want to see the customary one. */
    *out = (struct device_description){
        .kind = DEVICE_RTC_CMOS,
        .is_port = true,
        .base = RTC_PORT,
        .size = 2,
        .gsi = RTC_GSI,
        .has_gsi = true,
    };
}

static void rtc_destroy(struct device *device)
{
    struct rtc_cmos *rtc = (struct rtc_cmos *)device;

    bus_detach(rtc->ports, RTC_PORT);
    pthread_mutex_destroy(&rtc->lock);
    free(rtc);
}

static const struct device_ops rtc_ops = {
    .name = "rtc-cmos",
    .pause = rtc_pause,
    .resume = rtc_pause,
    .describe = rtc_describe,
    .destroy = rtc_destroy,
};

int rtc_cmos_create(const struct device_env *env, struct device **out)
{
    struct rtc_cmos *rtc = calloc(1, sizeof(*rtc));
    int ret;

    if (!rtc)
        return -ENOMEM;
    rtc->device.ops = &rtc_ops;
    rtc->ports = env->ports;
    rtc->reg_b = REG_B_24H;
    sample_time(rtc);
    pthread_mutex_init(&rtc->lock, NULL);
    ret = bus_attach(env->ports, RTC_PORT, 2, &rtc_bus_ops, rtc, rtc_ops.name);
    if (ret) {
        pthread_mutex_destroy(&rtc->lock);
        free(rtc);
        return ret;
    }
    *out = &rtc->device;
    return 0;
}
