// SPDX-License-Identifier: Apache-2.0
/* Text on COM1, results, and the end. */
#include "guest.h"

#include <stdarg.h>

#define UART       0x3f8
#define UART_LSR   (UART + 5)
#define LSR_THRE   0x20
#define EXIT_PORT  0xf4
#define STATUS_MAX 118 /* husk's own exit statuses follow */

static unsigned checks, first_failure; /* counted from 1 */

static void put_char(char c)
{
    while (!(in8(UART_LSR) & LSR_THRE))
        ;
    out8(UART, (uint8_t)c);
}

static void put_number(uint64_t value, unsigned base)
{
    char digits[20];
    unsigned count = 0;

    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    while (count > 0)
        put_char(digits[--count]);
}

static void put_text(const char *text)
{
    while (*text)
        put_char(*text++);
}

static void put_format(const char *format, va_list args)
{
    for (; *format; format++) {
        if (*format != '%') {
            put_char(*format);
            continue;
        }
        switch (*++format) {
        case 's':
            put_text(va_arg(args, const char *));
            break;
        case 'c':
            put_char((char)va_arg(args, int));
            break;
        case 'u':
            put_number(va_arg(args, unsigned), 10);
            break;
        case 'U':
            put_number(va_arg(args, uint64_t), 10);
            break;
        case 'x':
            put_number(va_arg(args, unsigned), 16);
            break;
        case 'X':
            put_number(va_arg(args, uint64_t), 16);
            break;
        default:
            put_char(*format);
            break;
        }
    }
}

void say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    put_format(format, args);
    va_end(args);
    put_char('\n');
}

static bool report(bool ok, const char *name, const char *format, va_list args)
{
    checks++;
    if (!ok && first_failure == 0)
        first_failure = checks;
    put_text(ok ? "ok: " : "FAIL: ");
    put_text(name);
    if (!ok) {
        put_text(": ");
        put_format(format, args);
    }
    put_char('\n');
    return ok;
}

bool check(bool ok, const char *name, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    report(ok, name, format, args);
    va_end(args);
    return ok;
}

_Noreturn void end_guest(uint8_t status)
{
    out8(EXIT_PORT, status);
    for (;;)
        __asm__ volatile("cli; hlt");
}

_Noreturn void give_up(const char *name, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    report(false, name, format, args);
    va_end(args);
    end_guest(1);
}

/* From start.S. */
_Noreturn void guest_start(uint64_t start_info);
void machine_init(uint64_t start_info);

_Noreturn void guest_start(uint64_t start_info)
{
    machine_init(start_info);
    guest_main();
    if (first_failure == 0)
        end_guest(0);
    /* Without COM1 nobody read what failed. */
    if (in8(UART_LSR) == 0xff && first_failure < STATUS_MAX - 10)
        end_guest((uint8_t)(10 + first_failure));
    end_guest(1);
}
