"""Requests to the API of a hub's admin port."""

import base64
import json
import urllib.error
import urllib.parse
import urllib.request

from support.waiting import DEADLINE_S


def call(hub, path, method="GET", login=None, headers=None):
    """(status, JSON or None, headers) of a request to the admin port."""
    request = urllib.request.Request(f"http://{hub.listeners['admin']}{path}", method=method, headers=headers or {})
    if login:
        request.add_header("Authorization", "Basic " + base64.b64encode(":".join(login).encode()).decode())
    try:
        answer = urllib.request.urlopen(request, timeout=DEADLINE_S)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        body = answer.read()
        return answer.status, json.loads(body) if body else None, answer.headers


def path_of(collection, identifier):
    return f"/api/v1/{collection}/{urllib.parse.quote(identifier, safe='')}"


def ids_page_by_page(hub, collection, limit, contains, key="client_id"):
    """The ids in a list, and how many pages they took."""
    found, after, pages = [], "", 0
    while after is not None:
        query = urllib.parse.urlencode({"limit": limit, "filter": contains, "after": after})
        status, page, _ = call(hub, f"/api/v1/{collection}?{query}")
        assert status == 200
        found += [one[key] for one in page[collection]]
        pages += 1
        after = page.get("next")
    return found, pages
