
def shared_skip_proxy():
    return False


def shared_timeout():
    return 10


def instance_allow_redirects():
    return True


def instance_api_url():
    return 'https://app.asana.com/api/1.0'


def instance_auth_type():
    return 'basic'


def instance_blocked_fields():
    return False


def instance_bugs_section_time():
    return False


def instance_cycle_time_basis():
    return 'created'


def instance_disable_generic_tags():
    return False


def instance_empty_default_hostname():
    return True


def instance_enable_legacy_tags_normalization():
    return True


def instance_free_crawl_interval():
    return 3600


def instance_kerberos_auth():
    return 'disabled'


def instance_kerberos_delegate():
    return False


def instance_kerberos_force_initiate():
    return False


def instance_log_requests():
    return False


def instance_milestones():
    return False


def instance_min_collection_interval():
    return 60


def instance_persist_connections():
    return False


def instance_projects():
    return []


def instance_refresh_interval():
    return 900


def instance_refresh_timeout():
    return 600


def instance_request_size():
    return 16


def instance_resync_interval():
    return 21600


def instance_section_map():
    return {}


def instance_skip_proxy():
    return False


def instance_started_sections():
    return []


def instance_tasks_total():
    return True


def instance_timeout():
    return 10


def instance_timezone():
    return 'UTC'


def instance_tls_ignore_warning():
    return False


def instance_tls_use_host_header():
    return False


def instance_tls_verify():
    return True


def instance_use_legacy_auth_encoding():
    return True


def instance_use_stories():
    return False
