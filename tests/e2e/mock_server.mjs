// The HTTP API of docs/openapi.yaml over a made-up collection, so that the page can be tested without a build, with
// 50,000 pictures, and with every fault. Search compares hues, or folders for real pictures: plausible, not clever.
// Thumbnails are PNG where the real server makes JPEG.
//
// By hand: node mock_server.mjs [--port N] [--images N [--groups N] | --folder DIR] [--token TOKEN]

import {createServer} from 'node:http';
import {readFile} from 'node:fs/promises';
import {pathToFileURL} from 'node:url';
import {evidence, folderCollection, inverse, madeCollection, md5, pictureSize, rgb} from './mock_pictures.mjs';

const kWeb = new URL('../../web/', import.meta.url);
const kTypes = {css: 'text/css; charset=utf-8', js: 'text/javascript; charset=utf-8', svg: 'image/svg+xml', html: 'text/html; charset=utf-8'};
const kFeature = 'deep.mock/000001';
const kCodeBits = 512;
const kBodyLimit = 16 << 20;
const kPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

class Fault extends Error {
  constructor(status, code, message, headers = {}) { super(message); Object.assign(this, {status, code, headers}); }
}
const bad = (message) => new Fault(400, 'invalid_argument', message);

function integer(value, name, low, high, fallback) {
  if (value === null || value === undefined) return fallback;
  const n = typeof value === 'number' ? value : /^\d+$/.test(value) ? Number(value) : NaN;
  if (!Number.isInteger(n) || n < low || n > high) throw bad(`${name} is ${value}; give a number from ${low} to ${high}.`);
  return n;
}

function passes(item, {board, text}) {
  const words = (text ?? '').toLowerCase().split(/\s+/).filter(Boolean);
  return item.pins.some((pin) => (!board || pin.board === board) &&
      words.every((word) => `${pin.description} ${pin.board_title}`.toLowerCase().includes(word)));
}

// The parts of a multipart body: name -> bytes.
function multipart(body, type) {
  const boundary = /boundary="?([^";]+)"?/.exec(type)?.[1];
  if (!boundary) throw bad('The multipart body has no boundary.');
  const parts = new Map();
  const mark = Buffer.from(`--${boundary}`);
  for (let at = body.indexOf(mark); at >= 0;) {
    const next = body.indexOf(mark, at + mark.length);
    if (next < 0) break;
    const part = body.subarray(at + mark.length + 2, next - 2);
    const split = part.indexOf('\r\n\r\n');
    const name = /name="([^"]+)"/.exec(part.subarray(0, split).toString())?.[1];
    if (name) parts.set(name, part.subarray(split + 4));
    at = next;
  }
  return parts;
}

function parseJson(bytes) {
  let value = null;
  try { value = JSON.parse(bytes.toString()); } catch { /* below */ }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw bad('The request is not a JSON object.');
  return value;
}

function readQuery(request, url, body) {
  const type = request.headers['content-type'] ?? '';
  if (type.startsWith('application/json')) {
    const options = parseJson(body);
    if (options.signature === undefined && options.color !== undefined && !options.region) return {options, bytes: null};
    if (!/^[0-9a-f]{32}$/.test(options.signature ?? '')) throw bad('The request needs a signature of 32 hexadecimal digits.');
    return {options, bytes: null};
  }
  if (type.startsWith('multipart/form-data')) {
    const parts = multipart(body, type);
    if (!parts.has('image')) throw bad('The body has no part called image.');
    return {options: parts.has('request') ? parseJson(parts.get('request')) : {}, bytes: parts.get('image')};
  }
  if (!type.startsWith('image/') && !type.startsWith('application/octet-stream')) throw new Fault(415, 'invalid_argument', `${type || 'No type'} is not taken here.`);
  const region = /^(\d+),(\d+),(\d+),(\d+)$/.exec(url.searchParams.get('region') ?? '');
  if (url.searchParams.has('region') && !region) throw bad('region is not x,y,width,height.');
  return {bytes: body, options: {k: url.searchParams.get('k'), board: url.searchParams.get('board') ?? '', text: url.searchParams.get('text') ?? '',
          color: url.searchParams.get('color'), color_weight: url.searchParams.get('color_weight'),
          region: region && {x: +region[1], y: +region[2], width: +region[3], height: +region[4]}}};
}

const kOptions = new Set(['signature', 'k', 'region', 'color', 'color_weight', 'tokens', 'board', 'text']);
const kNames = {red: '#c8202a', green: '#2f8f46', blue: '#2456b5'};  // the mock knows no more
const hex = (bytes) => `#${bytes.map((value) => Math.round(value).toString(16).padStart(2, '0')).join('')}`;

// The colors of a made picture: its ground and its disc.
const palette = (item) => [{color: hex(rgb(item.hue, 0.45, 0.82)), name: 'ground', weight: 0.8}, {color: hex(rgb((item.hue + 18) % 360, 0.55, 0.45)), name: 'disc', weight: 0.2}];

function hueOf(color) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
  return (Math.atan2(Math.sqrt(3) * (g - b), 2 * r - g - b) * 180 / Math.PI + 360) % 360;
}

// The wanted color, or null: {color, name, weight}.
function readColor({color, color_weight: weight}, alone) {
  if (color === undefined || color === null) {
    if (weight !== undefined && weight !== null) throw bad('color_weight says nothing without a color.');
    return null;
  }
  const named = kNames[String(color).toLowerCase()] ?? String(color).toLowerCase();
  if (!/^#[0-9a-f]{6}$/.test(named)) throw bad(`color ${color} is not known.`);
  const share = weight === undefined || weight === null ? 0.5 : Number(weight);
  if (!(share >= 0 && share <= 1)) throw bad('color_weight is not a number from 0 to 1.');
  return {color: named, name: String(color), weight: alone ? 1 : share};
}

// Every fourth picture shows the query in its left half.
const tokensOf = ({signature}) => (signature[0] < '4' ? {tokens: {pairs: 40, verified: 31, region: [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}} : {});

// What was done to the list: nothing. As in a home without a calibration of its own.
const ranking = (calibration) => ({floor: null, calibration, conformity: null, below_floor: 0, not_conforming: 0, collapsed: 0});

function search(collection, {options, bytes}) {
  for (const name of Object.keys(options)) if (!kOptions.has(name)) throw bad(`There is no parameter ${name}.`);
  const alone = !bytes && !options.signature;
  const wish = readColor(options, alone);
  const match = (item) => Math.max(0, 1 - Math.abs(((item.hue - hueOf(wish.color)) % 360 + 540) % 360 - 180) / 90);
  if (alone) return searchColor(collection, options, wish, match);
  const asked = bytes ? md5(bytes) : options.signature;
  const known = collection.find(asked);
  const signature = known?.signature ?? asked;
  const query = known ?? (bytes && pictureSize(bytes));
  if (!query && !bytes) throw new Fault(404, 'not_found', `The collection has no picture with signature ${signature}.`);
  if (!query) throw new Fault(422, 'data_loss', 'This image cannot be read: its bytes are not those of a picture.');
  const k = integer(options.k, 'k', 1, 1000, 24);
  const tokens = ![false, 'false'].includes(options.tokens);
  const r = options.region ?? null;
  if (r && ![r.x, r.y, r.width, r.height].every(Number.isInteger)) throw bad('A region has x, y, width and height.');
  if (r && !(r.x >= 0 && r.y >= 0 && r.width >= 1 && r.height >= 1 && r.x + r.width <= query.width && r.y + r.height <= query.height)) {
    throw bad(`The region must lie inside the picture of ${query.width} x ${query.height} pixels.`);
  }
  const hue = (known ? known.hue : parseInt(signature.slice(0, 4), 16) % 360) + (r ? 1 + (r.x + 2 * r.y) % 180 : 0);
  const distance = (item) => {
    if (item.signature === signature && !r) return 0;
    const away = Math.abs(((item.hue - hue) % 360 + 540) % 360 - 180);
    const far = item.near === undefined ? away / 180 : (item.near === known?.near ? 0.1 : 0.5) + (parseInt(md5(item.signature + signature).slice(0, 4), 16) / 65536) * 0.4;
    return 1 + Math.min(255, Math.round(far * 256));
  };
  const found = collection.items.filter((item) => passes(item, options)).map((item) => {
    const bits = distance(item);
    const cosine = Math.cos((Math.PI * bits) / kCodeBits);
    return {item, bits, cosine, score: wish ? (1 - wish.weight) * cosine + wish.weight * match(item) : cosine};
  });
  found.sort((a, b) => b.score - a.score || (a.item.signature < b.item.signature ? -1 : 1));
  return {
    release: 'mock', query: {signature, width: query.width, height: query.height, region: r, ...(wish ? {color: wish} : {})},
    results: found.slice(0, k).map(({item, bits, cosine, score}) => ({
      signature: item.signature, score, distance: bits, source: item.source, width: item.width, height: item.height,
      evidence: {feature: kFeature, hamming_bits: bits, code_bits: kCodeBits, cosine, probability: Math.max(0, cosine),
        ...(wish ? {color: colorEvidence(item, match)} : {}), ...(tokens ? tokensOf(item) : {})}, pins: item.pins})),
    ranking: ranking('shipped'), coverage: {searched: collection.items.length, images: collection.items.length},
    ms: {decode: bytes ? 3.2 : 0, feature: bytes || r ? 14.6 : 0, search: 0.7, total: bytes || r ? 18.9 : 0.9},
  };
}

const kColorFeature = 'color/000002';
const colorEvidence = (item, match) => ({feature: kColorFeature, match: match(item), distance: 1 - match(item), palette: palette(item)});

// Everything in one color.
function searchColor(collection, options, wish, match) {
  const found = collection.items.filter((item) => passes(item, options) && match(item) > 0);
  found.sort((a, b) => match(b) - match(a) || (a.signature < b.signature ? -1 : 1));
  return {
    release: 'mock', query: {signature: null, width: null, height: null, region: null, color: wish},
    results: found.slice(0, integer(options.k, 'k', 1, 1000, 24)).map((item) => ({
      signature: item.signature, score: match(item), distance: null, source: item.source, width: item.width, height: item.height,
      evidence: {feature: kColorFeature, hamming_bits: null, code_bits: null, cosine: null, color: colorEvidence(item, match)}, pins: item.pins})),
    ranking: ranking(null), coverage: {searched: collection.items.length, images: collection.items.length},
    ms: {decode: 0, feature: 0, search: 0.8, total: 0.9},
  };
}

function boards(collection) {
  const found = new Map();
  for (const item of collection.items) for (const pin of item.pins) {
    const board = found.get(pin.board) ?? {board: pin.board, title: pin.board_title, images: 0};
    board.images += 1;
    found.set(pin.board, board);
  }
  return [...found.values()].sort((a, b) => b.images - a.images || (a.board < b.board ? -1 : 1));
}

function status(collection) {
  const n = collection.items.length;
  const half = Math.floor(n / 2);
  return {
    version: '0.0.0-mock', images: n, pins: n,
    quarantined_images: 2,
    quarantined: [{source: 'made/broken.jpg', reason: 'the file ends before the picture does', attempts: 1}, {source: 'made/empty.png', reason: 'the file is empty', attempts: 3}],
    part_images: 64,
    cells: [{feature: kFeature, epoch: '2025-06-01', shard: 0, images: half, parts: 0, state: 'done'}, {feature: kFeature, epoch: '2025-06-02', shard: 0, images: n - half, parts: 0, state: 'done'},
            {feature: 'color/000002', epoch: '2025-06-01', shard: 0, images: half, parts: 1, state: 'running'}, {feature: 'color/000002', epoch: '2025-06-02', shard: 0, images: n - half, parts: 0, state: 'missing'}],
    queue: {waiting: 2, leased: 1, oldest_seconds: 3.5, chunks_per_second: 0.2},
    tasks: [{chunk: '0123456789ab/2025-06-01/00000/64-128', worker: 'mock.1.0', attempt: 2, lease_seconds_left: 41.5}],
    workers: [{name: 'mock.1.0', host: 'mock', started: '2025-06-02T00:00:00Z', last_seen: '2025-06-02T00:01:00Z', chunk: '0123456789ab/2025-06-01/00000/64-128', images: 64, images_per_second: 12.5}],
    release: {name: 'mock', created: '2025-06-02T00:00:00Z', images: n, features: [kFeature]}, young: {images: 0, segments: 0},
  };
}

const factsOf = ({signature, width, height, source, pins}) => ({signature, width, height, source, pins});

// `other` as a match of `query`, which lies upon it by that transform.
const matchOf = (query, other, transform, verdict) =>
  ({...factsOf(other), verdict, score: verdict === 'same' ? 0.97 : 0.12, evidence: evidence(transform, query, other, verdict)});

// Near-duplicates: those that the collection was made with.
function duplicates(collection, item, asked) {
  const group = collection.groups.find((one) => one.first === item);
  const matches = group ? group.altered.map((one) => matchOf(item, one.item, one.transform, one.verdict)) :
      item?.from ? [matchOf(item, item.from.first, inverse(item.from.transform), item.from.verdict)] : [];
  return {release: 'mock', query: asked, matches, verified: 40, compared: 12, unreadable: 0, ms: {decode: 3.1, total: 41.5}};
}

// The first `runs` questions find the search on its way.
function clusters(collection, url) {
  const offset = integer(url.searchParams.get('offset'), 'offset', 0, Number.MAX_SAFE_INTEGER, 0);
  const limit = integer(url.searchParams.get('limit'), 'limit', 1, 100, 20);
  const images = collection.items.length;
  if (collection.runs > 0) {
    collection.runs -= 1;
    return {release: 'mock', state: 'running', done: Math.floor(images / 3), images, unreadable: 0, total: 0, offset, clusters: []};
  }
  const same = collection.groups.filter((group) => group.altered.some((one) => one.verdict === 'same'));
  return {release: 'mock', state: 'done', done: images, images, unreadable: 1, total: same.length, offset,
          clusters: same.slice(offset, offset + limit).map(({first, altered}) => ({
            representative: factsOf(first),
            // The member is the query, and its match the representative.
            members: altered.filter((one) => one.verdict === 'same').map(({item, transform, verdict}) =>
              ({...factsOf(item), verdict, score: 0.97, evidence: evidence(inverse(transform), item, first, verdict)}))}))};
}

const kRoutes = [
  ['GET', /^\/$/, 'page'], ['GET', /^\/assets\/([a-z][a-z0-9_-]*\.(?:css|js|svg))$/, 'asset'], ['GET', /^\/healthz$/, 'health'], ['GET', /^\/metrics$/, 'metrics'],
  ['POST', /^\/v1\/search$/, 'search'], ['GET', /^\/v1\/images$/, 'images'], ['POST', /^\/v1\/images$/, 'add'],
  ['GET', /^\/v1\/images\/([^/]+)$/, 'image'], ['DELETE', /^\/v1\/images\/([^/]+)$/, 'remove'],
  ['GET', /^\/v1\/images\/([^/]+)\/colors$/, 'colors'], ['GET', /^\/v1\/images\/([^/]+)\/pixels$/, 'pixels'], ['GET', /^\/v1\/images\/([^/]+)\/thumbnail$/, 'thumbnail'],
  ['GET', /^\/v1\/images\/([^/]+)\/duplicates$/, 'duplicates'], ['GET', /^\/v1\/duplicates$/, 'clusters'], ['POST', /^\/v1\/duplicates$/, 'duplicatesOf'],
  ['GET', /^\/v1\/boards$/, 'boards'], ['GET', /^\/v1\/status$/, 'status'],
];

const readBody = async (request) => {
  const chunks = [];
  let size = 0;
  for await (const part of request) {
    size += part.length;
    if (size <= kBodyLimit) chunks.push(part);
  }
  if (size > kBodyLimit) throw new Fault(413, 'resource_exhausted', 'The body is larger than 16 MiB; send a smaller picture.');
  return Buffer.concat(chunks);
};

// Answers one request: {status, type, body, headers}.
async function answer(collection, token, request) {
  const url = new URL(request.url, 'http://localhost');
  const here = kRoutes.map(([method, path, name]) => ({method, name, match: path.exec(url.pathname)})).filter((route) => route.match);
  if (here.length === 0) throw new Fault(404, 'not_found', `There is nothing at ${url.pathname}.`);
  const {name, match} = here.find(({method}) => method === request.method) ?? {};
  if (token && /^\/(v1|metrics)/.test(url.pathname) && request.headers.authorization !== `Bearer ${token}`) {
    throw new Fault(401, 'unauthenticated', 'This server wants a token.', {'WWW-Authenticate': 'Bearer'});
  }
  const methods = here.map(({method}) => method);
  if (!name) throw new Fault(405, 'unimplemented', `${request.method} is not possible on ${url.pathname}; use ${methods.join(' or ')}.`, {Allow: methods.join(', ')});
  const {origin, host} = request.headers;
  if (request.method !== 'GET' && origin && origin !== `http://${host}`) throw new Fault(403, 'permission_denied', `Pages of '${origin}' may not send this.`);
  const json = (body) => ({type: 'application/json', body: JSON.stringify(body)});
  const one = () => {
    if (!/^[0-9a-f]{32}$/.test(match[1])) throw bad('A signature is 32 hexadecimal digits.');
    const item = collection.find(match[1]);
    if (!item) throw new Fault(404, 'not_found', `The collection has no picture with signature ${match[1]}.`);
    return item;
  };
  const picture = (bytes, format) => ({type: `image/${format}`, body: bytes, headers: {'Cache-Control': `${token ? 'private' : 'public'}, max-age=31536000, immutable`}});
  const filter = {board: url.searchParams.get('board') ?? '', text: url.searchParams.get('text') ?? ''};
  switch (name) {
    case 'page': return {type: kTypes.html, body: await readFile(new URL('index.html', kWeb)), headers: {'Content-Security-Policy': kPolicy, 'Cache-Control': 'no-cache'}};
    case 'asset': return {type: kTypes[match[1].split('.')[1]], headers: {'Cache-Control': 'no-cache'},
                          body: await readFile(new URL(match[1], kWeb)).catch(() => { throw new Fault(404, 'not_found', `There is nothing at ${url.pathname}.`); })};
    case 'health': return json({status: 'ok'});
    case 'metrics': return {type: 'text/plain; version=0.0.4', body: '# TYPE likeness_mock gauge\nlikeness_mock 1\n'};
    case 'search': return json(search(collection, readQuery(request, url, await readBody(request))));
    case 'images': {
      const offset = integer(url.searchParams.get('offset'), 'offset', 0, Number.MAX_SAFE_INTEGER, 0);
      const limit = integer(url.searchParams.get('limit'), 'limit', 1, 1000, 100);
      const found = filter.board || filter.text ? collection.items.filter((item) => passes(item, filter)) : collection.items;
      return json({release: 'mock', total: found.length, offset, images: found.slice(offset, offset + limit).map(({signature, width, height, pins: [{description, board, board_title}]}) =>
        ({signature, width, height, description, board, board_title}))});
    }
    case 'image': {
      const {signature, width, height, format, source, bytes, pins} = one();
      return json({signature, width, height, format, bytes, epoch: '2025-06-01', source, pins, features: [{feature: 'deep.mock', version: '000001'}]});
    }
    case 'clusters': {
      for (const name of url.searchParams.keys()) if (!['offset', 'limit'].includes(name)) throw bad(`There is no parameter ${name}.`);
      return json(clusters(collection, url));
    }
    case 'duplicates': { const item = one(); return json(duplicates(collection, item, {signature: item.signature, width: item.width, height: item.height})); }
    case 'duplicatesOf': {
      if (url.search) throw bad('There are no parameters here.');
      if ((request.headers['content-type'] ?? '').startsWith('application/json')) throw new Fault(415, 'invalid_argument', 'application/json is not taken here.');
      const {bytes, options} = readQuery(request, url, await readBody(request));
      for (const name of Object.keys(options)) if (options[name]) throw bad(`There is no parameter ${name}.`);
      const size = bytes && pictureSize(bytes);
      if (bytes && bytes.length === 0) throw bad('The picture is empty.');
      if (!size) throw new Fault(422, 'data_loss', 'This image cannot be read: its bytes are not those of a picture.');
      const item = collection.find(md5(bytes));
      return json(duplicates(collection, item, {signature: md5(bytes), width: size.width, height: size.height}));
    }
    case 'add': {
      const type = request.headers['content-type'] ?? '';
      const body = await readBody(request);
      const form = type.startsWith('multipart/form-data');
      if (!form && !type.startsWith('image/') && !type.startsWith('application/octet-stream')) throw new Fault(415, 'invalid_argument', `${type || 'No type'} is not taken here.`);
      const parts = form ? multipart(body, type) : new Map([['image', body], ...url.searchParams]);
      const text = (key) => String(parts.get(key) ?? '');
      for (const key of parts.keys()) if (!['image', 'pin', 'board', 'board_title', 'user', 'description', 'link', 'created'].includes(key)) throw bad(`There is no part '${key}' here.`);
      if (!parts.get('image')?.length) throw bad('The picture is missing or empty.');
      const size = pictureSize(parts.get('image'));
      if (!size) throw new Fault(422, 'data_loss', 'This image cannot be read: its bytes are not those of a picture.');
      const signature = md5(parts.get('image'));
      const fresh = !collection.find(signature);
      const pin = {pin: text('pin') || `upload:${signature}`, board: text('board'), board_title: text('board'), user: text('user'), description: text('description'), link: text('link')};
      if (fresh) collection.items.push({signature, ...size, hue: parseInt(signature.slice(0, 4), 16) % 360, format: 'png', bytes: parts.get('image').length, source: `images/${signature}`, pins: [pin]});
      return {...json({signature, new: fresh, searchable: true, reason: '', format: 'png', ...size, ms: 3}), status: fresh ? 201 : 200, headers: {Location: `/v1/images/${signature}`}};
    }
    case 'remove': {
      const {signature} = one();
      collection.items.splice(collection.items.findIndex((item) => item.signature === signature), 1);
      return json({signature, removed: true});
    }
    case 'colors': return json({colors: palette(one())});
    case 'pixels': { const item = one(); return picture(collection.bytes(item, Infinity), item.format); }
    case 'thumbnail': { const item = one(); return picture(collection.bytes(item, integer(url.searchParams.get('size'), 'size', 64, 1024, 256)), item.format); }
    case 'boards': return json({boards: boards(collection)});
    default: return json(status(collection));
  }
}

// Starts on 127.0.0.1; port 0 takes a free one. Returns {url, collection, close()}.
export async function startMock({collection = madeCollection(300), token = '', port = 0} = {}) {
  const server = createServer(async (request, response) => {
    let out;
    try {
      out = {status: 200, headers: {}, ...await answer(collection, token, request)};
    } catch (error) {
      const fault = error instanceof Fault ? error : new Fault(500, 'internal', String(error));
      out = {status: fault.status, headers: fault.headers, type: 'application/json', body: JSON.stringify({error: {code: fault.code, message: fault.message}})};
    }
    response.writeHead(out.status, {'Content-Type': out.type, 'X-Content-Type-Options': 'nosniff', ...out.headers});
    response.end(out.body);
  });
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {url: `http://127.0.0.1:${server.address().port}`, collection,
          close: () => new Promise((resolve) => { server.closeAllConnections(); server.close(resolve); })};
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const option = (name, fallback) => { const at = process.argv.indexOf(`--${name}`); return at > 0 ? process.argv[at + 1] : fallback; };
  const folder = option('folder', '');
  const collection = folder ? folderCollection(folder) : madeCollection(Number(option('images', '300')), Number(option('groups', '0')));
  const {url} = await startMock({collection, token: option('token', ''), port: Number(option('port', '8485'))});
  console.log(url);
}
