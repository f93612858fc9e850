
def shared_skip_proxy():
    return False


def shared_timeout():
    return 10


def instance_accuracy_key():
    return 'accuracy'


def instance_all_time():
    return False


def instance_allow_redirects():
    return True


def instance_api_url():
    return 'https://api.wandb.ai'


def instance_auth_type():
    return 'basic'


def instance_by_group():
    return False


def instance_by_run_type():
    return False


def instance_by_state():
    return False


def instance_by_user():
    return False


def instance_disable_generic_tags():
    return False


def instance_empty_default_hostname():
    return True


def instance_enable_legacy_tags_normalization():
    return True


def instance_gpu_details():
    return False


def instance_kerberos_auth():
    return 'disabled'


def instance_kerberos_delegate():
    return False


def instance_kerberos_force_initiate():
    return False


def instance_log_requests():
    return False


def instance_loss_key():
    return 'loss'


def instance_max_rows_per_refresh():
    return 5000


def instance_max_runs():
    return 50


def instance_min_collection_interval():
    return 60


def instance_page_size():
    return 100


def instance_per_run():
    return False


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


def instance_run_types():
    return {}


def instance_shared_host_names():
    return ['localhost', 'localhost.*']


def instance_skip_proxy():
    return False


def instance_stale_minutes():
    return 15


def instance_summary_metrics():
    return {}


def instance_sweeps():
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
