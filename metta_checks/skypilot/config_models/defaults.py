
def shared_skip_proxy():
    return False


def shared_timeout():
    return 10


def instance_allow_redirects():
    return True


def instance_api_timing():
    return False


def instance_auth_type():
    return 'basic'


def instance_by_user():
    return False


def instance_by_workspace():
    return False


def instance_connect_timeout():
    return 5


def instance_disable_generic_tags():
    return False


def instance_empty_default_hostname():
    return True


def instance_enable_legacy_tags_normalization():
    return True


def instance_idle_minutes():
    return 0


def instance_kerberos_auth():
    return 'disabled'


def instance_kerberos_delegate():
    return False


def instance_kerberos_force_initiate():
    return False


def instance_log_requests():
    return False


def instance_max_jobs():
    return 200


def instance_max_rows():
    return 20000


def instance_min_collection_interval():
    return 60


def instance_per_job():
    return False


def instance_persist_connections():
    return False


def instance_pools():
    return False


def instance_prices():
    return {}


def instance_refresh_interval():
    return 900


def instance_refresh_timeout():
    return 600


def instance_request_size():
    return 16


def instance_result_timeout():
    return 60


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
