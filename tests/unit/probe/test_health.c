// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "probe/health.h"

static void a_request_names_the_service(void **state)
{
    uint8_t bytes[HEALTH_REQUEST_MAX];
    char service[PROBE_NAME_BYTES];

    assert_int_equal(health_request("", bytes), 0);
    assert_int_equal(health_request("web", bytes), 5);
    assert_memory_equal(bytes, "\x0a\x03web", 5);
    memset(service, 'a', sizeof(service));
    service[127] = '\0';
    assert_int_equal(health_request(service, bytes), 129);
    assert_memory_equal(bytes, "\x0a\x7f", 2);
    service[127] = 'a';
    service[300] = '\0';
    assert_int_equal(health_request(service, bytes), 303);
    assert_memory_equal(bytes, "\x0a\xac\x02", 3);
    service[300] = 'a';
    service[PROBE_NAME_BYTES - 1] = '\0';
    assert_int_equal(health_request(service, bytes), HEALTH_REQUEST_MAX - 1);
}

static const struct {
    const char *bytes;
    size_t len;
    int32_t status;
} good[] = {
    {"", 0, HEALTH_UNKNOWN},
    {"\x08\x01", 2, HEALTH_SERVING},
    {"\x08\x02", 2, HEALTH_NOT_SERVING},
    {"\x08\x02\x08\x01", 4, HEALTH_SERVING},
    {"\x88\x00\x81\x00", 4, HEALTH_SERVING}, /* longer than they need be */
    {"\x08\x7f", 2, 127},
    {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, -1},
    /* Other fields, and the same one as something else. */
    {"\x12\x03\x08\x02\x08\x08\x01", 7, HEALTH_SERVING},
    {"\x10\x96\x01\x08\x01", 5, HEALTH_SERVING},
    {"\x0d\x01\x02\x03\x04\x08\x03", 7, HEALTH_SERVICE_UNKNOWN},
    {"\x09\x01\x02\x03\x04\x05\x06\x07\x08", 9, HEALTH_UNKNOWN},
    {"\x0a\x00\x08\x01", 4, HEALTH_SERVING},
};

static void the_status_is_found(void **state)
{
    for (unsigned i = 0; i < ARRAY_SIZE(good); i++) {
        int32_t status = 77;

        assert_int_equal(health_read((const uint8_t *)good[i].bytes, good[i].len, &status), 0);
        assert_int_equal(status, good[i].status);
    }
}

static void what_is_no_message_is_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        {"\x08", 1},
        {"\x08\x80", 2},
        {"\x00\x01", 2},         /* field 0 */
        {"\x0b\x0c", 2},         /* a group */
        {"\x0f", 1},             /* no wire type */
        {"\x12\x05\x01", 3},     /* more than there is */
        {"\x0d\x01\x02\x03", 4}, /* less than 32 bits */
        {"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11},     /* more than 64 bits */
        {"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 12}, /* more than ten bytes */
        {"\x88\x80\x80\x80\x10\x01", 6}, /* a field number of more than 29 bits */
    };
    int32_t status;

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(health_read((const uint8_t *)bad[i].bytes, bad[i].len, &status), -EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_names_the_service),
        cmocka_unit_test(the_status_is_found),
        cmocka_unit_test(what_is_no_message_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
