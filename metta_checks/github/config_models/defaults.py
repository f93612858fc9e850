
def shared_skip_proxy():
    return False


def shared_timeout():
    return 10


def instance_allow_redirects():
    return True


def instance_api_url():
    return 'https://api.github.com'


def instance_auth_type():
    return 'basic'


def instance_benchmark_workflows():
    return ['*benchmark*']


def instance_deployments():
    return False


def instance_disable_generic_tags():
    return False


def instance_empty_default_hostname():
    return True


def instance_enable_legacy_tags_normalization():
    return True


def instance_exclude_bots():
    return False


def instance_hotfix_patterns():
    return ['^\\[?hotfix\\b']


def instance_issues():
    return False


def instance_jobs():
    return False


def instance_kerberos_auth():
    return 'disabled'


def instance_kerberos_delegate():
    return False


def instance_kerberos_force_initiate():
    return False


def instance_log_requests():
    return False


def instance_max_repositories():
    return 100


def instance_max_requests():
    return 300


def instance_max_workflows():
    return 30


def instance_min_collection_interval():
    return 60


def instance_organization_runners():
    return False


def instance_persist_connections():
    return False


def instance_rate_limit_reserve_pct():
    return 10


def instance_refresh_interval():
    return 900


def instance_refresh_timeout():
    return 600


def instance_request_size():
    return 16


def instance_required_events():
    return ['push', 'merge_group', 'schedule', 'workflow_dispatch']


def instance_runners():
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
