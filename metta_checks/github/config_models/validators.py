def initialize_instance(values, **_):
    """The numbers of an App may be written without quotes."""
    return {
        key: str(value) if key in ('app_id', 'app_installation_id') and isinstance(value, int) else value
        for key, value in values.items()
    }
