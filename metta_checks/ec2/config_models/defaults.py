
def shared_skip_proxy():
    return False


def instance_capacity_reservations():
    return False


def instance_commitments():
    return False


def instance_connect_timeout():
    return 5


def instance_cost_explorer():
    return False


def instance_disable_generic_tags():
    return False


def instance_empty_default_hostname():
    return True


def instance_enable_legacy_tags_normalization():
    return True


def instance_gpu_breakdown():
    return False


def instance_max_types():
    return 30


def instance_min_collection_interval():
    return 60


def instance_price_snapshots():
    return False


def instance_read_images():
    return True


def instance_read_snapshots():
    return True


def instance_read_timeout():
    return 30


def instance_refresh_interval():
    return 900


def instance_refresh_timeout():
    return 600


def instance_regions():
    return []


def instance_skip_proxy():
    return False


def instance_spot_interruptions():
    return False


def instance_tag_by():
    return []


def instance_tls_verify():
    return True
