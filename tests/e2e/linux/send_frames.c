// SPDX-License-Identifier: Apache-2.0
/*
 * In a pod that means harm: sends frames as they are.
 *
 *     send-frames INTERFACE < HEX     one frame a line
 */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define FRAME_MAX 1514

static size_t read_hex(const char *line, uint8_t frame[FRAME_MAX])
{
    unsigned byte;
    size_t len = 0;

    while (len < FRAME_MAX && sscanf(line + 2 * len, "%2x", &byte) == 1)
        frame[len++] = (uint8_t)byte;
    return len;
}

int main(int argc, char **argv)
{
    char line[2 * FRAME_MAX + 2];
    uint8_t frame[FRAME_MAX];
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_halen = ETH_ALEN};
    int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));

    if (fd < 0 || argc != 2 || (to.sll_ifindex = (int)if_nametoindex(argv[1])) == 0) {
        perror("send-frames");
        return 1;
    }
    while (fgets(line, sizeof(line), stdin)) {
        size_t len = read_hex(line, frame);

        memcpy(to.sll_addr, frame, ETH_ALEN);
        if (sendto(fd, frame, len, 0, (struct sockaddr *)&to, sizeof(to)) != (ssize_t)len) {
            perror("send-frames");
            return 1;
        }
    }
    return 0;
}
