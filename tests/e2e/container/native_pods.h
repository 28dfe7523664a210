// SPDX-License-Identifier: Apache-2.0
/*
 * Pods, for tests, by the functions of pod/pods/pods.h; their supervisor is husk-native:
 *
 *     husk-native pod-create PODS RECORD      a pod of the record in the file RECORD
 *     husk-native pod-start PODS KEY [remove] returns when its supervisor serves
 *     husk-native pod-state PODS KEY          its state, marked where need be, with "alive"
 *     husk-native pod-tidy PODS
 *     husk-native pod-remove PODS KEY
 *     husk-native pod-apply PODS KEY RECORD   prepares the file for "apply" and prints its name
 */
#ifndef HUSK_TESTS_E2E_CONTAINER_NATIVE_PODS_H
#define HUSK_TESTS_E2E_CONTAINER_NATIVE_PODS_H

int native_pods(int argc, char *const argv[]);

#endif
