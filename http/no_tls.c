// SPDX-License-Identifier: Apache-2.0
/*
 * GnuTLS, left out: what the static libmicrohttpd of distributions refers to by name.
 *
 * It is built with support for TLS, which a unix socket has no use for and husk never asks for
 * (MHD_USE_TLS). Linking GnuTLS for that would put seven libraries, their start-up code and their
 * memory into the process that runs the guest. Everything here fails; the library's initialisation
 * is the only caller and does not look.
 */
#include <stddef.h>

extern void *(*const gnutls_malloc)(size_t size);
void *(*const gnutls_malloc)(size_t size) = NULL;

static int no_tls(void)
{
    return -1;
}

#define ABSENT(name) int name(void) __attribute__((alias("no_tls")))

ABSENT(gnutls_alpn_set_protocols);
ABSENT(gnutls_bye);
ABSENT(gnutls_certificate_allocate_credentials);
ABSENT(gnutls_certificate_free_credentials);
ABSENT(gnutls_certificate_server_set_request);
ABSENT(gnutls_certificate_set_dh_params);
ABSENT(gnutls_certificate_set_retrieve_function2);
ABSENT(gnutls_certificate_set_retrieve_function3);
ABSENT(gnutls_certificate_set_x509_key_mem);
ABSENT(gnutls_certificate_set_x509_key_mem2);
ABSENT(gnutls_certificate_set_x509_trust_mem);
ABSENT(gnutls_cipher_get);
ABSENT(gnutls_credentials_set);
ABSENT(gnutls_deinit);
ABSENT(gnutls_dh_params_deinit);
ABSENT(gnutls_dh_params_import_pkcs3);
ABSENT(gnutls_dh_params_init);
ABSENT(gnutls_global_deinit);
ABSENT(gnutls_global_init);
ABSENT(gnutls_handshake);
ABSENT(gnutls_init);
ABSENT(gnutls_priority_deinit);
ABSENT(gnutls_priority_init);
ABSENT(gnutls_priority_set);
ABSENT(gnutls_protocol_get_version);
ABSENT(gnutls_psk_allocate_server_credentials);
ABSENT(gnutls_psk_free_server_credentials);
ABSENT(gnutls_psk_set_server_credentials_function);
ABSENT(gnutls_record_check_pending);
ABSENT(gnutls_record_get_direction);
ABSENT(gnutls_record_recv);
ABSENT(gnutls_record_send);
ABSENT(gnutls_session_get_ptr);
ABSENT(gnutls_session_set_ptr);
ABSENT(gnutls_strerror);
ABSENT(gnutls_transport_set_int2);
