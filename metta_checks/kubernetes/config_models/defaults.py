
def shared_skip_proxy():
    return False


def shared_timeout():
    return 10


def instance_accelerator_types():
    return {}


def instance_allow_redirects():
    return True


def instance_auth_type():
    return 'basic'


def instance_cluster_idle():
    return False


def instance_collect_nodes():
    return True


def instance_collect_usage():
    return True


def instance_disable_generic_tags():
    return False


def instance_empty_default_hostname():
    return True


def instance_enable_legacy_tags_normalization():
    return True


def instance_kerberos_auth():
    return 'disabled'


def instance_kerberos_delegate():
    return False


def instance_kerberos_force_initiate():
    return False


def instance_log_requests():
    return False


def instance_max_namespaces():
    return 50


def instance_min_collection_interval():
    return 60


def instance_per_namespace():
    return False


def instance_persist_connections():
    return False


def instance_refresh_interval():
    return 900


def instance_refresh_timeout():
    return 600


def instance_request_size():
    return 16


def instance_resource_claims():
    return False


def instance_skip_proxy():
    return False


def instance_timeout():
    return 10


def instance_tls_ignore_warning():
    return False


def instance_tls_use_host_header():
    return False


def instance_tls_verify():
    return True


def instance_use_legacy_auth_encoding():
    return True
