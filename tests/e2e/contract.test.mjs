// The server against docs/openapi.yaml: for each request below, the status, the headers and the body must be among those
// that the document describes, to the member. The same requests go to the mock, so that the page is tested against
// the API that is described.
//
// LIKENESS_URL: also a running server, whose collection must hold at least one picture.

import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {after, before, describe, test} from 'node:test';
import Ajv from 'ajv';
import {parse} from 'yaml';
import {discs, madeCollection} from './mock_pictures.mjs';
import {startMock} from './mock_server.mjs';

const document = parse(readFileSync(new URL('../../docs/openapi.yaml', import.meta.url), 'utf8'));
const ajv = new Ajv({strict: false, allErrors: true, validateFormats: false});

// References are to the document; ajv has it as 'api'.
const rooted = (schema) => JSON.parse(JSON.stringify(schema).replaceAll('"#/components', '"api#/components'));
ajv.addSchema(rooted({$id: 'api', components: {schemas: document.components.schemas}}));
const resolve = (node) => (node?.$ref ? node.$ref.slice(2).split('/').reduce((at, key) => at[key], document) : node);

function check(schema, value, what) {
  const valid = ajv.compile(rooted(schema));
  assert.ok(valid(value), `${what}: ${ajv.errorsText(valid.errors)}`);
}

const matches = (declared, type) => declared === type || (declared.endsWith('/*') && type.startsWith(declared.slice(0, -1)));

// Sends a request and holds the answer against the document. `path` is the one of the document, with {signature} filled in.
async function hold(base, method, template, {signature = '', file = '', query = '', status, lenient = [], ...init}) {
  const path = template.replace('{signature}', signature).replace('{file}', file);
  const response = await fetch(`${base}${path}${query}`, {method, ...init});
  const what = `${method} ${path}${query} -> ${response.status}`;
  assert.equal(response.status, status, `${what}: ${response.headers.get('content-type')}`);
  const operation = document.paths[template][method.toLowerCase()];
  const described = resolve((operation ?? Object.values(document.paths[template]).find((one) => one.responses)).responses[status]);
  assert.ok(described, `${what} is not described`);
  for (const [name, header] of Object.entries(described.headers ?? {})) {
    const {required, schema} = resolve(header);
    const value = response.headers.get(name);
    if (required) assert.ok(value !== null, `${what} lacks ${name}`);
    if (value !== null) check(schema, schema.type === 'integer' ? Number(value) : value, `${what} ${name}`);
  }
  const type = (response.headers.get('content-type') ?? '').split(';')[0];
  const [, form] = Object.entries(described.content).find(([declared]) => matches(declared, type) || lenient.includes(type)) ?? [];
  assert.ok(form, `${what} is ${type}`);
  if (type !== 'application/json') return response;
  const body = await response.json();
  check(form.schema, body, what);
  return body;
}

const json = (body) => ({body: JSON.stringify(body), headers: {'Content-Type': 'application/json'}});
const kUnknown = '0'.repeat(32);

function requests(name, address) {
  describe(name, () => {
    let base;
    let one;
    const lenient = name === 'mock' ? ['image/png'] : [];  // its thumbnails
    before(async () => {
      base = await address();
      [one] = (await hold(base, 'GET', '/v1/images', {status: 200, query: '?limit=1'})).images;
      assert.ok(one, 'the collection has no picture');
    });

    test('the collection', async () => {
      const {total} = await hold(base, 'GET', '/v1/images', {status: 200});
      const beyond = await hold(base, 'GET', '/v1/images', {status: 200, query: `?offset=${total + 5}&limit=1000`});
      assert.deepEqual([beyond.total, beyond.offset, beyond.images], [total, total + 5, []]);
      for (const query of ['?limit=0', '?limit=1001', '?offset=-1', '?limit=ten']) await hold(base, 'GET', '/v1/images', {status: 400, query});
      const none = await hold(base, 'GET', '/v1/images', {status: 200, query: '?board=no%20such%20board'});
      assert.equal(none.total, 0);
      const {boards} = await hold(base, 'GET', '/v1/boards', {status: 200});
      for (const {board, images} of boards.slice(0, 3)) {
        assert.equal((await hold(base, 'GET', '/v1/images', {status: 200, query: `?limit=1&board=${encodeURIComponent(board)}`})).total, images, board);
      }
    });

    test('pages are parts of one order', async () => {
      const whole = await hold(base, 'GET', '/v1/images', {status: 200, query: '?limit=7'});
      const second = await hold(base, 'GET', '/v1/images', {status: 200, query: '?offset=3&limit=4'});
      assert.deepEqual(second.images, whole.images.slice(3));
    });

    test('one picture', async () => {
      const {signature} = one;
      const facts = await hold(base, 'GET', '/v1/images/{signature}', {status: 200, signature});
      assert.deepEqual([facts.width, facts.height], [one.width, one.height]);
      await hold(base, 'GET', '/v1/images/{signature}/pixels', {status: 200, signature});
      for (const size of [64, 256, 1024]) await hold(base, 'GET', '/v1/images/{signature}/thumbnail', {status: 200, signature, query: `?size=${size}`, lenient});
      for (const size of [63, 1025, 'x']) await hold(base, 'GET', '/v1/images/{signature}/thumbnail', {status: 400, signature, query: `?size=${size}`});
      await hold(base, 'GET', '/v1/images/{signature}/colors', {status: 200, signature});
      for (const path of ['', '/colors', '/pixels', '/thumbnail']) {
        await hold(base, 'GET', `/v1/images/{signature}${path}`, {status: 404, signature: kUnknown});
        await hold(base, 'GET', `/v1/images/{signature}${path}`, {status: 400, signature: 'nonsense'});
        await hold(base, 'POST', `/v1/images/{signature}${path}`, {status: 405, signature});
      }
    });

    test('search by signature', async () => {
      const {signature, width, height} = one;
      const region = {x: 1, y: 2, width: width - 1, height: height - 2};
      const whole = await hold(base, 'POST', '/v1/search', {status: 200, ...json({signature})});
      assert.equal(whole.query.region, null);
      assert.ok(whole.results.length <= 24);
      const likely = whole.results.filter(({evidence}) => evidence.probability !== undefined).length;
      assert.equal(likely, whole.ranking.calibration === null ? 0 : whole.results.length, 'whose probabilities they are is told');
      const scores = whole.results.map((hit) => hit.score);
      assert.deepEqual(scores, [...scores].sort((a, b) => b - a), 'best first');
      const look = await hold(base, 'POST', '/v1/search', {status: 200, ...json({signature, tokens: false})});
      for (const {evidence} of look.results) assert.equal(evidence.tokens, undefined);
      const part = await hold(base, 'POST', '/v1/search', {status: 200, ...json({signature, region, k: 3})});
      assert.deepEqual(part.query, {signature, width, height, region});
      assert.ok(part.results.length <= 3);
      for (const wrong of [{}, {signature: 'x'}, {signature, k: 0}, {signature, k: 1001}, {signature, k: 'ten'}, {signature, unknown: 1},
                           {signature, region: {x: 0, y: 0, width: width + 1, height: 1}}, {signature, region: {x: 0, y: 0, width: 0, height: 1}},
                           {signature, region: {x: -1, y: 0, width: 5, height: 5}}, {signature, region: {x: 0, y: 0}}, [], null]) {
        await hold(base, 'POST', '/v1/search', {status: 400, ...json(wrong)});
      }
      await hold(base, 'POST', '/v1/search', {status: 400, body: '{"signature":', headers: {'Content-Type': 'application/json'}});
      await hold(base, 'POST', '/v1/search', {status: 404, ...json({signature: kUnknown})});
      await hold(base, 'GET', '/v1/search', {status: 405});
    });

    test('search by color: beside a picture, and alone', async () => {
      const {signature} = one;
      const beside = await hold(base, 'POST', '/v1/search', {status: 200, ...json({signature, color: 'Red', color_weight: 0.7, k: 5})});
      assert.equal(beside.query.color.weight, 0.7);
      for (const {score, evidence} of beside.results) {
        const signals = Object.values(evidence.signals ?? {visual: {value: evidence.cosine, weight: 1}});
        const look = signals.reduce((sum, signal) => sum + signal.value * signal.weight, 0);
        assert.ok(Math.abs(score - (0.3 * look + 0.7 * evidence.color.match)) < 1e-3);
      }
      const alone = await hold(base, 'POST', '/v1/search', {status: 200, ...json({color: '#c02030', k: 5})});
      assert.deepEqual([alone.query.signature, alone.query.color.weight], [null, 1]);
      assert.equal(alone.ranking.calibration, null);
      for (const {score, distance, evidence} of alone.results) assert.deepEqual([score, distance, evidence.cosine], [evidence.color.match, null, null]);
      for (const wrong of [{signature, color: 'no such color'}, {signature, color: '#12345'}, {signature, color_weight: 0.5}, {signature, color: 'red', color_weight: 2},
                           {color: 'red', region: {x: 0, y: 0, width: 1, height: 1}}]) {
        await hold(base, 'POST', '/v1/search', {status: 400, ...json(wrong)});
      }
    });

    test('search by file: multipart and raw give the same', async () => {
      const picture = discs(200, 120, 90);
      const region = {x: 10, y: 5, width: 60, height: 50};
      const form = new FormData();
      form.append('image', new Blob([picture], {type: 'image/png'}), 'a.png');
      form.append('request', new Blob([JSON.stringify({k: 5, region})], {type: 'application/json'}));
      const first = await hold(base, 'POST', '/v1/search', {status: 200, body: form});
      const second = await hold(base, 'POST', '/v1/search', {status: 200, query: '?k=5&region=10,5,60,50', body: picture, headers: {'Content-Type': 'image/png'}});
      assert.deepEqual(first.query.region, region);
      assert.deepEqual([first.query, first.results], [second.query, second.results]);
      const only = new FormData();
      only.append('image', new Blob([picture]), 'a');
      await hold(base, 'POST', '/v1/search', {status: 200, body: only});
      const without = new FormData();
      without.append('request', '{}');
      await hold(base, 'POST', '/v1/search', {status: 400, body: without});
      const octets = {body: picture, headers: {'Content-Type': 'application/octet-stream'}};
      await hold(base, 'POST', '/v1/search', {status: 200, ...octets});
      for (const query of ['?k=0', '?k=x', '?region=1,2,3', '?region=0,0,121,1', '?region=0,0,0,1']) await hold(base, 'POST', '/v1/search', {status: 400, query, ...octets});
      await hold(base, 'POST', '/v1/search', {status: 422, body: 'no picture at all', headers: {'Content-Type': 'image/jpeg'}});
      await hold(base, 'POST', '/v1/search', {status: 422, body: picture.subarray(0, 20), headers: {'Content-Type': 'image/png'}});
      await hold(base, 'POST', '/v1/search', {status: 415, body: 'x', headers: {'Content-Type': 'text/plain'}});
    });

    test('a picture comes in, is found, and goes out', async () => {
      const picture = discs(77 + Math.floor(Math.random() * 100), 97, 61 + Math.floor(Math.random() * 60));
      const raw = {body: picture, headers: {'Content-Type': 'image/png'}};
      const form = new FormData();
      form.append('image', new Blob([picture], {type: 'image/png'}), 'a.png');
      form.append('description', 'a contract');
      form.append('board', 'contracts');
      const added = await hold(base, 'POST', '/v1/images', {status: 201, body: form});
      const {signature} = added;
      assert.ok(added.searchable, added.reason);
      assert.equal((await hold(base, 'POST', '/v1/images', {status: 200, ...raw})).new, false);
      const facts = await hold(base, 'GET', '/v1/images/{signature}', {status: 200, signature});
      assert.equal(facts.pins[0].description, 'a contract');
      const found = await hold(base, 'POST', '/v1/search', {status: 200, ...json({signature, k: 1})});
      assert.equal(found.results[0].signature, signature);
      await hold(base, 'DELETE', '/v1/images/{signature}', {status: 403, signature, headers: {Origin: 'http://example.com'}});
      await hold(base, 'DELETE', '/v1/images/{signature}', {status: 200, signature});
      await hold(base, 'DELETE', '/v1/images/{signature}', {status: 404, signature});
      await hold(base, 'GET', '/v1/images/{signature}', {status: 404, signature});
      await hold(base, 'POST', '/v1/search', {status: 404, ...json({signature})});
      await hold(base, 'POST', '/v1/images', {status: 422, body: picture.subarray(0, 20), headers: {'Content-Type': 'image/png'}});
      await hold(base, 'POST', '/v1/images', {status: 415, body: 'x', headers: {'Content-Type': 'text/plain'}});
      await hold(base, 'POST', '/v1/images', {status: 400, query: '?colour=red', ...raw});
    });

    test('duplicates of a picture, of an upload, of the collection', async () => {
      const of = (signature, status) => hold(base, 'GET', '/v1/images/{signature}/duplicates', {status, signature});
      const {signature, width, height} = one;
      await of(kUnknown, 404);
      await of('nonsense', 400);
      await hold(base, 'POST', '/v1/images/{signature}/duplicates', {status: 405, signature});
      const upload = (status, init) => hold(base, 'POST', '/v1/duplicates', {status, ...init});
      for (const [status, body, type] of [[415, 'x', 'text/plain'], [415, '{}', 'application/json'], [400, '', 'image/png']]) await upload(status, {body, headers: {'Content-Type': type}});
      await upload(400, {query: '?k=3', body: discs(200, 120, 90), headers: {'Content-Type': 'image/png'}});
      for (const query of ['?limit=0', '?limit=101', '?offset=-1', '?unknown=1']) await hold(base, 'GET', '/v1/duplicates', {status: 400, query});
      await hold(base, 'DELETE', '/v1/duplicates', {status: 405});
      if ((await fetch(`${base}/v1/duplicates`)).status === 409) return;  // a collection without hashes or keypoints
      const found = await of(signature, 200);
      assert.deepEqual(found.query, {signature, width, height});
      assert.ok(found.matches.every((match) => match.signature !== signature), 'a picture is not its own duplicate');
      const verdicts = found.matches.map(({verdict}) => verdict);
      assert.deepEqual(verdicts, [...verdicts].sort(), 'the same ones come first');
      const form = new FormData();
      form.append('image', new Blob([discs(200, 120, 90)], {type: 'image/png'}), 'a.png');
      assert.equal((await upload(200, {body: form})).query.width, 120);
      assert.equal((await upload(200, {body: discs(200, 120, 90), headers: {'Content-Type': 'application/octet-stream'}})).query.height, 90);
      await upload(422, {body: 'no picture at all', headers: {'Content-Type': 'image/jpeg'}});
      let page;
      do page = await hold(base, 'GET', '/v1/duplicates', {status: 200}); while (page.state === 'running' && await new Promise((resolve) => { setTimeout(resolve, 300, true); }));
      const seen = page.clusters.flatMap(({representative, members}) => [representative, ...members].map((image) => image.signature));
      assert.equal(new Set(seen).size, seen.length, 'each picture is in one cluster at most');
      const beyond = await hold(base, 'GET', '/v1/duplicates', {status: 200, query: `?offset=${page.total + 3}&limit=5`});
      assert.deepEqual([beyond.total, beyond.offset, beyond.clusters], [page.total, page.total + 3, []]);
    });

    test('filters narrow a search', async () => {
      const {boards} = await hold(base, 'GET', '/v1/boards', {status: 200});
      if (boards.length === 0) return;
      const {results} = await hold(base, 'POST', '/v1/search', {status: 200, ...json({signature: one.signature, board: boards[0].board, k: 50})});
      for (const hit of results) assert.ok(hit.pins.some((pin) => pin.board === boards[0].board));
      const none = await hold(base, 'POST', '/v1/search', {status: 200, ...json({signature: one.signature, text: 'zzqqxxnothing'})});
      assert.deepEqual(none.results, []);
    });

    test('status, health, metrics, page', async () => {
      await hold(base, 'GET', '/v1/status', {status: 200});
      await hold(base, 'GET', '/healthz', {status: 200});
      await hold(base, 'GET', '/metrics', {status: 200});
      for (const path of ['/v1/status', '/v1/boards', '/healthz', '/metrics', '/']) await hold(base, 'POST', path, {status: 405});
      const page = await (await hold(base, 'GET', '/', {status: 200})).text();
      for (const [, file] of page.matchAll(/"\/assets\/([^"#]+)/g)) await hold(base, 'GET', '/assets/{file}', {status: 200, file});
      await hold(base, 'GET', '/assets/{file}', {status: 404, file: 'absent.js'});
    });
  });
}

let mock;
after(() => mock?.close());
requests('mock', async () => { mock = await startMock({collection: madeCollection(60, 8)}); return mock.url; });
if (process.env.LIKENESS_URL) requests('server', async () => process.env.LIKENESS_URL.replace(/\/$/, ''));

test('the examples of the document obey it', () => {
  const visit = (node, path) => {
    if (!node || typeof node !== 'object') return;
    if (node.schema && node.example !== undefined) check(node.schema, node.example, path);
    if (node.schema && node.examples) for (const [name, {value}] of Object.entries(node.examples)) check(node.schema, value, `${path}/${name}`);
    for (const [key, child] of Object.entries(node)) if (key !== 'example' && key !== 'examples') visit(child, `${path}/${key}`);
  };
  visit(document.paths, 'paths');
  visit(document.components.responses, 'responses');
  visit(document.components.headers, 'headers');
  visit(document.components.parameters, 'parameters');
});
