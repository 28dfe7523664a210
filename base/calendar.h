// SPDX-License-Identifier: Apache-2.0
/*
 * From seconds to a date of the Gregorian calendar, in UTC without leap seconds (POSIX.1-2017, base
 * definitions 4.16). A pure function for any thread: gmtime_r() reads the time zone's file first,
 * which a thread under a filter of system calls must not.
 */
#ifndef HUSK_BASE_CALENDAR_H
#define HUSK_BASE_CALENDAR_H

#include <stdint.h>

struct calendar {
    uint64_t year;
    unsigned month;   /* 1..12 */
    unsigned day;     /* 1..31 */
    unsigned weekday; /* 0: Sunday */
    unsigned hour, minute, second;
};

/* `seconds` are those since 1970. A time before that, of a clock that was never set, is 1970. */
void calendar_utc(int64_t seconds, struct calendar *out);

#endif
