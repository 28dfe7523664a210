// SPDX-License-Identifier: Apache-2.0
/*
 * Fields of Pods: see fields.h. The names, types, ranges and defaults are those of the Kubernetes
 * API, v1.31 (core/v1); docs/pods.md has them for people.
 */
#include "pod/manifest/fields.h"

#include <stddef.h>

#include "pod/manifest/manifest.h"

#define FIELDS(name) static const struct schema_field name[]
#define END          \
    {                \
        .name = NULL \
    }
#define ID_MAX INT32_MAX /* of users and groups */

/* What a single host has no use for, and why: kept as it is given. */
#define IGNORED(field, reason)                                                     \
    {                                                                              \
        .name = field, .type = SCHEMA_ANY, .flags = FIELD_NO_EFFECT, .why = reason \
    }
#define UNSUPPORTED(field, reason)                               \
    {                                                            \
        .name = field, .type = SCHEMA_UNSUPPORTED, .why = reason \
    }

/* Reasons that several have. */
#define OF_THE_SERVER "an API server writes it, and manifests that come from one have it"
#define OF_THE_OWNER  "pods have the name and namespace of the Deployment"
#define ONE_NODE      "there is one host, and no scheduler"
#define NO_TOKENS     "there is no API server that a token would be for"
#define NO_PRIORITY   "no pod makes way for another"
#define OWN_KERNEL    "the pod has a kernel of its own"
#define NO_CLAIMS     "there are no devices to claim"
#define NOBODY_OPENS  "nobody here would open them"
#define NO_SELINUX    "the guest's kernel has no SELinux"
#define NO_APPARMOR   "the guest's kernel has no AppArmor"
#define NO_WINDOWS    "the guest is Linux"
#define NO_STORAGE    "there is no cluster whose storage it would be"
#define NO_ROLLOUT    "pods are changed in place, or replaced one after the other"
#define IMMUTABLE     "a manifest with other contents is taken as a newer one"

#define NUMBER(field, from, to, value)                                                  \
    {                                                                                   \
        .name = field, .type = SCHEMA_INT, .least = from, .most = to, .fallback = value \
    }
#define FLAG(field)                        \
    {                                      \
        .name = field, .type = SCHEMA_BOOL \
    }
#define KEPT_FLAG(field)                                              \
    {                                                                 \
        .name = field, .type = SCHEMA_BOOL, .flags = FIELD_KEEP_FALSE \
    }
#define TEXT(field, form)                                  \
    {                                                      \
        .name = field, .type = SCHEMA_TEXT, .format = form \
    }
#define REQUIRED_TEXT(field, form)                                                  \
    {                                                                               \
        .name = field, .type = SCHEMA_TEXT, .format = form, .flags = FIELD_REQUIRED \
    }
#define WORD(field, list, value)                                             \
    {                                                                        \
        .name = field, .type = SCHEMA_TEXT, .words = list, .fallback = value \
    }
#define TEXTS(field, form)                                  \
    {                                                       \
        .name = field, .type = SCHEMA_TEXTS, .format = form \
    }
#define OBJECT(field, table)                                     \
    {                                                            \
        .name = field, .type = SCHEMA_OBJECT, .object = &(table) \
    }
#define CHOICE(field, table)                                                            \
    {                                                                                   \
        .name = field, .type = SCHEMA_OBJECT, .object = &(table), .flags = FIELD_ONE_OF \
    }
#define OBJECTS(field, table)                                     \
    {                                                             \
        .name = field, .type = SCHEMA_OBJECTS, .object = &(table) \
    }

/* ---- metadata ---- */

#define METADATA_COMMON                                                                    \
    {.name = "labels",                                                                     \
     .type = SCHEMA_MAP,                                                                   \
     .keys = FORMAT_LABEL_KEY,                                                             \
     .format = FORMAT_LABEL_VALUE,                                                         \
     .flags = FIELD_IN_PLACE},                                                             \
        {.name = "annotations",                                                            \
         .type = SCHEMA_MAP,                                                               \
         .keys = FORMAT_LABEL_KEY,                                                         \
         .flags = FIELD_IN_PLACE},                                                         \
        UNSUPPORTED("generateName", "names are those of the manifest"),                    \
        IGNORED("uid", OF_THE_SERVER), IGNORED("resourceVersion", OF_THE_SERVER),          \
        IGNORED("generation", OF_THE_SERVER), IGNORED("creationTimestamp", OF_THE_SERVER), \
        IGNORED("deletionTimestamp", OF_THE_SERVER),                                       \
        IGNORED("deletionGracePeriodSeconds", OF_THE_SERVER),                              \
        IGNORED("managedFields", OF_THE_SERVER), IGNORED("selfLink", OF_THE_SERVER),       \
        IGNORED("finalizers", "nothing here is waited for before a pod is removed"),       \
        IGNORED("ownerReferences", "nothing here collects what has lost its owner")

#define NAMESPACE                                                                               \
    {                                                                                           \
        .name = "namespace", .type = SCHEMA_TEXT, .format = FORMAT_LABEL, .fallback = "default" \
    }

FIELDS(pod_metadata_fields) = {REQUIRED_TEXT("name", FORMAT_POD_NAME), NAMESPACE, METADATA_COMMON,
                               END};
static const struct schema_object pod_metadata = {"metadata of a Pod", pod_metadata_fields};

FIELDS(metadata_fields) = {REQUIRED_TEXT("name", FORMAT_NAME), NAMESPACE, METADATA_COMMON, END};
static const struct schema_object metadata = {"metadata", metadata_fields};

FIELDS(template_metadata_fields) = {IGNORED("name", OF_THE_OWNER),
                                    IGNORED("namespace", OF_THE_OWNER), METADATA_COMMON, END};
static const struct schema_object template_metadata = {"metadata of a template",
                                                       template_metadata_fields};

/* ---- environment ---- */

FIELDS(reference_fields) = {REQUIRED_TEXT("name", FORMAT_NAME), FLAG("optional"), END};
static const struct schema_object reference = {"a reference to an object", reference_fields};

FIELDS(key_fields) = {REQUIRED_TEXT("name", FORMAT_NAME), REQUIRED_TEXT("key", FORMAT_DATA_KEY),
                      FLAG("optional"), END};
static const struct schema_object key = {"a reference to a key", key_fields};

FIELDS(field_ref_fields) = {{.name = "apiVersion",
                             .type = SCHEMA_TEXT,
                             .fallback = "v1",
                             .words = (const char *const[]){"v1", NULL}},
                            REQUIRED_TEXT("fieldPath", FORMAT_LINE),
                            END};
static const struct schema_object field_ref = {"fieldRef", field_ref_fields};

static const char *const resource_words[] = {"limits.cpu",
                                             "limits.memory",
                                             "limits.ephemeral-storage",
                                             "requests.cpu",
                                             "requests.memory",
                                             "requests.ephemeral-storage",
                                             NULL};
FIELDS(resource_ref_fields) = {
    TEXT("containerName", FORMAT_LABEL),
    {.name = "resource", .type = SCHEMA_TEXT, .words = resource_words, .flags = FIELD_REQUIRED},
    {.name = "divisor", .type = SCHEMA_QUANTITY, .fallback = "1"},
    END};
static const struct schema_object resource_ref = {"resourceFieldRef", resource_ref_fields};

FIELDS(value_fields) = {CHOICE("fieldRef", field_ref), CHOICE("resourceFieldRef", resource_ref),
                        CHOICE("configMapKeyRef", key), CHOICE("secretKeyRef", key), END};
static const struct schema_object value_from = {"valueFrom", value_fields};

FIELDS(env_fields) = {REQUIRED_TEXT("name", FORMAT_ENV_NAME), TEXT("value", FORMAT_ANY),
                      OBJECT("valueFrom", value_from), END};
static const struct schema_object env = {"env", env_fields};

FIELDS(env_from_fields) = {TEXT("prefix", FORMAT_ENV_PREFIX), CHOICE("configMapRef", reference),
                           CHOICE("secretRef", reference), END};
static const struct schema_object env_from = {"envFrom", env_from_fields};

/* ---- ports, resources, mounts ---- */

static const char *const protocols[] = {"TCP", "UDP", "SCTP", NULL};
FIELDS(port_fields) = {TEXT("name", FORMAT_PORT_NAME),
                       NUMBER("hostPort", 1, UINT16_MAX, NULL),
                       {.name = "containerPort",
                        .type = SCHEMA_INT,
                        .least = 1,
                        .most = UINT16_MAX,
                        .flags = FIELD_REQUIRED},
                       WORD("protocol", protocols, "TCP"),
                       TEXT("hostIP", FORMAT_ADDRESS),
                       END};
static const struct schema_object port = {"ports", port_fields};

static const char *const resource_names[] = {"cpu", "memory", "ephemeral-storage", NULL};
FIELDS(resource_fields) = {{.name = "limits", .type = SCHEMA_QUANTITIES, .words = resource_names},
                           {.name = "requests", .type = SCHEMA_QUANTITIES, .words = resource_names},
                           UNSUPPORTED("claims", NO_CLAIMS),
                           END};
static const struct schema_object resources = {"resources", resource_fields};

static const char *const propagations[] = {"None", NULL};
static const char *const recursions[] = {"Disabled", NULL};
FIELDS(mount_fields) = {REQUIRED_TEXT("name", FORMAT_LABEL),
                        FLAG("readOnly"),
                        WORD("recursiveReadOnly", recursions, NULL),
                        REQUIRED_TEXT("mountPath", FORMAT_PATH),
                        TEXT("subPath", FORMAT_SUBPATH),
                        TEXT("subPathExpr", FORMAT_LINE),
                        WORD("mountPropagation", propagations, NULL),
                        END};
static const struct schema_object mount = {"volumeMounts", mount_fields};

/* ---- probes and hooks ---- */

FIELDS(exec_fields) = {{.name = "command", .type = SCHEMA_TEXTS, .flags = FIELD_REQUIRED}, END};
static const struct schema_object exec_action = {"exec", exec_fields};

FIELDS(header_fields) = {REQUIRED_TEXT("name", FORMAT_HEADER_NAME),
                         TEXT("value", FORMAT_HEADER_VALUE), END};
static const struct schema_object header = {"httpHeaders", header_fields};

#define PORT                                                         \
    {                                                                \
        .name = "port", .type = SCHEMA_PORT, .flags = FIELD_REQUIRED \
    }
static const char *const schemes[] = {"HTTP", "HTTPS", NULL};
FIELDS(http_fields) = {
    {.name = "path", .type = SCHEMA_TEXT, .format = FORMAT_URL_PATH, .fallback = "/"},
    PORT,
    TEXT("host", FORMAT_PROBE_HOST),
    WORD("scheme", schemes, "HTTP"),
    OBJECTS("httpHeaders", header),
    END};
static const struct schema_object http_action = {"httpGet", http_fields};

FIELDS(tcp_fields) = {PORT, TEXT("host", FORMAT_PROBE_HOST), END};
static const struct schema_object tcp_action = {"tcpSocket", tcp_fields};

FIELDS(grpc_fields) = {
    {.name = "port", .type = SCHEMA_INT, .least = 1, .most = UINT16_MAX, .flags = FIELD_REQUIRED},
    TEXT("service", FORMAT_GRPC_SERVICE),
    END};
static const struct schema_object grpc_action = {"grpc", grpc_fields};

FIELDS(sleep_fields) = {
    {.name = "seconds", .type = SCHEMA_INT, .least = 0, .most = INT32_MAX, .flags = FIELD_REQUIRED},
    END};
static const struct schema_object sleep_action = {"sleep", sleep_fields};

FIELDS(probe_fields) = {CHOICE("exec", exec_action),
                        CHOICE("httpGet", http_action),
                        CHOICE("tcpSocket", tcp_action),
                        CHOICE("grpc", grpc_action),
                        NUMBER("initialDelaySeconds", 0, INT32_MAX, "0"),
                        NUMBER("timeoutSeconds", 1, INT32_MAX, "1"),
                        NUMBER("periodSeconds", 1, INT32_MAX, "10"),
                        NUMBER("successThreshold", 1, INT32_MAX, "1"),
                        NUMBER("failureThreshold", 1, INT32_MAX, "3"),
                        NUMBER("terminationGracePeriodSeconds", 1, INT32_MAX, NULL),
                        END};
static const struct schema_object probe = {"a probe", probe_fields};

FIELDS(hook_fields) = {CHOICE("exec", exec_action), CHOICE("httpGet", http_action),
                       CHOICE("sleep", sleep_action),
                       UNSUPPORTED("tcpSocket", "it has no effect in Kubernetes either"), END};
static const struct schema_object hook = {"a hook", hook_fields};

FIELDS(lifecycle_fields) = {OBJECT("postStart", hook), OBJECT("preStop", hook),
                            TEXT("stopSignal", FORMAT_SIGNAL), END};
static const struct schema_object lifecycle = {"lifecycle", lifecycle_fields};

/* ---- security ---- */

FIELDS(capability_fields) = {TEXTS("add", FORMAT_CAPABILITY), TEXTS("drop", FORMAT_CAPABILITY),
                             END};
static const struct schema_object capabilities = {"capabilities", capability_fields};

static const char *const seccomp_types[] = {"RuntimeDefault", "Unconfined", "Localhost", NULL};
FIELDS(seccomp_fields) = {
    {.name = "type", .type = SCHEMA_TEXT, .words = seccomp_types, .flags = FIELD_REQUIRED},
    TEXT("localhostProfile", FORMAT_SUBPATH),
    END};
static const struct schema_object seccomp = {"seccompProfile", seccomp_fields};

static const char *const proc_mounts[] = {"Default", "Unmasked", NULL};
FIELDS(security_fields) = {OBJECT("capabilities", capabilities),
                           FLAG("privileged"),
                           NUMBER("runAsUser", 0, ID_MAX, NULL),
                           NUMBER("runAsGroup", 0, ID_MAX, NULL),
                           KEPT_FLAG("runAsNonRoot"),
                           KEPT_FLAG("readOnlyRootFilesystem"),
                           KEPT_FLAG("allowPrivilegeEscalation"),
                           WORD("procMount", proc_mounts, NULL),
                           OBJECT("seccompProfile", seccomp),
                           UNSUPPORTED("seLinuxOptions", NO_SELINUX),
                           UNSUPPORTED("windowsOptions", NO_WINDOWS),
                           UNSUPPORTED("appArmorProfile", NO_APPARMOR),
                           END};
static const struct schema_object security = {"securityContext of a container", security_fields};

FIELDS(sysctl_fields) = {REQUIRED_TEXT("name", FORMAT_SYSCTL), REQUIRED_TEXT("value", FORMAT_LINE),
                         END};
static const struct schema_object sysctl = {"sysctls", sysctl_fields};

static const char *const group_policies[] = {"Merge", NULL};
FIELDS(pod_security_fields) = {
    NUMBER("runAsUser", 0, ID_MAX, NULL),
    NUMBER("runAsGroup", 0, ID_MAX, NULL),
    KEPT_FLAG("runAsNonRoot"),
    {.name = "supplementalGroups", .type = SCHEMA_INTS, .least = 0, .most = ID_MAX},
    WORD("supplementalGroupsPolicy", group_policies, NULL),
    NUMBER("fsGroup", 0, ID_MAX, NULL),
    IGNORED("fsGroupChangePolicy", "volumes are new, and get their group when they are made"),
    OBJECTS("sysctls", sysctl),
    OBJECT("seccompProfile", seccomp),
    UNSUPPORTED("seLinuxOptions", NO_SELINUX),
    UNSUPPORTED("seLinuxChangePolicy", NO_SELINUX),
    UNSUPPORTED("windowsOptions", NO_WINDOWS),
    UNSUPPORTED("appArmorProfile", NO_APPARMOR),
    END};
static const struct schema_object pod_security = {"securityContext of a pod", pod_security_fields};

/* ---- containers ---- */

static const char *const pull_policies[] = {"Always", "Never", "IfNotPresent", NULL};
static const char *const message_policies[] = {"File", "FallbackToLogsOnError", NULL};

#define CONTAINER                                                                                 \
    REQUIRED_TEXT("name", FORMAT_LABEL), REQUIRED_TEXT("image", FORMAT_IMAGE),                    \
        TEXTS("command", FORMAT_ANY), TEXTS("args", FORMAT_ANY), TEXT("workingDir", FORMAT_PATH), \
        OBJECTS("ports", port), OBJECTS("envFrom", env_from), OBJECTS("env", env),                \
        {.name = "resources",                                                                     \
         .type = SCHEMA_OBJECT,                                                                   \
         .object = &resources,                                                                    \
         .flags = FIELD_IN_PLACE},                                                                \
        IGNORED("resizePolicy",                                                                   \
                "limits change in place, and no container is started again for it"),              \
        OBJECTS("volumeMounts", mount),                                                           \
        UNSUPPORTED("volumeDevices", "a disk is a hostPath volume"),                              \
        OBJECT("livenessProbe", probe), OBJECT("readinessProbe", probe),                          \
        OBJECT("startupProbe", probe), OBJECT("lifecycle", lifecycle),                            \
        {.name = "terminationMessagePath",                                                        \
         .type = SCHEMA_TEXT,                                                                     \
         .format = FORMAT_PATH,                                                                   \
         .fallback = "/dev/termination-log"},                                                     \
        WORD("terminationMessagePolicy", message_policies, "File"),                               \
        WORD("imagePullPolicy", pull_policies, NULL), OBJECT("securityContext", security),        \
        FLAG("stdin"), FLAG("stdinOnce"), FLAG("tty")

FIELDS(container_fields) = {CONTAINER,
                            UNSUPPORTED("restartPolicy", "containers have that of the pod"), END};
static const struct schema_object container = {"a container", container_fields};

static const char *const sidecar_policies[] = {"Always", NULL};
FIELDS(init_container_fields) = {CONTAINER, WORD("restartPolicy", sidecar_policies, NULL), END};
static const struct schema_object init_container = {"an init container", init_container_fields};

/* ---- volumes ---- */

#define MODE(field, value) NUMBER(field, 0, 0777, value)

FIELDS(item_fields) = {REQUIRED_TEXT("key", FORMAT_DATA_KEY), REQUIRED_TEXT("path", FORMAT_SUBPATH),
                       MODE("mode", NULL), END};
static const struct schema_object item = {"items", item_fields};

FIELDS(downward_item_fields) = {REQUIRED_TEXT("path", FORMAT_SUBPATH),
                                CHOICE("fieldRef", field_ref),
                                CHOICE("resourceFieldRef", resource_ref), MODE("mode", NULL), END};
static const struct schema_object downward_item = {"items of a downwardAPI", downward_item_fields};

static const char *const media[] = {"Memory", NULL};
FIELDS(empty_dir_fields) = {
    WORD("medium", media, NULL), {.name = "sizeLimit", .type = SCHEMA_QUANTITY}, END};
static const struct schema_object empty_dir = {"emptyDir", empty_dir_fields};

static const char *const host_types[] = {"File", "BlockDevice", NULL};
FIELDS(host_path_fields) = {REQUIRED_TEXT("path", FORMAT_PATH), WORD("type", host_types, NULL),
                            END};
static const struct schema_object host_path = {"hostPath", host_path_fields};

FIELDS(config_map_volume_fields) = {REQUIRED_TEXT("name", FORMAT_NAME), OBJECTS("items", item),
                                    MODE("defaultMode", "420"), FLAG("optional"), END};
static const struct schema_object config_map_volume = {"configMap", config_map_volume_fields};

FIELDS(secret_volume_fields) = {REQUIRED_TEXT("secretName", FORMAT_NAME), OBJECTS("items", item),
                                MODE("defaultMode", "420"), FLAG("optional"), END};
static const struct schema_object secret_volume = {"secret", secret_volume_fields};

FIELDS(downward_fields) = {OBJECTS("items", downward_item), MODE("defaultMode", "420"), END};
static const struct schema_object downward = {"downwardAPI", downward_fields};

FIELDS(source_object_fields) = {REQUIRED_TEXT("name", FORMAT_NAME), OBJECTS("items", item),
                                FLAG("optional"), END};
static const struct schema_object source_object = {"a projected object", source_object_fields};

FIELDS(source_downward_fields) = {OBJECTS("items", downward_item), END};
static const struct schema_object source_downward = {"a projected downwardAPI",
                                                     source_downward_fields};

FIELDS(source_fields) = {CHOICE("configMap", source_object),
                         CHOICE("secret", source_object),
                         CHOICE("downwardAPI", source_downward),
                         UNSUPPORTED("serviceAccountToken", NO_TOKENS),
                         UNSUPPORTED("clusterTrustBundle", "there is no cluster"),
                         END};
static const struct schema_object source = {"sources", source_fields};

FIELDS(projected_fields) = {
    {.name = "sources", .type = SCHEMA_OBJECTS, .object = &source, .flags = FIELD_REQUIRED},
    MODE("defaultMode", "420"),
    END};
static const struct schema_object projected = {"projected", projected_fields};

FIELDS(volume_fields) = {
    REQUIRED_TEXT("name", FORMAT_LABEL),
    {.name = "emptyDir",
     .type = SCHEMA_OBJECT,
     .object = &empty_dir,
     .flags = FIELD_ONE_OF | FIELD_IF_NONE},
    CHOICE("hostPath", host_path),
    CHOICE("configMap", config_map_volume),
    CHOICE("secret", secret_volume),
    CHOICE("projected", projected),
    CHOICE("downwardAPI", downward),
    UNSUPPORTED("persistentVolumeClaim", NO_STORAGE),
    UNSUPPORTED("ephemeral", NO_STORAGE),
    UNSUPPORTED("csi", NO_STORAGE),
    UNSUPPORTED("image", NULL),
    UNSUPPORTED("nfs", NO_STORAGE),
    UNSUPPORTED("iscsi", NO_STORAGE),
    UNSUPPORTED("rbd", NO_STORAGE),
    UNSUPPORTED("cephfs", NO_STORAGE),
    UNSUPPORTED("fc", NO_STORAGE),
    UNSUPPORTED("gitRepo", "Kubernetes has given it up: clone in an init container"),
    UNSUPPORTED("flexVolume", NO_STORAGE),
    UNSUPPORTED("awsElasticBlockStore", NO_STORAGE),
    UNSUPPORTED("azureDisk", NO_STORAGE),
    UNSUPPORTED("azureFile", NO_STORAGE),
    UNSUPPORTED("cinder", NO_STORAGE),
    UNSUPPORTED("flocker", NO_STORAGE),
    UNSUPPORTED("gcePersistentDisk", NO_STORAGE),
    UNSUPPORTED("glusterfs", NO_STORAGE),
    UNSUPPORTED("photonPersistentDisk", NO_STORAGE),
    UNSUPPORTED("portworxVolume", NO_STORAGE),
    UNSUPPORTED("quobyte", NO_STORAGE),
    UNSUPPORTED("scaleIO", NO_STORAGE),
    UNSUPPORTED("storageos", NO_STORAGE),
    UNSUPPORTED("vsphereVolume", NO_STORAGE),
    END};
static const struct schema_object volume = {"volumes", volume_fields};

/* ---- the pod ---- */

FIELDS(host_alias_fields) = {
    REQUIRED_TEXT("ip", FORMAT_ADDRESS),
    {.name = "hostnames", .type = SCHEMA_TEXTS, .format = FORMAT_HOSTNAME, .flags = FIELD_REQUIRED},
    END};
static const struct schema_object host_alias = {"hostAliases", host_alias_fields};

FIELDS(dns_option_fields) = {REQUIRED_TEXT("name", FORMAT_LINE), TEXT("value", FORMAT_LINE), END};
static const struct schema_object dns_option = {"options", dns_option_fields};

FIELDS(dns_fields) = {TEXTS("nameservers", FORMAT_ADDRESS), TEXTS("searches", FORMAT_SEARCH),
                      OBJECTS("options", dns_option), END};
static const struct schema_object dns = {"dnsConfig", dns_fields};

static const char *const systems[] = {"linux", NULL};
FIELDS(os_fields) = {
    {.name = "name", .type = SCHEMA_TEXT, .words = systems, .flags = FIELD_REQUIRED}, END};
static const struct schema_object os = {"os", os_fields};

FIELDS(pull_secret_fields) = {REQUIRED_TEXT("name", FORMAT_NAME), END};
static const struct schema_object pull_secret = {"imagePullSecrets", pull_secret_fields};

static const char *const restart_policies[] = {"Always", "OnFailure", "Never", NULL};
static const char *const dns_policies[] = {"ClusterFirst", "ClusterFirstWithHostNet", "Default",
                                           "None", NULL};

FIELDS(spec_fields) = {
    {.name = "containers", .type = SCHEMA_OBJECTS, .object = &container, .flags = FIELD_REQUIRED},
    OBJECTS("initContainers", init_container),
    UNSUPPORTED("ephemeralContainers", "husk pod exec runs commands in containers"),
    OBJECTS("volumes", volume),
    WORD("restartPolicy", restart_policies, "Always"),
    {.name = "terminationGracePeriodSeconds",
     .type = SCHEMA_INT,
     .least = 0,
     .most = INT32_MAX,
     .fallback = "30",
     .flags = FIELD_IN_PLACE},
    {.name = "activeDeadlineSeconds",
     .type = SCHEMA_INT,
     .least = 1,
     .most = INT32_MAX,
     .flags = FIELD_IN_PLACE},
    WORD("dnsPolicy", dns_policies, "ClusterFirst"),
    OBJECT("dnsConfig", dns),
    TEXT("hostname", FORMAT_LABEL),
    TEXT("subdomain", FORMAT_LABEL),
    FLAG("setHostnameAsFQDN"),
    OBJECTS("hostAliases", host_alias),
    FLAG("shareProcessNamespace"),
    OBJECT("securityContext", pod_security),
    TEXT("serviceAccountName", FORMAT_NAME),
    UNSUPPORTED("hostNetwork", OWN_KERNEL),
    UNSUPPORTED("hostPID", OWN_KERNEL),
    UNSUPPORTED("hostIPC", OWN_KERNEL),
    OBJECTS("imagePullSecrets", pull_secret),
    UNSUPPORTED("readinessGates", NOBODY_OPENS),
    UNSUPPORTED("schedulingGates", NOBODY_OPENS),
    UNSUPPORTED("resourceClaims", NO_CLAIMS),
    UNSUPPORTED("resources", "limits are those of containers"),
    IGNORED("hostUsers", "users of the guest are never users of the host"),
    IGNORED("serviceAccount", "the former name of serviceAccountName"),
    IGNORED("automountServiceAccountToken", NO_TOKENS),
    IGNORED("nodeName", ONE_NODE),
    IGNORED("nodeSelector", ONE_NODE),
    IGNORED("affinity", ONE_NODE),
    IGNORED("tolerations", ONE_NODE),
    IGNORED("topologySpreadConstraints", ONE_NODE),
    IGNORED("schedulerName", ONE_NODE),
    IGNORED("priorityClassName", NO_PRIORITY),
    IGNORED("priority", NO_PRIORITY),
    IGNORED("preemptionPolicy", NO_PRIORITY),
    IGNORED("runtimeClassName", "there is one runtime"),
    IGNORED("overhead", "the guest's own memory is added to what containers may have"),
    IGNORED("enableServiceLinks", "there are no services"),
    OBJECT("os", os),
    END};
static const struct schema_object spec = {"spec of a Pod", spec_fields};

#define KIND(version, kind_name)                                      \
    {.name = "apiVersion",                                            \
     .type = SCHEMA_TEXT,                                             \
     .flags = FIELD_REQUIRED,                                         \
     .words = (const char *const[]){version, NULL}},                  \
    {                                                                 \
        .name = "kind", .type = SCHEMA_TEXT, .flags = FIELD_REQUIRED, \
        .words = (const char *const[])                                \
        {                                                             \
            kind_name, NULL                                           \
        }                                                             \
    }
#define METADATA(table)                                                                        \
    {                                                                                          \
        .name = "metadata", .type = SCHEMA_OBJECT, .object = &(table), .flags = FIELD_REQUIRED \
    }

/* "status" comes back with what `husk pod inspect` and kubectl print; it is taken off before. */
FIELDS(pod_top_fields) = {
    KIND("v1", "Pod"),
    METADATA(pod_metadata),
    {.name = "spec", .type = SCHEMA_OBJECT, .object = &spec, .flags = FIELD_REQUIRED},
    END};
const struct schema_object pod_fields = {"Pod", pod_top_fields};

/* ---- what is beside pods ---- */

#define DATA(field, form)                                                          \
    {                                                                              \
        .name = field, .type = SCHEMA_MAP, .keys = FORMAT_DATA_KEY, .format = form \
    }

FIELDS(config_map_top_fields) = {KIND("v1", "ConfigMap"),         METADATA(metadata),
                                 DATA("data", FORMAT_ANY),        DATA("binaryData", FORMAT_BASE64),
                                 IGNORED("immutable", IMMUTABLE), END};
const struct schema_object config_map_fields = {"ConfigMap", config_map_top_fields};

FIELDS(secret_top_fields) = {KIND("v1", "Secret"),
                             METADATA(metadata),
                             DATA("data", FORMAT_BASE64),
                             DATA("stringData", FORMAT_ANY),
                             IGNORED("type", "contents are not held against it"),
                             IGNORED("immutable", IMMUTABLE),
                             END};
const struct schema_object secret_fields = {"Secret", secret_top_fields};

static const char *const operators[] = {"In", "NotIn", "Exists", "DoesNotExist", NULL};
FIELDS(expression_fields) = {
    REQUIRED_TEXT("key", FORMAT_LABEL_KEY),
    {.name = "operator", .type = SCHEMA_TEXT, .words = operators, .flags = FIELD_REQUIRED},
    TEXTS("values", FORMAT_LABEL_VALUE),
    END};
static const struct schema_object expression = {"matchExpressions", expression_fields};

FIELDS(selector_fields) = {{.name = "matchLabels",
                            .type = SCHEMA_MAP,
                            .keys = FORMAT_LABEL_KEY,
                            .format = FORMAT_LABEL_VALUE},
                           OBJECTS("matchExpressions", expression),
                           END};
static const struct schema_object selector = {"selector", selector_fields};

FIELDS(template_fields) = {
    {.name = "metadata",
     .type = SCHEMA_OBJECT,
     .object = &template_metadata,
     .flags = FIELD_KEEP_EMPTY},
    {.name = "spec", .type = SCHEMA_OBJECT, .object = &spec, .flags = FIELD_REQUIRED},
    END};
static const struct schema_object pod_template = {"template", template_fields};

FIELDS(deployment_spec_fields) = {
    NUMBER("replicas", 0, MANIFEST_PODS_MAX, "1"),
    {.name = "selector", .type = SCHEMA_OBJECT, .object = &selector, .flags = FIELD_REQUIRED},
    {.name = "template", .type = SCHEMA_OBJECT, .object = &pod_template, .flags = FIELD_REQUIRED},
    IGNORED("strategy", NO_ROLLOUT),
    IGNORED("minReadySeconds", NO_ROLLOUT),
    IGNORED("revisionHistoryLimit", "there is no history to go back to"),
    IGNORED("progressDeadlineSeconds", "pods say themselves what keeps them"),
    UNSUPPORTED("paused", "what is applied becomes so"),
    END};
static const struct schema_object deployment_spec = {"spec of a Deployment",
                                                     deployment_spec_fields};

FIELDS(deployment_top_fields) = {
    KIND("apps/v1", "Deployment"),
    METADATA(metadata),
    {.name = "spec", .type = SCHEMA_OBJECT, .object = &deployment_spec, .flags = FIELD_REQUIRED},
    END};
const struct schema_object deployment_fields = {"Deployment", deployment_top_fields};
