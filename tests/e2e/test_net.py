#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""virtio-net against the host's own network stack, in a namespace of its own."""
import e2e
from network import Network, echo_server, need_network


def run(append, options, multi_queue=False, mtu=1500):
    with Network(multi_queue, mtu) as network, echo_server(network), \
            e2e.Machine("net", append, "--net", f"tap=vm0{options}", prefix=network.prefix) as machine:
        machine.finish()


def test_echo():
    run("", ",vhost=off")


def test_configuration():
    run("mac=52:54:00:ab:cd:ef mtu=1400", ",vhost=off,mac=52:54:00:ab:cd:ef,mtu=1400",
        mtu=1400)


def test_queue_pairs():
    run("pairs=2", ",vhost=off,queues=2", multi_queue=True)


def test_limited():
    run("", ",vhost=off,bw=4M")


def test_kernel_data_path_or_a_clear_word():
    """vhost=auto, the default, takes what the host has."""
    run("", "")


def test_hostile_driver():
    with Network() as network, \
            e2e.Machine("hostile", "devices=2 cpus=2", "-c", "2", "--net", "tap=vm0,vhost=off",
                        prefix=network.prefix) as machine:
        machine.finish()


def test_missing_tap():
    with Network() as network, \
            e2e.Machine("exit", "", "--net", "tap=nosuchtap", prefix=network.prefix) as machine:
        machine.finish(e2e.MONITOR_ERROR)
        e2e.require("nosuchtap" in machine.error_text(), "the message names no tap")


e2e.need_kvm()
need_network()
e2e.main(globals())
