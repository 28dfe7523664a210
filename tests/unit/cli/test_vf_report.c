// SPDX-License-Identifier: Apache-2.0
/* What is shown of a fake card, as JSON and as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "vf/change.h"
#include "cli/vf_report.h"
#include "tests/harness/fake_pci.h"

static char *print(const json_t *pf)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    vf_report_print(out, pf);
    fclose(out);
    return text;
}

static void test_without_vfs(void **state)
{
    struct fake_pci *fake = *state;
    json_t *pf = vf_report_pf(&fake->host, NULL, FAKE_PF);
    char *text = print(pf);

    assert_string_equal(json_string_value(json_object_get(pf, "driver")), "igb");
    assert_int_equal(json_integer_value(json_object_get(pf, "iommu_group")), 5);
    assert_int_equal(json_array_size(json_object_get(pf, "vfs")), 0);
    assert_string_equal(text, FAKE_PF "  interface pf0  driver igb  group 5  link down  "
                                      "mac 02:00:00:00:01:00  VFs 0 of 7\n");
    free(text);
    json_decref(pf);
}

static void test_with_vfs(void **state)
{
    struct fake_pci *fake = *state;
    const json_t *vf;
    json_t *pf;
    char *text;

    assert_int_equal(vf_create(&fake->host, FAKE_PF, 2, NULL), 0);
    assert_int_equal(vf_bind(&fake->host, FAKE_VF, NULL), 0);
    pf = vf_report_pf(&fake->host, NULL, FAKE_PF);
    text = print(pf);
    vf = json_array_get(json_object_get(pf, "vfs"), 0);
    assert_string_equal(json_string_value(json_object_get(vf, "address")), FAKE_VF);
    assert_string_equal(json_string_value(json_object_get(vf, "driver")), "vfio-pci");
    assert_true(json_is_null(json_object_get(vf, "mac"))); /* nobody was asked */
    assert_non_null(strstr(text, "VFs 2 of 7\n"));
    assert_non_null(strstr(text, "\n  0    " FAKE_VF));
    assert_non_null(strstr(text, "\n  1    0000:01:10.1"));
    free(text);
    json_decref(pf);
}

static void test_not_there(void **state)
{
    struct fake_pci *fake = *state;

    assert_null(vf_report_pf(&fake->host, NULL, "0000:09:00.0"));
    assert_null(vf_report_pf(&fake->host, NULL, "0000:02:00.0"));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, fake_pci_set_up, fake_pci_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_without_vfs),
        CASE(test_with_vfs),
        CASE(test_not_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
