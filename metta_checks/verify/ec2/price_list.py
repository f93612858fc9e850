"""The price list through its API: one query per price."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from .account import Account

# The region of the API by the first part of a region; all others ask us-east-1.
ENDPOINTS = {'eu': 'eu-central-1', 'me': 'eu-central-1', 'af': 'eu-central-1', 'il': 'eu-central-1', 'ap': 'ap-south-1'}


def one_price(account: Account, region: str, unit: str, **attributes: str) -> float | None:
    """Return the price in USD of the products with these attributes; None without exactly one price."""
    found = {
        price
        for product in products(account, region, **attributes)
        for its_unit, price in _prices(product)
        if its_unit == unit
    } - {0.0}
    return found.pop() if len(found) == 1 else None


def products(account: Account, region: str, **attributes: str) -> list[Mapping[str, Any]]:
    """Return the products of EC2 with these attributes, by the endpoint for a region."""
    where = 'cn-northwest-1' if region.startswith('cn-') else ENDPOINTS.get(region.split('-')[0], 'us-east-1')
    pages = (
        account.client('pricing', where)
        .get_paginator('get_products')
        .paginate(
            ServiceCode='AmazonEC2',
            Filters=[{'Type': 'TERM_MATCH', 'Field': field, 'Value': value} for field, value in attributes.items()],
        )
    )
    return [json.loads(text) for page in pages for text in page['PriceList']]


def price_by_usage(products_found: list[Mapping[str, Any]], unit_start: str) -> dict[str, float]:
    """Return the prices of some products by their usage type without the prefix of the region.

    `unit_start` is the beginning of the unit, which the list writes in several ways (GB-Mo, GB-month).
    """
    return {
        product['product']['attributes']['usagetype'].split('EBS:')[-1]: price
        for product in products_found
        for unit, price in _prices(product)
        if unit.lower().startswith(unit_start)
    }


def _prices(product: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for term in product['terms'].get('OnDemand', {}).values():
        for dimension in term['priceDimensions'].values():
            if 'USD' in dimension['pricePerUnit']:
                yield dimension['unit'], float(dimension['pricePerUnit']['USD'])
