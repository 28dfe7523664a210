// SPDX-License-Identifier: Apache-2.0
/* The table and the picture of a start. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/timeline.h"

static const struct timeline_moments moments = {
    .at = {{"exec", 1000000}, {"iommu", 3000000}, {"pinned", 275500000}, {"init", 276000000}},
    .count = 4,
    .pinned_bytes = 128 << 20,
};

static void test_table(void **state)
{
    static const struct timeline_moments none = {.count = 0};
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    timeline_print(out, &none);
    timeline_print(out, &moments);
    fclose(out);
    assert_string_equal(text, "       at ms      took ms  phase\n"
                              "       2.000        2.000  devices to the IOMMU\n"
                              "     274.500      272.500  guest memory pinned, 128 MiB\n"
                              "     275.000        0.500  guest boot to init\n");
    free(text);
}

static void test_picture(void **state)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    assert_int_equal(timeline_svg(out, &moments), 0);
    fclose(out);
    assert_non_null(strstr(text, "275.000 ms from exec to init"));
    assert_non_null(strstr(text, ">guest memory pinned, 128 MiB</text>"));
    assert_non_null(strstr(text, ">272.500 ms (at 274.500)</text>"));
    assert_non_null(strstr(text, "</svg>\n"));
    free(text);
}

/* Every moment that there is has a phase of its own. */
static void test_phases(void **state)
{
    for (unsigned point = 1; point < TIMELINE_POINTS; point++) {
        if (!strcmp(timeline_phase(timeline_name(point)), timeline_name(point)))
            assert_string_equal(timeline_name(point), "devices");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_picture),
        cmocka_unit_test(test_phases),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
