"""Who calls, as API Gateway says: it has checked the signature or the token."""

import re
from typing import Any

from starlette.requests import Request

_SESSION = re.compile(r"^(arn:[^:]+:sts::\d+:assumed-role/[^/]+)/.*", re.DOTALL)


def caller_of(request: Request) -> str | None:
    """A token's client or subject, or a role's ARN without its session; None where API Gateway asked nobody."""
    event = request.scope.get("aws.event")
    context = event.get("requestContext") if isinstance(event, dict) else None
    allowed: Any = context.get("authorizer") if isinstance(context, dict) else None
    if not isinstance(allowed, dict):
        return None
    token, role = allowed.get("jwt"), allowed.get("iam")
    claims = token.get("claims") if isinstance(token, dict) else None
    caller = claims.get("client_id") or claims.get("sub") if isinstance(claims, dict) else None
    if caller is None and isinstance(role, dict):
        caller = role.get("userArn")
    return _SESSION.sub(r"\1", str(caller)) if caller else None
