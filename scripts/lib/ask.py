#!/usr/bin/env python3
"""Asks a running server one visual query, as a client would: `ask.py http://127.0.0.1:PORT SERVER_PID`.

Waits for the server, takes the picture in the middle of the collection, uploads its bytes to /v1/search, and prints the
answer. Ends with 0 when that picture is the first hit, or shares its score with the first; with 1 and a sentence otherwise.
"""
import hashlib
import json
import os
import sys
import time
import urllib.error
import urllib.request

WAIT_SECONDS = 60
RESULTS = 5
# No proxy of the environment stands between this machine and itself.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def fail(message):
    sys.exit(f"likeness: {message}")


def request(url, body=None, content_type=None):
    headers = {"Content-Type": content_type} if content_type else {}
    with OPENER.open(urllib.request.Request(url, body, headers), timeout=30) as answer:
        return answer.read()


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"


def wait_for(base, pid):
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        if not is_running(pid):
            fail("the server ended before it answered; its reason is above.")
        try:
            request(f"{base}/healthz")
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    fail(f"the server did not answer within {WAIT_SECONDS} s.")


def upload(picture):
    boundary = "likeness-" + hashlib.md5(picture).hexdigest()
    parts = [("request", "application/json", "", json.dumps({"k": RESULTS}).encode()),
             ("image", "application/octet-stream", '; filename="query"', picture)]
    body = b""
    for name, kind, extra, value in parts:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{extra}\r\nContent-Type: {kind}\r\n\r\n'
        body += head.encode() + value + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def main():
    base, pid = sys.argv[1].rstrip("/"), int(sys.argv[2])
    wait_for(base, pid)
    total = json.loads(request(f"{base}/v1/images?limit=1"))["total"]
    if total == 0:
        fail("the collection is empty: no picture could be added; `likeness status` names the reasons.")
    chosen = json.loads(request(f"{base}/v1/images?offset={total // 2}&limit=1"))["images"][0]["signature"]
    picture = request(f"{base}/v1/images/{chosen}/pixels")
    answer = json.loads(request(f"{base}/v1/search", *upload(picture)))
    results, coverage, spent = answer["results"], answer["coverage"], answer["ms"]
    print(f"asked with picture {chosen}: {len(results)} results from {coverage['searched']} of {coverage['images']} "
          f"pictures in {spent['total']:.1f} ms")
    for rank, hit in enumerate(results, 1):
        described = next((pin["description"] for pin in hit.get("pins", []) if pin.get("description")), hit["source"])
        print(f"{rank:3}  score {hit['score']:.4f}  distance {hit['distance']:4}  {hit['signature']}  {described}")
    if not any(hit["signature"] == chosen and hit["score"] >= results[0]["score"] - 1e-6 for hit in results):
        fail("the picture that was asked with is not the first result; this should not happen.")


if __name__ == "__main__":
    try:
        main()
    except urllib.error.HTTPError as error:
        fail(f"the server refused {error.url}: {error.code} {error.read().decode(errors='replace')}")
    except (KeyError, ValueError, OSError) as error:
        fail(f"the server's answer could not be understood: {error!r}")
