// SPDX-License-Identifier: Apache-2.0
/* See calendar.h. */
#include "base/calendar.h"

#define DAY_SECONDS          86400u
/* Counted from 1 March of the year 0, the leap day is the last of a year, of four years, of a
 * century, and of the 400 years in which the calendar repeats. */
#define DAYS_TO_1970         719468u
#define DAYS_OF_4_YEARS      1461u
#define DAYS_OF_A_CENTURY    36524u
#define DAYS_OF_4_CENTURIES  146097u
#define WEEKDAY_OF_1970      4u   /* 1970-01-01 was a Thursday */
#define DAYS_OF_MARCH_TO_JUL 153u /* and of August to December: months repeat by fives */

void calendar_utc(int64_t seconds, struct calendar *out)
{
    uint64_t since = seconds > 0 ? (uint64_t)seconds : 0;
    uint64_t days = since / DAY_SECONDS, from_march = days + DAYS_TO_1970;
    unsigned day = (unsigned)(from_march % DAYS_OF_4_CENTURIES);
    unsigned of_day = (unsigned)(since % DAY_SECONDS);
    unsigned year, month; /* of the 400 years; 0 is March */

    /* As if leap days did not exist. */
    year = (day - day / (DAYS_OF_4_YEARS - 1) + day / DAYS_OF_A_CENTURY -
            day / (DAYS_OF_4_CENTURIES - 1)) /
           365;
    day -= 365 * year + year / 4 - year / 100;
    month = (5 * day + 2) / DAYS_OF_MARCH_TO_JUL;
    *out = (struct calendar){
        .year = from_march / DAYS_OF_4_CENTURIES * 400 + year + (month >= 10),
        .month = (month + 2) % 12 + 1,
        .day = day - (DAYS_OF_MARCH_TO_JUL * month + 2) / 5 + 1,
        .weekday = (unsigned)((days + WEEKDAY_OF_1970) % 7),
        .hour = of_day / 3600,
        .minute = of_day / 60 % 60,
        .second = of_day % 60,
    };
}
