"""Faults that only AWS has: policies of the organization, accounts that are not verified, Cost Explorer without data.

A refusal is in the form of the service: XML of the query protocol for EC2, JSON for the others.
"""

from __future__ import annotations

import json
import random
from dataclasses import replace

from .faults import Answer, Kind, Patience, Script, passed

SCP = 'You are not authorized to perform this operation with an explicit deny in a service control policy.'
NO_DATA = 'com.amazonaws.ce#DataUnavailableException'
# Answers with prices and places: without them, as documented, the price coverage falls, and the sums with it.
PRICES = (b'"PriceList"', b'<spotPriceHistorySet', b'<availabilityZoneInfo')
# Answers of Cost Explorer.
BILLING = (b'"ResultsByTime"', b'"SavingsPlansCoverages"', b'"CoveragesByTime"', b'UtilizationsByTime"')


def _is_xml(answer: Answer) -> bool:
    return answer.status == 200 and answer.body.lstrip().startswith(b'<')


def _has(answer: Answer, parts: tuple[bytes, ...]) -> bool:
    return any(part in answer.body for part in parts)


def _refused(answer: Answer, status: int, code: str, message: str) -> Answer:
    if _is_xml(answer):
        error = f'<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors></Response>'
        return replace(answer, status=status, body=error.encode())
    return replace(answer, status=status, body=json.dumps({'__type': code, 'message': message}).encode())


def policy(answer: Answer, dice: random.Random, patience: Patience) -> Script:
    """Refuse an operation by a service control policy; prices are left alone."""
    if _has(answer, PRICES):
        return passed(answer, dice, patience)
    code = 'UnauthorizedOperation' if _is_xml(answer) else 'AccessDeniedException'
    return passed(_refused(answer, 403, code, SCP), dice, patience)


def not_opted_in(answer: Answer, dice: random.Random, patience: Patience) -> Script:
    """Refuse the account until AWS has verified it; prices are left alone."""
    if _has(answer, PRICES):
        return passed(answer, dice, patience)
    return passed(_refused(answer, 401, 'OptInRequired', 'You are not subscribed to this service.'), dice, patience)


def no_data(answer: Answer, dice: random.Random, patience: Patience) -> Script:
    """Answer for Cost Explorer that it does not have the data yet; all other answers pass unchanged."""
    if answer.status == 200 and _has(answer, BILLING):
        answer = _refused(answer, 400, NO_DATA, 'The requested data is unavailable.')
    return passed(answer, dice, patience)


FAULTS: dict[str, tuple[Kind, float]] = {
    'policy': (policy, 1.5),
    'not_opted_in': (not_opted_in, 0.5),
    'no_data': (no_data, 1.0),
}
