#!/usr/bin/env python3
"""Holds a running server against docs/openapi.yaml.

Every operation is asked, in the right way and in wrong ways, and every answer must be one that the document allows:
its status, its headers, its media type, and its body by the schema. LIKENESS_URL names a server that runs already (its
collection must not be empty for the answers about pictures to be looked at); else LIKENESS_PROGRAM is started on a
small home of its own. Ends with 77, "skipped", when the Debian packages python3-yaml and python3-jsonschema are missing.
"""
import contextlib
import fnmatch
import http.client
import json
import os
import pathlib
import random
import re
import struct
import subprocess
import sys
import tempfile
import urllib.parse
import warnings
import zlib

try:
    import jsonschema
    import yaml
except ImportError as error:
    print(f'skipped: {error.name} is missing; apt-get install python3-yaml python3-jsonschema')
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENT = yaml.safe_load((ROOT / 'docs/openapi.yaml').read_text())
warnings.simplefilter('ignore', DeprecationWarning)  # Debian 12 has the older of the two ways to resolve references
METHODS = ('get', 'post', 'put', 'delete', 'patch')
UNKNOWN = 'f' * 32


def plain_schema(node):
    """The schema as JSON Schema has it: OpenAPI 3.0 says nullable where JSON Schema names the type null."""
    if isinstance(node, list):
        return [plain_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: plain_schema(value) for key, value in node.items()}
    if node.pop('nullable', False) and 'type' in node:
        node['type'] = [node['type'], 'null']
    return node


SCHEMAS = plain_schema(DOCUMENT)


def resolve(node):
    while '$ref' in node:
        target = SCHEMAS
        for part in node['$ref'].removeprefix('#/').split('/'):
            target = target[part]
        node = target
    return node


def check_schema(value, schema):
    resolver = jsonschema.RefResolver('', SCHEMAS)
    jsonschema.Draft4Validator(schema, resolver=resolver).validate(value)


class Server:
    """Asks, and checks each answer. Failures are collected, so that one run shows all of them."""

    def __init__(self, url):
        self.where = urllib.parse.urlsplit(url)
        self.failures = []
        self.seen = set()  # (method, path of the document, status)
        self.asked = 0

    def send(self, method, target, body=None, headers=None):
        connection = http.client.HTTPConnection(self.where.hostname, self.where.port, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, target, body=body, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()

    def ask(self, method, path, target, expect, body=None, headers=None):
        """`path` as in the document; `expect` one status or several. Returns the status and the parsed body."""
        status, answer_headers, content = self.send(method, target, body, headers)
        self.asked += 1
        operation = SCHEMAS['paths'].get(path, {}).get(method.lower())
        value = None
        try:
            if status not in (expect if isinstance(expect, tuple) else (expect,)):
                raise AssertionError(f'is {status}, not {expect}: {content[:300]!r}')
            if operation is None:  # no such path or method: the form of the error is still promised
                names = {404: 'NotFound', 405: 'MethodNotAllowed', 400: 'BadRequest'}
                described = resolve(SCHEMAS['components']['responses'][names[status]])
            elif str(status) in operation['responses']:
                described = resolve(operation['responses'][str(status)])
            else:
                raise AssertionError(f'{status} is not in the document: {content[:300]!r}')
            value = self.check(described, answer_headers, content)
            self.seen.add((method.lower(), path, status))
        except (AssertionError, jsonschema.ValidationError, ValueError) as problem:
            text = getattr(problem, 'message', None) or str(problem)
            self.failures.append(f'{method} {target}: {text}')
        return status, value

    def check(self, described, headers, content):
        for name, header in described.get('headers', {}).items():
            header = resolve(header)
            given = headers.get(name.lower())
            if given is None:
                if header.get('required'):
                    raise AssertionError(f'lacks the header {name}')
                continue
            check_schema(int(given) if header['schema'].get('type') == 'integer' else given, header['schema'])
        media = headers.get('content-type', '').split(';')[0]
        for pattern, form in described.get('content', {}).items():
            if not fnmatch.fnmatch(media, pattern):
                continue
            if media != 'application/json':
                return content
            value = json.loads(content.decode('utf-8'))
            check_schema(value, form.get('schema', {}))
            return value
        raise AssertionError(f'has the media type {media!r}, which is not in the document')


def png(width, height, color):
    """A picture of one color, as bytes."""
    return png_of(width, height, (b'\0' + bytes(color) * width) * height)


def squares(seed, side=160, square=10):
    """A picture of squares of random colors, which has keypoints and a hash."""
    colors = random.Random(seed)
    count = side // square
    line = [[colors.randbytes(3) for _ in range(count)] for _ in range(count)]
    rows = b''.join((b'\0' + b''.join(one * square for one in line[y // square])) for y in range(side))
    return png_of(side, side, rows)


def png_of(width, height, rows):
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b'')


def form(parts):
    """A multipart body and its headers, from (name, bytes) pairs."""
    body = b''
    for name, content in parts:
        file = b'; filename="a.png"' if name == 'image' else b''
        body += b'--XX\r\nContent-Disposition: form-data; name="' + name.encode() + b'"' + file + b'\r\n\r\n'
        body += content + b'\r\n'
    return {'body': body + b'--XX--\r\n', 'headers': {'Content-Type': 'multipart/form-data; boundary=XX'}}


def as_json(value):
    return {'body': json.dumps(value).encode(), 'headers': {'Content-Type': 'application/json'}}


def raw(content, media='image/png'):
    return {'body': content, 'headers': {'Content-Type': media}}


def check_collection(server):
    """Lists, boards, status and what belongs to no picture. Returns the signature of a picture, or None."""
    server.ask('GET', '/healthz', '/healthz', 200)
    server.ask('GET', '/healthz', '/healthz?x=1', 400)
    server.ask('GET', '/metrics', '/metrics', 200)
    server.ask('GET', '/metrics', '/metrics?x=1', 400)
    server.ask('GET', '/', '/?signature=&text=a', 200)
    server.ask('GET', '/assets/{file}', '/assets/app.js', 200)
    server.ask('GET', '/assets/{file}', '/assets/no.js', 404)
    server.ask('GET', '/v1/boards', '/v1/boards', 200)
    server.ask('GET', '/v1/boards', '/v1/boards?x=1', 400)
    server.ask('GET', '/v1/status', '/v1/status', 200)
    server.ask('GET', '/v1/status', '/v1/status?x=1', 400)
    path = '/v1/images'
    for query in ('', '?offset=0&limit=2', '?limit=1000', '?offset=999999', '?text=red', '?board=nothing', '?text=%FF%FE'):
        server.ask('GET', path, path + query, 200)
    for query in ('?limit=0', '?limit=1001', '?offset=-1', '?limit=x', '?page=1', '?limit=1&limit=2', '?text=%zz',
                  '?text=' + 'a' * 1025):
        server.ask('GET', path, path + query, 400)
    _, page = server.ask('GET', path, path + '?limit=1', 200)
    return page['images'][0]['signature'] if page and page['images'] else None


def check_picture(server, signature):
    base = '/v1/images/{signature}'
    for end in ('', '/pixels', '/thumbnail'):
        server.ask('GET', base + end, f'/v1/images/{UNKNOWN}{end}', 404)
        server.ask('GET', base + end, f'/v1/images/abc{end}', 400)
        server.ask('GET', base + end, f'/v1/images/{UNKNOWN.upper()}{end}', 400)
        server.ask('GET', base + end, f'/v1/images/{UNKNOWN}{end}?x=1', 400)
    for size in ('63', '1025', 'x'):
        server.ask('GET', base + '/thumbnail', f'/v1/images/{UNKNOWN}/thumbnail?size={size}', 400)
    if signature:
        server.ask('GET', base, f'/v1/images/{signature}', 200)
        server.ask('GET', base + '/colors', f'/v1/images/{signature}/colors', 200)
        server.ask('GET', base + '/pixels', f'/v1/images/{signature}/pixels', 200)
        server.ask('GET', base + '/thumbnail', f'/v1/images/{signature}/thumbnail?size=100', 200)


def check_search(server, signature):
    path = '/v1/search'
    picture = png(40, 30, (200, 30, 30))
    found = 200 if signature else 409  # without a release there is nothing to search
    server.ask('POST', path, path, found, **raw(picture))
    server.ask('POST', path, path + '?k=3&region=1,2,30,20&text=red&board=x', found, **raw(picture))
    server.ask('POST', path, path, found, **raw(picture, 'application/octet-stream'))
    server.ask('POST', path, path, found, **form([('image', picture), ('request', b'{"k":2}')]))
    if signature:
        server.ask('POST', path, path, 200, **as_json({'signature': signature, 'k': 5}))
        server.ask('POST', path, path, 200,
                   **as_json({'signature': signature, 'region': {'x': 0, 'y': 0, 'width': 8, 'height': 8}}))
        server.ask('POST', path, path, 200, **as_json({'signature': signature, 'color': 'red', 'color_weight': 0.7}))
        server.ask('POST', path, path, 200, **as_json({'color': '#808080', 'k': 5}))
        server.ask('POST', path, path, 404, **as_json({'signature': UNKNOWN}))
        server.ask('POST', path, path + '?region=30,20,30,20', 400, **raw(picture))
        for broken in (b'no picture at all', picture[:60], b'\xff\xd8\xff\xe0'):
            server.ask('POST', path, path, 422, **raw(broken))
    for query in ('?k=0', '?k=1001', '?k=x', '?region=1,2,3', '?region=0,0,0,1', '?shade=red', '?color=notacolor', '?k=1&k=1'):
        server.ask('POST', path, path + query, 400, **raw(picture))
    for value in ({}, [], {'signature': 'x'}, {'signature': UNKNOWN, 'k': 1.5}, {'signature': UNKNOWN, 'colour': 'red'},
                  {'signature': UNKNOWN, 'color': 'no such color'}, {'signature': UNKNOWN, 'color_weight': 0.5},
                  {'signature': UNKNOWN, 'region': {'x': 0}}, {'signature': UNKNOWN, 'text': 'a' * 1025}):
        server.ask('POST', path, path, 400, **as_json(value))
    server.ask('POST', path, path + '?k=1', 400, **as_json({'signature': UNKNOWN}))
    server.ask('POST', path, path, 400, **raw(b''))
    server.ask('POST', path, path, 400, **raw(b'{"signature":"\xff"}', 'application/json'))
    for parts in ([], [('request', b'{}')], [('image', b'')], [('image', picture), ('request', b'[')],
                  [('image', picture), ('more', b'x')], [('image', picture)] * 2):
        server.ask('POST', path, path, 400, **form(parts))
    server.ask('POST', path, path, 415, **raw(b'words', 'text/plain'))
    server.ask('POST', path, path, 413, headers={'Content-Type': 'image/png', 'Content-Length': str(1 << 33)})


def check_changes(server):
    """A picture comes and goes; without a release it is kept for the next one."""
    path, base = '/v1/images', '/v1/images/{signature}'
    picture = png(33, 44, (10, 200, 90))
    _, added = server.ask('POST', path, path, 201, **form([('image', picture), ('description', 'a green one'.encode())]))
    server.ask('POST', path, path, 200, **raw(picture))
    server.ask('POST', path, path, 422, **raw(b'no picture at all'))
    server.ask('POST', path, path, 400, **raw(b''))
    server.ask('POST', path, path, 415, **raw(b'words', 'text/plain'))
    if added:
        target = f'{path}/{added["signature"]}'
        server.ask('DELETE', base, target, 403, headers={'Origin': 'http://example.com'})
        server.ask('DELETE', base, target, 200)
        server.ask('DELETE', base, target, 404)
        server.ask('GET', base, target, 404)


def check_duplicates(server, signature):
    path, of = '/v1/duplicates', '/v1/images/{signature}/duplicates'
    found = 200 if signature else 409
    server.ask('POST', path, path, found, **raw(squares(1)))
    server.ask('POST', path, path, found, **form([('image', squares(9))]))
    if signature:
        server.ask('GET', of, f'/v1/images/{signature}/duplicates', 200)
        server.ask('POST', path, path, 422, **raw(b'no picture at all'))
    server.ask('GET', path, path + '?limit=5', found)
    for query in ('?limit=0', '?offset=-1', '?unknown=1'):
        server.ask('GET', path, path + query, 400)
    server.ask('GET', of, f'/v1/images/{UNKNOWN}/duplicates', 404)
    server.ask('GET', of, '/v1/images/abc/duplicates', 400)
    server.ask('POST', path, path, 400, **raw(b''))
    server.ask('POST', path, path, 415, **raw(b'words', 'text/plain'))


def check_methods_and_paths(server):
    """What the document does not have, the server does not have either."""
    for path, item in DOCUMENT['paths'].items():
        target = re.sub(r'\{signature\}', UNKNOWN, path).replace('{file}', 'app.js')
        for method in METHODS:
            if method not in item:
                server.ask(method.upper(), path, target, 405)
    for target in ('/v1', '/v1/', '/v2/search', '/v1/image', '/v1/images/', f'/v1/images/{UNKNOWN}/more', '/index.html',
                   '/assets/', '/assets/../app.js', '/openapi.yaml', '/%00', '/metrics/'):
        server.ask('GET', target, target, 404)
    server.ask('GET', '*', '*', 400)


@contextlib.contextmanager
def own_server(program, folder):
    """The program on a small home. Without a model there is no release, and the rest is checked all the same."""
    pictures = folder / 'pictures'
    pictures.mkdir()
    for i in range(12):
        (pictures / f'{i:02}.png').write_bytes(png(60 + i, 50, (20 * i, 255 - 20 * i, 99)))
    for i in range(4):
        (pictures / f'squares-{i}.png').write_bytes(squares(i))
    (pictures / 'broken.png').write_bytes(b'\x89PNG\r\n\x1a\n broken')
    home = f'--home={folder / "home"}'
    subprocess.run([program, 'add', str(pictures), home], check=True, stdout=subprocess.DEVNULL)
    for step in ('fingerprint', 'index'):
        done = subprocess.run([program, step, home], capture_output=True, text=True)
        if done.returncode != 0:
            print(f'without a release: likeness {step} says: {done.stderr.strip().splitlines()[-1:]}')
            break
    server = subprocess.Popen([program, 'serve', home, '--port=0'], stdout=subprocess.PIPE, text=True)
    try:
        line = server.stdout.readline()
        match = re.search(r'http://\S+', line)
        if not match:
            raise SystemExit(f'likeness serve says {line!r} instead of its address')
        yield match.group(0)
    finally:
        server.terminate()
        if server.wait(timeout=30) != 0:
            raise SystemExit(f'likeness serve ended with {server.returncode} after SIGTERM')


def run(url):
    server = Server(url)
    signature = check_collection(server)
    check_picture(server, signature)
    check_search(server, signature)
    check_changes(server)
    check_duplicates(server, signature)
    check_methods_and_paths(server)
    for path, item in DOCUMENT['paths'].items():
        for method in METHODS:
            answered = any(seen[:2] == (method, path) and seen[2] == 200 for seen in server.seen)
            if method in item and not answered and (signature or '{signature}' not in path and path != '/v1/search'):
                server.failures.append(f'{method.upper()} {path}: was never answered with 200')
    for failure in server.failures:
        print('FAILED:', failure)
    about = 'with pictures' if signature else 'without a release'
    print(f'openapi: {server.asked} requests, {len(server.failures)} failures, {about}')
    return 1 if server.failures else 0


def main():
    if url := os.environ.get('LIKENESS_URL'):
        return run(url)
    program = os.environ.get('LIKENESS_PROGRAM', str(ROOT / 'build/release/bin/likeness'))
    if not os.access(program, os.X_OK):
        print(f'skipped: {program} is not built')
        return 77
    with tempfile.TemporaryDirectory() as folder, own_server(program, pathlib.Path(folder)) as url:
        return run(url)


if __name__ == '__main__':
    sys.exit(main())
