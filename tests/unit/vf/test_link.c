// SPDX-License-Identifier: Apache-2.0
/*
 * rtnetlink about VFs over a socket pair: the kernel's answers are put there before the question,
 * and the questions are looked at afterwards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "base/io.h"
#include "vf/link.h"
#include "tests/unit/vf/link_recorded.h"

struct conversation {
    struct rtnl rtnl;
    int kernel_fd;
};

static int set_up(void **state)
{
    static struct conversation conversation;
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return -1;
    conversation = (struct conversation){.rtnl.fd = ends[0], .kernel_fd = ends[1]};
    *state = &conversation;
    return 0;
}

static int tear_down(void **state)
{
    struct conversation *conversation = *state;

    rtnl_close(&conversation->rtnl);
    close_fd(&conversation->kernel_fd);
    return 0;
}

static void answer(struct conversation *conversation, const void *data, size_t len)
{
    assert_int_equal(send(conversation->kernel_fd, data, len, 0), (ssize_t)len);
}

static void acknowledge(struct conversation *conversation, uint32_t sequence, int error)
{
    struct {
        struct nlmsghdr header;
        struct nlmsgerr error;
    } message = {.header = {.nlmsg_len = sizeof(message),
                            .nlmsg_type = NLMSG_ERROR,
                            .nlmsg_flags = NLM_F_CAPPED,
                            .nlmsg_seq = sequence},
                 .error.error = error};

    answer(conversation, &message, sizeof(message));
}

/* The next question's one setting: its type; the struct follows in `out`. */
static int question(struct conversation *conversation, void *out, size_t size)
{
    uint8_t data[512];
    struct nlmsghdr header;
    struct rtattr list, info, setting;
    ssize_t n = recv(conversation->kernel_fd, data, sizeof(data), 0);
    size_t at = NLMSG_HDRLEN + sizeof(struct ifinfomsg);

    if (n < 0)
        return -errno;
    memcpy(&header, data, sizeof(header));
    assert_int_equal(header.nlmsg_len, n);
    assert_int_equal(header.nlmsg_type, RTM_SETLINK);
    memcpy(&list, data + at, sizeof(list));
    memcpy(&info, data + at + 4, sizeof(info));
    memcpy(&setting, data + at + 8, sizeof(setting));
    assert_int_equal(list.rta_type, IFLA_VFINFO_LIST);
    assert_int_equal(info.rta_type, IFLA_VF_INFO);
    assert_int_equal(list.rta_len, (size_t)n - at);
    assert_int_equal(info.rta_len, list.rta_len - 4);
    assert_int_equal(setting.rta_len, info.rta_len - 4);
    assert_true(setting.rta_len - 4u <= size);
    memcpy(out, data + at + 12, setting.rta_len - 4u);
    return setting.rta_type;
}

static void test_recorded(void **state)
{
    static const uint8_t mac[6] = {2, 0, 0, 0, 0, 5};
    struct conversation *c = *state;
    struct vf_settings vfs[2];

    answer(c, recorded_link, sizeof(recorded_link));
    answer(c, recorded_end, sizeof(recorded_end));
    assert_int_equal(vf_link_read(&c->rtnl, 2, vfs, 2), 0);
    assert_int_equal(vfs[1].known, VF_ALL_SETTINGS);
    assert_memory_equal(vfs[1].mac, mac, 6);
    assert_true(vfs[1].vlan == 7 && vfs[1].trust && !vfs[1].spoofchk);
    assert_int_equal(vfs[1].link, IFLA_VF_LINK_STATE_AUTO);
    assert_int_equal(vfs[0].known, VF_ALL_SETTINGS);
    assert_true(vfs[0].vlan == 0 && !vfs[0].trust && vfs[0].spoofchk);
}

/* Cut anywhere, the answer is refused or tells less; nothing beyond it is read (sanitizers look).
 */
static void test_cut(void **state)
{
    struct conversation *c = *state;
    struct vf_settings vfs[2];

    for (size_t len = 1; len < sizeof(recorded_link); len++) {
        uint8_t message[sizeof(recorded_link)];
        uint32_t told = (uint32_t)len;

        c->rtnl.sequence = 0;
        memcpy(message, recorded_link, len);
        memcpy(message, &told, len < sizeof(told) ? len : sizeof(told));
        answer(c, message, len);
        acknowledge(c, 1, 0);
        (void)vf_link_read(&c->rtnl, 2, vfs, 2);
        while (recv(c->rtnl.fd, message, sizeof(message), 0) >= 0)
            ;
        while (recv(c->kernel_fd, message, sizeof(message), 0) >= 0)
            ;
    }
}

static void test_refused(void **state)
{
    struct conversation *c = *state;
    const struct vf_settings on = {.trust = true};

    c->rtnl.sequence = 1;
    answer(c, recorded_refusal, sizeof(recorded_refusal));
    assert_int_equal(vf_link_write(&c->rtnl, 2, 9, VF_TRUST, &on), -EOPNOTSUPP);
}

static void test_words(void **state)
{
    struct conversation *c = *state;
    const struct vf_settings on = {.trust = true};
    struct {
        struct nlmsghdr header;
        struct nlmsgerr error;
        struct rtattr attribute;
        char text[8];
    } message = {.header = {.nlmsg_len = sizeof(message),
                            .nlmsg_type = NLMSG_ERROR,
                            .nlmsg_flags = NLM_F_CAPPED | NLM_F_ACK_TLVS,
                            .nlmsg_seq = 1},
                 .error.error = -EBUSY,
                 .attribute = {.rta_len = 12, .rta_type = NLMSGERR_ATTR_MSG},
                 .text = "not now"};

    answer(c, &message, sizeof(message));
    assert_int_equal(vf_link_write(&c->rtnl, 2, 0, VF_TRUST, &on), -EBUSY);
    assert_string_equal(c->rtnl.refusal, "not now");
    acknowledge(c, 2, -EPERM);
    assert_int_equal(vf_link_write(&c->rtnl, 2, 0, VF_TRUST, &on), -EPERM);
    assert_string_equal(c->rtnl.refusal, "");
}

/* Answers to somebody else's questions are passed over; none at all is an error, not a wait. */
static void test_strangers(void **state)
{
    struct conversation *c = *state;
    const struct vf_settings on = {.trust = true};

    acknowledge(c, 77, -EPERM);
    acknowledge(c, 1, 0);
    assert_int_equal(vf_link_write(&c->rtnl, 2, 0, VF_TRUST, &on), 0);
    assert_int_equal(vf_link_write(&c->rtnl, 2, 0, VF_TRUST, &on), -ETIMEDOUT);
}

static void test_apply(void **state)
{
    struct conversation *c = *state;
    const struct vf_settings present = {.known = VF_MAC | VF_VLAN, .vlan = 3, .qos = 1};
    const struct vf_settings wanted = {
        .known = VF_MAC | VF_VLAN | VF_TRUST | VF_LINK, .mac = {2, 1}, .vlan = 5, .trust = true};
    enum vf_setting failed = 0;
    struct ifla_vf_mac mac;
    struct ifla_vf_vlan vlan;
    struct ifla_vf_trust trust;

    acknowledge(c, 1, 0);
    acknowledge(c, 2, 0);
    acknowledge(c, 3, -EOPNOTSUPP);
    acknowledge(c, 4, 0);
    acknowledge(c, 5, 0);
    assert_int_equal(vf_link_apply(&c->rtnl, 2, 1, &wanted, &present, &failed), -EOPNOTSUPP);
    assert_int_equal(failed, VF_TRUST);
    assert_int_equal(question(c, &mac, sizeof(mac)), IFLA_VF_MAC);
    assert_true(mac.vf == 1 && mac.mac[0] == 2 && mac.mac[1] == 1);
    assert_int_equal(question(c, &vlan, sizeof(vlan)), IFLA_VF_VLAN);
    assert_true(vlan.vf == 1 && vlan.vlan == 5 && vlan.qos == 0);
    assert_int_equal(question(c, &trust, sizeof(trust)), IFLA_VF_TRUST);
    assert_true(trust.vf == 1 && trust.setting == 1);
    /* And back, newest first. */
    assert_int_equal(question(c, &vlan, sizeof(vlan)), IFLA_VF_VLAN);
    assert_true(vlan.vlan == 3 && vlan.qos == 1);
    assert_int_equal(question(c, &mac, sizeof(mac)), IFLA_VF_MAC);
    assert_true(mac.mac[0] == 0);
    assert_int_equal(question(c, &mac, sizeof(mac)), -EAGAIN);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_recorded), CASE(test_cut),       CASE(test_refused),
        CASE(test_words),    CASE(test_strangers), CASE(test_apply),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
