"""Batches of calls: `/batch/gmail/v1`.

https://developers.google.com/workspace/gmail/api/guides/batch: at most 100 parts, each with its own
quota; answers carry the Content-ID of their part as `response-<id>`.
"""

from __future__ import annotations

import secrets
from email.message import Message as MimeMessage
from typing import cast

import httpx
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from google_standin import mime
from google_standin.errors import ApiError
from google_standin.state import body_of

MOST = 100


async def batch(request: Request) -> Response:
    """Answer every part as if it had come alone."""
    content = await body_of(request, 64 << 20)
    whole = mime.parse(
        b"Content-Type: " + request.headers.get("content-type", "").encode() + b"\r\n\r\n" + content
    )
    parts = whole.get_payload()
    if not isinstance(parts, list) or not 0 < len(parts) <= MOST:
        return ApiError(400, f"The batch request must have 1 to {MOST} parts.").response()
    transport = httpx.ASGITransport(app=request.app)
    boundary = f"batch_{secrets.token_hex(12)}"
    authorization = request.headers.get("authorization", "")
    async with httpx.AsyncClient(transport=transport, base_url="http://standin") as client:
        answers = [await _answer(client, cast(MimeMessage, part), authorization) for part in parts]
    body = b"".join(f"--{boundary}\r\n".encode() + answer + b"\r\n" for answer in answers)
    return Response(body + f"--{boundary}--".encode(), media_type=f"multipart/mixed; boundary={boundary}")


async def _answer(client: httpx.AsyncClient, part: MimeMessage, authorization: str) -> bytes:
    text = part.get_payload()
    inner = str(text).replace("\r\n", "\n")
    head, _, body = inner.partition("\n\n")
    first, *lines = head.split("\n")
    method, address, *_ = first.split(" ")
    headers = dict(line.split(": ", 1) for line in lines if ": " in line)
    headers.setdefault("authorization", authorization)
    headers = {key: value for key, value in headers.items() if key.lower() != "host"}
    answer = await client.request(method, address, headers=headers, content=body.encode())
    identifier = str(part.get("Content-ID", "")).strip("<>")
    return (
        f"Content-Type: application/http\r\nContent-ID: <response-{identifier}>\r\n\r\n"
        f"HTTP/1.1 {answer.status_code} {answer.reason_phrase}\r\n"
        f"Content-Type: {answer.headers.get('content-type', 'application/json')}\r\n\r\n"
    ).encode() + answer.content


ROUTES = [Route("/batch/gmail/v1", batch, methods=["POST"]), Route("/batch", batch, methods=["POST"])]
